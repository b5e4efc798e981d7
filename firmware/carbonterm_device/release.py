"""Which firmware this is: said in the log by an `upgrade` entry at the first start after it changed (docs/formats.md).

A release is canonical bytes of [version, SM3 of the image's manifest, key (64 bytes) that signed it or null]. What was
installed leaves it outside of the data folder; what the log knows of lies in the data folder, under NAME. On a Linux
gateway it is FOLDER/SLOT/release, and FOLDER/current leads to the slot that the next start runs (docs/boards.md).
"""

import os

from carbonterm import cbor
from carbonterm.errors import CarbonError

NAME = "release"
MAX_BYTES = 512


def read(path):
    """The bytes of the release that was installed; None where nobody said."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES)
    except OSError:
        return None


def mark(path):
    """What tells one file from another that comes to lie in its place; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found[1], found[8]


def ousted(path, own):
    """Whether the firmware whose release was `own` = mark(path) at its start is no longer the installed one: another
    slot is current, or all was taken away. Elsewhere than in a slot, only the latter."""
    parts = path.rsplit("/", 2)
    now = mark(parts[0] + "/current/release") if len(parts) == 3 else None
    return own is not None and (mark(path) if now is None else now) != own


def tell(terminal, storage, raw):
    """Appends [version before, version, digest, key] where the release `raw` (bytes or None) is another than the log
    knows of, durably. True where it did. A power cut in between has it said twice; OSError of the storage."""
    try:
        known = storage.read(NAME, 0, MAX_BYTES)
    except (OSError, KeyError):
        known = None
    if raw is None or raw == known:
        return False
    fields = _fields(raw)
    if fields is None:
        terminal.audit("terminal", "release", "what was installed is not said in the form that is known")
        return False
    before = known and _fields(known)
    terminal.upgraded([before[0] if before else ""] + fields)
    terminal.commit()
    if terminal.failed or terminal.stopped:
        return False
    storage.replace(NAME, raw)
    return True


def _fields(raw):
    """[version, digest, key or None] of the bytes of a release; None for anything else."""
    try:
        found = cbor.decode(raw)
    except CarbonError:
        return None
    if not isinstance(found, list) or len(found) != 3 or not isinstance(found[0], str):
        return None
    key = found[2]
    right = isinstance(found[1], bytes) and len(found[1]) == 32
    if right and len(found[0]) <= 64 and (key is None or (isinstance(key, bytes) and len(key) == 64)):
        return found
    return None
