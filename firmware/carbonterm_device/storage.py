"""The log's storage in a folder of posix or littlefs (the interface is in carbonterm.ledger.frames).

On MicroPython a file's flush() is fsync(2), for a folder too; CPython has os.fsync. A new name is durable only after
its folder was flushed.
"""

import os

_FOLDER = 0x4000  # S_IFDIR
_EISDIR = 21


class Folder:
    """Files in the folder `path`, which is made if need be. One file stays open for appending."""

    def __init__(self, path):
        self.path = path
        self._name = None  # of the open file
        self._file = None
        self._new = False
        try:
            os.stat(path)
        except OSError:
            os.mkdir(path)
            _flush_folder(path + "/..")

    def names(self):
        """Names of the files, in no order."""
        if hasattr(os, "ilistdir"):
            return [row[0] for row in os.ilistdir(self.path) if row[1] != _FOLDER]
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
            self._file = open(self.path + "/" + name, "ab")  # noqa: SIM115 - it stays open between commits
            self._name = name
        written = self._file.write(data)
        while written < len(data):
            written += self._file.write(data[written:])

    def sync(self, name):
        if name == self._name:
            _flush(self._file)
            new, self._new = self._new, False
        else:
            with open(self.path + "/" + name, "ab") as file:
                _flush(file)
            new = True
        if new:
            _flush_folder(self.path)

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
        os.remove(self.path + "/" + name)
        _flush_folder(self.path)

    def close(self):
        """Closes the open file; what was not flushed is not lost by this, and not durable either."""
        if self._file:
            self._file.close()
        self._name = self._file = None


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
