"""Registers: rollover told from glitches and replacements, limits, what is held and what ends that."""

import pytest

from carbonterm import cbor
from carbonterm.errors import SeriesError
from carbonterm.number import Number
from carbonterm.series.register import (
    BACKWARDS,
    FAST,
    FIRST,
    FORWARD,
    HOUR_MS,
    INVALID,
    LATE,
    ROLLOVER,
    WORDS,
    Register,
)
from seeded import Random


def run(register, *readings):
    """Steps (hour, text) readings; the verdicts and increments as texts, printed for the other runtimes."""
    found = []
    for hour, text in readings:
        verdict, increment = register.step(hour * HOUR_MS, Number(text))
        found.append((verdict, None if increment is None else str(increment)))
        print(hour, text, WORDS[verdict], increment)
    return found


def test_increments_are_differences_with_their_digits():
    found = run(Register(), (0, "100.50"), (1, "100.75"), (2, "100.75"), (3, "101"), (4, "-3"), (5, "101.125"))
    assert found == [
        (FIRST, None), (FORWARD, "0.25"), (FORWARD, "0.00"), (FORWARD, "0.25"), (BACKWARDS, None), (FORWARD, "0.125"),
    ]  # fmt: skip


@pytest.mark.requirement("T-8.2.2-1")
def test_full_scale_adds_the_maximum_output_number():
    assert run(Register(10000), (0, "9998"), (1, "3")) == [(FIRST, None), (ROLLOVER, "5")]
    assert run(Register("10000"), (0, "9999"), (1, "0")) == [(FIRST, None), (ROLLOVER, "1")]


@pytest.mark.requirement("T-8.2.2-1")
def test_the_modulus_respects_decimals_and_multipliers():
    assert run(Register(10000), (0, "9999.98"), (1, "0.03")) == [(FIRST, None), (ROLLOVER, "0.05")]
    assert run(Register("10000.00"), (0, "9999.98"), (1, "0.03")) == [(FIRST, None), (ROLLOVER, "0.05")]
    # a counter of 6 digits behind a transformer of 80: its modulus is multiplied too
    assert run(Register(80000000), (0, "79999920"), (1, "160")) == [(FIRST, None), (ROLLOVER, "240")]
    # a 32-bit register of 0.01 kWh; a float register whose zeros were cut
    assert run(Register("42949672.96"), (0, "42949672.95"), (1, "0")) == [(FIRST, None), (ROLLOVER, "0.01")]
    register = Register(1000000)
    assert register.step(0, Number(99, 4)) == (FIRST, None)
    assert register.step(1, Number(1, 3)) == (ROLLOVER, Number(11000))


@pytest.mark.requirement("T-8.2.2-1")
def test_what_is_more_than_half_the_register_is_no_rollover():
    half = Register(10000)
    assert run(half, (0, "6000"), (1, "1000"), (2, "6001")) == [(FIRST, None), (ROLLOVER, "5000"), (FORWARD, "5001")]
    more = Register(10000)
    found = run(more, (0, "5999"), (1, "1000"), (2, "1002"), (3, "6000"))
    assert found == [(FIRST, None), (BACKWARDS, None), (BACKWARDS, None), (FORWARD, "1")]


@pytest.mark.requirement("T-8.2.2-1")
def test_a_limit_decides_by_the_time_that_passed():
    # at most 100 an hour: 105 through full scale in one hour is a glitch, over a power cut of two hours a rollover
    assert run(Register(10000, 100), (0, "9900"), (1, "5"), (2, "9950")) == [
        (FIRST, None), (BACKWARDS, None), (FORWARD, "50"),
    ]  # fmt: skip
    assert run(Register(10000, 100), (0, "9900"), (2, "5")) == [(FIRST, None), (ROLLOVER, "105")]
    # and far more than half the register may pass in a long outage
    assert run(Register(10000, 100), (0, "100"), (72, "7300"), (168, "6000")) == [
        (FIRST, None), (FORWARD, "7200"), (ROLLOVER, "8700"),
    ]  # fmt: skip


def test_a_passing_glitch_costs_nothing():
    for register in (Register(), Register(1000000), Register(1000000, 50), Register(None, 50)):
        found = run(register, (0, "500000"), (1, "500010"), (2, "17"), (3, "500030"))
        assert [v for v, _ in found] == [FIRST, FORWARD, BACKWARDS, FORWARD]
        assert found[3][1] == "20"
    found = run(Register(1000000, 50), (0, "500000"), (1, "987654"), (2, "500020"))
    assert found == [(FIRST, None), (FAST, None), (FORWARD, "20")]


def test_neither_number_nor_time_makes_a_held_level_true():
    # a new meter that nobody announced, below and above the old one
    for modulus, first in ((None, 20), (100000, 20), (100000, 30000)):
        register = Register(modulus, 100)
        assert run(register, (0, "25000"), (1, "25010"))[1] == (FORWARD, "10")
        for hour in range(2, 1000):
            verdict, increment = register.step(hour * HOUR_MS, Number(first + hour))
            assert verdict == (BACKWARDS if first == 20 else FAST) and increment is None, hour
        assert register.held == 998
        assert register.replaced(1000 * HOUR_MS, Number(25011), Number(first)) == 1
        assert register.held == 0
        assert register.step(1001 * HOUR_MS, Number(first + 1000)) == (FAST, None)
        assert register.step(1002 * HOUR_MS, Number(first + 100)) == (FORWARD, 100)


def test_the_same_register_confirmed_by_an_operator_loses_nothing():
    register = Register(None, 100)
    assert [v for v, _ in run(register, (0, "0"), (1, "150"), (2, "170"), (9, "230"))] == [FIRST, FAST, FAST, FAST]
    assert register.replaced(9 * HOUR_MS, Number(230), Number(230)) == 230
    assert run(register, (10, "240")) == [(FORWARD, "10")]


def test_the_limit_allows_one_interval_and_one_digit_at_least():
    assert run(Register(None, 1), (0, "7"), (1, "8"), (2, "10"))[1:] == [(FORWARD, "1"), (FAST, None)]
    register = Register(None, 6, 15 * 60000)
    register.step(0, Number("1.00"))
    assert register.step(1000, Number("2.50")) == (FORWARD, Number("1.5"))  # a quarter of an hour's worth in a second
    assert register.step(2000, Number("4.01")) == (FAST, None)
    register = Register(None, 6)
    register.step(0, Number(1))
    assert register.step(1000, Number(2)) == (FORWARD, 1)  # a counter of whole units counts whole units
    assert register.step(2000, Number(4)) == (FAST, None)
    fine = Register(None, "0.5")
    fine.step(0, Number("1.000"))
    assert fine.step(7200, Number("1.001")) == (FORWARD, Number("0.001"))
    assert fine.step(14400, Number("1.003")) == (FAST, None)
    coarse = Register(None, "2e3")
    coarse.step(0, Number(0))
    assert coarse.step(HOUR_MS, Number(2000)) == (FORWARD, 2000)
    assert coarse.step(2 * HOUR_MS, Number(4001)) == (FAST, None)


def test_readings_that_are_not_later():
    register = Register(10000)
    assert run(register, (5, "100"), (5, "100"), (4, "90"), (5, "99"), (1, "9999"))[1:4] == [(LATE, None)] * 3
    assert register.value == 9999 and register.time_ms == 5 * HOUR_MS  # forward counts, at the time there was
    assert run(register, (5, "3")) == [(LATE, None)]  # a rollover needs time
    assert run(register, (6, "3")) == [(ROLLOVER, "4")]
    register = Register(None, 100, HOUR_MS)
    found = run(register, (5, "100"), (4, "201"), (4, "200"), (6, "300"))
    assert [v for v, _ in found] == [FIRST, LATE, FORWARD, FORWARD]
    register = Register(None, 100)
    assert [v for v, _ in run(register, (5, "100"), (4, "101"), (6, "200"))] == [FIRST, LATE, FORWARD]


def test_outside_the_register_is_invalid():
    register = Register(10000)
    assert run(register, (0, "10000"), (1, "-1"), (2, "9999.99"), (3, "10000.00"), (4, "0")) == [
        (INVALID, None), (INVALID, None), (FIRST, None), (INVALID, None), (ROLLOVER, "0.01"),
    ]  # fmt: skip
    assert register.held == 0


@pytest.mark.requirement("T-8.2.2-1")
def test_a_replacement_is_not_a_rollover():
    register = Register(10000)
    run(register, (0, "9990"))
    assert register.replaced(HOUR_MS, Number(9998), Number(3)) == 8
    assert run(register, (2, "7")) == [(FORWARD, "4")]
    register = Register(10000)
    run(register, (0, "9990"))
    assert register.replaced(HOUR_MS, Number(2), Number(500)) == 12  # the old one rolled over before it went
    assert run(register, (2, "501")) == [(FORWARD, "1")]
    register = Register()
    run(register, (0, "9990"))
    assert register.replaced(2 * HOUR_MS, Number(9998), Number(3)) == 8
    # the old meter's last answer comes after the event; the new one's first has the event's own time
    assert run(register, (1, "9994"), (2, "4"), (3, "6")) == [(LATE, None), (FORWARD, "1"), (FORWARD, "2")]
    register = Register()
    assert register.replaced(0, Number(700), Number(1)) == 0
    assert run(register, (1, "3")) == [(FORWARD, "2")]


def test_events_that_can_not_be_are_refused_and_change_nothing():
    register = Register(10000)
    run(register, (3, "5000"))
    state = register.state()
    for last, first, why in ((4999, 0, "below"), (-1, 0, "last = -1"), (5001, 10000, "first = 10000")):
        with pytest.raises(SeriesError, match=why) as caught:
            register.replaced(4 * HOUR_MS, Number(last), Number(first))
        print(caught.value)
        assert register.state() == state
    register = Register()
    run(register, (3, "5000"))
    with pytest.raises(SeriesError, match="below"):
        register.replaced(4 * HOUR_MS, Number("4999.9"), Number(0))
    assert register.replaced(2 * HOUR_MS, Number(5001), Number(0)) == 1
    assert register.time_ms == 3 * HOUR_MS  # what was told late counts where the series is


@pytest.mark.parametrize(
    "modulus, limit, interval_ms",
    ((0, None, None), (-10000, None, None), ("1e4x", None, None), (10.5, None, None), (10000, 0, None),
     (10000, "-3", None), (10000, "", None), (10000, 1, 0), (10000, 1, "60000"), (10000, 1, -1)),
)  # fmt: skip
def test_settings_that_make_no_sense(modulus, limit, interval_ms):
    with pytest.raises(SeriesError):
        Register(modulus, limit, interval_ms)


@pytest.mark.slow
def test_state_goes_through_canonical_bytes():
    random = Random(88)
    for _ in range(100):
        settings = random.choice(((None, None), (1000, None), (1000, 50), (None, 50)))
        one, two = Register(settings[0], settings[1]), Register(settings[0], settings[1])
        for i in range(40):
            time_ms = i * HOUR_MS - random.choice((0, 0, 0, 5 * HOUR_MS))
            value = Number(random.choice((i * 700, random.below(110000), 10**30, -5)), random.choice((-2, 0, -12)))
            assert one.step(time_ms, value) == two.step(time_ms, value)
            other = Register(settings[0], settings[1])
            other.restore(cbor.decode(cbor.encode(two.state())))
            two = other
        print(two.state())
    wrong = (
        [], [0, None, 0, None], [0, None, 0, None, False], [0, [0, "x"], 0, None, False],
        ["0", [0, "1"], 0, None, False],
        [None, None, None, None, False], [None, None, 0, None, []], 7,
    )  # fmt: skip
    for state in wrong:
        with pytest.raises((ValueError, TypeError)):
            Register().restore(state)
