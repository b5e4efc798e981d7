"""A ledger storage in memory, for tests that cut, damage and count (the interface is in carbonterm.ledger.segment)."""


class MemoryStorage:
    """`files`: {name: bytearray}; `log`: what was done, as (what, name, bytes)."""

    def __init__(self, files=()):
        self.files = {name: bytearray(data) for name, data in files}
        self.log = []

    def copy(self):
        return MemoryStorage([(name, self.files[name]) for name in self.files])

    def names(self):
        return list(self.files)

    def size(self, name):
        return len(self.files[name])

    def read(self, name, offset, size):
        return bytes(self.files[name][offset : offset + size])

    def append(self, name, data):
        self.log.append(("append", name, len(data)))
        if name not in self.files:
            self.files[name] = bytearray()
        self.files[name].extend(data)

    def sync(self, name):
        self.log.append(("sync", name, 0))

    def replace(self, name, data):
        self.log.append(("replace", name, len(data)))
        self.files[name] = bytearray(data)

    def remove(self, name):
        self.log.append(("remove", name, 0))
        del self.files[name]

    def erase(self, name):
        self.remove(name)

    def free(self):
        return 1 << 30, 1 << 30
