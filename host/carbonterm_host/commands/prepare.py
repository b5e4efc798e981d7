"""`carbonterm prepare`: raw series into comparable ones by a recipe, each value flagged, the raw kept (park 6.4)."""

import csv
import json as _json
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from pathlib import Path

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm.gm import sm3
from carbonterm_host import preparing, preparing_recipe
from carbonterm_host.screen import JSON, USAGE, Failure, console, put, say
from carbonterm_host.series_csv import ordered, readings, refuse

MOST_ROWS = 2_000_000
_CONTEXT = Context(prec=12, rounding=ROUND_HALF_EVEN)  # significant digits of what is written


def main(
    recipe: Path = typer.Argument(..., metavar="RECIPE.yaml", help="series and parameters of each step · 配方"),
    output: Path = typer.Option(..., "-o", "--output", metavar="FOLDER", help="a new folder · 新建输出文件夹"),
    json: bool = JSON,
):
    """Unit, correction, outliers, gaps and one grid of times, for analysis beside the log · 数据预处理

    For each source FOLDER has NAME.csv (the grid, each value with its quality and how it came about) and
    NAME.readings.csv (every reading as it was, and what became of it). docs/preprocessing.md says the rules.
    """
    try:
        plan = preparing_recipe.read(recipe)
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{recipe} cannot be read: {error}", "name a recipe") from None
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise Failure(USAGE, f"{output} is there already", "name a new folder: nothing is written over")
    series = _series(plan.sources)
    grid = preparing.moments(series, plan.every_ms)
    if not 0 < len(grid) * len(series) <= MOST_ROWS:
        what = f"the grid has {len(grid)} times for {len(series)} series"
        raise Failure(USAGE, what, f"choose another 'every': at most {MOST_ROWS} values, and one at least")
    output.mkdir(parents=True, exist_ok=True)
    said = []
    for source, rows in zip(plan.sources, series, strict=True):
        source.prepare(rows)
        values = source.on(grid, rows)
        _write(output / f"{source.name}.csv", ("time", "value", "unit", "quality", "how"), (
            (clock.text(at, plan.zone), text(value), source.wanted, quality, how) for at, value, quality, how in values
        ))  # fmt: skip
        _write(output / f"{source.name}.readings.csv", ("time", "raw", "raw_unit", "value", "unit", "quality", "why"), (
            (clock.text(one.time_ms, plan.zone), text(one.raw), source.unit, text(one.value), source.wanted,
             one.quality, one.why) for one in rows
        ))  # fmt: skip
        said.append(_told(source, rows, values))
    report = {"recipe": sm3.digest(recipe.read_bytes()).hex(), "every_ms": plan.every_ms, "sources": said}
    (output / "prepared.json").write_text(_json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if json:
        put(report)
        return None
    _show(report, output)
    return None


def text(value):
    """A Fraction as decimal text of at most 12 significant digits, "" for None."""
    if value is None:
        return ""
    if not value:
        return "0"
    found = format(_CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator)), "f")
    return found.rstrip("0").rstrip(".") if "." in found else found


def _series(sources):
    """The readings of each source, in order of time; Failure with all mistakes of the files."""
    found, mistakes = [], []
    for source in sources:
        rows = readings(str(source.path), mistakes)
        if not mistakes:
            rows, _ = ordered(str(source.path), rows)
        found.append(rows)
    refuse(mistakes)
    return [[preparing.Reading(row[1], _fraction(row[2])) for row in rows] for rows in found]


def _fraction(number):
    return None if number is None else Fraction(number.ratio().numerator, number.ratio().denominator)


def _write(path, header, rows):
    with path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _told(source, rows, values):
    """What was done to a source, in numbers, with the parameters it was done by."""
    whys = [one.why for one in rows]
    hows = [row[3] for row in values]
    correction = source.correction and {
        "factor": text(source.correction[0]), "offset": text(source.correction[1]), "unit": source.unit,
        "certificate": source.correction[2],
    }  # fmt: skip
    return {
        "name": source.name, "kind": source.kind, "file": sm3.digest(source.path.read_bytes()).hex(),
        "raw_unit": source.unit, "unit": source.wanted, "correction": correction,
        "range": [None if end is None else text(end) for end in source.range],
        "outliers": source.outliers
        and {"neighbours": source.outliers[0], "limit": text(source.outliers[1]), "least": text(source.outliers[2])},
        "complete": {"method": source.method, "longest_ms": source.longest_ms},
        "readings": len(rows), "empty": whys.count("no value"), "outside_range": whys.count("outside the range"),
        "outlier": whys.count("outlier"), "times": len(values), "measured": hows.count(preparing.MEASURED),
        "between": hows.count(preparing.BETWEEN), "completed": hows.count(preparing.COMPLETED),
        "missing": hows.count(preparing.MISSING),
    }  # fmt: skip


def _show(report, output):
    screen = console()
    table = Table(title=say("Prepared series", "预处理后的序列"), title_justify="left")
    columns = (
        ("name", say("source", "来源")), ("unit", say("unit", "单位")), ("readings", say("readings", "读数")),
        ("outside_range", say("range", "超范围")), ("outlier", say("outlier", "异常")), ("times", say("times", "时刻")),
        ("measured", say("measured", "实测")), ("between", say("between", "插值")),
        ("completed", say("completed", "补全")), ("missing", say("missing", "缺失")),
    )  # fmt: skip
    for key, heading in columns:
        table.add_column(heading, justify="left" if key in ("name", "unit") else "right")
    for row in report["sources"]:
        table.add_row(*(str(row[key]) for key, _ in columns))
    screen.print(table)
    screen.print(say(f"written to {output}", f"已写入 {output}"))
