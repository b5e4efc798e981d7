"""Meters and points in site.yaml, of every protocol: what a model says, and what the site says instead of it.

`meter` and `point` give rows of the canonical document; mistakes are noted with the reader of
carbonterm_host.site_yaml.
A meter's transformers (ct, pt) multiply the points whose quantity they transform, unless the model's registers already
hold the primary side. A point is a register of the model, or of a DL/T 645 meter any data identifier.
"""

import json

from carbonterm import site, units
from carbonterm.errors import CarbonError, SiteError
from carbonterm.field import dlt645_items, inbound, models, places
from carbonterm.number import Number
from carbonterm_host import site_channels, site_instrument, site_nodes, site_series

METER_KEYS = ("unit", "address", "baud", "parity", "stop", "gap", "silence", "timeout", "retries", "ct", "pt", "type",
              "order", "unit_first")  # fmt: skip
POINT_KEYS = ("register", "item", "layout", "unit", "quantity", "kind", "multiplier", "decimals", "digits", "every",
              "limit", "min", "max")  # fmt: skip
_OWN_KEYS = ("layout", "unit", "quantity", "kind")  # of a point that is no register of the model
_CT, _PT = 19, 20  # places in a meter's row
_SERIAL_ONLY = ("baud", "parity", "stop", "silence")
_CJT188_ONLY = ("type", "order", "unit_first")


def meter(reader, node):
    """(name, (row, model)) of a meter."""
    keys = reader.table(node, "a meter", ("name", "bus", "model"),
                        METER_KEYS + site_channels.METER_KEYS + site_instrument.KEYS)  # fmt: skip
    name, bus = reader.text(keys["name"]), reader.reference(keys["bus"], reader.bus_index, "bus")
    model = _model(reader, keys["model"])
    protocol, line = model["protocol"], reader.buses[bus]
    if line is None:
        raise reader.given_up()
    if protocol in places.CHANNELS or line[1] == places.INPUTS:
        return site_channels.meter(reader, node, keys, (name, bus, model, line))
    for key in site_channels.METER_KEYS:
        if key in keys:
            reader.note(keys[key], f"a {protocol} meter has no '{key}'", "leave it out")
    _fits_the_line(reader, keys, model, line)
    unit = _unit(reader, node, keys, protocol, line)
    dialect = _dialect(reader, keys, model)
    own = {
        "baud": reader.integer(keys["baud"], 300, 4000000) if "baud" in keys else None,
        "parity": reader.choice(keys["parity"], site.PARITIES) if "parity" in keys else None,
        "stop": reader.integer(keys["stop"], 1, 2) if "stop" in keys else None,
        "gap": reader.integer(keys["gap"], 0, 124) if "gap" in keys else model.get("gap", 8),
        "silence": reader.duration(keys["silence"]) if "silence" in keys else model.get("silence_ms", 0),
        "timeout": reader.duration(keys["timeout"]) if "timeout" in keys else None,
        "retries": reader.integer(keys["retries"], 0, 9) if "retries" in keys else None,
        "ct": _transformer(reader, keys, "ct", model),
        "pt": _transformer(reader, keys, "pt", model),
    }
    for key, longest in (("silence", 10000), ("timeout", 60000)):
        if (own[key] or 0) > longest:
            raise reader.bad(keys[key], f"a {key} of more than {longest // 1000}s", "nothing else is read meanwhile")
    row = [name, bus, unit, model["id"], model.get("max_registers", 1), *site_instrument.read(reader, keys, model),
           protocol, dialect, *own.values(), *site_instrument.identifier(reader, keys)]  # fmt: skip
    return name, (row, model)


def same_address_twice(reader, node):
    """Notes meters that answer to one address of one bus."""
    seen = {}
    for item, found in zip(reader.rows(node, "meters"), reader.meters, strict=True):
        if found is None or found[0][10] in inbound.KINDS:
            continue
        name, bus, unit, protocol = found[0][0], found[0][1], found[0][2], found[0][10]
        other = seen.setdefault((bus, protocol, unit), name)
        if other != name:
            called = "unit" if protocol == places.MODBUS else "address"
            what = f"meters '{other}' and '{name}' have one address: {called} {unit} on one bus"
            reader.note(item, what, "two meters that answer at once destroy each other's replies; change one address")


def point(reader, node):
    """(name, row) of a point."""
    keys = reader.table(node, "a point", ("name", "meter"), POINT_KEYS + site_channels.POINT_KEYS + site_series.KEYS)
    index = reader.reference(keys["meter"], reader.meter_index, "meter")
    if reader.meters[index] is None:
        raise reader.given_up()
    row, model = reader.meters[index]
    register = _register(reader, node, keys, model)
    function, address, kind, order, scale = models.place(model, register)
    ratio = reader.number(keys["multiplier"]) if "multiplier" in keys else Number(1)
    if ratio <= 0:
        raise reader.bad(keys["multiplier"], "a multiplier must be above 0", "it is a ratio, e.g. of CT × PT")
    for letter, text in (("ct", row[_CT]), ("pt", row[_PT])):
        if text is not None and letter in models.transformers(register["quantity"]):
            ratio = ratio * _ratio(text)
    modulus = register["modulus"]
    if "decimals" in keys:
        before = kind, scale
        kind, scale = _decimals(reader, keys["decimals"], model, register, kind)
        modulus = _rolls_over(modulus, before, (kind, scale))
    if "digits" in keys:
        if register["kind"] != site.REGISTER:
            what = "only a running total has digits after which it begins again at 0"
            raise reader.bad(keys["digits"], what, "leave 'digits' out")
        modulus = str(10 ** reader.integer(keys["digits"], 1, 18))

    def own(key, standard):
        if key in keys:
            return _pair(reader.number(keys[key]))
        return None if standard is None else _pair(Number(standard) * ratio)

    every = site_nodes.default_ms(register["quantity"], register["kind"])
    interval = reader.duration(keys["every"]) if "every" in keys else every
    if not 100 <= interval <= 86400000:
        raise reader.bad(keys["every"], "a point is read every 100ms to 24h")
    return reader.text(keys["name"]), [
        reader.text(keys["name"]), index, register["quantity"], register["unit"], function, address, kind, order,
        _pair((scale * ratio).normal()), register["kind"],
        None if modulus is None else _pair((Number(modulus) * ratio).normal()),
        own("limit", None), own("min", register["min"]), own("max", register["max"]), interval,
    ]  # fmt: skip


def warnings(plan):
    """Texts about points whose place in the meter nobody has confirmed in a document."""
    known = set(models.ids())
    found = []
    for index, meter in enumerate(plan.meters):
        if meter.model not in known:
            continue  # a model of the site's own: whoever wrote it knows how sure it is
        model = models.load(meter.model)
        unsure = {_spot(*models.place(model, row)[:2]): models.confidence(model, row) for row in model["registers"]
                  if models.confidence(model, row).split(";")[0] in models.UNSURE}  # fmt: skip
        for point in plan.points:
            level = unsure.get(_spot(point.function, point.address))
            if point.meter == index and level:
                found.append(f"point '{point.name}': how model {meter.model} reads it is not confirmed ({level}): "
                             "compare it with the meter's display")  # fmt: skip
    return found


def _spot(function, address):
    """A register's place as a key."""
    return function, str(address)


# --- a meter -------------------------------------------------------------------------------------------------------


def own_model(path):
    """(document, [problems as "file:line: text"]) of a model's file of one's own; SiteError where it is none."""
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
    except OSError as error:
        hint = "name a .json file, or a model: 'carbonterm models list'"
        raise SiteError(f"the model's file {path.name} cannot be read: {error.strerror}", hint) from None
    except ValueError:
        raise SiteError(f"{path.name} is no JSON", "docs/models.md has the schema") from None
    return document, [f"{path.name}:{_line(text, problem)}: {problem}" for problem in models.check(document)]


def _model(reader, node):
    """A model of the library, or of a file of one's own beside site.yaml (a name that ends with .json)."""
    name = reader.text(node)
    try:
        if not name.endswith(".json"):
            return models.load(name)
        document, problems = own_model(reader.folder / name)
    except CarbonError as error:
        raise reader.bad(node, error.what, error.hint) from None
    for problem in problems:
        reader.note(node, problem, "docs/models.md has the schema")
    if problems:
        raise reader.given_up()
    return document


def _line(text, problem):
    """The line of a model's file that a problem is about: where the register that it names begins; else 1."""
    name = problem.split("'")[1] if problem.startswith("register '") else None
    lines = text.splitlines()
    return next((i for i, line in enumerate(lines, 1) if name and f'"{name}"' in line), 1)


def _fits_the_line(reader, keys, model, line):
    protocol, kind = model["protocol"], line[1]
    if protocol not in places.PROTOCOLS:
        what = f"model {model['id']} is {protocol}, which is no meter on a bus"
        raise reader.bad(keys["model"], what, "a bus has meters of " + ", ".join(places.PROTOCOLS))
    if protocol != places.MODBUS and kind != "serial":
        what = f"model {model['id']} speaks {protocol}, and bus '{line[0]}' is a {kind} bus"
        raise reader.bad(keys["bus"], what, f"give '{line[0]}' the kind serial, or choose another bus")
    for key in (*(_SERIAL_ONLY if kind == "modbus-tcp" else ()), *(() if protocol == places.CJT188 else _CJT188_ONLY),
                *(() if protocol == places.MODBUS else ("gap",))):  # fmt: skip
        if key in keys:
            whose = f"on a {kind} bus" if key in _SERIAL_ONLY else f"of protocol {protocol}"
            reader.note(keys[key], f"a meter {whose} has no '{key}'", "leave it out")


def _unit(reader, node, keys, protocol, line):
    key, other = ("unit", "address") if protocol == places.MODBUS else ("address", "unit")
    if other in keys:
        reader.note(keys[other], f"a {protocol} meter has no '{other}'", f"write {key}: …")
    if key not in keys:
        how = "1 to 247 on a serial line" if protocol == places.MODBUS else "the digits printed on the meter, in quotes"
        raise reader.bad(node, f"a {protocol} meter needs '{key}'", f"{key}: {how}")
    if protocol == places.MODBUS:
        unit = reader.integer(keys[key], 0, 255)
        if line[1] != "modbus-tcp" and not 1 <= unit <= 247:
            reader.note(keys[key], f"unit {unit} cannot be on a serial line", "units there are 1 to 247")
        return unit
    unit = reader.text(keys[key]).upper()
    try:
        places.check_unit(protocol, unit)
    except CarbonError as error:
        raise reader.bad(keys[key], error.what, error.hint) from None
    return unit


def _dialect(reader, keys, model):
    if model["protocol"] != places.CJT188:
        return None
    kind, order, first = models.dialect(model)
    if "type" in keys:
        text = reader.text(keys["type"])
        try:
            kind = int(text, 16)
        except ValueError:
            hint = 'write its two hex digits, "10" is cold water'
            raise reader.bad(keys["type"], f"'{text}' is no type", hint) from None
    if "order" in keys:
        order = reader.choice(keys["order"], ("90 1F", "1F 90"))
    if "unit_first" in keys:
        first = reader.choice(keys["unit_first"], ("true", "false")) == "true"
    try:
        places.check_dialect(places.CJT188, [kind, order, first])
    except CarbonError as error:
        raise reader.bad(keys.get("type", keys["model"]), error.what, error.hint) from None
    return [kind, order, first]


def _transformer(reader, keys, key, model):
    """The text "200/5" of a transformer, checked; None where there is none."""
    if key not in keys:
        return None
    if model["ratios"] != models.SECONDARY:
        what = f"the registers of model {model['id']} already hold the primary side"
        if model["ratios"] == models.DIRECT:
            what = f"model {model['id']} is connected without transformers"
        raise reader.bad(keys[key], what, f"leave '{key}' out; it would count twice")
    text = reader.text(keys[key])
    try:
        if not 0 < len(text) <= 24 or not _ratio(text) >= 1:
            raise ValueError
    except (CarbonError, ValueError, ZeroDivisionError):
        raise reader.bad(keys[key], f"'{text}' is no transformer ratio",
                         "write both sides, the primary first: ct: 200/5, pt: 10000/100") from None  # fmt: skip
    return text


def _ratio(text):
    """Number of "200/5"; an error for what is no exact decimal."""
    above, below = text.split("/")
    above, below = Number(above), Number(below)
    if not above > 0 or not below > 0:
        raise ValueError
    quotient = (above / below).round(9).normal()
    if quotient * below != above:
        raise ValueError
    return quotient


# --- a point -------------------------------------------------------------------------------------------------------


def _register(reader, node, keys, model):
    """The register of the model that a point names; or one as the site says it, of an identifier."""
    if ("register" in keys) == ("item" in keys):
        raise reader.bad(node, "a point lacks register" if "register" not in keys else "a point has register and item",
                         "register: a name of the model; item: a data identifier of a DL/T 645 meter")  # fmt: skip
    if "register" in keys:
        return _of_model(reader, keys, model)
    if model["protocol"] not in (places.PROTOCOLS[1], places.PROTOCOLS[2]):
        raise reader.bad(keys["item"], f"a {model['protocol']} meter has no data identifiers", "name a register")
    return _item(reader, keys, model)


def _of_model(reader, keys, model):
    if model["protocol"] in places.CHANNELS:
        return site_channels.register(reader, keys, model)
    for key in site_channels.POINT_KEYS:
        if key in keys:
            reader.note(keys[key], f"a point of a {model['protocol']} meter has no '{key}'", "leave it out")
    own_unit = model["protocol"] == places.CJT188  # such a meter shows its values in the unit it was ordered with
    for key in _OWN_KEYS:
        if key in keys and not (key == "unit" and own_unit):
            reader.note(keys[key], f"a point with a register has no '{key}'", "the model says it")
    try:
        register = models.register(model, reader.text(keys["register"]))
    except CarbonError as error:
        raise reader.bad(keys["register"], error.what, error.hint) from None
    if "unit" not in keys or not own_unit:
        return register
    unit = reader.text(keys["unit"])
    try:
        units.factor(unit, register["unit"])
    except CarbonError as error:
        raise reader.bad(keys["unit"], error.what, error.hint) from None
    return register | {"unit": unit, "min": None, "max": None}


def _item(reader, keys, model):
    code = reader.text(keys["item"]).upper()
    try:
        places.check_point(model["protocol"], 0, code, "XX", "ABCD")
    except CarbonError as error:
        raise reader.bad(keys["item"], error.what, error.hint) from None
    known = dlt645_items.lookup(code)
    if known and len(known.layouts) > 1:
        what = f"item {code} ({known.name}) is more than one value"
        raise reader.bad(keys["item"], what, "choose an item of one number; demand now is 02800004")
    layout, unit = known.layouts[0][1:] if known else (None, None)
    if "layout" in keys:
        layout = reader.text(keys["layout"])
    if "unit" in keys:
        unit = reader.text(keys["unit"])
    if not places.is_layout(layout):
        hint = "give a layout like XXXXXX.XX, most significant digit first"
        raise reader.bad(keys.get("layout", keys["item"]), f"item {code} is no number that is known here", hint)
    try:
        units.parse(unit or "1")
    except CarbonError as error:
        raise reader.bad(keys.get("unit", keys["item"]), error.what, error.hint) from None
    energy = code[:2] in ("00", "90", "91") and code[:4] != "0090"
    kind = reader.choice(keys["kind"], models.KINDS) if "kind" in keys else models.KINDS[0 if energy else 1]
    quantity = reader.choice(keys["quantity"], sorted(models.QUANTITIES)) if "quantity" in keys else None
    if quantity is None:
        quantity = models.quantity_of(unit, kind)
        if quantity is None:
            raise reader.bad(keys["item"], f"what item {code} measures is not known here", "give its quantity")
    modulus = str(10 ** len(layout.lstrip("s").partition(".")[0])) if kind == site.REGISTER else None
    return {"item": code, "layout": layout, "unit": unit or "1", "quantity": quantity, "kind": kind,
            "modulus": modulus, "min": None, "max": None}  # fmt: skip


def _decimals(reader, node, model, register, kind):
    """(type, scale) of a value with another number of decimals than the model says."""
    places_wanted = reader.integer(node, 0, 9)
    if model["protocol"] == places.MODBUS:
        if kind.startswith("float"):
            raise reader.bad(node, "a float says its decimals itself", "leave 'decimals' out")
        return kind, Number(1, -places_wanted)
    if model["protocol"] == places.CJT188:
        return kind, Number(1, models.cjt188_decimals(register["item"]) - places_wanted)
    digits = kind.lstrip("s").replace(".", "")
    if places_wanted >= len(digits):
        raise reader.bad(node, f"{places_wanted} decimals leave no digit of {kind}", f"it has {len(digits)} digits")
    sign = "s" if kind[0] == "s" else ""
    whole = digits[: len(digits) - places_wanted]
    return sign + whole + ("." + digits[len(whole) :] if places_wanted else ""), Number(1)


def _rolls_over(modulus, before, after):
    """The modulus (a text, or None) of a value whose (type, scale) changed: the register keeps its digits."""
    if modulus is None:
        return None
    if places.is_layout(after[0]):
        return str(10 ** len(after[0].lstrip("s").partition(".")[0]))
    return str((Number(modulus) * after[1] / before[1]).round(9).normal())


def _pair(number):
    return [number.mantissa, number.exponent]
