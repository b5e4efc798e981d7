"""How uncertain the total of a terminal's log is: amounts of its points, factors of its sources, over a period.

A point's uncertainty is that of its meter's certificate, where it is in per cent, or what is stated with the command;
a factor's is what the library says of it, or what is stated. A calibration's error is the same in all readings, so it
holds for the sum of a year as it does for one of them. The formulas are those of the site document that is in force at
the end of the log, and the total is that of what its boundary has inside, by its shares; sinks stand beside it.
"""

from carbonterm import formula
from carbonterm.accounting.boundary import monitored
from carbonterm.accounting.records import POINT, SOURCE, span
from carbonterm.accounting.source import CONSTANTS, SIGN, kind, parts
from carbonterm.errors import AccountingError, quoted
from carbonterm.number import Number
from carbonterm_host import library, uncertain


def model(site, records, period, given):
    """(Model, {source: what the log recorded}, [point or source that is not wholly known]). period: "2026" or
    "2026-05"; given: {name of a point, id of a factor or "model": short statement}."""
    begin, end = span(period, site.zone)
    found, left, recorded, unknown = uncertain.Model(), dict(given), {}, []
    if uncertain.MODEL in left:
        uncertain.model_error(found, left.pop(uncertain.MODEL))
    factors = library.factors().by_id
    checks = [one for one, _ in monitored(site)]
    whole = {index: Number(1) for index in range(len(site.sources)) if index not in checks}
    shares = site.boundary.inside() if site.boundary else whole
    for place, source in enumerate(site.sources):
        share = shares.get(place)
        if share is None or kind(source.compiled) == "sink":
            continue  # outside of the boundary, or told beside the total
        total = records.total(SOURCE, source.name, begin, end)
        recorded[source.name] = total.value * share
        if total.unknown or not total.parts:
            unknown.append(source.name)
            continue
        names = {}
        for name, _, exponent, mantissa, origin in source.compiled[CONSTANTS]:
            key = origin[0] if origin else f"{source.name}.{name}"
            names[name] = [key]
            factor = factors.get(origin[0]) if origin else None
            fields, how = _factor(left, key, factor)
            found.take(key, Number(mantissa, exponent).ratio(), fields, "factor", how)
        for feed in source.inputs:
            names[feed.parameter] = _sum(feed.points, site)
            for index, _, _ in feed.points:
                point = site.all_points[index]
                value = records.total(POINT, point.name, begin, end)
                if value.unknown:
                    unknown.append(point.name)
                fields, how = _point(left, point, site)
                found.take(point.name, value.value.ratio(), fields, "acquisition", how)
        for _, steps, gwp in parts(source.compiled):
            written = []
            for step in steps:
                written += names[step] if isinstance(step, str) else [step]
            scale = Number(gwp[3], gwp[2]).ratio() * source.compiled[SIGN] * share
            found.terms.append((source.name, written, scale))
    for name in left:
        raise AccountingError(f"{quoted(name)} is no point and no factor of these sources", ", ".join(found.inputs))
    if not found.terms:
        raise AccountingError(f"no source has whole figures in {period}", "choose another --period")
    return found, recorded, unknown


def _sum(points, site):
    """Steps for the sum of points, each times its ratio."""
    steps = []
    for place, (index, numerator, denominator) in enumerate(points):
        steps += [site.all_points[index].name, [0, abs(numerator)], formula.MULTIPLY, [0, denominator], formula.DIVIDE]
        if numerator < 0:
            steps.append(formula.NEGATE)
        if place:
            steps.append(formula.ADD)
    return steps


def _factor(left, key, factor):
    if key in left:
        return uncertain.fields_of(left.pop(key)), "stated"
    fields = None if factor is None else uncertain.of_factor(factor.uncertainty, factor.value)
    return fields, "" if fields is None else f"factor {key}: {factor.uncertainty}"


def _point(left, point, site):
    if point.name in left:
        return uncertain.fields_of(left.pop(point.name)), "stated"
    meter = None if point.meter is None else site.meters[point.meter]
    certificate = None if meter is None else meter.certificate
    if certificate is None or certificate.uncertainty is None or certificate.unit != "%":
        return None, ""
    fields = {"U": f"{certificate.uncertainty}%", "k": str(certificate.k or 2)}
    return fields, f"certificate {certificate.number} of {meter.name}"
