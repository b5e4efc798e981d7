"""Clause 8.1: the range with both ends, and the month that a single value may be twice of."""

import pytest

from carbonterm import cbor
from carbonterm.number import Number
from carbonterm.series.register import Register
from carbonterm.series.validity import ABOVE, MONTH_MS, NOT_JUDGED, VALID, WORDS, History, grown, in_range

GOOD, ESTIMATED, SUSPECT = range(3)


@pytest.mark.requirement("T-8.1.1-1", part="min and max themselves are valid, min - eps and max + eps are not")
def test_both_ends_of_a_range_are_valid():
    low, high = Number("-40"), Number("120.5")
    for text, valid in (("-40", True), ("120.5", True), ("-40.000001", False), ("120.500001", False), ("0", True)):
        assert in_range(Number(text), low, high) == valid
        print(text, in_range(Number(text), low, None), in_range(Number(text), None, high))
    assert in_range(Number("-1e9"), None, None)


@pytest.mark.requirement("T-8.1.2-1")
def test_twice_the_largest_valid_month_passes_and_no_more():
    history = History()
    assert history.judge(Number("1e300")) == NOT_JUDGED  # no history: it is taken, nobody can say more
    history.month(1, Number("900"), ESTIMATED)  # the month in which the series began
    assert history.judge(Number("1e300")) == NOT_JUDGED
    history.month(2, Number("100.5"), GOOD)
    assert history.most() == Number("100.5")
    assert history.judge(Number("201.0")) == VALID
    assert history.judge(Number("201.000001")) == ABOVE
    history.month(3, Number("5000"), SUSPECT)  # an invalid month is no history
    history.month(4, None, 3)
    assert history.most() == Number("100.5")
    history.month(5, Number("120"), GOOD)
    history.month(6, Number("80"), GOOD)
    assert history.most() == Number(120)
    assert [history.judge(Number(n)) for n in (240, 241)] == [VALID, ABOVE]
    print([WORDS[history.judge(Number(n))] for n in (0, 240, 241, -5)])


def test_a_catch_up_over_months_is_judged_by_as_many():
    history = History()
    history.month(1, Number(10), GOOD)
    assert history.judge(Number(20), MONTH_MS - 1) == VALID
    assert history.judge(Number(21), MONTH_MS - 1) == ABOVE
    assert history.judge(Number(40), MONTH_MS) == VALID
    assert history.judge(Number(41), MONTH_MS) == ABOVE
    assert history.judge(Number(20), -5) == VALID


def test_a_month_that_closes_again_is_one_month():
    history = History()
    history.month(1, Number(60), SUSPECT)
    assert history.most() is None
    history.month(1, Number(40), GOOD)  # the gap in it was filled
    assert history.most() == Number(100)
    history.month(2, None, 3)
    history.month(2, Number(7), GOOD)
    assert history.most() == Number(100)


def test_twelve_months_are_remembered_over_a_restart():
    history = History()
    for month in range(1, 30):
        history.month(month, Number(1000 - month), GOOD)
        again = History()
        again.restore(cbor.decode(cbor.encode(history.state())))
        assert again.state() == history.state()
        history = again
    assert history.most() == Number(1000 - 18)
    print(len(history.state()), str(history.most()))


def test_what_a_register_would_have_grown_by():
    register = Register(10000)
    assert grown(register, Number(5)) is None
    register.step(0, Number(9998))
    assert grown(register, Number(3)) == Number(5)
    assert grown(register, Number("9999.5")) == Number("1.5")
    open_ended = Register()
    open_ended.step(0, Number(10))
    assert grown(open_ended, Number(9)) is None


def test_a_state_that_is_none_is_refused():
    for state in (5, [5], [[1, [0, "x"], 0]], [[None, None, 0]], [[1]]):
        with pytest.raises((TypeError, ValueError, IndexError)):
            History().restore(state)
