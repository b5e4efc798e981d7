"""Gaps and standstills of a terminal's log: of each point, and of the terminal itself (T/CSMT 12.4; park, 5.1).

`walk(entries)` goes once over decoded entries. A gap of a point is longer than two sampling intervals without a reading
that counts; the terminal stood still between its last entry and the next start.
"""

from carbonterm import clock
from carbonterm import site as sites
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm.series import gaps
from carbonterm.series.downtime import DAY_MS, LIMIT_DAYS, working_ms


class Gap:
    """`name` of the point, None of the terminal; from_ms, to_ms (None: it goes on at the log's end, at `until_ms`);
    worked: milliseconds of working days in it; fill: the body of its `fill` entry, or None."""

    __slots__ = ("fill", "from_ms", "name", "to_ms", "until_ms", "worked")

    def __init__(self, name, from_ms, to_ms, until_ms, site):
        self.name, self.from_ms, self.to_ms, self.until_ms, self.fill = name, from_ms, to_ms, until_ms, None
        self.worked = working_ms(from_ms, until_ms, site.zone, site.calendar)

    @property
    def over(self):
        """Longer than clause 12.4 allows."""
        return self.worked > LIMIT_DAYS * DAY_MS

    def view(self, zone):
        """The object that --json prints."""
        out = {
            "point": self.name, "from": clock.text(self.from_ms, zone),
            "to": None if self.to_ms is None else clock.text(self.to_ms, zone),
            "hours": str((Number(self.until_ms - self.from_ms) / 3600000).round(2).normal()),
            "working_days": str((Number(self.worked) / DAY_MS).round(2).normal()), "over": self.over, "fill": None,
        }  # fmt: skip
        if self.fill is not None:
            _, method, _, _, _, _, _, _, exponent, before, after = self.fill
            added = None if after is None else str(Number(after - before, exponent))
            out["fill"] = {"method": gaps.METHODS[method], "added": added}
        return out


def walk(log):
    """(Gaps in the order in which they ended, the last Site or None)."""
    found, last, site, reached = [], {}, None, None
    for one in log:
        dated = one.clock_state != entries.CLOCK_UNSET and one.time_ms >= clock.FLOOR_MS
        if one.kind == entries.CONFIG:
            site = sites.decode(one.body[1])
            last = {name: at for name, at in last.items() if name in {point.name for point in site.points}}
        if not dated or site is None or one.kind in (entries.SNAPSHOT, entries.GAP):
            reached = one.time_ms if dated else reached
            continue
        if one.kind == entries.START and reached is not None and one.time_ms > reached:
            found.append(Gap(None, reached, one.time_ms, one.time_ms, site))
        elif one.kind == entries.READINGS:
            found += _read(one, site, last)
        elif one.kind == entries.FILL:
            _filled(found, site.points[one.body[0]].name, one.body)
        reached = one.time_ms if reached is None else max(reached, one.time_ms)
    for point in site.points if site else ():
        since = last.get(point.name)
        if since is not None and reached - since > 2 * point.interval_ms:
            found.append(Gap(point.name, since, None, reached, site))
    return found, site


def _read(one, site, last):
    for index, offset, quality, _, mantissa in one.body[0]:
        if mantissa is None or quality >= entries.SUSPECT or index >= len(site.points):
            continue
        point, time_ms = site.points[index], one.time_ms + offset
        before = last.get(point.name)
        if before is not None and time_ms - before > 2 * point.interval_ms:
            yield Gap(point.name, before, time_ms, time_ms, site)
        last[point.name] = time_ms if before is None else max(before, time_ms)


def _filled(found, name, body):
    for gap in reversed(found):
        if gap.name == name and gap.to_ms == body[3]:
            gap.fill = body
            return
