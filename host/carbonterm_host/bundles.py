"""A whole bundle in memory, for commands that fold or show it; `carbonterm verify` streams instead."""

from carbonterm.errors import LedgerError
from carbonterm.ledger import bundle, proof
from carbonterm_host.screen import UNVERIFIED, USAGE, Failure


class Bundle:
    """terminal_id, creator, keys {epoch: public}, centres {name: public}, entries [(bytes, fingerprint)],
    checkpoints [text], receipts [(body, signature)], registrations [(body, device's signature, operator's)],
    revocations [(body, signature)], each in the file's order; ended {epoch: Proof of the last entry of one that was
    dropped}."""

    def __init__(self):
        self.terminal_id = self.creator = None
        self.keys, self.centres = {}, {}
        self.entries, self.checkpoints, self.receipts = [], [], []
        self.registrations, self.revocations = [], []
        self.ended = {}


def read(path):
    """The Bundle in the file `path`, whose digest is right and whose signatures are not checked; else Failure."""
    found = Bundle()
    takes = {
        "key": found.keys.__setitem__,
        "centre": found.centres.__setitem__,
        "entry": lambda raw, fingerprint: found.entries.append((raw, fingerprint)),
        "checkpoint": found.checkpoints.append,
        "registration": lambda *row: found.registrations.append(row),
        "revocation": lambda *row: found.revocations.append(row),
        "ended": lambda data: _ended(found, data),
        "receipt": lambda body, signature: found.receipts.append((body, signature)),
    }
    try:
        with open_bundle(path) as file:
            for _, frame in bundle.read(file):
                if frame[0] == "header":
                    found.terminal_id, found.creator = frame[1:]
                else:
                    takes[frame[0]](*frame[1:])
    except LedgerError as error:
        raise Failure(UNVERIFIED, f"{path}: {error.what}", error.hint) from None
    return found


def _ended(found, data):
    one = proof.decode(data)
    found.ended[one.epoch] = one


def open_bundle(path):
    """The file, open for reading bytes; Failure where it cannot be opened."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise Failure(USAGE, f"{path} cannot be read: {error.strerror}", "name a file of carbonterm pull") from None
