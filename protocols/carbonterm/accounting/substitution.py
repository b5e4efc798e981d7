"""What stands for hours without valid data: rules as configuration, and pure functions over hours.

A rule says when an hour is valid, what is substituted ("mass" of the hour, or concentration and flow one by one), how
the availability is counted, and its tiers. A tier is [least availability, longest gap in hours or null, method, number,
lookback in valid hours]; the first that fits is taken:

    adjacent       mean of the valid hour before and the one after the gap (the one there is, at an end)
    percentile     the greater of that mean and the percentile `number` of the valid hours in the lookback
    maximum        the greatest of the valid hours in the lookback
    deviation      mean + `number` × standard deviation of all valid hours
    potential      the maximum potential value, which the user states

Where fewer valid hours than the lookback lie before the gap, `initial` is taken in place of the tier's method (as 40
CFR 75.31 before 75.33), or, if it is null, what there is. An hour whose tier cannot be had stays missing. Values are
integers (see accounting.cems).
"""

from carbonterm import clock
from carbonterm.accounting import cems
from carbonterm.errors import AccountingError, quoted
from carbonterm.number import Number, Ratio, half_even

METHODS = ("adjacent", "percentile", "maximum", "deviation", "potential")
_P75_FLOW = "40 CFR 75.33(c) without its load ranges"

# Basis and confidence: found = a public text of the rule was read; memory = not checked against the print.
RULES = {
    "hj75": {
        "name_zh": "HJ 75-2017 无效数据处理", "name_en": "HJ 75-2017, invalid data", "basis": "memory",
        "confidence": "medium", "source": "HJ 75-2017 clause 12, tables 5 and 6: greatest hourly mass before the gap",
        "valid": ["minutes", 45], "on": "mass", "availability": "quarter", "initial": None,
        "tiers": {"mass": [["0.9", 24, "maximum", None, 180], ["0.9", None, "maximum", None, 720],
                           ["0.75", None, "maximum", None, 2160]]},
    },
    "part75": {
        "name_zh": "美国 40 CFR 75 缺失数据", "name_en": "40 CFR 75, missing data", "basis": "found",
        "confidence": "high", "source": "40 CFR 75.31, 75.33(b), 75.35 for CO2; flow: " + _P75_FLOW,
        "valid": ["quarters", 4], "on": "values", "availability": "8760", "initial": "adjacent",
        "tiers": {
            "c": [["0.95", 24, "adjacent", None, 720], ["0.95", None, "percentile", 90, 720],
                  ["0.9", 8, "adjacent", None, 720], ["0.9", None, "percentile", 95, 720],
                  ["0.8", None, "maximum", None, 720], ["0", None, "potential", None, 720]],
            "q": [["0.95", 24, "adjacent", None, 2160], ["0.95", None, "percentile", 90, 2160],
                  ["0.9", 8, "adjacent", None, 2160], ["0.9", None, "percentile", 95, 2160],
                  ["0.8", None, "maximum", None, 2160], ["0", None, "potential", None, 2160]],
        },
    },
    "mrr": {
        "name_zh": "欧盟 2018/2066 替代值", "name_en": "EU 2018/2066, substitute values", "basis": "found",
        "confidence": "high",
        "source": "EU 2018/2066 Art. 44, 45 and Annex VIII: mean + 2 s over the period; for the flow Art. 45(4) "
                  "asks for a mass or energy balance, in place of which the same is taken here",
        "valid": ["share", "0.8"], "on": "values", "availability": "8760", "initial": None,
        "tiers": {"c": [["0", None, "deviation", 2, None]], "q": [["0", None, "deviation", 2, None]]},
    },
    "none": {
        "name_zh": "不替代", "name_en": "no substitution", "basis": "definition", "confidence": "high", "source": "",
        "valid": ["minutes", 45], "on": "mass", "availability": "quarter", "initial": None, "tiers": {"mass": []},
    },
}  # fmt: skip


def check(rule):
    """AccountingError for what is no rule: for rules that come from outside."""
    fields = ("name_zh", "name_en", "source", "basis", "confidence", "valid", "on", "availability", "initial", "tiers")
    if not isinstance(rule, dict) or sorted(rule) != sorted(fields):
        raise AccountingError("a rule has other fields", "exactly " + ", ".join(fields))
    cems.check_valid(rule["valid"])
    if rule["on"] not in ("mass", "values") or rule["availability"] not in ("quarter", "8760"):
        raise AccountingError("on is mass or values, availability quarter or 8760", "correct the rule")
    wanted = ["mass"] if rule["on"] == "mass" else ["c", "q"]
    if not isinstance(rule["tiers"], dict) or sorted(rule["tiers"]) != wanted:
        raise AccountingError("the tiers of the rule are not those of " + " and ".join(wanted), "give a list for each")
    if rule["initial"] not in (None,) + METHODS:
        raise AccountingError("unknown initial method", "null or one of " + ", ".join(METHODS))
    for name in wanted:
        for tier in rule["tiers"][name]:
            _check_tier(tier)


def _check_tier(tier):
    whole = isinstance(tier, (list, tuple)) and len(tier) == 5 and isinstance(tier[0], str)
    if not whole or tier[2] not in METHODS or Number(tier[0]) < 0 or Number(tier[0]) > 1:
        raise AccountingError("no tier: " + quoted(str(tier)), "[availability, hours, method, number, lookback]")
    for value in (tier[1], tier[3], tier[4]):
        if value is not None and not (isinstance(value, int) and 0 < value <= 26280):
            raise AccountingError("hours, number and lookback are whole numbers or null", "in tier " + str(tier))
    if (tier[2] in ("percentile", "deviation") and tier[3] is None) or (tier[2] == "percentile" and tier[3] > 100):
        raise AccountingError("%s needs a number" % tier[2], "in tier " + str(tier))
    if tier[2] in ("percentile", "maximum") and tier[4] is None:
        raise AccountingError("%s needs a lookback" % tier[2], "in tier " + str(tier))


def substitutes(values, shares, tiers, initial=None, potential=None):
    """[(index, value, how)] for the gaps in `values` (integers, None is missing; hours that the plant ran, in order).

    shares: the availability (Ratio) that counts at each index. how: the method with its data, "maximum of 180 h".
    """
    found, at, before = [], 0, []
    while at < len(values):
        if values[at] is not None:
            before.append(values[at])
            at += 1
            continue
        end = at
        while end < len(values) and values[end] is None:
            end += 1
        gap = _Gap(values, before, at, end, potential)
        for index in range(at, end):
            tier = _tier(tiers, shares[index], end - at)
            if tier is not None:
                value, how = gap.value(tier, initial)
                if value is not None:
                    found.append((index, value, how))
        at = end
    return found


def _tier(tiers, share, length):
    for tier in tiers:
        if share >= Number(tier[0]) and (tier[1] is None or length <= tier[1]):
            return tier
    return None


class _Gap:
    def __init__(self, values, before, at, end, potential):
        self.values, self.before, self.potential = values, before, potential
        sides = ([before[-1]] if before else []) + ([values[end]] if end < len(values) else [])
        self.adjacent = half_even(sum(sides), len(sides)) if sides else None
        self.sides = len(sides)
        self.known = {}

    def value(self, tier, initial):
        """(value or None, how)."""
        _, _, method, number, lookback = tier
        if lookback is not None and initial is not None and len(self.before) < lookback:
            method, number, lookback = initial, None, None
        key = (method, number, lookback)
        if key not in self.known:
            self.known[key] = getattr(self, "_" + method)(number, lookback)
        return self.known[key]

    def _adjacent(self, number, lookback):
        return self.adjacent, "mean of the valid hours beside the gap (%d)" % self.sides

    def _percentile(self, number, lookback):
        looked = sorted(self.before[-lookback:])
        if not looked:
            return self._adjacent(None, None)
        value = looked[-(-len(looked) * number // 100) - 1]  # nearest rank
        if self.adjacent > value:
            return self.adjacent, "mean of the valid hours beside the gap, above percentile %d" % number
        return value, "percentile %d of %d h" % (number, len(looked))

    def _maximum(self, number, lookback):
        looked = self.before[-lookback:]
        return (max(looked) if looked else None), "maximum of %d h" % len(looked)

    def _deviation(self, number, lookback):
        there = [value for value in self.values if value is not None]
        if len(there) < 2:
            return None, ""
        from carbonterm.accounting.uncertainty import sqrt_floor

        n, total = len(there), sum(there)
        squares = sum([value * value for value in there])
        # variance (n-1 in the denominator) × 10^12, so that its root has six digits more than the values
        root = sqrt_floor((n * squares - total * total) * 10**12 // (n * (n - 1)))
        return half_even(total * 10**6 + number * n * root, n * 10**6), "mean + %d s of %d h" % (number, n)

    def _potential(self, number, lookback):
        return self.potential, "maximum potential value"


# --- on hours --------------------------------------------------------------------------------------------------------


def availability(states, starts, kind, zone=480):
    """For each running hour the share (Ratio) of valid ones that counts there: of its calendar quarter, or of the last
    8760 running hours up to it. states: True where valid; starts: their start_ms."""
    shares = []
    if kind == "quarter":
        counts, quarters = {}, []
        for i in range(len(states)):
            year, month = clock.civil(starts[i], zone)[:2]
            quarters.append((year, (month - 1) // 3))
            count = counts.setdefault(quarters[i], [0, 0])
            count[0] += 1 if states[i] else 0
            count[1] += 1
        for quarter in quarters:
            shares.append(Ratio(counts[quarter][0], counts[quarter][1]))
        return shares
    good = 0
    for i in range(len(states)):
        good += 1 if states[i] else 0
        if i >= 8760 and states[i - 8760]:
            good -= 1
        shares.append(Ratio(good, min(i + 1, 8760)))
    return shares


def fill(all_hours, rule, potential=None, zone=480):
    """Fills the MISSING ones of the hours (accounting.cems.Hour) by a rule; number of hours that stay missing.

    potential: {"c": …, "q": …} or {"mass": …}, the maximum potential values as integers, where the rule needs them.
    What was measured is kept: only None becomes a value, and `how` says from what.
    """
    running = [hour for hour in all_hours if hour.state != cems.STOPPED]
    starts = [hour.start_ms for hour in running]
    for name in ("mass",) if rule["on"] == "mass" else ("c", "q"):
        values = [getattr(hour, name) for hour in running]
        shares = availability([value is not None for value in values], starts, rule["availability"], zone)
        most = (potential or {}).get(name)
        for index, value, how in substitutes(values, shares, rule["tiers"][name], rule["initial"], most):
            hour = running[index]
            setattr(hour, name, value)
            hour.how += ("; " if hour.how else "") + name + ": " + how
    left = 0
    for hour in running:
        if hour.state == cems.MISSING:
            if hour.mass is None and hour.c is not None and hour.q is not None:
                hour.weigh()
            if hour.mass is None:
                left += 1
            else:
                hour.state = cems.FILLED
    return left
