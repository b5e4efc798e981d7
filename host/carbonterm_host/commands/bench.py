"""`carbonterm bench run | list | check | verify`: a terminal on a bench with simulated meters (docs/bench.md)."""

from pathlib import Path

import typer
from rich.table import Table

from carbonterm_host.benches import bench, scenario, signing, standing
from carbonterm_host.screen import FINDING, JSON, OK, UNVERIFIED, USAGE, Failure, console, note, put, say

app = typer.Typer(no_args_is_help=True, help="hardware in the loop: scenarios, verdicts · 测试台")


@app.command()
def run(
    name: str = typer.Argument(metavar="SCENARIO", help="a file, or a name of carbonterm bench list · 场景"),
    output: Path = typer.Option(None, "-o", "--output", help="folder, default bench-NAME · 输出目录"),
    defect: str | None = typer.Option(None, help="inject this defect: it has to turn red · 注入缺陷"),
    key: Path | None = typer.Option(None, exists=True, help="sign with a key of carbonterm key operator · 签名"),
    board: str | None = typer.Option(None, help="on this board of boards/, virtual unless --port · 板卡"),
    port: str | None = typer.Option(None, help="serial port of a real board · 真实板卡串口"),
    line: list[str] | None = typer.Option(
        None, metavar="BUS=DEVICE", help="where this computer is on a real board's line · 线路对应的本机串口"
    ),
    as_json: bool = JSON,
):
    """Runs a scenario: exit code 0 if every expectation is met, 1 if one is not. 运行场景"""
    found = _load(name)
    _stands(found, board, port, line)
    signer = signing.load(key) if key else None
    output = output or Path(f"bench-{found.name}")
    green = True
    for one, inner in standing.each(found):
        folder = output / inner
        result = bench.run(one, folder, defect, lambda what, text: note(f"  {what}: {text}"))
        green = green and result["green"]
        if signer:
            signing.sign(folder, *signer)
        if as_json:
            put({**result, "folder": str(folder)})
        else:
            _show(result, folder)
    return OK if green else FINDING


def _stands(found, board, port, lines):
    """Puts the board of the command line in the place of those that the scenario names."""
    if board is None:
        if port or lines:
            raise Failure(USAGE, "--port and --line are of a --board", "carbonterm board list has their names")
        return
    devices = dict(text.partition("=")[::2] for text in lines or ())
    try:
        standing.override(found, board, port, devices)
    except scenario.Bad as bad:
        raise Failure(USAGE, bad.what, bad.hint) from None


@app.command("list")
def shipped(as_json: bool = JSON):
    """The scenarios that come with carbonterm, and the defects each knows. 列出场景"""
    rows = [scenario.load(name) for name in scenario.shipped()]
    if as_json:
        for row in rows:
            put({"scenario": row.name, "title": row.title, "time": row.time, "lasts_ms": row.ms,
                 "defects": list(row.defects)})  # fmt: skip
        return OK
    table = Table()
    for heading in (say("scenario", "场景"), say("what", "内容"), say("lasts", "时长"), say("defects", "缺陷")):
        table.add_column(heading)
    for row in rows:
        lasts = f"{row.ms / 3600000:g} h" if row.ms > 3600000 else f"{row.ms / 1000:g} s"
        table.add_row(row.name, row.title, f"{lasts} {row.time}", " ".join(row.defects))
    console().print(table)
    return OK


@app.command()
def check(name: list[str] = typer.Argument(metavar="SCENARIO…"), as_json: bool = JSON):
    """Reads scenarios without running them. 检查场景文件"""
    for one in name:
        found = _load(one)
        row = {"scenario": found.name, "meters": len(found.site.meters), "points": len(found.site.points),
               "expect": list(found.expect), "defects": list(found.defects)}  # fmt: skip
        if as_json:
            put(row)
        else:
            print(say(f"{one}: {row['meters']} meters, {len(row['expect'])} expectations",
                      f"{one}：{row['meters']} 台仪表，{len(row['expect'])} 项期望"))  # fmt: skip
    return OK


@app.command()
def verify(
    folder: Path = typer.Argument(help="what carbonterm bench run left · 结果目录"),
    public: str = typer.Option(..., metavar="NAME:PUBLICHEX", help="who has to have signed · 签名方"),
    as_json: bool = JSON,
):
    """Whether verdicts were signed by somebody, and the files beside them are those that were judged. 验证签名结果"""
    result, wrong = signing.verify(folder, public)
    if as_json:
        put({"ok": not wrong, "green": result.get("green"), "why": wrong})
    elif wrong:
        print("✗ " + wrong)
    else:
        colour = say("green", "通过") if result["green"] else say("red", "未通过")
        print(say("signed and whole: ", "签名有效：") + colour)
    return UNVERIFIED if wrong else OK


def _load(name):
    try:
        return scenario.load(name)
    except scenario.Bad as bad:
        raise Failure(USAGE, bad.what, bad.hint) from None


def _show(result, folder):
    board = result["board"]
    title = result["title"] + (f" · {board['name']}" if board else "")
    title += say(" (simulated)", "（模拟）") if board and board["simulated"] else ""
    table = Table(title=title, title_justify="left")
    for heading in (say("expectation", "期望"), say("clause", "条款"), say("wanted", "要求"), say("found", "实测"), ""):
        table.add_column(heading, overflow="fold")
    for row in result["verdicts"]:
        wanted = say("yes", "是") if row["wanted"] is True else str(row["wanted"])
        table.add_row(row["title"], row["clause"] or "", wanted, row["found"], "✓" if row["ok"] else "✗")
    console().print(table)
    colour = say("GREEN", "通过") if result["green"] else say("RED", "未通过")
    print(f"{colour}  {folder}/report.html")
