"""The readings of a bundle as columns: thousands of entries are taken apart at once (docs/formats.md, "Bundle").

The bytes are canonical CBOR, so the n-th item of every entry is found by one step of numpy from the item before it,
however long each is. Only the bundle's digest is checked here: whether its entries are true is `carbonterm verify`'s.
"""

import hashlib
import mmap

import numpy as np

from carbonterm import cbor
from carbonterm.errors import CarbonError, LedgerError
from carbonterm.gm import sm3
from carbonterm.ledger import bundle
from carbonterm.ledger import entry as entries

ENTRIES = 8192  # that are taken apart at once
_WIDTHS = np.zeros(32, np.int64)
_WIDTHS[24:28] = 1, 2, 4, 8
_NULL = 0xF6
_ENTRY = b"\x83\x65entry"
_NOT = (entries.CLOSING, entries.EMISSION, entries.AUDIT, entries.UPGRADE, entries.KEY, entries.GAP)


class Rows:
    """Rows of readings, those of each point in the order of the log: arrays point, time (ms), quality, exponent,
    mantissa, and unset: whether the time is by a clock that nobody had set."""

    __slots__ = ("exponent", "mantissa", "point", "quality", "time", "unset")

    def __init__(self, point, time, quality, exponent, mantissa, unset):
        self.point, self.time, self.quality = point, time, quality
        self.exponent, self.mantissa, self.unset = exponent, mantissa, unset


def facts(path):
    """Iterates over a bundle's entries: Rows for readings, as many as come one after the other, and the Entry for the
    others, without what only follows from them. LedgerError where the file is no whole bundle."""
    with open(path, "rb") as file:
        if file.read(len(bundle.MAGIC)) != bundle.MAGIC:
            file.seek(0)
            next(bundle.read(file))  # says what it is instead
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    walk = _Walk(data)
    starts, ends = [], []
    for start, end in _frames(data):
        starts.append(start)
        ends.append(end)
        if len(starts) == ENTRIES:
            yield from walk.facts(np.array(starts), np.array(ends))
            starts, ends = [], []
    if starts:
        yield from walk.facts(np.array(starts), np.array(ends))


def _frames(data):
    """(start, end) of each entry's bytes in a bundle; checks its count and digest at the end."""
    at, count = len(bundle.MAGIC), 0
    while True:
        size = int.from_bytes(data[at : at + 4], "big")
        body, end = at + 4, at + 4 + size
        if size > bundle.MAX_FRAME or end > len(data):
            raise _broken(at, "is cut")
        if data[body : body + 7] == _ENTRY:
            start, length = _head(data, body + 7)
            if start + length + 66 != end or data[start + length : start + length + 2] != b"\x58\x40":
                raise _broken(at, "is no entry with its fingerprint")
            yield start, start + length
        elif data[body : body + 5] == b"\x83\x63end":
            _check_end(data, at, end, count)
            return
        at, count = end, count + 1


def _head(data, at):
    """(where the bytes begin, how many) of a byte string at `at`."""
    head = data[at]
    if 0x40 <= head < 0x58:
        return at + 1, head - 0x40
    width = {0x58: 1, 0x59: 2, 0x5A: 4}.get(head, 0)
    return at + 1 + width, int.from_bytes(data[at + 1 : at + 1 + width], "big")


def _check_end(data, at, end, count):
    try:
        frame = cbor.decode(data[at + 4 : end])
    except CarbonError:
        frame = []
    hasher = hashlib.new("sm3") if "sm3" in hashlib.algorithms_available else sm3.Hash()
    for begin in range(0, at, 1 << 22):
        hasher.update(data[begin : min(at, begin + (1 << 22))])
    if frame != ["end", count, hasher.digest()] or end != len(data):
        raise _broken(at, "does not fit: the count or digest of what came before is another")


def _broken(at, why):
    return LedgerError(f"the frame at byte {at} of the bundle {why}", "get the bundle again")


class _Walk:
    """Steps through many entries at once."""

    def __init__(self, data):
        self.data = data
        self.bytes = np.frombuffer(data, np.uint8)
        self.last = len(data) - 9
        # the eight bytes from each place on; a bundle ends with a digest, so no item is nearer to its end
        self.words = np.ndarray((len(data) - 8,), ">u8", data, strides=(1,))

    def items(self, at):
        """(heads, values, where the next items begin) of the items at `at`; a value is the head's own number."""
        at = np.minimum(at, self.last)
        heads = self.bytes[at].astype(np.int64)
        short = heads & 31
        if (short < 24).all():  # the number is in the head itself
            return heads, short, at + 1
        width = _WIDTHS[short]
        word = self.words[at + 1].astype(np.uint64)
        word >>= (((8 - width) & 7) * 8).astype(np.uint64)
        value = np.where(width == 0, short, word.astype(np.int64))
        return heads, value, at + 1 + width

    def integers(self, at, ok):
        """(values, next); `ok` loses those that are no integer of 63 bits."""
        heads, value, after = self.items(at)
        if (heads < 0x18).all():
            return value, after
        major = heads >> 5
        ok &= (major <= 1) & (value >= 0)
        return np.where(major == 1, -1 - value, value), after

    def facts(self, starts, ends):
        ok = self.bytes[starts] == 0x88
        _, at = self.integers(starts + 1, ok)  # version
        heads, length, at = self.items(at)
        ok &= heads >> 5 == 3
        at = at + length
        _, at = self.integers(at, ok)  # epoch
        _, at = self.integers(at, ok)  # seq
        time, at = self.integers(at, ok)
        state, at = self.integers(at, ok)
        kind, at = self.integers(at, ok)
        if not ok.all():
            entries.decode(self._raw(starts, ends, int(np.argmin(ok))))
            raise LedgerError("an entry of the bundle is not of the format", "see carbonterm verify")
        unset = (state == entries.CLOCK_UNSET) | (time < 0)
        others = np.flatnonzero(~np.isin(kind, (entries.READINGS, *_NOT)))
        begin = 0
        for other in [*others.tolist(), len(starts)]:
            rows = begin + np.flatnonzero(kind[begin:other] == entries.READINGS)
            if len(rows):
                yield self._readings(at[rows], ends[rows], time[rows], unset[rows])
            if other < len(starts):
                yield entries.decode(self._raw(starts, ends, other))
            begin = other + 1

    def _raw(self, starts, ends, i):
        return self.data[int(starts[i]) : int(ends[i])]

    def _readings(self, at, ends, time, unset):
        heads, _, at = self.items(at)
        ok = heads == 0x82
        heads, counts, at = self.items(at)
        ok &= heads >> 5 == 4
        parts = []
        for count in np.unique(counts).tolist():
            chosen = np.flatnonzero(counts == count)
            good = ok[chosen]
            columns, after = self._rows(at[chosen], count, good)
            heads, length, after = self.items(after)  # the digest of the frames, or null
            good &= np.where(heads == _NULL, after, after + length) == ends[chosen]
            if not good.all():
                raise LedgerError("a readings entry of the bundle is not of the format", "see carbonterm verify")
            columns["time"] += time[chosen]
            columns["unset"] = np.tile(unset[chosen], (count, 1))
            columns["entry"] = np.tile(chosen, (count, 1))
            first = columns["point"][:, :1]
            same = (columns["point"] == first).all() and len(np.unique(first)) == count
            parts.append({name: column.reshape(-1) for name, column in columns.items()})
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = joined.pop("entry")
        if len(parts) > 1 or not same:  # else each point has a column of its own, and that is in order
            order = np.argsort(order, kind="stable")
            joined = {name: column[order] for name, column in joined.items()}
        return Rows(**joined)

    def _rows(self, at, count, ok):
        """The rows of entries that have as many: {name: array (count, entries)}, and where they end."""
        shape = (count, len(at))
        columns = {name: np.empty(shape, np.int64) for name in ("point", "time", "quality", "exponent", "mantissa")}
        for i in range(count):
            ok &= self.bytes[np.minimum(at, self.last)] == 0x85
            at = at + 1
            for name in ("point", "time", "quality", "exponent"):
                columns[name][i], at = self.integers(at, ok)
            heads, value, at = self.items(at)
            none = heads == _NULL
            ok &= none | ((heads >> 5 <= 1) & (value >= 0))
            ok &= none == (columns["quality"][i] >= entries.INVALID)
            columns["mantissa"][i] = np.where(none, 0, np.where(heads >> 5 == 1, -1 - value, value))
        return columns, at
