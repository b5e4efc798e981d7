"""Manual data as a series: amounts of whole civil days become settlements of days, months and years (6.2, 8.2, 11.2 c).

An amount lies evenly over the days of its period: the sum up to the k-th of n days is amount × k / n, rounded half to
even at 0.001 or at the amount's own last digit: the days add up to the amount. A day is settled when an amount covers
it, a month or year when amounts cover all its days. A correction takes the place of what it names, a rejection leaves
its days unknown; what was settled settles again with the difference, or without a value.

A manual point may also be a value that holds for its days, such as a calorific value: a day has it, a month or year the
mean over its days, and it feeds days and months only. Amounts are entered for this civil year and the one before.
"""

from carbonterm import clock
from carbonterm.clock import DAY, MONTH, YEAR
from carbonterm.errors import SeriesError, quoted
from carbonterm.ledger import manual as records
from carbonterm.number import Number, Ratio, half_even
from carbonterm.series.closing import Settlement

DAY_MS = 86400000
HOUR_MS = 3600000
MEAN_PLACES = 12  # of a mean that has no finite decimal
GOOD, ESTIMATED, INVALID = 0, 1, 3
ENTERED, REVIEWED, REJECTED, REPLACED = range(4)
STATES = ("entered", "reviewed", "rejected", "replaced")


class Amount:
    """An entry of a manual point: [start_ms, end_ms), value (Number), state, digest of its record, who entered it, and
    its basis: by that operator's key or on the page."""

    __slots__ = ("start_ms", "end_ms", "value", "state", "digest", "operator", "basis")

    def __init__(self, start_ms, end_ms, value, state, digest, operator, basis=records.KEY):
        self.start_ms, self.end_ms, self.value, self.state = start_ms, end_ms, value, state
        self.digest, self.operator, self.basis = digest, operator, basis

    def counts(self):
        return self.state in (ENTERED, REVIEWED)

    def between(self, start_ms, end_ms):
        """What of it lies in a period of whole days, a Number."""
        exponent = min(self.value.exponent, -3)
        length, whole = self.end_ms - self.start_ms, self.value.at(exponent)
        upto = [half_even(whole * min(max(at - self.start_ms, 0), length), length) for at in (start_ms, end_ms)]
        return Number(upto[1] - upto[0], exponent)


class Entered:
    """What was entered for one manual point; `since_ms`: from when on it is wanted (start of the civil day on which the
    point came into the site document), None where no clock said. `amounts` are in order of time, `total` is all that
    counts. mean: its amounts are values that hold for their days; a longer period has their mean."""

    def __init__(self, zone, since_ms=None, mean=False):
        self.zone = zone
        self.mean = mean
        self.since_ms = since_ms
        self.amounts = []
        self.total = Number(0)

    def covered(self, start_ms, end_ms):
        """Whether amounts that count cover all days of a period; of one that holds `since`, all from there on."""
        if self.since_ms is not None and start_ms < self.since_ms < end_ms:
            start_ms = self.since_ms
        for one in self.amounts:
            if one.counts() and one.start_ms <= start_ms < one.end_ms:
                start_ms = one.end_ms
        return start_ms >= end_ms

    def figure(self, start_ms, end_ms):
        """(value, quality) of a period, None where it is not covered. Estimated where an amount had to be divided."""
        if not self.covered(start_ms, end_ms):
            return None
        if self.mean:
            return self._mean(start_ms, end_ms)
        value, quality, reached = Number(0), GOOD, start_ms
        for one in self.amounts:
            if one.counts() and one.start_ms < end_ms and start_ms < one.end_ms:
                value = value + one.between(start_ms, end_ms)
                if one.start_ms != reached or one.end_ms > end_ms:
                    quality = ESTIMATED
                reached = one.end_ms
        return value, quality

    def _mean(self, start_ms, end_ms):
        """The mean over the days that are covered; estimated where it is of several values, or not of all days."""
        total, days, count = Ratio(0), 0, 0
        for one in self.amounts:
            length = min(one.end_ms, end_ms) - max(one.start_ms, start_ms)
            if one.counts() and length > 0:
                total = total + one.value.ratio() * (length // DAY_MS)
                days, count = days + length // DAY_MS, count + 1
        mean = total * Ratio(1, days)
        number = mean.number()
        whole = count == 1 and days * DAY_MS == end_ms - start_ms
        return mean.round(MEAN_PLACES) if number is None else number, GOOD if whole else ESTIMATED

    def figures(self, periods, start_ms, end_ms):
        """[(end_ms, period, start_ms, figure)] of the periods that a time touches, in order; periods: DAY or longer."""
        touched = []
        for period in periods:
            at = clock.start(period, start_ms, self.zone)
            while at < end_ms:
                end = clock.end(period, at, self.zone)
                touched.append((end, period, at, self.figure(at, end)))
                at = end
        return sorted(touched, key=lambda row: row[:3])

    def changed(self, figures):
        """The settlements of what is different now from the `figures` of before."""
        found = []
        for end, period, at, before in figures:
            after = self.figure(at, end)
            if before == after:
                continue
            if after is None:
                found.append(Settlement(period, at, end, None, None, None, INVALID, None))
            else:
                value = after[0] if before is None else after[0] - before[0]
                readings = 0 if before is None else None  # None: a difference
                found.append(Settlement(period, at, end, value, None, None, after[1], readings))
        return found

    def add(self, amount):
        self.total = self.total + amount.value
        at = len(self.amounts)
        while at and self.amounts[at - 1].start_ms > amount.start_ms:
            at -= 1
        self.amounts.insert(at, amount)

    def away(self, amount, state):
        amount.state = state
        self.total = self.total - amount.value

    def find(self, digest):
        for one in self.amounts:
            if one.digest == digest:
                return one
        return None

    def largest(self, before_ms):
        """The largest month of the twelve that ended before a moment, a Number; None where none of them is covered or
        above 0: then nothing is known to judge an amount by."""
        found, end_ms = None, clock.start(MONTH, before_ms, self.zone)
        for _ in range(12):
            start_ms = clock.start(MONTH, end_ms - 1, self.zone)
            figure = self.figure(start_ms, end_ms)
            if figure is not None and figure[0] > (found or 0):
                found = figure[0]
            end_ms = start_ms
        return found

    def missing(self, now_ms):
        """[(start_ms, end_ms)] of the months of this year and the last that ended without being covered, since it is
        wanted."""
        found = []
        if self.since_ms is None:
            return found
        at = max(clock.start(MONTH, self.since_ms, self.zone), oldest(now_ms, self.zone))
        end = clock.end(MONTH, at, self.zone)
        while end <= now_ms:
            if not self.covered(at, end):
                found.append((at, end))
            at, end = end, clock.end(MONTH, end, self.zone)
        return found

    def state(self):
        rows = []
        for one in self.amounts:
            value = [one.value.exponent, str(one.value.mantissa)]
            row = [one.start_ms, one.end_ms] + value + [one.state, one.digest, one.operator]
            rows.append(row + [one.basis] if one.basis != records.KEY else row)
        return [self.since_ms, self.total.exponent, str(self.total.mantissa), rows]

    def restore(self, state):
        since_ms, exponent, mantissa, rows = state
        self.since_ms = None if since_ms is None else since_ms + 0
        self.total = Number(int(mantissa), exponent)
        self.amounts = []
        for row in rows:
            start_ms, end_ms, exponent, mantissa, one, digest, operator = row[:7]
            value, basis = Number(int(mantissa), exponent), row[7] if len(row) > 7 else records.KEY
            self.amounts.append(Amount(start_ms + 0, end_ms + 0, value, one + 0, digest, operator, basis))


class Manuals:
    """The manual points of a Site. now_ms: None by an unset clock; before: the Manuals of the document before."""

    def __init__(self, site, now_ms, before=None):
        self.site = site
        self.periods = [period for period in site.settings.closings if period >= DAY]
        since = None if now_ms is None else clock.start(DAY, now_ms, site.zone)
        self.entered = [Entered(site.zone, since, row.mean) for row in site.manual]
        self._signed = None  # what was verified last: a terminal asks before it takes a record, and again by its fold
        self.ordered = {}  # source's name: time of the last order to compute its figures again
        if before is not None:
            self.ordered = before.ordered
            for row, entered in zip(before.site.manual, before.entered):
                for at, other in enumerate(site.manual):
                    same = row.name, row.unit, row.mean, before.site.zone
                    if same == (other.name, other.unit, other.mean, site.zone):
                        self.entered[at] = entered

    def check(self, record, now_ms):
        """SeriesError, with what to do, unless a Record may be taken at now_ms (None: the clock is not set)."""
        site = self.site
        if record.terminal_id != site.terminal_id:
            raise SeriesError("the record is for terminal %s, this is %s" % (record.terminal_id, site.terminal_id))
        keys = [row.public for row in site.operators if row.name == record.operator]
        if not keys:
            known = ", ".join([row.name for row in site.operators[:12]])
            raise SeriesError("no operator is named %s" % quoted(record.operator), "the site document has: " + known)
        self._check_basis(record, keys[0])
        if now_ms is None:
            raise SeriesError("the terminal's clock is not set: it cannot tell which periods are over", "set its clock")
        if record.time_ms > now_ms + HOUR_MS:
            when = clock.text(record.time_ms, site.zone), clock.text(now_ms, site.zone)
            raise SeriesError("the record is of %s, which is still to come: it is %s" % when, "set the clocks right")
        if record.what == records.ENTER:
            self._check_entry(record, now_ms)
        elif record.what == records.REVIEW:
            self._check_review(record)
        else:
            self._check_order(record)

    def take(self, record, now_ms):
        """Takes a Record that `check` let pass: {index of the point: settlements in order}."""
        if record.what == records.RECALCULATE:
            self.ordered[record.name] = record.time_ms
            return {}
        if record.what == records.REVIEW:
            at, amount = self._find(record.of)
            entered = self.entered[at]
            if record.verdict == records.REVIEWED:
                amount.state = REVIEWED
                return {}
            before = entered.figures(self.periods, amount.start_ms, amount.end_ms)
            entered.away(amount, REJECTED)
        else:
            at = [row.name for row in self.site.manual].index(record.name)
            entered = self.entered[at]
            if entered.since_ms is None:
                entered.since_ms = clock.start(DAY, now_ms, self.site.zone)
            limit = oldest(now_ms, self.site.zone)
            entered.amounts = [one for one in entered.amounts if one.end_ms > limit]
            before = entered.figures(self.periods, record.start_ms, record.end_ms)
            if record.of is not None:
                entered.away(entered.find(record.of), REPLACED)
            value = Number(record.mantissa, record.exponent)
            who = record.operator, record.basis
            entered.add(Amount(record.start_ms, record.end_ms, value, ENTERED, record.digest, *who))
        return {len(self.site.points) + at: entered.changed(before)}

    def listed(self, now_ms):
        """Objects for people: a "manual" for each manual point, behind it an "amount" for each that it has, in order of
        time."""
        found, zone = [], self.site.zone
        for row, entered in zip(self.site.manual, self.entered):
            missing = [dates(start, end, zone) for start, end in entered.missing(now_ms)]
            found.append({"event": "manual", "point": row.name, "quantity": row.quantity, "unit": row.unit,
                          "missing": missing, "total": None if row.mean else str(entered.total)})  # fmt: skip
            for one in entered.amounts:
                days = clock.text(one.start_ms, zone)[:10], clock.text(one.end_ms - 1, zone)[:10]
                found.append({"event": "amount", "point": row.name, "from": days[0], "to": days[1],
                              "value": str(one.value), "unit": row.unit, "state": STATES[one.state],
                              "operator": one.operator, "basis": one.basis, "id": hex_of(one.digest),
                              "digest": "".join(["%02x" % byte for byte in one.digest])})  # fmt: skip
        return found

    def state(self):
        return [[one.state() for one in self.entered], [[name, self.ordered[name]] for name in sorted(self.ordered)]]

    def restore(self, state):
        entered, ordered = state
        if len(entered) != len(self.entered):
            raise SeriesError("it has manual points that the site document does not have")
        for one, row in zip(self.entered, entered):
            one.restore(row)
        self.ordered = dict([(name, time_ms + 0) for name, time_ms in ordered])

    def _find(self, digest):
        for at, entered in enumerate(self.entered):
            amount = entered.find(digest)
            if amount is not None:
                return at, amount
        return None, None

    def _check_basis(self, record, public):
        """A record is signed with its operator's key; of one who has none by the site document it comes from the page,
        and is not signed at all."""
        who = quoted(record.operator)
        if record.basis == records.PAGE:
            if public is not None:
                raise SeriesError("%s signs with a key: on the page nothing is entered in this name" % who,
                                  "carbonterm enter … -o FILE, and and give the file")  # fmt: skip
            if record.what == records.RECALCULATE:
                raise SeriesError("an order to compute again is signed with a key", "carbonterm enter recalculate")
            return
        if public is None:
            raise SeriesError("%s has no key by the site document" % who, "enter it on the page, or put a key there")
        signed = record.body, record.signature, public
        if signed != self._signed and not record.signed_by(public):
            raise SeriesError(
                "the record is not signed with the key of %s" % who,
                "sign it with that operator's key, or put the new key into the site document",
            )
        self._signed = signed

    def _check_signed(self, record, amount):
        """What was signed with a key is not changed from the page."""
        if record.basis == records.PAGE and amount.basis == records.KEY:
            raise SeriesError("%s signed the entry %s with a key" % (quoted(amount.operator), hex_of(amount.digest)),
                              "correct or review it with a key: carbonterm enter")  # fmt: skip

    def _check_entry(self, record, now_ms):
        site = self.site
        names = [row.name for row in site.manual]
        if record.name not in names:
            raise SeriesError(
                "there is no manual point %s" % quoted(record.name), "there are: " + (", ".join(names[:12]) or "none")
            )
        row, entered = site.manual[names.index(record.name)], self.entered[names.index(record.name)]
        if record.unit != row.unit:
            raise SeriesError("%s is entered in %s, not in %s" % (quoted(row.name), row.unit, quoted(record.unit)))
        value, low = Number(record.mantissa, record.exponent), row.minimum or 0
        if value < low or (row.maximum is not None and value > row.maximum):
            raise SeriesError(
                "%s %s is outside the range of %s, %s to %s" % (value, row.unit, quoted(row.name), low,
                                                                row.maximum or "…"),
                "correct the amount, or the range in the site document (8.1.1)",
            )  # fmt: skip
        check_period(record.start_ms, record.end_ms, now_ms, site.zone)
        largest = entered.largest(record.start_ms)
        if row.maximum is None and not row.mean and largest is not None and value > largest * 2:
            what = "%s %s is more than twice the largest month of the twelve before, %s (8.1.2)"
            hint = "correct it; where it is right, give the point a max in the site document"
            raise SeriesError(what % (value, row.unit, largest), hint)
        if entered.find(record.digest) is not None:
            raise SeriesError("this record was entered before")
        if record.of is None:
            for one in entered.amounts:
                if one.counts() and one.start_ms < record.end_ms and record.start_ms < one.end_ms:
                    said = dates(one.start_ms, one.end_ms, site.zone), one.value, row.unit
                    raise SeriesError(
                        "%s has an amount of %s: %s %s" % ((quoted(row.name),) + said),
                        "a correction names it: --replaces " + hex_of(one.digest),
                    )
            return
        one = entered.find(record.of)
        if one is None or not one.counts():
            raise SeriesError(
                "%s has no amount %s that counts" % (quoted(row.name), hex_of(record.of)), "see 'carbonterm enter list'"
            )
        self._check_signed(record, one)
        if (one.start_ms, one.end_ms) != (record.start_ms, record.end_ms):
            raise SeriesError(
                "the amount that is corrected is of " + dates(one.start_ms, one.end_ms, site.zone),
                "correct it for the same days, or have it rejected and enter others",
            )

    def _check_review(self, record):
        amount = self._find(record.of)[1]
        if amount is None:
            raise SeriesError("there is no manual entry " + hex_of(record.of), "see 'carbonterm enter list'")
        if amount.operator == record.operator:
            raise SeriesError("%s entered it, and cannot review it" % quoted(record.operator), "ask another operator")
        self._check_signed(record, amount)
        wanted = (ENTERED,) if record.verdict == records.REVIEWED else (ENTERED, REVIEWED)
        if amount.state not in wanted:
            raise SeriesError("the entry %s is %s already" % (hex_of(record.of), STATES[amount.state]))

    def _check_order(self, record):
        names = [row.name for row in self.site.sources]
        if record.name not in names:
            raise SeriesError("there is no source %s" % quoted(record.name), "there are: " + ", ".join(names[:12]))
        if record.time_ms <= self.ordered.get(record.name, -1):
            raise SeriesError("a later order for %s was taken already" % quoted(record.name), "sign a new one")


def check_period(start_ms, end_ms, now_ms, zone):
    """SeriesError unless [start_ms, end_ms) are whole civil days, not more than a calendar month, over by now, and of
    this year or the last."""
    if (start_ms + zone * 60000) % DAY_MS or (end_ms + zone * 60000) % DAY_MS:
        raise SeriesError("a period begins and ends at midnight, in the terminal's zone", "give its days")
    year, month, day = clock.civil(start_ms, zone)[:3]
    longest = clock.month_days(year + month // 12, month % 12 + 1)
    last = clock.days(year, month + 1, min(day, longest)) * DAY_MS - zone * 60000
    if end_ms > last:
        raise SeriesError(
            "%s is longer than a calendar month (11.2 c)" % dates(start_ms, end_ms, zone), "enter it month by month"
        )
    if end_ms > now_ms:
        raise SeriesError(
            "%s is not over: it is %s" % (dates(start_ms, end_ms, zone), clock.text(now_ms, zone)[:10]),
            "enter it when it is",
        )
    if start_ms < oldest(now_ms, zone):
        raise SeriesError(
            "%s is of a year that is closed" % dates(start_ms, end_ms, zone), "this year and the last can be entered"
        )


def oldest(now_ms, zone):
    """Where the civil year before that of now_ms begins."""
    return clock.start(YEAR, clock.start(YEAR, now_ms, zone) - 1, zone)


def dates(start_ms, end_ms, zone):
    """A period's days as text, "2026-10-01 to 2026-10-31"."""
    return "%s to %s" % (clock.text(start_ms, zone)[:10], clock.text(end_ms - 1, zone)[:10])


def hex_of(digest):
    """The first eight bytes of a digest, by which people name a record."""
    return "".join(["%02x" % byte for byte in digest[:8]])
