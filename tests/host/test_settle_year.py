"""carbonterm settle of Parquet files and bundles: what people and scripts see, and every refusal."""

import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from carbonterm import clock
from carbonterm_host import cli
from carbonterm_host.commands import settle_year

BEGIN = clock.parse("2026-01-01T00:00:00+08:00")
SITE = """
terminal: CT-1
name: plant
zone: "+08:00"
factors_on: 2026-01-01
buses: [{name: lan, kind: modbus-tcp, host: 127.0.0.1}]
meters: [{name: M, bus: lan, unit: 1, model: schneider-iem3155}]
points:
  - {name: E1, meter: M, register: active_energy_import, every: 1min, min: "0", max: "5000000"}
sources:
  - name: electricity
    method: cn-2015-other-industry
    source: purchased_electricity
    parameters: {AD: [E1], EF: {value: "0.5703", source: a report}}
settings: {closings: [hour, day, month]}
"""


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """call(*arguments) -> (exit code, stdout, stderr), in a folder of its own."""
    monkeypatch.setenv("CARBONTERM_LANG", "en")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["settle", *arguments])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


def table(path, count=60 * 24 * 3 + 1, **columns):
    """A Parquet file of E1, 1000 Wh a minute, and other columns of the same length."""
    times = pa.array([BEGIN + 60000 * i for i in range(count)], pa.int64()).cast(pa.timestamp("ms", "UTC"))
    e1 = pa.array([Decimal(1000 * i) for i in range(count)], pa.decimal128(18, 2))
    pq.write_table(pa.table({"time": times, "E1": e1, **columns}), path)


def test_a_table_of_points(call):
    table("a.parquet", E2=pa.array([7 * i for i in range(4321)]))
    code, out, _ = call("a.parquet", "--json")
    found = json.loads(out)
    assert code == 0 and found["readings"] == 8642 and found["sources"] == [] and found["replayed"] is False
    days = [(p["start"], p["increment"], p["max"], p["quality"]) for p in found["points"][1]["periods"]]
    assert days == [(f"2026-01-0{d}T00:00:00+08:00", "10080", "7", "good") for d in (1, 2, 3)]
    assert [p["total"] for p in found["points"]] == ["4320000.00", "30240"]
    code, out, _ = call("a.parquet", "--period", "month")
    assert code == 0 and "4320000.00" in out and "estimated 1" in out


def test_one_point_is_what_its_csv_is(call):
    count = 2000
    texts = [str(3 * i if i != 700 else 0) for i in range(count)]
    stamps = [clock.text(BEGIN + 45000 * i + 7, 480) for i in range(count)]
    with open("a.csv", "w", encoding="utf-8") as file:
        file.writelines(["time,value\n", *(f"{t},{v}\n" for t, v in zip(stamps, texts, strict=True))])
    times = pa.array([clock.parse(t) for t in stamps], pa.int64())
    pq.write_table(pa.table({"time": times, "P": pa.array(texts)}), "a.parquet")
    options = "--period", "hour", "--limit", "1000", "--zone", "-03:30", "--json"
    _, slow, _ = call("a.csv", *options)
    code, fast, _ = call("a.parquet", *options)
    assert json.loads(fast)["points"][0]["periods"] == json.loads(slow)["periods"]
    assert json.loads(fast)["points"][0]["total"] == json.loads(slow)["total"]
    assert code == 0


@pytest.mark.requirement("T-8.2.1-1", part="days of a table with a site, and their emissions")
def test_a_table_with_a_site_is_accounted_and_written(call, tmp_path):
    table("a.parquet")
    (tmp_path / "site.yaml").write_text(SITE)
    code, out, _ = call("a.parquet", "--site", "site.yaml", "--json", "--out", "b.parquet")
    found = json.loads(out)
    assert code == 0 and found["points"][0]["unit"] == "Wh"
    source = found["sources"][0]
    # 1440 kWh a day × 0.5703 t/MWh
    assert [p["tco2e"] for p in source["periods"]] == 3 * ["0.821232"] and source["tco2e"] == "2.463696"
    rows = pq.read_table("b.parquet").to_pylist()
    assert [(r["kind"], r["name"], r["value"]) for r in rows[2:4]] == [
        ("point", "E1", Decimal(1440000)), ("source", "electricity", Decimal("0.821232")),
    ]  # fmt: skip
    code, out, _ = call("a.parquet", "--site", "site.yaml", "--out", "b.parquet")
    assert code == 0 and "2.463696" in out and "b.parquet" in out


def test_what_is_outside_the_range_is_in_no_total(call, tmp_path):
    table("a.parquet", count=6000)
    (tmp_path / "site.yaml").write_text(SITE)
    _, out, _ = call("a.parquet", "--site", "site.yaml", "--json")
    assert json.loads(out)["points"][0]["total"] == "5000000.00"


def test_refusals(call, tmp_path):
    table("a.parquet", E2=pa.array([1.5] * 4321))
    (tmp_path / "site.yaml").write_text(SITE)
    for arguments, what in (
        (("a.parquet",), "double holds no exact decimals"),
        (("none.parquet",), "none.parquet cannot be read"),
        (("none.bundle",), "none.bundle cannot be read"),
        (("a.parquet", "--events", "e.csv"), "are for CSV"),
        (("a.parquet", "--zone", "8"), "'8' is not an offset"),
        (("a.parquet", "--site", "site.yaml", "--period", "minute"), "does not settle the minute"),
        (("a.csv", "--out", "b.parquet"), "are for Parquet and bundles"),
        (("a.parquet", "--site", "none.yaml"), "none.yaml cannot be read"),
    ):
        if "minute" in arguments:
            table("a.parquet")
        code, _, err = call(*arguments)
        assert (code, what in err) == (2, True), (arguments, err)
    (tmp_path / "b.bundle").write_bytes(b"carbonterm bundle 1\n" + bytes(9))
    code, _, err = call("b.bundle")
    assert code == 4 and "the bundle" in err
    (tmp_path / "c.parquet").write_bytes(b"time,value\n")
    assert call("c.parquet")[0] == 2


def test_where_the_libraries_are_missing(call, monkeypatch):
    table("a.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.delitem(__import__("sys").modules, "carbonterm_host.batch.parquet", raising=False)
    monkeypatch.delattr("carbonterm_host.batch.parquet", raising=False)
    code, _, err = call("a.parquet")
    assert code == 2 and "carbonterm[reports]" in err


def test_files_are_told_by_their_beginning(tmp_path):
    (tmp_path / "a").write_bytes(b"PAR1....")
    (tmp_path / "b").write_bytes(b"carbonterm bundle 1\n")
    (tmp_path / "c").write_bytes(b"time,value\n")
    assert [settle_year.is_one(str(tmp_path / name)) for name in "abc"] == [True, True, False]
    assert not settle_year.is_one("-")
