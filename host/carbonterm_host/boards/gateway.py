"""The firmware of a Linux gateway: installed, upgraded, rolled back and started from a folder of its own.

    maker.pub      whose images are taken: 128 hex digits
    a/, b/         two slots: lib/ with the modules, manifest.json, manifest.sig, release (carbonterm_device.release)
    current        symbolic link to the slot that is started; one rename changes it
    trial.json     {"slot", "before", "left"}: a version that has not shown yet that it runs, and starts it has left

Everything that counts is one rename, so a cut leaves the old version or the new one. The terminal's data lie elsewhere:
nothing here opens them, and the user who installs needs no right to (docs/boards.md, 10.6.4).
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

from carbonterm import cbor
from carbonterm_host import durable, gm_backends, runtime
from carbonterm_host.boards import image as images
from carbonterm_host.boards.remote import ARCHITECTURES
from carbonterm_host.screen import FINDING, UNVERIFIED, USAGE, Failure

SLOTS = "a", "b"
STARTS = 3  # that a new version has to show that it runs
MAKER, CURRENT, TRIAL, RELEASE, LIB = "maker.pub", "current", "trial.json", "release", "lib"
FAMILY = "unix"
HEAP = "16M"  # boards/linux-gateway/board.toml; MicroPython's own is 2 MB
_ASK = """
import sys
i = sys.implementation
print('%d.%d.%d %d' % (i[1][0], i[1][1], i[1][2], i._mpy))
"""


class Trial:
    """A version in `slot` that has `left` starts to show that it runs; `before`: the slot that is gone back to."""

    def __init__(self, slot, before, left=STARTS):
        self.slot = slot
        self.before = before
        self.left = left

    def bytes(self):
        return (json.dumps({"slot": self.slot, "before": self.before, "left": self.left}) + "\n").encode()


# --- what is there ----------------------------------------------------------------------------------------------------


def current(folder):
    """The slot that is started, None before the first installation."""
    try:
        name = os.readlink(Path(folder) / CURRENT)
    except OSError:
        return None
    return name if name in SLOTS else None


def trial(folder):
    """The Trial that counts, None where the version that is started has shown that it runs."""
    try:
        row = json.loads((Path(folder) / TRIAL).read_bytes())
        found = Trial(row["slot"], row["before"], int(row["left"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    counts = found.slot == current(folder) and found.before in SLOTS
    return found if counts else None


def whole(folder, slot):
    """The manifest of a slot whose modules are those that the maker signed, and no others (MicroPython takes app.py
    before app.mpy); Failure says what is wrong."""
    place = Path(folder) / slot
    manifest = _manifest(place, _maker(folder))
    known = {row["name"] for row in manifest["modules"]}
    for path in (place / LIB).rglob("*"):
        name = path.relative_to(place / LIB).as_posix()
        if name not in known and not path.is_dir():
            raise Failure(UNVERIFIED, f"slot {slot}: nobody signed {name}", "install the image again")
    backend = gm_backends.best()
    for row in manifest["modules"]:
        try:
            data = (place / LIB / row["name"]).read_bytes()
        except OSError as error:
            raise Failure(UNVERIFIED, f"slot {slot}: {error}", "install the image again") from error
        if gm_backends.digest(data, backend).hex() != row["sm3"]:
            raise Failure(UNVERIFIED, f"slot {slot}: {row['name']} is not what was signed", "install the image again")
    return manifest


def _manifest(place, maker):
    try:
        raw = (place / images.MANIFEST).read_bytes()
        manifest = json.loads(raw)
    except (OSError, ValueError) as error:
        raise Failure(UNVERIFIED, f"{place} holds no whole version: {error}", "install the image again") from error
    images.signed_by(place, raw, maker)
    return manifest


def _maker(folder):
    """The key whose images are taken; None before the first installation."""
    try:
        return bytes.fromhex((Path(folder) / MAKER).read_text().strip())
    except OSError:
        return None
    except ValueError as error:
        raise Failure(UNVERIFIED, f"{folder}/{MAKER} is no key: {error}", "put the maker's key there") from error


def versions(folder):
    """{"current", "version", "trial", "slots": {slot: version or None}} for people."""
    slots = {slot: _version(folder, slot) for slot in SLOTS}
    now, tried = current(folder), trial(folder)
    return {"current": now, "version": slots.get(now), "starts_left": tried.left if tried else None, "slots": slots}


def _version(folder, slot):
    """Of a slot that is whole; None for another."""
    try:
        return whole(folder, slot)["carbonterm"] if slot else None
    except Failure:
        return None


# --- installing -------------------------------------------------------------------------------------------------------


def install(folder, image, trust=None, binary=None):
    """Installs an image folder, or upgrades to it. {"slot", "version", "before"}. Failure where it is not signed by the
    maker, or for another machine, before anything is changed. trust: the maker's key (bytes), for the first time."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        *_, done = steps(folder, image, trust, binary)
    return done


def steps(folder, image, trust=None, binary=None):
    """As `install`, step by step: yields a word after each, so that a test can cut between any two; last the result."""
    folder, maker = Path(folder), _maker(folder)
    if maker is not None and trust not in (None, maker):
        what = f"{folder} takes images of {maker.hex()[:16]}… only"
        raise Failure(UNVERIFIED, what, "uninstall, or leave out --trust")
    key = maker or trust
    if key is None:
        raise Failure(USAGE, "nobody said whose images are taken", "--trust KEY, the first time")
    manifest = images.load(image, key)
    runs_here(manifest, binary)
    now, tried = current(folder), trial(folder)
    if tried is not None:
        raise Failure(
            FINDING, "the version that is installed has not shown yet that it runs",
            "start the terminal and let it run for a minute, or let its starts run out",
        )  # fmt: skip
    slot = SLOTS[1] if now == SLOTS[0] else SLOTS[0]
    place = folder / slot
    yield "looked"
    _sweep(place)
    confirm(folder)  # what a cut left of a trial that is over
    yield "emptied"
    for _ in _unpack(place, Path(image), manifest, key):
        yield "wrote"
    durable.replace(folder / MAKER, key.hex().encode() + b"\n")
    whole(folder, slot)
    yield "compared"
    before = _version(folder, now)
    if before is not None:
        durable.replace(folder / TRIAL, Trial(slot, now).bytes())
        yield "on trial"
    switch(folder, slot)
    yield "switched"
    yield {"slot": slot, "version": manifest["carbonterm"], "before": before}


def runs_here(manifest, binary=None):
    """Failure where this machine's MicroPython can't run the image of a manifest."""
    if manifest["family"] != FAMILY:
        raise Failure(FINDING, f"the image is for {manifest['board']}, which is no computer", "carbonterm board deploy")
    try:
        binary = binary or runtime.find()
    except runtime.NotFound as error:
        raise Failure(USAGE, str(error)) from error
    said = subprocess.run([binary, "-c", _ASK], capture_output=True, text=True, timeout=30).stdout.split()
    if len(said) != 2:
        raise Failure(USAGE, f"{binary} is no MicroPython", "CARBONTERM_MICROPYTHON names one")
    number, mpy = int(said[1]), manifest["mpy"]
    if tuple(map(int, said[0].split("."))) < tuple(map(int, manifest["micropython"].split("."))):
        what = f"MicroPython here is {said[0]}, the image wants {manifest['micropython']}"
        raise Failure(FINDING, what, "upgrade MicroPython")
    if str(number & 255) != mpy["version"].split(".")[0]:
        what = f"the image's modules are of mpy version {mpy['version']}, not {number & 255}"
        raise Failure(FINDING, what, "build it by the carbonterm of that MicroPython")
    if mpy["arch"] not in ("", ARCHITECTURES[number >> 10]):
        raise Failure(FINDING, f"the image's machine code is for {mpy['arch']}", "build it without --arch")


def _unpack(place, image, manifest, key):
    files = images.unpacked((image / images.ROMFS).read_bytes())
    for path, data in sorted(files.items()):
        target = place / LIB / path
        if (place / LIB).resolve() not in target.resolve().parents:
            raise Failure(UNVERIFIED, f"the image has a module {path!r}", "do not use it")
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, data)
    yield
    raw = (image / images.MANIFEST).read_bytes()
    digest = bytes.fromhex(images.digest(raw))
    _write(place / RELEASE, cbor.encode([manifest["carbonterm"], digest, key]))
    _write(place / images.SIGNATURE, (image / images.SIGNATURE).read_bytes())
    yield
    _write(place / images.MANIFEST, raw)
    for folder, _, _ in os.walk(place):
        durable.flush(folder)
    yield


def switch(folder, slot):
    """From now on `slot` is started: one rename."""
    draft = Path(folder) / (CURRENT + ".new")
    draft.unlink(missing_ok=True)
    os.symlink(slot, draft)
    os.replace(draft, Path(folder) / CURRENT)
    durable.flush(folder)


def uninstall(folder):
    """Takes the firmware away: what `install` made and nothing else. Names of what was removed."""
    folder, gone = Path(folder), []
    with _locked(folder):
        for name in [name + end for name in (CURRENT, TRIAL, MAKER) for end in ("", ".new")]:
            if os.path.lexists(folder / name):
                os.unlink(folder / name)
                gone.append(name)
        for slot in SLOTS:
            if (folder / slot).exists():
                _sweep(folder / slot)
                (folder / slot).rmdir()
                gone.append(slot)
        durable.flush(folder)
    return gone


# --- starting ---------------------------------------------------------------------------------------------------------


def choose(folder, counts=True):
    """The slot to start now, and what was done about it: (slot, text or None). A start that counts is one of those of a
    version on trial. Goes back where it has none left or is not whole, if there is one to go back to. Failure where
    neither slot is whole."""
    now, tried = current(folder), trial(folder)
    if now is None:
        raise Failure(USAGE, f"nothing is installed in {folder}", "carbonterm board install --image DIR --folder DIR")
    other, why = SLOTS[1 - SLOTS.index(now)], None
    if tried is not None and tried.left <= 0:
        why = f"the version in slot {now} did not run {STARTS} times"
        if _version(folder, other) is None:  # then any start may be the one that it runs
            whole(folder, now)
            return now, f"{why}, and slot {other} is not whole: once more"
    else:
        try:
            whole(folder, now)
        except Failure as failure:
            if _version(folder, other) is None:
                raise
            why = failure.what
    if why:
        switch(folder, other)
        confirm(folder)
        return other, f"{why}: back to the other version"
    if tried is not None and counts:
        tried.left -= 1
        durable.replace(Path(folder) / TRIAL, tried.bytes())
    return now, None


def confirm(folder):
    """The version that is started has shown that it runs."""
    (Path(folder) / TRIAL).unlink(missing_ok=True)
    durable.flush(folder)


def command(folder, slot, arguments, binary=None):
    """(words, environment) that start the firmware of a slot with its own arguments."""
    place = (Path(folder) / slot).resolve()
    words = [binary or runtime.find(), "-X", f"heapsize={HEAP}", "-m", "carbonterm_device", *arguments]
    words += ["--release", str(place / RELEASE)]
    return words, {**os.environ, "MICROPYPATH": f".frozen:{place / LIB}"}


# --- files ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(folder):
    with open(Path(folder) / "lock", "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(USAGE, f"another installation runs in {folder}", "wait for its end") from None
        yield


def _sweep(place):
    """An empty folder `place`, whatever was there."""
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.exists():
        (place / images.MANIFEST).unlink(missing_ok=True)  # it is no whole version from here on
        durable.flush(place)
        shutil.rmtree(place)
    place.mkdir()


def _write(path, data):
    with open(path, "wb") as file:
        durable.write(file, data)
