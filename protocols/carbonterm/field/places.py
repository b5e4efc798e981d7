"""Where a value is found in each protocol of the field, as rows of the site document say it.

    protocol                    unit of a meter          function  address of a point   type         order
    modbus                      0 to 255                 1 to 4    register, 0 to 65535 see registers
    dlt645-2007, dlt645-1997    12 digits as printed     0         8 or 4 hex digits    a layout     ABCD
    cjt188                      14 hex digits as printed 0         code of 901F's items bcd          ABCD
    mqtt, https, hj212          see carbonterm.field.inbound: they are not asked, they send
    analog, pulse               see carbonterm.field.channels: inputs of the terminal itself

A layout is written as carbonterm.field.dlt645_items has it. The dialect of a CJ/T 188 meter is [type T, identifier
order, whether the unit stands before the digits], of the others None. Every check raises FrameError with the way out.
"""

from carbonterm.errors import FrameError, quoted
from carbonterm.field.registers import ORDERS, TYPES, WIDTH

MODBUS, CJT188 = "modbus", "cjt188"
MQTT, HTTPS, HJ212 = "mqtt", "https", "hj212"
SENDERS = (MQTT, HTTPS, HJ212)  # carbonterm.field.inbound, which only their sites need
CHANNELS = ("analog", "pulse")  # carbonterm.field.channels
INPUTS = "analog"  # the kind of bus that has them
DLT645 = ("dlt645-2007", "dlt645-1997")  # as carbonterm.field.dlt645 has them
PROTOCOLS = (MODBUS,) + DLT645 + (CJT188,)

# what a point of 901F may be: code, bytes of its digits in the layout with the longest
_CODES = ("current", "settle", "settle_heat", "current_heat", "power", "flow", "volume", "supply_temp", "return_temp",
          "work_hours")  # fmt: skip
_HEX = "0123456789ABCDEF"


def fits(protocol, kind):
    """Whether meters that speak `protocol` can be on a bus of `kind`."""
    if protocol in SENDERS or kind in SENDERS:
        return protocol == kind
    if protocol in CHANNELS or kind == INPUTS:
        return protocol in CHANNELS and kind == INPUTS
    return protocol == MODBUS or kind == "serial"


def check_unit(protocol, unit):
    """What a meter is asked by."""
    if protocol == MODBUS:
        if not isinstance(unit, int) or isinstance(unit, bool) or not 0 <= unit <= 255:
            raise FrameError("a Modbus unit must be an integer from 0 to 255")
    elif protocol == CJT188:
        if not _is(unit, 14, _HEX) or unit in ("AA" * 7, "99" * 7):
            raise FrameError("%s is no address of a CJ/T 188 meter" % quoted(str(unit)),
                             "write the 14 digits printed on the meter, as a text")  # fmt: skip
    elif protocol in SENDERS:
        from carbonterm.field import inbound

        inbound.check_unit(protocol, unit)
    elif protocol in CHANNELS:
        from carbonterm.field import channels

        channels.check_unit(unit)
    elif not _is(unit, 12, "0123456789") or unit == "9" * 12:
        raise FrameError("%s is no address of a DL/T 645 meter" % quoted(str(unit)),
                         "write the 12 digits printed on the meter, as a text, with zeros before fewer")  # fmt: skip


def check_dialect(protocol, dialect):
    """[type, order, unit_first] of a CJ/T 188 meter, what carbonterm.field.inbound says of senders, None of others."""
    if protocol in SENDERS:
        from carbonterm.field import inbound

        inbound.check_dialect(protocol, dialect)
        return
    if protocol in CHANNELS:
        from carbonterm.field import channels

        channels.check_dialect(protocol, dialect)
        return
    if protocol != CJT188:
        if dialect is not None:
            raise FrameError("a %s meter has no dialect" % protocol, "leave it out")
        return
    good = isinstance(dialect, (list, tuple)) and len(dialect) == 3
    if not good or not isinstance(dialect[0], int) or dialect[2] not in (True, False):
        raise FrameError("a dialect is [type, identifier order, unit first]", "e.g. [16, '90 1F', false]")
    if not 0x10 <= dialect[0] <= 0x49:
        raise FrameError("no CJ/T 188 meter has the type %02XH" % dialect[0],
                         "10 to 19 is water, 20 to 29 heat, 30 to 39 gas (hexadecimal)")  # fmt: skip
    if dialect[1] not in ("90 1F", "1F 90"):
        raise FrameError("identifier order %s" % quoted(str(dialect[1])), "it is '90 1F' or '1F 90'")


def check_point(protocol, function, address, type, order):
    """A value's place in the meter."""
    if protocol == MODBUS:
        _register(function, address, type, order)
        return
    if protocol in SENDERS:
        from carbonterm.field import inbound

        inbound.check_point(protocol, function, address, type, order)
        return
    if protocol in CHANNELS:
        from carbonterm.field import channels

        channels.check_point(protocol, function, address, type, order)
        return
    if function != 0 or order != "ABCD":
        raise FrameError("a point of a %s meter has function 0 and order ABCD" % protocol)
    if protocol == CJT188:
        if address not in _CODES or type != "bcd":
            raise FrameError("901F of CJ/T 188 has no %s" % quoted(str(address)), "it has " + " ".join(_CODES))
        return
    if not _is(address, 8 if protocol == DLT645[0] else 4, _HEX):
        raise FrameError("%s is no data identifier of %s" % (quoted(str(address)), protocol),
                         'write 8 hex digits like "00010000" (2007) or 4 like "9010" (1997)')  # fmt: skip
    if not is_layout(type):
        raise FrameError("%s is no layout of a number" % quoted(str(type)), "write it like XXXXXX.XX or sXX.XXXX")


def is_layout(text):
    """Whether a text is a layout of a number: pairs of X, a point between them or not, s before it for a sign."""
    if not isinstance(text, str) or not 2 <= len(text) <= 18:
        return False
    plain = text[1:] if text[0] == "s" else text
    digits = plain.replace(".", "")
    whole = digits == "X" * len(digits) and len(digits) % 2 == 0
    return whole and plain.count(".") < 2 and plain[:1] == "X" == plain[-1:]


def _register(function, address, type, order):
    for value, low, high, name in ((function, 1, 4, "function"), (address, 0, 65535, "address")):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise FrameError("%s must be an integer from %d to %d" % (name, low, high))
    if type not in TYPES:
        raise FrameError("type must be one of " + ", ".join(TYPES))
    if order not in ORDERS:
        raise FrameError("order must be one of ABCD, BADC, CDAB, DCBA")
    if address + WIDTH[type] > 0x10000:
        raise FrameError("a %s at register %d ends behind the last one, 65535" % (type, address))


def _is(text, length, alphabet):
    return isinstance(text, str) and len(text) == length and all([c in alphabet for c in text])
