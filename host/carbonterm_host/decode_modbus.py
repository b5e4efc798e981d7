"""Bytes of a Modbus line explained: every frame, what it says, and what is wrong with the bytes that are none.

`decode(data, tcp, type, order)` yields the objects that `carbonterm decode` prints (docs/decode.md). Unlike the
decoders of `carbonterm.field.modbus` it has all bytes at once, does not know whose side it is on, and must say why.
"""

from carbonterm.errors import FrameError
from carbonterm.field.modbus import (
    EXCEPTIONS,
    FUNCTIONS,
    HOLDING,
    INPUT_REGISTERS,
    REQUEST,
    RESPONSE,
    WRITE_COIL,
    WRITE_COILS,
    WRITE_REGISTERS,
    Frame,
    crc16,
    match,
    parse_request,
    parse_response,
    rtu_length,
    unpack_bits,
)
from carbonterm.field.registers import WIDTH
from carbonterm.field.registers import decode as value_of

EITHER = "request or response"  # 05 and 06: the response is the request's bytes


def decode(data, tcp=False, type=None, order="ABCD"):
    """Yields one dict per frame of `data`, in order: valid, error, address, control, items, and "role" (for people).

    A stretch of bytes without a frame is told in the `error` of the frame behind it if it is noise; if it looks like a
    frame that was broken, or if no frame follows, it is an object of its own with valid False.
    """
    find, explain = (_find_tcp, _explain_tcp) if tcp else (_find_rtu, _explain_rtu)
    before = None
    start = position = 0
    while position < len(data):
        frame = find(data, position, before)
        if frame is None:
            position += 1
            continue
        noise = None
        if position > start:
            broken, error = explain(data, start, position)
            if broken:
                yield _invalid(error)
            else:
                noise = f"{_bytes(data, start, position)} before it belong to no frame"
        yield {"valid": True, "error": noise, **_told(frame, before, type, order)}
        position = start = position + len(frame.raw)
        before = frame
    if start < len(data):
        yield _invalid(explain(data, start, len(data))[1])


def _invalid(error):
    return {"valid": False, "error": error, "address": None, "control": None, "items": [], "role": None}


def _bytes(data, start, end):
    """ "2 bytes at offset 0 (FE FE)"."""
    shown = data[start : min(end, start + 8)].hex(" ").upper() + (" …" if end - start > 8 else "")
    return f"{_count(end - start)} at offset {start} ({shown})"


def _count(number):
    return "1 byte" if number == 1 else f"{number} bytes"


# --- finding -------------------------------------------------------------------------------------------------------


def _find_rtu(data, start, before):
    lengths = {rtu_length(role, data, start) for role in (RESPONSE, REQUEST)}
    for length in sorted(lengths):
        raw = data[start : start + length]
        if len(raw) == length and length and crc16(raw) == 0:
            frame = _frame(None, raw[0], raw[1:-2], raw, before)
            if frame:
                return frame
    return None


def _find_tcp(data, start, before):
    end = _mbap_end(data, start)
    if not end or end > len(data):
        return None
    raw = data[start:end]
    return _frame(int.from_bytes(raw[:2], "big"), raw[6], raw[7:], raw, before)


def _mbap_end(data, start):
    """Where the frame ends that the header at `start` announces, or 0 if it is no header."""
    if len(data) - start < 6 or data[start + 2 : start + 4] != b"\0\0":
        return 0
    length = int.from_bytes(data[start + 4 : start + 6], "big")
    return start + 6 + length if 2 <= length <= 254 else 0


def _frame(transaction, unit, pdu, raw, before):
    """The Frame of these bytes in the role that their PDU has, or None if it has none."""
    roles = [role for role, parse in ((REQUEST, parse_request), (RESPONSE, parse_response)) if _parses(parse, pdu)]
    if not roles:
        return None
    frame = Frame(transaction, unit, pdu, raw, roles[0])
    if len(roles) == 2:
        if before and before.role == REQUEST and match(before, frame):
            frame.role = RESPONSE
        elif frame.function in (5, 6):
            frame.role = EITHER
    return frame


def _parses(parse, pdu):
    try:
        return bool(parse(pdu))
    except FrameError:
        return False


# --- explaining ----------------------------------------------------------------------------------------------------


def _explain_rtu(data, start, end):
    """(whether data[start:end] looks like a frame that was broken, what to say about it)."""
    stretch = data[start:end]
    what = _bytes(data, start, end)
    cut = _cut(stretch) if end == len(data) else ""
    for place in range(start, end - 3):
        fault = _broken(data[place:end])
        if fault:
            noise = f"{_bytes(data, start, place)} belong to no frame; " if place > start else ""
            return True, f"{noise}{_bytes(data, place, end)}: {fault}" + (f"; or {cut}" if cut else "")
    if len(stretch) < 4:
        return False, f"{what}: too short for a frame: unit, function and CRC take 4"
    head = f"unit {stretch[0]}, function {_control(stretch[1])}"
    if stretch[1] & 0x7F not in FUNCTIONS:
        return False, f"{what}: no frame: {head}: unknown function"
    if cut:
        return True, f"{what}: {head}: {cut}"
    return False, f"{what}: no frame: {head}: no length and CRC of a request or response fit"


def _broken(stretch):
    """What is wrong with these bytes if they are as long as a frame, or end with a right CRC; "" otherwise."""
    head = f"unit {stretch[0]}, function {_control(stretch[1])}: "
    if crc16(stretch) == 0:
        return f"{head}the CRC is right, but {_fault(stretch[1:-2])}"
    if len(stretch) not in _lengths(stretch).values():
        return ""
    crc = crc16(stretch[:-2])
    wanted = bytes((crc & 255, crc >> 8)).hex(" ").upper()
    return f"{head}CRC is {stretch[-2:].hex(' ').upper()}, should be {wanted}"


def _cut(stretch):
    """What the bytes lack if they begin a frame; "" if they don't."""
    if len(stretch) < 4:
        return ""
    lacking = [
        f"{_count(length - len(stretch))} missing of a {role}"
        for role, length in _lengths(stretch).items()
        if length > len(stretch)
    ]
    return "cut off, " + ", ".join(lacking) if lacking else ""


def _lengths(stretch):
    return {role: rtu_length(role, stretch) for role in (RESPONSE, REQUEST)}


def _explain_tcp(data, start, end):
    """As _explain_rtu."""
    stretch = data[start:end]
    what = _bytes(data, start, end)
    if len(stretch) < 8:
        if stretch[2:4] in (b"", b"\0", b"\0\0"):
            return False, f"{what}: cut off, a frame has 8 bytes or more"
        return False, f"{what}: no frame: the protocol is {stretch[2:4].hex().upper()}, must be 0000"
    if stretch[2:4] != b"\0\0":
        return False, f"{what}: no frame: the protocol is {stretch[2:4].hex().upper()}, must be 0000"
    length = int.from_bytes(stretch[4:6], "big")
    if not 2 <= length <= 254:
        return False, f"{what}: no frame: the length is {length}, must be 2 to 254"
    head = f"unit {stretch[6]}, function {_control(stretch[7])}"
    if 6 + length > len(stretch):
        missing = _count(6 + length - len(stretch))
        return end == len(data), f"{what}: {head}: cut off, {missing} missing of {6 + length}"
    fault = _fault(stretch[7 : 6 + length])
    more = "" if 6 + length == len(stretch) else f"; {_count(len(stretch) - 6 - length)} behind it belong to no frame"
    return True, f"{what}: {head}: {fault}{more}"


def _fault(pdu):
    """Why a PDU is neither a request nor a response."""
    if pdu[0] & 0x7F not in FUNCTIONS:
        return "the function is not one of 01-06, 0F, 10"
    said = []
    for role, parse in ((REQUEST, parse_request), (RESPONSE, parse_response)):
        try:
            parse(pdu)
        except FrameError as error:
            if not (role == REQUEST and pdu[0] & 0x80):
                said.append(f"as a {role}: {error}")
    return "; ".join(said)


def _control(function):
    return f"0x{function:02X}"


# --- telling -------------------------------------------------------------------------------------------------------


def _told(frame, before, type, order):
    asked = before.pdu if before and before.role == REQUEST and match(before, frame) else None
    if frame.role == RESPONSE:
        items = _response_items(parse_response(frame.pdu), asked, type, order)
    else:
        items = _request_items(parse_request(frame.pdu), type, order)
    return {"address": str(frame.unit), "control": _control(frame.pdu[0]), "items": items, "role": frame.role}


def _item(code, name, value):
    return {"code": code, "name": name, "value": None if value is None else str(value), "unit": None}


def _response_items(message, asked, type, order):
    if message.exception is not None:
        name = EXCEPTIONS.get(message.exception, ("unknown exception",))[0]
        return [_item("exception", name, message.exception)]
    if message.data is None or message.address is not None:
        return _write_items(message, type, order)
    first = asked[1] << 8 | asked[2] if asked else None
    if message.function in (HOLDING, INPUT_REGISTERS):
        return _values(message.data, first, type, order)
    return _coils(message.data, asked[3] << 8 | asked[4] if asked else None, first)


def _request_items(message, type, order):
    if message.function <= INPUT_REGISTERS:
        return [_item("address", "start address", message.address), _item("count", "count", message.count)]
    return _write_items(message, type, order)


def _write_items(message, type, order):
    items = [_item("address", "start address", message.address)]
    if message.function in (WRITE_COILS, WRITE_REGISTERS):
        items.append(_item("count", "count", message.count))
    if message.data is None:
        return items
    if message.function == WRITE_COILS:
        return items + _coils(message.data, message.count, message.address)
    if message.function == WRITE_COIL:
        return [*items, _item("0", f"coil {message.address}", message.data[0] and 1)]
    return items + _values(message.data, message.address, type, order)


def _coils(data, count, first):
    return [_item(str(i), _name("coil", first, i), bit) for i, bit in enumerate(unpack_bits(data, count))]


def _values(data, first, type, order):
    """Values of `type`, one after the other; registers that are too few for another one as uint16."""
    kind = type or "uint16"
    width = min(WIDTH[kind], len(data) // 2) if kind == "bcd" else WIDTH[kind]
    items = []
    i = 0
    while i < len(data) // 2:
        if i + width > len(data) // 2:
            kind, width = "uint16", 1
        value = value_of(data[2 * i : 2 * (i + width)], kind, order)
        items.append(_item(str(i), _name("register", first, i), value))
        i += width
    return items


def _name(what, first, offset):
    """The address where the request before told it, else the place in the response."""
    return f"{what} +{offset}" if first is None else f"{what} {first + offset}"
