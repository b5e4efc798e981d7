"""`carbonterm bench run | trial | list | check | verify`: a terminal between simulated meters (docs/bench.md)."""

from pathlib import Path

import typer
from rich.table import Table

from carbonterm_host.benches import bench, scenario, signing, standing
from carbonterm_host.benches import trial as trials
from carbonterm_host.screen import FINDING, JSON, OK, UNVERIFIED, USAGE, Failure, console, note, put, say

app = typer.Typer(no_args_is_help=True, help="hardware in the loop: scenarios, verdicts · 测试台")


@app.command()
def run(
    name: str = typer.Argument(metavar="SCENARIO", help="a file, or a name of carbonterm bench list · 场景"),
    output: Path = typer.Option(None, "-o", "--output", help="folder, default bench-NAME · 输出目录"),
    defect: str | None = typer.Option(None, help="inject this defect: it has to turn red · 注入缺陷"),
    key: Path | None = typer.Option(None, exists=True, help="sign with a key of carbonterm key operator · 签名"),
    short: bool = typer.Option(False, help="in its short form · 简短形式"),
    board: str | None = typer.Option(None, help="on this board of boards/, virtual unless --port · 板卡"),
    port: str | None = typer.Option(None, help="serial port of a real board · 真实板卡串口"),
    line: list[str] | None = typer.Option(
        None, metavar="BUS=DEVICE", help="where this computer is on a real board's line · 线路对应的本机串口"
    ),
    as_json: bool = JSON,
):
    """Runs a scenario: exit code 0 if every expectation is met, 1 if one is not. 运行场景"""
    found = _load(name, short)
    _stands(found, board, port, line)
    signer = signing.load(key) if key else None
    output = output or Path(f"bench-{found.name}")
    green = True
    for one, inner in standing.each(found):
        folder = output / inner
        result = bench.run(one, folder, defect, _tell)
        green = green and result["green"]
        if signer:
            signing.sign(folder, *signer)
        if as_json:
            put({**result, "folder": str(folder)})
        else:
            _show(result, folder)
    return OK if green else FINDING


@app.command()
def trial(
    name: list[str] = typer.Argument(None, metavar="[SCENARIO…]", help="default: all that are shipped · 缺省全部"),
    output: Path = typer.Option(Path("bench-trial"), "-o", "--output", help="folder · 输出目录"),
    quick: bool = typer.Option(False, help="no defect that needs a run of its own · 只判改动过的结果"),
    short: bool = typer.Option(False, help="in their short forms · 简短形式"),
    as_json: bool = JSON,
):
    """Each scenario as it is, and with each of its defects: green then, and red with every one. 缺陷试验"""
    rows = []
    for one in name or scenario.shipped():
        found = _load(one, short)
        for given, inner in standing.each(found):
            tried = trials.trial(given, output / found.name / str(inner), _tell, not quick)
            for defect, result in tried:
                row = {"scenario": given.name, "defect": defect, "green": result["green"],
                       "right": trials.right(defect, result), "red": trials.reds(result),
                       "took_s": result["took_s"]}  # fmt: skip
                rows.append(row)
                if as_json:
                    put(row)
                else:
                    note(f"{given.name}, {defect or say('as it is', '原样')}: {_colour(result['green'])}")
    if not as_json:
        _table_of(rows)
    return OK if all(row["right"] for row in rows) else FINDING


def _tell(what, text):
    note(f"  {what}: {text}")


def _colour(green):
    return say("green", "通过") if green else say("red", "未通过")


def _table_of(rows):
    table = Table()
    for heading in (say("scenario", "场景"), say("defect", "缺陷"), say("verdict", "判定"),
                    say("turned red", "未通过项"), "s", ""):  # fmt: skip
        table.add_column(heading, overflow="fold")
    for row in rows:
        defect = row["defect"] or say("as it is", "原样")
        table.add_row(row["scenario"], defect, _colour(row["green"]), " ".join(row["red"]), f"{row['took_s']:.0f}",
                      "✓" if row["right"] else "✗")  # fmt: skip
    console().print(table)


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
        print(say("signed and whole: ", "签名有效：") + _colour(result["green"]))
    return UNVERIFIED if wrong else OK


def _load(name, short=False):
    try:
        return scenario.load(name, short)
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
        clause = " ".join(filter(None, (row["clause"], row["id"])))
        title = f"{row['title']} {row['expect'].partition(' ')[2]}"
        table.add_row(title, clause, wanted, row["found"], "✓" if row["ok"] else "✗")
    console().print(table)
    colour = say("GREEN", "通过") if result["green"] else say("RED", "未通过")
    print(f"{colour}  {folder}/report.html")
    for row in result["verdicts"]:
        if not row["ok"]:
            print(f"✗ {row['title']} {row['expect'].partition(' ')[2]}: {row['found']}")
