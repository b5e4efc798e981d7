"""Rotation of a terminal's key: old and new key sign, every step may be the last before a power cut."""

import io

import pytest

from carbonterm.errors import GmError, LedgerError
from carbonterm.gm import sm2
from carbonterm.ledger import bundle, entry, registry
from carbonterm.ledger.frames import Frames, segments
from carbonterm.pipeline import Replay
from carbonterm_device import app as device
from carbonterm_device import epochs, keys, provision
from carbonterm_device.clockwork import Clock
from carbonterm_device.ports import port
from carbonterm_device.storage import Folder
from carbonterm_host import datafolder, site_yaml
from carbonterm_host.commands.replay import replay
from carbonterm_host.commands.verify import tools
from carbonterm_host.verifier import Verifier

SITE = site_yaml.compile_text("terminal: T1\nname: x\nzone: Z\nbuses: []\nmeters: []\npoints: []\n").canonical()
OPENSSL = tools("openssl")


GAS = site_yaml.compile_text("""
terminal: T1
name: x
zone: Z
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1}]
meters: [{name: gas, bus: lan, unit: 1, model: generic-gas-modbus}]
points: [{name: A, meter: gas, register: volume, every: 1s}]
""").canonical()


class Cut(Exception):
    pass


class Dying(Folder):
    """A folder whose power is cut before its write number `left`; with `torn`, half of an append is still written."""

    def __init__(self, path, left, torn=False):
        super().__init__(path)
        self.left = left
        self.torn = torn

    def _write(self):
        self.left -= 1
        if self.left < 0:
            raise Cut

    def append(self, name, data):
        try:
            self._write()
        except Cut:
            if self.torn:
                super().append(name, data[: len(data) // 2])
            self.close()
            raise
        super().append(name, data)

    def replace(self, name, data):
        self._write()
        super().replace(name, data)

    def remove(self, name):
        self._write()
        super().remove(name)


def started(storage):
    """The App on `storage`, started as `run` does, without tasks."""
    app = device.App(storage, SITE, Clock())
    app._start()
    if app._step == epochs.ROTATE:
        app._rotate()
    return app


def rotated(storage):
    app = started(storage)
    app._rotate()
    return app


def pulled(path):
    """(report of the Verifier, [entry]) of a data folder."""
    file = io.BytesIO()
    writer = bundle.Writer(file, "T1", "test", OPENSSL["hasher"]())
    datafolder.pull(datafolder.DataFolder(path), writer)
    writer.end()
    verifier = Verifier(**OPENSSL)
    verifier.read(io.BytesIO(file.getvalue()))
    rows = [frame[1:] for _, frame in bundle.read(io.BytesIO(file.getvalue())) if frame[0] == "entry"]
    assert replay(rows)[1] == []
    return verifier.report(), [entry.decode(raw) for raw, _ in rows]


def test_old_and_new_key_sign(tmp_path):
    folder = Folder(str(tmp_path / "data"))
    app = rotated(folder)
    assert app.terminal.log.epoch == 1 and keys.epochs(folder) == [0, 1]
    app.terminal.record(5, [], b"")
    app.terminal.log.checkpoint()
    report, log = pulled(folder.path)
    assert report["ok"], report
    assert [(one.epoch, one.seq, entry.KINDS[one.kind]) for one in log] == [
        (0, 0, "start"), (0, 1, "config"), (0, 2, "audit"), (0, 3, "key"),
        (1, 0, "key"), (1, 1, "config"), (1, 2, "readings"),
    ]  # fmt: skip
    old, new = keys.load(folder, 0).public, keys.load(folder, 1).public
    assert registry.names_next(log[3], old) == new
    assert log[4].body[:3] == ["previous", 0, 4]
    again = started(Folder(folder.path))
    assert again.terminal.log.epoch == 1 and again.found == 3
    again._rotate()
    assert pulled(folder.path)[0]["ok"] and again.terminal.log.epoch == 2


def test_a_rotation_at_the_border_of_a_segment(tmp_path):
    """The snapshot that stands before the `key` entry moves its place: both keys sign for that one."""
    folder = Folder(str(tmp_path))
    app = device.App(folder, SITE, Clock(), 400)
    app._start()
    app.terminal.log.checkpoint()
    app._rotate()
    report, log = pulled(folder.path)
    assert report["ok"], report
    assert [entry.KINDS[one.kind] for one in log if one.epoch == 0][-2:] == ["snapshot", "key"]


@pytest.mark.slow
def test_a_start_reads_the_tail_of_past_epochs(tmp_path):
    """A start early in an epoch, before its first snapshot, folds on from the last one of the epochs before."""

    class Counting(Folder):
        opened = ()

        def read(self, name, offset, size):
            self.opened += (name,)
            return super().read(name, offset, size)

    folder = Counting(str(tmp_path / "data"))
    app = device.App(folder, GAS, Clock(), 700)
    app._start()
    values = iter(range(1000, 10000, 7))
    for _ in range(2):
        for _ in range(20):
            app.terminal.record(app.clock.now_ms(), [[0, 0, 0, -2, next(values)]], b"")
            app.terminal.commit()
        app._rotate()
    app.terminal.record(app.clock.now_ms(), [[0, 0, 0, -2, next(values)]], b"")
    app.terminal.log.checkpoint()
    whole = Replay()
    for one in (*app._past, app.terminal.log):
        assert [whole.entry(entry.decode(raw)) for raw, _ in one.entries()] == [None] * one.size
    assert len(segments(folder)) > 10 and app.terminal.log.kept == 0
    for dropped in (0, 1):
        folder.opened = ()
        app = device.App(folder, GAS, Clock(), 700)
        assert [one.epoch for one, _ in epochs.tail(app._past)] == [1]
        app.terminal.start(app.site, app._past_entries)
        assert app.terminal.disagreements == 0 and app.terminal.readings == whole.readings == 41
        assert app.terminal._replay.pipeline.settlers[0].total == whole.pipeline.settlers[0].total
        read = {name for name in folder.opened if name.endswith(".seg")}
        assert len(read) <= 5, sorted(read)  # the last ones of both epochs, the first of the new one
        begin = epochs.tail(app._past)[0][1]
        assert begin > 0 and (app._past[-1].kept, len(app._past)) == (begin if dropped else 0, 1 if dropped else 2)
        folder.close()
        for one in app._past:
            one.drop_before(begin if one.epoch else one.size)


@pytest.mark.slow
@pytest.mark.parametrize("torn", (False, True))
def test_a_power_cut_at_every_write_of_a_rotation(tmp_path, torn):
    whole = Dying(str(tmp_path / "whole"), 1000)
    started(whole)
    before = whole.left
    whole_app = device.App(whole, SITE, Clock())
    whole_app._start()
    start = before - whole.left
    whole_app._rotate()
    writes = before - whole.left
    assert writes - start >= 5
    cuts = 0
    for left in range(start, writes + 1):
        path = str(tmp_path / f"{left}")
        started(Folder(path))
        dying = Dying(path, left, torn)
        try:
            rotated(dying)
        except Cut:
            cuts += 1
        dying.close()
        app = started(Folder(path))
        if app.terminal.log.epoch == 0:  # not one byte of the order was durable
            assert left == start and keys.epochs(app.storage) == [0]
            app._rotate()
        assert app.terminal.log.epoch == 1
        app.terminal.record(5, [], b"")
        app.terminal.log.checkpoint()
        report, log = pulled(path)
        assert report["ok"], (left, report)
        assert sum(one.kind == entry.KEY and one.body[0] == "next" for one in log) == 1
        app.terminal.log.storage.close()
    assert cuts == writes - start
    print(f"{cuts} cuts, torn: {torn}")


def test_a_power_cut_while_an_epoch_is_dropped(tmp_path):
    """Its last checkpoint goes before its last entries: what is left between is not sealed anew, and goes later."""
    path = str(tmp_path)
    rotated(Folder(path))
    past = epochs.Past(Dying(path, 1000), "T1", 0)
    past.keep_end()
    past.storage.left = 1
    with pytest.raises(Cut):
        past.drop_before(past.size)
    assert [one.name[-4:] for one in tmp_path.glob("00000-*")] == [".seg"]
    app = started(Folder(path))
    assert app.terminal.log.epoch == 1 and [one.epoch for one in app._past] == [0]
    verdicts = pulled(path)[0]["verdicts"]
    assert {name for name in verdicts if not verdicts[name]} <= {"policy"}, verdicts
    app._past[0].drop_before(app._past[0].size)
    assert list(tmp_path.glob("00000-*.seg")) == []


def test_a_lost_key_is_said(tmp_path):
    folder = Folder(str(tmp_path / "data"))
    started(folder)
    keys.erase(folder, 0)
    with pytest.raises(LedgerError, match=r"private key of epoch 0 is gone.*--epoch 1"):
        device.App(Folder(folder.path), SITE, Clock())


def test_a_new_device_goes_on_by_the_operators_word(tmp_path):
    old = started(Folder(str(tmp_path / "old")))
    size, root = old.terminal.log.size, epochs.Past(old.storage, "T1", 0).root
    folder = Folder(str(tmp_path / "new"))
    with pytest.raises(LedgerError, match="needs --terminal"):
        provision.init(folder, {"epoch": "1"}, port)
    with pytest.raises(LedgerError, match="SIZE:ROOT"):
        provision.init(folder, {"epoch": "1", "terminal": "T1", "operator": "op", "previous": "5"}, port)
    assert keys.epochs(folder) == []
    options = {"epoch": "1", "terminal": "T1", "operator": "op", "previous": f"{size}:{root.hex()}"}
    said = provision.init(folder, options, port)
    asked = registry.Registration.decode(bytes.fromhex(said["request"]))
    assert asked.possessed() and asked.previous == (0, size, root) and asked.public.hex() == said["public"]
    app = started(folder)
    assert app.terminal.log.epoch == 1
    first = next(app.terminal.log.entries())[0]
    assert entry.decode(first).body == ["previous", 0, size, root]


def test_a_new_epoch_in_the_folder_of_a_stopped_one(tmp_path):
    app = started(Folder(str(tmp_path / "data")))
    app.terminal.stop("two histories. Way out: epoch 1")
    size = app.terminal.log.size
    app.terminal.record(5, [], b"")
    app.terminal.commit()
    app._rotate()
    assert app.terminal.log.size == app.terminal.log.next_seq == size and app.terminal.log.epoch == 0
    assert "epoch 1" in app.status()["stopped"]
    root = epochs.Past(app.storage, "T1", 0).root.hex()
    provision.init(app.storage, {"epoch": "1", "terminal": "T1", "operator": "op", "previous": f"{size}:{root}"}, port)
    again = started(Folder(app.storage.path))
    assert again.terminal.log.epoch == 1 and again.status()["stopped"] == ""


class Source:
    """A port whose random source is what the test says."""

    def __init__(self, random):
        self.random = random
        self.fine_ticks = port.fine_ticks


def test_a_weak_random_source_makes_no_key(tmp_path):
    folder = Folder(str(tmp_path / "data"))
    period = bytes(range(256)) * 4
    counter = iter(range(100000))
    for random, why in (
        (lambda n: bytes(n), "equal bytes in a row"),
        (lambda n: period[:n], "same bytes again"),
        (lambda n: port.random(n - 5) + b"\x07" * 5, "equal bytes in a row"),
        (lambda n: bytes(7 if i % 2 == 0 else next(counter) * 37 % 251 for i in range(n)), "not even"),
    ):
        with pytest.raises(GmError, match=why):
            keys.make(folder, 0, Source(random))
    assert folder.names() == []


def test_entropy_from_outside_alone_decides_nothing(tmp_path):
    made = {keys.draw(port, bytes(32)) for _ in range(5)}
    assert len(made) == 5
    known = port.random(1024)
    assert keys.draw(Source(io.BytesIO(known).read), b"a" * 32) != keys.draw(Source(io.BytesIO(known).read), b"b" * 32)
    with pytest.raises(GmError, match="not hex"):
        provision.init(Folder(str(tmp_path / "data")), {"entropy": "xyz"}, port)


def test_a_key_is_never_replaced(tmp_path):
    folder = Folder(str(tmp_path / "data"))
    first = keys.make(folder, 0, port)
    assert isinstance(first, sm2.Signer)
    with pytest.raises(GmError, match="has a key"):
        keys.make(folder, 0, port)
    assert provision.init(folder, {}, port)["public"] == first.public.hex()
    assert (tmp_path / "data" / "00000.key").read_bytes() not in str(provision.init(folder, {}, port)).encode()


def test_good_random_bytes_pass():
    for _ in range(20):
        assert keys.weakness(port.random(1024)) is None


def test_segments_name_both_epochs(tmp_path):
    folder = Folder(str(tmp_path / "data"))
    rotated(folder)
    assert [(epoch, first) for epoch, first, _ in segments(folder)] == [(0, 0), (1, 0)]
    past = epochs.Past(folder, "T1", 0)
    assert (past.size, past.sealed, past.kept) == (4, 4, 0)
    frames = Frames(folder, "00000-0000000000.seg", 0, 0)
    assert [raw for raw, _ in past.entries(1)] == [frames.next()[0] for _ in range(4)][1:]
