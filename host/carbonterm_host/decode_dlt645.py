"""Bytes of a DL/T 645 line explained: every frame, what it says, and what is wrong with the bytes that are none.

`decode(data, edition)` yields the objects that `carbonterm decode` prints (docs/decode.md), and for people "role",
"title" and "chinese" (names of items in Chinese).
"""

from carbonterm.errors import FrameError
from carbonterm.field import dlt645
from carbonterm.field.dlt645_items import lookup, read, values
from carbonterm_host.screen import say

_FE = 0xFE
_CHINESE = {
    "read data": "读数据", "read follow-up data": "读后续数据", "read again": "重读数据", "write data": "写数据",
    "set time": "校时", "write address": "写通信地址", "set baud rate": "更改通信速率", "change password": "修改密码",
    "clear demand": "最大需量清零", "read address": "读通信地址", "freeze": "冻结命令", "clear meter": "电表清零",
    "clear events": "事件清零",
}  # fmt: skip
_ERRORS = {
    "other error": "其他错误", "no such data": "无请求数据", "wrong password or not authorised": "密码错或未授权",
    "baud rate cannot be changed": "通信速率不能更改", "too many year zones": "年时区数超",
    "too many day slots": "日时段数超", "too many tariffs": "费率数超", "illegal data": "非法数据",
    "wrong password": "密码错",
}  # fmt: skip


def decode(data, edition):
    """Yields one dict per frame of `data` of `edition` (V2007, V1997), in order.

    FE before a frame is its leader. Other bytes without a frame are told in the `error` of the frame behind them if
    they are noise; if they look like a broken frame, or none follows, they are an object of their own, valid False.
    """
    start = position = 0
    while position < len(data):
        raw = _whole(data, position)
        if raw is None:
            position += 1
            continue
        noise = None
        stretch, begin = _without_leaders(data, start, position)
        if stretch:
            broken, error = _explain(stretch, begin, False)
            if broken:
                yield _invalid(error)
            else:
                noise = f"{_bytes(stretch, begin)} before it belong to no frame"
        yield _told(dlt645.Frame(raw), edition, noise, position)
        position = start = position + len(raw)
    stretch, begin = _without_leaders(data, start, len(data))
    if stretch or start == 0:
        yield _invalid(_explain(stretch, begin, True)[1] if stretch else "only FE: no frame behind the leaders")


def _whole(data, start):
    """The frame's bytes that begin at `start`, None if none does."""
    length = dlt645.frame_length(data, start)
    raw = data[start : start + length]
    good = length and len(raw) == length and raw[-1] == 0x16 and raw[-2] == dlt645.checksum(raw)
    return raw if good else None


def _without_leaders(data, start, end):
    while start < end and data[start] == _FE:
        start += 1
    while end > start and data[end - 1] == _FE and end < len(data):
        end -= 1
    return data[start:end], start


def _invalid(error):
    return {"valid": False, "error": error, "address": None, "control": None, "items": [], "role": None}


def _bytes(stretch, offset):
    shown = stretch[:8].hex(" ").upper() + (" …" if len(stretch) > 8 else "")
    return f"{_count(len(stretch))} at offset {offset} ({shown})"


def _count(number):
    return "1 byte" if number == 1 else f"{number} bytes"


def _explain(stretch, offset, last):
    """(whether the stretch looks like a frame that was broken, what to say about it)."""
    places = [i for i, byte in enumerate(stretch) if byte == 0x68]
    heads = [i for i in places if len(stretch) > i + 7 and stretch[i + 7] == 0x68]
    for place in heads:
        told = _broken(stretch[place:], last)
        if told:
            before = f"{_bytes(stretch[:place], offset)} belong to no frame; " if place else ""
            return True, f"{before}{_bytes(stretch[place:], offset + place)}: {told}"
    what = _bytes(stretch, offset)
    if not places:
        return False, f"{what}: no frame: no start byte 68"
    rest = stretch[places[0] :]
    if len(rest) < 8:
        return last, f"{what}: cut off, a frame has 12 bytes or more"
    return len(rest) >= 12, f"{what}: the second start byte is {rest[7]:02X}, should be 68"


def _broken(rest, last):
    """What is wrong with bytes that begin with 68 and six bytes later have another 68."""
    if len(rest) < 10:
        return "cut off, a frame has 12 bytes or more" if last else ""
    length = dlt645.frame_length(rest)
    if not length:
        return f"the length of data is {rest[9]}, at most {dlt645.LONGEST}"
    if len(rest) < length:
        return f"cut off, {_count(length - len(rest))} missing of {length}"
    wrong = []
    wanted = dlt645.checksum(rest[:length])
    if rest[length - 2] != wanted:
        wrong.append(f"checksum is {rest[length - 2]:02X}, should be {wanted:02X}")
    if rest[length - 1] != 0x16:
        wrong.append(f"the end byte is {rest[length - 1]:02X}, should be 16")
    return ", ".join(wrong)


# --- telling -------------------------------------------------------------------------------------------------------


def _told(frame, edition, noise, offset):
    wrong = dlt645.fault(frame.pdu, edition)
    if wrong:
        row = dlt645.FUNCTIONS.get(frame.function)
        way = f"; decode it as {row[0]}" if row and row[0] not in (None, edition) else ""
        said = f"{_bytes(frame.raw, offset)}: control {frame.control:02X}: the checksum is right, but {wrong}{way}"
        return _invalid(f"{noise}; {said}" if noise else said)
    chinese = {}
    items, problem = _items(frame, edition, chinese)
    name = dlt645.FUNCTIONS[frame.function][1]
    role = "response" if frame.from_meter else "request"
    refused = say(" refused", " 被拒绝") if frame.error is not None else ""
    more = say(", more frames follow", "，有后续帧") if frame.more else ""
    title = (
        f"{say(role, '响应' if frame.from_meter else '请求')} · {say('meter', '电表')} {frame.address} · "
        f"0x{frame.control:02X} {say(name, _CHINESE[name])}{refused}{more}"
    )
    return {
        "valid": True, "error": "; ".join(text for text in (noise, problem) if text) or None, "address": frame.address,
        "control": f"0x{frame.control:02X}", "items": items, "role": role, "title": title, "chinese": chinese,
    }  # fmt: skip


def _items(frame, edition, chinese):
    """(items, what could not be read or None); fills `chinese`."""

    def item(code, name, value=None, unit=None, zh=None):
        if zh:
            chinese[name] = zh
        return {"code": code, "name": name, "value": None if value is None else str(value), "unit": unit}

    data = frame.pdu[1:]
    if frame.error is not None:
        said = dlt645.errors(edition, frame.error)
        return [item("error", ", ".join(said) or "no error bit", frame.error,
                     zh="，".join(_ERRORS.get(text, text) for text in said))], None  # fmt: skip
    if frame.identifier:
        return _data_items(frame, item)
    if frame.function in (dlt645.READ_ADDRESS, 0x15, 0x0A) and data:
        return [item("address", "address", read("NNNNNNNNNNNN", data), zh="通信地址")], None
    if frame.function == dlt645.SET_TIME and data:
        day, clock = read("YYMMDD", data[3:]), read("hhmmss", data[:3])
        good = day and clock
        return [item("time", "time", f"{day} {clock}" if good else None, zh="时间")], None if good else "no such time"
    if frame.function == dlt645.FREEZE and data:
        names = (("minute", "分"), ("hour", "时"), ("day", "日"), ("month", "月"))
        parts = [None if byte == 0x99 else f"{byte:02X}" for byte in data]
        return [item(name, f"{name} of the freeze", part and int(part) if not part or part.isdecimal() else None,
                     zh=f"冻结时间（{zh}）") for (name, zh), part in zip(names, parts, strict=True)], None  # fmt: skip
    if frame.function in (0x17, 0x0C) and data:
        baud = dlt645.BAUDS[edition].get(data[0])
        problem = None if baud else f"baud byte {data[0]:02X} is none of {edition}"
        return [item("baud", "baud rate", baud, zh="通信速率")], problem
    # passwords, clearing: never built here, and what a capture holds of them is not repeated
    return ([item("data", f"{_count(len(data))} of data")] if data else []), None


def _data_items(frame, item):
    identifier, payload = frame.identifier, frame.payload
    known = lookup(identifier)
    name, chinese = (known.name, known.chinese) if known else ("identifier " + identifier, "数据标识 " + identifier)
    unit = known.layouts[0][2] if known else None
    found, problem = [], None
    if not frame.from_meter:
        found.append(item(identifier, name, None, unit, chinese))
        if payload:
            found.append(item("data", f"{_count(len(payload))} of data"))
    elif payload:
        try:
            part = frame.more or frame.seq is not None  # a part of an item: only the whole has values
            told = [] if part else values(identifier, payload)
        except FrameError as error:
            told, problem = [], str(error)
        for value in told:
            word = value.value if isinstance(value.value, str) and value.value.startswith("0x") else None
            number = int(word, 16) if word else value.value
            shown = f"{value.name} {word}" if word else value.name
            found.append(item(value.code, shown, number, value.unit, f"{value.chinese} {word or ''}".strip()))
        if not told:
            found.append(item(identifier, f"{name}, data {payload.hex(' ').upper()}", None, None, chinese))
    else:
        found.append(item(identifier, name, None, None, chinese))
    if frame.seq is not None:
        found.append(item("seq", "number of the follow-up frame", frame.seq, zh="帧序号"))
    return found, problem
