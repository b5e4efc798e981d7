"""Quality control of environmental series (park document, 6.3): jumps, and sensors that are stuck.

`Watch.take` is given the good readings of a terminal in order of time; `findings` says what is odd. What a series may
do stands in data/series_types.json.
"""

from fractions import Fraction

from carbonterm import clock
from carbonterm_host import series_types, site_nodes

NEAR_MS = 600_000  # readings further apart say nothing about a jump
APART_MS = 3_600_000  # after so long without a reading, a stretch of equal ones begins anew


class Watch:
    """`zone`: minutes east, for the days of findings; `checked`: readings of sensors so far."""

    def __init__(self, zone):
        self.zone = zone
        self.checked = 0
        self._forms = {}  # of a site's points: (type, Form) or None
        self._last = {}  # point: (time_ms, value, since when it shows that)
        self._found = {}  # (point, day, why): [type, count]

    def take(self, site, index, time_ms, exponent, mantissa):
        """A good reading of a point of a site document, from time_ms on later than the point's one before."""
        known = self._form(site, index)
        if known is None:
            return
        self.checked += 1
        kind, form = known
        name, value = site.points[index].name, Fraction(mantissa) * Fraction(10) ** exponent
        before = self._last.get(name)
        since = time_ms
        if before is not None and 0 < time_ms - before[0] < APART_MS:
            if form.step is not None and time_ms - before[0] <= NEAR_MS and abs(value - before[1]) > form.step:
                self._note(name, time_ms, f"jumps by more than {_text(form.step)} {site.points[index].unit}", kind)
            if value == before[1]:
                since = before[2]
                if time_ms - since >= form.stuck_ms > before[0] - since:
                    self._note(name, time_ms, f"shows the same for {kind['stuck']} and longer", kind)
        self._last[name] = time_ms, value, since

    def findings(self):
        """[{"point", "type", "day", "why", "times"}] in order of point and day."""
        return [
            {"point": name, "type": kind["id"], "day": day, "why": why, "times": times}
            for (name, day, why), (kind, times) in sorted(self._found.items())
        ]

    def _note(self, name, time_ms, why, kind):
        row = self._found.setdefault((name, clock.text(time_ms, self.zone)[:10], why), [kind, 0])
        row[1] += 1

    def _form(self, site, index):
        if site not in self._forms:
            where = {meter: node.class_ for node in site.nodes if node.class_ in site_nodes.PLACES
                     for meter in node.meters}  # fmt: skip
            kinds = [series_types.type_of(point.quantity, where.get(point.meter)) for point in site.points]
            self._forms[site] = [
                None if kind is None else (kind, series_types.form_of(kind, point.unit))
                for kind, point in zip(kinds, site.points, strict=True)
            ]
        found = self._forms[site][index]
        return None if found is None or found[1] is None else found


def _text(value):
    return str(series_types.number(value))
