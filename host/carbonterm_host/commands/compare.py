"""`carbonterm compare FILE.csv`: monitored against accounted emissions of many units and periods."""

import typer
from rich.table import Table

from carbonterm.accounting import agreement
from carbonterm.accounting.uncertainty import repeated, root
from carbonterm.errors import AccountingError, CarbonError
from carbonterm.number import Number, Ratio
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say
from carbonterm_host.series_csv import Line, lines, name_of, refuse

NEEDED = ("unit", "monitored", "accounted")
OPTIONAL = ("period", "monitored_u", "accounted_u")


def main(
    file: str = typer.Argument(..., metavar="FILE.csv", help="unit,period,monitored,accounted,…; or - · 监测与核算值"),
    band: str = typer.Option("10", metavar="PERCENT", help="relative error that is taken as agreement · 相对误差界限"),
    json: bool = JSON,
):
    """Compare monitored with accounted emissions, unit by unit and period by period · 监测法与核算法比对

    Relative error (E_mon - E_acc)/E_acc and the form that treats both alike; E_n where both expanded uncertainties
    (in per cent, k = 2) are given. The accounted figure stays the reported one. Exit code 1 where some do not agree.
    """
    try:
        limit = Number(band.removesuffix("%"))
        if not limit > 0:
            raise AccountingError(f"--band is {band}", "per cent above 0")
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from error
    rows = [_row(one, limit) for one in _read(file)]
    view = {"band_percent": str(limit), "rows": rows, "units": _units(rows), **_summary(rows)}
    if json:
        put(view)
    else:
        _show(view)
    return FINDING if view["outside"] or view["disagreeing"] else OK


def _read(file):
    mistakes, found, names = [], [], None
    for line, cells in lines(file, mistakes):
        if names is None:
            names = [cell.lower() for cell in cells]
            missing = [name for name in NEEDED if name not in names]
            if missing or not set(names) <= {*NEEDED, *OPTIONAL} or len(set(names)) < len(names):
                hint = f"columns {', '.join(NEEDED)}; optional {', '.join(OPTIONAL)}; each once"
                raise Failure(USAGE, f"{name_of(file)}:{line}: the header is {','.join(cells)}", hint)
            continue
        with Line(file, line, mistakes):
            found.append(_values(dict(zip(names, cells, strict=False))))
    refuse(mistakes)
    if not found:
        raise Failure(USAGE, say(f"{name_of(file)} has no rows", f"{name_of(file)} 中没有数据"))
    return found


def _values(cells):
    found = {"unit": cells["unit"], "period": cells.get("period", "")}
    for name in ("monitored", "accounted", "monitored_u", "accounted_u"):
        text = cells.get(name, "").removesuffix("%") if name.endswith("_u") else cells.get(name, "")
        found[name] = None if name.endswith("_u") and not text else Number(text)
        if found[name] is not None and found[name] < 0:
            raise AccountingError(f"{name} is {text}", "emissions and uncertainties are 0 or above")
    return found


def _row(one, limit):
    monitored, accounted = one["monitored"], one["accounted"]
    relative, symmetric = agreement.relative_error(monitored, accounted)
    error = None
    if one["monitored_u"] is not None and one["accounted_u"] is not None:
        widths = monitored * one["monitored_u"] / 100, accounted * one["accounted_u"] / 100
        error = agreement.normalised_error(monitored, widths[0], accounted, widths[1])
    return {
        "unit": one["unit"], "period": one["period"], "monitored": str(monitored), "accounted": str(accounted),
        "relative_percent": None if relative is None else str(relative.round(2)),
        "symmetric_percent": None if symmetric is None else str(symmetric.round(2)),
        "within": None if relative is None else bool(abs(relative) <= limit),
        "En": None if error is None else str(error.round(2)),
        "agrees": None if error is None else bool(abs(error) <= 1),
    }  # fmt: skip


def _units(rows):
    """Each unit over all its periods."""
    sums = {}
    for row in rows:
        before = sums.get(row["unit"], (Number(0), Number(0)))
        sums[row["unit"]] = before[0] + Number(row["monitored"]), before[1] + Number(row["accounted"])
    found = []
    for unit, (monitored, accounted) in sums.items():
        relative, _ = agreement.relative_error(monitored, accounted)
        found.append({"unit": unit, "monitored": str(monitored), "accounted": str(accounted),
                      "relative_percent": None if relative is None else str(relative.round(2))})  # fmt: skip
    return found


def _summary(rows):
    """Share within the band, mean and standard deviation of the relative errors, who is outside, who disagrees."""
    judged = [row for row in rows if row["within"] is not None]
    errors = [Number(row["relative_percent"]) for row in judged]
    found = {
        "count": len(rows), "judged": len(judged), "within_percent": None, "mean_percent": None, "s_percent": None,
        "outside": [_name(row) for row in judged if not row["within"]],
        "disagreeing": [_name(row) for row in rows if row["agrees"] is False],
        "unjudged": [_name(row) for row in rows if row["within"] is None],
    }  # fmt: skip
    if judged:
        inside = len([row for row in judged if row["within"]])
        found["within_percent"] = str(Ratio(inside * 100, len(judged)).round(1))
        found["mean_percent"] = str(errors[0].round(2))
    if len(judged) > 1:
        mean, variance = repeated(errors)
        found["mean_percent"], found["s_percent"] = str(mean.round(2)), str(root(variance, 4))
    return found


def _name(row):
    return f"{row['unit']} {row['period']}".strip()


def _show(view):
    screen = console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    headings = (say("unit", "单元"), say("period", "周期"), say("monitored", "监测"), say("accounted", "核算"),
                "%", "E_n")  # fmt: skip
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place < 2 else "right")
    for row in view["rows"]:
        mark = "" if row["within"] in (True, None) and row["agrees"] in (True, None) else " !"
        table.add_row(row["unit"], row["period"], row["monitored"], row["accounted"],
                      (row["relative_percent"] or "—") + mark, row["En"] or "—")  # fmt: skip
    screen.print(table)
    if view["judged"]:
        spread = f", s = {view['s_percent']} %" if view["s_percent"] else ""
        screen.print(
            f"{view['within_percent']} % {say('within', '在')} ±{view['band_percent']} %"
            f"{say('', ' 以内')}; {say('mean', '平均')} {view['mean_percent']} %{spread}"
        )
    for key, text in (("outside", say("outside the band", "超出界限")), ("disagreeing", say("|E_n| > 1", "|E_n| > 1")),
                      ("unjudged", say("accounted is 0", "核算值为 0"))):  # fmt: skip
        if view[key]:
            screen.print(f"{text}: {', '.join(view[key])}", soft_wrap=True)
    screen.print(say("check values; the accounted figures stay the reported ones", "校核值；报告仍以核算结果为准"))
