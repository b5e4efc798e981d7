"""`carbonterm fuse`: several sources of one quantity into one series with its uncertainty (park document, 6.5)."""

import csv
import re
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm_host import fusion
from carbonterm_host.screen import JSON, USAGE, Failure, console, put, say
from carbonterm_host.series_csv import name_of, ordered, readings, refuse

DIGITS = 12  # significant digits of what is written
_EVERY = re.compile(r"([1-9][0-9]{0,6})(s|min|h|d)")
_MS = {"s": 1000, "min": 60000, "h": 3600000, "d": 86400000}


class Method(StrEnum):
    weighted = "weighted"
    kalman = "kalman"
    model = "model"


def main(
    sources: list[str] = typer.Argument(
        ..., metavar="FILE.csv:U…", help="U: standard uncertainty of its values, 0.5 or 1.2% · 标准不确定度"
    ),
    every: str = typer.Option("1h", help="grid of the result, e.g. 15min · 时间网格"),
    method: Method = typer.Option(Method.weighted, help="weighted mean, Kalman filter, model fusion · 融合方法"),
    drift: str = typer.Option("", help="kalman: standard deviation of the change in an hour · 每小时漂移标准差"),
    model: list[str] = typer.Option([], help="model: the files that are a model's values · 模型结果文件"),
    zone: str = typer.Option("+08:00", help="offset in which times are written · 时区"),
    output: Path | None = typer.Option(None, "-o", "--output", help="write the series as CSV · 输出 CSV"),
    json: bool = JSON,
):
    """Fuse measurements of one quantity by their uncertainties · 多源数据融合

    Files have the columns time,value and the same unit. docs/fusion.md says what each method does and does not.
    """
    every_ms, minutes = _every(every), clock.parse_zone(zone)
    parts = _sources(sources)
    try:
        reach = max(fusion.spacing_ms(source.rows) for source in parts)
        table = fusion.aligned(parts, every_ms, max(reach, every_ms))
    except ValueError as error:
        raise Failure(USAGE, str(error), "state an absolute uncertainty, e.g. FILE.csv:0.05") from None
    if method == Method.kalman:
        rows = fusion.filtered(table, _positive(drift, "--drift", "how far the quantity may wander in an hour"))
    elif method == Method.model:
        unknown = [name for name in model if name not in [source.name for source in parts]]
        if unknown or not model:
            named = f"--model {unknown[0]} is no source" if unknown else "--model is missing"
            raise Failure(USAGE, named, "name the files whose values a model computed")
        rows = fusion.combined(table, model)
    else:
        rows = fusion.weighted(table)
    if not rows:
        raise Failure(USAGE, "the sources have no time in common on this grid", "choose a coarser --every")
    view = [_view(row, minutes) for row in rows]
    if output:
        _write(output, view, [source.name for source in parts])
    wrong = [row["time"] for row in view if row["contradiction"]]
    if json:
        put({"method": method.value, "every_ms": every_ms, "sources": [source.name for source in parts],
             "rows": view, "contradictions": len(wrong)})  # fmt: skip
        return None
    _show(view, method, wrong, output)
    return None


def _every(text):
    found = _EVERY.fullmatch(text)
    if not found:
        raise Failure(USAGE, f"--every {text} is no duration", "write it like 30s, 15min, 1h or 1d")
    return int(found[1]) * _MS[found[2]]


def _positive(text, what, meaning):
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0:
        raise Failure(USAGE, f"{what} must be a number above 0, not '{text}'", meaning)
    return value


def _sources(texts):
    found, mistakes = [], []
    for text in texts:
        file, colon, stated = text.rpartition(":")
        if not colon:
            raise Failure(USAGE, f"{text} states no uncertainty", f"write it like {text}:0.5 or {text}:1.2%")
        relative = stated.endswith("%")
        value = _positive(stated.removesuffix("%"), f"the uncertainty of {file}", "write it like 0.5 or 1.2%")
        if file in [source.name for source in found]:
            raise Failure(USAGE, f"{file} is named twice", "a source counts once")
        rows, _ = ordered(file, readings(file, mistakes))
        rows = [(row[1], Decimal(str(row[2]))) for row in rows if row[2] is not None]
        found.append(fusion.Source(file, rows, None if relative else value, value / 100 if relative else None))
    refuse(mistakes)
    return found


def _view(row, zone):
    return {
        "time": clock.text(row.time_ms, zone), "value": _short(row.value), "uncertainty": _short(row.uncertainty),
        "weights": {name: _short(weight, 4) for name, weight in row.weights.items()},
        "contradiction": row.contradiction, "predicted": row.predicted,
    }  # fmt: skip


def _short(value, digits=DIGITS):
    """A decimal text of so many significant digits at most, without an exponent."""
    if value == 0:
        return "0"
    rounded = value.quantize(Decimal(1).scaleb(value.adjusted() - digits + 1))
    text = format(rounded, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _write(path, view, names):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "value", "uncertainty", "contradiction", "predicted", *(f"weight {n}" for n in names)])
        for row in view:
            weights = [row["weights"].get(name, "0") for name in names]
            writer.writerow([row["time"], row["value"], row["uncertainty"], int(row["contradiction"]),
                             int(row["predicted"]), *weights])  # fmt: skip


def _show(view, method, wrong, output):
    screen = console()
    table = Table(title=say(f"Fused series ({method.value})", f"融合序列（{method.value}）"), title_justify="left")
    for heading, side in ((say("time", "时间"), "left"), (say("value", "值"), "right"),
                          (say("standard uncertainty", "标准不确定度"), "right")):  # fmt: skip
        table.add_column(heading, justify=side)
    for row in view[:24]:
        mark = " !" if row["contradiction"] else " ~" if row["predicted"] else ""
        table.add_row(row["time"], row["value"] + mark, _short(Decimal(row["uncertainty"]), 3))
    screen.print(table)
    if len(view) > 24:
        screen.print(say(f"… {len(view)} rows in all", f"……共 {len(view)} 行"))
    if wrong:
        text = say(f"! at {len(wrong)} times the sources differ by more than their uncertainties allow: check them",
                   f"! {len(wrong)} 个时刻各来源之差超出其不确定度，请核查")  # fmt: skip
        screen.print(text)
    if output:
        screen.print(say(f"written to {name_of(str(output))}", f"已写入 {output}"))
