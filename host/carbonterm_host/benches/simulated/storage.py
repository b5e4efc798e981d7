"""A storage in memory whose power fails: in the middle of a write, and without what was not flushed."""

import os


class PowerCut(Exception):
    """There is no current any more."""


class CutStorage:
    """The interface of carbonterm.ledger.segment; `cut_soon()`: one of the next writes is torn, and PowerCut raised."""

    def __init__(self, chance):
        self.files = {}
        self.cuts = 0
        self._chance = chance
        self._safe = {}  # name: length that is durable
        self._writes = None  # until the cut

    def cut_soon(self):
        self._writes = 1 + self._chance.below(4)

    def names(self):
        return list(self.files)

    def size(self, name):
        return len(self.files[name])

    def read(self, name, offset, size):
        return bytes(self.files[name][offset : offset + size])

    def append(self, name, data):
        torn = self._torn()
        file = self.files.setdefault(name, bytearray())
        if torn:
            for one in self.files:  # a part of what was not flushed got through, and a part of this
                keep = self._safe.get(one, 0)
                self.files[one] = self.files[one][: keep + self._chance.below(len(self.files[one]) - keep + 1)]
            if len(self.files[name]) == len(file):
                self.files[name].extend(data[: self._chance.below(len(data))])
            self._fail()
        file.extend(data)

    def sync(self, name):
        if self._torn():
            self._fail()
        self._safe[name] = len(self.files[name])

    def replace(self, name, data):
        if self._torn():
            self._fail()  # the old file stays
        self.files[name] = bytearray(data)
        self._safe[name] = len(data)

    def remove(self, name):
        if self._torn():
            self._fail()
        del self.files[name]
        self._safe.pop(name, None)

    def erase(self, name):
        self.remove(name)

    def free(self):
        return 1 << 30, 1 << 30

    def write_out(self, folder, more):
        """The files, on a real storage, with {name: bytes} of more."""
        os.mkdir(folder)
        for files in (self.files, more):
            for name in files:
                with open(folder + "/" + name, "wb") as file:
                    file.write(files[name])

    def _torn(self):
        if self._writes is None:
            return False
        self._writes -= 1
        return self._writes == 0

    def _fail(self):
        self._writes = None
        self.cuts += 1
        for name in self.files:
            self._safe[name] = len(self.files[name])
        raise PowerCut("the power failed")
