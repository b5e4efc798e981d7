"""`carbonterm meters`: instruments on record, certificates, and results by instrument and period (11.8)."""

import csv
import io
import json

import pytest

from carbonterm import clock, site
from carbonterm.gm import sm3
from carbonterm.ledger import bundle, entry
from serving import Source, run
from sites import document

DAY_MS = 86_400_000
BEGIN = clock.stamp(2026, 3, 1, zone=480)
CERTIFICATE = ["JL-1", "省计量院", "2026-03-03", "2099-03-01", "合格", [6, -2], "%", [2, 0], "国家电能基准", bytes(32)]


def pulled(path, certificate=CERTIFICATE, audit="identified", begin=True):
    """A bundle of five days: E1 and E2 settle by the day, E1's meter is replaced on the third."""
    source = Source("CT-MET")
    log = source.log
    rows = document(terminal="CT-MET")
    rows[0] = site.FORMAT
    for row in rows[5]:
        row.append(None)
    for row in rows[6]:
        row += ["modbus", None, None, None, None, 8, 0, None, None, None, None]
    rows[6][0][5:10] = ["0012345678", "KS-17", "=place", None, certificate]
    rows[6][0].append("88.118.12345678/M-0001")
    canonical = site.Site(rows).canonical()
    log.append(BEGIN, 3, entry.START, ["0.1.0", "micropython 1.25", "first", 0])
    if begin:
        log.append(BEGIN, 3, entry.CONFIG, [sm3.digest(canonical), canonical])
    log.append(BEGIN, 3, entry.AUDIT, ["terminal", audit, "M0: 12345678"])
    for day in range(5):
        at = BEGIN + day * DAY_MS
        value = None if day == 3 else 100 * day
        log.append(at, 3, entry.READINGS, [[[0, 500, 0 if value is not None else 4, -2 if value is not None else 0,
                                             value]], None])  # fmt: skip
        log.append(at, 3, entry.CLOSING, [clock.DAY, at, [[0, 0, -2, 100 + day, 9, 1], [1, 1, -2, 7, None, None]]])
    log.append(BEGIN + 3 * DAY_MS, 3, entry.METER, [0, 0, BEGIN + 2 * DAY_MS + 5, -2, 400, 0])
    log.checkpoint()
    with open(path, "wb") as file:
        writer = bundle.Writer(file, "CT-MET", "test")
        writer.key(0, source.signer.public)
        for raw, fingerprint in source.pairs():
            writer.entry(raw, fingerprint)
        writer.checkpoint(log.last_checkpoint)
        writer.end()
    return path


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return pulled(tmp_path_factory.mktemp("log") / "log.bundle")


def said(*arguments, code=0):
    answer = run("meters", *arguments)
    assert answer.returncode == code, answer.stdout + answer.stderr
    return answer.stdout + answer.stderr


@pytest.mark.slow
@pytest.mark.requirement("T-11.8-3")
def test_certificates_are_shown_and_exported(log, tmp_path):
    found = json.loads(said("list", log, "--json", code=1))  # two meters have no certificate
    assert found["ok"] is False and [row["name"] for row in found["meters"]] == ["M0", "M1", "M2"]
    first = found["meters"][0]
    assert (first["serial"], first["asset"], first["place"], first["points"]) == (
        "0012345678", "KS-17", "=place", ["E1"]
    )  # fmt: skip
    assert [row["identifier"] for row in found["meters"]] == ["88.118.12345678/M-0001", None, None]
    assert first["identified"] is True and first["identification"] == "2026-03-01T00:00:00+08:00 12345678"
    certificate = first["certificate"]
    assert certificate.pop("days_left") > 20000 and certificate.pop("holds") is True
    assert certificate == {
        "number": "JL-1", "authority": "省计量院", "date": "2026-03-03", "due": "2099-03-01", "result": "合格",
        "standard": "国家电能基准", "uncertainty": "0.06 %", "k": "2", "file_sm3": "00" * 32,
    }  # fmt: skip
    assert first["chain"] == [
        "M0, none, serial 0012345678", "certificate JL-1 of 2026-03-03, 省计量院", "国家电能基准"
    ]  # fmt: skip
    assert found["meters"][1]["certificate"] is None and found["meters"][1]["identified"] is None
    table = list(csv.DictReader(io.StringIO(said("list", log, "--csv", code=1))))
    assert (table[0]["certificate_number"], table[0]["certificate_due"]) == ("JL-1", "2099-03-01")
    assert (table[0]["certificate_uncertainty"], table[0]["certificate_result"]) == ("0.06 %", "合格")
    assert table[0]["chain"].endswith("→ 国家电能基准") and table[0]["place"] == "'=place"  # no formula
    assert table[1]["certificate_number"] == "" == table[1]["chain"]
    text = said("list", log, code=1)
    assert "88.118.12345678/M-0001" in text
    assert "JL-1" in text and "traceable to nothing" in text and "国家电能基准" in text


@pytest.mark.slow
def test_an_expired_certificate_and_a_wrong_meter_are_findings(tmp_path):
    old = [*CERTIFICATE[:2], "2020-01-01", "2021-01-01", *CERTIFICATE[4:]]
    file = pulled(tmp_path / "old.bundle", old, audit="identity mismatch")
    text = said("list", file, code=1)
    assert "DOES NOT HOLD" in text and "IDENTITY MISMATCH" in text


@pytest.mark.slow
@pytest.mark.requirement("T-11.8-2")
def test_results_by_instrument_and_period(log):
    query = ("report", log, "M0", "--from", "2026-03-02", "--to", "2026-03-05T00:00:00+08:00")
    found = json.loads(said(*query, "--json"))
    assert (found["meter"], found["period"], found["from"]) == ("M0", "day", "2026-03-02T00:00:00+08:00")
    assert found["record"]["certificate"]["number"] == "JL-1"
    (point,) = found["points"]
    assert (point["point"], point["unit"], point["total"]) == ("E1", "kWh", "3.06")
    days = [(row["start"][:10], row["increment"], row["max"], row["certified"]) for row in point["settlements"]]
    assert days == [
        ("2026-03-02", "1.01", "0.09", False), ("2026-03-03", "1.02", "0.09", True),
        ("2026-03-04", "1.03", "0.09", True),
    ]  # fmt: skip
    assert point["readings"] == {"count": 3, "without_value": 1, "first": "1.00", "last": "2.00"}
    assert found["events"] == [{"time": "2026-03-03T00:00:00.005+08:00", "event": "E1: replaced"}]
    table = list(csv.DictReader(io.StringIO(said(*query, "--csv"))))
    assert [row["increment"] for row in table] == ["1.01", "1.02", "1.03"]
    assert table[0]["certificate"] == "JL-1" and table[0]["serial"] == "0012345678"
    text = said(*query)
    assert "3.06" in text and "E1: replaced" in text
    first_day = ("--from", "2026-03-01", "--to", "2026-03-02")
    empty = json.loads(said("report", log, "M1", *first_day, "--period", "hour", "--json"))
    assert empty["points"] == []


@pytest.mark.slow
def test_what_is_refused(log, tmp_path):
    dates = ("--from", "2026-03-02", "--to", "2026-03-05")
    assert "no instrument 'M9'" in said("report", log, "M9", *dates, code=2)
    assert "no period" in said("report", log, "M0", *dates, "--period", "week", code=2)
    assert "not later" in said("report", log, "M0", "--from", "2026-03-02", "--to", "2026-03-02", code=2)
    assert "is no time" in said("report", log, "M0", "--from", "yesterday", "--to", "2026-03-02", code=2)
    assert "2026-02-30" in said("report", log, "M0", "--from", "2026-02-30", "--to", "2026-03-02", code=2)
    assert "exclude each other" in said("list", log, "--csv", "--json", code=2)
    assert "cannot be read" in said("list", tmp_path / "none", code=2)
    (tmp_path / "bad").write_bytes(b"nothing")
    assert "bundle" in said("list", tmp_path / "bad", code=4)
    (tmp_path / "folder").mkdir()
    assert "no log" in said("list", tmp_path / "folder", code=4)
    bare = pulled(tmp_path / "bare.bundle", begin=False)
    assert "holds no site document" in said("list", bare, code=2)
