"""Entrances for what others send, in site.yaml: buses of kind mqtt, https and hj212, their senders and points.

`bus`, `meter` and `point` give rows of the canonical document; mistakes are noted with the reader of
carbonterm_host.site_yaml. docs/inbound.md describes the keys.
"""

import yaml

from carbonterm import site, units
from carbonterm.errors import CarbonError
from carbonterm.field import hj212, inbound, models, names
from carbonterm.number import Number
from carbonterm_host import site_instrument, site_series
from carbonterm_host.yaml_reader import Bad

BUS_KEYS = {
    inbound.MQTT: ("host", "port", "timeout", "client", "login", "ca", "keep_alive", "state"),
    inbound.HTTPS: ("host", "port", "timeout", "certificate", "key"),
    inbound.HJ212: ("host", "port", "timeout", "stations", "version"),
}
_PORTS = {inbound.MQTT: 1883, inbound.HTTPS: 8443, inbound.HJ212: 9212}
_METER_KEYS = {inbound.MQTT: ("topic", "qos", "time"), inbound.HTTPS: ("source", "token"),
               inbound.HJ212: ("mn", "model")}  # fmt: skip
_UNIT_KEY = {inbound.MQTT: "topic", inbound.HTTPS: "source", inbound.HJ212: "mn"}
_POINT_KEYS = {inbound.MQTT: ("pointer",), inbound.HTTPS: ("key",), inbound.HJ212: ("register", "item", "window")}
_VALUE_KEYS = ("unit", "quantity", "kind", "multiplier", "digits", "limit", "min", "max")
WINDOWS = {"realtime": hj212.REALTIME, "minute": hj212.MINUTE, "hour": hj212.HOUR, "day": hj212.DAY,
           "runtime": hj212.RUNTIME}  # fmt: skip


def kind_of(node):
    """The kind of an entrance that a bus's node is of; None for a bus that is asked."""
    kind = _peek(node, "kind")
    return kind if kind in inbound.KINDS else None


def bus_of(reader, node):
    """The kind of the entrance that a meter's node says it is on, None for another bus."""
    row = _named(reader, node, "bus", reader.bus_index, reader.buses)
    return row[1] if row is not None and row[1] in inbound.KINDS else None


def meter_of(reader, node):
    """The kind of the entrance whose sender a point's node names, None for another meter."""
    found = _named(reader, node, "meter", reader.meter_index, reader.meters)
    return found[0][10] if found is not None and found[0][10] in inbound.KINDS else None


def bus(reader, node, kind):
    """(name, row) of an entrance."""
    needed = {inbound.MQTT: (), inbound.HTTPS: ("certificate", "key"), inbound.HJ212: ("stations",)}[kind]
    optional = [key for key in BUS_KEYS[kind] if key not in ("host", *needed)]
    keys = reader.table(node, f"a bus of kind {kind}", ("name", "kind", "host", *needed), tuple(optional))
    name = reader.text(keys["name"])
    if kind == inbound.MQTT:
        options = _mqtt(reader, keys, name)
    elif kind == inbound.HTTPS:
        options = [_file(reader, keys[key]) for key in ("certificate", "key")]
    else:
        version = reader.choice(keys["version"], inbound.VERSIONS) if "version" in keys else "2017"
        options = [_file(reader, keys["stations"]), version]
    timeout = reader.duration(keys["timeout"]) if "timeout" in keys else 10000
    if not 10 <= timeout <= 60000:
        raise reader.bad(keys["timeout"], "a timeout is 10ms to 60s")
    port = reader.integer(keys["port"], 1, 65535) if "port" in keys else _PORTS[kind]
    if kind == inbound.MQTT and "port" not in keys and "ca" in keys:
        port = 8883
    return name, [name, kind, reader.text(keys["host"]), port, "none", 1, timeout, 0, 0, None, options]


def page(reader, node):
    """The row of the terminal's own web page (docs/page.md); [] where it is wrong."""
    try:
        keys = reader.table(node, "the page", ("listen",), ("certificate", "key", "users"))
        address, _, port = reader.text(keys["listen"]).rpartition(":")
        if not address or not (port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
            raise reader.bad(keys["listen"], "listen is an address and a port", "e.g. 0.0.0.0:8443")
        usual = (("certificate", "page.crt"), ("key", "page.key"), ("users", "page.users"))
        files = [_file(reader, keys[key]) if key in keys else name for key, name in usual]
    except Bad:
        return []
    return [address, int(port), *files]


def _mqtt(reader, keys, name):
    client = reader.text(keys["client"]) if "client" in keys else f"carbonterm-{name}"[:64]
    if not 1 <= len(client) <= 64:
        raise reader.bad(keys["client"], "a client id has 1 to 64 characters")
    keep_alive = 60000 if "keep_alive" not in keys else reader.duration(keys["keep_alive"])
    if not 5000 <= keep_alive <= 3600000:
        raise reader.bad(keys["keep_alive"], "keep_alive is 5s to 1h")
    state = None
    if "state" in keys:
        state = _checked(reader, keys["state"], names.check_topic)
    return [
        client, _file(reader, keys["login"]) if "login" in keys else None,
        reader.certificate(keys["ca"]) if "ca" in keys else None, keep_alive // 1000, state,
    ]  # fmt: skip


def meter(reader, node, kind):
    """(name, (row, None)) of a sender; of a CEMS the model instead of None."""
    unit_key = _UNIT_KEY[kind]
    needed = ("name", "bus", unit_key) + (("token",) if kind == inbound.HTTPS else ())
    own = [key for key in _METER_KEYS[kind] if key not in needed]
    record = [key for key in site_instrument.KEYS if key != "identity"]
    keys = reader.table(node, f"a meter on a bus of kind {kind}", needed, (*own, *record))
    name, at = reader.text(keys["name"]), reader.reference(keys["bus"], reader.bus_index, "bus")
    unit = _checked(reader, keys[unit_key], lambda text: inbound.check_unit(kind, text))
    model, dialect = None, None
    if kind == inbound.MQTT:
        qos = reader.integer(keys["qos"], 0, 1) if "qos" in keys else 1
        dialect = [qos, _checked(reader, keys["time"], inbound.check_pointer) if "time" in keys else None]
    elif kind == inbound.HTTPS:
        dialect = _token(reader, keys["token"])
    elif "model" in keys:
        model = _model(reader, keys["model"])
    row = [name, at, unit, model["id"] if model else "json" if kind != inbound.HJ212 else "hj212", 1,
           *site_instrument.read(reader, keys, model or {}), kind, dialect, None, None, None, 0, 0, None, None,
           None, None, *site_instrument.identifier(reader, keys)]  # fmt: skip
    return name, (row, model)


def point(reader, node, kind):
    """(name, row) of a value that is sent."""
    keys = reader.table(node, f"a point of a meter on a bus of kind {kind}", ("name", "meter", "every"),
                        (*_POINT_KEYS[kind], *_VALUE_KEYS, *site_series.KEYS))  # fmt: skip
    index = reader.reference(keys["meter"], reader.meter_index, "meter")
    model, register = reader.meters[index][1], None
    if kind == inbound.HJ212:
        address, register = _factor(reader, node, keys, model)
    else:
        address = _address(reader, node, keys, kind)
        if kind == inbound.MQTT and address == "" and names.is_filter(reader.meters[index][0][2]):
            raise reader.bad(keys["pointer"], "the meter's topic is a filter, and this point does not say which it is",
                             "begin with what + and # stand for: /boiler/energy") # fmt: skip
    shape = _shape(reader, node, keys, register, address, kind)
    ratio = reader.number(keys["multiplier"]) if "multiplier" in keys else Number(1)
    if ratio <= 0:
        raise reader.bad(keys["multiplier"], "a multiplier must be above 0", "it is a ratio, e.g. of two units")
    modulus = None
    if "digits" in keys:
        if shape[2] != site.REGISTER:
            raise reader.bad(keys["digits"], "only a running total has digits after which it begins again at 0",
                             "leave 'digits' out")  # fmt: skip
        modulus = _pair((Number(10 ** reader.integer(keys["digits"], 1, 18)) * ratio).normal())

    def own(key):
        if key in keys:
            return _pair(reader.number(keys[key]))
        standard = (register or {}).get(key)
        return None if standard is None else _pair(Number(standard) * ratio)

    interval = reader.duration(keys["every"])
    if not 100 <= interval <= 86400000:
        raise reader.bad(keys["every"], "a value comes every 100ms to 24h")
    name = reader.text(keys["name"])
    return name, [
        name, index, *shape[:2], 0, address, inbound.TYPE, "ABCD", _pair(ratio.normal()), shape[2], modulus,
        own("limit"), own("min"), own("max"), interval,
    ]  # fmt: skip


CARBON = (("a05001", "CO2 concentration"), ("a00000", "gas flow"))  # factors of HJ 212-2017 table B.2


def same_sender_twice(reader, node):
    """Notes senders that one bus cannot tell apart."""
    seen = {}
    for item, found in zip(reader.rows(node, "meters"), reader.meters, strict=True):
        if found is None or found[0][10] not in inbound.KINDS:
            continue
        name, at, unit, kind = found[0][0], found[0][1], found[0][2], found[0][10]
        for (bus, filter_), other in seen.items() if kind == inbound.MQTT else ():
            if bus == at and filter_ != unit and names.overlap(filter_, unit) and (
                names.is_filter(unit) and names.is_filter(filter_)
            ):
                what = f"meters '{other}' and '{name}' have filters with topics in common: {filter_}, {unit}"
                reader.note(item, what, "a topic belongs to one meter")
        other = seen.setdefault((at, unit), name)
        if other != name:
            what = f"meters '{other}' and '{name}' have one {_UNIT_KEY[kind]} on one bus: {unit}"
            reader.note(item, what, "make them one meter with the points of both")


def stack_without_carbon(reader, node):
    """Notes flue gas monitoring systems (CEMS) whose points do not say how much CO2 leaves: a concentration and a flow
    (12.2: 必须对二氧化碳排放进行监测)."""
    if None in reader.points:
        return  # the one that is missing may be the one with a mistake
    for index, (item, found) in enumerate(zip(reader.rows(node, "meters"), reader.meters, strict=True)):
        if found is None or found[1] is None or found[1]["protocol"] != inbound.HJ212:
            continue
        if found[1]["medium"] != "flue gas":
            continue
        factors = {point[5].split("/")[1].split("-")[0] for point in reader.points if point[1] == index}
        missing = [f"{what} ({code})" for code, what in CARBON if code not in factors]
        if missing:
            what = f"CEMS '{found[0][0]}' must monitor CO2, and has no point of " + " or ".join(missing)
            reader.note(item, what, "add a point of it, e.g. register: co2 and register: flow")


# --- parts ---------------------------------------------------------------------------------------------------------


def _peek(node, name):
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name and isinstance(value, yaml.ScalarNode):
                return value.value
    return None


def _named(reader, node, key, index, rows):
    """What a node's `key` names, None where it has none; which keys the node may have depends on it, so nothing else is
    said of a node that names what is not there, or is wrong itself."""
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if name.value == key:
            found = rows[reader.reference(value, index, key)]
            if found is None:
                raise reader.given_up()
            return found
    return None


def _checked(reader, node, check):
    """The text of a node that a check of the core takes; "" is a text here."""
    text = node.value if isinstance(node, yaml.ScalarNode) else reader.text(node)
    try:
        check(text)
    except CarbonError as error:
        raise reader.bad(node, error.what, error.hint) from None
    return text


def _file(reader, node):
    return _checked(reader, node, names.check_file)


def _token(reader, node):
    text = reader.text(node)
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise reader.bad(node, "a token is given by its SM3, 64 hex digits; never write the token itself here",
                         "printf %s TOKEN | openssl dgst -sm3")  # fmt: skip
    return digest


def _model(reader, node):
    try:
        model = models.load(reader.text(node))
    except CarbonError as error:
        raise reader.bad(node, error.what, error.hint) from None
    if model["protocol"] != inbound.HJ212:
        known = ", ".join(models.ids(protocol=inbound.HJ212))
        raise reader.bad(node, f"model {model['id']} is {model['protocol']}, not hj212", f"known: {known}")
    return model


def _address(reader, node, keys, kind):
    key = _POINT_KEYS[kind][0]
    if key not in keys:
        how = "/data/energy, where in the payload it is" if kind == inbound.MQTT else "its name in the values"
        raise reader.bad(node, f"a point lacks {key}", f"{key}: {how}")
    return _checked(reader, keys[key], lambda text: inbound.check_point(kind, 0, text, inbound.TYPE, "ABCD"))


def _factor(reader, node, keys, model):
    """(address, the model's register or None) of a value of HJ 212."""
    if ("register" in keys) == ("item" in keys):
        raise reader.bad(node, "a point lacks register or item" if "item" not in keys else "a point has both",
                         "register: a name of the meter's model; item: a factor like a05001-Rtd")  # fmt: skip
    register = None
    if "register" in keys:
        if model is None:
            hint = "give it one, or write item: a05001-Rtd"
            raise reader.bad(keys["register"], "the point's meter has no model", hint)
        try:
            register = models.register(model, reader.text(keys["register"]))
        except CarbonError as error:
            raise reader.bad(keys["register"], error.what, error.hint) from None
        item = f"{register['item']}-{register['field']}"
    else:
        item = reader.text(keys["item"])
    window = "realtime" if item.endswith("Rtd") else "minute"
    if "window" in keys:
        window = reader.choice(keys["window"], tuple(WINDOWS))
    address = f"{WINDOWS[window]}/{item}"
    try:
        inbound.check_point(inbound.HJ212, 0, address, inbound.TYPE, "ABCD")
    except CarbonError as error:
        raise reader.bad(keys.get("item", keys.get("window", node)), error.what, error.hint) from None
    return address, register


def _shape(reader, node, keys, register, address, kind):
    """(quantity, unit, kind of value)."""
    if register is not None:
        for key in ("unit", "quantity", "kind"):
            if key in keys:
                reader.note(keys[key], f"a point with a register has no '{key}'", "the model says it")
        return register["quantity"], register["unit"], register["kind"]
    unit = None
    if kind == inbound.HJ212:
        code, _, field = address.partition("/")[2].partition("-")
        unit = hj212.unit(code, field)
    if "unit" in keys:
        unit = reader.text(keys["unit"])
    if unit is None:
        raise reader.bad(node, "a point lacks unit", "the one in which the value is sent, e.g. unit: kWh")
    try:
        units.parse(unit)
    except CarbonError as error:
        raise reader.bad(keys.get("unit", node), error.what, error.hint) from None
    what = reader.choice(keys["kind"], models.KINDS) if "kind" in keys else site.INSTANT
    if "quantity" in keys:
        return reader.choice(keys["quantity"], tuple(models.QUANTITIES)), unit, what
    quantity = models.quantity_of(unit, what) or ("concentration" if kind == inbound.HJ212 else None)
    if quantity is None:
        hint = "one of " + ", ".join(sorted(models.QUANTITIES))
        raise reader.bad(node, f"what quantity {unit} is cannot be told: a point lacks quantity", hint)
    return quantity, unit, what


def _pair(number):
    return [number.mantissa, number.exponent]
