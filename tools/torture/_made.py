"""The bundles that the sweep of bundles damages: two terminals that ran, were registered, rotated and delivered."""

import sys

from tools.torture.__main__ import ROOT

sys.path.insert(0, str(ROOT / "tests/runtime/lib"))


class Made:
    """`bundle`, `other`: bytes of the bundles of T1 (two epochs) and T2; `early`: a checkpoint of T1 that left it
    long before the end, text; `late`: the last one; public keys: `operator`, `centre`, `key` (of T1's epoch 0)."""


def bundles(folder, wanted=20000):
    """Runs the firmware in the empty `folder` until both bundles have `wanted` bytes. Returns a Made."""
    from carbonterm_host import bundles as reader
    from station import Station

    made = Made()
    with Station(folder) as station:
        pair = [station.registered("T1"), station.registered("T2")]
        for one in pair:
            one.start()
        for one in pair:
            one.wait(lambda status: status["entries"] >= 24)
            one.rotate()
        count = wanted // 400
        for one in pair:
            one.wait(lambda status: status["epoch"] == 1 and status["entries"] >= count, 120)
        for one in pair:
            one.stop()  # which delivers what is left
        made.bundle, made.other = (station.pulled(one).read_bytes() for one in pair)
        made.operator, made.centre = bytes.fromhex(station.operator), station.public
        found = reader.read(pair[0].folder / "log.bundle")
        made.key = found.keys[0]
        made.early, made.late = found.checkpoints[1], found.checkpoints[-1]
    return made
