"""Figures beside a clock that was set lead to their readings too, and what replay confirms is not called wrong."""

import pytest

from carbonterm import clock
from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm_host import bundles
from carbonterm_host.commands import trace as command
from carbonterm_host.proofs import Book
from carbonterm_host.tracer import Tracer
from logs import HOUR, Written
from memory_storage import MemoryStorage
from seeded import Random
from shell import pulled
from sites import document, point

NOON = clock.parse("2026-11-21T12:10:00+08:00")
SIGNER = sm2.Signer(bytes(31) + b"\x05")


def stepped(steps, seed):
    """Storage of a log of one meter, read each minute; steps: (minutes before it, ms)."""
    storage, random = MemoryStorage(), Random(seed)
    made = Written(storage, SIGNER, document(points=[point("E1", 0)], sources=[]), NOON)
    now, value = NOON, 5000
    for minutes, shift in [*steps, (400, None)]:
        for _ in range(minutes):
            now += 60000
            value += random.below(50)
            made.readings(now, [(0, 0, 0, -2, value)])
        if shift is not None:
            made.entry(now + shift, entry.CLOCK, [entry.STEP, now, now + shift, 3, 3, None])
            now += shift
    made.log.checkpoint()
    return storage


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps",
    (((90, -HOUR),), ((90, 3 * HOUR),), ((90, -30 * HOUR),), ((90, 8760 * HOUR), (90, -8760 * HOUR)),
     ((130, 1500), (100, -1500)), ((5, -HOUR), (5, -HOUR))),
)  # fmt: skip
def test_figures_beside_a_step(steps, tmp_path):
    (tmp_path / "t.bundle").write_bytes(pulled(stepped(steps, 3), "CT-TEST-1"))
    tracer = Tracer(Book(bundles.read(tmp_path / "t.bundle")))
    assert not tracer.wrong and len(tracer.figures) >= 4
    again = [tracer.settled(one)[0] for one in tracer.figures]
    for one, value in zip(tracer.figures, again, strict=True):
        assert tracer.equal(one), command._named(one)
        assert value is None or value == tracer.value(one)
        found = command.trace(tracer, one, everything=True)
        assert found["ok"] and found["readings"]["rows"], found
    # away from the steps the second way of reckoning still vouches for the figures
    assert sum(value is not None for value in again) >= 1 and None in again
