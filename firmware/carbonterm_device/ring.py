"""A raw ring on a block device: the log's segments on a board's NOR flash, without a file system (docs/storage.md).

Theory of operation. Every erase block that is in use begins with a header that says whose it is: a number that grows by
one with each block taken, the segment, and where in the segment the block's bytes begin. A mount reads headers only.
Blocks are taken in a circle, each erased right before, so wear is level whatever the log does; a block is never
programmed again that was begun before the last mount or in which a write failed, so no cut leaves a trap behind.
Nothing is erased that was not removed: removing programs a mark into the segment's first block, which is durable and
cannot be half done. What a cut leaves torn is given as it stands: the frames above have checksums, the log says what it
cut. Layout: docs/formats.md, "Ring". The device is MicroPython's block device with the offset argument.
"""

import array
import binascii

from carbonterm.errors import LedgerError
from carbonterm.ledger.frames import segment_name

HEADER = 32  # bytes
CHUNK = 4  # bytes before a chunk's data: its length and the complement of it
MARK = 32  # bytes at least for the mark of a removed segment, at the end of its first block

_MAGIC = b"CTR1"
_COUNT, _SIZE, _ERASE, _SYNC = 4, 5, 6, 3  # what ioctl does
_ENOENT, _EIO, _EINVAL, _ENOSPC = 2, 5, 22, 28
_TRIES = 8  # blocks that may fail one after the other before a write is given up


class _Segment:
    """One segment: `offsets[i]` is where in it the bytes of block `blocks[i]` begin; `at` where the last block may be
    programmed next (0: nowhere); `size` in bytes (-1: not known yet); `begin` the number of its first block."""

    __slots__ = ("at", "begin", "blocks", "offsets", "size")

    def __init__(self):
        self.begin = self.at = self.size = 0
        self.offsets = array.array("I")
        self.blocks = array.array("H")


class Ring:
    """The storage of segments on `device` (the interface is in carbonterm.ledger.frames, without `replace`, `erase`).

    program: bytes the flash programs at once, a power of two (RP2: 256, ESP32: any); a write is filled up to it.
    A failed read, or a failed write that other blocks cannot take over either, is an OSError; a full ring is ENOSPC,
    and nothing was written then. LedgerError for a device that cannot be a ring.
    """

    __slots__ = ("_cached", "_data", "_next", "_number", "_segments", "_unused", "_used", "blocks", "device", "mark",
                 "program", "size_of_block")  # fmt: skip

    def __init__(self, device, program=256):
        self.device = device
        self.program = program
        self.blocks = device.ioctl(_COUNT, 0)
        self.size_of_block = device.ioctl(_SIZE, 0)
        self.mark = max(program, MARK)
        if not (0 < program <= 4096 and program & (program - 1) == 0):
            raise LedgerError("a flash does not program %d bytes at once" % program, "give its page size, like 256")
        if not (4 <= self.blocks < 65536 and 4 * self.mark <= self.size_of_block <= 32768 and
                self.size_of_block % program == 0):  # fmt: skip
            raise LedgerError(
                "%d blocks of %d bytes are no ring" % (self.blocks, self.size_of_block),
                "it takes 4 to 65535 blocks of at most 32768 bytes, each of 4 pages or more",
            )
        self._segments = None
        self._cached, self._data = -1, b""  # the block last read, and its bytes
        self._mount()

    # --- the storage ------------------------------------------------------------------------------------------------

    def names(self):
        """Names of the segments, in no order."""
        return [segment_name(epoch, first) for epoch, first in self._mounted()]

    def size(self, name):
        segment = self._segment(name)
        if segment.size < 0:
            segment.size = segment.offsets[-1] + len(self._bytes(segment, len(segment.blocks) - 1))
        return segment.size

    def read(self, name, offset, size):
        segment = self._segment(name)
        end = min(offset + size, self.size(name))
        i, above = 0, len(segment.offsets)  # the last block that begins at or before offset
        while above - i > 1:
            middle = (i + above) // 2
            if segment.offsets[middle] <= offset:
                i = middle
            else:
                above = middle
        parts = []
        while offset < end and i < len(segment.blocks):
            begin = segment.offsets[i]
            part = self._bytes(segment, i)[offset - begin : end - begin]
            parts.append(part)
            offset += len(part)
            i += 1
        return b"".join(parts)

    def append(self, name, data):
        key = _key(name)
        segment = self._mounted().get(key)
        known = segment is not None
        if known:
            self.size(name)
        else:
            segment = _Segment()
        if self._needed(segment, len(data)) > self._unused:
            raise OSError(_ENOSPC, "the ring is full")
        try:
            while data:
                data = data[self._write(segment, key, data) :]
        except OSError:
            self._segments = None  # what is on the flash now only the flash can say
            raise
        if not known:
            self._segments[key] = segment

    def sync(self, name):
        """What was programmed is durable; a device that keeps something back is told to let go of it."""
        self._segment(name)
        self.device.ioctl(_SYNC, 0)

    def remove(self, name):
        """Frees the blocks of a segment. Durable, and never by half: the mark is there or not."""
        segment = self._segment(name)
        block = segment.blocks[0]
        _done(self.device.writeblocks(block, bytes(self.mark), self.size_of_block - self.mark))
        if not self._removed(block):
            raise OSError(_EIO, "the flash fails")
        self._release(segment)
        del self._segments[_key(name)]

    def close(self):
        """Nothing waits in memory."""

    def free(self):
        """(bytes that can still be written, bytes of the whole ring)."""
        self._mounted()
        return self._unused * (self.size_of_block - HEADER - CHUNK), self.blocks * self.size_of_block

    # --- writing ----------------------------------------------------------------------------------------------------

    def _needed(self, segment, size):
        """Blocks that `size` bytes take beyond the one that is open."""
        room = self._end(len(segment.blocks) == 1) - segment.at - CHUNK
        if segment.at and room > 0:
            size -= room
        if not segment.blocks and size > 0:
            size += self.mark
        return max(0, -(-size // (self.size_of_block - HEADER - CHUNK)))

    def _end(self, first):
        """Where the data of a block ends."""
        return self.size_of_block - (self.mark if first else 0)

    def _write(self, segment, key, data):
        """Programs as much of `data` as one block takes; returns how much that was."""
        tries = 0
        while True:
            fresh = not segment.at or self._end(len(segment.blocks) == 1) - segment.at <= CHUNK
            block = self._take() if fresh else segment.blocks[-1]
            first = not segment.blocks or block == segment.blocks[0]
            at, head = segment.at, b""
            if fresh:
                self._number += 1
                begin = self._number if first else segment.begin
                at, head = 0, _header(self._number, begin, key, segment.size)
            size = min(len(data), self._end(first) - at - len(head) - CHUNK)
            image = head + size.to_bytes(2, "big") + (size ^ 0xFFFF).to_bytes(2, "big") + data[:size]
            if self._programmed(block, at, image, fresh):
                break
            segment.at = 0  # the block keeps what it has; what failed goes to the next one, which says where it begins
            tries += 1
            if tries == _TRIES:
                raise OSError(_EIO, "the flash fails")
        if fresh:
            if first:
                segment.begin = self._number
            segment.offsets.append(segment.size)
            segment.blocks.append(block)
        segment.at = self._aligned(at + len(image))
        segment.size += size
        return size

    def _take(self):
        """The next free block in the circle. A block that fails then stays out of use until the next mount."""
        for _ in range(self.blocks):
            block, self._next = self._next, (self._next + 1) % self.blocks
            if not self._used[block]:
                self._used[block] = 1
                self._unused -= 1
                return block
        raise OSError(_ENOSPC, "the ring is full")

    def _programmed(self, block, at, image, erase):
        """Erases if asked to, programs, reads back; True if the flash now holds the image: worn flash says nothing."""
        image += b"\xff" * (self._aligned(at + len(image)) - at - len(image))
        if block == self._cached:
            self._cached = -1
        try:
            if erase:
                _done(self.device.ioctl(_ERASE, block))
            _done(self.device.writeblocks(block, image, at))
            found = bytearray(len(image))
            _done(self.device.readblocks(block, found, at))
        except OSError:
            return False
        return found == image

    def _aligned(self, at):
        return (at + self.program - 1) & ~(self.program - 1)

    # --- reading ----------------------------------------------------------------------------------------------------

    def _segment(self, name):
        segment = self._mounted().get(_key(name))
        if segment is None:
            raise OSError(_ENOENT, name)
        return segment

    def _bytes(self, segment, i):
        """The bytes of a segment's block i. What a block lost, so that the next one begins later, reads as 0xFF."""
        block = segment.blocks[i]
        if block != self._cached:
            image = bytearray(self.size_of_block)
            _done(self.device.readblocks(block, image, 0))
            self._data, self._cached = _chunks(image, self._end(i == 0), self._aligned), block
        if i + 1 == len(segment.blocks):
            return self._data
        size = segment.offsets[i + 1] - segment.offsets[i]
        return self._data[:size] + b"\xff" * (size - len(self._data))

    # --- mounting ---------------------------------------------------------------------------------------------------

    def _mounted(self):
        """The segments; after a write that was given up they are read anew."""
        if self._segments is None:
            self._mount()
        return self._segments

    def _mount(self):
        """Reads all headers; a segment is there if its first block is, and has no mark."""
        header = bytearray(HEADER)
        numbers, begins, offsets = [array.array("I", bytes(4 * self.blocks)) for _ in range(3)]
        heads, segments = {}, {}
        self._cached = -1
        self._number, newest = 0, self.blocks - 1
        for block in range(self.blocks):
            _done(self.device.readblocks(block, header, 0))
            if header[:4] != _MAGIC or _crc(header[:-4]) != header[-4:]:
                continue
            number, begin, epoch, first, offset = _fields(header)
            if number > self._number:
                self._number, newest = number, block
            if number == begin and not self._removed(block):
                heads[begin] = (epoch, first)
            numbers[block], begins[block], offsets[block] = number, begin, offset
        self._next = (newest + 1) % self.blocks
        self._used = bytearray(self.blocks)
        self._unused = self.blocks
        for begin in sorted(heads):
            segment, before = _Segment(), segments.get(heads[begin])
            segment.begin, segment.size = begin, -1
            rows = sorted([(offsets[b], numbers[b], b) for b in range(self.blocks) if begins[b] == begin])
            for i in range(len(rows)):
                if i + 1 == len(rows) or rows[i + 1][0] > rows[i][0]:  # of two with one offset the later one counts
                    segment.offsets.append(rows[i][0])
                    segment.blocks.append(rows[i][2])
                    self._used[rows[i][2]] = 1
                    self._unused -= 1
            if before:  # its first write failed, and another block took over
                self._release(before)
            segments[heads[begin]] = segment
        self._segments = segments

    def _removed(self, block):
        mark = bytearray(self.mark)
        _done(self.device.readblocks(block, mark, self.size_of_block - self.mark))
        return bytes(mark).count(b"\0") * 4 >= self.mark

    def _release(self, segment):
        for block in segment.blocks:
            self._used[block] = 0
            self._unused += 1


class RingAndFolder:
    """One storage of two: segments in `ring`, all other files (keys, checkpoints, receipts) in `folder`."""

    def __init__(self, ring, folder):
        self.ring = ring
        self.folder = folder
        self.path = folder.path

    def _of(self, name):
        return self.ring if name[-4:] == ".seg" else self.folder

    def names(self):
        return self.ring.names() + self.folder.names()

    def size(self, name):
        return self._of(name).size(name)

    def read(self, name, offset, size):
        return self._of(name).read(name, offset, size)

    def append(self, name, data):
        self._of(name).append(name, data)

    def sync(self, name):
        self._of(name).sync(name)

    def replace(self, name, data):
        """Puts a whole file in place of another; segments only grow, and are not replaced."""
        if self._of(name) is self.ring:
            raise LedgerError("segment %s cannot be replaced in a ring" % name, "remove it, and append")
        self.folder.replace(name, data)

    def remove(self, name):
        self._of(name).remove(name)

    def erase(self, name):
        self.folder.erase(name)

    def free(self):
        """The ring's: the small files need little, and of a fixed size."""
        return self.ring.free()

    def close(self):
        self.folder.close()


def _key(name):
    epoch, first = name[:5], name[6:16]
    if epoch.isdigit() and first.isdigit() and name == segment_name(int(epoch), int(first)):
        return int(epoch), int(first)
    raise LedgerError("a ring holds segments only, and %s is none" % name, "keep other files in the folder beside it")


def _header(number, begin, key, offset):
    fields = _MAGIC + number.to_bytes(4, "big") + begin.to_bytes(4, "big") + key[0].to_bytes(4, "big")
    fields += key[1].to_bytes(8, "big") + offset.to_bytes(4, "big")
    return fields + _crc(fields)


def _fields(header):
    """(number, begin, epoch, first seq, offset) of a header."""
    return (
        int.from_bytes(header[4:8], "big"), int.from_bytes(header[8:12], "big"), int.from_bytes(header[12:16], "big"),
        int.from_bytes(header[16:24], "big"), int.from_bytes(header[24:28], "big"),
    )  # fmt: skip


def _crc(data):
    return binascii.crc32(data).to_bytes(4, "big")


def _chunks(image, end, aligned):
    """The data of a block: its chunks joined, and behind the last whole one what is not erased, as it stands."""
    at, parts = HEADER, []
    while at + CHUNK < end:
        size = int.from_bytes(image[at : at + 2], "big")
        if size == 0 or size ^ int.from_bytes(image[at + 2 : at + 4], "big") != 0xFFFF or at + CHUNK + size > end:
            break
        parts.append(bytes(image[at + CHUNK : at + CHUNK + size]))
        at = aligned(at + CHUNK + size)
    parts.append(bytes(image[at:end]).rstrip(b"\xff"))
    return b"".join(parts)


def _done(result):
    """A device of MicroPython's answers None or 0, or minus an error number."""
    if result:
        raise OSError(-result if result < 0 else _EINVAL, "the flash fails")
