"""The `upgrade` entry: once for each other firmware, never for what is no release."""

import pytest

from carbonterm import cbor
from carbonterm.gm import sm2
from carbonterm.ledger import entry as entries
from carbonterm.ledger.segment import Log
from carbonterm.site import Site
from carbonterm_device import release
from carbonterm_device.terminal import Terminal
from memory_storage import MemoryStorage
from seeded import Random
from sites import document

SIGNER = sm2.Signer(bytes(31) + b"\x07")
OLD = cbor.encode(["0.1.0", bytes(32), None])
NEW = cbor.encode(["0.2.0", bytes([1] * 32), bytes([2] * 64)])


class Clock:
    state = 3

    def now_ms(self):
        return 1772380800000


def begun(storage):
    log = Log(storage, "CT-TEST-1", 0, SIGNER, lambda n: bytes(n))
    terminal = Terminal(log, Clock(), "test")
    terminal.start(Site(document()))
    return terminal


def told(terminal):
    found = [entries.decode(raw) for raw, _ in terminal.log.entries(0)]
    return [one.body for one in found if one.kind == entries.UPGRADE]


@pytest.mark.requirement("T-10.6.4-1", part="the log's entry of an upgrade")
def test_another_firmware_is_told_once():
    storage = MemoryStorage()
    terminal = begun(storage)
    assert not release.tell(terminal, storage, None)
    for raw, new in ((OLD, True), (OLD, False), (NEW, True), (NEW, False), (OLD, True)):
        assert release.tell(terminal, storage, raw) == new
        assert storage.read(release.NAME, 0, 512) == raw
    bodies = [[old, version, len(digest), key and len(key)] for old, version, digest, key in told(terminal)]
    print(bodies)
    assert bodies == [["", "0.1.0", 32, None], ["0.1.0", "0.2.0", 32, 64], ["0.2.0", "0.1.0", 32, None]]
    again = begun(storage)
    assert not release.tell(again, storage, OLD)


def test_what_is_no_release():
    storage = MemoryStorage()
    terminal, random = begun(storage), Random(5)
    wrong = [b"", b"\x00", NEW[:-1], cbor.encode([1, bytes(32), None]), cbor.encode(["1", bytes(31), None]),
             cbor.encode(["1", bytes(32), bytes(63)]), cbor.encode(["1" * 65, bytes(32), None])]  # fmt: skip
    wrong += [bytes([random.below(256) for _ in range(random.below(60))]) for _ in range(50)]
    for raw in wrong:
        assert not release.tell(terminal, storage, raw)
    assert told(terminal) == [] and release.NAME not in storage.names()
    storage.replace(release.NAME, b"\xff\xff")
    assert release.tell(terminal, storage, NEW)
    assert told(terminal)[0][0] == "", "what was known cannot be read"
