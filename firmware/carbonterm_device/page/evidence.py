"""Files of evidence that come with what is entered on the page (6.2, 11.3 d): kept in the data folder, beside the log.

    <first 16 hex digits of the record's digest>-<SM3 of the file, hex>.evidence
        canonical ["carbonterm-evidence-1", name of the file, its bytes]

The record, in the log, names them by name and SM3: what is here can be lost, not changed unseen.
"""

import asyncio

from carbonterm import cbor
from carbonterm.errors import CarbonError, LedgerError, quoted
from carbonterm.gm import sm3

ROOM = 64 << 20  # bytes of all of them
SPARE = 64 << 20  # that stay free for the log
PIECE = 8192  # bytes that are hashed at once: the meters' answers do not wait
_FORMAT, _END = "carbonterm-evidence-1", ".evidence"


async def digest(data):
    """SM3 of a file's bytes."""
    found = sm3.Hash()
    for at in range(0, len(data), PIECE):
        found.update(data[at : at + PIECE])
        await asyncio.sleep(0)
    return found.digest()


def keep(storage, record, files):
    """Keeps the files [(name, SM3, bytes)] of a Record; LedgerError where there is no room for them."""
    size = sum([len(data) for _, _, data in files])
    held = sum([storage.size(name) for name in storage.names() if name.endswith(_END)])
    if files and (held + size > ROOM or storage.free()[0] < SPARE + size):
        raise LedgerError("there is no room for more evidence: %d MiB are kept, %d MiB are free"
                          % (held >> 20, storage.free()[0] >> 20),
                          "move files *.evidence out of the data folder · 请先移走凭证文件")  # fmt: skip
    try:
        for name, sum_of, data in files:
            storage.replace(_name(record.digest, sum_of), cbor.encode([_FORMAT, name, data]))
    except OSError as error:
        drop(storage, record)
        raise LedgerError("evidence cannot be stored: %s" % error, "see the status")


def drop(storage, record):
    """The files of a record that was refused go; one that cannot is of no record, and read by nobody."""
    for name, _ in listed(storage, _hex(record.digest[:8])):
        try:
            storage.remove(name)
        except OSError:
            continue


def listed(storage, record_id):
    """[(name in the data folder, SM3 as hex)] of what is kept for the record of an id, of 16 hex digits."""
    return [(name, name[17:81]) for name in sorted(storage.names()) if name.endswith(_END) and name[:16] == record_id]


async def read(storage, name):
    """(name of the file, its bytes) of a file of the data folder; LedgerError where it is none, or was changed."""
    if not name.endswith(_END) or name not in storage.names():
        raise LedgerError("there is no evidence %s here" % quoted(name), "ask who entered it for the file")
    try:
        kind, title, data = cbor.decode(storage.read(name, 0, storage.size(name)))
        if kind != _FORMAT or not isinstance(data, bytes) or _hex(await digest(data)) != name[17:81]:
            raise ValueError
    except (CarbonError, ValueError, TypeError):
        raise LedgerError("%s is not what was given" % quoted(name), "ask who entered it for the file")
    return title, data


def _name(record_digest, sum_of):
    return "%s-%s%s" % (_hex(record_digest[:8]), _hex(sum_of), _END)


def _hex(data):
    return "".join(["%02x" % byte for byte in data])
