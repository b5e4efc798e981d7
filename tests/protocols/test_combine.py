"""Virtual points: every way to combine, exactly; shares to the last digit; what is missing stays unknown (8.3.2)."""

import pytest

from carbonterm import cbor, clock
from carbonterm.errors import CarbonError, SeriesError, SiteError
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.number import Number
from carbonterm.pipeline import Pipeline, Replay
from carbonterm.series import combine
from carbonterm.site import Site, decode
from carbonterm.site_changes import changes
from forming import formed
from seeded import Random
from sites import compiled

HOUR = 3600000
BEGIN = clock.parse("2026-03-01T00:00:00+08:00")
# E1 and E2 (kWh), G1 (Nm3) are 0 to 2; what is made of them begins at 3
SUM = ["total", "energy", "kWh", "sum", [[0, 1, 1], [1, 1, 1]], None]
NET = ["net", "energy", "kWh", "sum", [[0, 1, 1], [1, -1, 1]], None]
HEAT = ["heat", "heat", "GJ", "sum", [[2, 38931, 1000000]], "measured"]
PER = ["per", "ratio", "kWh/Nm3", "quotient", [[0, 1, 1], [2, 1, 1]], None]
TIMES = ["times", "ratio", "kWh.Nm3", "product", [[0, 1, 1], [2, 1, 1]], None]
SHARES = [["shop %d" % i, "energy", "kWh", "sum", [[3, share, 1000]], None] for i, share in enumerate((333, 333, 334))]


def of(values):
    return lambda point: values[point]


@pytest.mark.requirement("T-8.3.2-2", part="accumulate, subtract, multiply, divide, apportion")
@pytest.mark.requirement("T-8.3.2-3")
@pytest.mark.requirement("T-8.3.2-4", part="the value")
@pytest.mark.requirement("T-8.3.2-5", part="the value")
def test_known_examples_are_exact():
    values = [Number("1234.56"), Number("234.5"), Number("1000")]
    found = [str(combine.combine(row[3], row[4], of(values))) for row in (SUM, NET, HEAT, PER, TIMES)]
    assert found == ["1469.06", "1000.06", "38.931", "1.23456", "1234560"]
    third = combine.combine("sum", [[0, 1, 3]], of([Number(1)]))
    assert str(third) == "0.333333333333"
    assert combine.combine("sum", SUM[4], of([Number(1), None])) is None
    assert combine.combine("quotient", PER[4], of([Number(1), None, Number(0)])) is None
    assert combine.combine("quotient", PER[4], of([Number(0), None, Number(5)])) == 0
    assert combine.subtracts("sum", NET[4]) and not combine.subtracts("sum", SUM[4])
    print(found, third)


@pytest.mark.requirement("T-8.3.2-6", part="shares, and their parts of random wholes")
def test_shares_sum_to_one_and_their_parts_to_the_whole():
    assert combine.shares(["0.6", "0.4"]) == [(3, 5), (2, 5)]
    for texts, what in ((["0.6", "0.39"], "0.99"), (["0.6", "0.41"], "1.01"), (["1", "0"], "not above 0"),
                        (["1.5", "-0.5"], "not above 0"), (["a", "1"], "share 'a'"), ([], "add up to 0")):  # fmt: skip
        with pytest.raises(SeriesError, match=what) as caught:
            combine.shares(texts)
        print(caught.value)
    random = Random(4)
    for _ in range(300):
        left, texts = 10**6, []
        while left:
            one = 1 + random.below(left)
            left -= one
            texts.append(str(Number(one, -6)))
        whole = Number(random.below(10**15), -random.below(8))
        parts = [combine.combine("sum", [[0, share[0], share[1]]], of([whole])) for share in combine.shares(texts)]
        total = Number(0)
        for part in parts:
            total = total + part
        assert total == whole


def test_parts_that_are_none():
    for op, parts in (("mean", [[0, 1, 1]]), ("sum", []), ("sum", [[0, 0, 1]]), ("sum", [[0, 1, 0]]), ("sum", [[0, 1]]),
                      ("sum", [[-1, 1, 1]]), ("sum", [[0, True, 1]]), ("product", [[0, 1, 1]]), ("sum", 5),
                      ("quotient", [[0, 1, 1]] * 3), ("sum", [[0, 1 << 64, 1]])):  # fmt: skip
        with pytest.raises(SeriesError) as caught:
            combine.check(op, parts)
        print(caught.value)


def test_a_document_holds_them_and_refuses_circles():
    doc = formed(virtual=[SUM, NET] + SHARES)
    site = Site(doc)
    data = site.canonical()
    assert decode(data).canonical() == data and [row.name for row in site.all_points[3:5]] == ["total", "net"]
    assert combine.leaves(site, 5) == [(0, 1), (1, 1)] and combine.leaves(site, 4) == [(0, 1), (1, -1)]
    assert combine.leaves(site, 1) == [(1, 1)]
    circle = [["a", "energy", "kWh", "sum", [[4, 1, 1]], None],
              ["b", "energy", "kWh", "sum", [[5, 1, 1], [0, 1, 1]], None],
              ["c", "energy", "kWh", "sum", [[3, 1, 1]], None], SUM]  # fmt: skip
    own, gone, none = [SUM[:4] + [parts, None] for parts in ([[3, 1, 1]], [[9, 1, 1]], [])]
    for virtual, what in ((circle, "of each other: a, b, c"), ([own], "other: total"), ([gone], "not there"),
                          ([["E1"] + SUM[1:]], "two"), ([SUM[:4]], "6 fields"), ([none], "list of 1")):  # fmt: skip
        with pytest.raises(SiteError, match=what) as caught:
            Site(formed(virtual=virtual))
        print(caught.value)
    with pytest.raises(SiteError, match="nobody may enter"):
        Site(formed(manual=[["coal", "mass", "t", None, None, False]]))
    with pytest.raises(SiteError, match="key of"):
        Site(formed(operators=[["a", bytes(64)], ["b", bytes(64)]]))
    for part in ([], [[], []], [[], [], 5], [[], [], [], []]):
        doc = formed(virtual=[SUM])
        doc[13] = part
        with pytest.raises(SiteError):
            Site(doc)


class Log:
    """A log in memory."""

    def __init__(self, doc):
        self.pipeline, self.entries = Pipeline(), []
        data = Site(doc).canonical()
        self.put(BEGIN, entries.CONFIG, [sm3.digest(data), data])

    def put(self, time_ms, kind, body):
        raw = entries.encode("CT-TEST-1", 0, len(self.entries), time_ms, 2, kind, body)
        self.entries.append(entries.decode(raw))
        if kind not in (entries.CLOSING, entries.EMISSION):
            for when, _, kind, body in self.pipeline.fold(self.entries[-1]):
                self.put(when, kind, body)

    def read(self, minute, **values):
        rows = [[("E1", "E2", "G1").index(name), 0, 0, -2, values[name]] for name in sorted(values)]
        self.put(BEGIN + minute * 60000, entries.READINGS, [rows, None])

    def hours(self, point):
        found = []
        for one in self.entries:
            if one.kind == entries.CLOSING and one.body[0] == clock.HOUR:
                found += [(one.body[1], row[1], row[3] and str(Number(row[3], row[2])))
                          for row in one.body[2] if row[0] == point]  # fmt: skip
        return found

    def replayed(self):
        replay = Replay()
        assert [finding for finding in [replay.entry(one) for one in self.entries] if finding] == []
        assert cbor.encode(replay.state()[2]) == cbor.encode(self.pipeline.state())


@pytest.mark.requirement("T-8.3.2-1")
@pytest.mark.requirement("T-8.3.2-4", part="a result below 0 is marked")
@pytest.mark.requirement("T-8.3.2-6", part="parts of a settled whole, as stored")
def test_a_virtual_point_closes_with_the_last_of_its_parts():
    source = ["all", compiled("all", 2, "AD*EF", [["AD", "MWh"]], [["EF", "tCO2/MWh", -1, 5]]),
              [["AD", [[3, 1, 1000]]]]]  # fmt: skip
    log = Log(formed(virtual=[SUM, NET, PER] + SHARES, sources=[source]))
    log.read(0, E1=0, E2=0, G1=0)
    log.read(60, E1=12345)
    assert log.hours(3) == []  # E2 has not closed: unknown, not smaller
    log.read(61, E2=305000, G1=0)
    log.read(62, E1=12345, E2=305000)
    hour, quality, total = log.hours(3)[0]
    second = log.hours(1)[0][2]
    assert (hour, total) == (BEGIN, str(Number("123.45") + Number(second)))
    assert log.hours(4)[0][1] == 2 and log.hours(4)[0][2].startswith("-")  # less than nothing: the parts do not fit
    assert log.hours(5) == [(BEGIN, 3, None)]  # a division by zero gives no value
    shares = [Number(log.hours(point)[0][2]) for point in (6, 7, 8)]
    assert shares[0] + shares[1] + shares[2] == Number(total)
    emitted = [one.body for one in log.entries if one.kind == entries.EMISSION]
    assert len(emitted) == 1 and emitted[0][3][0][1] == quality
    assert log.pipeline.total(3) == Number("3173.45") and log.pipeline.total(5) is None
    print(log.hours(3), log.hours(4), [str(share) for share in shares], emitted)
    log.replayed()


def test_a_restart_between_two_parts_changes_nothing():
    doc = formed(virtual=SHARES[:0] + [SUM, NET], operators=[["zhang", bytes(range(64))]])
    one, other = Log(doc), Log(doc)
    for minute in range(0, 200, 10):
        for log in (one, other):
            log.read(minute, E1=minute * 7)
            if log is other:
                again = Pipeline()
                again.restore(cbor.decode(cbor.encode(log.pipeline.state())))
                log.pipeline = again
            log.read(minute + 3, E2=minute * 5, G1=minute)
    assert [entry.raw for entry in one.entries] == [entry.raw for entry in other.entries]
    assert len(one.hours(3)) == 3
    for state in ([1, 2], [None, [], [], None, [["else", []]]], [None, [], [], None, 5]):
        with pytest.raises(CarbonError):
            Pipeline().restore(state)
    one.replayed()


def test_what_changes_is_said_by_name():
    people = ["zhang", bytes(range(64))]
    first = Site(formed(virtual=[SUM, NET], operators=[people], manual=[["coal", "mass", "t", None, None, False]]))
    shifted = [["total", "energy", "kWh", "sum", [[0, 1, 1], [1, 1, 1]], None], NET]
    more = [["coal", "mass", "t", None, [5000, 0], False], ["gas", "mass", "t", None, None, False]]
    second = Site(formed(virtual=shifted, operators=[people, ["li", bytes(64)]], manual=more))
    assert changes(first, second) == [
        "operator 'li': added", "manual point 'coal': maximum none → 5000", "manual point 'gas': added",
    ]  # fmt: skip
    third = Site(formed(virtual=[SUM, NET[:4] + [[[0, 1, 1]], None]], operators=[people], manual=more[:1]))
    found = changes(second, third)
    assert found[0] == "operator 'li': removed" and found[-1].startswith("virtual point 'net': parts SM3 ")
    print("\n".join(found))
