"""How each field of a site document stands in a form: its name in Chinese and English, and its kind.

A kind turns a value of the canonical document into the text of an input and back; what it refuses (CarbonError) is
shown beside the field. `of(part, row)` gives the fields of a row of
carbonterm_device.page.draft; what a field is may depend on the row's protocol.
"""

from carbonterm import clock, units
from carbonterm import site as sites
from carbonterm.errors import SiteError, quoted
from carbonterm.field.registers import TYPES
from carbonterm.number import Number
from carbonterm.series.combine import OPS
from carbonterm.site_certificate import day_of

MODBUS = sites.places.MODBUS


class Kind:
    """See above. wide: several lines of text."""

    __slots__ = ("choices", "read", "show", "wide")

    def __init__(self, show, read, choices=None, wide=False):
        self.show, self.read, self.choices, self.wide = show, read, choices, wide


def _shown(value):
    return "" if value is None else str(value)


def _text(text):
    return text.strip() or None


def _integer(text):
    text = text.strip()
    if not text:
        return None
    digits = text[1:] if text[0] == "-" else text
    if not digits or [c for c in digits if not "0" <= c <= "9"] or len(digits) > 19:
        raise SiteError("%s is no whole number" % quoted(text), "use digits only · 请填整数")
    return int(text)


def _number(text):
    text = text.strip()
    if not text:
        return None
    number = Number(text)
    return [number.mantissa, number.exponent]


def _decimal(value):
    return "" if value is None else str(Number(value[0], value[1]))


def _octets(text):
    text = "".join(text.split())
    if len(text) % 2 or [c for c in text if c not in "0123456789abcdefABCDEF"]:
        raise SiteError("%s is not hexadecimal" % quoted(text, 24), "two digits 0-9 a-f for each byte · 请填十六进制")
    return bytes([int(text[i : i + 2], 16) for i in range(0, len(text), 2)]) or None


def _hex(value):
    return "" if value is None else "".join(["%02x" % byte for byte in value])


def _unit(text):
    text = text.strip()
    units.parse(text)
    return text


def _zone(text):
    return clock.parse_zone(text.strip())


def _days(text):
    return sorted([day_of(word) for word in text.split()])


def _day_list(value):
    return "\n".join(["%04d-%02d-%02d" % clock.date(day) for day in value])


def choice(values):
    """A kind of one of `values`; None is the empty one."""
    known = {_shown(value): value for value in values}

    def read(text):
        if text not in known:
            raise SiteError("%s is none of them" % quoted(text), " ".join([_shown(value) for value in values]))
        return known[text]

    return Kind(_shown, read, [_shown(value) for value in values])


def _listed(known):
    def read(text):
        words = [line.strip() for line in text.split("\n") if line.strip()]
        for word in words:
            if known is not None and word not in known:
                raise SiteError("there is no %s" % quoted(word), "one name on each line · 每行一个名称")
        return words

    return Kind(lambda value: "\n".join(value), read, None, True)


def parts_of(names):
    """Points with their ratios, one a line: NAME × 1/1000."""

    def show(value):
        return "\n".join([one[0] + ("" if one[1] == one[2] else " × %s" % ratio(one)) for one in value])

    def read(text):
        found = []
        for line in [line.strip() for line in text.split("\n") if line.strip()]:
            sign = " × " if " × " in line else " * "
            name, _, factor = line.rpartition(sign) if sign in line and line not in names else (line, "", "1")
            above, _, below = factor.partition("/")
            above, below = _integer(above), _integer(below or "1")
            if name.strip() not in names or not above or not below or below < 0:
                raise SiteError("%s is no point with a ratio" % quoted(line), "NAME or NAME × 1/1000 · 数据点 × 比例")
            found.append([name.strip(), above, below])
        return found

    def ratio(one):
        return "%d/%d" % (one[1], one[2]) if one[2] != 1 else str(one[1])

    return Kind(show, read, None, True)


def _closings(text):
    names = ("minute", "hour", "day", "month", "year")
    words = text.replace(",", " ").split()
    if [word for word in words if word not in names]:
        raise SiteError("periods are " + " ".join(names), "separate them by blanks")
    return [names.index(word) + clock.MINUTE for word in words]


def _periods(value):
    return " ".join([("minute", "hour", "day", "month", "year")[period - clock.MINUTE] for period in value])


TEXT, INTEGER, NUMBER = Kind(_shown, _text), Kind(_shown, _integer), Kind(_decimal, _number)
OCTETS, UNIT = Kind(_hex, _octets, None, True), Kind(_shown, _unit)
BOOL = choice((False, True))
ZONE, DAYS = Kind(clock.zone_text, _zone), Kind(_day_list, _days, None, True)
CLOSINGS = Kind(_periods, _closings)
PARITY, STOP = choice((None,) + sites.PARITIES), choice((None, 1, 2))

_ORDERS = ("ABCD", "BADC", "CDAB", "DCBA")
_CERTIFICATE = (
    ("编号", "number", TEXT), ("机构", "authority", TEXT), ("检定日期", "date", TEXT), ("有效期至", "due", TEXT),
    ("结论", "result", TEXT), ("扩展不确定度", "expanded uncertainty", NUMBER), ("其单位", "its unit", TEXT),
    ("包含因子", "k", NUMBER), ("溯源标准", "standard", TEXT), ("证书文件的 SM3", "SM3 of the file", OCTETS),
)  # fmt: skip
_IDENTITY = (
    ("编号寄存器功能码", "serial number: function", INTEGER), ("寄存器地址", "register", INTEGER),
    ("寄存器数", "registers", INTEGER), ("类型", "type", TEXT), ("字节序", "order", choice((None,) + _ORDERS)),
)  # fmt: skip
_BROKER = (
    ("主题前缀", "prefix of topics", TEXT), ("登录文件", "file of the login", TEXT),
    ("证书文件", "file of the certificate", TEXT), ("私钥文件", "file of the key", TEXT),
    ("保活", "keep-alive, s", INTEGER),
)  # fmt: skip
_INBOUND = {
    "mqtt": (("客户端标识", "client id", TEXT), ("登录文件", "file of the login", TEXT),
             ("CA 证书 (DER)", "CA, DER", OCTETS), ("保活", "keep-alive, s", INTEGER),
             ("状态主题", "topic of the state", TEXT)),
    "https": (("证书文件", "file of the certificate", TEXT), ("私钥文件", "file of the key", TEXT)),
    "hj212": (("站点文件", "file of the stations", TEXT), ("版本", "version", choice(("2017", "2025")))),
}  # fmt: skip
_DIALECT = {
    "mqtt": (("QoS", "", INTEGER), ("时间指针", "pointer of the time", TEXT)),
    "cjt188": (("类型 (十进制)", "type T, decimal", INTEGER), ("标识序", "identifier order", TEXT),
               ("单位在前", "unit first", BOOL)),
    "analog": (("满码", "full", INTEGER), ("量程", "span, mA or V", NUMBER)),
    "https": OCTETS,
}  # fmt: skip
_REGISTRATION = (
    ("成立日期", "date", TEXT), ("登记机关", "authority", TEXT), ("法定代表人", "representative", TEXT),
    ("注册资本", "capital", TEXT), ("地址 *", "address *", TEXT),
)  # fmt: skip
_CONTACT = (("联系人 *", "name *", TEXT), ("电话 *", "phone *", TEXT), ("邮箱", "e-mail", TEXT))
_ANNUAL = (("年份", "year", INTEGER), ("tCO2e", "", NUMBER))
_RANGE = (("下限", "low", NUMBER), ("上限", "high", NUMBER))

# part: [(field, Chinese, English, kind or function of (draft, row))]
FIELDS = {
    "entity": (
        ("name", "单位名称 *", "name *", TEXT), ("code", "统一社会信用代码 *", "unified social credit code *", TEXT),
        ("equivalent", "无代码时视同法人的理由", "without a code: why it is like a legal person", TEXT),
        ("type", "类型", "key: 重点排放单位, general: 一般", choice((None, "key", "general"))),
        ("registration", "登记", "registration", _REGISTRATION), ("contact", "联系", "contact", _CONTACT),
        ("annual", "年排放量", "of a year", _ANNUAL),
    ),
    "head": (("name", "企业名称", "name of the site", TEXT), ("zone", "时区", "time zone", ZONE)),
    "buses": (
        ("name", "名称", "name", TEXT), ("kind", "类型", "kind", choice(sites.BUS_KINDS)),
        ("address", "主机、设备或文件夹", "host, device or folder", TEXT),
        ("port", "端口或波特率", "port, or baud", INTEGER),
        ("parity", "校验", "parity", choice(sites.PARITIES)), ("stop", "停止位", "stop bits", choice((1, 2))),
        ("timeout_ms", "超时", "timeout, ms", INTEGER), ("retries", "重试", "retries", INTEGER),
        ("gap_ms", "帧间隔", "silence between frames, ms", INTEGER),
        ("sync_hour", "校时时刻", "hour in which DL/T 645 meters are told the time", INTEGER),
        ("inbound", "接入", "entrance", lambda _, row: _INBOUND.get(row["kind"])),
    ),
    "meters": (
        ("name", "名称", "name", TEXT), ("bus", "总线", "bus", lambda draft, _: choice(draft.names("buses"))),
        ("protocol", "协议", "protocol",
         choice(sites.places.PROTOCOLS + sites.places.CHANNELS + sites.places.SENDERS)),
        ("unit", "地址", "unit number, address, topic or source",
         lambda _, row: INTEGER if row["protocol"] == MODBUS else TEXT),
        ("model", "型号", "model", TEXT), ("most", "每帧最多寄存器", "registers in a reply, at most", INTEGER),
        ("dialect", "方言", "dialect", lambda _, row: _DIALECT.get(row["protocol"])),
        ("baud", "波特率 (若不同)", "baud, where not the line's", INTEGER), ("parity", "校验", "parity", PARITY),
        ("stop", "停止位", "stop bits", STOP), ("gap", "可多读寄存器", "registers read between", INTEGER),
        ("silence_ms", "应答后静默", "rest after an answer, ms", INTEGER),
        ("timeout_ms", "超时", "timeout, ms", INTEGER),
        ("retries", "重试", "retries", INTEGER), ("ct", "CT", "", TEXT), ("pt", "PT", "", TEXT),
        ("identifier", "工业互联网标识", "identifier, like 88.118.12345678/M-0001", TEXT),
        ("serial", "出厂编号", "serial number", TEXT), ("asset", "资产编号", "asset id", TEXT),
        ("place", "安装位置", "place", TEXT), ("identity", "编号寄存器", "identity", _IDENTITY),
        ("certificate", "检定证书", "certificate", _CERTIFICATE),
    ),
    "points": (
        ("name", "名称", "name", TEXT), ("meter", "仪表", "meter", lambda draft, _: choice(draft.names("meters"))),
        ("interval_ms", "采集间隔", "read every, ms", INTEGER), ("quantity", "物理量", "quantity", TEXT),
        ("unit", "单位", "unit", UNIT), ("function", "功能码", "function (Modbus 1-4, else 0)", INTEGER),
        ("address", "寄存器、数据标识或键", "register, identifier or key", lambda draft, row: _place(draft, row)),
        ("type", "类型", "type: " + " ".join(sorted(TYPES)), TEXT), ("order", "字节序", "order", choice(_ORDERS)),
        ("scale", "倍率", "scale: value = register × scale", NUMBER),
        ("kind", "种类", "kind", choice((sites.REGISTER, sites.INSTANT))),
        ("modulus", "满量程", "modulus: where it begins again at 0", NUMBER),
        ("limit", "每小时最大增量", "largest increase per hour", NUMBER), ("minimum", "下限", "minimum", NUMBER),
        ("maximum", "上限", "maximum", NUMBER),
    ),
    "virtual": (
        ("name", "名称", "name", TEXT), ("op", "运算", "sum, product or quotient", choice(OPS)),
        ("parts", "组成", "parts: NAME × ratio, one a line", lambda draft, _: parts_of(draft.names("all"))),
        ("unit", "单位", "unit", UNIT), ("quantity", "物理量", "quantity", TEXT),
        ("note", "系数来源", "source of a factor", TEXT),
    ),
    "series": (
        ("point", "数据点", "point", lambda draft, _: choice(draft.names("points"))),
        ("settles", "结算", "0 amount, 1 mean, none: a register", choice((None, 0, 1))),
        ("rule", "读数之间", "0 line, 3 step", choice((None, 0, 3))),
        ("per_ms", "速率的时间", "time that a rate is per, ms", choice((None, 1000, 60000, 3600000, 86400000))),
        ("unit", "结算单位", "unit of what is settled", TEXT),
        ("fill", "补缺", "gaps: 0 linear, 1 nearest", choice((None, 0, 1))),
        ("history", "月度对比", "at most twice the largest month", BOOL),
    ),
    "centres": (
        ("name", "名称", "name", TEXT), ("host", "主机", "host", TEXT), ("port", "端口", "port", INTEGER),
        ("ca", "CA 证书 (DER)", "CA's certificate, DER", OCTETS), ("public", "公钥", "public key", OCTETS),
        ("mqtt", "经 MQTT", "over a broker", _BROKER),
    ),
    "manual": (
        ("name", "名称", "name", TEXT), ("quantity", "物理量", "quantity", TEXT), ("unit", "单位", "unit", UNIT),
        ("minimum", "下限", "minimum", NUMBER), ("maximum", "上限", "maximum", NUMBER),
        ("mean", "是数值而非累计量", "a value that holds, no amount", BOOL),
    ),
    "operators": (("name", "姓名", "name", TEXT), ("public", "公钥", "public key", OCTETS)),
    "nodes": (
        ("name", "名称", "name", TEXT), ("class_", "类别", "class", choice(sites.NODES)),
        ("meters", "仪表", "meters, one a line", lambda draft, _: _listed(draft.names("meters"))),
        ("gap", "未装原因", "why there is none", TEXT),
    ),
    "settings": (
        ("closings", "结算周期", "periods that are settled", CLOSINGS),
        ("commit_ms", "最长等待写入", "longest wait for a commit, ms", INTEGER),
        ("commit_bytes", "写入字节数", "bytes that are committed at once", INTEGER),
        ("keep_days", "保留天数", "days kept, 0: all", INTEGER), ("keep_mb", "保留容量", "MiB kept, 0: all", INTEGER),
        ("stop", "停止签名条件", "whose word ends signing", choice(sites.STOPS)),
    ),
    "page": (
        ("address", "监听地址", "listens on", TEXT), ("port", "端口", "port", INTEGER),
        ("certificate", "证书文件", "file of the certificate", TEXT), ("key", "私钥文件", "file of the key", TEXT),
        ("users", "用户文件", "file of the users", TEXT),
    ),
    "calendar": (("holidays", "节假日", "holidays", DAYS), ("worked", "调休上班", "days worked instead", DAYS)),
}  # fmt: skip


def _place(draft, row):
    """What the address of a point is."""
    protocol = MODBUS
    for meter in draft.parts["meters"]:
        if meter["name"] == row["meter"]:
            protocol = meter["protocol"]
    if protocol == "analog":
        return _RANGE
    return INTEGER if protocol in (MODBUS, "pulse") else Kind(_shown, str.strip)


def of(part, draft, row):
    """[(name, Chinese, English, Kind, field, place)] of a row's inputs: a field that has parts has an input for each;
    place: of the part, None where the field is one."""
    found = []
    for field, chinese, english, kind in FIELDS[part]:
        if callable(kind):
            kind = kind(draft, row)
        if kind is None:
            continue
        if isinstance(kind, Kind):
            found.append((field, chinese, english, kind, field, None))
        else:
            for place, (zh, en, one) in enumerate(kind):
                found.append(("%s.%d" % (field, place), chinese + ": " + zh, en, one, field, place))
    return found


def shown(row, one):
    """The text of an input for a row."""
    _, _, _, kind, field, place = one
    value = row.get(field)
    if place is not None:
        value = value[place] if isinstance(value, (list, tuple)) and place < len(value) else None
    try:
        return kind.show(value)
    except (TypeError, ValueError, IndexError):  # of another protocol than the row's
        return ""
