"""Meter models: what a kind of meter of any protocol says, as JSON, one file each in field/meters/ (docs/models.md).

A model is data: `load` gives the document as it is, once every rule of the schema holds, with its numbers still texts.
On the device the host has already compiled what is needed of it into the site document; `place` is that step.
"""

import json
import os

from carbonterm import units
from carbonterm.errors import CarbonError, ModelError, quoted
from carbonterm.field import identity as places_of_identity
from carbonterm.field import places
from carbonterm.field.analog import SIGNALS
from carbonterm.field.modbus import LIMITS
from carbonterm.field.registers import ORDERS, TYPES, WIDTH
from carbonterm.nearest import hint
from carbonterm.number import Number

FOLDER = __file__.rsplit("/", 1)[0] + "/meters"

PROTOCOLS = places.PROTOCOLS + ("hj212",) + places.CHANNELS
MEDIA = ("electricity", "gas", "heat", "water", "steam", "flow", "flue gas", "other")
KINDS = ("register", "instant")  # running total, value of the moment
PARITIES = ("none", "even", "odd")
# what the registers hold of a meter behind transformers; direct: there are none
PRIMARY, SECONDARY, DIRECT = "primary", "secondary", "direct"
# how sure a map or a register is; the first word of a confidence, ";" and remarks may follow
LEVELS = ("vendor document", "vendor document, second hand", "standard", "standard, second hand", "open-source project",
          "memory", "low", "simulated")  # fmt: skip

UNSURE = ("memory", "low")

# quantity: (Chinese, the transformers that its value goes through: "c" current, "p" potential)
QUANTITIES = {
    "active energy": ("有功电能", "cp"), "reactive energy": ("无功电能", "cp"), "apparent energy": ("视在电能", "cp"),
    "active power": ("有功功率", "cp"), "reactive power": ("无功功率", "cp"), "apparent power": ("视在功率", "cp"),
    "active demand": ("有功需量", "cp"), "voltage": ("电压", "p"), "current": ("电流", "c"),
    "power factor": ("功率因数", ""), "frequency": ("频率", ""), "phase angle": ("相角", ""),
    "volume": ("体积", ""), "volume flow": ("体积流量", ""), "gas volume": ("燃气体积", ""),
    "gas flow": ("燃气流量", ""),
    "mass": ("质量", ""), "mass flow": ("质量流量", ""), "heat": ("热量", ""), "heat flow": ("热流量", ""),
    "temperature": ("温度", ""), "pressure": ("压力", ""), "velocity": ("流速", ""), "humidity": ("湿度", ""),
    "concentration": ("浓度", ""), "operating time": ("运行时间", ""), "pulses": ("脉冲数", ""),
    "signal": ("信号占量程的比例", ""), "status": ("状态", ""), "setting": ("设置", ""),
}  # fmt: skip

_ID = "abcdefghijklmnopqrstuvwxyz0123456789-"
_NAME = "abcdefghijklmnopqrstuvwxyz0123456789_"
# decimals of CJ/T 188's items in the layouts of 901F
_CJT188_DECIMALS = {"flow": 4, "work_hours": 0}


def ids(folder=FOLDER, protocol=None):
    """Ids of the models there are, sorted; of one protocol where it is given."""
    names = sorted(name[:-5] for name in os.listdir(folder) if name.endswith(".json"))
    return [name for name in names if protocol is None or load(name, folder)["protocol"] == protocol]


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
        raise ModelError("meter model %s: %s" % (id, "; ".join(problems)), "the schema is in docs/models.md")
    return document


def register(model, name):
    """The register `name` of a loaded model, as a dict; ModelError if it has none."""
    for found in model["registers"]:
        if found["name"] == name:
            return found
    names = [row["name"] for row in model["registers"]]
    raise ModelError("model %s has no register %s" % (model["id"], quoted(str(name))), hint(str(name), names))


def place(model, row):
    """(function, address, type, order, scale as Number) of a register for the site document (carbonterm.field.places).

    ModelError for a model whose meters are on no bus: hj212.
    """
    protocol = model["protocol"]
    if protocol == places.MODBUS:
        return row["function"], row["address"], row["type"], row["order"], Number(row["scale"])
    if protocol == places.CJT188:
        return 0, row["item"], "bcd", "ABCD", Number(1)
    if protocol in places.PROTOCOLS:
        return 0, row["item"], row["layout"], "ABCD", Number(1)
    if protocol == places.CHANNELS[0]:
        ends = [Number(row[name]) for name in ("low", "high")]
        return 0, [[end.mantissa, end.exponent] for end in ends], row["signal"], "ABCD", Number(1)
    if protocol in places.CHANNELS:
        return 0, row["bits"], protocol, "ABCD", Number(row["constant"])
    raise ModelError("model %s is %s, which is no meter on a bus" % (model["id"], protocol), "see docs/models.md")


def transformers(quantity):
    """("ct", "pt"), a part of it or (): which transformers a quantity's value goes through."""
    letters = QUANTITIES[quantity][1]
    return tuple([letter + "t" for letter in "cp" if letter in letters])


def quantity_of(unit, kind):
    """The quantity of a value that has no model: from its unit; None where that says too little."""
    for quantity, symbol in (
        ("active energy", "kWh"), ("reactive energy", "kvarh"), ("apparent energy", "kVAh"), ("active power", "kW"),
        ("reactive power", "kvar"), ("apparent power", "kVA"), ("voltage", "V"), ("current", "A"), ("frequency", "Hz"),
        ("temperature", "°C"),
    ):  # fmt: skip
        if unit is not None and units.fits(unit, symbol) and (kind == KINDS[0]) == quantity.endswith("energy"):
            return quantity
    return None


def cjt188_decimals(item):
    """Decimals of an item of 901F in the standard's layout."""
    return _CJT188_DECIMALS.get(item, 2)


def dialect(model):
    """[type, identifier order, unit first] of a CJ/T 188 model, None of others."""
    row = model.get("dialect")
    return None if row is None else [int(row["type"], 16), row["order"], row["unit_first"]]


def identity(model):
    """[function, address, count, type, order] where meters of a loaded model say their serial number, or None."""
    row = model.get("identity")
    return None if row is None else [row["function"], row["address"], row["count"], row["type"], row["order"]]


def confidence(model, row=None):
    """How sure a model is, or a register of it where that says less than its model."""
    return (row or {}).get("confidence") or model["source"]["confidence"]


# --- the schema ----------------------------------------------------------------------------------------------------


def check(document):
    """List of what breaks the schema of docs/models.md, empty if nothing does."""
    problems = []
    protocol = document.get("protocol") if isinstance(document, dict) else None
    if protocol not in PROTOCOLS and isinstance(document, dict):
        return ["the model: protocol must be one of " + " ".join(PROTOCOLS)]
    _table("the model", document, _MODEL + _OF_MODEL.get(protocol, ()), problems, _MAYBE + _MAYBE_OF.get(protocol, ()))
    if problems:
        return problems
    if "serial" in document:
        _table("serial", document["serial"], _SERIAL, problems)
    _table("source", document["source"], _SOURCE, problems)
    if not document["registers"]:
        problems.append("no registers")
    names = []
    for row in document["registers"]:
        where = "register %s" % quoted(str(row.get("name") if isinstance(row, dict) else row))
        before = len(problems)
        _table(where, row, _REGISTER + _PLACE[protocol], problems, _MAYBE_REGISTER)
        if len(problems) > before:
            continue
        if row["name"] in names:
            problems.append(where + " is there twice")
        names.append(row["name"])
        _register(where, row, document, problems)
    if not problems:
        _overlaps(document, problems)
        _probe(document, problems)
    return problems


def _register(where, row, document, problems):
    """What one field alone cannot tell."""
    if row["kind"] == "instant" and row["modulus"] is not None:
        problems.append(where + ": only a running total has a modulus")
    if row["min"] is not None and row["max"] is not None and Number(row["min"]) > Number(row["max"]):
        problems.append(where + ": min is above max")
    if document["protocol"] == places.MODBUS:
        _modbus(where, row, document["max_registers"], problems)
    elif document["protocol"] in places.PROTOCOLS:
        try:
            places.check_point(document["protocol"], *place(document, row)[:4])
        except CarbonError as error:
            problems.append("%s: %s" % (where, error.what))
            return
        if row["modulus"] is not None and "layout" in row:
            layout = row["layout"][1:] if row["layout"][0] == "s" else row["layout"]
            if Number(row["modulus"]) > Number(10 ** len(layout.split(".")[0])):
                problems.append(where + ": the modulus %s is more than the layout can hold" % row["modulus"])
    elif document["protocol"] == "analog" and Number(row["low"]) == Number(row["high"]):
        problems.append(where + ": low and high are the same")


def _modbus(where, row, max_registers, problems):
    width = WIDTH[row["type"]]
    if row["address"] + width > 0x10000 or width > max_registers:
        problems.append(where + ": it does not fit")
    if row["modulus"] is not None and row["type"][:1] == "u":
        largest = Number((1 << 16 * width) - 1) * Number(row["scale"])
        if Number(row["modulus"]) > largest + Number(row["scale"]):
            problems.append(where + ": the modulus %s is more than the type can hold" % row["modulus"])


def _overlaps(document, problems):
    """Two registers in one place: one of them is wrong."""
    taken = {}
    for row in document["registers"]:
        if document["protocol"] == places.MODBUS:
            spots = [(row["function"], row["address"] + i) for i in range(WIDTH[row["type"]])]
        else:
            spots = [(row.get("item"), row.get("field"))]
        for spot in spots:
            if spot in taken and spot != (None, None):
                problems.append("register %s: overlaps %s" % (quoted(row["name"]), quoted(taken[spot])))
                break
        for spot in spots:
            taken[spot] = row["name"]


def _probe(document, problems):
    row = document.get("probe")
    if row is not None and row["register"] not in [register["name"] for register in document["registers"]]:
        problems.append("probe: there is no register %s" % quoted(row["register"]))


def _table(where, value, rules, problems, maybe=()):
    if not isinstance(value, dict):
        problems.append(where + " is no object")
        return
    known = [rule[0] for rule in rules + maybe]
    for name in sorted(value):
        if name not in known:
            problems.append("%s: unknown field %s" % (where, quoted(name)))
    for name, test, wanted in rules + maybe:
        if name not in value:
            if (name, test, wanted) in rules:
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


def _anything(value):
    return True


def _level(value):
    return _text(value) and value.split(";")[0] in LEVELS


def _identity(row):
    if not isinstance(row, dict) or sorted(row) != ["address", "count", "function", "order", "source", "type"]:
        return False
    try:
        places_of_identity.check([row["function"], row["address"], row["count"], row["type"], row["order"]])
    except CarbonError:
        return False
    return _text(row["source"])


def _dialect(row):
    try:
        good = isinstance(row, dict) and sorted(row) == ["order", "type", "unit_first"]
        if good:
            places.check_dialect(places.CJT188, [int(row["type"], 16), row["order"], row["unit_first"]])
        return good
    except (ValueError, TypeError):
        return False


def _is_probe(row):
    good = isinstance(row, dict) and sorted(row) == ["max", "min", "register"]
    return good and _text(row["register"]) and _decimal(row["min"]) and _decimal(row["max"])


# field, whether a value will do, what it must be
_MODEL = (
    ("id", _word(_ID), "1 to 64 of a-z 0-9 -"),
    ("maker", _text, "a text"),
    ("model", _text, "a text"),
    ("protocol", _choice(*PROTOCOLS), "one of " + " ".join(PROTOCOLS)),
    ("medium", _choice(*MEDIA), "one of " + " ".join(MEDIA)),
    ("ratios", _choice(PRIMARY, SECONDARY, DIRECT), "primary, secondary or direct"),
    ("source", _anything, "an object"),
    ("notes", _text, "a text"),
    ("registers", lambda value: isinstance(value, list), "a list"),
)
_LINE = (("serial", _anything, "an object"),)
_OF_MODEL = {
    places.MODBUS: _LINE + (("max_registers", _integer(1, LIMITS[3]), "1 to 125"),),
    places.PROTOCOLS[1]: _LINE,
    places.PROTOCOLS[2]: _LINE,
    places.CJT188: _LINE + (("dialect", _dialect, "an object of type, order and unit_first"),),
}
_MAYBE = (("silence_ms", _integer(0, 10000), "0 to 10000"),)
_MAYBE_OF = {
    places.MODBUS: (
        ("gap", _integer(0, 124), "0 to 124"),
        ("identity", _identity, "an object of function, address, count, type, order and source"),
        ("probe", _is_probe, "an object of register, min and max"),
    ),
}
_SERIAL = (
    ("baud", _integer(300, 4000000), "300 to 4000000"),
    ("parity", _choice(*PARITIES), "one of " + " ".join(PARITIES)),
    ("stop", _integer(1, 2), "1 or 2"),
)
_SOURCE = (
    ("document", _text, "a text"),
    ("via", _text, "a text"),
    ("confidence", _level, "one of %s, then ; and remarks" % ", ".join([quoted(level) for level in LEVELS])),
)
_REGISTER = (
    ("name", _word(_NAME), "1 to 64 of a-z 0-9 _"),
    ("title_zh", _text, "a text"),
    ("quantity", _choice(*sorted(QUANTITIES)), "one of " + ", ".join(sorted(QUANTITIES))),
    ("unit", _unit, "a unit that carbonterm.units knows"),
    ("modulus", _optional(_positive), "a decimal above 0 as a text, or null"),
    ("kind", _choice(*KINDS), "one of " + " ".join(KINDS)),
    ("min", _optional(_decimal), "a decimal as a text, or null"),
    ("max", _optional(_decimal), "a decimal as a text, or null"),
    ("source", _text, "a text"),
)
_MAYBE_REGISTER = (("confidence", _level, "a text that begins with one of the levels of a source"),)
_ITEM = ("item", _text, "an identifier")
_DLT645 = (_ITEM, ("layout", places.is_layout, "a layout like XXXXXX.XX"))
_PLACE = {
    places.MODBUS: (
        ("function", _choice(3, 4), "3 or 4"),
        ("address", _integer(0, 0xFFFF), "0 to 65535"),
        ("type", _choice(*TYPES), "one of " + " ".join(TYPES)),
        ("order", _choice(*sorted(ORDERS)), "one of " + " ".join(sorted(ORDERS))),
        ("scale", lambda value: _decimal(value) and Number(value) != 0, "a decimal as a text, not 0"),
    ),
    places.PROTOCOLS[1]: _DLT645,
    places.PROTOCOLS[2]: _DLT645,
    places.CJT188: (_ITEM,),
    "hj212": (_ITEM, ("field", _choice("Rtd", "Avg", "Min", "Max", "Cou"), "Rtd, Avg, Min, Max or Cou")),
    "analog": (
        ("signal", _choice(*sorted(SIGNALS)), "one of " + " ".join(sorted(SIGNALS))),
        ("low", _decimal, "a decimal as a text"),
        ("high", _decimal, "a decimal as a text"),
    ),
    "pulse": (
        ("constant", _positive, "a decimal above 0 as a text"),
        ("bits", _integer(8, 64), "8 to 64"),
    ),
}
