"""A production line: one board after the other gets firmware, identity, label, and its line in the signed record.

The folder of a production keeps what has to outlive a cut: given.json (which chip got which identifier, written
before the board hears of it), record.jsonl (record.py) and labels/ID.svg. A board that was cut, or comes again, goes on
where it was: it is known by its chip, and keeps its identifier and its key.
"""

import fcntl
import json
import os
import re
import threading
import time
from pathlib import Path

from carbonterm import site as sites
from carbonterm.errors import CarbonError
from carbonterm_host import durable
from carbonterm_host.boards import deploy as deploying
from carbonterm_host.boards import doctor, flash, record
from carbonterm_host.boards import image as images
from carbonterm_host.boards import provision as provisioning
from carbonterm_host.boards.remote import Remote
from carbonterm_host.screen import FINDING, UNREACHABLE, USAGE, Failure

MOST = 100000  # identifiers of one production
BACK_S = 20  # until USB has brought a port back behind a reset
_RANGE = re.compile(r"(.*?)([0-9]+)\.\.(.*?)([0-9]+)")


def identifiers(text):
    """The identifiers that `text` names, in order: "CT-0001..CT-0500", or a file with one on each line."""
    found = _RANGE.fullmatch(text)
    if found and found[3] in ("", found[1]):
        first, last, width = int(found[2]), int(found[4]), len(found[2])
        if not 0 <= last - first < MOST:
            raise Failure(USAGE, f"{text} are {last - first + 1} identifiers", f"name 1 to {MOST}, the first one first")
        names = [f"{found[1]}{number:0{width}}" for number in range(first, last + 1)]
    else:
        try:
            names = Path(text).read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(USAGE, f"{text} is neither FIRST..LAST nor a file: {error}", "CT-0001..CT-0500") from error
    for name in names:
        try:
            sites.terminal_id(name)
        except CarbonError as error:
            raise Failure(USAGE, error.what, error.hint) from error
    if not names or len(set(names)) < len(names):
        twice = next((name for name in names if names.count(name) > 1), None)
        raise Failure(USAGE, f"{text} names {twice} twice" if twice else f"{text} names no identifier", "mend it")
    return names


class Production:
    """`make(port)` makes one board; ports may be made at once, each in a thread of its own. Use it with `with`: the
    folder belongs to one process at a time.

    board: a Board; image: folder; names: identifiers in the order they are given; signer, operator: who registers;
    documents: {identifier: Site} of boards that are told what they measure; base: bytes of the base MicroPython of
    boards (ESP32) that have none; trust: bytes of the key that signed the image.
    """

    def __init__(self, board, image, folder, names, signer, operator, documents=None, base=None, trust=None):
        manifest = images.load(image, trust)
        if manifest["board"] != board.name:
            raise Failure(USAGE, f"the image is for {manifest['board']}, not for {board.name}", "name the other folder")
        self.board, self.image, self.folder, self.names = board, image, Path(folder), names
        self.record = self.folder / "record.jsonl"
        self._image_digest = images.digest(images.canonical(manifest))
        self._signer, self._operator = signer, operator
        self._documents = documents or {}
        self._base, self._trust = base, trust
        self._lock = threading.Lock()

    def __enter__(self):
        (self.folder / "labels").mkdir(parents=True, exist_ok=True)
        self._file = open(self.folder / "lock", "w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise Failure(USAGE, f"another production runs in {self.folder}", "give it more ports, or wait") from error
        given = self.folder / "given.json"
        self._given = json.loads(given.read_text()) if given.exists() else {}
        self._recorded = record.rows(self.record)
        return self

    def __exit__(self, *_):
        self._file.close()

    def left(self):
        """Identifiers that no board has yet."""
        taken = {*self._given.values(), *(row["terminal"] for row in self._recorded)}
        return [name for name in self.names if name not in taken]

    def make(self, port, step=lambda what, done=0, total=0: None):
        """Makes the board at `port` and returns its row of the record, with "again": whether that was there already,
        and "seconds". Failure where it does not become one: then it has no label."""
        begun = time.monotonic()
        if self._base is not None:
            self._flash(port, step)
        with Remote(port, self.board.watchdog["seconds"]) as remote:
            deploying.deploy(remote, self.board, self.image, self._trust,
                             step=lambda done, total: step("firmware", done, total))  # fmt: skip
            remote.fresh()
            provisioning.begin(remote)
            step("clock")
            provisioning.set_time(remote)
            found = provisioning.state(remote)
            self._healthy(found)
            terminal = self._identifier(found["id"], found["terminal"])
            step("key")
            registration = provisioning.identify(remote, terminal, self._signer, self._operator)
            document = self._documents.get(terminal)
            if document is not None:
                step("site document")
                provisioning.check_image(remote, document)
                provisioning.configure(remote, document.canonical())
            row = {**provisioning.described(remote, self.board, registration), "image": self._image_digest}
            self._label(registration)
            row, again = self._written(row)
            remote.restart()
        return {**row, "again": again, "seconds": time.monotonic() - begun}

    def _flash(self, port, step):
        """The base firmware, onto a board on which no MicroPython answers: one that has it may have a key, too."""
        try:
            with Remote(port, tries=2):
                return
        except Failure as failure:
            if failure.code != UNREACHABLE or not os.path.exists(port):
                raise
        what = flash.pieces(self.board, self._base, self.image, True)
        flash.espressif(self.board, port, what, True, step=lambda done, total: step("flash", done, total))
        end = time.monotonic() + BACK_S
        while not os.path.exists(port) and time.monotonic() < end:
            time.sleep(0.2)

    def _healthy(self, found):
        bad = [row for row in doctor.hardware(found) if not row["ok"]]
        if self.board.rtc["kind"] == "ds3231" and found["clock_chip"] is None:
            raise Failure(FINDING, "its clock chip does not answer", "put it aside: see wiring.md of the board")
        if bad:
            raise Failure(FINDING, f"{bad[0]['what']}: {bad[0]['says']}", bad[0]["do"] or "put it aside")

    def _identifier(self, chip, has):
        """The identifier of the board with this chip; has: the one that it says it has, or None."""
        with self._lock:
            owners = {name: one for one, name in self._given.items()}
            owners.update({row["terminal"]: row["chip"] for row in self._recorded})
            name = has or self._given.get(chip) or next(iter(self.left()), None)
            if name is None:
                raise Failure(USAGE, "all identifiers are given", "name more of them with --ids")
            if name not in self.names:
                raise Failure(FINDING, f"the board is {name} already, which is none of this production's identifiers",
                              "put it aside, or factory-reset it, which takes its key and its log")  # fmt: skip
            if owners.get(name, chip) != chip:
                raise Failure(FINDING, f"the board says it is {name}, which was given to the chip {owners[name]}",
                              "factory-reset this one: it gets an identifier of its own")  # fmt: skip
            if self._given.get(chip) != name:
                self._given[chip] = name
                text = json.dumps(self._given, indent=0, sort_keys=True) + "\n"
                durable.replace(self.folder / "given.json", text.encode())
        return name

    def _label(self, registration):
        text = provisioning.label(registration.terminal_id, registration.public, self.board.title)
        (self.folder / "labels" / f"{registration.terminal_id}.svg").write_text(text)

    def _written(self, row):
        """(the row of the record, whether it was there): one for each key and image of a board."""
        same = "terminal", "public_key", "chip", "image"
        with self._lock:
            for one in self._recorded:
                if all(one[what] == row[what] for what in same):
                    return one, True
            self._recorded.append(record.append(self.record, row, self._signer))
            return self._recorded[-1], False


class Stations:
    """Ports at which boards come and go: those named, or those with one of these USB ids."""

    def __init__(self, ports=(), usb=()):
        self._ports, self._usb = list(ports), set(usb)
        self._there = {}

    def new(self, busy=()):
        """The ports at which a board was connected since it was asked last; those that are busy are left for later."""
        found = {port: _mark(port) for port in self._ports or self._boards()}
        there = {port: mark for port, mark in found.items() if mark is not None}
        come = [port for port in sorted(there) if self._there.get(port) != there[port] and port not in busy]
        self._there = {port: mark if port in come else self._there.get(port) for port, mark in there.items()}
        return come

    def _boards(self):
        from serial.tools import list_ports

        return {one.device for one in list_ports.comports()
                if one.vid is not None and f"{one.vid:04x}:{one.pid:04x}" in self._usb}  # fmt: skip


def _mark(port):
    """What changes where a device or a link to one is made anew, however quickly; None where there is none."""
    try:
        found = os.lstat(port)
        return (found.st_ino, found.st_rdev or found.st_mtime_ns) if os.path.exists(port) else None
    except OSError:
        return None
