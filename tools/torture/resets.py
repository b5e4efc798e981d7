"""Sudden resets of a running collector: the power fails in the middle of a write or at any moment, somebody resets it,
its program hangs until the watchdog bites. After each the firmware comes up by itself, says the cause, and its log is
pulled and verified: what was acknowledged before is there, unchanged, and what the board has said is durable.

Real: MicroPython, the firmware, its image, littlefs and the log's ring. Simulated: the flash, the watchdog, the meter.
The seed decides kinds and moments.
"""

import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from carbonterm.field import models
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, gm_backends
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import deploy, image, provision, virtual
from carbonterm_host.boards.remote import Remote
from carbonterm_host.commands import pull
from carbonterm_host.commands.verify import tools
from carbonterm_host.simulate.line import MeterLine
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.verifier import Verifier

BOARD, MODEL = "rpi-pico2", "eastron-sdm630"  # the board whose watchdog bites soonest
KINDS = {"cut": "power-on", "off": "power-on", "reset": "power-on", "hang": "watchdog"}  # and the cause that it says
WRITES = 5  # of the flash, in one of the next of which the power fails
SITE = f"""
terminal: T1
name: resets
zone: "+08:00"
buses: [{{name: line, kind: modbus-rtu, device: rs485-1, baud: 9600}}]
meters: [{{name: m1, bus: line, unit: 1, model: {MODEL}}}]
points: [{{name: P1, meter: m1, register: active_energy_import, every: 1s}}]
settings: {{profile: collector, commit: 300ms}}
"""
_RUNS = re.compile(rb"T1 runs: epoch 0, (\d+) entries")


class Victim:
    """A provisioned virtual board with one meter; what went wrong is in `violations`."""

    def __init__(self, folder, chip):
        self.folder, self.chip = folder, chip
        self.kept = []  # entries that were pulled, with their fingerprints
        self.violations = []
        self.starts = self.causes = 0

    def provision(self):
        """From its box into operation."""
        image.build(BOARD, self.folder / "image", None, virtual.arch(self.chip.binary))
        with self._remote() as remote:
            deploy.deploy(remote, self.chip.board, self.folder / "image")
        (self.folder / "site.yaml").write_text(SITE)
        carbonterm("key", "operator", "op.example", "-o", self.folder / "op.key")
        carbonterm("board", "provision", BOARD, "--terminal", "T1", "--operator-key", self.folder / "op.key",
                   "--site", self.folder / "site.yaml", "--port", self.chip.port)  # fmt: skip
        self.runs()

    def _remote(self):
        return Remote(self.chip.port, self.chip.board.watchdog["seconds"])

    def runs(self):
        """Waits until the firmware records; the entries that it found."""
        self.chip.wait(lambda chip: _RUNS.search(chip.said))
        return int(_RUNS.search(self.chip.said)[1])

    def acknowledged(self, more):
        """Asks until the board has so many more durable entries than at first; how many it has then."""
        first = None
        while True:
            size = self.chip.status()["entries"]
            first = size if first is None else first
            if size >= first + more:
                return size

    def suffer(self, kind, dice):
        """One sudden reset; returns when the power is there again."""
        chip = self.chip
        del chip.said[:]
        if kind == "cut":
            chip.cut(dice.randrange(WRITES), dice.randrange(3))
            chip.wait(lambda chip: not chip.powered)
        else:
            time.sleep(dice.uniform(0, 1.5))
        if kind == "off":
            chip.power_off()
        elif kind == "reset":
            chip.reset()
        elif kind == "hang":
            before = len(chip.resets)
            chip.hang()
            chip.wait(lambda chip: virtual.WATCHDOG in chip.resets[before:])
        chip.power_on()

    def look(self, what, cause, least):
        """Pulls and verifies; `cause` of the newest start, `least` entries that it has to hold."""
        with tempfile.TemporaryDirectory() as folder, self._remote() as remote:
            provision.begin(remote)
            provision.fetch(remote, Path(folder))
            del self.chip.said[:]
            remote.restart()  # before anything that takes long here: its watchdog runs
            pull.to_file(folder, self.folder / "x.bundle")
        verifier = Verifier([], **tools(gm_backends.best()))
        with open(self.folder / "x.bundle", "rb") as file:
            verifier.read(file)
        report = verifier.report()
        if any(verdict is False for verdict in report["verdicts"].values()):
            self.violations.append(f"{what}: {report['reasons']}")
        found = list(bundles.read(self.folder / "x.bundle").entries)
        if len(found) < least or found[: len(self.kept)] != self.kept:
            self.violations.append(f"{what}: {len(found)} entries, {least} were acknowledged; another beginning")
        self.kept = found
        read = [entries.decode(raw) for raw, _ in found]
        causes = [one.body for one in read if one.kind == entries.AUDIT and one.body[:2] == ["board", "start"]]
        told = [words[2] for words in causes[self.causes :]]  # the first: of the start behind the last look
        if f"cause: {cause}; {BOARD}" not in told[1:]:
            self.violations.append(f"{what}: the log says {told[1:]}")
        self.causes = len(causes)
        self.starts = sum(1 for one in read if one.kind == entries.START)
        self.runs()


def carbonterm(*words):
    subprocess.run([Path(sys.executable).parent / "carbonterm", *words], check=True, capture_output=True)


def run(seed, count=40):
    dice, kinds = random.Random(seed), []
    line = MeterLine("line", [Meter("m1", 1, models.load(MODEL))])
    with tempfile.TemporaryDirectory() as name, Simulation([line]) as plant:
        folder = Path(name)
        uarts = {"rs485-1": plant.buses[0].path}
        with virtual.VirtualBoard(boards.load(BOARD), folder / "board", uarts) as chip:
            victim = Victim(folder, chip)
            victim.provision()
            for number in range(count):
                kinds = kinds or dice.sample(sorted(KINDS), len(KINDS))
                kind, known = kinds.pop(), victim.acknowledged(1)
                what = f"reset {number} ({kind}) behind {known} entries"
                victim.suffer(kind, dice)
                if victim.runs() < known:
                    victim.violations.append(f"{what}: fewer are found")
                victim.look(what, KINDS[kind], known)
    note = f"{len(victim.kept)} entries of {victim.starts} starts, the log verified behind each reset"
    return [{"what": f"sudden resets of a collector ({', '.join(sorted(KINDS))})", "cases": count,
             "violations": len(victim.violations), "note": note, "failing": victim.violations}]  # fmt: skip
