"""The terminal's clock on a board whose ticks and wall clock the test turns: what is a step, what is drift."""

import pytest

from carbonterm import clock
from carbonterm.clock import GNSS, HOLDOVER, NETWORK, RTC, UNSET
from carbonterm.ledger.entry import REBASE, STEP, SYNC
from carbonterm_device.clockwork import Clock
from seeded import Random

NOW = clock.parse("2026-11-21T08:00:00+08:00")
DAY, YEAR = 86400000, 365 * 86400000
PERIOD = 1 << 30  # of the ticks of 32-bit MicroPython


class Board:
    """A port's clocks: ticks wrap around, the wall clock is what somebody set it to."""

    def __init__(self, wall=NOW, ticks=PERIOD - 700, state=RTC):
        self.wall = wall
        self.ticks = ticks
        self.state = state

    def now_ms(self):
        return self.wall

    def clock_state(self):
        return self.state

    def ticks_ms(self):
        return self.ticks

    def ticks_diff(self, later, earlier):
        return (later - earlier + PERIOD // 2) % PERIOD - PERIOD // 2

    def run(self, ms, wall=None):
        """Time goes by; the wall clock, which may be wrong, sees `wall` of it."""
        self.ticks = (self.ticks + ms) % PERIOD
        self.wall += ms if wall is None else wall


def test_time_goes_on_by_ticks():
    board = Board()
    one = Clock(port=board)
    assert (one.now_ms(), one.state) == (NOW, RTC)
    for _ in range(3000):
        board.run(10000)
        assert one.check() is None
    assert one.now_ms() == NOW + 30000000
    board.wall += 900000
    assert one.now_ms() == NOW + 30000000  # until the next look, nobody knows
    board.run(40)
    assert one.now_ms() == NOW + 30000040


@pytest.mark.parametrize("to", (NOW - DAY, NOW + YEAR, 1 << 31, (1 << 31) * 1000, (1 << 32) * 1000, NOW + 1502))
def test_a_clock_that_is_set(to):
    board = Board()
    one = Clock(port=board)
    board.run(500)
    one.check()
    board.wall = to
    found = one.check()
    if to < clock.FLOOR_MS:
        assert found == (SYNC, NOW + 500, NOW + 500, RTC, HOLDOVER)  # that is no time: the one that was known goes on
        assert (one.now_ms(), one.shifted_ms) == (NOW + 500, 0)
        board.wall = NOW + 500
        assert one.check() is None and one.state == HOLDOVER  # a chip that forgot the time is not believed again
    else:
        assert found == (STEP, NOW + 500, to, RTC, RTC)
        assert (one.now_ms(), one.shifted_ms) == (to, to - NOW - 500)
    assert one.check() is None
    print(found)


def test_drift_is_made_good_and_never_a_step():
    for ppm in (-400, -20, 20, 400):
        board = Board()
        one = Clock(port=board)
        last = 0
        for _ in range(2000):
            board.run(5000, 5000 + 5000 * ppm // 1000000)
            assert one.check() is None
            now = one.now_ms()
            assert last < now and abs(now - board.wall) < 30
            last = now
        print(ppm, one.now_ms() - board.wall)


def test_what_no_quartz_can_explain_is_a_step():
    board = Board()
    one = Clock(port=board)
    second = 0
    while second < 10000:
        second += 1
        board.run(1000, 1002)
        found = one.check()
        if found:
            break
    assert found[0] == STEP and found[2] - found[1] > 1000
    print(second, found)


def test_unset_until_there_is_a_time():
    for wall in (0, 946684800000, clock.FLOOR_MS - 70000, clock.CEILING_MS, 1 << 60):
        board = Board(wall)
        one = Clock(port=board)
        assert (one.now_ms(), one.state) == (0, UNSET)
        board.run(60000)
        assert one.check() is None and one.now_ms() == 60000
        board.run(1)
        board.wall, board.state = NOW, NETWORK
        assert one.check() == (REBASE, 60001, NOW, UNSET, NETWORK)
        assert (one.now_ms(), one.state, one.shifted_ms) == (NOW, NETWORK, NOW - 60001)


def test_who_keeps_it_right():
    board = Board()
    one = Clock(port=board)
    board.state = NETWORK
    assert one.check() == (SYNC, NOW, NOW, RTC, NETWORK)
    board.state = RTC
    assert one.check() == (SYNC, NOW, NOW, NETWORK, HOLDOVER)
    assert one.check() is None
    board.state, board.wall = NETWORK, NOW + DAY
    assert one.check() == (STEP, NOW, NOW + DAY, HOLDOVER, NETWORK)
    assert Clock(source="gnss", port=board).state == GNSS
    assert Clock(5000, "gnss", board).state == HOLDOVER  # a simulated clock is never trusted
    with pytest.raises(ValueError, match="gps"):
        Clock(source="gps", port=board)


def test_a_clock_that_knows_no_rest():
    random = Random(500)
    board = Board()
    one = Clock(port=board)
    true, shifted = NOW, 0
    for _ in range(3000):
        ms = random.below(20000)
        board.run(ms)
        true += ms
        if random.below(10) == 0:
            board.wall += random.between(-3 * DAY, 3 * DAY)
        if random.below(50) == 0:
            board.wall = random.choice((0, 1000, clock.CEILING_MS, NOW, (1 << 32) * 1000))
        found = one.check()
        if found and found[0] == STEP:
            shifted += found[2] - found[1]
        elif found:
            assert found[1] == found[2]
        # what the log is told explains the time to the small differences that were made good
        assert abs(one.now_ms() - true - shifted) < 10000 and one.shifted_ms == shifted
    print(one.now_ms(), one.state, shifted)


class Settable(Board):
    """A microcontroller's clocks: the terminal may set them, and the clock chip may not answer."""

    chip = True

    def set_clock(self, ms):
        self.wall, self.state = ms, HOLDOVER
        if not self.chip:
            raise OSError(19)


@pytest.mark.parametrize("chip", (True, False))
def test_a_centre_tells_a_board_the_time(chip):
    board = Settable(wall=clock.FLOOR_MS + 5000, state=UNSET)
    board.chip = chip
    one = Clock(port=board)
    board.run(1500)
    assert one.hears and one.check() is None and one.state == UNSET
    assert one.hear(NOW, 300)
    found = one.check()
    assert found == (REBASE, 1500, NOW, UNSET, NETWORK)
    assert (one.now_ms(), one.state) == (NOW, NETWORK)
    print(found)


def test_what_a_centre_says_later():
    board = Settable(state=HOLDOVER)
    one = Clock(port=board)
    assert not one.hear(NOW + 2900, 1000), "within what it may be off"
    assert one.check() == (SYNC, NOW, NOW, HOLDOVER, NETWORK)
    for wrong in (0, clock.FLOOR_MS - 1, clock.CEILING_MS, -5):
        assert not one.hear(wrong, 0) and one.check() is None
    assert one.hear(NOW + 60000, 1000)
    assert one.check() == (STEP, NOW, NOW + 60000, NETWORK, NETWORK)
    board.run(DAY)
    assert one.check() is None and one.state == NETWORK
    board.run(2000)
    assert one.check()[3:] == (NETWORK, HOLDOVER), "a day without a word"
    assert not one.hear(one.now_ms(), 0) and one.check()[3:] == (HOLDOVER, NETWORK)


def test_a_centre_is_believed_more_than_a_time_server():
    board = Settable(wall=clock.FLOOR_MS - 5000, state=UNSET)
    one = Clock(port=board)
    assert one.hear(NOW, 20, False) and not one.signed and one.check()[3:] == (UNSET, NETWORK)
    assert one.hear(NOW + 60000, 20, False) and one.check()[0] == STEP
    assert one.hear(NOW + 120000, 20) and one.signed and one.check()[0] == STEP
    assert not one.hear(NOW, 20, False) and one.check() is None and one.signed
    board.run(DAY + 2000)
    one.check()
    assert not one.signed, "a day later the time server counts again"
    assert one.hear(NOW, 20, False) and one.check()[2] == NOW


def test_a_clock_that_is_not_ours_to_set():
    one = Clock(port=Board(state=UNSET, wall=5))
    assert not one.hears and not one.hear(NOW, 0) and one.check() is None
    simulated = Clock(5000, port=Settable())
    assert not simulated.hears and not simulated.hear(NOW + 999999, 0)
