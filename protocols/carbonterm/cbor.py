"""Canonical bytes: the subset of deterministic CBOR (RFC 8949 section 4.2) that everything under a signature uses.

Integers from -2^64 to 2^64-1, byte strings, text, arrays, true, false, null; no maps, floats, tags, indefinite
lengths. One value has one encoding: the decoder refuses whatever it would not have written itself.
"""

from carbonterm.errors import CborError

MAX_DEPTH = 16

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY = range(5)
_PART = 128
_SIMPLE = {0xF4: False, 0xF5: True, 0xF6: None}


def encode(value):
    """Canonical bytes of int, bytes, str, list or tuple (to any depth up to 16), bool and None; else CborError."""
    parts = []
    parts.append(bytes(_encode((value,), bytearray(), parts, 0)))
    return b"".join(parts)


def decode(data):
    """The value of `data` (bytes-like), arrays as lists; CborError unless it is exactly one canonical item."""
    data = bytes(data)
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise CborError("%d bytes follow the item at byte %d" % (len(data) - end, end))
    return value


def _encode(values, out, parts, depth):
    """Appends all `values` to `out` and returns it; where it is long it goes to `parts` and another one is returned,
    because a bytearray that grows byte by byte is copied again and again."""
    for value in values:
        kind = type(value)
        if kind is int:
            if 0 <= value < 24:
                out.append(value)
            elif value > 0:
                _head(_UINT << 5, value, out)
            else:
                _head(_NEGATIVE << 5, -1 - value, out)
        elif kind is list or kind is tuple:
            if depth >= MAX_DEPTH:
                raise CborError("arrays are nested deeper than %d" % MAX_DEPTH)
            _head(_ARRAY << 5, len(value), out)
            out = _encode(value, out, parts, depth + 1)
        elif value is None:
            out.append(0xF6)
        elif value is True:
            out.append(0xF5)
        elif value is False:
            out.append(0xF4)
        elif kind is str:
            text = _utf8(value)
            _head(_TEXT << 5, len(text), out)
            out.extend(text)
        elif kind is bytes or kind is bytearray or kind is memoryview:
            _head(_BYTES << 5, len(value), out)
            out.extend(value)
        else:
            raise CborError("%s has no canonical encoding" % kind.__name__, "use int, bytes, str, list, bool or None")
    if len(out) >= _PART:
        parts.append(bytes(out))
        return bytearray()
    return out


def _utf8(text):
    try:
        data = text.encode()
    except UnicodeError:
        data = b"\xff"
    if not _is_utf8(data):
        raise CborError("a text holds a lone surrogate and has no UTF-8 bytes")
    return data


def _head(major, argument, out):
    if argument < 24:
        out.append(major | argument)
    elif argument < 0x100:
        out.append(major | 24)
        out.append(argument)
    elif argument < 0x10000:
        out.append(major | 25)
        out.append(argument >> 8)
        out.append(argument & 0xFF)
    elif argument >> 32 == 0:
        out.append(major | 26)
        out.extend(argument.to_bytes(4, "big"))
    elif argument >> 64 == 0:
        out.append(major | 27)
        out.extend(argument.to_bytes(8, "big"))
    else:
        raise CborError("integer %d is outside -2^64 to 2^64-1" % (argument if major == 0 else -1 - argument))


def _decode(data, at, depth):
    if at >= len(data):
        raise CborError("the data ends at byte %d, in the middle of an item" % at)
    argument = data[at]
    at += 1
    if argument < 24:
        return argument, at
    major, extra = argument >> 5, argument & 31
    if major > _ARRAY or extra > 27:
        if argument in _SIMPLE:
            return _SIMPLE[argument], at
        raise CborError("byte %02x at %d begins nothing of the canonical subset" % (argument, at - 1))
    argument = extra
    if extra >= 24:
        size = 1 << (extra - 24)
        _need(data, at, size)
        argument = int.from_bytes(data[at : at + size], "big")
        at += size
        if argument < 24 or (size > 1 and argument >> 4 * size == 0):
            raise CborError("the head before byte %d is longer than %d needs" % (at, argument))
    if major == _UINT:
        return argument, at
    if major == _NEGATIVE:
        return -1 - argument, at
    if argument > len(data) - at:  # an array's, too: its items have a byte each, so no memory for a lie
        _need(data, at, argument)
    if major == _ARRAY:
        if depth >= MAX_DEPTH:
            raise CborError("arrays are nested deeper than %d at byte %d" % (MAX_DEPTH, at))
        items = []
        for _ in range(argument):
            item, at = _decode(data, at, depth + 1)
            items.append(item)
        return items, at
    body = data[at : at + argument]
    if major == _TEXT:
        if not _is_utf8(body):
            raise CborError("the text at byte %d is not UTF-8" % at)
        body = body.decode()
    return body, at + argument


def _need(data, at, size):
    if size > len(data) - at:
        raise CborError("%d bytes are missing after byte %d" % (size - (len(data) - at), at))


def _is_utf8(data):
    """Strict UTF-8 (RFC 3629), the same answer on every runtime: MicroPython's own check lets surrogates through."""
    for byte in data:
        if byte >= 0x80:
            break
    else:
        return True
    at, end = 0, len(data)
    while at < end:
        byte = data[at]
        at += 1
        if byte < 0x80:
            continue
        if 0xC2 <= byte <= 0xDF:
            tail, low, high = 1, 0x80, 0xBF
        elif 0xE0 <= byte <= 0xEF:
            tail, low, high = 2, 0xA0 if byte == 0xE0 else 0x80, 0x9F if byte == 0xED else 0xBF
        elif 0xF0 <= byte <= 0xF4:
            tail, low, high = 3, 0x90 if byte == 0xF0 else 0x80, 0x8F if byte == 0xF4 else 0xBF
        else:
            return False
        if at + tail > end or not low <= data[at] <= high:
            return False
        for i in range(at + 1, at + tail):
            if not 0x80 <= data[i] <= 0xBF:
                return False
        at += tail
    return True
