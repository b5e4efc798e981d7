"""Manual data: who may give what, how it settles, what corrections and rejections do; replay gives the same."""

import pytest

from carbonterm import cbor, clock
from carbonterm.errors import CarbonError, LedgerError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry as entries
from carbonterm.ledger import manual as records
from carbonterm.number import Number
from carbonterm.pipeline import Pipeline, Replay
from carbonterm.series.manual import check_period
from carbonterm.site import Site
from forming import formed
from seeded import Random
from sites import compiled, document

ZONE = 480
DAY = 86400000
ZHANG, LI, EVE = [sm2.Signer(bytes(31) + bytes([one])) for one in (9, 10, 11)]
BEGIN = clock.parse("2026-02-10T10:00:00+08:00")
NOW = clock.parse("2026-04-02T09:00:00+08:00")
COAL = 3  # behind the three points of meters


def at(text):
    return clock.parse(text + "T00:00:00+08:00")


def site(version=1, factor="0.8", more=()):
    """Three meters, coal in t by hand; one source of coal alone, one of coal and the first meter."""
    number = Number(factor)
    kiln = compiled("C", 1, "coal*EF", [["coal", "t"]], [["EF", "tCO2/t", number.exponent, number.mantissa]])
    both = compiled("B", 1, "coal*2+AD", [["coal", "t"], ["AD", "MWh"]], [])
    sources = [
        ["kiln", kiln, [["coal", [[COAL, 1, 1]]]]],
        ["both", both, [["coal", [[COAL, 1, 1]]], ["AD", [[0, 1, 1000]]]]],
    ]
    people = [["zhang", ZHANG.public], ["li", LI.public]]
    manual = [["coal", "mass", "t", None, [5000, 0], False]] + [list(row) for row in more]
    return formed(people, manual, sources=sources, version=version)


class Log:
    """A log in memory with the terminal's manners: a record that is refused is not appended."""

    def __init__(self):
        self.pipeline = Pipeline()
        self.entries = []

    def put(self, time_ms, kind, body, state=2):
        raw = entries.encode("CT-TEST-1", 0, len(self.entries), time_ms, state, kind, body)
        self.entries.append(entries.decode(raw))
        if kind not in (entries.CLOSING, entries.EMISSION):
            for when, clock_state, kind, body in self.pipeline.fold(self.entries[-1]):
                self.put(when, kind, body, clock_state)

    def configure(self, time_ms=BEGIN, doc=None):
        data = Site(doc or site()).canonical()
        self.put(time_ms, entries.CONFIG, [sm3.digest(data), data])

    def give(self, record, time_ms=NOW, state=2):
        self.pipeline.admit(record, None if state == 0 else time_ms)
        self.put(time_ms, entries.MANUAL, [record.body, record.signature], state)
        return record.digest

    def refused(self, record, time_ms=NOW):
        with pytest.raises(CarbonError) as caught:
            self.give(record, time_ms)
        size = len(self.entries)
        before = self.state()
        self.put(time_ms, entries.MANUAL, [record.body, record.signature])  # which a terminal would not do
        assert len(self.entries) == size + 1 and self.state() == before
        print(caught.value)
        return str(caught.value)

    def state(self):
        """All but the time of the last entry."""
        found = self.pipeline.state()
        return cbor.encode(found[:3] + found[4:])

    def closings(self, point=COAL):
        """{(period, first day): [(quality, value or None), …]} of a point, in the log's order."""
        found = {}
        for one in self.entries:
            if one.kind == entries.CLOSING:
                for row in one.body[2]:
                    if row[0] == point:
                        key = one.body[0], clock.text(one.body[1], ZONE)[:10]
                        value = None if row[3] is None else str(Number(row[3], row[2]))
                        found.setdefault(key, []).append((row[1], value))
        return found

    def figures(self, source, period, first):
        """[(version, quality, tCO2e or None, reason)] of a source."""
        found = []
        for one in self.entries:
            if one.kind == entries.EMISSION and one.body[:2] == [period, at(first)]:
                for row in one.body[3]:
                    if row[0] == source:
                        value = None if row[3] is None else str(Number(row[3], row[2]))
                        found.append((one.body[2], row[1], value, one.body[4] if len(one.body) > 4 else ""))
        return found

    def replayed(self):
        replay = Replay()
        wrong = [finding for finding in [replay.entry(one) for one in self.entries] if finding]
        assert wrong == [] and not replay.owes()
        assert cbor.encode(replay.state()[2]) == cbor.encode(self.pipeline.state())


def amount(first, last, value, unit="t", name="coal", of=None, who="zhang", key=ZHANG, time_ms=NOW,
           terminal="CT-TEST-1"):  # fmt: skip
    """The record of an amount of the days first to last."""
    number = Number(value)
    fields = [name, at(first), at(last) + DAY, number.exponent, number.mantissa, unit, [["a.pdf", bytes(32)]], "", of]
    return records.make(terminal, who, time_ms, records.ENTER, fields, key.sign)


def review(of, verdict, who="li", key=LI, note="", time_ms=NOW):
    return records.make("CT-TEST-1", who, time_ms, records.REVIEW, [of, verdict, note], key.sign)


def order(source, first, last, reason="factor confirmed", time_ms=NOW):
    fields = [source, at(first), at(last) + DAY, reason]
    return records.make("CT-TEST-1", "zhang", time_ms, records.RECALCULATE, fields, ZHANG.sign)


@pytest.mark.slow
@pytest.mark.requirement("T-6.2-2", part="an amount with period, unit and evidence settles and gives an emission")
@pytest.mark.requirement("T-11.3-13", part="entry, evidence, review")
def test_a_month_settles_its_days_and_itself_and_gives_an_emission():
    log = Log()
    log.configure()
    log.give(amount("2026-03-01", "2026-03-31", "100"))
    found = log.closings()
    days = [found[key] for key in sorted(found) if key[0] == clock.DAY]
    assert len(days) == 31 and found[(clock.MONTH, "2026-03-01")] == [(0, "100.000")]
    total = Number(0)
    for ((quality, value),) in days:
        total = total + Number(value)
        assert quality == 1 and value in ("3.225", "3.226", "3.227")
    assert total == 100
    assert log.figures(0, clock.MONTH, "2026-03-01") == [(1, 0, "80.000000", "")]
    assert log.figures(0, clock.DAY, "2026-03-01") == [(1, 1, "2.580800", "")]
    assert log.figures(1, clock.MONTH, "2026-03-01") == []  # the meter of the other source is silent: unknown
    assert log.pipeline.total(COAL) == 100
    print(sorted(found.items())[:3], log.pipeline.state()[4])
    log.replayed()


@pytest.mark.slow
def test_a_correction_is_the_next_version_and_closings_sum_to_the_new_amount():
    log = Log()
    log.configure()
    first = log.give(amount("2026-03-01", "2026-03-31", "100"))
    second = log.give(amount("2026-03-01", "2026-03-31", "93", of=first))
    assert log.closings()[(clock.MONTH, "2026-03-01")] == [(0, "100.000"), (0, "-7.000")]
    assert log.figures(0, clock.MONTH, "2026-03-01") == [
        (1, 0, "80.000000", ""), (2, 0, "74.400000", "corrected by zhang, entry 66"),
    ]  # fmt: skip
    assert log.pipeline.total(COAL) == 93
    assert "no amount" in log.refused(amount("2026-03-01", "2026-03-31", "94", of=first))  # it was replaced
    assert "same days" in log.refused(amount("2026-03-01", "2026-03-30", "94", of=second))
    assert "before" in log.refused(amount("2026-03-01", "2026-03-31", "93", of=first))
    log.replayed()


def test_a_rejection_leaves_the_month_unknown_until_another_amount_comes():
    log = Log()
    log.configure()
    first = log.give(amount("2026-03-01", "2026-03-31", "100"))
    log.give(review(first, records.REVIEWED))
    log.give(review(first, records.REJECTED, note="weighed twice"))
    assert log.closings()[(clock.MONTH, "2026-03-01")] == [(0, "100.000"), (3, None)]
    assert log.pipeline.total(COAL) == 0
    assert "before" in log.refused(amount("2026-03-01", "2026-03-31", "100"))  # the same bytes again
    log.give(amount("2026-03-01", "2026-03-31", "50"))
    assert log.closings()[(clock.MONTH, "2026-03-01")] == [(0, "100.000"), (3, None), (0, "50.000")]
    found = log.figures(0, clock.MONTH, "2026-03-01")
    assert [row[:3] for row in found] == [(1, 0, "80.000000"), (2, 3, None), (3, 0, "40.000000")]
    assert found[1][3].startswith("rejected by li, entry") and found[1][3].endswith(": weighed twice")
    log.replayed()


def test_a_month_in_parts_waits_for_its_last_day():
    log = Log()
    log.configure()
    log.give(amount("2026-03-16", "2026-03-31", "60.5"))
    assert (clock.MONTH, "2026-03-01") not in log.closings()
    log.give(amount("2026-02-16", "2026-03-15", "28"))  # over the border of two months: a day has one ton
    assert log.closings()[(clock.MONTH, "2026-03-01")] == [(1, "75.500")]
    assert (clock.MONTH, "2026-02-01") not in log.closings()
    log.give(amount("2026-02-10", "2026-02-15", "6"))  # the point is wanted from the tenth on
    assert log.closings()[(clock.MONTH, "2026-02-01")] == [(1, "19.000")]
    assert [span for span in log.pipeline.manuals.entered[0].missing(NOW)] == []
    log.replayed()


@pytest.mark.slow
def test_a_source_of_a_meter_and_of_hand_waits_for_both():
    log = Log()
    log.configure()
    start = at("2026-03-01")
    for day in range(33):
        log.put(start + day * DAY, entries.READINGS, [[[0, 0, 0, 0, 100 * day]], None])
    assert log.figures(1, clock.MONTH, "2026-03-01") == []
    log.give(amount("2026-03-01", "2026-03-31", "31"))
    assert log.figures(1, clock.MONTH, "2026-03-01") == [(1, 0, "65.100000", "")]
    assert log.figures(1, clock.DAY, "2026-03-31") == [(1, 1, "2.100000", "")]
    assert [one for one in log.entries if one.kind == entries.EMISSION and one.body[0] == clock.HOUR] == []
    log.replayed()


@pytest.mark.requirement("T-9.2-5", part="a new factor, late data: a new version beside the old, with the reason")
def test_an_order_computes_again_with_the_factor_in_force_and_old_figures_stay():
    log = Log()
    log.configure()
    log.give(amount("2026-02-10", "2026-02-28", "19"))
    log.give(amount("2026-03-01", "2026-03-31", "100"))
    old = log.figures(0, clock.MONTH, "2026-03-01")
    log.configure(NOW, site(version=2, factor="0.9"))
    assert log.figures(0, clock.MONTH, "2026-03-01") == old  # a new document changes no figure by itself
    log.give(order("kiln", "2026-03-01", "2026-03-31"))
    assert log.figures(0, clock.MONTH, "2026-03-01") == old + [(2, 0, "90.000000", "zhang: factor confirmed")]
    assert log.figures(0, clock.DAY, "2026-03-01")[-1][0] == 2
    assert len(log.figures(0, clock.MONTH, "2026-02-01")) == 1
    assert "later order" in log.refused(order("kiln", "2026-03-01", "2026-03-31", "again"))
    assert "no source" in log.refused(order("oven", "2026-03-01", "2026-03-31", time_ms=NOW + 1))
    log.replayed()


@pytest.mark.slow
def test_late_amounts_after_a_new_document_still_meet_what_waits():
    log = Log()
    log.configure()
    for day in range(33):
        log.put(at("2026-03-01") + day * DAY, entries.READINGS, [[[0, 0, 0, 0, 100 * day]], None])
    log.configure(NOW, site(version=2, more=[["diesel", "mass", "t", None, None, False]]))
    log.give(amount("2026-03-01", "2026-03-31", "31"))
    assert log.figures(1, clock.MONTH, "2026-03-01") == [(1, 0, "65.100000", "")]
    log.replayed()


@pytest.mark.slow
def test_a_year_is_settled_by_its_last_month_and_last_year_can_still_be_corrected():
    log, late = Log(), clock.parse("2027-02-01T09:00:00+08:00")
    log.configure()
    first = log.give(amount("2026-02-10", "2026-02-28", "10"), late)
    for month in range(3, 13):
        text = "2026-%02d" % month
        log.give(amount(text + "-01", text + "-%d" % clock.month_days(2026, month), "10"), late)
    assert log.closings()[(clock.YEAR, "2026-01-01")] == [(1, "110.000")]  # it is wanted since February
    assert log.figures(0, clock.YEAR, "2026-01-01") == [(1, 1, "88.000000", "")]
    log.give(amount("2026-02-10", "2026-02-28", "20", of=first), late)
    assert log.closings()[(clock.YEAR, "2026-01-01")][1:] == [(1, "10.000")]
    assert log.figures(0, clock.YEAR, "2026-01-01")[1][:3] == (2, 1, "96.000000")
    assert "year that is closed" in log.refused(amount("2026-01-01", "2026-01-31", "1"), late + 365 * DAY)
    log.replayed()


REFUSED = (
    (dict(name="gas"), "no manual point 'gas'"),
    (dict(unit="kg"), "in t, not in 'kg'"),
    (dict(first="2026-03-01", last="2026-04-02"), "longer than a calendar month"),
    (dict(first="2026-04-01", last="2026-04-30"), "not over"),
    (dict(first="2024-12-01", last="2024-12-31"), "closed"),
    (dict(value="5000.1"), "outside the range"),
    (dict(value="-1"), "outside the range"),
    (dict(who="wang", key=EVE), "no operator"),
    (dict(key=EVE), "not signed"),
    (dict(terminal="CT-TEST-2"), "for terminal"),
    (dict(of=bytes(32)), "no amount 0000000000000000"),
    (dict(time_ms=NOW + 3600001), "still to come"),
)


@pytest.mark.slow
@pytest.mark.requirement("T-11.2-4", part="a period longer than a calendar month is refused")
def test_what_is_refused_changes_nothing():
    log = Log()
    log.configure()
    for given, what in REFUSED:
        words = {"first": "2026-03-01", "last": "2026-03-31", "value": "10"}
        words.update(given)
        assert what in log.refused(amount(**words)), what
    first = log.give(amount("2026-03-01", "2026-03-20", "10"))
    for days in (("2026-03-20", "2026-03-31"), ("2026-02-20", "2026-03-01"), ("2026-03-05", "2026-03-06")):
        assert "has an amount of 2026-03-01 to 2026-03-20" in log.refused(amount(days[0], days[1], "10"))
    assert "cannot review" in log.refused(review(first, records.REVIEWED, "zhang", ZHANG))
    assert "no manual entry" in log.refused(review(bytes(32), records.REVIEWED))
    log.give(review(first, records.REVIEWED))
    assert "reviewed already" in log.refused(review(first, records.REVIEWED, note="twice"))
    with pytest.raises(CarbonError, match="clock is not set"):
        log.give(amount("2026-03-21", "2026-03-31", "1"), NOW, 0)
    log.replayed()


@pytest.mark.requirement("T-8.1.2-1", part="amounts entered by hand")
def test_an_amount_is_at_most_twice_the_largest_month_before():
    log = Log()
    log.configure(doc=site(more=[["diesel", "mass", "t", None, None, False]]))
    log.give(amount("2026-02-01", "2026-02-28", "1000", name="diesel"))  # nothing to judge it by
    assert "twice the largest month" in log.refused(amount("2026-03-01", "2026-03-31", "2000.1", name="diesel"))
    log.give(amount("2026-03-01", "2026-03-31", "2000", name="diesel"))
    log.give(amount("2026-01-01", "2026-01-31", "9000", name="diesel"))  # no month before it
    log.replayed()


@pytest.mark.requirement("T-8.3.2-5", part="by another datum; a division by a zero production is marked")
@pytest.mark.slow
def test_what_is_made_of_entered_data_follows_corrections():
    steel, half, each = ["steel", "mass", "t", None, None, False], "sum", "quotient"
    virtual = [["half", "mass", "t", half, [[COAL, 1, 2]], None],
               ["per", "ratio", "1", each, [[COAL, 1, 1], [COAL + 1, 1, 1]], None],
               ["again", "ratio", "1", half, [[COAL + 3, 2, 1]], None]]  # fmt: skip
    number = Number("0.8")
    kiln = compiled("C", 1, "coal*EF", [["coal", "t"]], [["EF", "tCO2/t", number.exponent, number.mantissa]])
    people = [["zhang", ZHANG.public], ["li", LI.public]]
    sources = [["kiln", kiln, [["coal", [[COAL + 2, 1, 1]]]]], ["odd", kiln, [["coal", [[COAL + 4, 1, 1]]]]]]
    log = Log()
    log.configure(doc=formed(people, [["coal", "mass", "t", None, None, False], steel], virtual, sources=sources))
    first = log.give(amount("2026-03-01", "2026-03-31", "100"))
    month = (clock.MONTH, "2026-03-01")
    assert log.closings(COAL + 2)[month] == [(0, "50")] and month not in log.closings(COAL + 3)
    zero = log.give(amount("2026-03-01", "2026-03-31", "0", name="steel"))
    assert log.closings(COAL + 3)[month] == [(3, None)] and log.closings(COAL + 4)[month] == [(3, None)]
    assert [row[:3] for row in log.figures(1, clock.MONTH, "2026-03-01")] == [(1, 3, None)]
    log.give(amount("2026-03-01", "2026-03-31", "40", name="steel", of=zero))
    second = log.give(amount("2026-03-01", "2026-03-31", "90", of=first))
    assert log.closings(COAL + 2)[month] == [(0, "50"), (0, "-5")]
    assert log.closings(COAL + 3)[month] == [(3, None), (0, "2.5"), (0, "-0.25")]
    assert log.closings(COAL + 4)[month] == [(3, None), (0, "5"), (0, "-0.5")]
    log.give(review(second, records.REJECTED))
    assert log.closings(COAL + 2)[month][-1] == (3, None) and log.pipeline.total(COAL + 2) == 0
    assert [row[:3] for row in log.figures(0, clock.MONTH, "2026-03-01")] == [
        (1, 0, "40.000000"), (2, 0, "36.000000"), (3, 3, None),
    ]  # fmt: skip
    assert [row[:3] for row in log.figures(1, clock.MONTH, "2026-03-01")] == [
        (1, 3, None), (2, 0, "4.000000"), (3, 0, "3.600000"), (4, 3, None),
    ]  # fmt: skip
    print(log.closings(COAL + 4)[month])
    log.replayed()


@pytest.mark.requirement("T-6.2-2", part="a measured value by month, such as a calorific value, beside its amount")
@pytest.mark.slow
def test_a_value_that_holds_is_averaged_and_feeds_days_and_months_only():
    heat = compiled("H", 1, "coal*NCV", [["coal", "t"], ["NCV", "GJ/t"]], [])
    sources = [["kiln", heat, [["coal", [[COAL, 1, 1]]], ["NCV", [[COAL + 1, 1, 1]]]]]]
    manual = [["coal", "mass", "t", None, None, False], ["ncv", "calorific value", "GJ/t", None, None, True]]
    log = Log()
    log.configure(doc=formed([["zhang", ZHANG.public], ["li", LI.public]], manual, sources=sources))
    log.give(amount("2026-03-01", "2026-03-31", "100"))
    first = log.give(amount("2026-03-01", "2026-03-31", "20.5", unit="GJ/t", name="ncv"))
    found = log.closings(COAL + 1)
    assert found[(clock.MONTH, "2026-03-01")] == [(0, "20.5")] and found[(clock.DAY, "2026-03-07")] == [(0, "20.5")]
    assert log.figures(0, clock.MONTH, "2026-03-01") == [(1, 0, "2050.000000", "")]
    second = log.give(amount("2026-03-01", "2026-03-31", "20", unit="GJ/t", name="ncv", of=first))
    assert log.closings(COAL + 1)[(clock.MONTH, "2026-03-01")][1:] == [(0, "-0.5")]
    assert log.figures(0, clock.MONTH, "2026-03-01")[1][:3] == (2, 0, "2000.000000")
    log.give(review(second, records.REJECTED))
    log.give(amount("2026-03-01", "2026-03-11", "21", unit="GJ/t", name="ncv"))
    log.give(amount("2026-03-12", "2026-03-31", "20", unit="GJ/t", name="ncv"))
    assert log.closings(COAL + 1)[(clock.MONTH, "2026-03-01")][-1] == (1, "20.354838709677")
    assert log.figures(0, clock.MONTH, "2026-03-01")[-1][:3] == (4, 1, "2035.483871")
    assert log.pipeline.total(COAL + 1) is None and log.pipeline.emitted(0) is None
    assert [one for one in log.entries if one.kind == entries.EMISSION and one.body[0] == clock.YEAR] == []
    log.replayed()
    sources[0][2][1][1].append([COAL, 1, 1])
    with pytest.raises(CarbonError, match="no running total"):
        Site(formed([["zhang", ZHANG.public]], manual, sources=sources))


def test_a_share_that_changes_holds_for_what_is_corrected_later():
    log = Log()
    people, coal = [["zhang", ZHANG.public], ["li", LI.public]], ["coal", "mass", "t", None, None, False]
    for version, share, value in ((1, 6, None), (2, 5, "90")):
        virtual = [["shop", "mass", "t", "sum", [[COAL, share, 10]], None]]
        log.configure(BEGIN if version == 1 else NOW, formed(people, [coal], virtual, version=version))
        if value is None:
            first = log.give(amount("2026-03-01", "2026-03-31", "100"))
    log.give(amount("2026-03-01", "2026-03-31", "90", of=first))
    assert log.closings(COAL + 1)[(clock.MONTH, "2026-03-01")] == [(0, "60"), (0, "-15")]  # 45 in all: half of 90
    log.replayed()


def test_a_difference_to_what_is_no_longer_kept_changes_no_figure():
    log = Log()
    log.configure()
    first = log.give(amount("2026-03-01", "2026-03-31", "100"))
    log.pipeline.figures.kept.clear()  # as where there were more figures than are kept
    log.give(amount("2026-03-01", "2026-03-31", "90", of=first))
    assert log.closings()[(clock.MONTH, "2026-03-01")] == [(0, "100.000"), (0, "-10.000")]
    assert [row[:3] for row in log.figures(0, clock.MONTH, "2026-03-01")] == [(1, 0, "80.000000")]


def test_without_operators_nobody_may_enter_anything():
    log = Log()
    log.configure(doc=document())
    assert "nobody may enter" in log.refused(amount("2026-03-01", "2026-03-31", "100"))
    assert len(log.pipeline.state()) == 4
    log.replayed()


def paged(first, last, value, who="wang", of=None):
    """The record of an amount of coal that a user of the page gives."""
    number = Number(value)
    fields = ["coal", at(first), at(last) + DAY, number.exponent, number.mantissa, "t", [], "", of]
    return records.make("CT-TEST-1", who, NOW, records.ENTER, fields, lambda body: None)


def verdict(of, said, who="zhao", key=None):
    """The record of a review, of the page where there is no key."""
    return records.make("CT-TEST-1", who, NOW, records.REVIEW, [of, said, ""], key.sign if key else lambda body: None)


def test_what_comes_from_the_page_is_marked_and_touches_nothing_that_a_key_signed():
    people = [["zhang", ZHANG.public], ["li", LI.public], ["wang", None], ["zhao", None]]
    sources = [["kiln", compiled("C", 1, "coal*2", [["coal", "t"]], []), [["coal", [[COAL, 1, 1]]]]]]
    doc, log = formed(people, [["coal", "mass", "t", None, None, False]], sources=sources), Log()
    page = ["0.0.0.0", 8443, "page.crt", "page.key", "page.users"]
    doc += [[]] * (16 - len(doc)) + [page]
    log.configure(doc=doc)
    signed = log.give(amount("2026-03-01", "2026-03-31", "100"))
    assert "signs with a key" in log.refused(paged("2026-02-10", "2026-02-28", "5", "zhang"))
    assert "has no key" in log.refused(amount("2026-02-10", "2026-02-28", "5", who="wang"))
    assert "no operator" in log.refused(paged("2026-02-10", "2026-02-28", "5", "eve"))
    assert "signed the entry" in log.refused(paged("2026-03-01", "2026-03-31", "90", of=signed))
    assert "signed the entry" in log.refused(verdict(signed, records.REJECTED))
    again = records.make("CT-TEST-1", "wang", NOW, records.RECALCULATE, ["kiln", at("2026-03-01"), NOW, "x"],
                         lambda body: None)  # fmt: skip
    assert "signed with a key" in log.refused(again)
    first = log.give(paged("2026-02-10", "2026-02-28", "5"))
    second = log.give(paged("2026-02-10", "2026-02-28", "6", of=first))
    assert "cannot review" in log.refused(verdict(second, records.REVIEWED, "wang"))
    log.give(verdict(second, records.REVIEWED))
    other = Pipeline()
    other.restore(cbor.decode(cbor.encode(log.pipeline.state())))
    assert cbor.encode(other.state()) == cbor.encode(log.pipeline.state())
    rows = [(row["operator"], row["basis"], row["state"]) for row in other.manuals.listed(NOW) if "basis" in row]
    print(rows)
    assert sorted(rows) == [("wang", "page", "replaced"), ("wang", "page", "reviewed"), ("zhang", "key", "entered")]
    why = [row[3] for row in log.figures(0, clock.MONTH, "2026-02-01")]
    assert why[1].startswith("corrected by wang on the page, entry "), why
    log.give(verdict(second, records.REJECTED, "li", LI))  # a key may do all
    with pytest.raises(LedgerError, match="not signed"):
        records.Record.decode(paged("2026-03-01", "2026-03-31", "1").encode())  # only the page itself may say so
    with pytest.raises(CarbonError, match="there is no page"):
        Site(doc[:14])
    log.replayed()


def test_periods_are_whole_days_up_to_a_month():
    for first, last in (("2026-01-31", "2026-02-27"), ("2026-03-01", "2026-03-31"), ("2026-02-15", "2026-03-14"),
                        ("2025-01-01", "2025-01-01")):  # fmt: skip
        check_period(at(first), at(last) + DAY, NOW, ZONE)
    for first, last in (("2026-01-31", "2026-02-28"), ("2026-02-01", "2026-03-01"), ("2025-12-15", "2026-01-15")):
        with pytest.raises(CarbonError, match="longer"):
            check_period(at(first), at(last) + DAY, NOW, ZONE)
    with pytest.raises(CarbonError, match="midnight"):
        check_period(at("2026-03-01") + 1, at("2026-03-02"), NOW, ZONE)


def test_a_month_that_ended_without_an_amount_is_missing():
    log = Log()
    log.configure()
    entered = log.pipeline.manuals.entered[0]
    assert entered.missing(BEGIN) == []
    months = [clock.text(start, ZONE)[:7] for start, _ in entered.missing(NOW)]
    assert months == ["2026-02", "2026-03"]
    log.give(amount("2026-03-01", "2026-03-31", "1"))
    assert [clock.text(start, ZONE)[:7] for start, _ in entered.missing(NOW)] == ["2026-02"]


@pytest.mark.slow
def test_random_entries_in_any_order_sum_exactly_and_a_snapshot_at_any_point_goes_on_the_same():
    random = Random(17)
    for _ in range(2):
        log, day, given = Log(), at("2025-11-01"), []
        log.configure(day)
        while day < at("2026-03-20"):
            days = 1 + random.below(28)
            last = min(day + days * DAY, at("2026-04-01"))
            given.append((day, last, Number(random.below(10**6), -random.below(5))))
            day = last
        while given:
            first, last, value = given.pop(random.below(len(given)))
            value = value if value < 5000 else Number(5)
            record = amount(clock.text(first, ZONE)[:10], clock.text(last - 1, ZONE)[:10], str(value))
            digest = log.give(record)
            if random.below(3) == 0:
                log.give(amount(clock.text(first, ZONE)[:10], clock.text(last - 1, ZONE)[:10], "7.77", of=digest))
            other = Pipeline()
            other.restore(cbor.decode(cbor.encode(log.pipeline.state())))
            assert cbor.encode(other.state()) == cbor.encode(log.pipeline.state())
            log.pipeline = other
        sums = {}
        for (period, _), rows in log.closings().items():
            for _, value in rows:
                sums[period] = sums.get(period, Number(0)) + Number(value)
        total = log.pipeline.total(COAL)
        assert sums[clock.DAY] == total
        print(total, str(sums[clock.DAY]), str(sums[clock.MONTH]), len(log.entries))
        log.replayed()


def test_records_that_are_none():
    good = amount("2026-03-01", "2026-03-31", "100")
    assert records.Record.decode(good.encode()).digest == good.digest
    random = Random(3)
    taken = 0
    for _ in range(400):
        data = bytearray(good.encode())
        for _ in range(1 + random.below(3)):
            data[random.below(len(data))] = random.below(256)
        data = bytes(data[: len(data) - random.below(3)]) if random.below(4) == 0 else bytes(data)
        try:
            found = records.Record.decode(data)
            assert found.encode() == data
            taken += found.signed_by(ZHANG.public, lambda *_: True)
        except LedgerError as error:
            assert error.what
    print(taken)
    for fields, what in (
        (["coal", 5, 5, 0, 1, "t", [], "", None], "ends before"),
        (["coal", 0, 5, 401, 1, "t", [], "", None], "exponent"),
        (["", 0, 5, 0, 1, "t", [], "", None], "name"),
        (["coal", 0, 5, 0, 1, "t", [["a", b""]], "", None], "evidence"),
        (["coal", 0, 5, 0, 1, "t", [["a", bytes(32)]] * 9, "", None], "evidence"),
        (["coal", 0, 5, 0, 1, "t", [], "", b"x"], "of"),
    ):
        with pytest.raises(LedgerError, match=what):
            records.make("CT-TEST-1", "zhang", NOW, records.ENTER, fields, ZHANG.sign)
    with pytest.raises(LedgerError, match="note"):
        records.make("CT-TEST-1", "zhang", NOW, records.RECALCULATE, ["kiln", 0, 5, "  "], ZHANG.sign)
    for body in (b"", cbor.encode([]), cbor.encode(["carbonterm-manual-2", "T", "o", 1, "enter"]), bytes(1601)):
        with pytest.raises(LedgerError):
            records.Record(body, bytes(64))
    with pytest.raises(LedgerError, match="64 bytes"):
        records.Record(good.body, bytes(63))
