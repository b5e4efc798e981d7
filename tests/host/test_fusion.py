"""Fusion of several sources: by hand, against the truth, and what is refused (park document, 6.5)."""

import csv
import json
import random
from decimal import Decimal

import pytest

from carbonterm import clock
from carbonterm_host import fusion
from shell import carbonterm

HOUR = 3600000
START = clock.parse("2026-03-01T00:00:00+08:00")


def series(values, every=HOUR, start=START):
    return [(start + i * every, Decimal(str(value))) for i, value in enumerate(values)]


def rmse(rows, truth):
    return (sum((float(row.value) - truth[row.time_ms]) ** 2 for row in rows) / len(rows)) ** 0.5


@pytest.mark.requirement("P-6.5-3")
def test_a_weighted_mean_by_hand():
    """10 ± 1 and 13 ± 2: weights 0.8 and 0.2, 10.6 ± 0.894; they agree within their uncertainties (Birge 1.34)."""
    table = fusion.aligned(
        [fusion.Source("a", series([10]), Decimal(1)), fusion.Source("b", series([13]), Decimal(2))], HOUR, HOUR
    )
    (row,) = fusion.weighted(table)
    assert row.value == Decimal("10.6") and row.weights == {"a": Decimal("0.8"), "b": Decimal("0.2")}
    birge = ((Decimal("0.6") ** 2) + (Decimal("2.4") / 2) ** 2).sqrt()
    assert abs(row.uncertainty - Decimal("0.8").sqrt() * birge) < Decimal("1e-20") and not row.contradiction
    apart = fusion.aligned(
        [fusion.Source("a", series([10]), Decimal(1)), fusion.Source("b", series([20]), Decimal(1))], HOUR, HOUR
    )
    (row,) = fusion.weighted(apart)
    assert row.contradiction and row.value == 15 and row.uncertainty > 4


@pytest.mark.slow
@pytest.mark.requirement("P-6.5-1")
@pytest.mark.requirement("P-6.5-2")
def test_the_fused_series_is_nearer_to_the_truth_than_the_best_source():
    """A stack's mass flow, a meter and a model of it, each with its own noise: twenty seeds, never worse."""
    for seed in range(20):
        dice = random.Random(seed)
        truth, value = {}, 100.0
        for i in range(500):
            value += dice.gauss(0, 0.5)
            truth[START + i * HOUR] = value
        sources = [
            fusion.Source(name, [(t, Decimal(repr(v + dice.gauss(0, u)))) for t, v in truth.items()], Decimal(str(u)))
            for name, u in (("cems", 2.0), ("meter", 1.5), ("model", 3.0))
        ]
        table = fusion.aligned(sources, HOUR, HOUR)
        best = min(rmse(fusion.weighted(fusion.aligned([source], HOUR, HOUR)), truth) for source in sources)
        mean = rmse(fusion.weighted(table), truth)
        kalman = rmse(fusion.filtered(table, Decimal("0.5")), truth)
        assert kalman < mean < best, seed
    rows = fusion.filtered(table, Decimal("0.5"))
    inside = sum(abs(float(row.value) - truth[row.time_ms]) < 2 * float(row.uncertainty) for row in rows)
    assert inside > 0.9 * len(rows)  # the stated uncertainty is the real one


@pytest.mark.requirement("P-6.5-6")
def test_times_are_brought_together_first():
    """Values at 5 past and 20 to each hour meet on the full hour; nothing is made up beyond a source's own values."""
    a = fusion.Source("a", series([0, 12, 24], start=START + 300000), Decimal(1))
    b = fusion.Source("b", series([0, 12, 24], start=START - 1200000), Decimal(1))
    table = dict(fusion.aligned([a, b], HOUR, HOUR))
    assert [(s.name, v) for s, v, _ in table[START]] == [("b", Decimal(4))]
    assert [(s.name, v) for s, v, _ in table[START + HOUR]] == [("a", Decimal(11)), ("b", Decimal(16))]
    holes = fusion.Source("h", [(START, Decimal(1)), (START + 9 * HOUR, Decimal(2))], Decimal(1))
    assert [len(there) for _, there in fusion.aligned([holes], HOUR, 2 * HOUR)] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_a_filter_bridges_a_gap_and_says_how_unsure_it_is():
    source = fusion.Source("a", [*series([10, 10]), *series([10], start=START + 6 * HOUR)], Decimal(1))
    rows = fusion.filtered(fusion.aligned([source], HOUR, HOUR), Decimal("0.5"))
    unsure = [row.uncertainty for row in rows]
    assert [row.predicted for row in rows] == [False, False, True, True, True, True, False]
    assert unsure[1] < unsure[2] < unsure[3] < unsure[4] < unsure[5] > unsure[6]


@pytest.fixture
def files(tmp_path):
    for name, shift in (("meter", 0), ("model", 1)):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8") as file:
            file.write("time,value\n")
            for i in range(48):
                file.write(f"{clock.text(START + i * HOUR, 480)},{100 + i + shift}\n")
    return tmp_path


@pytest.mark.requirement("P-5.3-5", part="a fused series names its inputs and weights; no indicator takes it by itself")
@pytest.mark.requirement("P-6.5-4")
def test_the_command(files):
    meter, model, out = files / "meter.csv", files / "model.csv", files / "out.csv"
    arguments = ["fuse", f"{meter}:1%", f"{model}:2", "--method", "model", "--model", str(model), "-o", str(out)]
    code, said, _ = carbonterm(*arguments, "--json")
    view = json.loads(said)
    assert code == 0 and len(view["rows"]) == 48 and view["contradictions"] == 0
    first = view["rows"][0]
    assert first["time"] == "2026-03-01T00:00:00+08:00" and Decimal(first["weights"][str(meter)]) == Decimal("0.8")
    assert first["value"] == "100.2"
    with out.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48 and rows[0]["value"] == "100.2" and rows[0][f"weight {model}"] == "0.2"
    code, said, _ = carbonterm("--lang", "zh", *arguments)
    assert code == 0 and "融合序列" in said and "100.2" in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    (
        (["meter.csv"], "states no uncertainty"),
        (["meter.csv:x"], "must be a number above 0"),
        (["meter.csv:0"], "must be a number above 0"),
        (["meter.csv:1", "meter.csv:1"], "is named twice"),
        (["nothing.csv:1"], "No such file"),
        (["meter.csv:1", "--every", "1 hour"], "is no duration"),
        (["meter.csv:1", "--method", "kalman"], "--drift must be a number above 0"),
        (["meter.csv:1", "--method", "model"], "--model is missing"),
        (["meter.csv:1", "--method", "model", "--model", "x"], "is no source"),
        (["meter.csv:1", "--zone", "8"], "is not an offset"),
    ),
)
def test_refusals(files, monkeypatch, arguments, why):
    monkeypatch.chdir(files)
    code, _, error = carbonterm("fuse", *arguments)
    assert code in (1, 2) and why in error


def test_a_relative_uncertainty_of_zero_is_refused(files, monkeypatch):
    monkeypatch.chdir(files)
    (files / "zero.csv").write_text("time,value\n2026-03-01T00:00:00+08:00,0\n", encoding="utf-8")
    code, _, error = carbonterm("fuse", "zero.csv:1%")
    assert code == 2 and "an uncertainty of 0" in error
