"""Data by hand on the page (6.2, 11.3 d): what is entered and missing, the form's way in, and taking a signed record.

A signed record is of an operator's key, which does not come to the terminal: `carbonterm enter … -o FILE` makes the
file that is given here. Who has no key by the site document uses the form (carbonterm_device.page.entering).
"""

from carbonterm_device.page import entering, evidence
from carbonterm_device.page.html import both, box, button, escape, hidden, section, table
from carbonterm_device.page.server import Refused, to

OPERATOR = 1
_STATES = {"entered": "已填报", "reviewed": "已复核", "rejected": "已驳回", "replaced": "已更正"}
_POINTS = ("数据点", "point"), ("单位", "unit"), ("累计", "total"), ("待填报月份", "months missing"), ("", "")
_AMOUNTS = (
    ("数据点", "point"), ("数值", "value"), ("日期", "days"), ("操作员", "operator"), ("依据", "basis"),
    ("状态", "state"), ("凭证", "evidence"), ("", ""),
)  # fmt: skip
_BASES = {"key": ("密钥签名", "key"), "page": ("网页登录", "page")}


def routes(server):
    form = entering.Form(server)

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

    for path, handler, method in (
        ("/manual", show, "GET"), ("/manual", take, "POST"), ("/manual/enter", form.show, "GET"),
        ("/manual/enter", form.take, "POST"), ("/manual/review", form.review, "POST"),
        ("/evidence/<name>", form.file, "GET"),
    ):  # fmt: skip
        server.route(path, handler, OPERATOR, method)


def _shown(server, session):
    if server.app.terminal.manuals is None:
        yield box(both("站点文档没有操作员", "the site document has no operators: nobody enters anything here"))
        return
    from carbonterm_device import byhand

    points, amounts, may = [], [], entering.may_enter(server.app, session.user)
    for event in byhand.listed(server.app.terminal):
        if event["event"] == "manual":
            late = '<span class="bad">%s</span>' % escape(", ".join([text[:7] for text in event["missing"]]))
            act = '<a href="/manual/enter?point=%s">%s</a>' % (_quoted(event["point"]), both("填报", "enter"))
            points.append([escape(event[name]) for name in ("point", "unit", "total")] + [late, act if may else ""])
        elif event["event"] == "amount":
            amounts.append(_row(server, session, event, may))
    yield section("填报数据点", "points")
    yield from table(_POINTS, points)
    yield section("记录", "entries")
    yield from table(_AMOUNTS, amounts)
    yield section("提交签名文件", "give a signed record")
    yield (
        '<form method="post" action="/manual" enctype="multipart/form-data">%s<label>%s</label>'
        '<input type="file" name="file" required>%s</form>'
        % (hidden(session), both("已签名的记录文件", "file of 'carbonterm enter … --site site.yaml -o FILE'"),
           button("提交", "give", value="give"))
    )  # fmt: skip


def _row(server, session, event, may):
    """The cells of an amount."""
    state, basis = event["state"], event["basis"]
    files = ['<a href="/evidence/%s">%s…</a>' % (name, digest[:8])
             for name, digest in evidence.listed(server.app.storage, event["id"])]  # fmt: skip
    acts = ""
    if may and basis == "page" and state in ("entered", "reviewed"):
        acts = '<a href="/manual/enter?replaces=%s">%s</a>' % (event["id"], both("更正", "correct"))
        if event["operator"] != session.user.name:
            acts += '<form method="post" action="/manual/review">%s<input type="hidden" name="of" value="%s">' % (
                hidden(session), event["id"])  # fmt: skip
            acts += '<input name="note" maxlength="200" placeholder="备注 note">'
            if state == "entered":
                acts += button("复核通过", "reviewed", value="reviewed", plain=True)
            acts += button("驳回", "reject", value="rejected", plain=True) + "</form>"
    days = event["from"] if event["from"] == event["to"] else "%s – %s" % (event["from"], event["to"])
    return (escape(event["point"]), escape("%s %s" % (event["value"], event["unit"])), days, escape(event["operator"]),
            both(*_BASES[basis]), both(_STATES[state], state), "<br>".join(files), acts)  # fmt: skip


def _quoted(text):
    """A text as part of an address."""
    return "".join(["%%%02x" % byte for byte in text.encode()])
