"""What the data identifiers of DL/T 645 mean: items, their layout, and values out of a reply's bytes and back.

Tables A.1 to A.5 of DL/T 645-2007 and annex A of DL/T 645-1997, as far as a terminal reads them. A layout is written as
the standard writes it, most significant first, two letters a byte; on the wire the last byte comes first:

    XXXX.XX   decimal digits (packed), the point where it stands; "s" before it: the top bit is the sign
    YYMMDDWW, hhmmss, YYMMDDhhmm, MMDDhhmm   date and weekday (0 is Sunday), time, moments
    N  digits of a number that is a name      A  ASCII text      H  a raw word, told as 0x…

A value is a Number, a text, or None: all bytes FF ("not supported"), a nibble that is no digit, a day that does not
exist. None is never 0. A block (FF in place of a tariff, a phase or a settlement day) gives the values of its items,
each under its own identifier, as many as the reply holds.
"""

from carbonterm.clock import month_days
from carbonterm.errors import FrameError
from carbonterm.number import Number, bcd

_MOMENT = "YYMMDDhhmm"

# second byte of 00 xx tt nn (energy) and 01 xx tt nn (maximum demand): name, Chinese, unit, signed
_QUANTITIES = {
    0x00: ("combined active", "组合有功", "kW", True), 0x01: ("forward active", "正向有功", "kW", False),
    0x02: ("reverse active", "反向有功", "kW", False), 0x03: ("combined reactive 1", "组合无功1", "kvar", True),
    0x04: ("combined reactive 2", "组合无功2", "kvar", True),
    0x05: ("reactive quadrant 1", "第一象限无功", "kvar", False),
    0x06: ("reactive quadrant 2", "第二象限无功", "kvar", False),
    0x07: ("reactive quadrant 3", "第三象限无功", "kvar", False),
    0x08: ("reactive quadrant 4", "第四象限无功", "kvar", False), 0x09: ("forward apparent", "正向视在", "kVA", False),
    0x0A: ("reverse apparent", "反向视在", "kVA", False), 0x15: ("phase A forward active", "A相正向有功", "kW", False),
    0x29: ("phase B forward active", "B相正向有功", "kW", False),
    0x3D: ("phase C forward active", "C相正向有功", "kW", False),
}  # fmt: skip

# third byte pp of 02 xx pp 00: name, Chinese, layout, unit, whether pp 00 (total) exists
_VARIABLES = {
    0x01: ("voltage", "电压", "XXX.X", "V", False), 0x02: ("current", "电流", "sXXX.XXX", "A", False),
    0x03: ("active power", "瞬时有功功率", "sXX.XXXX", "kW", True),
    0x04: ("reactive power", "瞬时无功功率", "sXX.XXXX", "kvar", True),
    0x05: ("apparent power", "瞬时视在功率", "sXX.XXXX", "kVA", True),
    0x06: ("power factor", "功率因数", "sX.XXX", None, True), 0x07: ("phase angle", "相角", "XXX.X", "°", False),
}  # fmt: skip
_VARIABLES_97 = {
    0x1: ("voltage", "电压", "XXXX", "V", False), 0x2: ("current", "电流", "XX.XX", "A", False),
    0x3: ("active power", "瞬时有功功率", "XX.XXXX", "kW", True),
    0x4: ("reactive power", "瞬时无功功率", "XX.XX", "kvar", True),
    0x5: ("power factor", "功率因数", "X.XXX", None, True),
}  # fmt: skip
_PHASES = (("total", "总"), ("phase A", "A相"), ("phase B", "B相"), ("phase C", "C相"))

# identifiers that stand for themselves: name, Chinese, layout, unit
_SINGLE = {
    "00900100": ("remaining energy", "剩余电量", "XXXXXX.XX", "kWh"),
    "00900200": ("remaining credit", "剩余金额", "XXXXXX.XX", "元"),
    "02800001": ("neutral current", "零线电流", "sXXX.XXX", "A"),
    "02800002": ("frequency", "电网频率", "XX.XX", "Hz"),
    "02800003": ("mean active power of a minute", "一分钟有功总平均功率", "sXX.XXXX", "kW"),
    "02800004": ("active demand now", "当前有功需量", "sXX.XXXX", "kW"),
    "02800005": ("reactive demand now", "当前无功需量", "sXX.XXXX", "kvar"),
    "02800006": ("apparent demand now", "当前视在需量", "sXX.XXXX", "kVA"),
    "02800007": ("temperature in the meter", "表内温度", "sXXX.X", "°C"),
    "02800008": ("clock battery voltage", "时钟电池电压", "XX.XX", "V"),
    "02800009": ("reading battery voltage", "停电抄表电池电压", "XX.XX", "V"),
    "03300D00": ("cover openings", "开表盖总次数", "XXXXXX", None),
    "04000101": ("date", "日期及星期", "YYMMDDWW", None),
    "04000102": ("time", "时间", "hhmmss", None),
    "04000401": ("address", "通信地址", "NNNNNNNNNNNN", None),
    "04000402": ("meter number", "表号", "NNNNNNNNNNNN", None),
    "04000409": ("active constant", "电表有功常数", "XXXXXX", "imp/kWh"),
    "0400040A": ("reactive constant", "电表无功常数", "XXXXXX", "imp/kvarh"),
    "0400040B": ("model", "电表型号", "AAAAAAAAAAAAAAAAAAAA", None),
    "C010": ("date", "日期及周次", "YYMMDDWW", None),
    "C011": ("time", "时间", "hhmmss", None),
    "C020": ("status of the meter", "电表运行状态字", "HH", None),
    "C021": ("status of the grid", "电网状态字", "HH", None),
    "C030": ("active constant", "电表有功常数", "XXXXXX", "imp/kWh"),
    "C031": ("reactive constant", "电表无功常数", "XXXXXX", "imp/kvarh"),
    "C032": ("meter number", "表号", "NNNNNNNNNNNN", None),
}

# the upper digit of the last byte of 1997's 90xx and 91xx: the quantity of 2007
_QUANTITIES_97 = {(0, 1): 1, (0, 2): 2, (1, 1): 3, (1, 2): 4, (1, 3): 5, (1, 4): 8, (1, 5): 6, (1, 6): 7}
_SINGLE_97 = {"C010": "04000101", "C011": "04000102", "C030": "04000409", "C031": "0400040A", "C032": "04000402",
              "D113": "04000503"}  # fmt: skip


class Value:
    """One value of a reply: code (its identifier; "/time" and "/weekday" beside it), name, chinese, value, unit."""

    __slots__ = ("code", "name", "chinese", "value", "unit")

    def __init__(self, code, name, chinese, value, unit):
        self.code = code
        self.name = name
        self.chinese = chinese
        self.value = value
        self.unit = unit


class Item:
    """An identifier's meaning: code, name, chinese, and its layouts [(suffix of the code, layout, unit)]."""

    __slots__ = ("code", "name", "chinese", "layouts")

    def __init__(self, code, name, chinese, layouts):
        self.code = code
        self.name = name
        self.chinese = chinese
        self.layouts = layouts

    @property
    def size(self):
        """Bytes of its payload."""
        return sum([size(layout) for _, layout, _ in self.layouts])


def lookup(identifier):
    """The Item of an identifier that is no block, None if it is not known."""
    row = _SINGLE.get(identifier)
    if row:
        return Item(identifier, row[0], row[1], [("", row[2], row[3])])
    parts = [int(identifier[i : i + 2], 16) for i in range(0, len(identifier), 2)]
    if 0xFF in parts or (len(parts) == 2 and parts[1] & 15 == 15):
        return None
    return (_item_97 if len(parts) == 2 else _item)(identifier, parts)


def _item(code, parts):
    kind, what, part, last = parts
    if kind in (0, 1) and what in _QUANTITIES and part < 0x40 and last < 0x0D:
        return _register(code, what, part, last, kind == 1)
    if kind == 2 and what in _VARIABLES and last == 0:
        return _phase(code, _VARIABLES[what], part)
    if kind == 4 and what == 0 and part == 5 and 1 <= last <= 7:
        return Item(code, "status word %d" % last, "电表运行状态字%d" % last, [("", "HHHH", None)])
    if kind == 5 and what == 6 and part == 0 and 1 <= last <= 62:
        return Item(code, "time of daily freeze %d ago" % last, "上%d次日冻结时间" % last, [("", _MOMENT, None)])
    return None


def _register(code, what, part, last, demand):
    name, chinese, unit, signed = _QUANTITIES[what]
    tariff, charge = ("total", "总") if part == 0 else ("tariff %d" % part, "费率%d" % part)
    when, before = ("", "(当前)") if last == 0 else (", settlement day %d ago" % last, "(上%d结算日)" % last)
    sign = "s" if signed else ""
    if demand:
        layouts = [("", sign + "XX.XXXX", unit), ("/time", _MOMENT, None)]
        chinese = before + chinese + charge + "最大需量"
        return Item(code, "%s maximum demand, %s%s" % (name, tariff, when), chinese, layouts)
    layouts = [("", sign + "XXXXXX.XX", unit + "h")]
    return Item(code, "%s energy, %s%s" % (name, tariff, when), before + chinese + charge + "电能", layouts)


def _phase(code, row, part):
    name, chinese, layout, unit, total = row
    if part > 3 or (part == 0 and not total):
        return None
    return Item(code, "%s, %s" % (name, _PHASES[part][0]), _PHASES[part][1] + chinese, [("", layout, unit)])


def _item_97(code, parts):
    first, last = parts
    group, what, part = first >> 4, last >> 4, last & 15
    if group in (9, 10, 11) and first & 3 < 2:
        months = (first & 15) >> 2
        quantity = _QUANTITIES_97.get((first & 1, what))
        if quantity is None or months > 2:
            return None
        name, chinese, unit, _ = _QUANTITIES[quantity]
        tariff, charge = ("total", "总") if part == 0 else ("tariff %d" % part, "费率%d" % part)
        when = ("", ", last month", ", month before last")[months]
        before = ("(当前)", "(上月)", "(上上月)")[months]
        of, zh, layout, unit = {
            9: ("energy", "电能", "XXXXXX.XX", unit + "h"), 10: ("maximum demand", "最大需量", "XX.XXXX", unit),
            11: ("time of maximum demand", "最大需量发生时间", "MMDDhhmm", None),
        }[group]  # fmt: skip
        chinese = before + chinese + charge + zh
        return Item(code, "%s %s, %s%s" % (name, of, tariff, when), chinese, [("", layout, unit)])
    if first == 0xB6 and what in _VARIABLES_97:
        row = _VARIABLES_97[what]
        return _phase(code, row, part) if row[4] else _phase(code, row, part) if part else None
    return None


def _block(identifier):
    """Items of a block in the order of the reply, None if the identifier is no block that is known."""
    count = len(identifier) // 2
    parts = [int(identifier[i : i + 2], 16) for i in range(0, len(identifier), 2)]
    if count == 2:
        if parts[1] & 15 != 15:
            return None
        first = 1 if parts[0] == 0xB6 and not _VARIABLES_97.get(parts[1] >> 4, (0, 0, 0, 0, 1))[4] else 0
        codes = ["%02X%02X" % (parts[0], parts[1] & 0xF0 | i) for i in range(first, 15)]
    elif parts[:3] in ([5, 6, 1], [5, 6, 2]):  # frozen registers: total and tariffs, told as those of the register
        item = _register(identifier, parts[2], 0, 0, False)
        names = [("total", "总")] + [("tariff %d" % i, "费率%d" % i) for i in range(1, 64)]
        quantity = _QUANTITIES[parts[2]]
        return [
            Item(identifier if not i else "%s/%d" % (identifier, i), "%s energy, %s, daily freeze %d ago" %
                 (quantity[0], name, parts[3]), "上%d次日冻结%s%s电能" % (parts[3], quantity[1], chinese), item.layouts)
            for i, (name, chinese) in enumerate(names)
        ]  # fmt: skip
    elif parts.count(0xFF) == 1 and parts[0] in (0, 1, 2) and parts[1] != 0xFF:
        at = 2 * parts.index(0xFF)
        first = 1 if parts[0] == 2 and not _VARIABLES.get(parts[1], (0, 0, 0, 0, 1))[4] else 0
        codes = [identifier[:at] + "%02X" % i + identifier[at + 2 :] for i in range(first, 64)]
    else:
        return None
    items = [lookup(code) for code in codes]
    return [item for item in items if item] or None


def items(identifier, payload_size=None):
    """Items that a reply to `identifier` holds, [] if it is not known.

    FrameError if a reply of payload_size bytes cannot hold them: another length, for a block a part of an item.
    """
    item = lookup(identifier)
    if item:
        if payload_size is not None and payload_size != item.size:
            raise FrameError("%s has %d bytes, not %d" % (identifier, item.size, payload_size))
        return [item]
    block = _block(identifier)
    if not block or payload_size is None:
        return block or []
    count, rest = divmod(payload_size, block[0].size)
    if rest or not 1 <= count <= len(block):
        raise FrameError(
            "the block %s has %d bytes, not 1 to %d times %d" % (identifier, payload_size, len(block), block[0].size)
        )
    return block[:count]


def values(identifier, payload):
    """List of Value in a reply's payload (data behind the identifier); [] for an identifier that is not known.

    FrameError if the payload's length is not the item's: nothing of such a reply is to be trusted.
    """
    found, at = [], 0
    for item in items(identifier, len(payload)):
        for suffix, layout, unit in item.layouts:
            data = payload[at : at + size(layout)]
            at += len(data)
            if layout == "YYMMDDWW":
                day, week = _date(data)
                found.append(Value(item.code, item.name, item.chinese, day, unit))
                found.append(Value(item.code + "/weekday", "weekday, 0 is Sunday", "星期，0为星期日", week, None))
            else:
                more, zh = (", time", "发生时间") if suffix else ("", "")
                found.append(Value(item.code + suffix, item.name + more, item.chinese + zh, read(layout, data), unit))
    return found


def to_2007(identifier):
    """The 2007 identifier of what a 1997 identifier means, blocks too; None where 2007 has nothing alike."""
    if identifier in _SINGLE_97:
        return _SINGLE_97[identifier]
    first, last = int(identifier[:2], 16), int(identifier[2:], 16)
    what, part = last >> 4, last & 15
    tariff = 0xFF if part == 15 else part
    quantity = _QUANTITIES_97.get((first & 1, what))
    if first >> 4 in (9, 10) and first & 15 in (0, 1, 4, 5, 8, 9) and quantity:
        return "%02X%02X%02X%02X" % ((first >> 4) - 9, quantity, tariff, (first & 15) >> 2)
    if first == 0xB6 and what in _VARIABLES_97 and part in (0, 1, 2, 3, 15):
        variable = (0, 1, 2, 3, 4, 6)[what]
        return "02%02X%02X00" % (variable, tariff) if part or _VARIABLES_97[what][4] else None
    return None


# --- layouts -------------------------------------------------------------------------------------------------------


def size(layout):
    """Bytes of a layout."""
    letters = len(layout) - (1 if layout[0] == "s" else 0) - (1 if "." in layout else 0)
    return letters // 2


def read(layout, data):
    """The value of a layout's bytes as they come on the wire (last byte first): Number, text or None."""
    if len(data) != size(layout):
        raise FrameError("%s takes %d bytes, not %d" % (layout, size(layout), len(data)))
    data = bytes(reversed(bytes(data)))
    if data == b"\xff" * len(data):
        return None
    kind = layout[0]
    if kind == "H":
        return "0x" + "".join(["%02X" % byte for byte in data])
    if kind == "A":
        data = data.strip(b"\x00 ")
        plain = [chr(byte) for byte in data if 32 <= byte < 127]
        return "".join(plain) if plain and len(plain) == len(data) else None
    negative = kind == "s" and data[0] & 0x80
    if negative:
        data = bytes((data[0] & 0x7F,)) + data[1:]
    number = bcd(data)
    if number is None:
        return None
    if kind == "N":
        return "".join(["%02X" % byte for byte in data])
    if kind in "YhM":
        return _time(layout, [(byte >> 4) * 10 + (byte & 15) for byte in data])
    places = len(layout) - 1 - layout.find(".") if "." in layout else 0
    return Number(-number if negative else number, -places)


def write(layout, value):
    """The bytes on the wire of a value as `read` gives it (a Number or a text it takes); None is FF.

    A date with its weekday is one text, "2019-07-06 06".
    FrameError where the layout has no room for it.
    """
    count = size(layout)
    if value is None:
        return b"\xff" * count
    kind = layout[0]
    if kind in "sX":
        places = len(layout) - 1 - layout.find(".") if "." in layout else 0
        number = Number(value) if not isinstance(value, Number) else value
        mantissa = number.at(-places)
        digits = str(abs(mantissa))
        fits = Number(mantissa, -places) == number and len(digits) <= 2 * count
        if not fits or (mantissa < 0 and kind != "s"):
            raise FrameError("%s does not fit %s" % (value, layout))
        data = _packed("0" * (2 * count - len(digits)) + digits)
        if kind == "s":
            if data[0] & 0x80:
                raise FrameError("%s does not fit %s beside its sign" % (value, layout))
            data = bytes((data[0] | (0x80 if mantissa < 0 else 0),)) + data[1:]
    elif kind == "A":
        data = value.encode()
        data = b"\x00" * (count - len(data)) + data
    elif kind == "H":
        data = _packed(value[2:])
    else:
        digits = "".join([c for c in value if c not in "-: "])
        data = _packed(digits[2:] if kind == "Y" else digits)
    if len(data) != count:
        raise FrameError("%s does not fit %s" % (value, layout))
    return bytes(reversed(data))


def _packed(digits):
    return bytes([int(digits[i : i + 2], 16) for i in range(0, len(digits), 2)])


def _date(data):
    """(date, weekday) of YYMMDDWW on the wire, None where there is none."""
    week = bcd(data[:1])
    day = read("YYMMDD", data[1:])
    return day, Number(week) if week is not None and week < 8 else None


def _time(layout, parts):
    year = 2000  # a leap year, for moments without one
    texts = {"Y": "", "M": "", "D": "", "h": "", "m": "", "s": ""}
    month = 1
    for at in range(len(parts)):
        letter, number = layout[2 * at], parts[at]
        if letter == "M":
            month = number
        if letter == "Y":
            year += number
        low, high = {"Y": (0, 99), "M": (1, 12), "D": (1, 31), "h": (0, 23), "m": (0, 59), "s": (0, 59)}[letter]
        if not low <= number <= high or (letter == "D" and number > month_days(year, month)):
            return None
        texts[letter] = "%04d" % year if letter == "Y" else "%02d" % number
    day = "-".join([texts[c] for c in "YMD" if texts[c]])
    clock = ":".join([texts[c] for c in "hms" if texts[c]])
    return day + " " + clock if day and clock else day or clock
