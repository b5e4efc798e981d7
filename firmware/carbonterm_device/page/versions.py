"""The site documents that were in force: files of the data folder, so that each can come back.

    site-<version, 10 digits>-<first 8 hex digits of its SM3>.kept
        canonical ["carbonterm-kept-site-1", time_ms, who, document]

The log has them all, in its `config` entries; here are the last KEPT, and no more than ROOM bytes.
"""

from carbonterm import cbor
from carbonterm.errors import CarbonError, SiteError, quoted
from carbonterm.gm import sm3

KEPT, ROOM = 20, 4 << 20
_FORMAT = "carbonterm-kept-site-1"
_BEGIN, _END = "site-", ".kept"


class Versions:
    """In a storage (carbonterm_device.storage)."""

    def __init__(self, storage):
        self._storage = storage

    def names(self):
        """Names of the files, the oldest version first."""
        return sorted([name for name in self._storage.names() if name[:5] == _BEGIN and name[-5:] == _END])

    def keep(self, site, who, time_ms):
        """Keeps a Site, if it is not there yet, and lets the oldest go. OSError where the storage fails."""
        document = site.canonical()
        digest = "".join(["%02x" % byte for byte in sm3.digest(document)[:4]])
        name = "%s%010d-%s%s" % (_BEGIN, site.version, digest, _END)
        names = self.names()
        if name in names:
            return
        self._storage.replace(name, cbor.encode([_FORMAT, time_ms, who, document]))
        names = sorted(names + [name])
        sizes = [self._storage.size(one) for one in names]
        while len(names) > 1 and (len(names) > KEPT or sum(sizes) > ROOM):
            self._storage.remove(names.pop(0))
            sizes.pop(0)

    def read(self, name):
        """(time_ms, who, document) of a file; SiteError where there is none of this name, or it is broken."""
        if name not in self.names():
            raise SiteError("there is no version %s" % quoted(name), "see the list · 见版本列表")
        try:
            kind, time_ms, who, document = cbor.decode(self._storage.read(name, 0, self._storage.size(name)))
            if kind != _FORMAT:
                raise ValueError
        except (CarbonError, ValueError, TypeError):
            raise SiteError("%s is broken" % name, "pull the log: its config entries have every version")
        return time_ms, who, document
