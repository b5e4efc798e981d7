"""Runs the rules of quality control over what the store holds of one terminal, and keeps the reports.

`examine(store, terminal_id, from_ms, to_ms, seed)` gives a report; `keep` stores it, and its digest in the access log,
so that a report that is changed later does not go unseen.
"""

import json
import random
from bisect import bisect_right
from fractions import Fraction

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, select

from carbonterm import clock, units
from carbonterm import site as sites
from carbonterm.errors import AccessError, CarbonError, quoted
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry as formats
from carbonterm.ledger.tree import leaf
from carbonterm.pipeline import DERIVED, Replay
from carbonterm_host.platform.access import audit
from carbonterm_host.platform.access.users import now_ms
from carbonterm_host.platform.quality import identity, rules
from carbonterm_host.platform.quality.environment import Watch
from carbonterm_host.platform.store import entries, figures, logs, metadata

DAYS = 7  # a check looks back so far
DUE_DAYS = 60  # before a certificate's end that it is an alarm
BACKGROUND_MS = 28 * 86_400_000  # settlements that outliers are told from
SAMPLE = 20
SHOWN = 50  # findings of a rule that are written down; all are counted
_MARGIN_MS = 3_600_000  # an entry's time and that of its readings differ by less
_FIRST_BAD = 2  # qualities from here on are no good reading

quality_reports = Table(
    "quality_reports", metadata,
    Column("id", Integer, primary_key=True),
    Column("terminal_id", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("ok", Integer, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    Index("quality_reports_by_terminal", "terminal_id", "id"),
)  # fmt: skip

comparisons = Table(
    "comparisons", metadata,
    Column("id", Integer, primary_key=True),
    Column("terminal_id", Text, nullable=False),
    Column("point", Text, nullable=False),
    Column("other_terminal_id", Text, nullable=False),
    Column("other_point", Text, nullable=False),
    Column("percent", Text, nullable=False),  # decimal
)  # fmt: skip


def examine(store, terminal_id, from_ms=None, to_ms=None, seed=None, verify=sm2.verify, digest=sm3.digest):
    """The report on [from_ms, to_ms), by default the last DAYS whole days in the site's zone; AccessError where the
    terminal is not known or has no site document yet. Exact numbers are texts."""
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    with store.read() as connection:
        held = Held(connection, terminal_id)
        to_ms = clock.start(clock.DAY, now_ms(), held.zone) if to_ms is None else to_ms
        from_ms = to_ms - DAYS * 86_400_000 if from_ms is None else from_ms
        found = [
            _calibration(held, to_ms),
            *_readings(connection, held, from_ms, to_ms),
            _outliers(connection, held, from_ms, to_ms),
            _repeat(connection, held, from_ms, to_ms, random.Random(seed), verify, digest),
            _comparison(connection, held, from_ms, to_ms),
            _rule("identity", *identity.twice(connection, terminal_id, held.sites[-1][1], from_ms)),
        ]
    return {
        "terminal": terminal_id, "from": clock.text(from_ms, held.zone), "to": clock.text(to_ms, held.zone),
        "time": clock.text(now_ms(), held.zone), "seed": seed, "ok": all(rule["ok"] for rule in found), "rules": found,
    }  # fmt: skip


def last_midnight(store, terminal_id):
    """Where the last whole day of a terminal's site ended, in ms."""
    with store.read() as connection:
        return clock.start(clock.DAY, now_ms(), Held(connection, terminal_id).zone)


def keep(store, report, who="command", role=""):
    """Stores a report."""
    body = json.dumps(report, ensure_ascii=False, sort_keys=True)
    with store.write() as connection:
        connection.execute(
            quality_reports.insert().values(
                terminal_id=report["terminal"], time_ms=now_ms(), ok=int(report["ok"]), body=body
            )
        )
        said = "ok" if report["ok"] else "findings"
        what = f"quality {report['terminal']} {said} SM3 {sm3.digest(body.encode()).hex()}"
        audit.append_in(connection, audit.ADMIN, who, role, "", what)
        due = report["rules"][0].get("due", ())
        if due:
            said = ", ".join(f"{row['meter']} {row['due']}" for row in due)
            over = sum(row["days_left"] <= 0 for row in due)
            what = f"{report['terminal']}: calibration overdue {over}, due {len(due) - over}: {said}"
            audit.append_in(connection, audit.ALARM, "", "", "", what, len(due))


def reports(store, terminal_id, limit=1):
    """The newest reports of a terminal, newest first."""
    rows = quality_reports.c
    with store.read() as connection:
        found = connection.execute(
            select(rows.body).where(rows.terminal_id == terminal_id).order_by(rows.id.desc()).limit(limit)
        ).scalars()  # fmt: skip
        return [json.loads(body) for body in found]


def compare(store, first, second, percent):
    """Declares that two (terminal id, point name) measure the same within `percent` of the greater one."""
    try:
        good = 0 <= Fraction(percent) <= 100
    except (ValueError, ZeroDivisionError):
        good = False
    if not good or first == second:
        raise AccessError(f"{quoted(percent)} % of two points cannot be compared", "give two points and 0 to 100 %")
    with store.write() as connection:
        for terminal_id, point in (first, second):
            if not any(point == one.name for _, site in Held(connection, terminal_id).sites for one in site.points):
                raise AccessError(f"{terminal_id} has no point {quoted(point)}", "name it as the site document does")
        row = {"terminal_id": first[0], "point": first[1], "other_terminal_id": second[0], "other_point": second[1]}
        connection.execute(comparisons.delete().filter_by(**row))
        connection.execute(comparisons.insert().values(**row, percent=percent))
        what = f"compare {':'.join(first)} with {':'.join(second)} within {percent} %"
        audit.append_in(connection, audit.ADMIN, "command", "", "", what)


class Held:
    """What the store has of a terminal: its logs in order of epochs, and its site documents with their places."""

    def __init__(self, connection, terminal_id):
        self.logs = connection.execute(
            select(logs).where(logs.c.terminal_id == terminal_id).order_by(logs.c.epoch)
        ).all()  # fmt: skip
        self.epochs = {log.id: log.epoch for log in self.logs}
        self.ids = list(self.epochs)
        self.sites, self.since = [], []  # [((epoch, seq), Site)], [time_ms]
        for row in self.entries(connection, (formats.CONFIG,)):
            try:
                site = sites.decode(formats.decode(row.raw).body[1])
            except CarbonError:
                continue  # the page shows figures without names then; replay is what judges it
            self.sites.append(((self.epochs[row.log], row.seq), site))
            self.since.append(row.time_ms)
        if not self.sites:
            raise AccessError(f"nothing can be checked of {quoted(terminal_id)}: there is no site document of it here",
                              "wait until the terminal has delivered its first entries")  # fmt: skip
        self.zone = self.sites[-1][1].zone

    def entries(self, connection, kinds, low=None, high=None):
        """Rows of the table in order of epochs and seq, of these kinds and with times from low to high."""
        rows = entries.c
        for log in self.ids:
            query = select(entries).where(rows.log == log, rows.kind.in_(kinds)).order_by(rows.seq)
            if low is not None:
                query = query.where(rows.time_ms >= low, rows.time_ms < high)
            yield from connection.execute(query.execution_options(yield_per=500))

    def site_at(self, log, seq):
        """The Site in force at an entry, or None before the first."""
        place = bisect_right(self.sites, (self.epochs[log], seq), key=lambda one: one[0])
        return self.sites[place - 1][1] if place else None


def _rule(name, checked, findings):
    return {"rule": name, "ok": not findings, "checked": checked, "found": len(findings),
            "findings": findings[:SHOWN]}  # fmt: skip


def _calibration(held, at_ms):
    """P-6.6-1: every meter has a certificate that holds on the last day."""
    site, findings = held.sites[-1][1], []
    due = [{"meter": meter.name, "certificate": meter.certificate.number, "due": meter.certificate.due,
            "days_left": left} for meter, left in site.calibrations(at_ms - 1, DUE_DAYS)]  # fmt: skip
    for meter in site.meters:
        if meter.certificate is None:
            findings.append({"meter": meter.name, "why": "no certificate"})
        elif meter.certificate.days_left(at_ms - 1, site.zone) <= 0:
            findings.append({"meter": meter.name, "why": f"certificate due {meter.certificate.due}"})
    return {**_rule("calibration", len(site.meters), findings), "due": due}


def _readings(connection, held, from_ms, to_ms):
    """P-6.6-2, P-6.6-3: per point and day as many readings as its interval asks for, and few that are not believed;
    P-6.3: what sensors say that air or flue gas cannot do."""
    counts, bad, total, slots = {}, {}, {}, {}
    watch = Watch(held.zone)
    for row in held.entries(connection, (formats.READINGS,), from_ms - _MARGIN_MS, to_ms + _MARGIN_MS):
        site = held.site_at(row.log, row.seq)
        entry = formats.decode(row.raw)
        for index, offset, quality, exponent, mantissa in entry.body[0]:
            time_ms = entry.time_ms + offset
            if site is None or index >= len(site.points) or not from_ms <= time_ms < to_ms:
                continue
            point = site.points[index]
            total[point.name] = total.get(point.name, 0) + 1
            if mantissa is None or quality >= _FIRST_BAD:
                bad[point.name] = bad.get(point.name, 0) + 1
                continue
            watch.take(site, index, time_ms, exponent, mantissa)
            slot = (time_ms // point.interval_ms, point.interval_ms)  # two readings of one interval count once
            if slots.get(point.name) != slot:
                slots[point.name] = slot
                key = point.name, clock.start(clock.DAY, time_ms, held.zone)
                counts[key] = counts.get(key, 0) + 1
    expected = _expected(held, from_ms, to_ms)
    missing = [
        {"point": name, "day": clock.text(day, held.zone)[:10], "held": have, "expected": count}
        for (name, day), have, count in rules.incomplete(counts, expected)
    ]
    poor = [
        {"point": name, "rejected": count, "of": all_of} for name, count, all_of in rules.rejected(bad, total)
    ]
    return (
        _rule("completeness", sum(expected.values()), missing), _rule("rejection", sum(total.values()), poor),
        _rule("environment", watch.checked, watch.findings()),
    )  # fmt: skip


def _expected(held, from_ms, to_ms):
    """{(point, start of day): readings owed}, from the site documents in force."""
    expected = {}
    ends = [*held.since[1:], to_ms]
    for (_, site), since, until in zip(held.sites, held.since, ends, strict=True):
        low, high = max(since, from_ms), min(until, to_ms)
        while low < high:
            end = min(clock.end(clock.DAY, low, held.zone), high)
            for point in site.points:
                key = point.name, clock.start(clock.DAY, low, held.zone)
                expected[key] = expected.get(key, 0) + (end - low) // point.interval_ms
            low = end
    return expected


def _outliers(connection, held, from_ms, to_ms):
    """P-6.6-3, P-9.4-2: hourly and daily settlements far from the point's others (hours: of the same hour of day)."""
    groups, checked = {}, 0
    for (name, period, start_ms), value in _settlements(connection, held, to_ms - BACKGROUND_MS, to_ms).items():
        hour = clock.civil(start_ms, held.zone)[3] if period == clock.HOUR else None
        groups.setdefault((name, period, hour), []).append((start_ms, value))
    findings = []
    for (name, period, _), values in sorted(groups.items(), key=lambda pair: (pair[0][0], pair[0][1], pair[0][2] or 0)):
        checked += sum(start_ms >= from_ms for start_ms, _ in values)
        for start_ms, value, middle in rules.outliers(values):
            if start_ms >= from_ms:
                findings.append({
                    "point": name, "period": clock.PERIODS[period], "start": clock.text(start_ms, held.zone),
                    "value": _text(value), "median": _text(middle),
                })  # fmt: skip
    return _rule("outliers", checked, findings)


def _settlements(connection, held, from_ms, to_ms, periods=(clock.HOUR, clock.DAY)):
    """{(point, period, start_ms): Fraction}; a period that closed twice counts with the sum."""
    found, rows = {}, figures.c
    for row in connection.execute(
        select(rows.log, rows.seq, rows.period, rows.start_ms, rows.subject, rows.value).where(
            rows.log.in_(held.ids), rows.kind == formats.CLOSING, rows.period.in_(periods),
            rows.start_ms >= from_ms, rows.start_ms < to_ms, rows.value.is_not(None),
        )
    ):  # fmt: skip
        site = held.site_at(row.log, row.seq)
        if site is not None and row.subject < len(site.points):
            key = site.points[row.subject].name, row.period, row.start_ms
            found[key] = found.get(key, 0) + Fraction(row.value)
    return found


def _repeat(connection, held, from_ms, to_ms, dice, verify, digest):
    """P-6.6-4, P-9.4-3: settlements and emissions drawn by lot, computed again from the readings, compared in bytes;
    with their leaf hashes and fingerprints. Each is replayed from the last snapshot before it."""
    rows, findings, compared = entries.c, [], 0
    drawn = connection.execute(
        select(rows.log, rows.seq).where(
            rows.log.in_(held.ids), rows.kind.in_(DERIVED), rows.time_ms >= from_ms, rows.time_ms < to_ms
        ).order_by(rows.log, rows.seq)
    ).all()  # fmt: skip
    drawn = dice.sample(drawn, min(SAMPLE, len(drawn)))
    publics = {log.id: log.public for log in held.logs}
    stretches = {}
    for log, seq in drawn:
        begin = _snapshot_before(connection, held, log, seq)
        place = (held.epochs[log], seq)
        stretches[begin] = max(stretches.get(begin, place), place)
        row = connection.execute(select(entries).where(rows.log == log, rows.seq == seq)).one()
        if leaf(row.raw, digest) != row.leaf or not verify(publics[log], row.raw, row.fingerprint):
            findings.append({"epoch": held.epochs[log], "seq": seq, "why": "its leaf hash or fingerprint is wrong"})
    for (epoch, first), target in sorted(stretches.items()):
        fold = Replay()
        for row in _between(connection, held, epoch, first, target):
            why = _replayed(fold, row.raw)
            if why:
                findings.append({"epoch": held.epochs[row.log], "seq": row.seq, "why": why})
        compared += fold.compared
    return {**_rule("repeat sampling", len(drawn), findings), "recomputed": compared}


def _replayed(fold, raw):
    try:
        return fold.entry(formats.decode(raw))
    except CarbonError as error:
        return error.what


def _snapshot_before(connection, held, log, seq):
    """(epoch, seq) of the last snapshot at or before an entry, or of the log's beginning."""
    rows = entries.c
    for one in reversed(held.ids[: held.ids.index(log) + 1]):
        query = select(rows.seq).where(rows.log == one, rows.kind == formats.SNAPSHOT, rows.seq > 0)
        if one == log:
            query = query.where(rows.seq < seq)
        found = connection.execute(query.order_by(rows.seq.desc()).limit(1)).scalar()
        if found is not None:
            return held.epochs[one], found
    return held.logs[0].epoch, 0


def _between(connection, held, epoch, first, target):
    """Rows from (epoch, first) to the place `target`, both included."""
    rows = entries.c
    for log in held.logs:
        if epoch <= log.epoch <= target[0]:
            query = select(entries).where(rows.log == log.id).order_by(rows.seq)
            if log.epoch == epoch:
                query = query.where(rows.seq >= first)
            if log.epoch == target[0]:
                query = query.where(rows.seq <= target[1])
            yield from connection.execute(query.execution_options(yield_per=500))


def _comparison(connection, held, from_ms, to_ms):
    """P-6.6-5, P-9.4-4: daily settlements of two points that are said to measure the same."""
    findings, checked = [], 0
    own = held.logs[0].terminal_id
    for pair in connection.execute(select(comparisons).where(comparisons.c.terminal_id == own).order_by("id")).all():
        try:
            other = held if pair.other_terminal_id == own else Held(connection, pair.other_terminal_id)
            first, unit = _days(connection, held, pair.point, from_ms, to_ms)
            second, other_unit = _days(connection, other, pair.other_point, from_ms, to_ms)
            ratio = units.factor(other_unit, unit)
        except CarbonError as error:
            findings.append({"points": _named(pair), "why": error.what})
            continue
        second = {key: value * Fraction(ratio.numerator, ratio.denominator) for key, value in second.items()}
        checked += len(set(first) | set(second))
        for start_ms, a, b in rules.different(first, second, Fraction(pair.percent) / 100):
            findings.append({"points": _named(pair), "day": clock.text(start_ms, held.zone)[:10], "unit": unit,
                             "value": _text(a), "other": _text(b), "within": pair.percent + " %"})  # fmt: skip
    return _rule("comparison", checked, findings)


def _days(connection, held, name, from_ms, to_ms):
    """({start_ms: Fraction}, unit) of a point's daily settlements."""
    unit = next((p.unit for _, site in reversed(held.sites) for p in site.points if p.name == name), None)
    if unit is None:
        raise AccessError(f"{held.logs[0].terminal_id} has no point {quoted(name)} any more")
    found = _settlements(connection, held, from_ms, to_ms, (clock.DAY,))
    return {start: value for (point, _, start), value in found.items() if point == name}, unit


def _named(pair):
    return f"{pair.terminal_id}:{pair.point} = {pair.other_terminal_id}:{pair.other_point}"


def _text(value):
    """A Fraction as decimal text where it has one, else n/d; None stays."""
    if value is None:
        return None
    places, denominator = 0, value.denominator
    while 10**places % denominator and places < 18:
        places += 1
    if 10**places % denominator:
        return str(value)
    digits = abs(value.numerator) * 10**places // denominator
    text = str(digits).zfill(places + 1)
    sign = "-" if value < 0 else ""
    return sign + (f"{text[:-places]}.{text[-places:]}" if places else text)
