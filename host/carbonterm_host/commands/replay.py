"""`carbonterm replay`: recompute every derived entry of a bundle from its readings, and compare bytes."""

from pathlib import Path

import typer
from rich.table import Table

from carbonterm.errors import CarbonError
from carbonterm.ledger import entry as entries
from carbonterm.pipeline import Replay
from carbonterm_host import bundles
from carbonterm_host.screen import JSON, UNVERIFIED, console, put, say


def replay(rows):
    """Folds (entry bytes, fingerprint) rows. Returns (Replay, list of what is wrong); derived entries that a crash kept
    from being logged and that the log's end still owes are wrong only if the log goes on after them."""
    fold, wrong = Replay(), []
    for raw, _ in rows:
        try:
            finding = fold.entry(entries.decode(raw))
        except CarbonError as error:
            finding = str(error)
        if finding:
            wrong.append(finding)
    return fold, wrong


def totals(pipeline):
    """{"points", "sources", "tco2e": {"scope1", "scope2", "total"}} of a folded log, tCO2e with 6 decimals."""
    scopes = {1: 0, 2: 0}
    sources, points = [], []
    if pipeline.site is not None:
        for index, point in enumerate(pipeline.site.all_points):
            total = pipeline.total(index) if pipeline.site.is_amount(index) else None
            if total is not None:
                points.append({"point": point.name, "unit": pipeline.site.unit(index), "increment": str(total)})
        for index, source in enumerate(pipeline.site.sources):
            value = pipeline.emitted(index)
            if value is not None:
                scopes[source.scope()] = scopes.get(source.scope(), 0) + value
            sources.append(
                {
                    "source": source.name,
                    "scope": source.scope(),
                    "tco2e": None if value is None else str(value.round(6)),
                }
            )
    figures = {f"scope{scope}": _figure(value) for scope, value in sorted(scopes.items())}
    return {"points": points, "sources": sources, "tco2e": {**figures, "total": _figure(sum(scopes.values()))}}


def _figure(value):
    return str(value.round(6)) if value else "0.000000"


def main(
    file: Path = typer.Argument(help="FILE.bundle"),
    json: bool = JSON,
):
    """Recompute every settlement and emission from the readings, and compare with the log byte for byte · 重放."""
    bundle = bundles.read(file)
    fold, wrong = replay(bundle.entries)
    first = entries.decode(bundle.entries[0][0]) if bundle.entries else None
    begins = [first.epoch, first.seq] if first and first.kind == entries.SNAPSHOT else None
    result = {
        "equal": not wrong,
        "begins": begins,
        "compared": fold.compared,
        "owed": len(fold.expected),
        "findings": wrong[:20],
        **totals(fold.pipeline),
    }
    if json:
        put(result)
    else:
        out = console()
        table = Table(title=say("Recomputed from the readings", "由读数重新计算"), title_justify="left")
        for heading in (say("source", "排放源"), say("scope", "范围"), "tCO2e"):
            table.add_column(heading)
        for source in result["sources"]:
            table.add_row(source["source"], str(source["scope"]), source["tco2e"] or "?")
        out.print(table)
        for finding in wrong[:20]:
            out.print("✗ " + finding)
        if begins:
            text = say("begins with entry {1} of epoch {0}, a snapshot: what it says of earlier ones is taken as true",
                       "自纪元 {0} 第 {1} 条快照起：此前的累计以快照为准")  # fmt: skip
            out.print(text.format(*begins))
        out.print(say(f"{fold.compared} derived entries compared: ", f"比对派生记录 {fold.compared} 条："),
                  say(f"{len(wrong)} differ", f"{len(wrong)} 条不一致") if wrong else say("equal", "一致"))  # fmt: skip
    return UNVERIFIED if wrong else None
