"""The part "series" of a site document: what a point's values become, and what does not fit its point."""

import pytest

from carbonterm import cbor
from carbonterm.errors import SiteError
from carbonterm.site import FORMATS, Bus, Meter, Site, decode
from seeded import Random
from sites import compiled, document, point

RATE = [2, 0, 0, 3600000, "t", 0, False]


def second(series, kind="instant", unit="t/h", closings=(2, 3, 4, 5), sources=()):
    """A document of the second format: E1, E2 and F1, with the part `series`."""
    flow = point("F1", 2, unit)
    flow[9] = kind
    doc = document(points=[point("E1", 0), point("E2", 1), flow], sources=list(sources), closings=closings)
    doc[0] = FORMATS[1]
    doc[5] = [Bus(row, "bus", True).canonical() + [None] for row in doc[5]]
    doc[6] = [Meter(row, "meter", True).canonical() + [value for _, _, value in Meter.later()] for row in doc[6]]
    return doc + [[], [], [], series] if series else doc


def test_a_part_is_read_and_written_as_it_is():
    plain = Site(second([]))
    assert plain.series == {} and not plain.is_amount(2) and plain.unit(2) == "t/h" and plain.is_amount(0)
    for rows in ([RATE], [[2, 1, 3, None, "°C", None, False]], [[0, None, None, None, None, 0, True], RATE],
                 [[1, None, None, None, None, None, True]]):  # fmt: skip
        data = Site(second(rows)).canonical()
        again = decode(data)
        assert again.canonical() == data and Site(cbor.decode(data)).canonical() == data
        assert [again.series[i].canonical() for i in sorted(again.series)] == rows
        print(data[-40:].hex())
    site = Site(second([RATE]))
    assert site.is_amount(2) and site.unit(2) == "t" and site.unit(0) == "kWh"
    settler = site.series[2].settler(site)
    assert (settler.per_ms, settler.interval_ms, settler.fill) == (3600000, site.points[2].interval_ms, 0)


def test_what_does_not_fit_its_point_is_refused():
    wrong = (
        ([[3, 0, 0, 3600000, "t", 0, False]], "point 3 of 3"),
        ([[0, 0, 0, 3600000, "t", 0, False]], "settles by itself"),
        ([[0, None, None, None, None, 1, False]], "settles by itself"),
        ([[2, None, None, None, None, 0, False]], "settles as amount or mean"),
        ([[2, 0, 0, 3600000, "t", 0, True]], "monthly history"),
        ([[2, 0, 0, None, "t", 0, False]], "per some time"),
        ([[2, 1, 0, 1000, "t/h", None, False]], "per some time"),
        ([[2, 1, 0, None, "t/h", 0, False]], "only an amount is filled"),
        ([RATE, RATE], "each once"),
        ([RATE, [0, None, None, None, None, 0, False]], "in the order"),
        ([[2, 0, 0, 7, "t", 0, False]], "per_ms"),
        ([[2, 0, 0, 3600000, "t", 3, False]], "fill"),
        ([[2, 0, 1, 3600000, "t", 0, False]], "rule"),
        ([[2, 2, 0, 3600000, "t", 0, False]], "settles"),
        ([[2, 0, 0, 3600000, "", 0, False]], "unit"),
        ([[2, 0, 0, 3600000, "t", 0, None]], "history"),
        ([[2, 0, 0]], "7 fields"),
        ([5], "7 fields"),
    )
    for series, what in wrong:
        with pytest.raises(SiteError) as caught:
            Site(second(series))
        assert what in str(caught.value), (series, str(caught.value))
        print(str(caught.value))
    with pytest.raises(SiteError) as caught:
        Site(second([[0, None, None, None, None, None, True]], closings=(2, 3)))
    assert "month" in str(caught.value)


def test_a_rate_feeds_a_source_only_where_it_becomes_an_amount():
    steam = compiled("steam", 2, "AD*EF", [["AD", "t"]], [["EF", "tCO2/t", -2, 11]])
    source = [["steam", steam, [["AD", [[2, 1, 1]]]]]]
    with pytest.raises(SiteError) as caught:
        Site(second([], sources=source))
    assert "no running total" in str(caught.value)
    with pytest.raises(SiteError):
        Site(second([[2, 1, 0, None, "t/h", None, False]], sources=source))
    assert Site(second([RATE], sources=source)).is_amount(2)


@pytest.mark.slow
def test_garbage_is_refused():
    random = Random(8)
    good = [[0, None, None, None, None, 0, True], RATE]
    for _ in range(300):
        rows = [list(row) for row in good]
        row = random.choice(rows)
        row[random.below(7)] = random.choice((None, -1, 1, 2, 99, "x", b"x", [], True, 1 << 70))
        try:
            assert [Site(second(rows)).series[i].canonical() for i in (0, 2)] == rows
        except SiteError:
            pass
        except KeyError:
            assert rows[0][0] == 1  # another point, and that is fine


def test_a_calendar_is_days_in_order():
    def of(calendar):
        doc = second([])
        return Site(doc + [[], [], [], [], calendar])

    made = of([[20000, 20001], [20005]])
    assert made.calendar == ((20000, 20001), (20005,)) and decode(made.canonical()).calendar == made.calendar
    assert Site(second([])).calendar == ((), ())
    for wrong in ([[1], [1]], [[2, 1], []], [[1, 1], []], [[-1], []], [["x"], []], [[True], []], [[], []], [[1]],
                  [5, []], [[2932897], []]):  # fmt: skip
        with pytest.raises(SiteError):
            of(wrong)


def test_what_changed_is_told_in_words():
    from carbonterm.site_changes import changes

    days = (second([RATE]) + [[[20000], []]], second([[0, None, None, None, None, 0, False], RATE[:5] + [1, False]]))
    old, new = Site(days[0]), Site(days[1])
    told = changes(old, new)
    assert told[:2] == ["series of point 'E1': added", "series of point 'F1': fill 0 → 1"]
    assert told[2].startswith("calendar: days SM3 ") and len(told) == 3
    assert changes(new, old)[0] == "series of point 'E1': removed"
    assert changes(old, old) == []
    print(told[:1], len(told))
