"""`carbonterm uncertainty FILE`: how sure a total is, by the GUM, IPCC approach 1 and Monte Carlo, and three checks."""

from pathlib import Path

import typer
from rich.table import Table

from carbonterm.errors import AccountingError, CarbonError
from carbonterm_host import inventories, uncertain, uncertain_log, uncertainty_file
from carbonterm_host.budget_table import show_budget
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say


def main(
    file: Path = typer.Argument(..., metavar="FILE.yaml|FILE.bundle|DATA", help="formulas, or a log · 输入文件或日志"),
    simulate: bool = typer.Option(True, "--monte-carlo/--no-monte-carlo", help="simulate as well · 蒙特卡洛法"),
    seed: int | None = typer.Option(None, min=0, help="of the simulation, default 1 · 随机种子"),
    period: str | None = typer.Option(None, help="of a log: 2026, 2026-05; default its last year · 周期"),
    uncertainty: list[str] = uncertain.OPTION,
    json: bool = JSON,
):
    """Uncertainty of a total: budget, expanded uncertainty, Monte Carlo · 不确定度评定

    Exit code 1 where sources disagree, a value lies outside its history, or the simulation does not confirm the budget.
    docs/uncertainty.md says what a file has. Of a log: the emissions of a period, from the certificates of its meters,
    its factors, and what --uncertainty states of points and factors by name.
    """
    try:
        if file.is_dir() or file.suffix == ".bundle":
            return _log(file, period, uncertain.options(uncertainty, []), simulate, seed, json)
        if period or uncertainty:
            raise AccountingError("--period and --uncertainty are for logs", "write it into the file")
        document = uncertainty_file.read(file)
        view = {"title": document.get("title", ""), "checks": uncertainty_file.checks(document)}
        view["inventory"] = uncertainty_file.inventory(document)
        if "model" in document or "sources" in document:
            view |= _evaluated(document, simulate, seed)
    except CarbonError as error:
        raise Failure(USAGE, f"{file}: {error.what}", error.hint) from error
    if json:
        put(view)
    else:
        _show(view)
    return FINDING if _findings(view) else OK


def _log(file, period, given, simulate, seed, json):
    from carbonterm_host.commands import inventory  # it takes its time

    records, site = inventories.of_entries(inventory.entries_in(file))
    period = period or inventories.last_year(records, site)
    model, recorded, unknown = uncertain_log.model(site, records, period, given)
    view = {"title": f"{site.terminal_id} {site.name} {period}", "checks": {}, "inventory": None}
    view |= _view(model, {}, simulate, seed) | {"unknown": unknown}
    for name, row in view["sources"].items():
        row["recorded"] = str(recorded[name])
    if json:
        put(view)
    else:
        _show(view)
        if unknown:
            text = say("not wholly known, left out or too small: ", "数据不全，未计入或偏小：")
            console().print(text + ", ".join(unknown), soft_wrap=True)
    return FINDING if unknown or _findings(view) else OK


def _evaluated(document, simulate, seed):
    return _view(uncertainty_file.model(document), document, simulate, seed)


def _view(model, document, simulate, seed):
    total, each = model.budgets()
    view = uncertain.budget_view(model, total, document.get("coverage"), str(document.get("k", "2")))
    view["sources"] = {name: _short(found) for name, found in each.items()}
    if simulate:
        view["monte_carlo"] = simulated(model, total, document.get("monte_carlo", {}), seed)
    return view


def _short(found):
    percent = found.relative(4)
    expanded, _ = found.expanded(None, "2")
    return {"value": str(found.value.round(6)), "U": str(expanded), "k": "2",
            "percent": None if percent is None else str((percent * 2).round(4))}  # fmt: skip


def simulated(model, total, settings, seed=None):
    """The simulation beside the analytic interval of 95 %."""
    try:
        from carbonterm_host import monte_carlo  # numpy takes its time
    except ImportError as error:
        raise Failure(USAGE, f"no Monte Carlo: {error}", "make setup; or --no-monte-carlo") from None
    if not isinstance(settings, dict) or not set(settings) <= {"seed", "trials"}:
        raise Failure(USAGE, "monte_carlo has seed and trials", "like {seed: 1, trials: 200000}")
    numbers = {"seed": "1", "trials": str(monte_carlo.MOST)} | settings
    if not all(str(one).isdigit() for one in numbers.values()) or int(numbers["trials"]) < 2 * monte_carlo.BLOCK:
        raise Failure(USAGE, "seed and trials are whole numbers, trials at least 20000", "correct monte_carlo")
    seed = int(numbers["seed"]) if seed is None else seed
    found = monte_carlo.simulate(model, str(total.u(15)), seed, int(numbers["trials"]))
    expanded, k = total.expanded("0.95")
    value = total.value.numerator / total.value.denominator
    return {
        "mean": _digits(found.mean), "u": _digits(found.u), "low": _digits(found.low), "high": _digits(found.high),
        "coverage": "0.95", "trials": found.trials, "seed": found.seed, "stable": found.stable,
        "analytic_U": str(expanded), "analytic_k": str(k), "delta": _digits(found.delta),
        "agrees": bool(found.agrees(value, float(str(expanded)))),
    }  # fmt: skip


def _digits(value):
    return f"{value:.7g}"


def _findings(view):
    checks = view["checks"]
    return (
        checks.get("sources", {}).get("agree") is False
        or checks.get("history", {}).get("inside") is False
        or view.get("monte_carlo", {}).get("agrees") is False
    )


# --- for people ------------------------------------------------------------------------------------------------------


def _show(view):
    screen = console()
    if view["title"]:
        screen.print(f"[bold]{view['title']}[/]")
    if "value" in view:
        show_budget(screen, view)
        for name, row in view["sources"].items() if len(view["sources"]) > 1 else ():
            percent = f" ({row['percent']} %)" if row["percent"] else ""
            screen.print(f"  {name}: {row['value']} ± {row['U']}{percent}, k = 2")
    if "monte_carlo" in view:
        _show_simulation(screen, view["monte_carlo"])
    if view["inventory"]:
        _show_inventory(screen, view["inventory"])
    _show_checks(screen, view["checks"])


def _show_simulation(screen, found):
    apart = say("does not agree: take the simulated interval", "不一致，以模拟区间为准")
    verdict = say("agrees", "一致") if found["agrees"] else apart
    screen.print(
        f"{say('Monte Carlo', '蒙特卡洛')}: {found['mean']}, u = {found['u']}, 95 %: {found['low']} … {found['high']} "
        f"({found['trials']} {say('trials, seed', '次，种子')} {found['seed']}); "
        f"{say('analytic', '解析')} ± {found['analytic_U']}, δ = {found['delta']}: {verdict}",
        soft_wrap=True,
    )
    if not found["stable"]:
        screen.print(say("the simulation is not yet stable: more trials", "模拟尚未稳定：请增加次数"))


def _show_inventory(screen, found):
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, heading in enumerate((say("source", "排放源"), "tCO2e", "U %", say("share %", "贡献 %"), "A", "B")):
        table.add_column(heading, justify="right" if place else "left")
    for row in found["rows"]:
        sensitivities = row.get("A", ""), row.get("B", "")
        table.add_row(row["name"], row["emission"], row["percent"], row["share_percent"], *sensitivities)
    screen.print(table)
    screen.print(f"IPCC {say('approach 1', '方法1')}: [bold]{found['total']} ± {found['percent']} %[/] (95 %)")
    if "trend" in found:
        change = found["trend"]
        screen.print(f"{say('trend', '趋势')}: {change['change_percent']} % ± {change['percentage_points']} "
                     f"{say('percentage points', '个百分点')}")  # fmt: skip


def _show_checks(screen, checks):
    if "sources" in checks:
        found = checks["sources"]
        errors = ", ".join(f"{name} {error}" for name, error in found["En"].items())
        verdict = say("they agree", "一致") if found["agree"] else say("they do not agree", "不一致")
        screen.print(f"{say('sources', '多源比对')}: {found['mean']}, u = {found['u']}, E_n: {errors}: {verdict}")
    if "repeated" in checks:
        found = checks["repeated"]
        screen.print(f"{say('repeated', '重复测量')}: n = {found['n']}, {found['mean']}, s = {found['s']}, "
                     f"u = {found['u_mean']}, ν = {found['dof']}")  # fmt: skip
    if "history" in checks:
        found = checks["history"]
        outside = say("outside: look for the reason", "超出区间，请查明原因")
        verdict = say("inside", "在区间内") if found["inside"] else outside
        screen.print(f"{say('history', '历史验证')}: {found['value']} / {found['mean']} ± {found['half_width']} "
                     f"({found['coverage']}, n = {found['n']}): {verdict}")  # fmt: skip
