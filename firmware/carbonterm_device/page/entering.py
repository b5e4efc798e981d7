"""The form for data by hand (6.2, 11.3 d): an amount with its days, unit and evidence, corrections, reviews.

What is given here is a record of the user who is logged in, without a signature: docs/decisions/0004.
"""

from carbonterm import clock, units
from carbonterm.errors import CarbonError, SeriesError
from carbonterm.ledger import manual as records
from carbonterm.number import Number
from carbonterm.series.manual import DAY_MS, check_period, hex_of
from carbonterm_device.page import evidence
from carbonterm_device.page.fields import DAYS
from carbonterm_device.page.html import both, box, button, escape, hidden
from carbonterm_device.page.server import Refused, to

NEEDED = ("point", "first", "last", "value")
_EMPTY = "required · 必填"
_TEXTS = (
    ("first", "起始日期", "first day", ' type="date" required'),
    ("last", "截止日期", "last day", ' type="date" required'),
    ("value", "数值", "value", ' inputmode="decimal" required'),
    ("unit", "单位", "unit: empty, the point's own", ""),
    ("note", "备注", "a word about it", ' maxlength="200"'),
)  # fmt: skip


def may_enter(app, user):
    """Whether the site document lets a user of the page enter data there."""
    return [1 for row in app.site.operators if row.name == user.name and row.public is None] != []


class Form:
    """The pages of one server."""

    def __init__(self, server):
        self._server = server
        self._app = server.app

    async def show(self, request, session):
        """GET: for a point (?point=), or the correction of an entry (?replaces=)."""
        words, manuals = {}, self._of(session)
        point, of = request.args.get("point", ""), request.args.get("replaces", "")
        if of:
            row, amount = _named(manuals, of)
            days = _days(amount, self._app.site.zone)
            words = {"point": row.name, "first": days[0], "last": days[1], "value": str(amount.value), "replaces": of}
        elif point:
            words = {"point": point}
            for row, entered in zip(manuals.site.manual, manuals.entered):
                missing = entered.missing(self._app.clock.now_ms()) if row.name == point else ()
                if missing:
                    words["first"], words["last"] = [clock.text(at, self._app.site.zone)[:10]
                                                     for at in (missing[0][0], missing[0][1] - 1)]  # fmt: skip
        return self._answer(session, words, {})

    async def take(self, request, session):
        """POST: what the form says becomes an entry, or is said to be wrong beside its field."""
        words, manuals, wrong = request.g.form, self._of(session), {}
        for name in NEEDED:
            if not words.get(name, "").strip():
                wrong[name] = _EMPTY
        files = []
        for name, data in words.get("evidence.all", ()):
            files.append((name, await evidence.digest(data), data))
        fields = None if wrong else self._fields(words, manuals, files, wrong)
        if not wrong:
            try:
                record = self._record(session, records.ENTER, fields)
                evidence.keep(self._app.storage, record, files)
                self._enter(session, record)
                return to("/manual")
            except CarbonError as error:
                wrong[""] = str(error)
        return self._answer(session, words, wrong, 422)

    async def review(self, request, session):
        """POST: whether an entry of another stands."""
        words, manuals = request.g.form, self._of(session)
        verdict = words.get("do")
        if verdict not in (records.REVIEWED, records.REJECTED):
            raise Refused(400, "this form is not from this page")
        amount = _named(manuals, words.get("of", ""))[1]
        fields = [amount.digest, verdict, words.get("note", "").strip()]
        self._enter(session, self._record(session, records.REVIEW, fields))
        return to("/manual")

    async def file(self, request, session, name):
        """GET: a file of evidence, as it was given."""
        from microdot import Response

        title, data = await evidence.read(self._app.storage, name)
        self._server.audit(session.user.name, "downloaded evidence %s" % name[:81])
        end = title[title.rfind(".") + 1 :].lower()
        end = "." + end if 0 < len(end) < min(5, len(title)) and not [c for c in end if not "a" <= c <= "z"] else ""
        return Response(data, 200, {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": 'attachment; filename="%s%s"' % (name[17:33], end),
        })  # fmt: skip

    def _of(self, session):
        """The Manuals, for a user who may enter something."""
        manuals = self._app.terminal.manuals
        if manuals is None or not may_enter(self._app, session.user):
            raise Refused(403, "the site document does not name you as who enters on the page: operators, a name "
                               "without a key · 站点文档未授权您在网页填报")  # fmt: skip
        return manuals

    def _fields(self, words, manuals, files, wrong):
        """The record's fields; None where `wrong` says something."""
        zone, days = self._app.site.zone, []
        rows = [row for row in manuals.site.manual if row.name == words["point"]]
        if not rows:
            wrong["point"] = "there is no such point · 没有该数据点"
            return None
        for name in ("first", "last"):
            self._try(wrong, name, lambda name=name: days.append(DAYS.read(words[name])[0]))
        if len(days) == 2:
            days = days[0] * DAY_MS - zone * 60000, (days[1] + 1) * DAY_MS - zone * 60000
            if days[0] >= days[1]:
                wrong["last"] = "it is before the first day · 截止日期早于起始日期"
            else:
                self._try(wrong, "last", lambda: check_period(days[0], days[1], self._app.clock.now_ms(), zone))
        number = self._try(wrong, "value", lambda: Number(words["value"].strip()))
        unit = words.get("unit", "").strip()
        if number is not None and unit and unit != rows[0].unit:
            number = self._try(wrong, "unit", lambda: _converted(number, unit, rows[0].unit))
        if len(files) > records.MAX_EVIDENCE:
            wrong["evidence"] = "at most %d files · 最多 %d 个文件" % ((records.MAX_EVIDENCE,) * 2)
        of = _named(manuals, words["replaces"])[1].digest if words.get("replaces") else None
        if wrong:
            return None
        kept = [[name, sum_of] for name, sum_of, _ in files]
        note = words.get("note", "").strip()
        return [rows[0].name, days[0], days[1], number.exponent, number.mantissa, rows[0].unit, kept, note, of]

    def _try(self, wrong, name, make):
        try:
            return make()
        except CarbonError as error:
            wrong[name] = str(error)
            return None

    def _record(self, session, what, fields):
        now = self._app.clock.now_ms()
        return records.make(self._app.site.terminal_id, session.user.name, now, what, fields, lambda body: None)

    def _enter(self, session, record):
        """Takes a record, or lets its evidence go again."""
        try:
            seq = self._app.terminal.enter(record)
        except CarbonError:
            evidence.drop(self._app.storage, record)
            raise
        self._server.audit(session.user.name, "%s: entry %d on the page" % (record.what, seq))

    def _answer(self, session, words, wrong, status=200):
        title = ("更正", "correction") if words.get("replaces") else ("填报", "enter")
        return self._server.answer(title, session, self._form(session, words, wrong), "/manual", status)

    def _form(self, session, words, wrong):
        rows = self._app.site.manual
        if wrong:
            yield box(escape(wrong.get("") or "a field is wrong; nothing was entered · 有字段无效，未入账"), True)
        yield '<form method="post" action="/manual/enter" enctype="multipart/form-data">' + hidden(session)
        if words.get("replaces"):
            yield '<input type="hidden" name="replaces" value="%s">' % escape(words["replaces"])
        options = ""
        for row in rows:
            chosen = " selected" if row.name == words.get("point") else ""
            options += '<option%s value="%s">%s (%s)</option>' % (chosen, escape(row.name), escape(row.name),
                                                                  escape(row.unit))  # fmt: skip
        chooser = '<select name="point"%s>%s</select>' % (_mark(wrong, "point"), options)
        yield _labelled(both("数据点", "point"), chooser, wrong.get("point"))
        for name, chinese, english, more in _TEXTS:
            field = '<input name="%s" value="%s"%s%s>' % (name, escape(words.get(name, "")), more, _mark(wrong, name))
            yield _labelled(both(chinese, english), field, wrong.get(name))
        yield _labelled(both("凭证文件", "evidence: files, 290 kB in all"),
                        '<input type="file" name="evidence" multiple%s>' % _mark(wrong, "evidence"),
                        wrong.get("evidence"))  # fmt: skip
        yield button("提交", "enter", value="enter") + "</form>"
        yield '<p>%s: %s</p><p><a href="/manual">%s</a></p>' % (
            both("填报人", "entered by"), escape(session.user.name), both("返回", "back"))  # fmt: skip


def _labelled(label, field, wrong):
    said = '<div class="bad">%s</div>' % escape(wrong) if wrong else ""
    return "<label>%s</label>%s%s" % (label, field, said)


def _mark(wrong, name):
    return ' class="wrong"' if name in wrong else ""


def _converted(number, unit, wanted):
    found = units.convert(number, unit, wanted).number()
    if found is None:
        raise SeriesError("it is no finite decimal in %s" % wanted, "give it in %s" % wanted)
    return found


def _days(amount, zone):
    return clock.text(amount.start_ms, zone)[:10], clock.text(amount.end_ms - 1, zone)[:10]


def _named(manuals, text):
    """(row of the point, Amount) of an entry's id; Refused where there is none."""
    for row, entered in zip(manuals.site.manual, manuals.entered):
        for amount in entered.amounts:
            if hex_of(amount.digest) == text:
                return row, amount
    raise Refused(404, "there is no such entry · 没有该填报记录")
