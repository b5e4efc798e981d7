"""Preprocessing (park document, 6.4): every step by hand, injected faults with recall and precision, the command."""

import csv
import json
import random
from decimal import Decimal
from fractions import Fraction

import pytest

from carbonterm import clock
from carbonterm.errors import UnitError
from carbonterm_host import preparing
from carbonterm_host.commands.prepare import text
from carbonterm_host.platform.quality import rules
from carbonterm_host.preparing import Reading
from shell import carbonterm

MINUTE, HOUR = 60000, 3600000
START = clock.parse("2026-03-01T00:00:00+08:00")


def series(values, every=HOUR, start=START):
    return [Reading(start + i * every, None if v is None else Fraction(str(v))) for i, v in enumerate(values)]


@pytest.mark.requirement("P-6.4-1", part="the step by hand")
def test_units_become_one_exactly():
    rows = series(["1.5", "0", None, "-2"])
    preparing.converted(rows, "MWh", "kWh")
    assert [one.value for one in rows] == [1500, 0, None, -2000] and rows[0].raw == Fraction("1.5")
    preparing.converted(rows, "kWh", "tce")
    assert rows[0].value == Fraction(1500 * 3600, 29307600)  # GB/T 2589: nothing is rounded
    with pytest.raises(UnitError, match="do not measure the same"):
        preparing.converted(rows, "m3", "Nm3")


@pytest.mark.requirement("P-6.4-4", part="the step by hand")
def test_a_certificates_line():
    rows = series(["100", None])
    preparing.corrected(rows, Fraction("1.02"), Fraction("-0.5"))
    assert [one.value for one in rows] == [Fraction("101.5"), None] and rows[0].raw == 100


@pytest.mark.requirement("P-6.4-2", part="the step by hand")
def test_outliers_are_marked_and_kept():
    rows = series([10, 11, 10, 12, 90, 11, 10, 12, 11, None, -1])
    preparing.bounded(rows, Fraction(0), None)
    preparing.filtered(rows, 4)
    assert [(i, one.why) for i, one in enumerate(rows) if one.why] == [
        (4, "outlier"), (9, "no value"), (10, "outside the range"),
    ]  # fmt: skip
    assert (rows[4].value, rows[4].raw, rows[4].quality) == (90, 90, preparing.SUSPECT)
    for least, quality in ((Fraction(6), preparing.SUSPECT), (Fraction(8), preparing.GOOD)):
        small = series([10, 11, 10, 12, 18, 11, 10, 12, 11])  # some 7 from the others
        preparing.filtered(small, 4, least=least)
        assert [one.quality for one in small] == [0] * 4 + [quality] + [0] * 4
    slope = series([0, 100, 200, 300, 430, 500, 600, 700, 800])  # on a slope what counts is the way to the line
    preparing.filtered(slope, 4)
    assert [one.quality for one in slope] == [0] * 4 + [2] + [0] * 4
    flat = series([7] * 9)
    preparing.filtered(flat, 4)
    assert not any(one.quality for one in flat)
    few = series([1, 1, 1, 1, 99])
    preparing.filtered(few, 4)
    assert not any(one.quality for one in few)


def test_the_filter_after_the_book():
    """What the integers say is what the same rule says in fractions, on seeded series with uneven times."""
    dice, flagged = random.Random(12), 0
    for _ in range(60):
        times = sorted(dice.sample(range(1, 3000), dice.randrange(1, 40)))
        rows = [Reading(START + t * MINUTE, Fraction(dice.choice((7, 7, dice.randrange(-40, 90))), 6)) for t in times]
        wide, least = dice.randrange(3, 9), Fraction(dice.randrange(3), 2)
        preparing.filtered(rows, wide, least=least)
        for place, one in enumerate(rows):
            before, after = rows[max(0, place - wide) : place], rows[place + 1 : place + 1 + wide]
            far = False
            if len(before) + len(after) >= preparing.FEWEST:
                slope = 0
                if before and after:
                    ends = [[rules.median([Fraction(getattr(r, name)) for r in side]) for name in ("time_ms", "raw")]
                            for side in (before, after)]  # fmt: skip
                    slope = (ends[1][1] - ends[0][1]) / (ends[1][0] - ends[0][0])
                middle, scale = rules.spread([r.raw - slope * (r.time_ms - one.time_ms) for r in before + after])
                far = abs(one.raw - middle) > rules.FAR * scale and abs(one.raw - middle) >= least
            assert (one.quality == preparing.SUSPECT) == far
            flagged += far
    assert flagged > 50


@pytest.mark.requirement("P-6.4-3", part="the step by hand")
def test_gaps_are_completed_within_reason():
    rows = [one for one in series(range(0, 200, 10), every=HOUR) if one.time_ms not in
            {START + n * HOUR for n in (3, 8, 9, 10, 11, 12)}]  # fmt: skip
    grid = preparing.moments([rows], HOUR)
    linear = preparing.gridded(rows, grid, preparing.LINEAR, 4 * HOUR)
    assert linear[3] == (START + 3 * HOUR, 30, preparing.ESTIMATED, preparing.COMPLETED)
    assert [row[3] for row in linear[8:13]] == [preparing.MISSING] * 5  # six hours from 70 to 130 are too many
    assert all(value is None and quality == preparing.SILENT for _, value, quality, _ in linear[8:13])
    longer = preparing.gridded(rows, grid, preparing.LINEAR, 6 * HOUR)
    assert [row[1] for row in longer] == list(range(0, 200, 10))
    nearest = preparing.gridded(rows, grid, preparing.NEAREST, 6 * HOUR)
    assert [row[1] for row in nearest[7:14]] == [70, 70, 70, 70, 130, 130, 130]
    assert preparing.gridded(rows, grid, preparing.NONE, 6 * HOUR)[9][3] == preparing.MISSING


@pytest.mark.requirement("P-6.4-5", part="the step by hand")
def test_series_come_onto_one_grid():
    """Readings at 5 past and 20 to each hour: between neighbours the straight line, nothing beyond a series' ends."""
    a, b = series([0, 12, 24], start=START + 5 * MINUTE), series([0, 12, 24], start=START - 20 * MINUTE)
    grid = preparing.moments([a, b], HOUR)
    assert list(grid) == [START, START + HOUR, START + 2 * HOUR]
    assert [(v, q, how) for _, v, q, how in preparing.gridded(a, grid)] == [
        (None, 4, "missing"), (11, 1, "between"), (23, 1, "between"),
    ]  # fmt: skip
    assert [v for _, v, _, _ in preparing.gridded(b, grid)] == [4, 16, None]


@pytest.mark.requirement("P-6.2-1", part="a state becomes running hours, exactly")
def test_a_state_becomes_running_hours():
    def state(*rows):
        return [Reading(START + minute * MINUTE, Fraction(on)) for minute, on in rows]

    rows = state((0, 1), (20, 0), (50, 1), (70, 1), (95, 0), (120, 0))
    hours = preparing.running(rows, range(START, START + 3 * HOUR, HOUR), HOUR)
    assert [(v, q) for _, v, q, _ in hours] == [(Fraction(30, 60), 0), (Fraction(35, 60), 0)]
    silent = state((0, 1), (20, 1), (100, 1), (120, 1))  # 80 minutes without a word
    hours = preparing.running(silent, range(START, START + 3 * HOUR, HOUR), 30 * MINUTE)
    assert [(v, how) for _, v, _, how in hours] == [(None, "missing")] * 2
    dice = random.Random(3)
    minutes = sorted(dice.sample(range(1, 600), 80))
    rows = state((0, 1), *((minute, dice.randrange(2)) for minute in minutes), (600, 0))
    by_minute, on, now = 0, 0, {one.time_ms: one.value for one in rows}
    for minute in range(600):
        on = now.get(START + minute * MINUTE, on)
        by_minute += on
    hours = preparing.running(rows, range(START, START + 10 * HOUR + 1, HOUR), HOUR)
    assert len(hours) == 10 and sum(v for _, v, _, _ in hours) == Fraction(by_minute, 60)


# --- injected faults ------------------------------------------------------------------------------------------------


def injected(seed):
    """(readings with faults, truth {time: value}, times of outliers, times of gaps): a daily curve with noise."""
    dice = random.Random(seed)
    rows, truth, outliers, gaps = [], {}, set(), set()
    for i in range(14 * 96):
        at = START + i * 15 * MINUTE
        hour = i % 96 / 4
        truth[at] = Fraction(round(5000 + 30 * (144 - (hour - 12) ** 2) + dice.gauss(0, 40)), 10)
        shown = truth[at]
        if i % 96 and dice.random() < 0.02:
            shown += dice.choice((-1, 1)) * dice.randrange(60, 400)
            outliers.add(at)
        rows.append(Reading(at, (shown + 2) / Fraction("1.05")))  # the instrument's own error: its certificate knows it
    at = 20
    while at < len(rows) - 20:
        length = dice.choice((1, 1, 2, 3, 6, 12))
        for one in rows[at : at + length]:
            gaps.add(one.time_ms)
        at += length + dice.randrange(30, 120)
    return [one for one in rows if one.time_ms not in gaps], truth, outliers - gaps, gaps


@pytest.mark.requirement("P-6.4-1", "P-6.4-2", "P-6.4-3", "P-6.4-4", "P-6.4-5")
def test_injected_faults():
    """Five seeds of a fortnight of quarter hours: unit and bias are undone exactly, outliers told, gaps filled."""
    hits = told = there = 0
    for seed in range(5):
        rows, truth, outliers, gaps = injected(seed)
        raw = [one.raw for one in rows]
        preparing.corrected(rows, Fraction("1.05"), Fraction(-2))
        preparing.converted(rows, "kW", "MW")
        clean = [one for one in rows if one.time_ms not in outliers]
        assert all(one.value * 1000 == truth[one.time_ms] for one in clean)
        preparing.filtered(rows, 6, least=Fraction(2, 100))
        assert [one.raw for one in rows] == raw  # whatever was done, the reading itself is there
        marked = {one.time_ms for one in rows if one.quality == preparing.SUSPECT}
        hits, told, there = hits + len(marked & outliers), told + len(marked), there + len(outliers)
        grid = preparing.moments([rows], 15 * MINUTE)
        linear, nearest = (preparing.gridded(rows, grid, how, 2 * HOUR) for how in ("linear", "nearest"))
        assert [at for at, *_ in linear] == sorted(truth)  # one grid, a quality on each value
        assert all(how == "measured" for at, _, _, how in linear if at not in gaps | marked)
        errors = []
        for found in (linear, nearest):
            filled = [(at, value) for at, value, quality, how in found if how == "completed"]
            assert all(at in gaps | marked for at, _ in filled)
            errors.append((sum(float(value * 1000 - truth[at]) ** 2 for at, value in filled) / len(filled)) ** 0.5)
        missing = {at for at, _, _, how in linear if how == "missing"}
        assert missing <= gaps | marked and len(missing) < len(gaps | marked)
        assert errors[0] < 15 and errors[0] < errors[1] < 30  # the truth has a noise of 4 kW and a cusp at midnight
        print(f"seed {seed}: completed {len(filled)}, rmse linear {errors[0]:.2f} kW, nearest {errors[1]:.2f} kW, "
              f"missing {len(missing)}")  # fmt: skip
    recall, precision = hits / there, hits / told
    print(f"outliers: {there} injected, recall {recall:.3f}, precision {precision:.3f}")
    assert recall >= 0.98 and precision >= 0.95


# --- the command ----------------------------------------------------------------------------------------------------

RECIPE = """\
unit: kWh
every: 1h
outliers: {neighbours: 5}
complete: {method: linear, longest: 3h}
sources:
  - {name: main, file: main.csv, unit: MWh}
  - name: 温度
    file: t.csv
    unit: °C
    to: °C
    range: ["-50", "60"]
    correct: {factor: "1.01", offset: "-0.5", certificate: JL-2026-0815}
    outliers: {neighbours: 5, least: "2"}
  - {name: flare, file: flare.csv, kind: state, complete: {longest: 20min}}
"""


def written(path, rows, every=HOUR):
    lines = [f"{clock.text(START + i * every, 480)},{value}" for i, value in enumerate(rows)]
    path.write_text("time,value\n" + "\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    written(tmp_path / "main.csv", [1, 2, 3, 4, 500, 6, "", "", 9, 10, 11])
    written(tmp_path / "t.csv", [20, 20.5, 99, 21, 21, 21, 21, 21, 21, 21, 21])
    written(tmp_path / "flare.csv", [1, 0] * 31, 10 * MINUTE)
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.requirement("P-6.4-1", "P-6.4-2", "P-6.4-3", "P-6.4-4", "P-6.4-5", part="by recipe")
def test_the_command(folder):
    out = folder / "out"
    code, said, error = carbonterm("prepare", folder / "recipe.yaml", "-o", out, "--json")
    assert code == 0, error
    report = json.loads(said)
    assert report == json.loads((out / "prepared.json").read_text())
    main, warm, flare = report["sources"]
    assert (main["outlier"], main["empty"], main["completed"], main["missing"]) == (1, 2, 3, 0)
    assert warm["correction"] == {"factor": "1.01", "offset": "-0.5", "unit": "°C", "certificate": "JL-2026-0815"}
    assert (warm["outside_range"], flare["kind"], flare["unit"]) == (1, "state", "h")
    rows = table(out / "main.csv")
    assert [row["value"] for row in rows] == [str(1000 * n) for n in range(1, 12)]
    assert rows[4] == {"time": "2026-03-01T04:00:00+08:00", "value": "5000", "unit": "kWh", "quality": "1",
                       "how": "completed"}  # fmt: skip
    kept = table(out / "main.readings.csv")
    assert kept[4] == {"time": "2026-03-01T04:00:00+08:00", "raw": "500", "raw_unit": "MWh", "value": "500000",
                       "unit": "kWh", "quality": "2", "why": "outlier"}  # fmt: skip
    assert (kept[6]["raw"], kept[6]["quality"], kept[6]["why"]) == ("", "4", "no value")
    assert [row["value"] for row in table(out / "温度.csv")][:4] == ["19.7", "20.205", "20.4575", "20.71"]
    assert {row["value"] for row in table(out / "flare.csv")} == {"0.5"}
    code, said, _ = carbonterm("prepare", folder / "recipe.yaml", "-o", folder / "zh", lang="zh")
    assert code == 0 and "预处理后的序列" in said
    code, said, error = carbonterm("fuse", f"{out / 'main.csv'}:1%", "--json")  # what it writes can be fused
    assert code == 0 and len(json.loads(said)["rows"]) == 11, error
    code, _, error = carbonterm("prepare", folder / "recipe.yaml", "-o", out)
    assert code == 2 and "is there already" in error


WRONG = (
    ("every: 1h", "every: 1 day", "is no duration"),
    ("every: 1h", "every: 100ms", "not between 1s and 366 days"),
    ("unit: kWh", "unit: kWX", "unknown unit"),
    ("unit: MWh}", "unit: m3}", "do not measure the same thing"),
    ("main.csv", "nothing.csv", "there is no file nothing.csv"),
    ("name: main", "name: ../main", "cannot be the name of a file"),
    ("name: 温度", "name: main", "'main' is there twice"),
    ("name: 温度", "name: main.readings", "cannot be the name of a file"),
    ("every: 1h", "every: ²h", "is no duration"),
    ("every: 1h", "every: 99999999999999h", "is no duration"),
    ('["-50", "60"]', '["60", "-50"]', "the lowest is above the highest"),
    ('["-50", "60"]', '["60"]', "a range is [lowest, highest]"),
    ('factor: "1.01", offset: "-0.5", certificate: JL-2026-0815', 'factor: "1.01"', "lacks certificate"),
    ('factor: "1.01"', 'factor: "0"', "factor is above 0"),
    ('factor: "1.01"', 'factor: x', "is not a decimal number"),
    ("neighbours: 5", "neighbours: 2", "an integer from 3 to 1000"),
    ("neighbours: 5", "limit: 3", "lacks neighbours"),
    ("method: linear", "method: spline", "is not one of linear, nearest, none"),
    ("kind: state", "kind: state, unit: h", "a state has no 'unit'"),
    (", complete: {longest: 20min}", "", "a state needs complete"),
    ("every: 1h", "every: 1h\nzone: \"8\"", "is not an offset"),
    ("every: 1h", "every: 1h\ncolour: red", "knows no key 'colour'"),
)


@pytest.mark.parametrize("before,after,why", WRONG)
def test_mistakes_in_a_recipe(folder, before, after, why):
    assert before in RECIPE
    (folder / "recipe.yaml").write_text(RECIPE.replace(before, after, 1), encoding="utf-8")
    code, _, error = carbonterm("prepare", folder / "recipe.yaml", "-o", folder / "out")
    assert code in (1, 2) and why in error and "recipe.yaml:" in error
    assert not (folder / "out").exists()


def test_what_cannot_be_prepared(folder):
    code, _, error = carbonterm("prepare", folder / "none.yaml", "-o", folder / "out")
    assert code == 2 and "cannot be read" in error
    for bad, why in (("{", "this is no YAML"), ("", "the file is empty"), ("every: 1h\nsources: []", "no sources")):
        (folder / "recipe.yaml").write_text(bad, encoding="utf-8")
        code, _, error = carbonterm("prepare", folder / "recipe.yaml", "-o", folder / "out")
        assert code == 1 and why in error
    (folder / "recipe.yaml").write_text(RECIPE.replace("every: 1h", "every: 1s"), encoding="utf-8")
    written(folder / "main.csv", [1, 2], 400 * 24 * HOUR)
    code, _, error = carbonterm("prepare", folder / "recipe.yaml", "-o", folder / "out")
    assert code == 2 and "the grid has" in error
    written(folder / "main.csv", ["x"])
    code, _, error = carbonterm("prepare", folder / "recipe.yaml", "-o", folder / "out")
    assert code == 2 and "main.csv:2" in error and not (folder / "out").exists()


@pytest.mark.slow
def test_whatever_a_recipe_is_it_is_done_or_refused(folder):
    dice, codes = random.Random(8), []
    for turn in range(120):
        text = bytearray(RECIPE.encode())
        for _ in range(dice.randrange(1, 4)):
            place = dice.randrange(len(text))
            text[place : place + dice.randrange(3)] = bytes([dice.choice(b"\x00\xff{}[]:,-&*!|09ax \n")])
        (folder / "recipe.yaml").write_bytes(bytes(text))
        codes.append(carbonterm("prepare", folder / "recipe.yaml", "-o", folder / f"out{turn}", "--json")[0])
    assert set(codes) <= {0, 1, 2} and codes.count(0) < 100
    print({code: codes.count(code) for code in set(codes)})


def test_numbers_as_they_are_written():
    for value, wanted in ((Fraction(1, 3), "0.333333333333"), (Fraction(0), "0"), (Fraction(2000, 3), "666.666666667"),
                          (Fraction(-5, 2), "-2.5"), (Fraction(10**14), "100000000000000"), (None, "")):  # fmt: skip
        assert text(value) == wanted
    assert Decimal(text(Fraction(1, 7))) == Decimal("0.142857142857")
