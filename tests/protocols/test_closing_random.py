"""Settlements of random series: against a second computation that keeps everything, over restarts, under garbage."""

import pytest

from carbonterm import cbor, clock
from carbonterm.clock import DAY, HOUR, MINUTE, MONTH, YEAR
from carbonterm.errors import SeriesError
from carbonterm.number import Number, half_even
from carbonterm.series.closing import ESTIMATED, GOOD, Settler
from seeded import Random

EAST8 = 480
HOUR_MS = 3600000
DAY_MS = 86400000
QUARTER = 900000
PERIODS = (HOUR, DAY, MONTH, YEAR)


def check_sums(settler, closed, total):
    """At every level the settlements and the open one follow each other and add up to `total`."""
    assert settler.total == total
    for period in PERIODS:
        rows = [s for s in closed if s.period == period] + [settler.open(period)]
        amount = Number(0)
        for row in rows:
            amount = amount + row.increment
        assert amount == total, (period, str(amount), str(total))


def expected(points, exponent, period, interval_ms):
    """Settlements of believed points (time_ms, unwrapped mantissa at `exponent`, whether it is a sample), all kept."""
    def border(moment):
        """(register, whether it is estimated, index of the first point at or after the moment)"""
        for i in range(len(points)):
            if points[i][0] >= moment:
                break
        if points[i][0] == moment:
            return points[i][1], False, i
        before, after = points[i - 1], points[i]
        length = after[0] - before[0]
        register = half_even(before[1] * length + (after[1] - before[1]) * (moment - before[0]), length)
        return register, length > 2 * interval_ms, i

    rows = []
    start = clock.start(period, points[0][0], EAST8)
    opening, doubtful = points[0][1], points[0][0] > start
    while clock.end(period, start, EAST8) <= points[-1][0]:
        end = clock.end(period, start, EAST8)
        closing, guessed, last = border(end)
        steps = []
        samples = [p for p in points[: last + 1] if p[2] and p[0] <= end]
        for i in range(1, len(samples)):
            one, two = samples[i - 1], samples[i]
            if start < two[0] and two[0] - one[0] <= 2 * interval_ms:
                steps.append(Number(two[1] - one[1], exponent))
        rows.append((
            start, Number(closing - opening, exponent), max(steps) if steps else None, min(steps) if steps else None,
            ESTIMATED if doubtful or guessed else GOOD, len([p for p in samples if p[0] > start]),
        ))  # fmt: skip
        start, opening, doubtful = end, closing, guessed
    return rows


def random_series(random, hours, modulus):
    """A meter's life: list of ("reading", time_ms, mantissa) or ("replaced", time_ms, last, first), what is true of it
    as points (time_ms, unwrapped mantissa, sample) and the total. Outages, copies, late copies, glitches."""
    moment = clock.stamp(2026, 1, random.between(25, 31), zone=EAST8) + random.choice((0, random.below(HOUR_MS)))
    end = moment + hours * HOUR_MS
    shown_value, true = random.below(modulus), 0
    feed, points, past = [("reading", moment, shown_value)], [(moment, shown_value, True)], []
    base = shown_value
    while moment < end:
        step = random.choice((QUARTER, QUARTER, QUARTER, random.between(1, 2 * HOUR_MS)))
        if random.below(40) == 0:
            step += random.below(60) * HOUR_MS
        elif random.below(8) == 0:  # a reading at a full hour
            step = HOUR_MS - moment % HOUR_MS
        moment += step
        grown = random.choice((0, random.below(modulus // 40), random.below(50)))
        true += grown
        shown_value = (shown_value + grown) % modulus
        event = random.below(60)
        if event == 0:
            first = random.below(modulus)
            feed.append(("replaced", moment, shown_value, first))
            points.append((moment, base + true, False))
            shown_value = first
            past = []
            continue
        past.append((moment, shown_value))
        feed.append(("reading", moment, shown_value))
        points.append((moment, base + true, True))
        if event < 6:  # a copy of this reading
            feed.append(("reading", moment, shown_value))
        elif event < 10 and len(past) > 3:  # an older one arrives late: less, or by half the register more
            late = past[random.between(len(past) - 3, len(past) - 2)]
            if late[1] < shown_value:
                feed.append(("reading", late[0], late[1]))
        elif event == 10:  # a glitch that can be no rollover
            far = (shown_value - 1 - random.below(modulus // 2 - 1)) % modulus
            if far < shown_value:
                feed.append(("reading", moment + 1, far))
    return feed, points, true


def play(settler, events, exponent, restart=None):
    """(settler, settlements) of a life; restart: settings of a new settler that goes on after every event."""
    closed = []
    for event in events:
        if event[0] == "reading":
            closed.extend(settler.feed(event[1], Number(event[2], exponent)))
        else:
            closed.extend(settler.replaced(event[1], Number(event[2], exponent), Number(event[3], exponent)))
        if restart:
            state = cbor.encode(settler.state())
            settler = Settler(*restart)
            settler.restore(cbor.decode(state))
    return settler, closed


@pytest.mark.slow
@pytest.mark.requirement("T-8.2.1-1", "T-8.2.1-2", "T-8.2.1-3", "T-8.2.2-1")
def test_random_series_against_a_computation_that_keeps_everything():
    for seed in range(12):
        random = Random(8210 + seed)
        modulus, exponent = random.choice((10**4, 10**6, 10**8)), random.choice((0, -1, -2))
        events, points, true = random_series(random, random.choice((30, 60, 200)), modulus)
        settler = Settler(EAST8, Number(modulus, exponent), None, QUARTER)
        settler, closed = play(settler, events, exponent)
        check_sums(settler, closed, Number(true, exponent))
        last = (-1, 0)
        for s in closed:
            assert (s.end_ms, s.period) > last
            last = (s.end_ms, s.period)
        for period in (HOUR, DAY, MONTH):
            found = [s.fields()[1:2] + s.fields()[3:] for s in closed if s.period == period]
            wanted = expected(points, exponent, period, QUARTER)
            assert found == wanted, (seed, period)
        print(seed, len(events), len(closed), settler.total, [str(settler.open(p).increment) for p in (DAY, MONTH)])


@pytest.mark.slow
def test_a_restart_anywhere_gives_the_same_settlements():
    for seed in range(4):
        random = Random(700 + seed)
        modulus = random.choice((10**4, 10**6))
        settings = (EAST8, Number(modulus, -1), None, QUARTER, (MINUTE,) + PERIODS)
        events = random_series(random, 40, modulus)[0]
        whole, closed = play(Settler(*settings), events, -1)
        pieces, again = play(Settler(*settings), events, -1, settings)
        assert again == closed and pieces.state() == whole.state()
        print(whole.state())


@pytest.mark.slow
def test_garbage_never_breaks_the_sums():
    """Anything may come, in any order and at any time: the levels agree, nothing raises."""
    for seed in range(30):
        random = Random(9000 + seed)
        settings = random.choice(((None, None), (10000, None), (10000, 500), (None, 500)))
        settler = Settler(EAST8, settings[0], settings[1], random.choice((None, QUARTER)))
        now, count, sums = clock.stamp(2026, 3, 5, zone=EAST8), 0, {}
        for _ in range(60):
            moment = now + random.choice((0, 1, QUARTER, DAY_MS, -DAY_MS, random.below(500) * DAY_MS))
            value = Number(random.choice((random.below(20000), -3, random.bits(70))), random.choice((-9, -2, 0, 3)))
            if random.below(20) == 0:
                state = settler.state()
                try:
                    closed = settler.replaced(moment, value, value)
                except SeriesError:
                    closed = []
                    assert settler.state() == state
            else:
                closed = settler.feed(moment, value, random.choice((0, 0, 0, 1, 2, 5)))
            now = max(now, moment) if random.below(3) else now
            count += len(closed)
            for s in closed:
                sums[s.period] = sums.get(s.period, Number(0)) + s.increment
        for period in PERIODS:
            rest = settler.open(period)
            assert rest is None or sums.get(period, Number(0)) + rest.increment == settler.total
        print(seed, count, settler.total)
