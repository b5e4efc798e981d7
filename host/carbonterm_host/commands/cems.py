"""`carbonterm cems FILE.csv`: the mass that a continuous monitor saw, hour to year, and how it compares."""

from enum import StrEnum
from pathlib import Path

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm.accounting import agreement, substitution
from carbonterm.accounting import cems as core
from carbonterm.accounting.uncertainty import root
from carbonterm.errors import AccountingError, CarbonError
from carbonterm.number import Number
from carbonterm_host import cems as files
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say
from carbonterm_host.series_csv import name_of

# expanded uncertainties (k = 2) in per cent that are taken where none is stated, and said so
ASSUMED = {"--u-concentration": "2.5", "--u-flow": "5", "--u-substitute": "30"}
BAND = Number(10)  # per cent: what nearly 60 % of the pilot's power units kept within
_TIERS = (("2.5", 4), ("5", 3), ("7.5", 2), ("10", 1))  # EU 2018/2066 Annex VIII table 1, CO2
STATES_ZH = ("有效", "停运", "缺失", "替代")


class Basis(StrEnum):
    dry = "dry"
    wet = "wet"


class Rule(StrEnum):
    hj75 = "hj75"
    part75 = "part75"
    mrr = "mrr"
    none = "none"


class Gas(StrEnum):
    CO2 = "CO2"
    CH4 = "CH4"
    N2O = "N2O"


class Period(StrEnum):
    hour = "hour"
    day = "day"
    month = "month"
    year = "year"


def main(
    file: str = typer.Argument(..., metavar="FILE.csv", help="time,co2[%],flow[Nm3/h],…; or - · 分钟或小时数据"),
    concentration: Basis = typer.Option(Basis.dry, help="basis of the concentration · 浓度干湿基"),
    flow: Basis = typer.Option(Basis.dry, help="basis of the flow · 流量干湿基"),
    o2_reference: str | None = typer.Option(
        None, metavar="%", help="oxygen to which the concentrations were corrected · 浓度已折算到的基准氧含量"
    ),
    moisture: str | None = typer.Option(None, metavar="%", help="moisture, if there is no column · 含湿量"),
    area: str | None = typer.Option(None, metavar="M2", help="area of the duct, for a velocity · 烟道截面积"),
    gas: Gas | None = typer.Option(None, help="gas, default that of the column's name · 气体"),
    density: str | None = typer.Option(None, metavar="G/NM3", help="of the gas, default M / 22.414 · 气体标态密度"),
    substitute: Rule = typer.Option(Rule.hj75, help="for hours without valid data · 无效小时替代方法"),
    rule: Path | None = typer.Option(None, metavar="FILE.json", help="a rule of your own · 自定义替代规则"),
    max_concentration: str | None = typer.Option(None, help="maximum potential value · 最大可能浓度"),
    max_flow: str | None = typer.Option(None, help="maximum potential value · 最大可能流量"),
    accounted: str | None = typer.Option(None, metavar="TONNES", help="the accounted figure · 核算法结果"),
    accounted_u: str | None = typer.Option(None, metavar="PERCENT", help="its U, k = 2 · 扩展不确定度"),
    u_concentration: str | None = typer.Option(None, metavar="PERCENT", help="U of the analyser, k = 2 · 浓度不确定度"),
    u_flow: str | None = typer.Option(None, metavar="PERCENT", help="U of the flow, k = 2 · 流量不确定度"),
    u_substitute: str | None = typer.Option(None, metavar="PERCENT", help="U of what is substituted · 替代值不确定度"),
    zone: str = typer.Option("+08:00", help="offset in which days begin · 时区"),
    period: Period = typer.Option(Period.day, help="what the table on the screen shows · 屏幕显示周期"),
    json: bool = JSON,
):
    """Mass of CO2 from concentration and flow of a stack, hour to year · 烟气在线监测 CO2 排放量

    A check value (校核值) beside the accounted figure. docs/cems.md says formulas, validity and substitution.
    Exit code 1 where hours stay without data or the accounted figure does not agree.
    """
    stated = (u_concentration, u_flow, u_substitute)
    try:
        minutes = clock.parse_zone(zone)
        chosen = files.rule(substitute.value, rule)
        known = {} if moisture is None else {"moisture": Number(moisture)}

        def setup(units, named):
            if gas is not None and named not in (None, "CONCENTRATION", gas.value):
                raise AccountingError(f"--gas {gas.value}, and a column {named.lower()}", "correct one of them")
            name = gas.value if gas is not None else named if named in list(Gas) else "CO2"
            return core.Setup(units, name, concentration.value, flow.value, o2_reference, area, density)

        rows = files.read(file, setup, known)
        hours = core.hours(rows.rows, rows.interval_ms, chosen["valid"], minutes)
        left = substitution.fill(hours, chosen, _potential(rows.setup, max_concentration, max_flow), minutes)
        total = core.totals(hours, None)[0]
        parts = [_percent(text, name) for name, text in zip(ASSUMED, stated, strict=True)]
        uncertainty = _uncertainty(total, parts)
        compared = _compared(total, uncertainty, accounted, accounted_u)
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from error
    view = _view(file, rows, chosen, hours, total, uncertainty, minutes)
    view["uncertainty"]["assumed"] = [name for name, text in zip(ASSUMED, stated, strict=True) if text is None]
    view["comparison"] = compared
    if json:
        put(view)
    else:
        _show(view, period.value, file)
    disagrees = compared is not None and compared["agrees"] is False
    return FINDING if left or disagrees else OK


def _potential(setup, concentration, flow):
    found = {}
    if concentration is not None:
        found["c"] = setup.limit("concentration", concentration)
    if flow is not None:
        found["q"] = setup.limit("flow", flow)
    return found


def _percent(text, what):
    """Per cent of a text like 2.5 or 2.5%; what is assumed where None."""
    if text is None:
        return Number(ASSUMED[what])
    number = Number(text.strip().removesuffix("%").strip())
    if number < 0:
        raise AccountingError(f"{what} is {text}", "an uncertainty is never below 0")
    return number


def _uncertainty(total, parts):
    """Expanded uncertainty (k = 2) of the total in t: what is systematic in analyser and flow has the same sign in all
    hours, so it does not average out; what was substituted has its own beside it."""
    mass, filled = Number(total.mass, -6), Number(total.filled, -6)
    c, q, s = parts
    return root((mass * mass * (c * c + q * q) + filled * filled * s * s) / 10000, 6)


def _compared(total, uncertainty, accounted, accounted_u):
    if accounted is None:
        if accounted_u is not None:
            raise AccountingError("--accounted-u without --accounted", "give the accounted tonnes")
        return None
    monitored, reference = Number(total.mass, -6), Number(accounted)
    if reference < 0:
        raise AccountingError(f"--accounted is {accounted}", "tonnes of the same time and boundary, 0 or above")
    relative, symmetric = agreement.relative_error(monitored, reference)
    found = {
        "accounted": str(reference), "monitored": str(monitored), "difference": str(monitored - reference),
        "relative_percent": None if relative is None else str(relative.round(2)),
        "symmetric_percent": None if symmetric is None else str(symmetric.round(2)),
        "within_10_percent": None if relative is None else bool(abs(relative) <= BAND),
        "monitored_U": str(uncertainty), "accounted_U": None, "k": "2", "En": None, "agrees": None,
        "label": "check value", "label_zh": "校核值",
    }  # fmt: skip
    if accounted_u is not None:
        reference_u = (reference * _percent(accounted_u, "--accounted-u") / 100).round(6)
        error = agreement.normalised_error(monitored, uncertainty, reference, reference_u)
        found["accounted_U"] = str(reference_u)
        found["En"] = None if error is None else str(error.round(2))
        found["agrees"] = bool(monitored == reference) if error is None else bool(abs(error) <= 1)
    found["causes"] = _causes(total, relative, found["agrees"])
    return found


def _causes(total, relative, agrees):
    """What usually stands behind a difference, the likeliest first; nothing where the figures agree."""
    if agrees or (agrees is None and (relative is None or abs(relative) <= BAND)):
        return []
    causes = []
    running = total.counts[core.VALID] + total.counts[core.MISSING] + total.counts[core.FILLED]
    if total.counts[core.MISSING]:
        causes.append(say("hours without data count as 0", "缺失小时按 0 计"))
    if total.counts[core.FILLED] * 20 > running:
        causes.append(say("more than 5 % of the hours are substituted", "替代小时超过 5 %"))
    causes.append(say("flow: velocity coefficient, area, swirl", "流量：速度场系数、截面积、旋流"))
    causes.append(say("carbon content or default values of the fuel", "燃料元素碳含量或缺省值"))
    if relative is not None and relative > 0:
        causes.append(say("biomass or waste that is burned too, carbonates of the flue gas cleaning",
                          "掺烧生物质、固废，脱硫碳酸盐"))  # fmt: skip
    return causes


def tier(percent):
    """The tier of EU 2018/2066 that an uncertainty in per cent attains, 0 for none."""
    for limit, number in _TIERS:
        if percent <= Number(limit):
            return number
    return 0


def _view(file, rows, rule, hours, total, uncertainty, zone):
    setup = rows.setup
    days, months, years = (core.totals(hours, period, zone) for period in (clock.DAY, clock.MONTH, clock.YEAR))
    percent = None if total.mass == 0 else (uncertainty * 100 / Number(total.mass, -6)).round(2)
    return {
        "file": name_of(file), "gas": setup.gas, "rows": rows.count,
        "interval_s": str(Number(rows.interval_ms, -3).normal()),
        "basis": {"concentration": setup.concentration, "flow": setup.flow, "masses": setup.flow},
        "density_g_per_Nm3": str(setup.density.round(3)), "standard_state": "273.15 K, 101.325 kPa",
        "o2_reference": None if setup.o2_reference is None else str(setup.o2_reference),
        "rule": {key: rule[key] for key in ("name_zh", "name_en", "source", "basis", "confidence", "valid")},
        "total": _total(total, None, zone),
        "uncertainty": {"U": str(uncertainty), "k": "2", "percent": None if percent is None else str(percent),
                        "mrr_tier": None if percent is None else tier(percent)},
        "hours": [_hour(hour, zone) for hour in hours],
        "days": [_total(one, 10, zone) | {"valid_day": core.valid_day(one)} for one in days],
        "months": [_total(one, 7, zone) | {"valid_month": core.valid_month(one, days, zone)} for one in months],
        "years": [_total(one, 4, zone) for one in years],
    }  # fmt: skip


def _total(total, size, zone):
    times = [clock.text(total.start_ms, zone), clock.text(total.end_ms, zone)]
    counts = dict(zip(core.STATES, total.counts, strict=True))
    tonnes, filled = str(Number(total.mass, -6)), str(Number(total.filled, -6))
    return {"period": times[0][:size] if size else None, "start": times[0], "end": times[1], "tonnes": tonnes,
            "substituted_tonnes": filled, **counts}  # fmt: skip


def _hour(hour, zone):
    run = Number(hour.run[0]) / Number(hour.run[1])
    return {
        "start": clock.text(hour.start_ms, zone), "state": core.STATES[hour.state],
        "concentration_g_per_Nm3": None if hour.c is None else str(Number(hour.c, -6)),
        "flow_Nm3_per_h": None if hour.q is None else str(Number(hour.q, -6)),
        "running": str(run.round(4).normal()), "tonnes": None if hour.mass is None else str(Number(hour.mass, -6)),
        "how": hour.how,
    }  # fmt: skip


# --- for people ------------------------------------------------------------------------------------------------------


def _show(view, period, file):
    screen = console()
    rule = view["rule"][say("name_en", "name_zh")]
    screen.print(f"[bold]{view['gas']} {say('by CEMS', '在线监测')}[/] · {name_of(file)} · {rule}")
    mark = "⚠ " if view["rule"]["basis"] == "memory" else ""
    screen.print(f"{mark}{view['rule']['basis']}/{view['rule']['confidence']} {view['rule']['source']}", soft_wrap=True)
    (_hours if period == "hour" else _periods)(screen, view, period)
    total = view["total"]
    text = f"[bold]{total['tonnes']} t {view['gas']}[/]"
    if view["uncertainty"]["percent"]:
        text += f" ± {view['uncertainty']['percent']} % (k = 2), MRR tier {view['uncertainty']['mrr_tier'] or '—'}"
    screen.print(text)
    if view["uncertainty"]["assumed"]:
        assumed = ", ".join(f"{name} {ASSUMED[name]}" for name in view["uncertainty"]["assumed"])
        screen.print(say("assumed, state your own: ", "以下为假定值，请给出实际值：") + assumed, soft_wrap=True)
    if total["missing"]:
        screen.print(say(f"{total['missing']} hours have no data and are in no total: --substitute, or more data",
                         f"{total['missing']} 个小时没有数据，未计入合计：请选择替代方法或补充数据"))  # fmt: skip
    if view["comparison"]:
        _show_comparison(screen, view["comparison"])


def _periods(screen, view, period):
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(say("period", "周期"), no_wrap=True)
    for heading in (say("tonnes", "吨"), say("substituted t", "其中替代")):
        table.add_column(heading, justify="right")
    for i in range(len(core.STATES)):
        table.add_column(say(core.STATES[i], STATES_ZH[i]) + " h", justify="right")
    for row in view[period + "s"]:
        counts = [str(row[state]) for state in core.STATES]
        mark = " !" if row.get("valid_day", row.get("valid_month")) is False else ""
        table.add_row(row["period"] + mark, row["tonnes"], row["substituted_tonnes"], *counts)
    screen.print(table)
    if period in ("day", "month"):
        screen.print(say("! not a valid day (20 h) or month (25 d)", "! 非有效日（20 h）或有效月（25 d）"))


def _hours(screen, view, period):
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in (say("hour", "小时"), "g/Nm3", "Nm3/h", "t", say("state", "状态"), say("from", "依据")):
        table.add_column(heading)
    for row in view["hours"]:
        state = say(row["state"], STATES_ZH[core.STATES.index(row["state"])])
        cells = [row["concentration_g_per_Nm3"], row["flow_Nm3_per_h"], row["tonnes"]]
        table.add_row(row["start"][:16].replace("T", " "), *[cell or "—" for cell in cells], state, row["how"])
    screen.print(table)


def _show_comparison(screen, found):
    label = say("check value beside the accounted figure, which stays the reported one", "校核值；报告仍以核算结果为准")
    text = f"{say('accounted', '核算')} {found['accounted']} t, {say('difference', '差')} {found['difference']} t"
    if found["relative_percent"] is not None:
        band = say("within", "在") if found["within_10_percent"] else say("outside", "超出")
        text += f" ({found['relative_percent']} %, {band} ±10 %)"
    if found["En"] is not None:
        verdict = say("they agree", "一致") if found["agrees"] else say("they do not agree", "不一致")
        text += f", E_n = {found['En']}: {verdict}"
    screen.print(text)
    screen.print(f"({label})")
    for cause in found["causes"]:
        screen.print(f"  {say('look at', '请核查')}: {cause}")
