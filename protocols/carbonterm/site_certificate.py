"""Certificates of a meter in the site document (11.8): verification and calibration (检定证书, 校准证书)."""

from carbonterm.clock import stamp
from carbonterm.errors import SiteError, quoted
from carbonterm.site_rows import Row, name, number, octets, optional, text


def day_of(date):
    """Day number from 1970-01-01 of a date written YYYY-MM-DD; SiteError or ClockError otherwise."""
    parts = date.split("-") if isinstance(date, str) and len(date) == 10 else ()
    if [len(part) for part in parts] != [4, 2, 2] or not all("0" <= c <= "9" for part in parts for c in part):
        raise SiteError("%s is no date" % quoted(str(date)), "write it like 2026-01-31")
    return stamp(int(parts[0]), int(parts[1]), int(parts[2])) // 86400000


def _date(value):
    day_of(value)
    return value


def _above_zero(value):
    found = number(value)
    if not found > 0:
        raise SiteError("must be above 0")
    return found


def _unit(value):
    try:
        from carbonterm import units  # only certificates need it
    except ImportError:  # on a collector: the host has checked it
        return value
    units.parse(value)
    return value


class Certificate(Row):
    """A certificate of verification or calibration (检定证书, 校准证书), dates YYYY-MM-DD; due: the first day on which
    it no longer holds. uncertainty: expanded, in `unit` ("%" is relative), with coverage factor k; standard: what the
    values are traced to; digest: SM3 of the certificate's file."""

    NAME = "certificate"

    @staticmethod
    def shape():
        return (
            ("number", name),
            ("authority", text(128)),
            ("date", _date),
            ("due", _date),
            ("result", name),
            ("uncertainty", optional(_above_zero)),
            ("unit", optional(_unit)),
            ("k", optional(_above_zero)),
            ("standard", optional(text(200))),
            ("digest", optional(octets(32, 32))),
        )

    def __init__(self, values, where):
        Row.__init__(self, values, where)
        if day_of(self.due) <= day_of(self.date):
            raise SiteError("%s is due on %s, not after its date %s" % (where, self.due, self.date))
        if (self.uncertainty is None) != (self.unit is None):
            raise SiteError("%s: an uncertainty has a unit, and a unit an uncertainty" % where)

    def days_left(self, at_ms, zone):
        """Days from the civil date of a moment in a zone (minutes east) to the due date; 0 or less: it has expired."""
        return day_of(self.due) - (at_ms + zone * 60000) // 86400000
