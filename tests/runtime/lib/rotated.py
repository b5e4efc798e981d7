"""A log of three epochs for tests on CPython: registered by an operator, rotated twice, cosigned by a centre."""

from carbonterm.gm import sm2
from carbonterm.ledger import bundle, checkpoint, entry
from carbonterm.ledger.registry import Registration, succession
from carbonterm.ledger.segment import Log
from carbonterm_host import datafolder
from memory_storage import MemoryStorage

OPERATOR, OTHER, CENTRE = (sm2.Signer(bytes(31) + bytes((number,))) for number in (0x31, 0x32, 0x33))
KEYS = tuple(sm2.Signer(bytes(31) + bytes((number,))) for number in (0x41, 0x42, 0x43))
T0 = 1750000000000


def log(folder, revoked=None):
    """FILE.bundle of three epochs: the first registered, the others by rotation, the last cosigned."""
    storage = MemoryStorage()
    previous = None
    for epoch, signer in enumerate(KEYS):
        one = Log(storage, "T1", epoch, signer)
        if previous:
            one.append(T0, 3, entry.KEY, ["previous", *previous])
        one.append(T0, 3, entry.AUDIT, ["test", "epoch", str(epoch)])
        if epoch < 2:
            message = succession("T1", epoch, one.next_seq, signer.public, KEYS[epoch + 1].public)
            signature = KEYS[epoch + 1].sign(message)
            one.append(T0, 3, entry.KEY, ["next", epoch + 1, KEYS[epoch + 1].public, signature])
        head = checkpoint.parse(one.checkpoint())
        previous = epoch, head.size, head.root
    asked = Registration.request("T1", 0, T0, "op.example", None, KEYS[0]).authorised(OPERATOR.sign)
    file = folder / "a.bundle"
    raw = folder / "raw"
    with open(raw, "wb") as opened:
        writer = bundle.Writer(opened, "T1", "test")
        datafolder.pull(storage, writer)
        writer.end()
    with open(file, "wb") as opened:
        writer = bundle.Writer(opened, "T1", "test")
        writer.centre("centre", CENTRE.public)
        with open(raw, "rb") as source:
            for _, frame in bundle.read(source):
                if frame[0] == "checkpoint":
                    text = checkpoint.cosigned(frame[1], "centre", CENTRE.public, T0 // 1000 + 5, CENTRE.sign)
                    writer.checkpoint(text)
                elif frame[0] != "header":
                    getattr(writer, frame[0])(*frame[1:])
                if frame[:2] == ["key", 0]:
                    writer.registration(asked.body, asked.device_signature, asked.operator_signature)
                    if revoked:
                        writer.revocation(revoked.body, revoked.signature)
        writer.end()
    return file
