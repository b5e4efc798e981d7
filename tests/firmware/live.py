"""Runs on MicroPython: the terminal's App on FOLDER, fed with readings as fast as it goes, until it is killed.

usage: micropython live.py FOLDER SITE SEED OFFSET; SITE: file of a canonical site document with three points;
OFFSET: ms by which the clock is ahead of the machine's. The seed decides how many readings a commit has, and when the
terminal makes a checkpoint, rotates its key or looks after its storage. A centre that holds everything lets it drop
what the site document does not want to keep. Lines: "found E N" after recovery, "ack E N ROOT": the entries 0 to N-1
of epoch E are durable and have that root, "sealed E N", "rotating", "looking" before the storage is
looked after, "begins E N" behind that: the first entry that is kept.
"""

import binascii
import sys

from carbonterm_device import epochs
from carbonterm_device.app import App
from carbonterm_device.clockwork import Clock
from carbonterm_device.storage import Folder
from seeded import Random


class Centre:
    """Has everything that it is asked for."""

    def holds(self, epoch, end):
        return True

    def wake(self):
        pass


def acknowledged(log):
    print("ack", log.epoch, log.size, binascii.hexlify(log._tree.root()).decode())


with open(sys.argv[2], "rb") as file:
    site = file.read()
random = Random(int(sys.argv[3]))
app = App(Folder(sys.argv[1]), site, Clock(int(sys.argv[4])), segment_size=8192)
print("found", app.terminal.log.epoch, app.terminal.log.size)
app.upkeep.couriers = [Centre()]
app._start()
if app._step == epochs.ROTATE:
    app._rotate()
value = 1000 * app.terminal.log.size
while True:
    log = app.terminal.log
    for _ in range(random.between(1, 8)):
        value += random.between(0, 50)
        rows = [[point, 0, 0, -2, value + point] for point in range(3)]
        app.terminal.record(app.clock.now_ms(), rows, b"frames")
    app.terminal.commit()
    acknowledged(log)
    what = random.below(40)
    if what < 6:
        log.checkpoint()
        print("sealed", log.epoch, log.sealed)
    elif what < 8:
        print("rotating")
        app._rotate()
        acknowledged(app.terminal.log)
    elif what < 12:
        print("looking")
        app.upkeep.look()
        if app.upkeep.begins:
            print("begins", app.upkeep.begins[0], app.upkeep.begins[1])
