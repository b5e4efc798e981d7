"""The machine and the application on the page: what carbonterm_device.monitor says, in words (10.6.1, 10.6.2)."""

from carbonterm import clock
from carbonterm_device.page.html import both, escape, section, table

_KEYS = (
    ("os", "操作系统", "operating system"), ("cpu", "处理器", "processor"), ("memory", "内存", "memory"),
    ("disk", "磁盘", "disk"),
    ("temperature_mc", "温度", "temperature"), ("humidity_mpct", "湿度", "humidity"), ("heap", "程序堆", "heap"),
    ("implementation", "解释器", "implementation"), ("firmware", "固件", "firmware"), ("board", "板型", "board"),
    ("uptime_s", "运行时间", "running for"), ("system_uptime_s", "系统运行时间", "system up for"),
    ("reset_cause", "重启原因", "cause of the last reset"), ("ethernet", "以太网", "Ethernet"),
    ("serial", "串口", "serial ports"),
    ("usb", "USB", ""), ("containers", "容器", "containers"), ("screen_cm", "屏幕", "screen, cm"),
)  # fmt: skip
_TASK = (
    ("task", "任务", "task"), ("kind", "种类", "kind"), ("state", "状态", "state"), ("since_ms", "自", "since"),
    ("success_ms", "最近成功", "last success"), ("starts", "启动次数", "starts"), ("error", "错误", "error"),
)  # fmt: skip
_ERROR = (
    ("code", "代码", "code"), ("name", "故障", "fault"), ("where", "位置", "where"), ("text", "说明", "text"),
    ("first_ms", "首次", "first"), ("last_ms", "最近", "last"), ("count", "次数", "count"), ("over_ms", "恢复", "over"),
    ("do", "处理", "what to do"),
)  # fmt: skip


def called(app, name):
    """What a function of the App's monitor says; None where there is none."""
    monitor = app.monitor
    return getattr(monitor, name)() if monitor is not None and hasattr(monitor, name) else None


def fault(row):
    """A row of `faults` in a line."""
    return "<b>%s</b> %s: %s — %s <small>%s</small>" % tuple(
        [escape(row.get(name)) for name in ("code", "where", "name", "text", "do")]
    )


def parts(app):
    """Generator of the page's HTML."""
    zone, said = app.site.zone, app.status()
    health = called(app, "health")
    if health is not None:
        yield section("硬件与操作系统", "hardware and operating system")
        yield "<ul>"
        yield "<li>%s: %s</li>" % (both("运行环境", "runtime"), escape(said["runtime"]))
        for key, chinese, english in _KEYS:
            text = _told(key, health.get(key))
            if text:
                yield "<li>%s: %s</li>" % (both(chinese, english), escape(text))
        yield "</ul>"
    for name, chinese, english, columns in (("tasks", "应用状态", "application", _TASK),
                                            ("errors", "错误日志", "error log", _ERROR)):  # fmt: skip
        rows = called(app, name)
        if rows is not None:
            yield section(chinese, english)
            yield from table([one[1:] for one in columns], [
                [_cell(row.get(key), key, zone) for key, _, _ in columns] for row in reversed(rows)
            ] if name == "errors" else [[_cell(row.get(key), key, zone) for key, _, _ in columns] for row in rows])
    yield section("最近事件", "what went wrong last, since the start")
    yield "<ul>%s</ul>" % "".join(["<li>%s</li>" % escape(text) for text in said["errors"][-20:]] or ["<li>–</li>"])


def _cell(value, key, zone):
    if key[-3:] == "_ms":
        return "" if value is None else clock.text(value, zone)[5:19].replace("T", " ")
    if key == "state":
        return '<span class="%s">%s</span>' % ("bad" if value in ("stopped", "failed") else "good", escape(value))
    return escape("" if value is None else value)


def _told(key, value):
    """A value of `health` in words; "" where it is not known."""
    if value is None or value == []:
        return ""
    if key == "cpu":
        load, clocked = value.get("load_permille"), value.get("max_hz")
        words = ["%s cores" % value.get("cores"), "%d MHz" % (clocked // 1000000) if clocked else "",
                 "%d.%d %% load" % (load // 10, load % 10) if load is not None else ""]  # fmt: skip
        return ", ".join([word for word in words if word])
    if key in ("memory", "disk", "heap"):
        return ", ".join(["%s %s" % (name, _size(value[name])) for name in sorted(value) if value[name] is not None])
    if key in ("temperature_mc", "humidity_mpct"):
        return "%s%d.%d %s" % ("-" if value < 0 else "", abs(value) // 1000, abs(value) % 1000 // 100,
                               "°C" if key[0] == "t" else "%")  # fmt: skip
    if key[-9:] == "_uptime_s" or key == "uptime_s":
        return "%d d %02d:%02d:%02d" % (value // 86400, value // 3600 % 24, value // 60 % 60, value % 60)
    if isinstance(value, dict):
        return ", ".join(["%s %s" % (name, value[name]) for name in sorted(value) if value[name] is not None])
    if isinstance(value, (list, tuple)):
        return ", ".join([str(one) for one in value])
    return str(value)


def _size(size):
    return "%d kB" % (size >> 10) if size < 10 << 20 else "%d MB" % (size >> 20)
