"""The simulated chip: what it is, its flash in a file, its wire to the supervisor. On MicroPython's unix port only.

The supervisor hands in a JSON file: "folder", "family", "block", "size" (of the flash), "partitions" [[name, offset,
size]], "uarts" {number: device}, "id", "cause", "clock_ns" and "ds3231_ns" (what the clocks show beyond the machine's
own; null where one was lost), "epoch" (0, or 946684800 where the chip counts from 2000), "raw".
"""

import json

import utime
from vfs import VfsPosix

EIO, ENOENT, ENOSPC = 5, 2, 28
_PAGE = 4096

files = VfsPosix("/")  # the machine's own, which a program on the board does not see
about = {}
_wire = []


def load(path):
    """Reads the supervisor's file; the first thing a start does."""
    with files.open(path, "r") as file:
        about.update(json.load(file))
    _wire.append(files.open(about["folder"] + "/wire", "wb"))
    flash.open(about["folder"] + "/flash.bin", about["block"], about["size"])


def tell(*words):
    """Says something to the supervisor: what the chip does to the world around it."""
    _wire[0].write(" ".join([str(word) for word in words]) + "\n")


def end(*words):
    """Tells the supervisor and waits for the end that it brings."""
    tell(*words)
    while True:
        utime.sleep(1)


def is_there(name):
    """Whether the supervisor's folder has the file `name`: a switch that stands for something outside of the board."""
    try:
        files.stat(about["folder"] + "/" + name)
        return True
    except OSError:
        return False


def partition(name):
    """(offset, size) of a partition, None where the flash has none."""
    for row in about["partitions"]:
        if row[0] == name:
            return row[1], row[2]
    return None


class _Flash:
    """NOR flash: programming clears bits, erasing a block sets them. Power may fail in any of these.

    What it does takes no room in the heap, as on a chip: its buffers are there from the start.
    """

    def open(self, path, block, size):
        self._file = files.open(path, "r+b")
        self.block = block
        self.size = size
        self._blank = memoryview(b"\xff" * block)
        self._before = memoryview(bytearray(block))

    def read(self, at, buffer):
        self._file.seek(at)
        self._file.readinto(buffer)

    def program(self, at, data):
        data, size = memoryview(data), len(data)
        for done in range(0, size, self.block):
            part = data[done : done + self.block]
            before = self._before[: len(part)]
            self.read(at + done, before)
            if before != self._blank[: len(part)]:
                both = int.from_bytes(part, "big") & int.from_bytes(before, "big")
                part = both.to_bytes(len(part), "big")
            self._change(at + done, part)

    def erase(self, number):
        self._change(number * self.block, self._blank)

    def _change(self, at, data):
        part = self._power()
        self._file.seek(at)
        self._file.write(data if part is None else data[: len(data) * part // 2])
        if part is not None:
            end("off")

    def _power(self):
        """None, or how many halves of this write the power lasts for."""
        if not is_there("cut"):
            return None
        path = about["folder"] + "/cut"
        with files.open(path, "r") as file:
            left, part = [int(word) for word in file.read().split()]
        if left <= 0:
            return part
        with files.open(path, "w") as file:
            file.write("%d %d" % (left - 1, part))
        return None


flash = _Flash()


class Region:
    """A part of the flash as MicroPython's block device. A write without an offset erases its blocks first."""

    def __init__(self, offset, size):
        self.offset = offset
        self.size = size

    def readblocks(self, number, buffer, offset=0):
        flash.read(self.offset + number * flash.block + offset, buffer)
        return 0

    def writeblocks(self, number, data, offset=None):
        if offset is None:
            for i in range((len(data) + flash.block - 1) // flash.block):
                flash.erase(self.offset // flash.block + number + i)
        flash.program(self.offset + number * flash.block + (offset or 0), data)
        return 0

    def ioctl(self, what, argument):
        if what == 4:
            return self.size // flash.block
        if what == 5:
            return flash.block
        if what == 6:
            flash.erase(self.offset // flash.block + argument)
        return 0


def outside(begin, size):
    """OSError unless [begin, begin + size) lies in the flash and on its blocks."""
    if begin % flash.block or size % flash.block or begin < 0 or begin + size > flash.size:
        raise OSError(EIO)
