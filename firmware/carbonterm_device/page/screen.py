"""The machine's own screen (10.1): state and emissions within 320x240 pixels, which look again by themselves.

For a browser in kiosk mode, where nobody logs in: its address has a program's token. One alarm and one source are shown
at a time; each look shows the next ones.
"""

from microdot import Response

from carbonterm import clock
from carbonterm.clock import DAY, MONTH, YEAR
from carbonterm.errors import CarbonError
from carbonterm_device.monitor import IDLE, RUNNING
from carbonterm_device.page import html, machine
from carbonterm_device.page.html import both, escape
from carbonterm_device.page.machine import called

LOOK_S = 10
SPANS = (DAY, "今日", "day"), (MONTH, "本月", "month"), (YEAR, "今年", "year")
WELL = '<span class="good">%s</span>' % both("正常运行，无告警", "running, no alarm")


def routes(server, shown):
    async def screen(request):
        token = request.args.get("token") or ""
        try:
            known = server.door.program(token.encode())
        except CarbonError as error:
            return Response("%s\n" % error, 503, {"Content-Type": "text/plain"})
        if known is None:
            return Response("not known here\n", 401, {"Content-Type": "text/plain"})
        await shown.look()
        at = request.args.get("at") or ""
        at = int(at) % 1000000 if at.isdigit() else 0
        app = server.app
        title = app.site.name, clock.text(app.clock.now_ms(), app.site.zone)[11:19]
        return server.answer(title, None, _parts(server, shown, token, at))

    server.web.get("/screen")(screen)


def wrong(server, said, line=machine.fault):
    """HTML of each alarm: the faults by their codes, what an App's status() says, the page's own. line(row): HTML of
    a fault."""
    terminal = server.app.terminal
    found = [terminal.stopped or terminal.failed[0]] if terminal.stopped or terminal.failed else []
    faults = [line(row) for row in called(server.app, "faults") or ()]
    return faults + [escape(text) for text in found + said["alarms"] + ([server.alarm] if server.alarm else [])]


def latest(app):
    """{point's index: (moment ms, row of a reading)} of what came last from meters."""
    last = {}
    for task in app.by_bus:
        for key in task.said or ():
            time_ms, rows = task.said[key][:2]
            for row in rows:
                moment = time_ms + row[1]
                if row[0] not in last or moment >= last[row[0]][0]:
                    last[row[0]] = moment, row
    return last


def _short(row):
    return "<b>%s</b> %s: %s" % (escape(row["code"]), escape(row["where"]), escape(row["name"]))


def _parts(server, shown, token, at):
    app = server.app
    site, said = app.site, app.status()
    again = "".join(["%%%02x" % byte for byte in token.encode()])
    yield '<meta http-equiv="refresh" content="%d;url=/screen?token=%s&amp;at=%d">' % (LOOK_S, again, at + 1)
    alarms = wrong(server, said, _short)
    if alarms:
        yield html.box("<b>%s</b> %d/%d: %s" % (both("告警", "alarm"), at % len(alarms) + 1, len(alarms),
                                                alarms[at % len(alarms)]), True)  # fmt: skip
    else:
        yield html.box(WELL)
    tasks, last = called(app, "tasks") or [], latest(app)
    work = len([row for row in tasks if row["state"] in (RUNNING, IDLE)])
    good = len([1 for _, row in last.values() if not row[2]])
    yield "<p>%s %d/%d · %s %d/%d</p>" % (
        both("任务", "tasks"), work, len(tasks), both("数据点", "points"), good, len(site.points),
    )  # fmt: skip
    if site.sources:
        index = at % len(site.sources)
        cells, heads = [escape(site.sources[index].name)], [("tCO2e", "%d/%d" % (index + 1, len(site.sources)))]
        for period, chinese, english in SPANS:
            starts = shown.starts(period, 1)
            text, mark = shown.figure(index, period, starts[0]) if starts else (None, "")
            heads.append((chinese, english))
            cells.append(escape(text) + mark)
        yield from html.table(heads, [cells])
