"""NOR flash in memory as MicroPython's block device: counts, keeps what was done, fails when told to.

Programming clears bits and only erasing sets them, as on the real thing.
"""

EIO = 5


class Nor:
    """`data`: the flash. `done`: [(address, bytes), …] of every program and erase, if `keep`; `erased`: erases per
    block; `programmed`: bytes; `misused`: bytes programmed that were not erased (a mark over a torn mark aside).

    after: a function told of each operation as (what, part), what one of "read", "write", "erase"; it returns None, or
    how much of it (0, 1, 2: none, half, all) is done before it fails with EIO.
    """

    def __init__(self, block, count, data=None, keep=False, after=None):
        self.block = block
        self.count = count
        self.data = bytearray(b"\xff" * (block * count)) if data is None else data
        self.done = [] if keep else None
        self.after = after
        self.erased = [0] * count
        self.programmed = self.misused = self.reads = 0

    def readblocks(self, block, buffer, offset=0):
        self.reads += 1
        if self.after and self.after("read") is not None:
            return -EIO
        at = block * self.block + offset
        buffer[:] = self.data[at : at + len(buffer)]
        return 0

    def writeblocks(self, block, buffer, offset=0):
        at, data = block * self.block + offset, bytes(buffer)
        before = self.data[at : at + len(data)]
        if before != b"\xff" * len(data):
            self.misused += len(data) - bytes(before).count(b"\xff")
            data = bytes([a & b for a, b in zip(data, before)])
        return self._change(at, data, self.after and self.after("write"))

    def ioctl(self, what, value):
        if what == 4:
            return self.count
        if what == 5:
            return self.block
        if what == 6:
            self.erased[value] += 1
            return self._change(value * self.block, b"\xff" * self.block, self.after and self.after("erase"), False)
        return 0

    def _change(self, at, data, part, program=True):
        size = len(data) if part is None else len(data) * part // 2
        if self.done is not None:
            self.done.append((at, data[:size]))
        if program:
            self.programmed += size
        self.data[at : at + size] = data[:size]
        return 0 if part is None else -EIO


class Part:
    """`count` blocks of a flash from block `first` on, as a device of its own."""

    def __init__(self, flash, first, count):
        self.flash = flash
        self.first = first
        self.count = count

    def readblocks(self, block, buffer, offset=0):
        return self.flash.readblocks(self.first + block, buffer, offset)

    def writeblocks(self, block, buffer, offset=0):
        return self.flash.writeblocks(self.first + block, buffer, offset)

    def ioctl(self, what, value):
        if what == 4:
            return self.count
        return self.flash.ioctl(what, self.first + value if what == 6 else value)
