"""Hours of a rate without valid data, substituted as CEMS rules have it: HJ 75, 40 CFR 75, EU MRR (docs/cems.md).

The rules are the configuration of carbonterm.accounting.substitution; here they are applied to the hourly amounts of a
series, for `carbonterm settle --fill`. A valid hour counts as its mean over the time known, × one hour.
"""

from itertools import groupby, pairwise

from carbonterm import clock
from carbonterm.accounting import substitution
from carbonterm.clock import HOUR
from carbonterm.number import Number, half_even
from carbonterm.series.closing import ESTIMATED, GOOD, SUSPECT, Settlement
from carbonterm.series.instant import INVALID, MEAN, PLACES, Instant

RULES = ("hj75", "part75", "mrr")
HOUR_MS, QUARTER_MS = 3600000, 900000


class Hour:
    """amount: mantissa at PLACES or None; valid: by the rule; how: what it was substituted with, or None."""

    __slots__ = ("amount", "how", "start_ms", "valid")

    def __init__(self, start_ms, amount, valid):
        self.start_ms, self.amount, self.valid, self.how = start_ms, amount, valid, None


def hours(rows, zone, rule, per_ms, interval_ms, valid):
    """The whole Hours of a series of (time_ms, Number); rule between readings, valid: of the substitution's rule."""
    series = Instant(zone, MEAN, rule, 1, interval_ms, None, (HOUR,))
    found = [one for time_ms, value in rows for one in series.feed(time_ms, value)]
    known, quarters = {}, {}
    for (before, _), (after, _) in pairwise(rows):
        at = before
        while interval_ms is not None and after - before <= 2 * interval_ms and at < after:
            start = clock.start(HOUR, at, zone)
            known[start] = known.get(start, 0) + min(after, start + HOUR_MS) - at
            at = start + HOUR_MS
    for time_ms, _ in rows:
        start = clock.start(HOUR, time_ms, zone)
        quarters.setdefault(start, set()).add((time_ms - start) // QUARTER_MS)
    made = []
    for one in found:
        amount = None if one.increment is None else half_even(one.increment.at(-PLACES) * HOUR_MS, per_ms)
        start = one.start_ms
        good = _valid(valid, known.get(start, 0), len(quarters.get(start, ())))
        made.append(Hour(start, amount, amount is not None and good))
    return made


def _valid(rule, known_ms, quarters):
    kind, number = rule
    if kind == "quarters":
        return quarters >= number
    least = Number(number) * (60000 if kind == "minutes" else HOUR_MS)
    return Number(known_ms) >= least


def substitute(made, name, zone):
    """Gives the hours that are not valid what the rule says; [view of each gap], in the order of time."""
    rule = substitution.RULES[name]
    tiers = rule["tiers"].get("mass") or rule["tiers"]["c"]
    values = [one.amount if one.valid else None for one in made]
    shares = substitution.availability(
        [one.valid for one in made], [one.start_ms for one in made], rule["availability"], zone
    )
    total = sum(one.amount or 0 for one in made)
    stands = {index: row for index, *row in substitution.substitutes(values, shares, tiers, rule["initial"])}
    views = []
    for gap, group in groupby(enumerate(made), lambda row: not row[1].valid):
        if not gap:
            continue
        inside, before, hows = list(group), total, []
        for index, one in inside:
            if index in stands:
                total += stands[index][0] - (one.amount or 0)
                one.amount, one.how = stands[index]
                hows.append(one.how)
        first, last = inside[0][1].start_ms, inside[-1][1].start_ms + HOUR_MS
        whole = len(hows) == len(inside)
        views.append({
            "from": clock.text(first, zone), "to": clock.text(last, zone), "method": name, "hours": len(inside),
            "how": ", ".join(dict.fromkeys(hows)), "before": str(Number(before, -PLACES)),
            "after": str(Number(total, -PLACES)) if whole else None,
            "added": str(Number(total - before, -PLACES)) if whole else None,
        })  # fmt: skip
    return views


def settle(made, period, zone):
    """Settlements of the periods of hours; an hour that nothing stands for makes its period suspect."""
    found = []
    for start, group in groupby(made, lambda one: clock.start(period, one.start_ms, zone)):
        parts = list(group)
        amounts = [one.amount for one in parts if one.amount is not None]
        end = clock.end(period, start, zone)
        quality = ESTIMATED if any(one.how for one in parts) or len(parts) * HOUR_MS < end - start else GOOD
        if any(not one.valid and one.how is None for one in parts):
            quality = SUSPECT
        shown = [Number(n, -PLACES) for n in (sum(amounts), max(amounts), min(amounts))] if amounts else [None] * 3
        found.append(Settlement(period, start, end, *shown, quality if amounts else INVALID, len(parts)))
    return found
