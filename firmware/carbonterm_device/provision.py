"""`--init`: makes the key of an epoch and the request for its registration (docs/keys.md).

The provisioning tool hands in entropy and gets the public half; the private half leaves the folder never.
"""

import binascii
import sys

from carbonterm.errors import GmError, LedgerError
from carbonterm.ledger.registry import Registration
from carbonterm_device import epochs, keys


def init(storage, options, port):
    """What --init prints as JSON. options: "epoch" (0), "entropy" (hex, or - for a line of stdin), "terminal" and
    "operator" for the request, which stays in the folder too, "previous" (SIZE:ROOT) for a later epoch. A key that is
    there stays; so does a registration that has its operator's signature."""
    epoch = int(options.get("epoch", "0"))
    have = epoch in keys.epochs(storage)
    asked = epochs.request(storage, epoch)
    wanted = "operator" in options and "terminal" in options
    previous = _previous(epoch, options) if wanted else None
    if epoch and asked is None and not wanted:
        raise LedgerError(
            "epoch %d needs --terminal ID --operator NAME --previous SIZE:ROOT" % epoch,
            "the operator finds size and root at the platform: what it cosigned last",
        )
    private = None if have else keys.draw(port, _entropy(options.get("entropy", "")))
    signer = keys.load(storage, epoch) if have else keys.signer(private)
    if asked is None or asked.public != signer.public or asked.operator_signature is None:
        asked = None
        if wanted:
            asked = Registration.request(
                options["terminal"], epoch, port.now_ms(), options["operator"], previous, signer, port.random(32)
            )
            # before the key: without its request, the key of a later epoch would be an order to rotate
            storage.replace(epochs.request_name(epoch), asked.encode())
    if not have:
        keys.store(storage, epoch, private)
    said = {"epoch": epoch, "public": binascii.hexlify(signer.public).decode()}
    if asked is not None:
        said["request"] = binascii.hexlify(asked.encode()).decode()
    return said


def _previous(epoch, options):
    if epoch == 0:
        return None
    parts = options.get("previous", "").split(":")
    try:
        return epoch - 1, int(parts[0]), binascii.unhexlify(parts[1])
    except (ValueError, IndexError):
        raise LedgerError("--previous is not SIZE:ROOT", "give a size and 64 hex digits") from None


def _entropy(text):
    if text == "-":
        text = sys.stdin.readline().strip()
    try:
        return binascii.unhexlify(text)
    except ValueError:
        raise GmError("--entropy is not hex", "give 64 hex digits, or - and a line of stdin") from None
