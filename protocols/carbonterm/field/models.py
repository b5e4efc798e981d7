"""Meter models: the register map of a kind of meter as JSON, one file each in field/meters/ (schema: docs/meters.md).

A model is data: `load` gives the document as it is, once every rule of the schema holds, with its numbers still texts.
On the device the host has already compiled what is needed of it into the site document.
"""

import json
import os

from carbonterm import units
from carbonterm.errors import CarbonError, ModelError, quoted
from carbonterm.field import identity as places
from carbonterm.field.modbus import LIMITS
from carbonterm.field.registers import ORDERS, TYPES, WIDTH
from carbonterm.nearest import hint
from carbonterm.number import Number

FOLDER = __file__.rsplit("/", 1)[0] + "/meters"

MEDIA = ("electricity", "gas", "heat", "water", "steam", "flow", "other")
KINDS = ("register", "instant")  # running total, value of the moment
PARITIES = ("none", "even", "odd")
_ID = "abcdefghijklmnopqrstuvwxyz0123456789-"
_NAME = "abcdefghijklmnopqrstuvwxyz0123456789_"


def ids(folder=FOLDER):
    """Ids of the models there are, sorted."""
    return sorted(name[:-5] for name in os.listdir(folder) if name.endswith(".json"))


def load(id, folder=FOLDER):
    """The model `id` as a dict; ModelError if there is none or its file breaks the schema."""
    known = ids(folder)
    if id not in known:
        raise ModelError("unknown meter model %s" % quoted(str(id)), hint(str(id), known))
    with open(folder + "/" + id + ".json", "rb") as file:
        try:
            document = json.loads(file.read().decode("utf-8"))
        except ValueError:
            raise ModelError("meter model %s is no JSON" % id, "correct %s.json" % id) from None
    problems = check(document)
    if not problems and document["id"] != id:
        problems = ["its id is %s" % quoted(document["id"])]
    if problems:
        raise ModelError("meter model %s: %s" % (id, "; ".join(problems)), "the schema is in docs/meters.md")
    return document


def register(model, name):
    """The register `name` of a loaded model, as a dict; ModelError if it has none."""
    for found in model["registers"]:
        if found["name"] == name:
            return found
    names = [row["name"] for row in model["registers"]]
    raise ModelError("model %s has no register %s" % (model["id"], quoted(str(name))), hint(str(name), names))


def check(document):
    """List of what breaks the schema of docs/meters.md, empty if nothing does."""
    problems = []
    _table("the model", document, _MODEL + (_IDENTITY if _has_identity(document) else ()), problems)
    if problems:
        return problems
    _table("serial", document["serial"], _SERIAL, problems)
    _table("source", document["source"], _SOURCE, problems)
    if not document["registers"]:
        problems.append("no registers")
    names = []
    for row in document["registers"]:
        where = "register %s" % quoted(str(row.get("name") if isinstance(row, dict) else row))
        before = len(problems)
        _table(where, row, _REGISTER, problems)
        if len(problems) > before:
            continue
        if row["name"] in names:
            problems.append(where + " is there twice")
        names.append(row["name"])
        _register(where, row, document["max_registers"], problems)
    return problems


def identity(model):
    """[function, address, count, type, order] where meters of a loaded model say their serial number, or None."""
    if not _has_identity(model):
        return None
    row = model["identity"]
    return [row["function"], row["address"], row["count"], row["type"], row["order"]]


def _has_identity(document):
    return isinstance(document, dict) and "identity" in document


def _is_identity(row):
    if not isinstance(row, dict) or sorted(row) != ["address", "count", "function", "order", "source", "type"]:
        return False
    try:
        places.check([row["function"], row["address"], row["count"], row["type"], row["order"]])
    except CarbonError:
        return False
    return _text(row["source"])


def _register(where, row, max_registers, problems):
    """What one field alone cannot tell."""
    width = WIDTH[row["type"]]
    if row["address"] + width > 0x10000 or width > max_registers:
        problems.append(where + ": it does not fit")
    if row["kind"] == "instant" and row["modulus"] is not None:
        problems.append(where + ": only a running total has a modulus")
    if row["min"] is not None and row["max"] is not None and Number(row["min"]) > Number(row["max"]):
        problems.append(where + ": min is above max")
    if row["modulus"] is not None and row["type"][:1] == "u":
        largest = Number((1 << 16 * width) - 1) * Number(row["scale"])
        if Number(row["modulus"]) > largest + Number(row["scale"]):
            problems.append(where + ": the modulus %s is more than the type can hold" % row["modulus"])


def _table(where, value, rules, problems):
    if not isinstance(value, dict):
        problems.append(where + " is no object")
        return
    for name in sorted(value):
        if name not in [rule[0] for rule in rules]:
            problems.append("%s: unknown field %s" % (where, quoted(name)))
    for name, test, wanted in rules:
        if name not in value:
            problems.append("%s: %s is missing" % (where, name))
        elif not test(value[name]):
            problems.append("%s: %s must be %s" % (where, name, wanted))


def _text(value):
    return isinstance(value, str) and 1 <= len(value) <= 1000


def _word(alphabet):
    return lambda value: isinstance(value, str) and 1 <= len(value) <= 64 and all(c in alphabet for c in value)


def _integer(low, high):
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _choice(*choices):
    return lambda value: value in choices


def _decimal(value):
    try:
        return isinstance(value, str) and Number(value) is not None
    except CarbonError:
        return False


def _positive(value):
    return _decimal(value) and Number(value) > 0


def _optional(test):
    return lambda value: value is None or test(value)


def _unit(value):
    try:
        return units.parse(value) is not None
    except CarbonError:
        return False


# field, whether a value will do, what it must be
_MODEL = (
    ("id", _word(_ID), "1 to 64 of a-z 0-9 -"),
    ("maker", _text, "a text"),
    ("model", _text, "a text"),
    ("protocol", _choice("modbus"), "modbus"),
    ("medium", _choice(*MEDIA), "one of " + " ".join(MEDIA)),
    ("serial", lambda value: True, "an object"),
    ("max_registers", _integer(1, LIMITS[3]), "1 to 125"),
    ("source", lambda value: True, "an object"),
    ("notes", _text, "a text"),
    ("registers", lambda value: isinstance(value, list), "a list"),
)
_IDENTITY = (("identity", _is_identity, "an object of function, address, count, type, order and source"),)
_SERIAL = (
    ("baud", _integer(300, 4000000), "300 to 4000000"),
    ("parity", _choice(*PARITIES), "one of " + " ".join(PARITIES)),
    ("stop", _integer(1, 2), "1 or 2"),
)
_SOURCE = (("document", _text, "a text"), ("via", _text, "a text"), ("confidence", _text, "a text"))
_REGISTER = (
    ("name", _word(_NAME), "1 to 64 of a-z 0-9 _"),
    ("title_zh", _text, "a text"),
    ("quantity", _text, "a text"),
    ("unit", _unit, "a unit that carbonterm.units knows"),
    ("function", _choice(3, 4), "3 or 4"),
    ("address", _integer(0, 0xFFFF), "0 to 65535"),
    ("type", _choice(*TYPES), "one of " + " ".join(TYPES)),
    ("order", _choice(*sorted(ORDERS)), "one of " + " ".join(sorted(ORDERS))),
    ("scale", lambda value: _decimal(value) and Number(value) != 0, "a decimal as a text, not 0"),
    ("modulus", _optional(_positive), "a decimal above 0 as a text, or null"),
    ("kind", _choice(*KINDS), "one of " + " ".join(KINDS)),
    ("min", _optional(_decimal), "a decimal as a text, or null"),
    ("max", _optional(_decimal), "a decimal as a text, or null"),
    ("source", _text, "a text"),
)
