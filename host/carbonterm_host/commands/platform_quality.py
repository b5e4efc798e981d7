"""`carbonterm platform quality | compare`: check what the platform holds, and say what measures the same."""

from functools import partial

import typer

from carbonterm.errors import AccessError
from carbonterm_host import gm_backends
from carbonterm_host.commands.platform_access import STORE
from carbonterm_host.commands.platform_data import existing
from carbonterm_host.platform import page
from carbonterm_host.platform.quality import engine
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, put, say


def quality(
    terminal: list[str] = typer.Argument(None, metavar="[TERMINAL]…", help="default: all · 默认全部"),
    store: str = STORE,
    days: int = typer.Option(engine.DAYS, min=1, max=3660, help="how many whole days back · 天数"),
    seed: int | None = typer.Option(None, min=0, help="of the lot by which settlements are drawn · 抽样种子"),
    as_json: bool = JSON,
):
    """Checks completeness, outliers, samples and comparisons of the last days; keeps the reports. 质量控制"""
    opened = existing(store)
    backend = gm_backends.best()
    tools = {name: partial(getattr(gm_backends, name), backend=backend) for name in ("verify", "digest")}
    found, skipped = [], []
    for name in terminal or [row["terminal"] for row in page.terminals(opened)]:
        try:
            to_ms = engine.last_midnight(opened, name)
            report = engine.examine(opened, name, to_ms - days * 86_400_000, to_ms, seed, **tools)
        except AccessError as error:
            if terminal:
                raise
            skipped.append(error.what)
            continue
        engine.keep(opened, report)
        found.append(report)
    if as_json:
        put({"ok": all(report["ok"] for report in found), "reports": found, "skipped": skipped})
    else:
        for report in found:
            _show(report)
        for why in skipped:
            print(why)
    return OK if all(report["ok"] for report in found) else FINDING


def compare(
    first: str = typer.Argument(metavar="TERMINAL:POINT"),
    second: str = typer.Argument(metavar="TERMINAL:POINT"),
    within: str = typer.Option(..., metavar="PERCENT", help="of the greater of the two · 允差 %"),
    store: str = STORE,
    as_json: bool = JSON,
):
    """Says that two points measure the same: their days are compared from now on. 多源比对"""
    pair = []
    for text in (first, second):
        terminal_id, colon, point = text.partition(":")
        if not colon or not point:
            raise Failure(USAGE, f"{text!r} is not TERMINAL:POINT",
                          "as in: carbonterm platform compare T1:E1 T1:E2 --within 2")  # fmt: skip
        pair.append((terminal_id, point))
    engine.compare(existing(store), *pair, within)
    if as_json:
        put({"first": first, "second": second, "within": within})
    else:
        print(say(f"{first} and {second} are compared within {within} %", f"{first} 与 {second} 比对，允差 {within} %"))
    return OK


def _show(report):
    print(f"{report['terminal']} {report['from']} … {report['to']}, {say('seed', '种子')} {report['seed']}")
    for rule in report["rules"]:
        print(f"  {'✓' if rule['ok'] else '✗'} {rule['rule']}: {rule['checked']} "
              + say(f"checked, {rule['found']} findings", f"项已查，{rule['found']} 项问题"))  # fmt: skip
        for row in rule.get("due", ()):
            print(f"      ! {row['meter']} {row['certificate']}: {say('calibration due', '校准到期')} {row['due']}")
        for finding in rule["findings"][:5]:
            print("      " + ", ".join(f"{key} {value}" for key, value in finding.items()))


COMMANDS = {"quality": quality, "compare": compare}
