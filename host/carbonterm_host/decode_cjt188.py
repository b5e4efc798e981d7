"""Bytes of a CJ/T 188 line explained: every frame, what it says, and what is wrong with the bytes that are none.

`decode(data)` yields the objects that `carbonterm decode` prints (docs/decode.md), and "role" and "title" for people.
"""

from carbonterm.errors import FrameError
from carbonterm.field import cjt188

_LEADER = 0xFE
_VALVE = {0x55: "valve: open", 0x99: "valve: close"}


def decode(data):
    """Yields one dict per frame of `data`, in order, and one per stretch that looks like a frame and is none.

    Leaders (FE) are no noise; other bytes before a frame are told in its `error`.
    """
    start = position = 0
    while position < len(data):
        length = cjt188.length_at(data, position)
        raw = data[position : position + length]
        found = cjt188.whole(raw) if length and len(raw) == length else None
        if found is None:
            position += 1
            continue
        broken, error = _explain(data, start, position)
        if broken:
            yield _invalid(error)
            error = None
        yield _told(found, error)
        position = start = position + length
    broken, error = _explain(data, start, len(data))
    if error:
        yield _invalid(error)


def _invalid(error):
    return {"valid": False, "error": error, "address": None, "control": None, "items": [], "role": None, "title": None}


def _bytes(data, start, end):
    shown = data[start : min(end, start + 8)].hex(" ").upper() + (" …" if end - start > 8 else "")
    return f"{end - start} byte{'s' * (end - start != 1)} at offset {start} ({shown})"


def _explain(data, start, end):
    """(whether data[start:end] holds a broken frame, what to say); (False, None) of nothing but leaders."""
    while start < end and data[start] == _LEADER:
        start += 1
    if start == end:
        return False, None
    best = None
    for place in range(start, end):
        length = cjt188.length_at(data, place)
        if not length or end - place < 2:
            continue
        what, missing = _bytes(data, place, end), place + length - end
        if missing > 0:
            best = best or (end == len(data), f"{what}: cut off, {missing} or more of {length} bytes missing")
            continue
        raw = data[place : place + length]
        total, given = sum(raw[:-2]) & 255, raw[-2]
        if given != total:
            return True, f"{what}: CS is {given:02X}, should be {total:02X}"
        return True, f"{what}: the last byte is {raw[-1]:02X}, should be 16"
    if best:
        return best
    return False, f"{_bytes(data, start, end)} belong to no frame: none begins with 68, a type and a known control"


def _item(code, name, value=None, unit=None):
    return {"code": code, "name": name, "value": None if value is None else str(value), "unit": unit}


def _told(found, error):
    items, note = _items(found)
    control = f"0x{found.control:02X}"
    function = cjt188.FUNCTIONS[found.function] + (" refused" if found.error else "")
    title = f"{found.role} · {found.address} · {cjt188.type_name(found.type)} · {control} {function}"
    told = "; ".join([text for text in (error, note) if text]) or None
    return {"valid": True, "error": told, "address": found.address, "control": control, "items": items,
            "role": found.role, "title": title}  # fmt: skip


def _items(found):
    """(items, what could not be read or None)."""
    if found.error:
        return [_item("status", f"status {found.data.hex(' ').upper()}")], None
    if found.role == cjt188.RESPONSE and found.function == cjt188.READ_DATA and found.di == cjt188.CURRENT:
        try:
            # what fits is a suggestion: the standard's way first
            return [_reading(item) for item in cjt188.readings(found, (cjt188.suggest(found) or [None])[0])], None
        except FrameError as problem:
            return [*_head(found), *_rest(found)], str(problem)
    return [*_head(found), *_rest(found)], None


def _head(found):
    if found.di is None:
        return []
    wire = found.data[:2].hex(" ").upper()
    return [_item("DI", f"identifier {found.di:04X} (on the wire {wire})"), _item("SER", "exchange", found.ser)]


def _rest(found):
    rest = found.data[3:] if found.di is not None else found.data
    if not rest:
        return []
    if found.di == 0xA017 and len(rest) == 1:
        return [_item("valve", _VALVE.get(rest[0], f"valve: {rest.hex().upper()}"))]
    if found.di == 0xA018 and len(rest) == 7:
        address = "".join(f"{byte:02X}" for byte in reversed(rest))
        return [_item("new_address", f"new address {address}", address if address.isdecimal() else None)]
    if found.di == cjt188.TIME and len(rest) == 7:
        return [_clock(rest)]
    return [_item("data", f"data {rest.hex(' ').upper()}")]


def _clock(raw):
    """Digits YYYYMMDDhhmmss, or None and the bytes in the name."""
    value = cjt188.clock(raw)
    if value is None:
        return _item("clock", f"clock, no time: {raw.hex(' ').upper()}")
    return _item("clock", f"clock {value}", "".join(c for c in value if c.isdigit()))


def _reading(item):
    if item.code == "clock":
        return _clock(item.raw)
    if item.code == "status":
        return _item("status", f"status {item.raw.hex(' ').upper()} (on the wire)", int.from_bytes(item.raw, "big"))
    return _item(item.code, cjt188.NAMES[item.code], item.value, item.unit)
