"""carbonterm settle as people and scripts use it: whole days by hand, events, suspects, and every refusal."""

import io
import json
from decimal import Decimal
from pathlib import Path

import pytest

from carbonterm_host import cli

PAGE = Path(__file__).parents[2] / "docs" / "series.md"
KEYS = ["start", "end", "increment", "max", "min", "quality"]


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """call(text of the file, *options, events=text) -> (exit code, stdout, stderr); files a.csv and e.csv."""
    monkeypatch.setenv("CARBONTERM_LANG", "en")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def run(text, *options, events=None):
        if text is not None:
            (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        if events is not None:
            (tmp_path / "e.csv").write_text(events)
            options = (*options, "--events", "e.csv")
        with pytest.raises(SystemExit) as end:
            cli.main(["settle", "a.csv", *options])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


@pytest.fixture
def settle(call):
    """settle(...) -> (exit code, JSON object)"""

    def run(text, *options, events=None):
        code, out, _ = call(text, *options, "--json", events=events)
        return code, json.loads(out)

    return run


def table(*rows, header="time,value"):
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


def rows(found):
    return [tuple(period[key] for key in KEYS[:1] + KEYS[2:]) for period in found["periods"]]


def hours(values, day="2026-03-05", first=0):
    return [(f"{day}T{first + i:02d}:00:00+08:00", v) for i, v in enumerate(values) if v is not None]


@pytest.mark.requirement("T-8.2.1-1", "T-8.2.1-2")
def test_a_day_by_hand_with_missing_samples(settle):
    values = ["100.0", "101.5", "104.5", None, "105.0", None, None, None, "113.0", "113.0"]
    values += [str(114 + i) for i in range(13)]
    readings = [*hours(values), ("2026-03-06T00:00:00+08:00", "130.2"), ("2026-03-06T01:00:00+08:00", "131")]
    code, found = settle(table(*readings))
    assert code == 0 and list(found)[:2] == ["periods", "total"]
    assert [list(period) for period in found["periods"]] == [KEYS, KEYS]
    day, rest = found["periods"]
    assert (day["start"], day["end"]) == ("2026-03-05T00:00:00+08:00", "2026-03-06T00:00:00+08:00")
    # 23:00 is missing too: 4.2 over two hours; 05:00 to 07:00 is a gap, its 8.0 are in the day and in no interval
    assert (day["increment"], day["max"], day["min"], day["quality"]) == ("30.2", "4.2", "0.0", "good")
    assert (rest["increment"], rest["max"], rest["quality"]) == ("0.8", "0.8", "estimated")
    assert found["total"] == "31.0" and found["suspect"] == [] and found["interval"] == "3600"


@pytest.mark.requirement("T-8.2.2-1")
def test_rollover(settle):
    readings = table(*hours(["9998", "3"], first=8))
    assert settle(readings, "--modulus", "10000")[1]["total"] == "5"
    code, found = settle(readings)
    assert code == 1 and found["total"] == "0"
    assert found["suspect"] == [{"line": 3, "time": "2026-03-05T09:00:00+08:00", "value": "3", "why": "backwards"}]
    assert settle(table(*hours(["9999.98", "0.03"])), "--modulus", "10000")[1]["total"] == "0.05"


@pytest.mark.requirement("T-8.2.2-1")
@pytest.mark.parametrize("event", ["replaced", "reset"])
@pytest.mark.parametrize("final", ["9000", "9004"])
def test_a_replacement_is_told_from_a_rollover(settle, event, final):
    readings = table(*hours(["8996", "9000", "3", "7"], first=8))
    for moment in ("2026-03-05T09:00:00+08:00", "2026-03-05T09:20:00+08:00", "2026-03-05T10:00:00+08:00"):
        events = table((moment, event, final, "2"), header="time,event,last,first")
        code, found = settle(readings, "--modulus", "10000", events=events)
        assert code == 0 and found["total"] == str(int(final) - 8996 + 5), moment
    # without the event it looks like a rollover: only the operator knows
    assert settle(readings, "--modulus", "10000")[1]["total"] == str(4 + 1003 + 4)


@pytest.mark.slow
@pytest.mark.requirement("T-8.2.1-3", "T-8.2.1-4")
def test_every_period_adds_up_to_the_same_total(settle):
    readings = [
        (f"2024-{month:02d}-{day:02d}T{hour:02d}:17:00+08:00", str(((month * 31 + day) * 24 + hour) * 37 / 100))
        for month in (2, 3) for day in (1, 14, 28, 29) for hour in (0, 9, 18)
    ]  # fmt: skip
    total = Decimal(readings[-1][1]) - Decimal(readings[0][1])
    for period in ("minute", "hour", "day", "month", "year"):
        code, found = settle(table(*readings), "--period", period)
        assert code == 0 and Decimal(found["total"]) == total
        assert sum(Decimal(row["increment"]) for row in found["periods"]) == total
        ends = [row["end"] for row in found["periods"]]
        assert [row["start"] for row in found["periods"]][1:] == ends[:-1]
    months = settle(table(*readings), "--period", "month")[1]["periods"]
    assert [row["start"][:10] for row in months] == ["2024-02-01", "2024-03-01"]
    days = settle(table(*readings))[1]["periods"]
    february = [Decimal(row["increment"]) for row in days if row["start"].startswith("2024-02")]
    assert len(february) == 29 and sum(february) == Decimal(months[0]["increment"])


def test_order_and_copies_do_not_matter(settle, capsys, monkeypatch):
    readings = hours(["1", "2", "4", "8", "16"])
    code, found = settle(table(*readings))
    assert found["duplicates"] == 0
    again = [*reversed(readings), readings[2], ("2026-03-04T18:00:00Z", "4.0"), (readings[1][0], "")]
    assert settle(table(*again)) == (code, {**found, "duplicates": 3})
    stdin = io.TextIOWrapper(io.BytesIO(("\ufeff" + table(*readings).replace("\n", "\r\n\r\n")).encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(SystemExit) as end:
        cli.main(["settle", "-", "--json"])
    assert end.value.code == 0 and json.loads(capsys.readouterr().out) == found


def test_columns_may_stand_anywhere_and_values_may_be_missing(settle):
    text = table(("x", " 5 ", "a", "2026-03-05T00:00:00Z"), ("x", "", "b", "2026-03-05T01:00:00Z"),
                 ("", "7.5", "", "2026-03-05T02:00:00Z"), header="Meter, VALUE,note,Time")  # fmt: skip
    code, found = settle(text)
    assert code == 0 and found["total"] == "2.5" and found["missing"] == 1 and found["readings"] == 2


def test_zone_and_the_last_period(settle):
    text = table(("2026-03-05T23:00:00Z", "1"), ("2026-03-06T00:00:00Z", "2"))
    assert rows(settle(text, "--zone", "Z")[1]) == [("2026-03-05T00:00:00Z", "1", "1", "1", "estimated")]
    assert rows(settle(text)[1]) == [("2026-03-06T00:00:00+08:00", "1", "1", "1", "estimated")]
    assert rows(settle(text, "--period", "hour")[1]) == [("2026-03-06T07:00:00+08:00", "1", "1", "1", "good")]
    one = settle(table(("2026-03-05T00:00:00+08:00", "1")))
    assert one[0] == 0 and rows(one[1]) == [("2026-03-05T00:00:00+08:00", "0", None, None, "estimated")]
    assert one[1]["interval"] is None


def test_a_limit_and_an_interval(settle):
    text = table(*hours(["0", "5", "900", "15", "20"]))
    code, found = settle(text, "--limit", "10")
    assert code == 1 and found["total"] == "20" and [s["line"] for s in found["suspect"]] == [4]
    assert found["suspect"][0]["why"] == "faster than the limit"
    assert settle(text, "--limit", "10", "--interval", "324000")[1]["total"] == "900"
    assert found["periods"][0]["max"] == "10"
    assert settle(text, "--limit", "10", "--interval", "1800")[1]["periods"][0]["max"] == "5"
    assert settle(text, "--limit", "10", "--interval", "1700")[1]["periods"][0]["max"] is None


def test_readings_outside_the_register_are_suspect(settle):
    code, found = settle(table(*hours(["9990", "10000", "-1", "9995"])), "--modulus", "10000")
    assert code == 1 and found["total"] == "5" and [s["line"] for s in found["suspect"]] == [3, 4]
    assert "outside the register" in found["suspect"][0]["why"]
    assert settle(table(*hours(["1"])), "--modulus", "1")[0] == 2


def test_a_person_sees_a_table(call, monkeypatch):
    text = table(*hours(["9990", "9998", "1", "3", None, "", "2"]), (hours(["9990"])[0]))
    code, out, _ = call(text, "--modulus", "10000")
    assert code == 1 and max(map(len, out.splitlines()[:8])) <= 80
    for part in ("Settlements of a.csv", "2026-03-05", "Increment", "estimated", "Total 13 from 5 readings",
                 "copies of readings left out: 1", "rows without a value: 1", "suspect: a.csv:7 ",
                 "--events"):  # fmt: skip
        assert part in out, part
    monkeypatch.setenv("CARBONTERM_LANG", "zh")
    out = call(text, "--modulus", "10000", "--period", "hour")[1]
    for part in ("增量", "最大值", "2026-03-05 02:00", "读数倒退", "合计 13"):
        assert part in out, part


def test_the_worked_example_of_the_documentation(call):
    blocks = PAGE.read_text().split("## A worked example")[1].split("```\n")
    readings, shown, changes = blocks[1], blocks[3], blocks[5]
    code, out, _ = call(readings, "--modulus", "10000")
    printed = " ".join(out.replace("a.csv", "day.csv").split())
    assert code == 1 and printed == " ".join(shown.split("\n", 1)[1].split())
    code, out, _ = call(readings, "--modulus", "10000", "--json", events=changes)
    assert code == 0 and json.loads(out)["total"] == str(10004 - 9970 + 41)


# --- refusals ------------------------------------------------------------------------------------------------------


def test_all_mistakes_of_both_files_at_once(call):
    text = table(("2026-03-05T00:00:00+08:00", "1"), ("2026-03-05", "2"), ("2026-03-05T02:00:00+08:00", "1,5"),
                 ("2026-03-05T03:00:00+08:00", "nan"), ("2026-02-30T00:00:00+08:00", "4"))  # fmt: skip
    events = table(("2026-03-05T00:00:00Z", "stolen", "1", "2"), ("2026-03-05T00:00:00Z", "reset", "", "0"),
                   header="time,event,last,first")  # fmt: skip
    code, out, err = call(text, events=events)
    assert code == 2 and out == ""
    for part in ("a.csv:3: '2026-03-05' is not a time; write it like", "a.csv:5: 'nan' is not a decimal number",
                 "a.csv:6: 2026-02-30 is not a date", "e.csv:2: unknown event 'stolen'; known events: replaced, reset",
                 "e.csv:3: '' is not a decimal number", "→ correct these lines"):  # fmt: skip
        assert part in err, part
    code, out, err = call(text, "--json")
    assert code == 2 and json.loads(out)["error"].count("\n") == 2 and err == ""


def test_many_mistakes_are_counted(call):
    code, _, err = call(table(*(("x", "y") for _ in range(500))))
    assert code == 2 and err.count("a.csv:") == 20 and "and 480 more" in err


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "a.csv is empty; the first line is time,value"),
        ("\n\n", "a.csv is empty"),
        ("time,value\n", "a.csv has no readings"),
        ("time,value\n2026-03-05T00:00:00Z,\n", "a.csv has no readings"),
        ("time,reading\n2026-03-05T00:00:00Z,1\n", "a.csv:1: column value is missing; the first line is time,value"),
        ("\n2026-03-05T00:00:00Z,1\n", "a.csv:2: column time, value is missing"),
        ("time,value\n2026-03-05T00:00:00,1\n", "with the offset"),
        ("time,value\n1969-03-05T00:00:00Z,1\n", "from 1970"),
        ("time,value\n2026-03-05T00:00:00Z,1e999\n", "a.csv:2: the exponent of '1e999'"),
        (b"time,value\n\xff\xfe,1\n", "a.csv is not UTF-8 (byte 11)"),
        (b"time,value\n" + b'"' + b"1" * 200000 + b'"', "a.csv:2: field larger"),
    ],
)
def test_files_that_can_not_be_read(call, text, part):
    code, out, err = call(text)
    assert code == 2 and out == "" and part in err


def test_files_that_are_not_there(call):
    code, _, err = call(None)
    assert code == 2 and "a.csv: No such file or directory" in err
    code, _, err = call(table(*hours(["1"])), "--events", "nowhere.csv")
    assert code == 2 and "nowhere.csv: No such file" in err


def test_two_values_at_one_time(call):
    code, _, err = call(table(*hours(["1", "2", "3"]), ("2026-03-04T17:00:00Z", "2.5")))
    assert code == 2 and "a.csv:3 and a.csv:5: two values at 2026-03-04T17:00:00Z, 2 and 2.5" in err


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--zone", "Shanghai"), "'Shanghai' is not an offset"),
        (("--modulus", "0"), "modulus 0 is not above 0"),
        (("--modulus", "ten"), "modulus: 'ten' is not a decimal number"),
        (("--limit", "-5"), "limit -5 is not above 0"),
        (("--interval", "0"), "--interval"),
        (("--interval", "1.5"), "--interval"),
        (("--period", "week"), "--period"),
        (("--modulus", "1"), "no reading lies inside the register"),
    ],
)
def test_options_that_make_no_sense(call, options, part):
    code, out, err = call(table(*hours(["5"])), *options)
    assert code == 2 and out == "" and part in err


def test_an_event_that_can_not_be(call):
    header = "time,event,last,first"
    events = table(("2026-03-05T01:30:00+08:00", "replaced", "4", "0"), header=header)
    code, out, err = call(table(*hours(["1", "5", "6"])), events=events)
    assert code == 2 and out == "" and "e.csv:2: last = 4 is below the register's last reading 5" in err
