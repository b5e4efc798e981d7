"""carbonterm settle of values of the moment, of gaps and ranges: by hand, as a person and as a script see it."""

import json
from pathlib import Path

import pytest

from carbonterm_host import cli

PAGE = Path(__file__).parents[2] / "docs" / "series.md"


def series(hours, value, every=60, skip=()):
    """CSV of `hours` from 2026-03-02T00:00, one row every so many minutes; value and skip: of the hour (float)."""
    lines = ["time,value"]
    for minute in range(0, hours * 60 + 1, every):
        hour = minute / 60
        if not any(first < hour < last for first, last in skip):
            day, rest = divmod(minute, 1440)
            lines.append(f"2026-03-{2 + day:02d}T{rest // 60:02d}:{rest % 60:02d}:00+08:00,{value(hour)}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def settle(capsys, monkeypatch, tmp_path):
    """settle(text of the file, *options) -> (exit code, JSON object or output, what went to stderr)"""
    monkeypatch.setenv("CARBONTERM_LANG", "en")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def run(text, *options):
        Path("flow.csv").write_text(text)
        with pytest.raises(SystemExit) as end:
            cli.main(["settle", "flow.csv", *options])
        out, err = capsys.readouterr()
        return end.value.code, json.loads(out) if "--json" in options else out, err

    return run


@pytest.mark.requirement("T-8.3.2-2", part="settle integrates a rate, by line and by step")
def test_a_rate_becomes_an_amount(settle):
    ramp = series(24, lambda hour: int(hour))  # 0, 1, … 24 t/h
    code, view, _ = settle(ramp, "--instant", "h", "--json")
    assert (code, view["total"], [p["increment"] for p in view["periods"]]) == (0, "288.000000", ["288.000000"])
    _, view, _ = settle(ramp, "--instant", "h", "--rule", "step", "--json")
    assert view["total"] == "276.000000"  # 0 + 1 + … + 23
    _, view, _ = settle(ramp, "--instant", "s", "--json")
    assert view["total"] == "1036800.000000"
    _, view, _ = settle(ramp, "--instant", "mean", "--period", "hour", "--json")
    assert view["total"] is None
    assert [p["increment"] for p in view["periods"]][:3] == ["0.500000", "1.500000", "2.500000"]


def gap(hour):
    return 10 if hour <= 74 else 22


@pytest.mark.requirement("T-12.4-3", part="settle fills by line and by nearest reading as by hand")
@pytest.mark.requirement("T-12.4-5", part="settle says period, method, data used, totals before and after")
def test_a_gap_is_filled_and_told(settle):
    text = series(168, gap, 30, [(74, 79)])
    code, plain, _ = settle(text, "--instant", "h", "--json")
    assert code == 0 and plain["fills"] == []
    assert [(p["increment"], p["quality"]) for p in plain["periods"]][3] == ("394.000000", "suspect")
    for method, hours in (("linear", [11.2, 13.6, 16, 18.4, 20.8]), ("nearest", [10, 10, 16, 22, 22])):
        code, view, _ = settle(text, "--instant", "h", "--fill", method, "--json")
        assert (code, view["total"]) == (0, "2778.000000")
        assert view["fills"] == [{
            "from": "2026-03-05T02:00:00+08:00", "to": "2026-03-05T07:00:00+08:00", "method": method,
            "first": "10", "last": "22", "known_hours": ["24", "24", "24", "24"],
            "before": "1785.000000", "after": "1865.000000", "added": "80.000000",
        }]  # fmt: skip
        assert [(p["increment"], p["quality"]) for p in view["periods"]][3] == ("474.000000", "estimated")
        _, view, _ = settle(text, "--instant", "h", "--fill", method, "--period", "hour", "--json")
        assert [float(p["increment"]) for p in view["periods"][74:79]] == hours
        assert {p["quality"] for p in view["periods"][74:79]} == {"estimated"}
        assert sum(float(p["increment"]) for p in view["periods"]) == pytest.approx(2778)
    _, bare, _ = settle(text, "--instant", "h", "--period", "hour", "--json")
    assert [(p["increment"], p["quality"]) for p in bare["periods"][74:79]] == [(None, "invalid")] * 5


@pytest.mark.requirement("T-12.4-4", part="settle says what is missing of the four days")
def test_a_gap_with_too_little_around_it(settle):
    text = series(120, lambda hour: 5, 60, [(30, 35)])
    code, out, _ = settle(text, "--instant", "h", "--fill", "linear")
    assert code == 0 and "not filled: of the four days around it 6, 24, 24, 24 h are known" in out
    # the file ends before two days have passed: nothing is decided
    text = series(80, lambda hour: 5, 60, [(50, 55)])
    _, view, _ = settle(text, "--instant", "h", "--fill", "linear", "--json")
    assert view["fills"] == [] and view["total"] == "375.000000"


def test_a_register_counts_through_its_gap(settle):
    text = series(48, lambda hour: int(hour * 3), 60, [(20, 30)])
    code, view, _ = settle(text, "--fill", "linear", "--json")
    assert code == 0 and view["total"] == "144"
    assert [(f["method"], f["first"], f["last"], f["added"]) for f in view["fills"]] == [("counted", "60", "90", "30")]
    _, out, _ = settle(text, "--fill", "linear")
    assert "the register counted 30, laid evenly" in out
    _, view, _ = settle(text, "--json")
    assert view["fills"] == []


@pytest.mark.requirement("T-8.1.1-1", part="settle: both ends are valid, what is outside is told and in no total")
def test_a_range_with_both_ends(settle):
    values = enumerate(("0", "100", "100.1", "-0.1", "50", "0"))
    text = "time,value\n" + "".join(f"2026-03-02T0{hour}:00:00+08:00,{value}\n" for hour, value in values)
    code, view, _ = settle(text, "--instant", "h", "--min", "0", "--max", "100", "--interval", "7200", "--json")
    assert code == 1
    assert [(row["line"], row["value"], row["why"]) for row in view["suspect"]] == [
        (4, "100.1", "outside the range"), (5, "-0.1", "outside the range")]  # fmt: skip
    assert view["total"] == "300.000000"  # 50, 75 × 3, 25
    code, view, _ = settle(series(10, lambda hour: int(hour)), "--max", "7", "--json")
    assert code == 1 and view["total"] == "7" and [row["value"] for row in view["suspect"]] == ["8", "9", "10"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--instant", "h", "--modulus", "100"), "no modulus"),
        (("--instant", "mean", "--fill", "linear"), "only amounts are filled"),
        (("--fill", "nearest"), "lays it evenly"),
        (("--instant", "week"), "week"),
        (("--instant", "h", "--fill", "cubic"), "cubic"),
        (("--min", "x"), "not a decimal number"),
        (("--instant", "h", "--min", "100"), "no reading lies in the range"),
    ],
)
def test_what_makes_no_sense_is_refused(settle, options, part):
    code, _, err = settle(series(5, lambda hour: 1), *options)
    assert code == 2 and part in err


def test_the_worked_gap_of_the_documentation(settle):
    page = PAGE.read_text(encoding="utf-8")
    block = page[page.index("$ carbonterm settle flow.csv") :]
    command, _, shown = block[: block.index("```")].partition("\n")
    _, out, _ = settle(series(168, gap, 30, [(74, 79)]), *command.split()[4:])
    assert [line.rstrip() for line in out.splitlines()] == [line.rstrip() for line in shown.splitlines()]


def year(skip, value=lambda hour: 10 + hour % 7):
    """CSV of 80 days of March to May, every quarter of an hour, without some hours."""
    lines = ["time,value"]
    for quarter in range(80 * 96 + 1):
        hour = quarter / 4
        if not any(first <= hour < last for first, last in skip):
            month, day = (3, 1 + quarter // 96) if quarter < 31 * 96 else (4, 1 + quarter // 96 - 31)
            month, day = (month, day) if month == 3 or day <= 30 else (5, day - 30)
            lines.append(f"2026-{month:02d}-{day:02d}T{quarter % 96 // 4:02d}:{quarter % 4 * 15:02d}:00+08:00,"
                         f"{value(quarter // 4)}")  # fmt: skip
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@pytest.mark.requirement("T-12.4-3", part="configurable alternatives: HJ 75, 40 CFR 75, EU MRR")
def test_substitutes_by_rules_for_stacks(settle):
    text = year([(900, 904)])  # four hours; the greatest hourly mean before is between 15 and 16
    rate = ("--instant", "h", "--rule", "step", "--period", "hour", "--json")
    _, plain, _ = settle(text, *rate)
    assert {p["increment"] for p in plain["periods"][901:903]} == {None}
    for rule, value in (("hj75", "16.000000"), ("part75", None), ("mrr", None)):
        code, view, _ = settle(text, *rate, "--fill", rule)
        gap = view["fills"][0]
        assert code == 0 and len(view["fills"]) == 1 and gap["method"] == rule
        assert [p["quality"] for p in view["periods"]].count("estimated") == gap["hours"]
        missing = [float(p["increment"]) for p in view["periods"] if p["quality"] == "estimated"]
        if value:
            assert "maximum of 180 h" in gap["how"] and missing == [float(value)] * gap["hours"]
        assert float(gap["after"]) - float(gap["before"]) == pytest.approx(float(gap["added"]))
        assert sum(float(p["increment"]) for p in view["periods"]) == pytest.approx(float(view["total"]))
        assert float(view["total"]) == pytest.approx(float(gap["after"]))
        if rule == "part75":  # the mean of the hours on its two sides
            ends = [i for i, p in enumerate(view["periods"]) if p["quality"] == "estimated"]
            sides = [float(view["periods"][i]["increment"]) for i in (ends[0] - 1, ends[-1] + 1)]
            assert missing == [pytest.approx(sum(sides) / 2)] * len(missing)
        if rule == "mrr":  # mean and two standard deviations
            known = [float(p["increment"]) for p in view["periods"] if p["quality"] == "good"]
            mean = sum(known) / len(known)
            s = (sum((one - mean) ** 2 for one in known) / (len(known) - 1)) ** 0.5
            assert missing == [pytest.approx(mean + 2 * s, abs=2e-6)] * len(missing)
    _, out, _ = settle(text, *rate[:-1], "--fill", "hj75")
    assert "hj75, " in out and "maximum of 180 h" in out


def test_hours_that_no_rule_can_substitute(settle):
    text = series(40, lambda hour: 5, 15, [(0.2, 2)])  # nothing before it to take
    code, view, _ = settle(text, "--instant", "h", "--fill", "hj75", "--period", "day", "--json")
    assert code == 0 and view["fills"][0]["added"] is None and view["periods"][0]["quality"] == "suspect"
    for options in (("--instant", "mean"), ("--instant", "h", "--period", "minute"), ()):
        code, _, err = settle(text, *options, "--fill", "part75")
        assert code == 2 and "part75" in err
