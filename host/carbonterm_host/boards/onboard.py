"""boot.py of a board's file system; runs there, before main.py and before anything of the ROMFS is imported.

An upgrade lies on the file system first: STAGED, whole, until the firmware that runs has judged it; then JUDGED, which
is copied into the ROMFS here. A cut at any time leaves the old firmware, or a JUDGED that the next start copies again.
`carbonterm board deploy` sends the same text to a board's prompt, for what it says about the ROMFS.

STAGED = "CTUPG1\\r\\n", lengths of manifest and signature, block size, number of blocks (4 bytes each, big-endian),
manifest.json, manifest.sig, the blocks' numbers (4 bytes each), the blocks.
"""

import hashlib
import os
import struct
from binascii import hexlify

try:
    import vfs
except ImportError:
    vfs = None  # who asks on another machine what is named here

STAGED, JUDGED, NEXT, RELEASE = "/upgrade.bin", "/upgrade.go", "/release.next", "/release"
JUDGE = "carbonterm_device.upgrade"
MAGIC = b"CTUPG1\r\n"
HEAD = 24


class Rom:
    """The partition of the read-only file system: `.size` bytes (0: there is none), `.bytes` as they lie in memory."""

    def __init__(self):
        there = hasattr(vfs, "rom_ioctl") and vfs.rom_ioctl(1) > 0
        self._device = vfs.rom_ioctl(2, 0) if there else None
        self._blocks = hasattr(self._device, "ioctl")  # a block device, or memory that rom_ioctl writes
        self.size = 0
        if there:
            self.size = self._device.ioctl(4, 0) * self._device.ioctl(5, 0) if self._blocks else len(self._device)
            self.bytes = memoryview(self._device)

    def digests(self, count, end, block):
        """Prints the SHA-256 of each of the first blocks, up to the byte `end`."""
        for i in range(count):
            print(hexlify(hashlib.sha256(self.bytes[i * block : min(end, (i + 1) * block)]).digest()).decode())

    def erase(self, number, block):
        if self._blocks:
            self._device.ioctl(6, number)
        else:
            vfs.rom_ioctl(3, 0, number * block, block)

    def write(self, number, data, block):
        """Erases a block and writes `data` from its beginning."""
        self.erase(number, block)
        if self._blocks:
            self._device.writeblocks(number, data, 0)
        else:
            vfs.rom_ioctl(4, 0, number * block, data)

    def done(self):
        if not self._blocks:
            vfs.rom_ioctl(5, 0)

    def mount(self):
        """Mounts it anew; nothing of it may have been imported."""
        try:  # noqa: SIM105 - a board has no contextlib
            vfs.umount("/rom")
        except OSError:
            pass
        vfs.mount(vfs.VfsRom(self._device), "/rom")


def there(name):
    try:
        os.stat(name)
        return True
    except OSError:
        return False


def staged(file):
    """(length of the manifest, of its signature, block size, the blocks' numbers) of an open STAGED, which stands at
    the first block then. ValueError where it is none."""
    head = file.read(HEAD)
    if len(head) != HEAD or head[:8] != MAGIC:
        raise ValueError("no upgrade")
    manifest, signature, block, count = struct.unpack(">4I", head[8:])
    file.seek(HEAD + manifest + signature)
    numbers = struct.unpack(">" + str(count) + "I", file.read(4 * count))
    return manifest, signature, block, numbers


def copy(rom):
    """Brings JUDGED into the ROMFS; blocks that are there already are not written. ValueError where the flash does not
    keep what was written."""
    with open(JUDGED, "rb") as file:
        _, _, block, numbers = staged(file)
        data = bytearray(block)
        for number in numbers:
            if file.readinto(data) != block:
                raise ValueError("the upgrade is short")
            if rom.bytes[number * block : (number + 1) * block] != data:
                rom.write(number, data, block)
                if rom.bytes[number * block : (number + 1) * block] != data:
                    raise ValueError(f"block {number} of the flash does not keep what was written")
    rom.done()
    rom.mount()
    if there(NEXT):
        os.rename(NEXT, RELEASE)
    os.remove(JUDGED)


def upgrade():
    if there(JUDGED):
        try:
            copy(Rom())
        except (OSError, ValueError) as error:
            print("the upgrade was not copied, the next start tries again:", error)
    elif there(STAGED):
        firmware = __import__(JUDGE, None, None, ("judge",))  # by its name: this file is no part of the firmware
        if firmware.judge(Rom(), staged):
            import machine

            machine.reset()  # what was imported lies in the blocks that are copied now


def guarded():
    """No error, and no Ctrl-C while blocks are copied, keeps the board from its prompt."""
    import micropython

    if there(JUDGED):
        micropython.kbd_intr(-1)
    try:
        upgrade()
    except Exception as error:
        print("no upgrade:", error)
    finally:
        micropython.kbd_intr(3)


if __name__ == "__main__":
    guarded()
