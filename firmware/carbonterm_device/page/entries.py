"""Data by hand on the page (6.2, 11.3 d): what is entered and missing, and taking a signed record.

A record is signed by its operator's key, which does not come to the terminal: `carbonterm enter … -o FILE` makes the
file that is given here.
"""

from carbonterm import clock
from carbonterm_device.page.html import both, box, button, escape, hidden, section, table
from carbonterm_device.page.server import Refused, to

OPERATOR = 1


def routes(server):
    async def show(_, session):
        return server.answer(("填报", "entries by hand"), session, _shown(server, session), "/manual")

    async def take(request, session):
        from carbonterm_device import byhand

        data = request.g.form.get("file")
        if not isinstance(data, bytes) or not 0 < len(data) <= 4096:
            raise Refused(400, "give a record's file · 请选择记录文件")
        try:
            text = data.decode().strip()
        except ValueError:
            text = ""
        if not text or [c for c in text if c not in "0123456789abcdefABCDEF"]:
            text = "".join(["%02x" % byte for byte in data])
        seq, record = byhand.take(server.app.terminal, text)
        server.audit(session.user.name, "gave entry %d, a record of %s" % (seq, record.operator))
        return to("/manual")

    server.route("/manual", show, OPERATOR)
    server.route("/manual", take, OPERATOR, "POST")


def _shown(server, session):
    if server.app.terminal.manuals is None:
        yield box(both("站点文档没有操作员", "the site document has no operators: nobody enters anything here"))
        return
    from carbonterm_device import byhand

    zone, points, amounts = server.app.site.zone, [], []
    for event in byhand.listed(server.app.terminal):
        if event["event"] == "manual":
            late = ", ".join([text[:7] for text in event.get("missing", ())])
            points.append((escape(event.get("point")), escape(event.get("unit")),
                           '<span class="bad">%s</span>' % escape(late) if late else ""))  # fmt: skip
        elif event["event"] == "amount":
            amounts.append([escape(_said(event, name, zone)) for name in _COLUMNS])
    yield section("填报数据点", "points")
    yield from table((("数据点", "point"), ("单位", "unit"), ("待填报月份", "months missing")), points)
    yield section("记录", "entries")
    yield from table([(name, "") for name in _COLUMNS], amounts)
    yield section("提交", "give a signed record")
    yield (
        '<form method="post" action="/manual" enctype="multipart/form-data">%s<label>%s</label>'
        '<input type="file" name="file" required>%s</form>'
        % (hidden(session), both("已签名的记录文件", "file of 'carbonterm enter … --site site.yaml -o FILE'"),
           button("提交", "give"))
    )  # fmt: skip


_COLUMNS = ("point", "value", "unit", "start", "end", "operator", "state", "evidence")


def _said(event, name, zone):
    value = event.get(name)
    if name in ("start", "end") and isinstance(value, int):
        return clock.text(value, zone)[:10]
    if isinstance(value, (list, tuple)):
        return ", ".join([str(one[0] if isinstance(one, (list, tuple)) else one) for one in value])
    return value


