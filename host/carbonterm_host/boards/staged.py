"""An upgrade of a board that a cut cannot break: its blocks go onto the file system first, the firmware that runs
judges them, and a start copies them (what runs on the board: onboard.py, carbonterm_device.upgrade; docs/boards.md).

The state is what lies on the board: a run that was cut sends only what is missing of STAGED, or finds it copied.
"""

import hashlib
import json
import struct
from pathlib import Path

from carbonterm_host.boards import image as images
from carbonterm_host.boards import onboard
from carbonterm_host.boards.remote import encoded
from carbonterm_host.screen import FINDING, Failure

MAKER = "/maker.pub"  # whose images the board takes, once one was signed
SLACK = 16 << 10  # bytes that the file system keeps for the firmware's own files
_PIECE = 4096
_SYNC = 4  # pieces after which the file is flushed: what is there after a cut
_DRAFT = onboard.STAGED + ".new"
_ABLE = f"""
try:
    import {onboard.JUDGE}
    print(True)
except ImportError:
    print(False)
"""


def boot():
    """The bytes of the board's /boot.py."""
    return Path(onboard.__file__).read_bytes()


def release(folder):
    """[version, SM3 of the manifest, key (bytes) that signed it or None] of an image folder."""
    raw = (Path(folder) / images.MANIFEST).read_bytes()
    return [json.loads(raw)["carbonterm"], bytes.fromhex(images.digest(raw)), images.signed_by(folder, raw)]


def able(remote):
    """Whether the board runs firmware that judges upgrades; one whose firmware is broken or old does not."""
    return remote.about["board"] is not None and remote.value(None, _ABLE, "for its firmware")


def package(folder, data, block, todo):
    """The bytes of STAGED: the blocks `todo` of the ROMFS `data`, with manifest and signature of the image folder."""
    folder = Path(folder)
    manifest = (folder / images.MANIFEST).read_bytes()
    path = folder / images.SIGNATURE
    signature = path.read_bytes() if path.exists() else b""
    head = struct.pack(">4I", len(manifest), len(signature), block, len(todo))
    numbers = struct.pack(f">{len(todo)}I", *todo)
    blocks = b"".join(data[i * block : (i + 1) * block].ljust(block, b"\xff") for i in todo)
    return onboard.MAGIC + head + manifest + signature + numbers + blocks


def bring(remote, staged, step):
    """Stages, has it judged, and has it copied by a fresh start. Failure where the board refuses it."""
    _stage(remote, staged, step)
    judged = f"from {onboard.JUDGE} import judge\nprint(judge(Rom(), staged))"
    said = remote.run(judged, "to judge the upgrade").strip().splitlines()
    if said[-1:] != ["True"]:
        reason = said[0].partition(": ")[2] if said else "no reason"
        raise Failure(
            FINDING, f"the board refuses the upgrade: {reason}",
            "build the image with the maker's key: carbonterm board build --key; nothing was changed",
        )  # fmt: skip
    remote.fresh()


def _stage(remote, staged, step):
    """Puts STAGED onto the board, from where a run before was cut."""
    remote.files()
    have = remote.value(f"_size({_DRAFT!r})") or 0
    if have and (have > len(staged) or remote.value(f"_sha({_DRAFT!r})") != hashlib.sha256(staged[:have]).hexdigest()):
        have = 0
        remote.run(f"os.remove({_DRAFT!r})", "to begin anew")
    free = remote.value("(lambda s: s[0] * s[3])(os.statvfs('/'))")
    if free < len(staged) - have + SLACK:
        raise Failure(
            FINDING, f"its file system has {free} bytes left, the upgrade wants {len(staged) - have + SLACK}",
            "carbonterm board backup and make room (mpremote fs rm), or deploy with --in-place, which a power cut can"
            " leave without firmware until it is run again",
        )  # fmt: skip
    at = have
    while at < len(staged):
        remote.run(f"_f = open({_DRAFT!r}, 'ab')", "to stage the upgrade")
        for begin in range(at, min(len(staged), at + _SYNC * _PIECE), _PIECE):
            piece = encoded(staged[begin : begin + _PIECE])
            remote.run(f"_f.write(a2b_base64({piece}))", "to stage the upgrade")
        remote.run("_f.close()", "to stage the upgrade")
        at = min(len(staged), at + _SYNC * _PIECE)
        step(at, len(staged))
    if remote.value(f"_sha({_DRAFT!r})") != hashlib.sha256(staged).hexdigest():
        remote.run(f"os.remove({_DRAFT!r})", "to begin anew")
        raise Failure(FINDING, "the upgrade came out differently on the board", "run it again; is the line disturbed?")
    remote.run(f"os.rename({_DRAFT!r}, {onboard.STAGED!r})", "to stage the upgrade")


def forget(remote):
    """Takes away what an upgrade left that another way of writing overtakes."""
    for name in (_DRAFT, onboard.STAGED, onboard.JUDGED, onboard.NEXT):
        remote.run(f"if _size({name!r}) is not None:\n os.remove({name!r})", "to forget an upgrade")
