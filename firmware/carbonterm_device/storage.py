"""The log's storage in a folder of posix or littlefs (the interface is in carbonterm.ledger.frames).

On MicroPython a file's flush() is fsync(2), for a folder too; CPython has os.fsync. A new name is durable only after
its folder was flushed.
"""

import os

_FOLDER = 0x4000  # S_IFDIR
_EISDIR = 21
_EIO = 5
LISTINGS = 5  # of a folder at most, until two in a row are the same


class Folder:
    """Files in the folder `path`, which is made if need be. One file stays open for appending."""

    def __init__(self, path):
        self.path = path
        self._name = None  # of the open file
        self._file = None
        self._new = False
        self._doubt = []  # files whose flush has failed
        try:
            os.stat(path)
        except OSError:
            os.mkdir(path)
            _flush_folder(path + "/..")

    def names(self):
        """Names of the files, in no order; OSError where they cannot be told for certain.

        MicroPython ends a listing at an error of the device as if it were whole, and whose key file is not seen may be
        given another one: only what comes twice in a row is believed."""
        if hasattr(os, "ilistdir"):
            before = None
            for _ in range(LISTINGS):
                names = [row[0] for row in os.ilistdir(self.path) if row[1] != _FOLDER]
                if names == before:
                    return names
                before = names
            raise OSError(_EIO)
        return [name for name in os.listdir(self.path) if not os.path.isdir(self.path + "/" + name)]

    def size(self, name):
        return os.stat(self.path + "/" + name)[6]

    def read(self, name, offset, size):
        with open(self.path + "/" + name, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def append(self, name, data):
        if name != self._name:
            self.close()
            self._new = name not in self.names()
            self._file = open(self.path + "/" + name, "ab", 0)  # noqa: SIM115 - it stays open between commits
            self._name = name
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:] if written else data)
        except OSError:
            self.close()
            raise

    def sync(self, name):
        if name in self._doubt:
            self.replace(name, self.read(name, 0, self.size(name)))
            self._doubt.remove(name)
            return
        try:
            if name == self._name:
                new = self._new
                _flush(self._file)
            else:
                with open(self.path + "/" + name, "ab") as file:
                    _flush(file)
                new = True
        except OSError:
            # the system may now call pages clean that no disk has: only a file written anew is durable
            self._doubt.append(name)
            self.close()
            raise
        if new:
            _flush_folder(self.path)
            self._new = False

    def free(self):
        """(bytes that can still be written, bytes of the whole file system)."""
        found = os.statvfs(self.path)
        return found[4] * found[1], found[2] * found[1]

    def replace(self, name, data):
        if name == self._name:
            self.close()
        with open(self.path + "/" + name + ".new", "wb") as file:
            file.write(data)
            _flush(file)
        os.rename(self.path + "/" + name + ".new", self.path + "/" + name)
        _flush_folder(self.path)

    def remove(self, name):
        if name == self._name:
            self.close()
        if name in self._doubt:
            self._doubt.remove(name)
        os.remove(self.path + "/" + name)
        _flush_folder(self.path)

    def erase(self, name):
        """Removes a secret: its bytes are overwritten first. A flash's own translation, a journal and littlefs may
        keep them all the same."""
        size = self.size(name)
        with open(self.path + "/" + name, "r+b") as file:
            file.write(bytes(size))
            _flush(file)
        self.remove(name)

    def close(self):
        """Closes the open file; what was not flushed is not lost by this, and not durable either."""
        file, self._name, self._file = self._file, None, None
        if file:
            file.close()


def _flush(file):
    file.flush()
    if hasattr(os, "fsync"):
        os.fsync(file.fileno())


def _flush_folder(path):
    if hasattr(os, "fsync"):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    else:
        try:
            folder = open(path)  # noqa: SIM115 - littlefs opens no folder
        except OSError as error:
            if error.errno != _EISDIR:
                raise
            return  # littlefs: a name is durable with the file's flush, rename or removal
        folder.flush()
        folder.close()
