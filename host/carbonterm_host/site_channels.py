"""Analogue and pulse inputs in site.yaml: buses of kind "analog", their meters and points (docs/site.md).

    buses:  - {name: io, kind: analog, folder: /sys/bus/iio/devices}
    meters: - {name: FT101, bus: io, channel: in0, model: transmitter-4-20ma, full: 4095, span: 20.475}
            - {name: 水表, bus: io, channel: count0, model: pulse-s0}
    points: - {name: F1, meter: FT101, register: span, low: 0, high: 500, unit: Nm3/h, quantity: gas flow, every: 1s}
            - {name: W1, meter: 水表, register: pulses, pulse: 0.01, unit: m3, quantity: volume, every: 1min}

Mistakes are noted with the reader of carbonterm_host.site_yaml.
"""

from carbonterm import units
from carbonterm.errors import CarbonError
from carbonterm.field import channels, models, places
from carbonterm.nearest import hint
from carbonterm.number import Number
from carbonterm_host import site_instrument

METER_KEYS = ("channel", "full", "span")
POINT_KEYS = ("low", "high", "pulse")
_BUS_KEYS = ("name", "kind", "folder")
_ALLOWED = ("name", "bus", "model", *METER_KEYS, *site_instrument.KEYS)


def bus(reader, keys):
    """(name, row) of a bus whose meters are inputs of the terminal."""
    for key in keys:
        if key not in _BUS_KEYS:
            reader.note(keys[key], f"a bus of kind analog has no '{key}'", "leave it out")
    if "folder" not in keys:
        what = "a bus of kind analog needs 'folder'"
        raise reader.bad(keys["kind"], what, "the one that its channels' files are in: /sys/bus/iio/devices")
    name, folder = reader.text(keys["name"]), reader.text(keys["folder"]).rstrip("/")
    if not folder.startswith("/"):
        raise reader.bad(keys["folder"], f"'{folder}' does not begin with /", "name it from the root on")
    return name, [name, places.INPUTS, folder, 1, "none", 1, 1000, 0, 0, None]


def meter(reader, node, keys, found):
    """(name, (row, model)) of an input; found: (name, index of its bus, model, the bus's row)."""
    name, at, model, line = found
    protocol = model["protocol"]
    if protocol not in places.CHANNELS:
        raise reader.bad(keys["model"], f"model {model['id']} speaks {protocol}, and bus '{line[0]}' has inputs only",
                         "choose a model of protocol analog or pulse, or another bus")  # fmt: skip
    if line[1] != places.INPUTS:
        what = f"model {model['id']} is an input, and bus '{line[0]}' is a {line[1]} bus"
        raise reader.bad(keys["bus"], what, "make a bus of kind analog for it")
    for key in keys:
        if key not in _ALLOWED or (key in ("full", "span") and protocol == channels.PULSE):
            reader.note(keys[key], f"a meter of protocol {protocol} has no '{key}'", "leave it out")
    if "channel" not in keys:
        raise reader.bad(node, f"a meter of protocol {protocol} needs 'channel'", "the file below the bus's folder")
    unit = reader.text(keys["channel"])
    try:
        channels.check_unit(unit)
    except CarbonError as error:
        raise reader.bad(keys["channel"], error.what, error.hint) from None
    dialect = None
    if protocol == channels.ANALOG:
        if ("full" in keys) != ("span" in keys):
            what = "full and span belong together"
            raise reader.bad(keys.get("full", keys.get("span")), what, "without them the file shows mA or V")
        full = reader.integer(keys["full"], 1, 1 << 32) if "full" in keys else 1
        span = reader.number(keys["span"]) if "span" in keys else Number(1)
        if not span > 0:
            raise reader.bad(keys["span"], "a span must be above 0", "the mA or V at the converter's full scale")
        dialect = [full, _pair(span)]
    row = [name, at, unit, model["id"], 1, *site_instrument.read(reader, keys, model), protocol, dialect,
           None, None, None, 0, 0, None, None, None, None, *site_instrument.identifier(reader, keys)]  # fmt: skip
    return name, (row, model)


def register(reader, keys, model):
    """The register of an input's model that a point names, with what the point says of its own transmitter."""
    try:
        found = models.register(model, reader.text(keys["register"]))
    except CarbonError as error:
        raise reader.bad(keys["register"], error.what, error.hint) from None
    analog = model["protocol"] == channels.ANALOG
    for key in POINT_KEYS:
        if key in keys and analog != (key != "pulse"):
            reader.note(keys[key], f"a point of a {model['protocol']} input has no '{key}'", "leave it out")
    own = {}
    if analog and ("low" in keys or "high" in keys):
        if not ("low" in keys and "high" in keys):
            raise reader.bad(keys.get("low", keys.get("high")), "low and high belong together")
        low, high = reader.number(keys["low"]), reader.number(keys["high"])
        if low == high:
            raise reader.bad(keys["high"], "low and high are the same", "the quantity at the ends of the signal")
        own = {"low": str(low), "high": str(high), "min": None, "max": None}
    if not analog and "pulse" in keys:
        constant = reader.number(keys["pulse"])
        if not constant > 0:
            raise reader.bad(keys["pulse"], "a pulse stands for more than 0", "e.g. 0.01 with unit: m3")
        own = {"constant": str(constant), "modulus": str(constant * (1 << found["bits"]))}
    if own and "unit" not in keys:
        what = "a range or pulse of its own needs its unit"
        raise reader.bad(keys["register"], what, "unit: Nm3/h, quantity: gas flow")
    if "unit" in keys:
        own["unit"] = reader.text(keys["unit"])
        try:
            units.parse(own["unit"])
        except CarbonError as error:
            raise reader.bad(keys["unit"], error.what, error.hint) from None
    if "quantity" in keys:
        own["quantity"] = reader.text(keys["quantity"])
        if own["quantity"] not in models.QUANTITIES:
            what = f"unknown quantity '{own['quantity']}'"
            raise reader.bad(keys["quantity"], what, hint(own["quantity"], sorted(models.QUANTITIES)))
    for key in ("layout", "kind", "decimals", "digits"):
        if key in keys:
            reader.note(keys[key], f"a point of an input has no '{key}'", "the model says it")
    return found | own


def _pair(number):
    return [number.mantissa, number.exponent]
