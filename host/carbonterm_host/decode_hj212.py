"""Text of an HJ 212 line explained: every packet, what it says, and what is wrong with the text that is none.

`decode(text)` yields the objects that `carbonterm decode` prints (docs/decode.md), and "role" and "title" for people.
"""

from carbonterm.errors import FrameError, quoted
from carbonterm.field import hj212

_UNITS = {"RtdInterval": "s", "MinInterval": "min", "OverTime": "s"}
_MEANINGS = {"QnRtn": hj212.QN_RETURNS, "ExeRtn": hj212.EXE_RETURNS}


def decode(text):
    """Yields one dict per packet of `text`, in order, and one per line that is none.

    A line ends with CR LF, with LF as a file or terminal gives it, or with the four characters \\r\\n of a log.
    """
    data = text.replace("\\r\\n", "\r\n").replace("\r\n", "\n").encode("utf-8", "surrogateescape")
    offset, told = 0, 0
    for line in data.split(b"\n"):
        if line.strip():
            told += 1
            yield _line(line, offset)
        offset += len(line) + 1
    if not told:
        yield _invalid("no text to decode")


def _line(line, offset):
    first = None
    place = line.find(b"##")
    while place >= 0:
        try:
            packet = hj212.whole(line[place:].rstrip(b" \t\r") + b"\r\n")
        except FrameError as error:
            first = first or f"{_where(line, place, offset)}: {error}"
            place = line.find(b"##", place + 1)
            continue
        noise = f"{place} bytes before it belong to no packet" if line[:place].strip() else None
        return _told(packet, noise)
    return _invalid(first or f"{_where(line, 0, offset)}: no packet: none begins with ##")


def _where(line, place, offset):
    shown = quoted(line[place:].decode("utf-8", "replace"), 30)
    return f"{len(line) - place} bytes at offset {offset + place} ({shown})"


def _invalid(error):
    return {"valid": False, "error": error, "address": None, "control": None, "items": [], "role": None, "title": None}


def _told(packet, noise):
    items = []
    for name, what in (("QN", "request number"), ("ST", "system type"), ("Flag", None), ("PNUM", "packets in all"),
                       ("PNO", "number of this packet"), ("RF", "make-up data")):  # fmt: skip
        value = packet.field(name)
        if value is not None:
            items.append(_item(name, what or _flag(packet), value))
    for item in packet.items:
        for name, text in item:
            items.append(_field(name, text))
    title = f"MN {packet.mn} · CN {packet.cn} {hj212.COMMANDS.get(packet.cn, 'unknown command')}"
    return {"valid": True, "error": noise, "address": packet.mn, "control": packet.cn, "items": items,
            "role": None, "title": title}  # fmt: skip


def _flag(packet):
    said = [f"version {packet.version or 'unknown'}", "answer wanted" if packet.wants_ack else "no answer wanted"]
    return "flag: " + ", ".join(said)


def _item(code, name, value=None, unit=None):
    return {"code": code, "name": name, "value": value, "unit": unit}


def _field(name, text):
    """A field of the data area: a number as it stood, with what is known of it; any other text in the name."""
    code, _, kind = name.rpartition("-")
    if kind == "Flag" and code:
        _, english = hj212.FLAGS.get(text, ("", "unknown"))
        return _item(name, f"flag {text}: {english}")
    if kind in hj212.NUMERIC and code:
        what = hj212.FACTORS[code][1] if code in hj212.FACTORS else code
        value = hj212.number(text)
        return _item(name, f"{what}, {kind}", None if value is None else str(value), hj212.unit(code, kind) or None)
    plain = text.removeprefix("-")
    if text.isascii() and plain.replace(".", "", 1).isdigit() and plain[0] != "." and plain[-1] != ".":
        meaning = _MEANINGS.get(name, {}).get(int(text) if text.isdigit() else None)
        return _item(name, f"{name}: {meaning}" if meaning else name, text, _UNITS.get(name))
    return _item(name, f"{name} {quoted(text)}")
