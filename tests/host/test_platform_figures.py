"""Figures of the platform by page and trend, certification and export, asked of a real server."""

import csv
import hashlib
import json
import os
import time

import httpx
import pytest
from sqlalchemy import insert

from carbonterm import cbor, clock, site
from carbonterm.gm import sm2, sm3
from carbonterm.ledger import bundle, entry
from carbonterm.ledger import checkpoint as notes
from carbonterm.number import Number
from carbonterm_host.platform.data import layers, search
from carbonterm_host.platform.store import Store, figures, find_log
from serving import START_MS, Platform, Source, post, run
from sites import document

HOUR_MS = 3_600_000
BEGIN = clock.stamp(2025, 6, 15, zone=480)
HOURS = 60


@pytest.fixture(scope="module")
def source():
    """A terminal with hourly settlements of E1 and E2 and emissions of `electricity`; every 10th value is missing."""
    made = Source("CT-FIG")
    log = made.log
    canonical = site.Site(document(terminal="CT-FIG")).canonical()
    log.append(START_MS, 3, entry.START, ["0.1.0", "micropython 1.25", "first", 0])
    log.append(START_MS, 3, entry.CONFIG, [sm3.digest(canonical), canonical])
    for hour in range(HOURS):
        start = BEGIN + hour * HOUR_MS
        value = None if hour % 10 == 9 else hour
        rows = [[0, 0, -2, 100 + hour, None, None], [1, 0, -2, 1, None, None]]
        log.append(start, 3, entry.CLOSING, [2, start, rows])
        log.append(start, 3, entry.EMISSION, [2, start, 0, [[0, 4 if value is None else 0, 0 if value is None else -6,
                                                              value, bytes(32)]]])  # fmt: skip
        if hour == 5:  # recalculated: the higher version counts
            log.append(start, 3, entry.EMISSION, [2, start, 1, [[0, 0, -6, 5000, bytes(32)]]])
    log.commit()
    log.checkpoint()
    return made


@pytest.fixture(scope="module")
def platform(tmp_path_factory, source):
    with Platform(tmp_path_factory.mktemp("platform"), "--check-every", "0", "--quality-hours", "0") as started:
        started.register(source)
        started.register(Source("CT-EMPTY", seed=2))
        assert post(started, "CT-FIG", source.batch(checkpoint=source.log.last_checkpoint))[0] == 200
        yield started


def asked(platform, what="figures", status=200, terminal="CT-FIG", headers=None, **query):
    names = {"start": "from", "end": "to"}
    query = {names.get(name, name): value for name, value in query.items()}
    answer = httpx.get(f"{platform.url}/v1/terminals/{terminal}/{what}", params=query, headers=headers)
    assert answer.status_code == status, answer.text[:300]
    return answer.json() if answer.content else answer


@pytest.mark.slow
@pytest.mark.requirement("P-9.1-5", part="search by terminal, kind, point and period")
def test_figures_come_by_page_once_each(platform):
    whole = asked(platform, kind="closing", period="hour")
    assert len(whole["figures"]) == 2 * HOURS and whole["next"] is None
    for limit in (1, 7, 119, 120):
        found, after = [], ""
        while after is not None:
            page = asked(platform, kind="closing", limit=limit, after=after)
            assert 0 < len(page["figures"]) <= limit
            found += page["figures"]
            after = page["next"]
        assert found == whole["figures"]
    first = whole["figures"][0]
    assert (first["name"], first["unit"], first["value"], first["quality"]) == ("E1", "kWh", "1.00", 0)
    assert first["start"] == "2025-06-14T16:00:00Z" and first["start_ms"] == BEGIN
    assert whole["metadata"][first["metadata"]]["device"] == "carbonterm 0.1.0 on micropython 1.25"
    assert set(whole["metadata"]) == {"0/1/0", "0/1/1"}


@pytest.mark.slow
def test_figures_by_name_and_time(platform):
    one = asked(platform, kind="closing", name="E2", start=str(BEGIN + HOUR_MS), end="2025-06-15T05:00:00+08:00")
    assert [(row["name"], row["value"]) for row in one["figures"]] == [("E2", "0.01")] * 4
    both = asked(platform, start=str(BEGIN + 5 * HOUR_MS), end=str(BEGIN + 6 * HOUR_MS))["figures"]
    assert [(row["version"], row["value"]) for row in both] == [(0, "0.000005"), (1, "0.005000")]
    assert asked(platform, kind="closing", name="nobody")["figures"] == []
    assert asked(platform, period="day")["figures"] == []
    assert asked(platform, terminal="CT-EMPTY") == {"terminal": "CT-EMPTY", "figures": [], "metadata": {}, "next": None}


@pytest.mark.slow
def test_an_answer_that_is_known_is_not_sent_again(platform):
    url = f"{platform.url}/v1/terminals/CT-FIG/figures?limit=3"
    tag = httpx.get(url).headers["etag"]
    again = httpx.get(url, headers={"If-None-Match": f'"other", {tag}'})
    assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == tag
    assert httpx.get(url + "&name=E1").headers["etag"] != tag


@pytest.mark.slow
@pytest.mark.parametrize(
    "query, said",
    (
        ({"kind": "raw"}, "kind is one of closing, emission"),
        ({"period": "week"}, "period is one of"),
        ({"start": "yesterday"}, "from:"),
        ({"start": "2", "end": "1"}, "to is not later than from"),
        ({"end": "999999999999999"}, "outside the years"),
        ({"limit": "0"}, "limit is a number from 1 to 10000"),
        ({"limit": "10001"}, "limit is"),
        ({"limit": "٣"}, "limit is"),
        ({"after": "1.2.3"}, "no cursor"),
        ({"after": "1.2.3.-4"}, "no cursor"),
        ({"after": "1' or 1=1"}, "no cursor"),
        ({"name": "x" * 65}, "at most 64"),
        ({"by": "decade"}, "by is one of"),
        ({"period": "day", "by": "hour"}, "cannot be divided"),
        ({"colour": "red"}, "takes once each"),
    ),
)
def test_a_bad_query_is_refused(platform, query, said):
    assert said in asked(platform, status=400, **query)["error"]


@pytest.mark.slow
def test_other_refusals(platform):
    assert asked(platform, status=404, terminal="CT-NONE")["error"] == "no such terminal"
    answer = httpx.get(f"{platform.url}/v1/terminals/CT-FIG/figures?limit=1&limit=2")
    assert answer.status_code == 400
    assert "one name" in asked(platform, "trend", 400, name="electricity")["error"]
    assert "one name" in asked(platform, "trend", 400, by="month")["error"]


@pytest.mark.slow
def test_a_trend_is_the_exact_sum(platform):
    found = asked(platform, "trend", name="electricity", by="day")
    assert found["units"] == ["tCO2e"] and [row["start"] for row in found["buckets"]] == [
        f"2025-06-{day}T00:00:00+08:00" for day in (15, 16, 17)
    ]
    wanted = [Number(0)] * 3
    for hour in range(HOURS):
        if hour % 10 != 9:
            wanted[hour // 24] += Number(5000 if hour == 5 else hour, -6)
    assert [row["value"] for row in found["buckets"]] == [str(value) for value in wanted]
    assert [row["missing"] for row in found["buckets"]] == [2, 2, 2]
    assert [(row["figures"], row["quality"]) for row in found["buckets"]] == [(24, 4), (24, 4), (12, 4)]
    assert asked(platform, "trend", name="nobody", by="year")["buckets"] == []


@pytest.mark.slow
@pytest.mark.requirement("P-9.6-2", part="six years of hourly figures of three points; the time is printed")
def test_years_of_hours(tmp_path, source):
    store = Store(f"sqlite:///{tmp_path}/years.db")
    store.close()
    with Platform(tmp_path, "--check-every", "0", "--quality-hours", "0") as started:
        started.register(source)
        assert post(started, "CT-FIG", source.batch(0, 2))[0] == 200
        hours = 6 * 365 * 24 + 48  # two leap days
        first = clock.stamp(2019, 1, 1, zone=480)
        store = Store(started.store)
        with store.write() as connection:
            log = find_log(connection, "CT-FIG", 0)
            for point in (0, 1, 2):
                connection.execute(insert(figures), [
                    {"log": log.id, "seq": 1, "row": point * hours + hour, "kind": 5, "period": 2, "version": 0,
                     "start_ms": first + hour * HOUR_MS, "subject": point, "quality": 0, "context": 1,
                     "value": str(Number(hour % 1000, -2))}
                    for hour in range(hours)
                ])  # fmt: skip
        store.close()
        begun = time.monotonic()
        found = asked(started, "trend", kind="closing", name="E2", by="month")
        print(f"{hours} hours of one point of three by month: {time.monotonic() - begun:.2f} s")
        assert len(found["buckets"]) == 72 and sum(row["figures"] for row in found["buckets"]) == hours
        total = sum((Number(hour % 1000, -2) for hour in range(hours)), Number(0))
        assert str(sum((Number(row["value"]) for row in found["buckets"]), Number(0))) == str(total)
        begun, count, after = time.monotonic(), 0, ""
        while after is not None:
            page = asked(started, kind="closing", name="E1", limit=10000, after=after)
            count, after = count + len(page["figures"]), page["next"]
        print(f"the same, figure by figure in pages of 10000: {time.monotonic() - begun:.2f} s")
        assert count == hours


# --- certification ----------------------------------------------------------------------------------------------------


def bundled(source, path, change=lambda raw: raw):
    with open(path, "wb") as file:
        writer = bundle.Writer(file, source.terminal_id, "test")
        writer.key(0, source.signer.public)
        for raw, fingerprint in source.pairs():
            writer.entry(change(raw), fingerprint)
        writer.checkpoint(source.log.last_checkpoint)
        writer.end()
    return path


@pytest.mark.slow
@pytest.mark.requirement("P-9.1-4", part="results of verification are stored, signed, and listed")
def test_a_result_is_kept_and_signed(platform, source, tmp_path):
    file = bundled(source, tmp_path / "good.bundle")
    answer = run("platform", "certify", file, "--store", platform.store, "--by", "机构 A", "--json")
    result = json.loads(answer.stdout)
    wrong = {name for name, value in result["verdicts"].items() if not value}
    assert wrong <= {"policy"}, result["reasons"]  # this log is sealed once, at its end
    assert result["epochs"] == [{"epoch": 0, "entries": len(source.pairs()), "held": True,
                                 "root": notes.parse(source.log.last_checkpoint).root.hex()}]  # fmt: skip
    assert sm2.verify(platform.public, bytes.fromhex(result["body"]), bytes.fromhex(result["signature"]))
    assert result["bundle"] == hashlib.new("sm3", file.read_bytes()).hexdigest()
    bad = bundled(source, tmp_path / "bad.bundle", lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]))
    answer = run("platform", "certify", bad, "--store", platform.store, "--by", "机构 A")
    assert answer.returncode == 4 and "NOT certified" in answer.stdout
    found = asked(platform, "certifications")
    assert [row["id"] for row in found] == [2, 1] and found[1] == result and not found[0]["ok"]
    assert cbor.decode(bytes.fromhex(found[0]["body"]))[4] == "机构 A"
    assert asked(platform, "certifications", terminal="CT-EMPTY") == []


@pytest.mark.slow
@pytest.mark.requirement("P-9.1-4", part="a good result")
def test_a_good_result(platform, tmp_path):
    """A log sealed as it should be, of which the platform holds every entry; with one entry more it does not."""
    made = Source("CT-GOOD", seed=3)
    made.log.append(START_MS, 3, entry.START, ["0.1.0", "micropython 1.25", "first", 0])
    for number in range(5):
        made.log.append(START_MS, 3, entry.AUDIT, ["test", "number", str(number)])
    made.log.checkpoint()
    platform.register(made)
    assert post(platform, "CT-GOOD", made.batch(checkpoint=made.log.last_checkpoint))[0] == 200
    file = bundled(made, tmp_path / "good.bundle")
    answer = run("platform", "certify", file, "--store", platform.store, "--by", "机构 A")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "certified\n", "")
    answer = run("platform", "certify", file, "--store", platform.store, "--by", "机构 B", "--json")
    result = json.loads(answer.stdout)
    assert answer.returncode == 0 and result["ok"] and set(result["verdicts"].values()) == {True}
    assert result["reasons"] == [] and result["epochs"][0]["held"]
    assert sm2.verify(platform.public, bytes.fromhex(result["body"]), bytes.fromhex(result["signature"]))
    assert [row["who"] for row in asked(platform, "certifications", terminal="CT-GOOD")] == ["机构 B", "机构 A"]
    made.log.append(START_MS, 3, entry.AUDIT, ["test", "not", "sent"])
    made.log.checkpoint()
    answer = run("platform", "certify", bundled(made, tmp_path / "more.bundle"), "--store", platform.store, "--by", "A")
    assert answer.returncode == 4 and "the platform does not hold these entries" in answer.stdout


@pytest.mark.slow
def test_what_cannot_be_certified(platform, source, tmp_path):
    file = bundled(source, tmp_path / "good.bundle")
    answer = run("platform", "certify", file, "--store", platform.store, "--by", "")
    assert answer.returncode == 1 and "--by" in answer.stderr
    (tmp_path / "none").write_bytes(b"nothing")
    answer = run("platform", "certify", tmp_path / "none", "--store", platform.store, "--by", "A")
    assert answer.returncode == 1 and "of no terminal that is registered" in answer.stderr


# --- export -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.requirement("P-9.1-5", part="export of a year: one file per layer, with digests")
def test_a_year_as_files(platform, tmp_path):
    folder = tmp_path / "2025"
    answer = run("platform", "export", folder, "--store", platform.store, "--terminal", "CT-FIG", "--year", 2025)
    assert answer.returncode == 0, answer.stderr
    manifest = json.loads((folder / "manifest.json").read_text())
    assert sorted(os.listdir(folder)) == sorted([*(f"{name}.csv" for name in layers.VIEWS), "manifest.json"])
    assert manifest["zone"] == "+08:00"
    for name, row in manifest["files"].items():
        assert hashlib.new("sm3", (folder / name).read_bytes()).hexdigest() == row["sm3"]
    with open(folder / "preprocessed_settlements.csv", newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 2 * HOURS and (found[0]["point"], found[0]["value"]) == ("E1", "1.00")
    assert found[0]["origin"].startswith("meter M0")
    assert manifest["files"]["analysis_emissions.csv"]["rows"] == HOURS + 1
    before = run("platform", "export", tmp_path / "2024", "--store", platform.store, "--terminal", "CT-FIG",
                 "--year", 2024, "--json")  # fmt: skip
    assert json.loads(before.stdout)["files"]["preprocessed_settlements.csv"]["rows"] == 0
    for arguments, said in (
        ((folder, "--terminal", "CT-FIG", "--year", 2025), "is there already"),
        ((tmp_path / "x", "--terminal", "CT-NONE", "--year", 2025), "not registered here"),
        ((tmp_path / "x", "--terminal", "CT-FIG", "--year", 1), "is no year"),
    ):
        answer = run("platform", "export", *arguments, "--store", platform.store)
        assert answer.returncode == 1 and said in answer.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
@pytest.mark.requirement("P-9.5-6", part="a labelled terminal is not exported")
def test_a_labelled_terminal_is_not_exported(platform, tmp_path):
    url = ("--store", platform.store)
    assert run("platform", "label", "CT-EMPTY", "--reason", "secret", *url).returncode == 0
    answer = run("platform", "export", tmp_path / "x", "--terminal", "CT-EMPTY", "--year", 2025, *url)
    assert answer.returncode == 1 and "labelled as sensitive" in answer.stderr and not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_query_knows_its_limits():
    query = search.Query(limit=str(search.MAX_LIMIT))
    assert (query.kind, query.period, query.to_ms) == (6, 2, search.MAX_MS)
