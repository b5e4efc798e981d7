"""Instruments of a log (11.8): their records, what their values are traced to, and their measurement results.

`Instruments` folds the entries of one log: site documents, identifications, meter events, readings and settlements. A
result is listed with the certificate that was on record when it was written, and whether that held on its day.
"""

from carbonterm import clock
from carbonterm import site as sites
from carbonterm.errors import CarbonError, quoted
from carbonterm.ledger import entry as formats
from carbonterm.number import Number
from carbonterm.site_certificate import day_of

IDENTIFIED = ("identified", "identity mismatch")  # what the terminal's audit entries say
_CERTIFICATE = ("number", "authority", "date", "due", "result", "standard")


class Instruments:
    """`Instruments(raws)`: entries' bytes in order. `site`: the last document, None where there is none."""

    def __init__(self, raws):
        self.site = None
        self.results = []  # of settlements: (meter name, point name, unit, period, start_ms, row, Meter, zone)
        self.readings = {}  # (meter name, point name): [(time_ms, quality, Number or None)]
        self._said = {}  # meter name: (time_ms, what, detail)
        self._events = {}  # meter name: [(time_ms, event)]
        takes = {
            formats.CONFIG: self._config, formats.AUDIT: self._audit, formats.METER: self._meter,
            formats.READINGS: self._read, formats.CLOSING: self._settled,
        }  # fmt: skip
        for raw in raws:
            entry = formats.decode(raw)
            if entry.kind in takes:
                takes[entry.kind](entry)
            elif entry.kind == formats.SNAPSHOT and self.site is None:
                self._restored(entry)

    def listed(self, at_ms):
        """Every instrument on record as plain JSON values; whether a certificate holds is judged at a moment."""
        return [self._record(meter, at_ms) for meter in self.site.meters] if self.site else []

    def report(self, name, period, from_ms, to_ms):
        """Results of the meter `name`, settlements of `period` with from_ms <= start < to_ms, as plain JSON values."""
        points = {}
        for meter, point, unit, length, start_ms, row, record, zone in self.results:
            if meter != name or length != period or not from_ms <= start_ms < to_ms:
                continue
            of = points.setdefault(point, {"point": point, "unit": unit, "settlements": [], "_total": Number(0)})
            increment = _number(row[2], row[3])
            certificate = record.certificate
            of["settlements"].append({
                "start": clock.text(start_ms, zone), "increment": _shown(increment),
                "max": _shown(_number(row[2], row[4])), "min": _shown(_number(row[2], row[5])),
                "quality": row[1], "serial": record.serial,
                "certificate": certificate.number if certificate else None,
                "certified": _holds(certificate, start_ms, zone),
            })  # fmt: skip
            if increment is not None:
                of["_total"] += increment
        for (meter, point), rows in self.readings.items():
            inside = [row for row in rows if from_ms <= row[0] < to_ms]
            if meter == name and inside:
                of = points.setdefault(point, {"point": point, "unit": None, "settlements": [], "_total": None})
                good = [row for row in inside if row[2] is not None]
                of["readings"] = {
                    "count": len(inside), "without_value": len(inside) - len(good),
                    "first": str(good[0][2]) if good else None, "last": str(good[-1][2]) if good else None,
                }  # fmt: skip
        found = sorted(points.values(), key=lambda row: row["point"])
        for row in found:
            total = row.pop("_total")
            row["total"] = str(total) if row["settlements"] and total is not None else None
        return {"points": found, "events": [
            {"time": clock.text(time_ms, self.site.zone), "event": event}
            for time_ms, event in self._events.get(name, ()) if from_ms <= time_ms < to_ms
        ]}  # fmt: skip

    def known(self, name):
        """Whether an instrument of this name is, or was, on record."""
        return name in self._names()

    def _names(self):
        own = {meter.name for meter in self.site.meters} if self.site else set()
        return own | {row[0] for row in self.results} | {key[0] for key in self.readings}

    def _record(self, meter, at_ms):
        said = self._said.get(meter.name)
        certificate = meter.certificate
        out = {
            "name": meter.name, "model": meter.model, "serial": meter.serial, "asset": meter.asset,
            "identifier": meter.identifier,
            "place": meter.place, "bus": self.site.buses[meter.bus].name, "unit": meter.unit,
            "points": [point.name for point in self.site.points if self.site.meters[point.meter] is meter],
            "identified": None if said is None else said[1] == IDENTIFIED[0],
            "identification": None if said is None else f"{clock.text(said[0], self.site.zone)} {said[2]}",
            "certificate": None,
        }  # fmt: skip
        if certificate:
            out["certificate"] = {name: getattr(certificate, name) for name in _CERTIFICATE} | {
                "uncertainty": _uncertainty(certificate),
                "k": _shown(certificate.k),
                "file_sm3": certificate.digest.hex() if certificate.digest else None,
                "days_left": certificate.days_left(at_ms, self.site.zone),
                "holds": _holds(certificate, at_ms, self.site.zone),
            }
            out["chain"] = [
                f"{meter.name}, {meter.model}, serial {meter.serial or 'not on record'}",
                f"certificate {certificate.number} of {certificate.date}, {certificate.authority}",
                certificate.standard or "standard not on record",
            ]
        return out

    def _config(self, entry):
        try:
            self.site = sites.decode(entry.body[1])
        except CarbonError:
            self.site = None

    def _restored(self, entry):
        """A log whose beginning was dropped begins with a snapshot, which holds the site document in force."""
        try:
            document = entry.body[1][2][0]
            self.site = sites.decode(document) if document else None
        except (CarbonError, IndexError, TypeError):
            self.site = None

    def _audit(self, entry):
        who, what, detail = entry.body
        if who == "terminal" and what in IDENTIFIED and self.site:
            for meter in self.site.meters:
                if detail.startswith(meter.name + ": "):
                    self._said[meter.name] = entry.time_ms, what, detail[len(meter.name) + 2 :]

    def _point(self, index):
        return self.site.points[index] if self.site and index < len(self.site.points) else None

    def _meter(self, entry):
        point = self._point(entry.body[0])
        if point:
            word = f"{point.name}: {('replaced', 'reset')[entry.body[1]]}"
            self._events.setdefault(self.site.meters[point.meter].name, []).append((entry.body[2], word))

    def _read(self, entry):
        for index, offset_ms, quality, exponent, mantissa in entry.body[0]:
            point = self._point(index)
            if point:
                key = self.site.meters[point.meter].name, point.name
                row = entry.time_ms + offset_ms, quality, _number(exponent, mantissa)
                self.readings.setdefault(key, []).append(row)

    def _settled(self, entry):
        period, start_ms, rows = entry.body
        for row in rows:
            point = self._point(row[0])
            if point:
                meter = self.site.meters[point.meter]
                self.results.append((meter.name, point.name, point.unit, period, start_ms, row, meter, self.site.zone))


def moment(text, zone):
    """Milliseconds of a date in a zone, or of a time in ISO 8601 with offset; CarbonError for others."""
    if len(text) == 10:
        return day_of(text) * 86_400_000 - zone * 60_000
    try:
        return clock.parse(text)
    except CarbonError:
        raise CarbonError(f"{quoted(text)} is no time", "write 2026-11-21 or 2026-11-21T08:00:00+08:00") from None


def _holds(certificate, at_ms, zone):
    """Whether a certificate is on record and covers the day of a moment."""
    if certificate is None:
        return False
    begin = day_of(certificate.date) * 86_400_000 - zone * 60_000
    return begin <= at_ms and certificate.days_left(at_ms, zone) > 0


def _uncertainty(certificate):
    return None if certificate.uncertainty is None else f"{certificate.uncertainty} {certificate.unit}"


def _number(exponent, mantissa):
    return None if mantissa is None else Number(mantissa, exponent)


def _shown(number):
    return None if number is None else str(number)
