"""Where every figure comes from: metadata (9.2), derived from a log's `start` and `config` entries and nothing else.

`Describer` folds a log. A figure whose subject no site document in force names gets no context: it is kept and flagged.
"""

import json

from sqlalchemy import select, text

from carbonterm import formula, site_rows
from carbonterm import site as sites
from carbonterm.accounting import source as accounting
from carbonterm.errors import CarbonError
from carbonterm.ledger import entry as formats
from carbonterm.number import Number
from carbonterm.series import combine, gaps
from carbonterm.series.instant import SETTLES
from carbonterm_host import site_formed
from carbonterm_host.platform.data import tables

UNKNOWN = "unknown: no start entry says it"


class Describer:
    """Of the log with the row id `log`, from its first entry on; `resume` gives one that goes on behind what is stored.

    `context`: seq of the context in force or None.
    """

    def __init__(self, log):
        self.log = log
        self.context = None
        self.device = UNKNOWN
        self._config = self._digest = None
        self._document = lambda: None  # gives the bytes of the site document in force
        self._counts = {formats.CLOSING: 0, formats.EMISSION: 0}

    def hear(self, entry):
        """(row of `contexts`, rows of `subjects`) that begins with this entry, or None."""
        if entry.kind == formats.START:
            device = f"carbonterm {entry.body[0]} on {entry.body[1]}"
            if device == self.device:
                return None
            self.device = device
            return None if self._config is None else self._begin(entry.seq)
        if entry.kind != formats.CONFIG:
            return None
        digest, document = entry.body
        if digest == self._digest:
            return None
        self._config, self._digest, self._document = entry.seq, digest, lambda: document
        return self._begin(entry.seq)

    def of(self, kind, subject):
        """The context that describes a point or source, or None."""
        return self.context if subject < self._counts[kind] else None

    def _begin(self, seq):
        try:
            site = sites.decode(self._document())
        except CarbonError:
            site = None
        self.context = seq
        self._counts = {
            formats.CLOSING: len(site.all_points) if site else 0, formats.EMISSION: len(site.sources) if site else 0,
        }  # fmt: skip
        row = {
            "log": self.log, "seq": seq, "config": self._config, "digest": self._digest, "device": self.device,
            "version": site.version if site else 0,
            "points": self._counts[formats.CLOSING], "sources": self._counts[formats.EMISSION],
        }  # fmt: skip
        at = {"log": self.log, "context": seq, "device": self.device}
        return row, [{**at, **one} for one in describe(site)] if site else []

    @staticmethod
    def resume(connection, log):
        """The Describer behind all entries that the store has of a log."""
        found = Describer(log)
        rows = tables.contexts.c
        last = connection.execute(
            select(tables.contexts).where(rows.log == log).order_by(rows.seq.desc()).limit(1)
        ).one_or_none()  # fmt: skip
        if last is None:
            raw = connection.execute(
                text("select raw from entries where log = :log and kind = :kind order by seq desc limit 1"),
                {"log": log, "kind": formats.START},
            ).scalar()
            if raw is not None:
                found.hear(formats.decode(raw))
            return found
        found.context, found.device, found._config, found._digest = last.seq, last.device, last.config, last.digest
        found._counts = {formats.CLOSING: last.points, formats.EMISSION: last.sources}
        found._document = lambda: formats.decode(
            connection.execute(
                text("select raw from entries where log = :log and seq = :seq"), {"log": log, "seq": last.config}
            ).scalar()
        ).body[1]
        return found


def describe(site):
    """Rows of `subjects` of a Site, without log, context and device."""
    for index, point in enumerate(site.all_points):
        row = {"kind": formats.CLOSING, "subject": index, "name": point.name, "unit": site.unit(index)}
        yield {**row, **(_point(site, index) if index < len(site.points) else _formed(site, index))}
    for index, source in enumerate(site.sources):
        row = {"kind": formats.EMISSION, "subject": index, "name": source.name, "unit": "tCO2e"}
        yield {**row, **_source(site, source)}


def _point(site, index):
    point = site.points[index]
    meter = site.meters[point.meter]
    bus = site.buses[meter.bus]
    record = [f"{word} {value}" for word, value in (("identifier", meter.identifier), ("asset", meter.asset),
                                                        ("at", meter.place)) if value]  # fmt: skip
    what = "settled: increments of the running total by period" if point.kind == sites.REGISTER else "instant value"
    row = site.series.get(index)
    if row is not None and row.settles is not None:
        what = f"settled: {SETTLES[row.settles]} by period, {gaps.METHODS[row.rule]} between readings"
    if row is not None and row.fill is not None:
        what += f", gaps filled: {gaps.METHODS[row.fill]}"
    return {
        "origin": ", ".join([
            f"meter {meter.name}", f"serial {meter.serial or 'not on record'}", *record,
            f"bus {bus.name} ({bus.kind} {bus.address}:{bus.port})", f"unit {meter.unit}",
            f"{point.quantity} at {point.function} {point.address}",
        ]),
        "sensor": meter.model + (f", certificate {meter.certificate.number}" if meter.certificate else ""),
        "processing": f"{what}; read every {point.interval_ms} ms; site document version {site.version}",
        "model": _fed(site, index),
        "parameters": _json({
            "scale": _text(point.scale), "modulus": _text(point.modulus), "limit_per_hour": _text(point.limit),
            "minimum": _text(point.minimum), "maximum": _text(point.maximum), "interval_ms": point.interval_ms,
            "ct": meter.ct, "pt": meter.pt,
        }),
    }  # fmt: skip


def _formed(site, index):
    """Of a manual or virtual point."""
    point = site.all_points[index]
    if point.kind == site_rows.MANUAL:
        signers = [row.name for row in site.operators if row.public is not None]
        others = [row.name for row in site.operators if row.public is None]
        words = ["signed by " + ", ".join(signers)] if signers else []
        words += ["on the terminal's page by " + ", ".join(others)] if others else []
        origin = "entered by hand, " + " or ".join(words)
        processing, sensor = "amounts of whole days, apportioned evenly over them", "none: it is entered"
        parameters = {"minimum": _text(point.minimum), "maximum": _text(point.maximum)}
    else:
        origin, processing = site_formed.lineage(site, point), f"{point.op} of amounts of one period"
        measured = {site.all_points[leaf].meter for leaf, _ in combine.leaves(site, index)} - {None}
        sensor = "; ".join(site.meters[meter].name for meter in sorted(measured)) or "none"
        parameters = {"parts": point.parts, "note": point.note}
    return {
        "origin": origin, "sensor": sensor, "processing": f"{processing}; site document version {site.version}",
        "model": _fed(site, index), "parameters": _json(parameters),
    }  # fmt: skip


def _fed(site, index):
    """The sources that a point feeds, with their methods."""
    fed = [
        f"{source.name}: {_method(source.compiled)}" for source in site.sources
        if any(row[0] == index for feed in source.inputs for row in feed.points)
    ]  # fmt: skip
    return "; ".join(fed) or "none: it feeds no source"


def _source(site, source):
    compiled = source.compiled
    parts, used = [], []
    for feed in source.inputs:
        terms = [f"{site.all_points[p].name} × {above}/{below}" for p, above, below in feed.points]
        parts.append(f"{feed.parameter} = {' + '.join(terms) or 'no point'}")
        used.extend(row[0] for row in feed.points)
    measured = {site.all_points[leaf].meter for index in used for leaf, _ in combine.leaves(site, index)}
    meters = sorted(measured - {None})
    gases = accounting.parts(compiled)
    rows = [*compiled[accounting.CONSTANTS], *(gwp for _, _, gwp in gases)]
    formulas = "; ".join(f"{gas}: {formula.text(steps)}" for gas, steps, _ in gases)
    return {
        "origin": "points " + (", ".join(sorted({site.all_points[index].name for index in used})) or "none"),
        "sensor": "; ".join(f"{site.meters[m].name}: {site.meters[m].model}" for m in meters) or "no meter",
        "processing": "; ".join(parts) or "no input",
        "model": f"{_method(compiled)}, {formulas}",
        "parameters": _json([
            {"name": name, "value": str(Number(mantissa, exponent)), "unit": unit,
             "factor": origin[0] if origin else None, "source": origin[1] if origin else None}
            for name, unit, exponent, mantissa, origin in rows
        ]),
    }  # fmt: skip


def _method(compiled):
    name, version = compiled[accounting.METHOD]
    return f"{name} version {version}, {compiled[accounting.SOURCE]}"


def _text(number):
    return None if number is None else str(number)


def _json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
