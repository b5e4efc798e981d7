"""What becomes of messages in the log: once, at their time, marked where they are late, repeated or impossible; the
acknowledgement follows what is durable, over a storage that fails and over a restart. Totals are never wrong."""

import pytest

import carbonterm_device.terminal as terminals
from carbonterm import site
from carbonterm.field import said
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm.number import Number
from carbonterm.pipeline import Replay
from carbonterm_device.inbound import inbox
from carbonterm_device.inbound.inbox import KNOWN, LOST, STORED, Inbox
from carbonterm_device.ports import port
from memory_storage import MemoryStorage
from seeded import Random
from sites import document
from stamp import Stamp

T0 = 1795219200000
DAY = 86400000


class Clock:
    state = 3
    now = T0

    def now_ms(self):
        return self.now


class Storage(MemoryStorage):
    """Refuses appends while `broken`."""

    broken = False

    def append(self, name, data):
        if self.broken:
            raise OSError(28)
        super().append(name, data)


def made_site():
    made = document(points=[], sources=[], closings=(2, 3))
    made[0] = site.FORMAT
    made[5] = [["in", "https", "127.0.0.1", 8443, "none", 1, 10000, 0, 0, None, ["c", "k"]]]
    made[6] = [["M", 0, "s", "json", 1] + [None] * 5 + ["https", bytes(32), None, None, None, 0, 0] + [None] * 4]
    made[7] = [
        ["E", 0, "active energy", "kWh", 0, "E", "decimal", "ABCD", [1, 0], "register", None, None, None, None, 60000],
        ["T", 0, "temperature", "°C", 0, "T", "decimal", "ABCD", [1, 0], "instant", None, None, None, [50, 0], 60000],
    ]
    return site.Site(made)


class World:
    def __init__(self, storage=None):
        self.site, self.clock = made_site(), Clock()
        self.storage = storage or Storage()
        self.start()

    def start(self):
        log = Log(self.storage, "CT-TEST-1", 0, Stamp())
        self.terminal = terminals.Terminal(log, self.clock, "test")
        self.inbox = Inbox(0, self.site, self.terminal, self.clock, port, self.storage)
        self.terminal.start(self.site)
        self.terminal.commit()
        for raw, _ in log.entries(log.kept):
            self.inbox.recall(raw)

    def send(self, moment, raw=None, **values):
        """Sends E and T as texts; a list that gets the word."""
        words, told = [], []
        sender = self.inbox.senders["s"]
        for at, point in sender.points:
            if point.address in values:
                value = values[point.address]
                told.append((at, None if value is None else Number(value), 0 if value else 3, moment))
        raw = raw or ("%s %s" % (moment, sorted(values.items()))).encode()
        self.inbox.take(sender, raw, told, words.append)
        return words

    def rows(self):
        """[(point, moment, quality, value)] of the log, whose derived entries are the ones that replay computes."""
        replay, found = Replay(), []
        log = self.terminal.log
        for raw, _ in log.entries(log.kept):
            one = entry.decode(raw)
            assert replay.entry(one) is None
            if one.kind == entry.READINGS:
                for at, offset, quality, exponent, mantissa in one.body[0]:
                    value = None if mantissa is None else str(Number(mantissa, exponent))
                    found.append((at, one.time_ms + offset - T0, quality, value))
        self.total = str(replay.pipeline.settlers[0].total)
        return found


def test_times_that_cannot_be_are_marked_and_change_no_total():
    world = World()
    for moment, value in (
        (T0 - 60000, "100"), (T0 - 30000, "110"), (T0 - 45000, "105"), (T0 + 60001, "900"), (T0 - 401 * DAY, "901"),
        (1500000000000, "902"), (None, "112"), (T0 - 20000, "111"),
    ):  # fmt: skip
        world.send(moment, E=value)
    world.terminal.commit()
    rows = world.rows()
    print(rows, world.total)
    assert rows == [
        (0, -60000, 0, "100"), (0, -30000, 0, "110"), (0, -45000, 2, "105"), (0, 0, 2, "900"), (0, 0, 2, "901"),
        (0, 0, 2, "902"), (0, 0, 0, "112"), (0, -20000, 0, "111"),
    ]  # fmt: skip
    assert world.total == "12"


def test_repeated_and_contradicting_values():
    world = World()
    first = world.send(T0 - 60000, E="100", T="20")
    again = world.send(T0 - 60000, E="100", T="20")  # in the same bytes, before the commit
    other = world.send(T0 - 60000, b"other bytes", E="100", T="20.5")
    nothing_new = world.send(T0 - 60000, b"third bytes", E="100")
    assert (first, again, other, nothing_new) == ([], [], [], [])
    world.terminal.commit()
    assert (first, again, other, nothing_new) == ([STORED], [STORED], [STORED], [STORED])
    assert world.send(T0 - 60000, E="100", T="20") == [KNOWN]
    assert world.send(T0 - 60000, b"more bytes", E="100") == [KNOWN]
    world.send(T0, T="51")
    world.send(T0 + 1000, T=None)
    world.terminal.commit()
    rows = world.rows()
    print(rows)
    assert rows == [
        (0, -60000, 0, "100"), (1, -60000, 0, "20"), (1, -60000, 2, "20.5"), (1, 0, 2, "51"), (1, 1000, 3, None),
    ]  # fmt: skip


@pytest.mark.slow
def test_very_late_values_keep_their_time():
    world = World()
    world.send(T0 - 30 * DAY, E="100", T="20")
    world.send(T0 - 29 * DAY, E="200")
    world.send(T0, E="300")
    world.terminal.commit()
    rows = world.rows()
    assert [row[1] for row in rows] == [-30 * DAY, -30 * DAY, -29 * DAY, 0] and {row[2] for row in rows} == {0}
    assert world.total == "200"


def test_a_storage_that_fails_loses_nothing_that_was_acknowledged():
    world = World()
    kept = world.send(T0 - 60000, E="100")
    world.terminal.commit()
    world.storage.broken = True
    lost = world.send(T0 - 50000, E="101")
    world.terminal.commit()
    assert kept == [STORED] and lost == [] and world.terminal.failed
    assert world.send(T0 - 40000, E="102") == [LOST]
    world.storage.broken = False
    world.terminal.resume(world.site)
    assert lost == [LOST]
    lost, more = world.send(T0 - 50000, E="101"), world.send(T0 - 40000, E="102")
    assert world.send(T0 - 60000, E="100") == [KNOWN]
    world.terminal.commit()
    assert (lost, more) == ([STORED], [STORED])
    rows = world.rows()
    print(rows)
    assert [(row[1], row[2], row[3]) for row in rows] == [(-60000, 0, "100"), (-50000, 0, "101"), (-40000, 0, "102")]


def test_after_a_restart_messages_and_moments_are_known():
    world = World()
    world.send(T0 - 60000, E="100", T="20")
    world.terminal.commit()
    world.send(T0 - 50000, E="101")  # never committed
    again = World(world.storage)
    assert again.send(T0 - 60000, E="100", T="20") == [KNOWN]
    assert again.send(T0 - 60000, b"x", T="20") == [KNOWN]
    assert again.send(T0 - 50000, E="101") == []
    again.send(T0 - 70000, E="99")
    again.terminal.commit()
    rows = again.rows()
    assert rows == [(0, -60000, 0, "100"), (1, -60000, 0, "20"), (0, -50000, 0, "101"), (0, -70000, 2, "99")]


@pytest.mark.slow
def test_what_is_remembered_is_bounded():
    world = World()
    for n in range(inbox.REMEMBERED + 40):
        world.send(T0 - 10 * DAY + 1000 * n, E=str(n))
        if n % 50 == 0:
            world.terminal.commit()
    world.terminal.commit()
    one = world.inbox
    assert len(one._known) == len(one._order) == inbox.REMEMBERED and len(one._moments[0]) == 512
    world.rows()
    assert world.total == str(inbox.REMEMBERED + 39)


@pytest.mark.slow
def test_any_order_and_any_repeats_give_the_right_total():
    for seed in range(5):
        random, world = Random(seed), World()
        true = [(T0 - 7200000 + 60000 * n, 1000 + 7 * n) for n in range(60)]
        waiting, sent = list(range(60)), []
        while waiting:
            at = waiting.pop(random.below(min(4, len(waiting))))
            sent.append(at)
            for one in (at, random.choice(sent)):
                world.send(true[one][0], E=str(true[one][1]))
            if random.below(5) == 0:
                world.terminal.commit()
            if random.below(15) == 0:
                world.terminal.commit()
                world = World(world.storage)
        world.terminal.commit()
        rows = world.rows()
        assert sorted([row[1] for row in rows]) == [moment - T0 for moment, _ in true]
        first = next(row for row in rows if row[2] == 0)
        last = max([row[1] for row in rows if row[2] == 0])
        assert last == true[-1][0] - T0
        print(seed, world.total, len([row for row in rows if row[2] == 2]))
        assert world.total == str(true[-1][1] - int(first[3]))


def test_flags_of_the_sender_are_kept():
    world = World()
    sender = world.inbox.senders["s"]
    world.inbox.take(sender, b"1", [(1, Number("5"), said.SUSPECT, T0)], lambda word: None)
    told = [(0, Number("5"), said.SUSPECT, T0), (1, Number("60"), said.GOOD, T0 + 1)]
    world.inbox.take(sender, b"2", told, lambda word: None)
    world.terminal.commit()
    assert world.rows() == [(1, 0, 2, "5"), (0, 0, 2, "5"), (1, 1, 2, "60")] and world.total == "0"
