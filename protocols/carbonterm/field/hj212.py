"""HJ 212-2017 and -2025 (environmental data): packets, their segments and readings, no I/O. Dialogues: hj212_roles.

Theory of operation
-------------------
A packet is ##, the segment's length (4 decimal digits), the segment (1 to 1024 bytes), its CRC (4 hex digits), CR LF. A
segment is fields name=value; of a head, then CP=&&…&&, the data area: items ; of fields , of name=value.

The CRC detects as much as 8 bits do (the text shifts its register by a byte before each step), so it is the last thing
to be believed: ## and the length, CR LF at the place that the length says, no control character inside, the markers
CP=&& and &&, every name and every number's syntax are checked, and a segment that breaks one of them is no packet.
What real stations do is taken: no QN, no Flag, no PW, any order of fields, ST of 1 to 4 digits, a long PW, CRC in small
letters. Widths of numbers are not checked (the text's CO2 ends at 999.999 mg/m³, a stack has 200 000).

Flag: bit 0 an acknowledgement is wanted, bit 1 PNUM and PNO are there, from bit 2 on the version (0 2005, 1 2017,
2 2025). 2025 marks data sent again with RF=1, and may encrypt the data area: SM4 ECB of its whole blocks, written
{0xE4,0x3E,…}, the rest of fewer than 16 bytes behind it in clear; CRC and (as in its annex A.2) length are those of the
segment in clear. A `Decoder` with the station's cipher reads both that length and the real one; one without refuses.

A control character ends a decoder's wait at once, so a packet cut off never swallows the next one.
"""

import binascii

from carbonterm.errors import FrameError, quoted
from carbonterm.field import stream
from carbonterm.field.modbus import CRC_HIGH, CRC_LOW
from carbonterm.number import Number

REALTIME, DAY, RUNTIME, MINUTE, HOUR = "2011", "2031", "2041", "2051", "2061"
REQUEST_ACK, RESULT, NOTIFY_ACK, DATA_ACK, HEARTBEAT = "9011", "9012", "9013", "9014", "9015"
VERSIONS = ("2005", "2017", "2025")
INTERACTION = "91"  # ST of an answer

COMMANDS = {
    "1000": "set time-outs and resends", "1011": "read time", "1012": "set time", "1013": "ask for a time check",
    "1061": "read real-time interval", "1062": "set real-time interval", "1063": "read minute interval",
    "1064": "set minute interval", "1072": "set password", "2011": "real-time data", "2012": "stop real-time data",
    "2021": "device state", "2022": "stop device state", "2031": "day data", "2041": "device run time",
    "2051": "minute data", "2061": "hour data", "2081": "start of the logger", "3011": "zero and span",
    "3012": "sample now", "3013": "clean", "3014": "compare sampling", "3015": "leave sample", "3016": "set sampling",
    "3017": "read sampling", "3018": "read sampling time", "3019": "read device id", "3020": "read site information",
    "3021": "set site information", "9011": "answer to a request", "9012": "result of a request",
    "9013": "notice acknowledged", "9014": "data acknowledged", "9015": "heartbeat",
}  # fmt: skip
QN_RETURNS = {1: "ready to execute", 2: "request refused", 3: "wrong PW", 4: "wrong MN", 5: "wrong ST", 6: "wrong Flag",
              7: "wrong QN", 8: "wrong CN", 9: "wrong CRC", 100: "unknown error"}  # fmt: skip
EXE_RETURNS = {1: "done", 2: "failed, reason unknown", 3: "failed, wrong command", 4: "failed, no communication",
               5: "failed, timed out", 6: "failed, system busy", 100: "no data"}  # fmt: skip

# letter: (Chinese, English)
FLAGS = {
    "N": ("正常", "normal"), "F": ("停运", "stopped"), "M": ("维护", "maintenance"), "S": ("手工", "entered by hand"),
    "D": ("故障", "fault"), "C": ("校准", "calibration"), "T": ("超限", "over range"), "B": ("通讯异常", "no link"),
}  # fmt: skip

# code: (Chinese, English, unit, unit of -Cou or None where it is kg) (table B.2)
FACTORS = {
    "a00000": ("废气流量", "flue gas flow", "m3/s", "m3"),
    "a01011": ("烟气流速", "flue gas velocity", "m/s", ""),
    "a01012": ("烟气温度", "flue gas temperature", "°C", ""),
    "a01013": ("烟气压力", "flue gas pressure", "kPa", ""),
    "a01014": ("烟气湿度", "flue gas humidity", "%", ""),
    "a01016": ("烟道截面积", "duct area", "m2", ""),
    "a01017": ("烟气动压", "dynamic pressure", "kPa", ""),
    "a19001": ("氧气含量", "O2", "%", ""),
    "a05001": ("二氧化碳", "CO2", "mg/m3", None),
    "a05002": ("甲烷", "CH4", "mg/m3", None),
    "a21001": ("氨", "NH3", "mg/m3", None),
    "a21002": ("氮氧化物", "NOx", "mg/m3", None),
    "a21005": ("一氧化碳", "CO", "mg/m3", None),
    "a21026": ("二氧化硫", "SO2", "mg/m3", None),
    "a34013": ("烟尘", "dust", "mg/m3", None),
}

NUMERIC = ("Rtd", "Min", "Avg", "Max", "Cou", "ZsRtd", "ZsMin", "ZsAvg", "ZsMax")  # kinds of field that are numbers
MAX_SEGMENT, MAX_DATA = 1024, 950  # bytes; MAX_DATA is the data area
_MAX_CIPHERED = MAX_SEGMENT + 4 * MAX_SEGMENT  # five characters for a byte
_HEAD = b"##"
SEALED = b"CP=&&{0x"  # how an encrypted data area begins
_DIGITS = "0123456789"


def crc(segment):
    """The text's CRC of bytes, an integer. Not CRC-16/MODBUS: see the top of this file.

    The register is shifted down by 8 before a byte comes in, so only its high half goes on; the eight steps that follow
    are those of Modbus, and so are their tables.
    """
    high, last = 0xFF, 0
    for byte in segment:
        last = high ^ byte
        high = CRC_HIGH[last]
    return high << 8 | CRC_LOW[last] if len(segment) else 0xFFFF


class Packet:
    """What a segment says: head, a list of (name, value), and items, a list of such lists; texts as they stood.

    qn st cn pw mn rf: texts or None; flag pnum pno: integers or None. raw: the packet's bytes, or None.
    """

    __slots__ = ("flag", "head", "items", "pno", "pnum", "raw")

    def __init__(self, head, items, raw=None):
        self.head = head
        self.items = items
        self.raw = raw
        self.flag = _integer(self.field("Flag"))
        self.pnum = _integer(self.field("PNUM"))
        self.pno = _integer(self.field("PNO"))

    def field(self, name):
        """Text of a field of the head, or None."""
        return _value(self.head, name)

    def get(self, name):
        """Text of the first field of this name in the data area, or None."""
        for item in self.items:
            value = _value(item, name)
            if value is not None:
                return value
        return None

    @property
    def qn(self):
        """Request number, 17 digits, or None."""
        return self.field("QN")

    @property
    def st(self):
        """System type, or None."""
        return self.field("ST")

    @property
    def cn(self):
        """Command number."""
        return self.field("CN")

    @property
    def mn(self):
        """Number of the monitoring device."""
        return self.field("MN")

    @property
    def pw(self):
        """Password, or None."""
        return self.field("PW")

    @property
    def wants_ack(self):
        """Whether the sender waits for an acknowledgement."""
        return bool(self.flag and self.flag & 1)

    @property
    def split(self):
        """Whether it is one of several packets."""
        return self.pnum is not None and self.pnum > 1

    @property
    def version(self):
        """ "2005", "2017", "2025", or None where Flag is not there or says another."""
        number = None if self.flag is None else self.flag >> 2
        return VERSIONS[number] if number is not None and number < len(VERSIONS) else None

    @property
    def again(self):
        """Whether it is make-up data (RF=1 of 2025)."""
        return self.field("RF") == "1"

    @property
    def key(self):
        """(MN, CN, DataTime, QN): packets of one key are the same packet, sent twice.

        Without a QN the data area's length and CRC stand for it.
        """
        qn = self.qn
        if qn is None:
            area = area_of(self.items).encode()
            qn = "%d-%04X-%s" % (len(area), crc(area), self.pno)
        return self.mn, self.cn, self.get("DataTime"), qn


class Reading:
    """One factor of one packet: code, kind (Rtd, Avg …), value (Number or None), flag (a letter of FLAGS or None)."""

    __slots__ = ("code", "flag", "kind", "value")

    def __init__(self, code, kind, value, flag):
        self.code = code
        self.kind = kind
        self.value = value
        self.flag = flag


def readings(packet):
    """List of Readings of a packet with data: every field CODE-KIND with KIND in NUMERIC.

    value None: the station sent nothing ("" or "-"). DataTime is the start of the window (2051, 2061, 2031, 2041) or
    the moment (2011). Whether a value with another flag than N counts is for the caller to say.
    """
    found = []
    for item in packet.items:
        for name, text in item:
            code, _, kind = name.rpartition("-")
            if kind in NUMERIC and code:
                found.append(Reading(code, kind, number(text), _value(item, code + "-Flag")))
    return found


def number(text):
    """Number of a value; None for an empty one or dashes; FrameError for what is no decimal."""
    body = text[1:] if text[:1] == "-" else text
    if not body.replace("-", ""):
        return None
    whole, point, fraction = body.partition(".")
    if not _digits(whole) or (point and not _digits(fraction)) or len(text) > 40:
        raise FrameError("%s is no number" % quoted(text), "numbers are like 12.5 or -3")
    return Number(text)


def unit(code, kind):
    """Unit of a factor's values of a kind, or None where the table does not know it."""
    if code not in FACTORS:
        return None
    _, _, plain, total = FACTORS[code]
    return plain if kind != "Cou" else "kg" if total is None else total or None


def flag(version="2017", ack=False, split=False):
    """Integer of Flag."""
    if version not in VERSIONS:
        raise FrameError("version %s" % quoted(str(version)), "it is 2005, 2017 or 2025")
    return VERSIONS.index(version) << 2 | (2 if split else 0) | (1 if ack else 0)


# --- segments ------------------------------------------------------------------------------------------------------


def area_of(items):
    """Text of a data area: lists of (name, value) joined with , and ;"""
    return ";".join([",".join(["%s=%s" % pair for pair in item]) for item in items])


def packet(head, items=(), cipher=None):
    """Bytes of a packet. head: list of (name, value) in their order; items: list of lists of (name, value).

    cipher: what encrypts the data area (2025): an object with encrypt(block) of 16 bytes, as gm.sm4.Cipher.
    FrameError where the result would not be read back as what was given, or is longer than the text allows.
    """
    area = area_of(items).encode()
    front = "".join(["%s=%s;" % pair for pair in head]).encode() + b"CP=&&"
    segment = front + area + b"&&"
    if len(area) > MAX_DATA or len(segment) > MAX_SEGMENT:
        raise FrameError("a data area of %d bytes, a segment of %d" % (len(area), len(segment)),
                         "at most %d and %d: split it" % (MAX_DATA, MAX_SEGMENT))  # fmt: skip
    back = parse(segment)
    if back.head != _texts(head) or back.items != [_texts(item) for item in items]:
        raise FrameError("a name or value holds one of ; , = & or a control character")
    sent = segment if cipher is None else front + _encrypted(area, cipher) + b"&&"
    return b"##%04d" % len(segment) + sent + b"%04X" % crc(segment) + b"\r\n"


def _texts(pairs):
    return [(name, str(value)) for name, value in pairs]


def parse(segment, raw=None):
    """Packet of a segment's bytes (in clear); FrameError says which field breaks which rule."""
    for byte in segment:
        if byte < 32 or byte == 127:
            raise FrameError("a control character %02XH in the segment" % byte)
    try:
        text = bytes(segment).decode()
    except ValueError:
        raise FrameError("the segment is not UTF-8") from None
    cut = text.find("CP=&&")
    if cut < 0 or (cut and text[cut - 1] != ";"):
        raise FrameError("no data area: CP=&& is missing", "a segment ends with CP=&&…&&")
    if len(text) < cut + 7 or not text.endswith("&&"):
        raise FrameError("the data area has no end: && is missing", "a segment ends with CP=&&…&&")
    head = []
    for part in text[:cut].split(";")[:-1]:
        head.append(_pair(part, "the head"))
        _check_head(head)
    area = text[cut + 5 : -2]
    if area[:3] == "{0x":
        raise FrameError("the data area is encrypted", "hand in the station's key")
    if "&" in area:
        raise FrameError("& inside the data area")
    items = []
    for part in area.split(";"):
        if part:
            item = [_pair(field, "the data area") for field in part.split(",") if field]
            _check_item(item)
            items.append(item)
    result = Packet(head, items, raw)
    if result.cn is None or result.mn is None:
        raise FrameError("the head has no %s" % ("CN" if result.cn is None else "MN"), "CN and MN must be there")
    return result


# field of the head: fewest and most digits
_HEAD_DIGITS = {"QN": (17, 17), "ST": (1, 4), "CN": (4, 4), "Flag": (1, 3), "PNUM": (1, 4), "PNO": (1, 4)}


def _check_head(head):
    name, value = head[-1]
    if _value(head[:-1], name) is not None:
        raise FrameError("%s stands twice in the head" % quoted(name))
    if name in _HEAD_DIGITS:
        least, most = _HEAD_DIGITS[name]
        if not _digits(value) or not least <= len(value) <= most:
            wanted = "%d" % least if least == most else "%d to %d" % (least, most)
            raise FrameError("%s is %s" % (name, quoted(value)), "it has %s digits" % wanted)
    if name == "RF" and value != "1":
        raise FrameError("RF is %s" % quoted(value), "make-up data has RF=1, other data has no RF")
    if name == "MN" and not 1 <= len(value) <= 64:
        raise FrameError("MN is %s" % quoted(value), "it has 1 to 64 characters")


def _check_item(item):
    for name, text in item:
        if name.rpartition("-")[2] in NUMERIC and "-" in name:
            try:
                number(text)
            except FrameError as error:
                raise FrameError("%s: %s" % (name, error.what), error.hint) from None
        elif name == "DataTime" and not (_digits(text) and len(text) in (14, 17)):
            raise FrameError("DataTime is %s" % quoted(text), "it is YYYYMMDDhhmmss, or that and milliseconds")


def _pair(part, place):
    name, equals, value = part.partition("=")
    if not equals or not name or "=" in value:
        raise FrameError("%s in %s is no name=value" % (quoted(part), place))
    for c in name:
        if not ("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c in "-_"):
            raise FrameError("%s in %s is no name" % (quoted(name), place), "names have letters, digits, - and _")
    return name, value


def _value(pairs, name):
    for key, value in pairs:
        if key == name:
            return value
    return None


def _integer(text):
    return None if text is None else int(text)


def _digits(text):
    return bool(text) and all(c in _DIGITS for c in text)


# --- encryption ----------------------------------------------------------------------------------------------------


def _encrypted(area, cipher):
    whole = len(area) // 16 * 16
    blocks = b"".join([cipher.encrypt(area[i : i + 16]) for i in range(0, whole, 16)])
    return b"{" + b",".join([b"0x%02X" % byte for byte in blocks]) + b"}" + area[whole:] if whole else area


def decrypted(segment, cipher):
    """Segment in clear of one that was sent encrypted; FrameError where the list of bytes is broken."""
    start, end = segment.find(b"CP=&&{"), segment.find(b"}")
    if start < 0 or end < start:
        raise FrameError("no encrypted data area {0x…}")
    words = bytes(segment[start + 6 : end]).split(b",")
    if len(words) % 16 or len(words) > MAX_SEGMENT:
        raise FrameError("an encrypted area of %d bytes" % len(words), "it has whole blocks of 16")
    try:
        if [word for word in words if len(word) != 4 or word[:2] != b"0x"]:
            raise ValueError
        blocks = binascii.unhexlify(b"".join([word[2:] for word in words]))
        if len(blocks) != len(words):  # MicroPython passes over blanks
            raise ValueError
    except ValueError:
        raise FrameError("an encrypted byte that is not like 0xE4")
    plain = b"".join([cipher.decrypt(blocks[i : i + 16]) for i in range(0, len(blocks), 16)])
    return bytes(segment[: start + 5]) + plain + bytes(segment[end + 1 :])


def _hex(digits):
    value = 0
    for byte in digits:
        place = b"0123456789ABCDEFabcdef".find(bytes((byte,)))
        if place < 0:
            return None
        value = value * 16 + (place if place < 16 else place - 6)
    return value


# --- packets -------------------------------------------------------------------------------------------------------


def length_at(data, start, ciphered=False):
    """(length, segment's length) of the packet that may begin at data[start]; length 0: none can begin there.

    A length beyond the end of data: bytes are missing. ciphered: take an encrypted area, whose end must be looked for.
    """
    held = len(data) - start
    if data[start] != 35 or (held > 1 and data[start + 1] != 35):
        return 0, 0
    size = 0
    for i in range(start + 2, min(start + 6, len(data))):
        if not 48 <= data[i] <= 57:
            return 0, 0
        size = size * 10 + data[i] - 48
    if held < 6:
        return 12, 0
    # an encrypted segment may give its length in clear: then only its end says where it ends
    end = data.find(b"\r\n", start + 6)
    opened = data.find(SEALED, start + 6, end if end >= 0 else len(data)) if ciphered else -1
    if opened >= 0 and opened - start <= MAX_SEGMENT:
        if end >= 0:
            return end + 2 - start, end - 4 - start - 6
        return (held + 1, 0) if held < _MAX_CIPHERED + 12 else (0, 0)
    if ciphered and end < 0 and MAX_SEGMENT < size <= _MAX_CIPHERED and held <= MAX_SEGMENT:
        return held + 1, 0  # its data area is not in sight yet
    if not 1 <= size <= MAX_SEGMENT:
        return 0, 0
    length = size + 12
    ending = start + 6 + size + 4
    for i in range(start + 6, min(ending, len(data))):
        if data[i] < 32:
            return 0, 0
    if (held > length - 2 and data[ending] != 13) or (held > length - 1 and data[ending + 1] != 10):
        return 0, 0
    return length, size


def whole(raw, cipher=None):
    """Packet of exactly these bytes (length_at told how many); FrameError says what is wrong."""
    if len(raw) < 13 or raw[-2:] != b"\r\n":
        raise FrameError("CR LF is missing at the end")
    if raw[:2] != _HEAD or not all(48 <= byte <= 57 for byte in raw[2:6]):
        raise FrameError("a packet begins with ## and 4 digits of length")
    segment = bytes(raw[6:-6])
    said = int(bytes(raw[2:6]).decode())
    sent = len(segment)
    if segment.find(SEALED) >= 0:
        if cipher is None:
            raise FrameError("the data area is encrypted", "hand in the station's key")
        segment = decrypted(segment, cipher)
    if said not in (sent, len(segment)) or not 1 <= len(segment) <= MAX_SEGMENT:
        raise FrameError("the length says %d, the segment has %d bytes" % (said, sent))
    given, wanted = _hex(raw[-6:-2]), crc(segment)
    if given != wanted:
        shown = "no hex" if given is None else "%04X" % given
        raise FrameError("CRC is %s, should be %04X" % (shown, wanted), "the segment was changed on its way")
    return parse(segment, bytes(raw))


class Decoder(stream.Decoder):
    """Packets out of a stream's bytes, the same for both roles. cipher: the station's key in use (2025), or None.

    refused: the last FrameError of a whole candidate, for the log.
    """

    START = b"#"

    def __init__(self, cipher=None):
        super().__init__()
        self._cipher = cipher
        self.refused = None

    def _length(self, held, start):
        return length_at(held, start, self._cipher is not None)[0]

    def _frame(self, raw):
        try:
            return whole(raw, self._cipher)
        except FrameError as error:
            self.errors += 1
            self.refused = error
            return None
