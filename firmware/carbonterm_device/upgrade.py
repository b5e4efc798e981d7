"""Judges an upgrade that lies on a board's file system, before a byte of the firmware is changed (docs/boards.md).

The maker's signature over the manifest, the board it is for, and the SM3 digest of the ROMFS as it will be: the staged
blocks, and of the others those that are there. What passes is copied by the next start's boot.py, which needs nothing
of the ROMFS for it; what does not is removed, and the log says why.
"""

import binascii
import json
import os

from carbonterm import cbor
from carbonterm.gm import sm2, sm3

STAGED, JUDGED, NEXT = "/upgrade.bin", "/upgrade.go", "/release.next"  # as in boot.py
HEAD = 24
MAKER = "/maker.pub"  # the key that has to have signed: 128 hex digits; without the file anybody's signature, or none
REFUSED = "/refused.txt"
FORMAT, ROMFS = "carbonterm-image-1", "romfs.img"
MAX_MANIFEST = 65536


class Refusal(ValueError):
    """Why an upgrade is not taken, one line."""


def judge(rom, staged):
    """True where STAGED is now JUDGED, to be copied after a reset. Otherwise it is gone, and REFUSED says why.
    rom, staged: boot.py's Rom() and its reader of STAGED."""
    try:
        release = _judged(rom, staged)
    except Exception as error:  # whatever its manifest says: what is not judged here would be judged at each start
        reason = str(error) or type(error).__name__
        print("the upgrade is refused:", reason)
        os.remove(STAGED)  # first: there may be no room for the reason
        with open(REFUSED, "w") as file:
            file.write(reason)
        return False
    with open(NEXT, "wb") as file:
        file.write(release)
    os.rename(STAGED, JUDGED)
    return True


def _judged(rom, staged):
    """Bytes of the RELEASE that the upgrade makes; Refusal."""
    with open(STAGED, "rb") as file:
        length, signature, block, numbers = staged(file)
        first = file.tell()
        if length > MAX_MANIFEST or signature > 1024:
            raise Refusal("its manifest is too long")
        file.seek(HEAD)
        raw, words = file.read(length), file.read(signature)
        key = signer(raw, words, _maker())
        manifest = json.loads(raw)
        size, digest, unit = _fits(manifest)
        if size > rom.size:
            raise Refusal("its ROMFS has %d bytes, the partition %d" % (size, rom.size))
        length = os.stat(STAGED)[6]
        if block != unit or [n for n in numbers if n * block >= size] or length != first + block * len(numbers):
            raise Refusal("its blocks are not those of its image")
        if _digest(file, first, numbers, rom, block, size) != digest:
            raise Refusal("the firmware would not be the one of its manifest")
    return cbor.encode([manifest["carbonterm"], sm3.digest(raw), key])


def signer(raw, words, maker):
    """The key (64 bytes) that signed the manifest `raw`, None where nobody did; Refusal unless it is `maker`'s, where
    that is known. words: the bytes of manifest.sig."""
    if not words:
        if maker is not None:
            raise Refusal("it is not signed")
        return None
    lines = words.split()
    try:
        key, signature = [binascii.unhexlify(line) for line in lines]
    except ValueError:
        raise Refusal("its signature is none")
    if maker is not None and key != maker:
        raise Refusal("it is signed by another key than the one of " + MAKER)
    if not sm2.verify(key, raw, signature):
        raise Refusal("its signature does not fit its manifest")
    return key


def _maker():
    try:
        with open(MAKER) as file:
            text = file.read().strip()
    except OSError:
        return None
    return binascii.unhexlify(text)


def _fits(manifest):
    """(size, SM3 digest) of the ROMFS that a manifest promises, and the bytes of a block of this flash."""
    import carbonterm_board as about  # which only an image has

    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise Refusal("it has no manifest of " + FORMAT)
    if manifest.get("board") != about.NAME:
        raise Refusal("it is for %s, this is %s" % (manifest.get("board"), about.NAME))
    for row in manifest["files"]:
        if row["name"] == ROMFS:
            return row["size"], binascii.unhexlify(row["sm3"]), about.FLASH[0]
    raise Refusal("its manifest has no ROMFS")


def _digest(file, first, numbers, rom, block, size):
    """SM3 of the ROMFS's first `size` bytes once the staged blocks are in it."""
    found, data = sm3.Hash(), bytearray(block)
    places = {numbers[i]: first + i * block for i in range(len(numbers))}
    for number in range((size + block - 1) // block):
        at = number * block
        if number in places:
            file.seek(places[number])
            if file.readinto(data) != block:
                raise Refusal("it is short")
            part = memoryview(data)[: size - at]
        else:
            part = rom.bytes[at : min(size, at + block)]
        found.update(part)
    return found.digest()

