"""`vfs` of a board: the unix port's, and the partition of the read-only file system by rom_ioctl.

A chip has that partition in its address space; here a copy of it lies in the heap, which is larger for it.
"""

import simulated_chip as chip
from vfs import *  # noqa: F403
from vfs import VfsRom, mount

_EINVAL = 22


class _Mapped(bytearray):
    """ESP32: an object that is the partition's bytes and its block device in one."""

    def ioctl(self, what, argument):
        return _rom().ioctl(what, argument)

    def readblocks(self, number, buffer, offset=0):
        return _rom().readblocks(number, buffer, offset)

    def writeblocks(self, number, data, offset=None):
        return _rom().writeblocks(number, data, offset)


class _Rom(chip.Region):
    """The partition; what is written is seen in the copy, as in a chip's address space."""

    def ioctl(self, what, argument):
        done = super().ioctl(what, argument)
        if what == 6:
            self._see(argument * chip.flash.block, chip.flash.block)
        return done

    def writeblocks(self, number, data, offset=None):
        done = super().writeblocks(number, data, offset)
        self._see(number * chip.flash.block + (offset or 0), len(data))
        return done

    def _see(self, at, size):
        chip.flash.read(self.offset + at, memoryview(_copy[0])[at : at + size])


_copy = []


def _rom():
    return _Rom(*chip.partition("romfs"))


def load():
    """Reads the partition, and mounts it where it holds a file system."""
    found = chip.partition("romfs")
    if found is None:
        return
    copy = (_Mapped if chip.about["family"] == "esp32" else bytearray)(found[1])
    _rom().readblocks(0, memoryview(copy))
    _copy.append(copy)
    if copy[:3] == b"\xd2\xcd\x31":
        try:
            mount(VfsRom(copy), "/rom")
        except (OSError, ValueError):
            return


def rom_ioctl(what, number=0, offset=0, data=None):
    """1: how many; 2: its bytes; 3: erases [offset, offset + data); 4: writes; 5: done; 6: bytes of a block."""
    if not _copy:
        return 0 if what == 1 else -_EINVAL
    if what == 1:
        return 1
    if number != 0:
        return -_EINVAL
    if what == 2:
        return _copy[0]
    if chip.about["family"] == "esp32":
        return -_EINVAL
    if what == 3:
        if data is None:
            offset, data = 0, offset
        block = chip.flash.block
        for one in range(offset // block, (offset + data + block - 1) // block):
            _rom().ioctl(6, one)
        return 4
    if what == 4:
        block = chip.flash.block
        return _rom().writeblocks(offset // block, data, offset % block)
    return chip.flash.block if what == 6 else 0
