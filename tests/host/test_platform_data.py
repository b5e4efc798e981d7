"""The platform's data as a real process keeps it: layers, metadata, backups, integrity, versions of the store."""

import os
import re
import shutil
import sqlite3
import zlib
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest

from carbonterm import cbor, site
from carbonterm.errors import StoreError, UplinkError
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import entry
from carbonterm_host import gm_backends
from carbonterm_host.platform.data import backup, integrity, jobs, layers, tables
from carbonterm_host.platform.store import Store
from serving import START_MS, Platform, Source, get, post, run
from sites import document

DOC = (Path(__file__).parent.parent.parent / "docs" / "platform_data.md").read_text(encoding="utf-8")
HOUR_MS = 3_600_000
ALL = "select seq, raw, fingerprint, leaf from entries order by log, seq"


def reporting(terminal_id, hours=30, described=True):
    """A Source whose terminal starts, says its site, and settles points 0 and 1 and source 0 by the hour."""
    source = Source(terminal_id)
    log = source.log
    log.append(START_MS, 3, entry.START, ["0.1.0", "micropython 1.25", "first", 0])
    if described:
        canonical = site.Site(document(terminal=terminal_id)).canonical()
        log.append(START_MS, 3, entry.CONFIG, [sm3.digest(canonical), canonical])
    begin = START_MS - START_MS % HOUR_MS
    for hour in range(hours):
        start = begin + hour * HOUR_MS
        log.append(start, 3, entry.READINGS, [[[0, 0, 0, -2, hour]], None])
        rows = [[0, 0, -2, 1000 + hour, 20, 10], [1, 1, -2, 500, None, None]]
        log.append(start, 3, entry.CLOSING, [2, start, rows])
        log.append(start, 3, entry.EMISSION, [2, start, 0, [[0, 1, -6, 7000 + hour, bytes(32)]]])
    log.commit()
    return source


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    with Platform(tmp_path_factory.mktemp("platform"), "--check-every", "0", "--quality-hours", "0") as started:
        deliver(started, reporting("CT-DATA"))
        yield started


def deliver(platform, source):
    platform.register(source)
    status, receipt = post(platform, source.terminal_id, source.batch(checkpoint=source.log.last_checkpoint))
    assert status == 200, receipt.reason
    return receipt


def rows(store, query, *values):
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
        return connection.execute(query, values).fetchall()


def change(store, query, *values):
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
        connection.execute(query, values)
        connection.commit()


@pytest.fixture
def copied(platform, tmp_path):
    """URL of a store of its own with what the platform has."""
    with closing(sqlite3.connect(platform.store.removeprefix("sqlite:///"))) as connection:
        connection.execute("vacuum into ?", (str(tmp_path / "own.db"),))
    return f"sqlite:///{tmp_path}/own.db"


def checked(url, **options):
    store = Store(url)
    try:
        return integrity.check(store, **options)
    finally:
        store.close()


# --- layers and metadata ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("P-9.1-1", "P-9.1-2", "P-9.1-3", "P-9.1-4")
def test_four_layers_stand_apart_and_are_documented(platform):
    counts = {name: rows(platform.store, f"select count(*) from {name}")[0][0] for name in layers.VIEWS}
    assert counts == {
        "raw_entries": 92, "preprocessed_settlements": 60, "analysis_emissions": 30, "certified_results": 0,
    }  # fmt: skip
    for name in layers.VIEWS:
        found = rows(platform.store, f"select name from pragma_table_info('{name}')")
        described = DOC.partition(f"### {name}")[2].partition("###")[0]
        assert described and all(f"`{column}`" in described for (column,) in found), (name, found)


@pytest.mark.slow
@pytest.mark.requirement("P-9.1-5", part="naming rules of layers, columns and backup files are checked")
def test_names_follow_the_rule(platform, tmp_path):
    for (name,) in rows(platform.store, "select name from sqlite_master where type = 'view'"):
        assert re.fullmatch(layers.NAMES, name) and name in layers.VIEWS
        for (column,) in rows(platform.store, f"select name from pragma_table_info('{name}')"):
            assert re.fullmatch("[a-z]+(_[a-z]+)*", column), (name, column)
    assert not re.fullmatch(layers.NAMES, "figures") and not re.fullmatch(layers.NAMES, "raw_Entries")
    assert not jobs.NAME.fullmatch("backup.db") and jobs.NAME.fullmatch("20261121T060000Z.ctbackup")


@pytest.mark.requirement("P-9.2-1", "P-9.2-2", "P-9.2-3", "P-9.2-4", "P-9.2-5", "P-9.2-6", "P-9.2-7")
@pytest.mark.slow
def test_every_figure_leads_to_its_metadata(platform):
    names = ("recorded_ms", *tables.DESCRIPTION)
    for view in ("preprocessed_settlements", "analysis_emissions"):
        for row in rows(platform.store, f"select {', '.join(names)} from {view}"):
            assert all(value not in (None, "") for value in row), (view, row)
    query = "select origin, device, sensor, model from preprocessed_settlements where point = 'E1'"
    found = rows(platform.store, query)[0]
    assert "meter M0" in found[0] and "bus lan" in found[0]
    assert found[1:] == ("carbonterm 0.1.0 on micropython 1.25", "none", "electricity: test version 1, electricity")
    found = rows(platform.store, "select origin, processing, model, parameters from analysis_emissions")[0]
    assert found[:3] == ("points E1, E2", "AD = E1 × 1/1000 + E2 × 1/1000", "test version 1, electricity, CO2: AD*EF")
    assert '"value":"0.5306"' in found[3]
    with pytest.raises(sqlite3.IntegrityError):
        change(platform.store, "update subjects set model = ''")
    assert set(checked(platform.store)["flagged"].values()) == {0}


@pytest.mark.slow
@pytest.mark.requirement("P-9.2-1", "P-9.2-7", part="data without metadata are kept and flagged; the check names them")
def test_data_without_a_source_are_flagged(platform, copied):
    assert checked(copied)["ok"]
    change(copied, "update figures set context = null where seq = 3 and row = 1")
    report = checked(copied)
    assert not report["ok"] and report["flagged"] == {"raw": 0, "preprocessed": 1, "analysis": 0, "certified": 0}
    change(copied, "delete from subjects where kind = 6 and subject = 0")
    report = checked(copied)
    assert report["flagged"]["analysis"] == 30 and "table figures: a reference to nothing" in report["file"]
    bare = reporting("CT-BARE", 2, described=False)
    deliver(platform, bare)
    try:
        answer = run("platform", "check", "--store", platform.store)
        assert answer.returncode == 1 and "layer preprocessed: 4 rows without metadata" in answer.stdout
        assert "layer raw: 2 rows" in answer.stdout and "layer analysis: 2 rows" in answer.stdout
    finally:
        change(platform.store, "delete from figures where log = (select id from logs where terminal_id = 'CT-BARE')")
        change(platform.store, "delete from entries where log = (select id from logs where terminal_id = 'CT-BARE')")
        for table in ("receipts", "checkpoints"):
            change(platform.store, f"delete from {table} where log = (select id from logs where terminal_id='CT-BARE')")
        change(platform.store, "delete from logs where terminal_id = 'CT-BARE'")


@pytest.mark.slow
def test_a_new_document_or_device_begins_a_context(tmp_path):
    with Platform(tmp_path, "--check-every", "0") as started:
        source = reporting("CT-NEXT", 1)
        second = site.Site(document(terminal="CT-NEXT", version=2, closings=(3, 4))).canonical()
        source.log.append(START_MS, 3, entry.START, ["0.1.0", "micropython 1.25", "restart", 5])
        source.log.append(START_MS, 3, entry.START, ["0.2.0", "micropython 1.25", "restart", 6])
        source.log.append(START_MS, 3, entry.CONFIG, [sm3.digest(second), second])
        source.log.append(START_MS, 3, entry.CONFIG, [sm3.digest(b"?"), b"?"])
        source.log.append(START_MS, 3, entry.CLOSING, [2, START_MS, [[0, 0, 0, 1, None, None]]])
        source.log.commit()
        started.register(source)
        for first in range(0, 10):  # one by one: what holds is found again for every batch
            assert post(started, "CT-NEXT", source.batch(first, first + 1))[0] == 200
        found = rows(started.store, "select seq, config, version, device, points from contexts order by seq")
        one, two = "carbonterm 0.1.0 on micropython 1.25", "carbonterm 0.2.0 on micropython 1.25"
        assert found == [(1, 1, 1, one, 3), (6, 1, 1, two, 3), (7, 7, 2, two, 3), (8, 8, 0, two, 0)]
        assert rows(started.store, "select context from figures where seq = 9") == [(None,)]
        report = checked(started.store)
        assert report["logs"][0]["findings"] == [] and report["flagged"]["preprocessed"] == 1


# --- integrity --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("P-9.6-1", part="digests of every log computed again; each kind of damage is found")
def test_every_kind_of_damage_is_found(copied, tmp_path):
    verify = partial(gm_backends.verify, backend=gm_backends.best())
    pristine = tmp_path / "pristine.db"
    path = Path(copied.removeprefix("sqlite:///"))
    shutil.copy(path, pristine)
    assert checked(copied, verify=verify)["ok"]
    for query, said in (
        ("update entries set raw = zeroblob(60) where seq = 9", "does not hash to its leaf"),
        ("update entries set leaf = zeroblob(32) where seq = 9", "does not hash to its leaf"),
        ("update entries set fingerprint = zeroblob(64) where seq = 9", "fingerprint is not by the epoch's key"),
        ("update entries set time_ms = 1 where seq = 9", "of another entry than its row"),
        ("update entries set seq = 1000 where seq = 91", "entry 91 is not there"),
        ("update checkpoints set root = zeroblob(32)", "the checkpoint over 89 entries has another root"),
        ("update checkpoints set size = 2000", "over 2000 entries, which are not there"),
        ("update receipts set body = x'80'", "the receipt over 92 entries has another root"),
        ("update logs set peaks = zeroblob(96)", "not the one that receipts were signed for"),
        ("update logs set next_seq = 91", "92 entries are there, 91 were received"),
        ("update figures set value = '9' where seq = 3 and row = 0", "entry 3: its figures are not what it says"),
        ("delete from figures where seq = 3", "entry 3: its figures are not what it says"),
        ("update figures set seq = 2 where seq = 3", "entry 2: its figures are not what it says"),
        ("update figures set seq = 5000 where seq = 3", "figures are there of entry 5000, which is not"),
        ("update subjects set model = 'other' where kind = 5", "the metadata of points and sources are not"),
        ("update contexts set device = 'other'", "the contexts are not what"),
    ):
        shutil.copy(pristine, path)
        change(copied, query)
        report = checked(copied, verify=verify)
        found = [text for row in report["logs"] for text in row["findings"]]
        assert not report["ok"] and any(said in text for text in found), (query, found[:3])


@pytest.mark.slow
@pytest.mark.requirement("P-9.6-1", part="the check's report is stored, shown on the page, and its finding ends with 1")
def test_the_check_as_people_run_it(platform, copied):
    answer = run("platform", "check", "--store", platform.store, "--fingerprints", "--json")
    assert answer.returncode == 0 and '"ok": true' in answer.stdout
    assert "Integrity check" in httpx.get(platform.url).text
    change(copied, "update entries set leaf = zeroblob(32) where seq = 9")
    answer = run("platform", "check", "--store", copied)
    assert answer.returncode == 1 and "entry 9 does not hash" in answer.stdout and "FINDINGS" in answer.stdout
    store = Store(copied)
    assert [row["ok"] for row in jobs.reports(store, 1)] == [False]
    assert "FINDING" in jobs.lines(store)[0]
    store.close()
    answer = run("platform", "check", "--store", "sqlite:////nowhere/there.db")
    assert answer.returncode == 2 and "names no store" in answer.stderr


# --- backup and restore -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("P-9.1-6", "P-9.5-4", part="a backup made while serving restores to identical digests")
def test_a_backup_restores_to_the_same_digests(platform, tmp_path):
    file, target = tmp_path / "b.ctbackup", tmp_path / "restored" / "platform.db"
    before = get(platform, "CT-DATA")[1]
    answer = run("platform", "backup", file, "--store", platform.store, "--json")
    assert answer.returncode == 0, answer.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    target.parent.mkdir()
    answer = run("platform", "restore", file, "--store", f"sqlite:///{target}", "--public", platform.public.hex())
    assert answer.returncode == 0, answer.stderr
    assert sorted(os.listdir(target.parent)) == ["platform.db"]
    assert rows(f"sqlite:///{target}", ALL) == rows(platform.store, ALL)
    shutil.copy(platform.folder / "platform.db.key", target.parent)
    with Platform(target.parent) as again:
        after = get(again, "CT-DATA")[1]
        assert (after.next_seq, after.root, again.public) == (before.next_seq, before.root, platform.public)


@pytest.mark.slow
def test_a_backup_goes_nowhere_where_something_is(platform, tmp_path):
    file = tmp_path / "b.ctbackup"
    file.write_bytes(b"precious")
    answer = run("platform", "backup", file, "--store", platform.store)
    assert answer.returncode == 1 and "cannot be written" in answer.stderr
    assert file.read_bytes() == b"precious" and os.listdir(tmp_path) == ["b.ctbackup"]
    answer = run("platform", "backup", tmp_path / "c", "--store", platform.store, "--key", tmp_path / "none")
    assert answer.returncode == 2 and "no key file" in answer.stderr


@pytest.fixture(scope="module")
def backed(platform, tmp_path_factory):
    file = tmp_path_factory.mktemp("backup") / "b.ctbackup"
    store = Store(platform.store)
    signer = sm2.Signer(Path(store.path + ".key").read_bytes())
    backup.write(store, file, "platform", signer)
    store.close()
    return file.read_bytes(), signer


def refused(tmp_path, data, **options):
    """What `restore` says of these bytes; nothing is left behind."""
    (tmp_path / "bad").write_bytes(data)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(StoreError) as error:
        backup.restore(tmp_path / "bad", tmp_path / "new.db", **options)
    assert sorted(os.listdir(tmp_path)) == before
    return error.value.what


def rebuilt(data, signer, packed=None, **fields):
    """A backup with other fields in its body, rightly signed again; packed: other bytes behind the head."""
    length = int.from_bytes(data[20:24], "big")
    body = cbor.decode(data[24 : 24 + length])
    names = ("form", "centre", "public", "time_ms", "version", "size", "digest", "logs")
    for name, value in fields.items():
        body[names.index(name)] = value
    body = cbor.encode(body)
    packed = data[24 + length + 64 :] if packed is None else packed
    return data[:20] + len(body).to_bytes(4, "big") + body + signer.sign(body) + packed


@pytest.mark.slow
def test_a_bad_backup_is_refused_and_leaves_nothing(platform, backed, tmp_path):
    data, signer = backed
    head = 24 + int.from_bytes(data[20:24], "big")
    other = sm2.Signer(bytes(31) + b"\x09")
    assert "no backup" in refused(tmp_path, b"SQLite format 3\0" + data)
    assert "no backup" in refused(tmp_path, b"")
    assert "head says" in refused(tmp_path, data[:20] + b"\xff\xff\xff\xff" + data[24:])
    assert "cannot be read" in refused(tmp_path, data[:40])
    assert "signature is wrong" in refused(tmp_path, data[:head] + bytes(64) + data[head + 64 :])
    assert "breaks off" in refused(tmp_path, data[:-9])
    assert "follows the backup's end" in refused(tmp_path, data + b"x")
    assert "unpacked" in refused(tmp_path, data[: head + 64] + b"\xff" + data[head + 65 :])
    assert "another platform's key" in refused(tmp_path, data, public=other.public)
    assert "store version 99" in refused(tmp_path, rebuilt(data, signer, version=99))
    assert "not hold the bytes" in refused(tmp_path, rebuilt(data, signer, digest=bytes(32)))
    assert "holds more than" in refused(tmp_path, rebuilt(data, signer, size=4096))
    assert "cannot be read" in refused(tmp_path, rebuilt(data, signer, size=-1))
    assert "other digests" in refused(tmp_path, rebuilt(data, signer, logs=[]))
    assert "signature is wrong" in refused(tmp_path, rebuilt(data, other, public=signer.public))
    for seed in range(60):  # any bit of it
        at = seed * 7919 % len(data)
        changed = bytearray(data)
        changed[at] ^= 1 << seed % 8
        (tmp_path / "bad").write_bytes(changed)
        try:
            backup.restore(tmp_path / "bad", tmp_path / "new.db")
        except StoreError:
            continue
        assert at > head + 64  # a spare bit of the packing: the store itself is the one that was signed
        assert rows(f"sqlite:///{tmp_path}/new.db", ALL) == rows(platform.store, ALL)
        (tmp_path / "new.db").unlink()
    for name in ("new.db", "new.db-wal"):
        (tmp_path / name).write_bytes(b"")
        assert "is there already" in refused(tmp_path, data)
        (tmp_path / name).unlink()


@pytest.mark.slow
def test_a_bomb_is_bounded(backed, tmp_path):
    data, signer = backed
    bomb = zlib.compress(bytes(200 << 20), 9)
    assert "holds more than the 1000000 bytes" in refused(tmp_path, rebuilt(data, signer, bomb, size=1000000))


@pytest.mark.slow
def test_a_store_inside_a_backup_is_checked_to_its_last_entry(platform, copied, tmp_path):
    change(copied, "update entries set raw = zeroblob(60) where seq = 9")
    store, signer = Store(copied), sm2.Signer(Path(platform.store.removeprefix("sqlite:///") + ".key").read_bytes())
    backup.write(store, tmp_path / "b", "platform", signer)
    store.close()
    assert "other digests" in refused(tmp_path, (tmp_path / "b").read_bytes())


@pytest.mark.slow
@pytest.mark.requirement("P-9.1-6", part="backups and checks on schedule, in two folders, the oldest go")
def test_backups_on_schedule_in_two_folders(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    for name in ("20200101T000000Z.ctbackup", "20200102T000000Z.ctbackup", "notes.txt"):
        (one / name).write_bytes(b"old")
    options = ("--backup-dir", one, "--backup-dir", two, "--keep", 2, "--backup-every", "24h", "--check-every", "24h")
    with Platform(tmp_path, *options) as started:
        waited = Store(started.store)
        while set(jobs.last(waited)) != {"backup", "check"}:
            assert started.process.poll() is None
        assert all(report["ok"] for report in jobs.last(waited).values())
        made = jobs.last(waited)["backup"]["files"]
        assert [Path(path).parent for path in made] == [one, two]
        assert Path(made[0]).read_bytes() == Path(made[1]).read_bytes()
        assert sorted(os.listdir(one)) == ["20200102T000000Z.ctbackup", Path(made[0]).name, "notes.txt"]
        assert started.stop() == 0
        started.start()  # what is not due is not made again
        httpx.get(started.url)
        assert started.stop() == 0
        assert len(jobs.reports(waited)) == 2
        waited.close()
    for wrong in ("", "1", "1w", "-1h", "h", "0.5h"):
        answer = run("platform", "serve", "--store", f"sqlite:///{tmp_path}/x.db", "--backup-every", wrong)
        assert answer.returncode == 2 and "is no time" in answer.stderr


@pytest.mark.slow
def test_a_backup_that_fails_is_reported(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with Platform(tmp_path, "--backup-dir", tmp_path / "file" / "below", "--check-every", "0") as started:
        waited = Store(started.store)
        while "backup" not in jobs.last(waited):
            assert started.process.poll() is None
        assert jobs.last(waited)["backup"]["ok"] is False
        assert "FINDING" in httpx.get(started.url).text
        waited.close()


# --- versions ---------------------------------------------------------------------------------------------------------


def downgraded(url):
    """The store as version 1 had it."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        for name in layers.VIEWS:
            connection.execute(f"drop view {name}")
        columns = "log, seq, row, kind, period, start_ms, version, subject, quality, value"
        connection.execute(
            "create table f1 (log integer not null references logs (id), seq bigint not null, row integer not null, "
            "kind integer not null, period integer not null, start_ms bigint not null, version bigint not null, "
            "subject integer not null, quality integer not null, value text, primary key (log, seq, row))"
        )
        connection.execute(f"insert into f1 ({columns}) select {columns} from figures")
        for name in ("figures", "subjects", "contexts", "certifications", "upkeep", "schema"):
            connection.execute(f"drop table {name}")
        connection.execute("alter table f1 rename to figures")
        connection.execute("create index figures_by_time on figures (log, kind, period, start_ms)")
        connection.commit()


@pytest.mark.requirement("P-9.6-1", part="a store of the version before opens and is brought up to date")
@pytest.mark.slow
def test_a_store_of_version_1_is_brought_up(platform, copied):
    wanted = rows(copied, "select * from figures order by log, seq, row")
    downgraded(copied)
    assert rows(copied, "select count(*) from sqlite_master where name = 'schema'") == [(0,)]
    report = checked(copied)  # opens it, and recomputes all of it from the entries
    assert report["ok"], report
    assert rows(copied, "select version from schema") == [(2,)]
    assert rows(copied, "select * from figures order by log, seq, row") == wanted
    assert rows(copied, "select count(*) from analysis_emissions where model is null") == [(0,)]


@pytest.mark.slow
def test_a_newer_store_is_refused(copied):
    for version in (3, 0, "x"):
        change(copied, "update schema set version = ?", version)
        with pytest.raises(UplinkError) as error:
            Store(copied)
        assert "this program reads up to 2" in error.value.what
