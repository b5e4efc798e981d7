"""The centre is away for a while: process sources go on being read and recorded, and afterwards nothing is missing
there (park document, 6.2). With the firmware on real MicroPython and a real platform."""

import pytest

from carbonterm.ledger import entry as entries
from carbonterm.pipeline import Replay
from carbonterm_host import bundles
from carbonterm_host.platform.store import Store
from carbonterm_host.platform.store import entries as held
from station import POINTS, Station, delivered


@pytest.mark.slow
@pytest.mark.requirement("P-6.2-3")
def test_recording_goes_on_while_the_centre_is_away(tmp_path):
    with Station(tmp_path) as station:
        terminal = station.registered()
        terminal.start()
        before = terminal.wait(lambda status: delivered(0, 20)(status))
        station.platform.kill()
        away = terminal.wait(lambda status: status["readings"] >= before["readings"] + 40 * len(POINTS))
        assert away["centres"][0]["backlog"] > 0
        station.platform.start()
        terminal.wait(lambda status: delivered(0, away["entries"])(status))
        terminal.wait(lambda status: status["readings"] >= away["readings"] + 10 * len(POINTS))
        assert terminal.stop() == 0
        file = station.pulled(terminal)
        assert station.verify(file)[1]["ok"]
    log = [entries.decode(raw) for raw, _ in bundles.read(file).entries]
    replay = Replay()
    assert [found for found in map(replay.entry, log) if found] == [] and replay.expected == []
    rounds = {point: [] for point in range(len(POINTS))}
    for entry in log:
        if entry.kind == entries.READINGS:
            for point, offset, quality, _, mantissa in entry.body[0]:
                if quality == 0 and mantissa is not None:
                    rounds[point].append(entry.time_ms + offset)
    assert all(len(times) >= 50 for times in rounds.values())
    store = Store(station.platform.store)
    with store.read() as connection:
        there = connection.execute(held.select().order_by(held.c.seq)).all()
    store.close()
    assert [row.seq for row in there] == list(range(len(there)))  # no hole, and nothing twice
    assert [row.raw for row in there] == [entry.raw for entry in log][: len(there)] and len(there) >= away["entries"]
    print(len(log), "entries,", sum(map(len, rounds.values())), "readings,", len(there), "at the centre")
