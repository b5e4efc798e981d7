"""The platform as a real process: what it takes, what it refuses and keeps, and what it still has after kill -9."""

import contextlib
import hashlib
import random
import sqlite3
import stat
import threading
import time

import httpx
import pytest

from carbonterm import cbor, clock, site
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import checkpoint as notes
from carbonterm.ledger import entry, tree
from carbonterm.uplink.message import MAX_BATCH, Batch, Refusal
from serving import START_MS, Platform, Source, get, post, run
from sites import document


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    with Platform(tmp_path_factory.mktemp("platform")) as started:
        yield started


def rows(platform, query, *values):
    with sqlite3.connect(platform.store.removeprefix("sqlite:///")) as connection:
        return connection.execute(query, values).fetchall()


def stored(platform, terminal_id):
    """[(entry, fingerprint)] in the store."""
    query = "select raw, fingerprint from entries e join logs l on l.id = e.log where terminal_id=? order by seq"
    return rows(platform, query, terminal_id)


def known(platform, terminal_id, count):
    source = Source(terminal_id, count)
    platform.register(source)
    return source


def digest(data):
    return hashlib.new("sm3", data).digest()


def root(pairs):
    return tree.root_of([tree.leaf(raw, digest) for raw, _ in pairs], digest)


def signed_note(source, size, claimed, signer=None, terminal_id=None):
    signer = signer or source.signer
    terminal_id = terminal_id or source.terminal_id
    body = notes.body(terminal_id, 0, size, claimed)
    return notes.signed(body, notes.origin(terminal_id, 0), signer.public, signer.sign)


# --- what it takes ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_good_batch_is_signed_for(platform):
    source = known(platform, "good", 100)
    status, receipt = get(platform, "good")
    assert (status, receipt.next_seq, receipt.root) == (200, 0, sm3.digest(b""))
    status, receipt = post(platform, "good", source.batch(checkpoint=source.log.last_checkpoint))
    assert status == 200 and receipt.signed_by(platform.public)
    assert (receipt.centre, receipt.terminal_id, receipt.epoch, receipt.next_seq) == ("platform", "good", 0, 100)
    assert receipt.root == root(source.pairs())
    assert abs(receipt.time_ms - time.time() * 1000) < 60000
    note = notes.parse(receipt.checkpoint)
    assert (note.size, note.root) == (60, root(source.pairs(0, 60)))
    assert notes.verify(note, "carbonterm/good/0", source.signer.public)
    assert notes.verify(note, "platform", platform.public)
    status, again = get(platform, "good")
    assert (again.next_seq, again.root, again.checkpoint) == (100, receipt.root, receipt.checkpoint)
    assert stored(platform, "good") == source.pairs()
    query = "select r.body, r.signature from receipts r join logs l on l.id = r.log where terminal_id='good'"
    kept = rows(platform, query)
    assert kept == [(receipt.body, receipt.signature)]


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-1", "T-7.6-2", part="the centre holds once what comes twice")
def test_what_comes_twice_is_there_once(platform):
    source = known(platform, "twice", 50)
    first = post(platform, "twice", source.batch(0, 30))[1]
    again = post(platform, "twice", source.batch(0, 30))[1]
    assert (again.next_seq, again.root) == (first.next_seq, first.root) == (30, root(source.pairs(0, 30)))
    assert post(platform, "twice", source.batch(10, 40))[1].next_seq == 40
    assert post(platform, "twice", source.batch(5, 15))[1].next_seq == 40
    resigned = [(raw, source.signer.sign(raw, b"\x05" * 32)) for raw, _ in source.pairs(0, 3)]
    assert post(platform, "twice", Batch("twice", 0, 0, resigned).encode())[0] == 200
    last = post(platform, "twice", source.batch(0, 50))[1]
    assert (last.next_seq, last.root) == (50, root(source.pairs()))
    assert stored(platform, "twice") == source.pairs()


@pytest.mark.slow
def test_checkpoints_of_any_size_that_is_covered(platform):
    source = known(platform, "sizes", 20)
    post(platform, "sizes", source.batch(0, 10))
    for size in (10, 7, 0, 15):
        note = signed_note(source, size, root(source.pairs(0, size)))
        status, receipt = post(platform, "sizes", source.batch(5, 15, note))
        assert status == 200 and notes.parse(receipt.checkpoint).size == size
    alone = signed_note(source, 12, root(source.pairs(0, 12)))
    assert post(platform, "sizes", Batch("sizes", 0, 15, [], alone).encode())[1].next_seq == 15
    later = signed_note(source, 18, root(source.pairs(0, 18)))
    status, receipt = post(platform, "sizes", source.batch(15, 16, later))
    assert status == 200 and receipt.checkpoint is None  # it cannot be compared yet: no cosignature
    text = get(platform, "sizes")[1].checkpoint
    assert notes.parse(text).size == 15
    status, receipt = post(platform, "sizes", source.batch(10, 16, text))  # a cosigned one comes back
    assert status == 200 and receipt.checkpoint == text


@pytest.mark.slow
def test_many_terminals_and_the_same_batch_at_once(platform):
    sources = [known(platform, f"at-once-{n}", 30) for n in range(4)]
    wrong = []

    def deliver(source):
        with httpx.Client() as client:
            for first in range(0, 30, 5):
                status, receipt = post(platform, source.terminal_id, source.batch(first, first + 5), client)
                if status != 200 or receipt.next_seq < first + 5:
                    wrong.append((status, receipt))

    threads = [threading.Thread(target=deliver, args=(source,)) for source in sources * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    for source in sources:
        receipt = get(platform, source.terminal_id)[1]
        assert (receipt.next_seq, receipt.root) == (30, root(source.pairs()))


# --- what it refuses --------------------------------------------------------------------------------------------------


def refused(platform, terminal_id, body, status, code, wanted=None):
    """The Refusal; nothing of the log has changed."""
    before = get(platform, terminal_id)[1]
    got, refusal = post(platform, terminal_id, body)
    assert (got, refusal.code, refusal.next_seq) == (status, code, wanted), refusal.reason
    after = get(platform, terminal_id)[1]
    assert (after.next_seq, after.root, after.checkpoint) == (before.next_seq, before.root, before.checkpoint)
    return refusal


def evidence(platform, terminal_id):
    query = "select code, data from evidence e join logs l on l.id = e.log where terminal_id=? order by e.id"
    return rows(platform, query, terminal_id)


def test_a_gap(platform):
    source = known(platform, "gap", 20)
    post(platform, "gap", source.batch(0, 10))
    refused(platform, "gap", source.batch(11), 409, "gap", 10)
    refused(platform, "gap", source.batch(19), 409, "gap", 10)
    assert evidence(platform, "gap") == []


@pytest.mark.slow
def test_a_fork_is_kept_as_evidence(platform):
    source = known(platform, "fork", 20)
    other = Source("fork", 0)
    other.log.append(START_MS, 3, entry.READINGS, [[[0, 0, 0, -2, 999]], None])
    other.add(19)
    post(platform, "fork", source.batch(0, 10))
    for _ in range(2):
        refusal = refused(platform, "fork", other.batch(), 409, "fork")
    assert "entry 0" in refusal.reason
    kept = evidence(platform, "fork")
    assert kept == [("fork", cbor.encode([0, *other.pairs()[0]]))]  # once
    status = httpx.get(f"{platform.url}/v1/terminals/fork").json()
    assert status["epochs"][0]["evidence"] == {"fork": 1}
    assert "fork 1" in httpx.get(platform.url).text
    assert post(platform, "fork", source.batch(0, 20))[1].next_seq == 20


@pytest.mark.slow
def test_a_bad_fingerprint(platform):
    source = known(platform, "finger", 12)
    post(platform, "finger", source.batch(0, 4))
    for seq in (4, 9):
        pairs = source.pairs(4)
        raw, fingerprint = pairs[seq - 4]
        pairs[seq - 4] = raw, fingerprint[:40] + bytes((fingerprint[40] ^ 1,)) + fingerprint[41:]
        refusal = refused(platform, "finger", Batch("finger", 0, 4, pairs).encode(), 422, "fingerprint")
        assert f"entry {seq}" in refusal.reason
    forged = [(raw, sm2.sign(b"\x05" * 32, raw)) for raw, _ in source.pairs(0, 4)]
    refused(platform, "finger", Batch("finger", 0, 0, forged).encode(), 422, "fingerprint")
    assert [code for code, _ in evidence(platform, "finger")] == ["fingerprint"] * 3


@pytest.mark.slow
def test_a_wrong_checkpoint(platform):
    source = known(platform, "wrong-note", 20)
    post(platform, "wrong-note", source.batch(0, 10))
    right = root(source.pairs(0, 15))
    stranger = sm2.Signer(b"\x06" * 32)
    good = signed_note(source, 15, right)
    lines = notes.cosigned(good, "stranger", stranger.public, 5, stranger.sign).split("\n")
    for text in (
        "no checkpoint",
        good[:-10] + "\n",
        signed_note(source, 15, right, stranger),
        signed_note(source, 15, right, terminal_id="other"),
        "\n".join([*lines[:4], lines[5], lines[4], ""]),  # the terminal did not sign first
    ):
        refused(platform, "wrong-note", source.batch(10, 20, text), 422, "checkpoint")
    assert evidence(platform, "wrong-note") == []
    for size in (15, 10, 6):  # grows over it, stands at it, is past it
        lie = signed_note(source, size, sm3.digest(b"another history"))
        refused(platform, "wrong-note", source.batch(10, 20, lie), 422, "checkpoint")
        assert evidence(platform, "wrong-note")[-1] == ("checkpoint", lie.encode())
    assert post(platform, "wrong-note", source.batch(10, 20, good))[0] == 200


@pytest.mark.slow
def test_entries_that_are_not_at_their_place(platform):
    source = known(platform, "place", 10)
    other = Source("other", 10)
    pairs = source.pairs()
    for first, moved in (
        (0, pairs[1:]),
        (0, [pairs[0], pairs[2], pairs[1]]),
        (0, [pairs[0], pairs[0]]),
        (0, other.pairs()),
        (0, [(b"\x80", pairs[0][1])]),
        (0, [(pairs[0][0] + b"\x00", pairs[0][1])]),
    ):
        refused(platform, "place", Batch("place", 0, first, moved).encode(), 400, "malformed")


@pytest.mark.slow
def test_garbage_and_strangers(platform):
    source = known(platform, "garbage", 10)
    for body in (b"", b"\x00", b"not cbor", bytes(5000), source.batch()[:-1], source.batch() + b"\xf6", b"\x86" * 99):
        refused(platform, "garbage", body, 400, "malformed")
    refused(platform, "garbage", Source("good", 3).batch(), 400, "malformed")  # another terminal than the address
    for status, answer in (post(platform, "nobody", Source("nobody", 3).batch()), get(platform, "nobody"),
                           get(platform, "garbage", 7)):  # fmt: skip
        assert (status, answer.code) == (404, "unknown-terminal")
    for epoch in ("", "x", "-1", "1.0", "100000", "9" * 400, "٣"):
        assert get(platform, "garbage", epoch)[1].code == "malformed"
    assert get(platform, "a b")[1].code == "malformed"
    assert httpx.get(f"{platform.url}/v1/terminals/nobody").status_code == 404
    assert httpx.get(f"{platform.url}/v1/nothing").status_code == 404


def test_too_large_is_refused_while_it_comes(platform):
    known(platform, "large", 0)
    refused(platform, "large", bytes(MAX_BATCH + 1), 413, "too-large")
    sent = []

    def endless():
        while True:
            sent.append(65536)
            yield bytes(65536)

    try:
        answer = httpx.post(f"{platform.url}/v1/terminals/large/entries", content=endless())
        assert Refusal.decode(answer.content).code == "too-large"
    except httpx.TransportError:
        pass  # it closed while we sent
    assert sum(sent) < 64 * MAX_BATCH


@pytest.mark.slow
def test_fuzz_no_mutated_batch_changes_anything_or_breaks_the_server(platform):
    source = known(platform, "fuzz", 8)
    post(platform, "fuzz", source.batch(0, 4))
    dice = random.Random(76)
    original = source.batch(2, 8, signed_note(source, 6, root(source.pairs(0, 6))))
    before = get(platform, "fuzz")[1]
    codes = {}
    with httpx.Client() as client:
        for _ in range(400):
            at = dice.randrange(len(original))
            body = dice.choice((
                original[:at] + bytes((original[at] ^ 1 << dice.randrange(8),)) + original[at + 1 :],
                original[:at],
                original[:at] + original[at + 1 :],
                original[:at] + dice.randbytes(1) + original[at:],
                original[:at] + original[at // 2 :],
            ))  # fmt: skip
            if body == original:
                continue
            status, refusal = post(platform, "fuzz", body, client)
            assert 400 <= status <= 499, body.hex()
            codes[refusal.code] = codes.get(refusal.code, 0) + 1
    after = get(platform, "fuzz")[1]
    assert (after.next_seq, after.root) == (before.next_seq, before.root)
    assert set(codes) == {"malformed", "fingerprint", "checkpoint"}
    print(codes)


# --- what people see --------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-4-6")
def test_a_day_is_packed_up_delivered_and_shown(platform):
    """All configured points with their increments, and the sources' emissions of a day: delivered, decoded, shown."""
    source = Source("shown")
    platform.register(source)
    canonical = cbor.encode(document(terminal="shown"))
    parsed = site.decode(canonical)
    log = source.log
    day = START_MS // 86400000 * 86400000
    log.append(day, 3, entry.CONFIG, [sm3.digest(canonical), canonical])
    points = [[n, 0, -2, 1000 + n, 70, 50] for n in range(len(parsed.points))]
    log.append(day + 86400000, 3, entry.CLOSING, [entry.DAY, day, points])
    source_digest = sm3.digest(b"source")
    for period, version, sources in (
        (entry.HOUR, 0, [[0, 0, -6, 5, source_digest], [1, 4, 0, None, source_digest]]),
        (entry.DAY, 0, [[0, 0, -6, 530600, source_digest], [1, 0, -6, 7, source_digest]]),
        (entry.DAY, 1, [[0, 0, -6, 531000, source_digest]]),
    ):
        log.append(day + 86400000, 3, entry.EMISSION, [period, day, version, sources])
    log.commit()
    assert post(platform, "shown", source.batch(checkpoint=log.checkpoint()))[0] == 200
    found = httpx.get(f"{platform.url}/v1/terminals/shown").json()
    assert found["name"] == "test"
    assert [(row["point"], row["increment"], row["unit"], row["period"]) for row in found["closings"]] == [
        (point.name, f"10.0{n}", point.unit, "day") for n, point in enumerate(parsed.points)
    ]
    columns = ("period", "source", "tco2e", "scope", "version")
    assert [tuple(row[name] for name in columns) for row in found["emissions"]] == [
        ("hour", "electricity", "0.000005", 2, 0), ("hour", "gas", None, 1, 0),
        ("day", "electricity", "0.531000", 2, 1), ("day", "gas", "0.000007", 1, 0),
    ]  # fmt: skip
    epoch = found["epochs"][0]
    assert (epoch["entries"], epoch["sealed"]) == (5, 5)
    assert epoch["kinds"] == {"config": 1, "closing": 1, "emission": 3}
    assert {"terminal": "shown", "epochs": 1, "entries": 5} in httpx.get(f"{platform.url}/v1/terminals").json()
    page = httpx.get(platform.url).text
    for text in ("shown · test", "electricity", "0.531000", "排放源 Source", platform.public.hex()):
        assert text in page


@pytest.mark.slow
def test_a_period_that_closed_twice_is_shown_with_its_sum(platform):
    """The clock went a year ahead and was set right again: the day closes as it stands, and once more at its end."""
    source = Source("reset-clock")
    platform.register(source)
    canonical, digest = cbor.encode(document(terminal="reset-clock")), sm3.digest(b"source")
    log, day = source.log, START_MS // 86400000 * 86400000
    log.append(day, 3, entry.CONFIG, [sm3.digest(canonical), canonical])
    for moment, start, increment, quality, emission in (
        (day + 3600000, day, 700, 1, 5300), (day + 366 * 86400000, day + 365 * 86400000, 20, 1, 150),
        (day + 86400000, day, 305, 0, 2300),
    ):  # fmt: skip
        log.append(moment, 3, entry.CLOSING, [entry.DAY, start, [[0, quality, -2, increment, None, None]]])
        gas = [1, 4, 0, None, digest] if increment == 305 else [1, 0, -6, 1, digest]
        log.append(moment, 3, entry.EMISSION, [entry.DAY, start, 1, [[0, quality, -6, emission, digest], gas]])
    log.commit()
    status, said = post(platform, "reset-clock", source.batch())
    assert status == 200, said.reason
    found = httpx.get(f"{platform.url}/v1/terminals/reset-clock").json()
    columns = ("period", "increment", "quality")
    assert [tuple(row[name] for name in columns) for row in found["closings"]] == [("day", "10.05", 1)]
    assert found["closings"][0]["start"] == found["emissions"][0]["start"] == clock.text(day, 480)
    # what is unknown of one of its parts is unknown of the whole
    assert [(row["source"], row["tco2e"]) for row in found["emissions"]] == [("electricity", "0.007600"), ("gas", None)]


@pytest.mark.slow
def test_a_site_document_that_cannot_be_read_costs_only_the_names(platform):
    source = Source("no-names")
    platform.register(source)
    source.log.append(START_MS, 3, entry.CONFIG, [sm3.digest(b"<b>"), b"<b>"])
    source.log.append(START_MS, 3, entry.EMISSION, [entry.DAY, 0, 0, [[7, 0, 0, 12, bytes(32)]]])
    source.log.commit()
    assert post(platform, "no-names", source.batch())[0] == 200
    found = httpx.get(f"{platform.url}/v1/terminals/no-names").json()
    assert (found["name"], found["emissions"][0]["source"], found["emissions"][0]["tco2e"]) == (None, 7, "12")
    assert httpx.get(platform.url).status_code == 200


# --- commands, keys, ends ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_serve_keeps_its_key_and_ends_cleanly(tmp_path):
    source = Source("T1", 5)
    option = f"T1:0:{source.signer.public.hex()}"
    first = Platform(tmp_path, "--register", option, "--name", "centre-1").start()
    assert post(first, "T1", source.batch())[1].centre == "centre-1"
    key = tmp_path / "platform.db.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and len(key.read_bytes()) == 32
    assert first.stop() == 0
    with Platform(tmp_path, "--register", option) as again:
        assert again.public == first.public
        assert get(again, "T1")[1].next_seq == 5
    key.write_bytes(b"short")
    done = run("platform", "serve", "--store", again.store, "--json")
    assert done.returncode == 1 and "holds no SM2 key" in done.stdout


@pytest.mark.slow
def test_usage(tmp_path):
    store = f"sqlite:///{tmp_path}/p.db"
    one, other = (sm2.Signer(bytes(31) + bytes((n,))).public.hex() for n in (1, 2))
    assert run("platform", "register", "--store", store, f"T1:0:{one}", f"T2:3:{other}").returncode == 0
    assert run("platform", "register", "--store", store, f"T1:0:{one}").returncode == 0
    for arguments, code, text in (
        (("register", "--store", store, f"T1:0:{other}"), 1, "another key"),
        (("register", "--store", store, f"T1:0:{'11' * 64}"), 1, "no point of the curve"),
        (("register", "--store", store, f"T1:0:{one[:-2]}"), 1, "no point of the curve"),
        (("register", "--store", store, f"-T:0:{one}"), 2, ""),
        (("register", "--store", store, f"T 1:0:{one}"), 1, "is no terminal"),
        (("register", "--store", store, "T1"), 2, "ID:EPOCH:PUBLICHEX"),
        (("register", "--store", store, f"T1:x:{one}"), 2, "ID:EPOCH:PUBLICHEX"),
        (("register", "--store", store, f"T1:0:{one}:"), 2, "ID:EPOCH:PUBLICHEX"),
        (("register", "--store", "oracle", f"T1:0:{one}"), 1, "sqlite:///PATH"),
        (("register", "--store", "sqlite://", f"T1:0:{one}"), 1, "sqlite:///PATH"),
        (("register", "--store", f"sqlite:///{tmp_path}/no/p.db", f"T1:0:{one}"), 1, "cannot be opened"),
        (("serve", "--store", store, "--host", "0.0.0.0"), 2, "loopback only"),
        (("serve", "--store", store, "--name", "two words"), 2, "cannot name a key"),
        (("serve", "--store", store, "--tls-cert", tmp_path / "p.db"), 2, "go together"),
        (("serve", "--store", store, "--host", "203.0.113.9.1"), 2, "loopback only"),
    ):
        done = run("platform", *arguments)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert text in done.stderr


@pytest.mark.slow
def test_a_port_that_is_taken(platform, tmp_path):
    done = run("platform", "serve", "--store", f"sqlite:///{tmp_path}/p.db", "--port", platform.port)
    assert done.returncode == 3 and "cannot listen" in done.stderr


@pytest.mark.slow
def test_certificates_keep_their_ca(tmp_path):
    assert run("platform", "tls", tmp_path, "--json").returncode == 0
    ca, server = (tmp_path / "ca.der").read_bytes(), (tmp_path / "server.pem").read_bytes()
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert run("platform", "tls", tmp_path, "--name", "10.0.0.7", "--name", "centre.example").returncode == 0
    assert (tmp_path / "ca.der").read_bytes() == ca and (tmp_path / "server.pem").read_bytes() != server


# --- kill -9 ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("T-7.6-1", part="a centre that is killed 30 times")
def test_killed_at_random_moments_it_has_all_that_it_signed_for(tmp_path):
    """30 kills in the middle of batches of two terminals: every receipt is kept, every entry is there once."""
    seed = 762
    dice = random.Random(seed)
    sources = [Source("T1", 900, 1), Source("T2", 900, 2)]
    options = [x for s in sources for x in ("--register", f"{s.terminal_id}:0:{s.signer.public.hex()}")]
    platform = Platform(tmp_path, *options)
    signed = {}
    kills = 0

    def deliver(source):
        with httpx.Client() as client:
            while True:
                first = signed.get(source.terminal_id, 0)
                end = min(first + dice.randint(1, 7), 900)
                status, receipt = post(platform, source.terminal_id, source.batch(max(0, first - 2), end), client)
                assert status == 200 and receipt.signed_by(platform.public)
                signed[source.terminal_id] = max(first, receipt.next_seq)

    def run_into_the_kill(source):
        with contextlib.suppress(httpx.TransportError):  # the kill
            deliver(source)

    while kills < 30:
        with platform:
            for source in sources:
                receipt = get(platform, source.terminal_id)[1]
                held = signed.get(source.terminal_id, 0)
                assert receipt.next_seq >= held, f"kill {kills} of seed {seed}: {held} were acknowledged"
                assert receipt.root == root(source.pairs(0, receipt.next_seq))
            threads = [threading.Thread(target=run_into_the_kill, args=(source,)) for source in sources]
            for thread in threads:
                thread.start()
            time.sleep(dice.uniform(0.01, 0.25))  # when the blow falls is the test's random input
            platform.kill()
            kills += 1
            for thread in threads:
                thread.join()
    with platform:
        for source in sources:
            status, receipt = post(platform, source.terminal_id, source.batch())
            assert (status, receipt.next_seq, receipt.root) == (200, 900, root(source.pairs()))
            assert stored(platform, source.terminal_id) == source.pairs()
        assert rows(platform, "pragma integrity_check") == [("ok",)]
        assert platform.stop() == 0
    print(f"{kills} kills, acknowledged before the last: {signed}")
