"""The part of a site document about how the values of single points become series (8.1.2, 8.2.1, 8.3.2 积分, 12.4).

    series = [[point, settles, rule, per_ms, unit, fill, history], …]     in the order of the points, each once

settles: 0 amount, 1 mean (of a value of the moment), null (a register settles anyway); rule between readings: 0 line,
3 step; per_ms: the time that the rate is per; unit: of what is settled; fill: of gaps, 0 linear, 1 nearest, null none;
history: whether a collected value may be at most twice the largest valid month.

    calendar = [[holiday, …], [worked day, …]]     days from 1970-01-01: no working days, and those that are anyway

Only a site that has such a part loads this module.
"""

from carbonterm.clock import MONTH
from carbonterm.errors import SiteError, quoted
from carbonterm.series import gaps
from carbonterm.series.instant import AMOUNT, MEAN, Instant
from carbonterm.site_rows import INSTANT, REGISTER, Row, choice, integer, optional, text

PER_MS = (1000, 60000, 3600000, 86400000)


class Settling(Row):
    """What becomes of one point's values; see above."""

    NAME = "series"

    @staticmethod
    def shape():
        return (
            ("point", integer(0, 65535)),
            ("settles", choice(None, AMOUNT, MEAN)),
            ("rule", choice(None, gaps.LINEAR, gaps.STEP)),
            ("per_ms", choice(None, *PER_MS)),
            ("unit", optional(text(32))),
            ("fill", choice(None, gaps.LINEAR, gaps.NEAREST)),
            ("history", choice(False, True)),
        )

    def check(self, site):
        """SiteError unless the row fits its point."""
        if self.point >= len(site.points):
            raise SiteError("a series is of point %d of %d" % (self.point, len(site.points)))
        point = site.points[self.point]
        given = [self.settles, self.rule, self.per_ms, self.unit]
        if point.kind == REGISTER:
            if given != [None] * 4 or self.fill == gaps.NEAREST:
                raise _bad(point, "a register settles by itself, and what it counted in a gap is known",
                           "leave out what is not fill: linear, or history")  # fmt: skip
        elif self.settles is None or self.rule is None or self.unit is None or self.history:
            raise _bad(point, "a value of the moment settles as amount or mean, and has no monthly history", "")
        elif (self.settles == AMOUNT) != (self.per_ms is not None) or (self.settles == MEAN and self.fill is not None):
            raise _bad(point, "an amount is of a rate per some time, and only an amount is filled", "")

    def settler(self, site):
        """The Instant that settles the point."""
        return Instant(site.zone, self.settles, self.rule, self.per_ms or 1, site.points[self.point].interval_ms,
                       self.fill, tuple(site.settings.closings))  # fmt: skip


def take(site, rows):
    """Gives the site its `series`: {index of point: Settling}."""
    site.series = {}
    order = []
    for at, values in enumerate(rows):
        row = Settling(values, "series %d" % at)
        row.check(site)
        order.append(row.point)
        site.series[row.point] = row
        if row.history and MONTH not in site.settings.closings:
            raise SiteError("point %s has a monthly history, and months are not settled" % quoted(
                site.points[row.point].name), "add month to the closings")
    if order != sorted(set(order)):
        raise SiteError("the series are not in the order of their points, each once")


def calendar(value):
    """(holidays, worked days), two tuples of day numbers in order; SiteError for what is none."""
    if not isinstance(value, list) or len(value) != 2:
        raise SiteError("a calendar has two lists, of holidays and of worked days")
    found = []
    for days in value:
        if not isinstance(days, list) or len(days) > 4000 or [day for day in days if not _is_day(day)]:
            raise SiteError("a calendar's days are numbers from 1970-01-01 on, at most 4000 of a kind")
        if days != sorted(set(days)):
            raise SiteError("a calendar's days are not in order, each once")
        found.append(tuple(days))
    both = [day for day in found[0] if day in found[1]]
    if both or not (found[0] or found[1]):
        raise SiteError("a calendar's day is a holiday and worked, or there is none at all")
    return tuple(found)


def _is_day(value):
    return type(value) is int and 0 <= value < 2932897


def _bad(point, what, hint):
    kind = "value of the moment" if point.kind == INSTANT else "register"
    return SiteError("point %s (%s): %s" % (quoted(point.name), kind, what), hint)
