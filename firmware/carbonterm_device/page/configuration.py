"""The configuration on the page: rows in forms, a draft per person, the difference, putting in force, going back.

What a person changes is checked at once and collected in a draft; nothing of it holds until he has seen the difference
and puts it in force. Then it is a new version: a `config` entry with his name before it (10.6.3, 11.3).
"""

from microdot import Response

from carbonterm import clock, site_changes
from carbonterm import site as sites
from carbonterm.errors import CarbonError, SiteError
from carbonterm_device.page import editing, fields, formulas, stick
from carbonterm_device.page.draft import SINGLE, Draft
from carbonterm_device.page.html import both, box, button, escape, hidden, section, table
from carbonterm_device.page.server import Refused, to
from carbonterm_device.page.versions import Versions

ADMINISTRATOR = 2
# part: (Chinese, English, fields of the list)
PARTS = (
    ("网络属性", "network", (
        ("buses", "总线", "buses", ("name", "kind", "address", "port")),
        ("centres", "数据中心", "centres", ("name", "host", "port")),
        ("page", "本网页", "this page", ("address", "port")),
    )),
    ("采集数据项", "data items", (
        ("meters", "仪表", "meters", ("name", "bus", "protocol", "unit", "model")),
        ("points", "数据点", "points", ("name", "meter", "interval_ms", "address", "unit")),
        ("series", "序列", "series", ("point", "settles", "unit")),
        ("manual", "人工填报", "entered by hand", ("name", "unit")),
        ("operators", "操作员", "operators", ("name",)), ("nodes", "监测节点", "nodes", ("name", "class_", "gap")),
    )),
    ("计算公式", "formulas", (
        ("sources", "排放源", "sources", ("name",)),
        ("virtual", "组合数据", "virtual points", ("name", "op", "parts", "unit")),
    )),
    ("全局", "the whole", (
        ("head", "站点", "site", ("name", "zone")),
        ("entity", "企业基本信息", "the enterprise", ("name", "code")),
        ("settings", "设置", "settings", ("closings", "commit_ms")), ("calendar", "日历", "calendar", ()),
    )),
)  # fmt: skip
_KNOWN = {part[0]: part for group in PARTS for part in group[2]}


def routes(server):
    stick.Stick(server, Pages(server).taken)


class Pages:
    def __init__(self, server):
        self._server = server
        self._app = server.app
        self._versions = Versions(server.app.storage)
        self._busy = False
        for path, handler, method in (
            ("/configuration", self._overview, "GET"), ("/configuration/<part>", self._list, "GET"),
            ("/configuration/<part>/<row>", self._form, "GET"), ("/configuration/<part>/<row>", self._save, "POST"),
            ("/draft", self._difference, "GET"), ("/draft", self._decide, "POST"), ("/history", self._history, "GET"),
            ("/history", self._back, "POST"), ("/upload", self._upload, "POST"), ("/site.bin", self._download, "GET"),
        ):  # fmt: skip
            server.route(path, handler, ADMINISTRATOR, method)

    def _draft(self, session):
        """The session's draft; a new one of what is in force where it has none, or none that was changed."""
        draft = session.draft
        if draft is None or (not draft.changed and draft.base != self._app.site.version):
            draft = session.draft = Draft(self._app.site)
        return draft

    def _answer(self, title, session, parts, status=200):
        return self._server.answer(title, session, parts, "/configuration", status)

    # --- rows -------------------------------------------------------------------------------------------------------

    async def _overview(self, _, session):
        return self._answer(("配置", "configuration"), session, self._parts(session, self._draft(session)))

    def _parts(self, session, draft):
        yield _pending(draft)
        for chinese, english, parts in PARTS:
            yield section(chinese, english)
            yield "<ul>"
            for part, zh, en, _ in parts:
                count = "" if part in SINGLE else " (%d)" % len(draft.parts[part])
                yield '<li><a href="/configuration/%s">%s</a>%s</li>' % (part, both(zh, en), count)
            yield "</ul>"
        yield section("整个文档", "the whole document")
        yield '<p><a href="/site.bin">%s</a></p>' % both("下载现行文档", "download the document in force")
        yield (
            '<form method="post" action="/upload" enctype="multipart/form-data">%s<label>%s</label>'
            '<input type="file" name="file" required>%s</form>'
            % (hidden(session), both("上传文档 (site.bin)", "upload a document, of 'carbonterm site check -o'"),
               button("上传", "upload"))
        )  # fmt: skip
        yield '<p><a href="/stick">%s</a></p>' % both("U 盘导入导出", "USB stick: import, export")

    async def _list(self, _, session, part):
        draft, known = self._draft(session), _known(part)
        if part in SINGLE:
            return to("/configuration/%s/0" % part)
        return self._answer(known[1:3], session, self._rows(draft, known))

    def _rows(self, draft, known):
        part, _, _, wanted = known
        yield _pending(draft)
        named = {one[0]: one[1:3] for one in fields.FIELDS.get(part, (("name", "名称", "name"),))}
        # row by row: the meters' answers do not wait for a table of a thousand
        yield from table([named[name] for name in wanted] + [("", "")], (
            _cells(draft, part, row, wanted) + [_acts(part, at)] for at, row in enumerate(draft.parts[part])
        ))  # fmt: skip
        if part != "sources":
            yield '<p><a href="/configuration/%s/new">%s</a></p>' % (part, both("新增", "add"))
        yield _BACK

    async def _form(self, request, session, part, row):
        draft, known = self._draft(session), _known(part)
        at = _index(draft, part, row)
        shown = draft.parts[part][at] if at is not None else editing.begin(part)
        like = request.args.get("like")
        if at is None and like is not None:
            shown = draft.parts[part][_index(draft, part, like)]
        kind = request.args.get("kind")  # of a new bus or meter: it decides what else is asked
        if kind and part in ("buses", "meters"):
            shown = dict(shown)
            shown["kind" if part == "buses" else "protocol"] = kind
        return self._answer(known[1:3], session, self._fields(session, draft, part, at, shown, {}, {}))

    def _fields(self, session, draft, part, at, row, words, wrong):
        """The form of a row: words are what was given before, wrong what was wrong with it."""
        yield _pending(draft)
        if wrong:
            what = both("有字段无效，未作任何修改", "a field is wrong; nothing was changed")
            yield box(escape(wrong[""]) if "" in wrong else what, True)
        where = "new" if at is None else at
        yield '<form method="post" action="/configuration/%s/%s">%s' % (part, where, hidden(session))
        view = formulas.view(row) if part == "sources" else row
        for one in editing.inputs(draft, part, row):
            said = editing.said_of(wrong, one[0], one[4])
            text = words[one[0]] if one[0] in words else fields.shown(view, one)
            yield _input(one, text, said)
        yield button("检查并加入草稿", "check and add to the draft", value="save")
        if at is not None and part not in SINGLE:
            yield button("删除", "remove", value="remove", plain=True)
        yield "</form>" + _BACK

    async def _save(self, request, session, part, row):
        draft, known, words = self._draft(session), _known(part), request.g.form
        at = _index(draft, part, row)
        before = draft.parts[part][at] if at is not None else editing.begin(part)
        if words.get("do") == "remove" and at is not None and part not in SINGLE:
            wrong = editing.remove(draft, part, at)
        else:
            wrong = editing.save(draft, part, at, words, before)
        if not wrong:
            return to("/configuration/" + part if part not in SINGLE else "/configuration")
        shown = dict(before)
        for name in ("kind", "protocol", "meter"):
            if words.get(name) and name in shown:
                shown[name] = words[name]
        self._server.audit(session.user.name, "refused a change of %s: %s" % (part, wrong[sorted(wrong)[0]]))
        parts = self._fields(session, draft, part, at, shown, words, wrong)
        return self._answer(known[1:3], session, parts, 422)

    # --- the draft --------------------------------------------------------------------------------------------------

    async def _difference(self, _, session):
        draft = self._draft(session)
        return self._answer(("草稿", "draft"), session, self._differences(session, draft))

    def _differences(self, session, draft):
        if not draft.changed:
            yield box(both("没有修改", "nothing is changed")) + _BACK
            return
        site = draft.site(self._app.site.version + 1)
        found = site_changes.changes(self._app.site, site)[1:]  # the first is the version
        yield "<ul>%s</ul>" % "".join(["<li>%s</li>" % escape(text) for text in found[:500]])
        if not found:
            yield box(both("内容与现行文档相同", "the content is that of the document in force"))
        yield (
            '<form method="post" action="/draft">%s<label>%s</label><input name="reason" maxlength="120">%s%s</form>'
            % (hidden(session), both("修改原因", "reason"), button("生效", "put in force", value="force"),
               button("放弃", "discard", value="discard", plain=True))
        )  # fmt: skip
        yield _BACK

    async def _decide(self, request, session):
        words, draft = request.g.form, session.draft
        if words.get("do") == "discard":
            session.draft = None
            return to("/configuration")
        if words.get("do") != "force" or draft is None or not draft.changed:
            raise Refused(409, "there is no draft any more · 草稿已不存在")
        if self._busy:
            raise Refused(409, "another document is being put in force · 另一份文档正在生效")
        if draft.base != self._app.site.version:
            raise Refused(409, "version %d came into force meanwhile: discard this draft · 版本已更新，请放弃草稿"
                          % self._app.site.version)  # fmt: skip
        from carbonterm_device import reconfigure

        self._busy = True
        try:
            self._keep("found")
            site = draft.site(max(draft.base, draft.least) + 1)
            why = words.get("reason", "").strip() or "changed on the page"
            await reconfigure.put_in_force(self._app, site.canonical(), session.user.name, why)
            session.draft = None
            self._keep(session.user.name)
        finally:
            self._busy = False
        return to("/history")

    # --- versions ---------------------------------------------------------------------------------------------------

    def _keep(self, who):
        try:
            self._versions.keep(self._app.site, who, self._app.clock.now_ms())
        except OSError as error:  # the log has it anyway
            self._app.err("F902", "page", "a version is not kept: %s" % error)

    async def _history(self, _, session):
        self._keep("found")
        return self._server.answer(("版本", "versions"), session, self._kept(session), "/history")

    def _kept(self, session):
        rows = []
        for name in reversed(self._versions.names()):
            try:
                time_ms, who, document = self._versions.read(name)
            except CarbonError as error:
                rows.append((escape(name), escape(error.what), "", ""))
                continue
            now = document == self._app.site.canonical()
            act = both("现行", "in force") if now else (
                '<form method="post" action="/history">%s<input type="hidden" name="name" value="%s">%s</form>'
                % (hidden(session), escape(name), button("回退", "go back to it", value="back", plain=True))
            )  # fmt: skip
            when = clock.text(time_ms, self._app.site.zone)[:19].replace("T", " ")
            rows.append((escape(int(name[5:15])), escape(when), escape(who), act))
        yield from table((("版本", "version"), ("时间", "time"), ("由", "by"), ("", "")), rows)
        words = both("回退是一个新版本，生效前显示差异", "going back is a new version; the difference is shown first")
        yield "<p>%s</p>" % words

    async def _back(self, request, session):
        name = request.g.form.get("name", "")
        session.draft = self.taken(self._versions.read(name)[2])
        return to("/draft")

    async def _upload(self, request, session):
        data = request.g.form.get("file")
        if not isinstance(data, bytes) or not data:
            raise Refused(400, "there is no file · 没有文件")
        session.draft = self.taken(data)
        return to("/draft")

    def taken(self, document):
        """A draft of a whole document."""
        site = sites.decode(document)
        if site.terminal_id != self._app.site.terminal_id:
            hint = "this terminal is " + self._app.site.terminal_id
            raise SiteError("this document is for %s" % site.terminal_id, hint)
        if site.page is None:
            raise SiteError("this document has no page", "a page does not take itself away: do that with --site")
        draft = Draft(site)
        draft.base, draft.least, draft.changed = self._app.site.version, site.version - 1, True
        draft.site(draft.base + 1)  # refuses what cannot be
        return draft

    async def _download(self, _, session):
        name = "%s-%d.bin" % (self._app.site.terminal_id, self._app.site.version)
        self._server.audit(session.user.name, "downloaded the site document")
        return Response(self._app.site.canonical(), 200, {
            "Content-Type": "application/octet-stream", "Content-Disposition": 'attachment; filename="%s"' % name,
        })  # fmt: skip


_BACK = '<p><a href="/configuration">%s</a></p>' % both("返回配置", "back to the configuration")


def _pending(draft):
    if not draft.changed:
        return ""
    words = both("草稿有未生效的修改：查看差异并生效", "the draft has changes that are not in force: see and decide")
    return box('<a href="/draft">%s</a>' % words)


def _acts(part, at):
    acts = '<a href="/configuration/%s/%d">%s</a>' % (part, at, both("修改", "edit"))
    if part == "sources":
        return acts
    return acts + ' · <a href="/configuration/%s/new?like=%d">%s</a>' % (part, at, both("复制", "copy"))


def _known(part):
    if part not in _KNOWN:
        raise Refused(404, "there is no such part")
    return _KNOWN[part]


def _index(draft, part, text):
    """The number of a row; None for "new"."""
    rows = draft.parts[part]
    if text == "new" and part not in SINGLE and part != "sources":
        return None
    if part in ("page", "entity") and text == "0" and not rows:
        return None
    if not (text.isdigit() and len(text) < 6 and int(text) < len(rows)):
        raise Refused(404, "there is no such row")
    return int(text)


def _cells(draft, part, row, names):
    if part == "sources":
        return [escape(row["name"])]
    told = {}
    for one in editing.inputs(draft, part, row):
        told.setdefault(one[4], one)
    return [escape(fields.shown(row, told[name]) or None) if name in told else escape(None) for name in names]


def _input(one, text, said):
    name, chinese, english, kind = one[:4]
    wrong = ' class="wrong"' if said else ""
    if kind.choices is not None:
        options = ""
        for value in kind.choices:
            chosen = " selected" if value == text else ""
            options += '<option%s value="%s">%s</option>' % (chosen, escape(value), escape(value or "–"))
        field = '<select name="%s"%s>%s</select>' % (name, wrong, options)
    elif kind.wide:
        field = '<textarea name="%s"%s>\n%s</textarea>' % (name, wrong, escape(text))
    else:
        field = '<input name="%s" value="%s"%s>' % (name, escape(text), wrong)
    told = '<div class="bad">%s</div>' % escape(said) if said else ""
    return "<label>%s</label>%s%s" % (both(chinese, english), field, told)
