"""The last receipt of each centre, kept in the data folder for `carbonterm pull` (docs/formats.md, "Data folder").

A file `<epoch>-<first 8 hex digits of SM3(centre's key)>.rcp` is canonical [centre's key, receipt's body, signature].
The outbox needs none of it: a file that is lost costs a bundle one receipt.
"""

import binascii

from carbonterm import cbor
from carbonterm.errors import CarbonError, UplinkError
from carbonterm.gm import sm3
from carbonterm.uplink.message import MAX_ANSWER, Receipt

NOTES = "pull.note"  # file in the data folder: what who pulled says of it, for the audit entries
MAX_NOTE = 1000  # bytes of it that are read


def file_name(epoch, public):
    """Name of the file of a centre's key (64 bytes) and an epoch."""
    return "%05d-%s.rcp" % (epoch, binascii.hexlify(sm3.digest(public)[:4]).decode())


def keep(storage, public, receipt):
    """Puts a Receipt in place of the one before, durable and atomic; OSError where the storage has no room."""
    data = cbor.encode((public, receipt.body, receipt.signature))
    storage.replace(file_name(receipt.epoch, public), data)


def read_kept(storage):
    """[(public key, Receipt)] of a storage, by epoch; UplinkError, naming the file, where one is not of the format."""
    found = []
    for name in sorted(storage.names()):
        if len(name) == 18 and name[5] == "-" and name[14:] == ".rcp":
            data = storage.read(name, 0, MAX_ANSWER + 200)
            try:
                public, body, signature = cbor.decode(data)
                receipt = Receipt.decode(cbor.encode((body, signature)))
                if not isinstance(public, bytes) or len(public) != 64 or file_name(receipt.epoch, public) != name:
                    raise UplinkError("it is of another centre or epoch")
            except (CarbonError, ValueError, TypeError) as error:
                why = error.what if isinstance(error, CarbonError) else "it is no array of three"
                raise UplinkError("%s holds no receipt: %s" % (name, why), "remove it: the log does not need it")
            found.append((public, receipt))
    return found
