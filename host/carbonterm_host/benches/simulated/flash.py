"""A board's flash in memory, with the log in a ring and small files in littlefs beside it; counts what wears it out.

Programming clears bits and only erasing sets them. Runs on MicroPython only, which has littlefs.
"""

import os

import vfs

from carbonterm_device.ring import Ring, RingAndFolder
from carbonterm_device.storage import Folder

PLACE = "/flash"


class Nor:
    """A block device; `erased` counts the erases of each block."""

    def __init__(self, block, count):
        self.block = block
        self.data = bytearray(b"\xff" * (block * count))
        self.erased = [0] * count
        self.programmed = 0

    def readblocks(self, block, buffer, offset=0):
        at = block * self.block + offset
        buffer[:] = memoryview(self.data)[at : at + len(buffer)]
        return 0

    def writeblocks(self, block, buffer, offset=0):
        at = block * self.block + offset
        for i in range(len(buffer)):
            self.data[at + i] &= buffer[i]
        self.programmed += len(buffer)
        return 0

    def ioctl(self, what, value):
        if what == 4:
            return len(self.erased)
        if what == 5:
            return self.block
        if what == 6:
            self.erased[value] += 1
            at = value * self.block
            self.data[at : at + self.block] = b"\xff" * self.block
        return 0

    def wear(self):
        """[blocks, erases of all, erases of the block with most, bytes programmed]."""
        return [len(self.erased), sum(self.erased), max(self.erased), self.programmed]


class Flash(RingAndFolder):
    """The storage of a board: `blocks` of the log's ring, `files` of the littlefs, each of `block` bytes."""

    cuts = 0

    def __init__(self, block, blocks, files, program):
        self.log, self.files = Nor(block, blocks), Nor(block, files)
        vfs.VfsLfs2.mkfs(self.files)
        for one in (self.log, self.files):
            one.erased = [0] * len(one.erased)
            one.programmed = 0
        vfs.mount(vfs.VfsLfs2(self.files), PLACE)
        RingAndFolder.__init__(self, Ring(self.log, program), Folder(PLACE + "/log"))

    def cut_soon(self):
        raise ValueError("the simulated flash has no power switch")

    def write_out(self, folder, more):
        """The files, on a real storage, with {name: bytes} of more."""
        os.mkdir(folder)
        for name in self.names():
            with open(folder + "/" + name, "wb") as file:
                size, at = self.size(name), 0
                while at < size:
                    piece = self.read(name, at, min(4096, size - at))
                    file.write(piece)
                    at += len(piece)
        for name in more:
            with open(folder + "/" + name, "wb") as file:
                file.write(more[name])

    def wear(self):
        return {"log": self.log.wear(), "files": self.files.wear()}
