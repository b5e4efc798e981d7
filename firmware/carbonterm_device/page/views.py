"""What the page shows: status, emissions, the machine; and the same as JSON for programs (10.1, 10.6.1, 10.6.2)."""

import asyncio
import json

from microdot import Response

from carbonterm import clock
from carbonterm.clock import DAY, MONTH, YEAR
from carbonterm.errors import CarbonError
from carbonterm.field.places import SENDERS
from carbonterm.ledger import room
from carbonterm.number import Number
from carbonterm_device.page import html, machine, screen
from carbonterm_device.page.emissions import Emissions
from carbonterm_device.page.html import escape, section, table
from carbonterm_device.page.machine import called

QUALITY = ("好 good", "估算 estimated", "可疑 suspect", "无效 invalid", "无应答 silent", "拒绝 refused")
CLOCK = ("未设定 unset", "守时 holdover", "时钟芯片 RTC", "网络 network", "卫星 GNSS")
SPANS = ((DAY, "日", "day", 7), (MONTH, "月", "month", 6), (YEAR, "年", "year", 3))
MOST = 2000  # points on the status page


def routes(server):
    shown = Emissions(server.app, server.port)

    async def status(request, session):
        return server.answer(("状态", "status"), session, _status(server, request.args.get("every")), "/")

    async def emissions(_, session):
        await shown.look()
        return server.answer(("排放", "emissions"), session, _emissions(server.app, shown), "/emissions")

    async def system(_, session):
        return server.answer(("系统", "system"), session, machine.parts(server.app), "/system")

    server.route("/", status)
    server.route("/emissions", emissions)
    server.route("/system", system)
    screen.routes(server, shown)

    async def api(request, name):
        return await _api(server, request, name)

    server.web.get("/api/<name>")(api)


def _status(server, every):
    app = server.app
    site, terminal, zone = app.site, app.terminal, app.site.zone
    said, now = app.status(), app.clock.now_ms()
    if every == "10":
        yield '<meta http-equiv="refresh" content="10">'
    yield "<p><b>%s</b> %s · %s · %s %d · %s</p>" % (
        escape(site.terminal_id), escape(site.name), escape(clock.text(now, zone)[:19].replace("T", " ")),
        html.both("文档版本", "document"), site.version,
        '<a href="/?every=10">%s</a>' % html.both("自动刷新", "refresh every 10 s"),
    )  # fmt: skip
    wrong = screen.wrong(server, said)
    if wrong:
        rows = ["<li>%s</li>" % text for text in wrong]
        yield html.box("<b>%s</b><ul>%s</ul>" % (html.both("告警", "alarms"), "".join(rows)), True)
    else:
        yield html.box(screen.WELL)
    yield section("数据点", "points now")
    yield from table(
        (("数据点", "point"), ("数值", "value"), ("单位", "unit"), ("质量", "quality"), ("时间", "time"),
         ("仪表", "meter")),
        _points(app, zone),
    )
    yield from _links(app, said)
    days = said["storage"]["autonomy_days"]
    yield section("存储与日志", "storage and log")
    yield "<ul>"
    for chinese, english, value in (
        ("可用", "autonomy", None if days is None else "%s d 天" % days),
        ("剩余空间", "free", "%d MB / %d MB" % (said["storage"]["free"] >> 20, said["storage"]["total"] >> 20)),
        ("状态", "state", room.STEPS[terminal.step][0]),
        ("记录数", "entries", "%d (epoch %d), sealed %d" % (said["entries"], said["epoch"], said["sealed"])),
        ("时钟", "clock", CLOCK[app.clock.state] + (" (simulated)" if app.clock.simulated else "")),
    ):  # fmt: skip
        yield "<li>%s: %s</li>" % (html.both(chinese, english), escape(value))
    yield "</ul>"


def _points(app, zone):
    """Rows of the points of meters: what came last."""
    last = screen.latest(app)
    for index, point in enumerate(app.site.points[:MOST]):
        value = quality = moment = None
        if index in last:
            moment, (_, _, quality, exponent, mantissa) = last[index]
            value = None if mantissa is None else str(Number(mantissa, exponent))
        good = ""
        if quality is not None:
            good = '<span class="%s">%s</span>' % ("bad" if quality else "good", QUALITY[quality])
        when = "" if moment is None else clock.text(moment, zone)[11:19]
        yield (escape(point.name), escape(value), escape(point.unit), good, when,
               escape(app.site.meters[point.meter].name))  # fmt: skip


def _links(app, said):
    yield section("总线与链路", "buses and links")
    rows = []
    for task, row in zip(app.by_bus, app.site.buses):
        one = task.status()
        where = "%s:%d" % (row.address, row.port)
        if row.kind in SENDERS:
            state = _state(one["connected"], one["reason"])
            count = "%d 条 messages, %d 拒绝 refused, %d 丢失 lost" % (one["messages"], one["refused"], one["lost"])
        else:
            why = [getattr(task.driver, "failure", "")] + ["%s 无应答 silent" % m["meter"] for m in one["silent"]]
            why = ", ".join([text for text in why if text])
            state = _state(not why, why)
            count = "%d 轮 rounds, %d 迟 late; %d 请求 requests, %d 超时 timeouts, %d 错误 errors" % (
                one["rounds"], one["late"], one["requests"], one["timeouts"], one["errors"])  # fmt: skip
        rows.append((escape(row.name), escape(row.kind), escape(where), state, count, _share(app.site, row)))
    heads = (("总线", "bus"), ("类型", "kind"), ("地址", "address"), ("状态", "state"), ("计数", "counts"),
             ("占用", "budget"))  # fmt: skip
    yield from table(heads, rows)
    if said["centres"]:
        yield section("数据中心", "centres")
        heads = ("中心", "centre"), ("状态", "state"), ("已送达", "delivered"), ("待送", "waiting")
        yield from table(heads, [
            (escape(one["name"]), _state(not one["error"], one["error"]), escape(one["cursor"]), escape(one["backlog"]))
            for one in said["centres"]
        ])  # fmt: skip


def _state(good, why):
    if good:
        return '<span class="good">正常 ok</span>'
    return '<span class="bad">%s</span>' % escape(why or "…")


def _share(site, row):
    """Percent of a serial line's time that its meters take."""
    if row.kind in SENDERS or row.kind in ("modbus-tcp", "analog"):
        return ""
    from carbonterm.field.plan import Budget

    try:
        tenths = Budget(site, site.buses.index(row), refuse=False).share // 1000
    except CarbonError:
        return ""
    return "%d.%d %%" % (tenths // 10, tenths % 10)


def _emissions(app, shown):
    zone = app.site.zone
    if not app.site.sources:
        yield html.box(html.both("没有排放源", "no emission sources in the site document"))
        return
    if not shown.ready:
        yield html.box(html.both("正在读取日志，请稍后刷新", "the log is being read: load again in a moment"))
    totals = {name: (scope, total) for name, scope, total in app.terminal.totals()[1]}
    yield section("累计", "since the first reading")
    yield from table(
        (("排放源", "source"), ("范围", "scope"), ("tCO2e", "")),
        [(escape(name), str(totals[name][0]), escape(totals[name][1])) for name in sorted(totals)],
    )
    for period, chinese, english, count in SPANS:
        starts = shown.starts(period, count)
        yield section("每" + chinese, "by " + english + ", tCO2e")
        heads = [("排放源", "source")] + [(_label(period, start, zone), "") for start in starts]
        yield from table(heads, [
            [escape(source.name)] + [_figure(shown, index, period, start) for start in starts]
            for index, source in enumerate(app.site.sources)
        ])  # fmt: skip
    yield "<p><small>%s</small></p>" % escape(
        "* 进行中，截至最近读数 so far; ~ 估算或可疑 estimated or suspect; – 未知 not known. "
        "已结算的数字以日志为准 closed figures are those of the log."
    )


def _figure(shown, index, period, start):
    text, mark = shown.figure(index, period, start)
    return "%s%s" % (escape(text), mark)


def _label(period, start, zone):
    return clock.text(start, zone)[: {DAY: 10, MONTH: 7, YEAR: 4}[period]]


async def _api(server, request, name):
    """JSON for programs with a token, or for who is logged in."""
    given = request.headers.get("Authorization", "")
    try:
        session = server.session_of(request, False)
        known = session is not None or (given[:7].lower() == "bearer " and server.door.program(given[7:].encode()))
    except CarbonError as error:
        return Response(json.dumps({"error": str(error)}), 503, {"Content-Type": "application/json"})
    if not known:
        await asyncio.sleep(0)
        return Response('{"error": "not known here"}', 401, {"Content-Type": "application/json"})
    found = server.app.status() if name == "status" else None
    if name in ("health", "tasks", "errors", "faults"):
        found = called(server.app, name)
    if found is None:
        return Response('{"error": "nothing here"}', 404, {"Content-Type": "application/json"})
    return Response(json.dumps(found), 200, {"Content-Type": "application/json"})
