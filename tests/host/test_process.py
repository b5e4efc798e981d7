"""Process emissions (park document, 6.2): the worked examples of docs/process.md, and the terminal's fold."""

import csv
import json
import re
import shlex
from fractions import Fraction
from pathlib import Path

import pytest

from carbonterm import clock
from carbonterm.gm import sm3
from carbonterm.ledger import entry
from carbonterm.number import Number
from carbonterm.pipeline import Replay
from carbonterm.series.closing import Settler
from carbonterm_host import library, site_nodes, site_yaml
from shell import carbonterm

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "process.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^carbonterm (account \S+ (\S+) .*?)\s+# (\S+) tCO2e$", PAGE, re.MULTILINE)
OTHERS = ("combustion", "electricity", "heat", "auxiliary")  # kinds of sources that are no processes
HOUR = 3_600_000
T0 = clock.parse("2026-03-01T00:00:00+08:00")


@pytest.mark.requirement("P-6.2-1")
@pytest.mark.parametrize("line,process,figure", EXAMPLES)
def test_worked_examples(line, process, figure):
    code, said, error = carbonterm(*shlex.split(line), "--json")
    assert code == 0, error
    assert json.loads(said)["tco2e"] == figure, process


@pytest.mark.requirement("P-6.2-1", part="each process of the methods that are there has an example")
def test_each_process_has_an_example():
    for method in ("cn-2015-machinery", "cn-2015-other-industry", "common"):
        processes = {source.id for source in library.method(method).sources if source.kind not in OTHERS}
        shown = {process for line, process, _ in EXAMPLES if f" {method} " in line}
        assert processes == shown, method


@pytest.mark.requirement("P-5.2-2", part="an emission by the hours in which a state is on; on the host")
@pytest.mark.requirement("P-6.2-1", part="a state read irregularly, to hours, to tonnes")
def test_from_a_state_to_an_emission(tmp_path):
    """The flare is on from 00:00 to 20:15, read every 5 to 25 minutes: 20.25 h, the example of the page."""
    minutes = [0, 5, 30, 55, *range(75, 1215, 20), 1215, 1230, 1255, *range(1280, 1441, 20)]
    rows = [f"{clock.text(T0 + m * 60000, 480)},{int(m < 1215)}" for m in minutes]
    (tmp_path / "flare.csv").write_text("time,value\n" + "\n".join(rows) + "\n", encoding="utf-8")
    source = "{name: flare, file: flare.csv, kind: state, complete: {longest: 30min}}"
    (tmp_path / "recipe.yaml").write_text(f"every: 1h\nsources: [{source}]\n", encoding="utf-8")
    code, _, error = carbonterm("prepare", tmp_path / "recipe.yaml", "-o", tmp_path / "out")
    assert code == 0, error
    with (tmp_path / "out" / "flare.csv").open(encoding="utf-8") as file:
        hours = [Fraction(row["value"]) for row in csv.DictReader(file)]
    assert len(hours) == 24 and sum(hours) == Fraction("20.25")
    line = f"account cn-2015-other-industry ch4_destroy FR=1000 H={sum(hours) * 100}e-2 V=50% eta=98% --json"
    assert json.loads(carbonterm(*line.split())[1])["tco2e"] == "-148.8375"


@pytest.mark.requirement("P-6.2-1", part="on the terminal's fold, hour by hour")
def test_the_site_of_the_page():
    """Two hours of the flare, limestone and shielding gas: what is logged is the formula over the hour's increments."""
    plan = site_yaml.compile_file(ROOT / "docs" / "tutorial" / "process" / "site.yaml")
    assert site_nodes.point_map(plan, T0)["ok"]
    raw, fold = plan.canonical(), Replay()
    figures = []

    def put(at, kind, body):
        assert fold.entry(entry.decode(entry.encode(plan.terminal_id, 0, 0, at, 3, kind, body))) is None
        for _, _, kind, body in fold.take():
            if kind == entry.EMISSION and body[0] == clock.HOUR:
                figures.append((body[1], {row[0]: Number(row[3], row[2]) for row in body[3]}))

    put(T0, entry.CONFIG, [sm3.digest(raw), raw])
    for minute in range(0, 121, 5):
        running = min(minute, 75)  # the flare goes out at 01:15
        rows = [[0, 0, 0, -2, 100000 + Fraction(running * 100, 60).__round__()], [1, 0, 0, 0, int(minute < 75)],
                [2, 0, 0, -1, 500], [3, 0, 0, 0, 7000 + 20 * minute], [4, 0, 0, -1, 50 * minute]]  # fmt: skip
        put(T0 + minute * 60000, entry.READINGS, [rows, None])
    merged = {}
    for start, found in figures:
        merged.setdefault(start, {}).update(found)
    assert sorted(merged) == [T0, T0 + HOUR]
    for start, hours, limestone, gas in ((T0, "1", 1200, 300), (T0 + HOUR, "0.25", 1200, 300)):
        methane = Fraction("0.98") * 1000 * Fraction(hours) * Fraction(1, 2) * Fraction(16) / Fraction("22.4") / 1000
        wanted = (
            -methane * 21, Fraction(limestone, 1000) * Fraction("0.95") * Fraction("0.4397"),
            Fraction(gas, 1000) * Fraction(1, 5) * 44 / Fraction("40.76"),
        )  # fmt: skip
        for index, value in enumerate(wanted):
            logged = merged[start][index].ratio()
            assert abs(Fraction(logged.numerator, logged.denominator) - value) <= Fraction(1, 2 * 10**6), (start, index)


@pytest.mark.requirement("P-6.1-6")
def test_a_short_peak_stays_visible():
    """A point read each second: one second of the hour draws forty times as much, and the hour's settlement shows it;
    the mean is the increment divided by the hour's 3600 intervals."""
    settler, register, rows = Settler(480, None, None, 1000, (clock.HOUR,)), 0, []
    steps = [40 if second == 1234 else 1 + second % 2 for second in range(3600)]
    for second in range(3601):
        rows += settler.feed(T0 + second * 1000, Number(register, -3))
        register += steps[second] if second < 3600 else 0
    (hour,) = rows
    assert (hour.max, hour.min) == (Number("0.040"), Number("0.001"))
    mean = hour.increment.ratio() / 3600
    assert Fraction(mean.numerator, mean.denominator) == Fraction(sum(steps), 3600 * 1000)
    site = site_yaml.compile_file(ROOT / "docs" / "tutorial" / "process" / "site.yaml")
    assert [p.interval_ms for p in site.points if p.name == "S1"] == [1000]
