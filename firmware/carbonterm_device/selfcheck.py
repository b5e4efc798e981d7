"""The self-check of T/CSMT draft clause 10.1 to 10.5: what a machine has, beside what the clause wants (自检).

What the system says is measured; what only a data sheet can say (supply, mounting, humidity) is declared, and the row
says so; what neither says is unknown, never a pass. A terminal is of one of two kinds, 10.1 a) or b).
"""

from carbonterm.errors import CarbonError, quoted
from carbonterm_device.health import HIGHEST_MC, LOWEST_MC

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
MEASURED, DECLARED = "measured", "declared"
# what a sheet declares: name, shape
SHEET = (
    ("kind", str), ("cpu_mhz", int), ("screen_mm", int), ("ethernet", int), ("usb", int), ("supply_v", tuple),
    ("temperature_c", tuple), ("humidity_pct", tuple), ("mounting", list), ("modules", list), ("vibration", str),
    ("source", str),
)  # fmt: skip
_MORE = (("serial", int),)  # what an image adds
SCREEN_MM = 89  # 3.5 inches
MOUNTINGS = "rack", "rail", "wall"


def check(sheet):
    """Raises CarbonError where a data sheet from outside has another shape: a tuple here is a list of two integers."""
    shapes = dict(SHEET + _MORE)
    for name in sheet if isinstance(sheet, dict) else ("",):
        value, shape = sheet[name] if name in shapes else None, shapes.get(name)
        if shape is tuple:
            good = isinstance(value, list) and len(value) == 2 and all([_whole_number(one) for one in value])
        elif shape is list:
            good = isinstance(value, list) and all([isinstance(one, str) for one in value])
        else:
            good = _whole_number(value) if shape is int else shape is str and isinstance(value, str)
        if not good:
            raise CarbonError("%s is no item of a data sheet" % quoted(str(name)), "docs/monitoring.md has them")


def _whole_number(value):
    return isinstance(value, int) and not isinstance(value, bool)


def rows(found, site, sheet):
    """[{"clause", "id", "what", "must", "result", "basis", "found"}] of what Health found, a Site or None (lines,
    page), and the data sheet of board.toml."""
    return [_row(one, _judged(one[3](found, site, sheet))) for one in CHECKS]


def _judged(told):
    """(result, basis, text) of (whether it is enough or None, basis, text)."""
    enough, basis, text = told
    return (UNKNOWN if enough is None else PASS if enough else FAIL), basis if enough is not None else None, text


def _row(one, judged):
    return {"clause": one[0], "id": one[1], "what": one[2], "must": one[4], "result": judged[0], "basis": judged[1],
            "found": judged[2]}  # fmt: skip


def _at_least(value, least, text, declared=None):
    """Measured where there is a value, else by the sheet's."""
    if value is not None:
        return value >= least, MEASURED, text % value
    if declared is not None:
        return declared >= least, DECLARED, text % declared
    return None, None, "not known"


def _memory(least):
    def look(found, site, sheet):
        total = (found.get("memory") or {}).get("total")
        return _at_least(None if total is None else total // 1000000, least * 1000, "%d MB")

    return look


def _storage(least):
    def look(found, site, sheet):
        sizes = [one for one in (found["disk"]["device"], found["disk"]["total"]) if one is not None]
        return _at_least(max(sizes) // 1000000 if sizes else None, least * 1000, "%d MB")

    return look


def _linux(found, site, sheet):
    system = found["os"]
    return system["type"] == "Linux", MEASURED, "%s %s" % (system["type"], system["release"])


def _cpu(found, site, sheet):
    speed = (found.get("cpu") or {}).get("max_hz")
    return _at_least(None if speed is None else speed // 1000000, 1000, "%d MHz", sheet.get("cpu_mhz"))


def _shows(found, site, sheet):
    if site is not None and getattr(site, "page", None):
        return True, MEASURED, "page at port %d" % site.page.port
    return False, MEASURED, "no page in the site document"


def _screen(found, site, sheet):
    size = found.get("screen_cm")
    if size is not None:
        square, millimetres = 100 * (size[0] * size[0] + size[1] * size[1]), 0
        while millimetres * millimetres < square:
            millimetres += 1
        return millimetres >= SCREEN_MM, MEASURED, "%d mm" % millimetres
    return _at_least(None, SCREEN_MM, "%d mm", sheet.get("screen_mm"))


def _containers(found, site, sheet):
    there = found.get("containers")
    if not there:
        return (None if there is None else False), MEASURED, "none"
    if there == ["kernel"]:
        return None, None, "the kernel can, no runtime is installed"
    return True, MEASURED, " ".join(there)


def _serial(found, site, sheet):
    names = found.get("serial") or []
    lines = sorted(set([row.address for row in site.buses if row.kind == "serial"])) if site is not None else []
    return _at_least(max(len(names), len(lines)) or None, 4, "%d lines", sheet.get("serial"))


def _ethernet(found, site, sheet):
    names = found.get("ethernet")
    return _at_least(len(names) if names else None, 2, "%d ports", sheet.get("ethernet"))


def _usb(found, site, sheet):
    return _at_least(found.get("usb"), 2, "%d ports", sheet.get("usb"))


def _range(name, low, high, unit):
    def look(found, site, sheet):
        span = sheet.get(name)
        if span is None:
            return None, None, "not known"
        return span[0] <= low and span[1] >= high, DECLARED, "%d to %d %s" % (span[0], span[1], unit)

    return look


def _temperature(found, site, sheet):
    now = found.get("temperature_mc")
    if now is not None and found.get("sensor_of") == "board" and not LOWEST_MC <= now <= HIGHEST_MC:
        return False, MEASURED, "%d C now" % (now // 1000)
    enough, basis, text = _range("temperature_c", -25, 55, "C")(found, site, sheet)
    return enough, basis, text + (", %d C now (%s)" % (now // 1000, found["sensor"]) if now is not None else "")


def _mounting(found, site, sheet):
    ways = sheet.get("mounting")
    if ways is None:
        return None, None, "not known"
    return not [one for one in MOUNTINGS if one not in ways], DECLARED, ", ".join(ways)


def _modules(found, site, sheet):
    parts = sheet.get("modules")
    return (None, None, "not known") if parts is None else (len(parts) > 1, DECLARED, ", ".join(parts))


def _whole(found, site, sheet):
    missing = [name for name, _ in SHEET if name not in sheet]
    if len(missing) == len(SHEET):
        return None, None, "no data sheet"
    return not missing, DECLARED, "lacks " + ", ".join(missing) if missing else sheet["source"]


# clause, id, what, how it is looked at, whether it has to be
CHECKS = (
    ("10", "T-10-1", "data sheet with all items · 硬件数据表", _whole, True),
    ("10.1a", "T-10.1a-1", "memory of 8 GB · 内存", _memory(8), True),
    ("10.1a", "T-10.1a-2", "Linux · 操作系统", _linux, True),
    ("10.1a", "T-10.1a-3", "storage of 256 GB · 存储", _storage(256), True),
    ("10.1a", "T-10.1a-4", "shows its state and emissions · 显示", _shows, True),
    ("10.1a", "T-10.1a-5", "screen of 3.5 inches · 显示屏", _screen, True),
    ("10.1b", "T-10.1b-1", "processor of 1 GHz · 主频", _cpu, True),
    ("10.1b", "T-10.1b-2", "memory of 1 GB · 内存", _memory(1), True),
    ("10.1b", "T-10.1b-3", "containers · 容器组件", _containers, True),
    ("10.1b", "T-10.1b-4", "storage of 4 GB · 存储", _storage(4), True),
    ("10.1b", "T-10.1b-5", "shows its state and emissions · 显示", _shows, True),
    ("10.1b", "T-10.1b-6", "screen, recommended · 显示屏（宜）", _screen, False),
    ("10.2.1", "T-10.2.1-1", "4 serial lines · 串口", _serial, True),
    ("10.2.1", "T-10.2.1-2", "2 Ethernet ports · 以太网接口", _ethernet, True),
    ("10.2.2", "T-10.2.2-1", "2 USB ports · USB接口", _usb, True),
    ("10.3", "T-10.3-1", "AC 220 V, 10 % more or less · 供电电源", _range("supply_v", 198, 242, "V"), True),
    ("10.4", "T-10.4-1", "modular · 模块化结构", _modules, True),
    ("10.4", "T-10.4-2", "rack, rail and wall · 安装方式", _mounting, True),
    ("10.5", "T-10.5-1", "-25 to 55 C · 工作温度", _temperature, True),
    ("10.5", "T-10.5-2", "20 to 93 % humidity · 相对湿度", _range("humidity_pct", 20, 93, "%"), True),
)
