"""`carbonterm enter`: what a person gives by hand, signed with an operator's key (docs/manual.md)."""

import getpass
import os
import tempfile
import time
from pathlib import Path

import typer
from rich.table import Table

from carbonterm import clock, units
from carbonterm import site as sites
from carbonterm.errors import CarbonError
from carbonterm.gm import sm3
from carbonterm.ledger import entry as entries
from carbonterm.ledger import manual as records
from carbonterm.number import Number
from carbonterm.series.manual import DAY_MS, check_period, hex_of
from carbonterm_host import bundles, desk, site_yaml
from carbonterm_host.commands import key as keys
from carbonterm_host.commands import pull
from carbonterm_host.commands import replay as replaying
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say

app = typer.Typer(no_args_is_help=True, help="data by hand: enter, review, order to recalculate · 人工填报与复核")

KEY = typer.Option(..., "--key", help="your operator key, of carbonterm key operator · 操作员私钥")
TO = typer.Option(None, "--to", help="the terminal's folder or socket · 终端目录或维护口")
SITE = typer.Option(None, "--site", help="site.yaml, where the terminal cannot be reached · 站点文件")
OUTPUT = typer.Option(None, "-o", "--output", help="write the signed record here, to send it later · 输出签名文件")
NOTE = typer.Option("", help="a word about it · 备注")


@app.command()
def amount(
    point: str = typer.Argument(help="manual point · 填报数据点"),
    period: str = typer.Argument(help="2026-10, 2026-10-05 or 2026-10-01..2026-10-15 · 周期"),
    value: str = typer.Argument(help="the amount, a decimal · 数值"),
    unit: str = typer.Argument(help="its unit · 单位"),
    key: Path = KEY,
    to: str | None = TO,
    site: Path | None = SITE,
    evidence: list[Path] = typer.Option([], help="a file: its name and SM3 go into the record · 凭证文件"),
    replaces: str | None = typer.Option(None, help="id of the entry that this corrects · 更正的填报编号"),
    note: str = NOTE,
    output: Path | None = OUTPUT,
    json: bool = JSON,
):
    """Enter the amount of a period, with evidence · 填报活动数据."""
    place = _place(to, site)
    number = Number(value)
    start_ms, end_ms = span(period, place["zone"])
    check_period(start_ms, end_ms, place["now"], place["zone"])
    wanted = place["units"].get(point)
    if wanted is None:
        known = ", ".join(place["units"]) or "none"
        raise Failure(USAGE, f"there is no manual point '{point}'", f"there are: {known}")
    if unit != wanted:
        number = units.convert(number, unit, wanted).number()
        if number is None:
            raise Failure(USAGE, f"{value} {unit} is no finite decimal in {wanted}", f"give it in {wanted}")
    files = [[path.name[:64], sm3.digest(_read(path))] for path in evidence]
    of = None if replaces is None else _digest(replaces, place)
    fields = [point, start_ms, end_ms, number.exponent, number.mantissa, wanted, files, note, of]
    return _give(place, key, records.ENTER, fields, to, output, json)


@app.command()
def review(
    entry: str = typer.Argument(help="id of the entry · 填报编号"),
    verdict: str = typer.Argument(help="reviewed or rejected · 通过或驳回"),
    key: Path = KEY,
    to: str | None = TO,
    site: Path | None = SITE,
    note: str = NOTE,
    output: Path | None = OUTPUT,
    json: bool = JSON,
):
    """Review an entry of another operator; a rejected one counts no more · 复核."""
    if verdict not in (records.REVIEWED, records.REJECTED):
        raise Failure(USAGE, f"'{verdict}' is no verdict", "write reviewed or rejected")
    place = _place(to, site)
    return _give(place, key, records.REVIEW, [_digest(entry, place), verdict, note], to, output, json)


@app.command()
def recalculate(
    source: str = typer.Argument(help="emission source · 排放源"),
    period: str = typer.Argument(help="2026, 2026-10 or 2026-01-01..2026-03-31 · 周期"),
    reason: str = typer.Option(..., help="why: a factor confirmed, another edition of the method · 原因"),
    key: Path = KEY,
    to: str | None = TO,
    site: Path | None = SITE,
    output: Path | None = OUTPUT,
    json: bool = JSON,
):
    """Order the figures of a source to be computed again; the old ones stay beside the new · 重新核算."""
    place = _place(to, site)
    if source not in place["sources"]:
        raise Failure(USAGE, f"there is no source '{source}'", "there are: " + (", ".join(place["sources"]) or "none"))
    return _give(place, key, records.RECALCULATE, [source, *span(period, place["zone"]), reason], to, output, json)


@app.command()
def send(
    file: Path = typer.Argument(help="a signed record · 签名文件"),
    to: str = typer.Option(..., "--to", help="the terminal's folder or socket · 终端目录或维护口"),
    json: bool = JSON,
):
    """Send a record that was signed before · 提交签名文件."""
    return _sent(records.Record.decode(_read(file)), to, json)


@app.command("list")
def show_list(
    place: str = typer.Argument(help="a terminal's folder or socket, or FILE.bundle · 终端或数据包"),
    json: bool = JSON,
):
    """Show what was entered, its state, and what is missing · 列出填报数据."""
    rows = _of_bundle(Path(place)) if Path(place).suffix == ".bundle" else _asked(place)[1:]
    if json:
        put({"manual": rows})
        return OK
    out = console()
    for row in rows:
        if row["event"] == "manual":
            total = "" if row["total"] is None else ", " + say("total", "合计") + f" {row['total']}"
            out.print(f"[bold]{row['point']}[/bold] ({row['unit']}){total}")
            for span_ in row["missing"]:
                out.print("  ! " + say("missing", "缺") + f" {span_}")
            table = Table(box=None)
            for one in rows:
                if one["event"] == "amount" and one["point"] == row["point"]:
                    days = f"  {one['from']}..{one['to']}"
                    table.add_row(days, one["value"], one["state"], _who(one), one["id"])
            if table.row_count:
                out.print(table)
    return FINDING if any(row.get("missing") for row in rows) else OK


@app.command()
def evidence(
    log: Path = typer.Argument(help="FILE.bundle or a terminal's data folder · 数据包或数据目录"),
    files: list[Path] = typer.Argument(help="files that were kept · 凭证文件"),
    json: bool = JSON,
):
    """Show which entries name a file as their evidence, by its SM3: is it the one that was there? · 核对凭证."""
    found, known = [], _evidence(log)
    for file in files:
        digest = sm3.digest(_read(file))
        rows = [row for row in known if row["sm3"] == digest.hex()]
        found.append({"file": str(file), "sm3": digest.hex(), "entries": rows})
    if json:
        put({"files": found})
    else:
        for one in found:
            told = [f"{row['point']} {row['from']}..{row['to']}, {_who(row)}, {row['epoch']}/{row['seq']}"
                    for row in one["entries"]]  # fmt: skip
            none = say("no entry names it, or it was changed", "无条目引用，或文件已被改动")
            print(f"{one['file']}: " + ("; ".join(told) or none))
    return OK if all(one["entries"] for one in found) else FINDING


def _who(row):
    """The operator of an entry; where no key of his signed it, that it was given on the page."""
    return row["operator"] + ("" if row["basis"] == records.KEY else say(" (on the page)", "（网页填报）"))


def _evidence(log):
    """Rows of all files that the manual entries of a log name."""
    rows, zone = [], 0
    for raw, _ in _bundle(log).entries:
        one = entries.decode(raw)
        if one.kind == entries.CONFIG:
            zone = sites.decode(one.body[1]).zone
        if one.kind != entries.MANUAL:
            continue
        record = records.Record(*one.body)
        days = record.what == records.ENTER and (record.start_ms, record.end_ms - 1)
        for name, digest in record.evidence if days else ():
            first, last = (clock.text(at, zone)[:10] for at in days)
            rows.append({"name": name, "sm3": digest.hex(), "point": record.name, "from": first, "to": last,
                         "operator": record.operator, "basis": record.basis, "epoch": one.epoch,
                         "seq": one.seq})  # fmt: skip
    return rows


def span(text, zone):
    """(start_ms, end_ms) of a period as people write it, in a zone; Failure for what is none."""
    try:
        first, dots, last = text.partition("..")
        start_ms, end_ms = _days(first, zone)
        if dots:
            end_ms = _days(last, zone)[1]
        if start_ms < end_ms:
            return start_ms, end_ms
    except (CarbonError, ValueError):
        pass
    raise Failure(USAGE, f"'{text}' is no period", "write 2026-10, 2026-10-05 or 2026-10-01..2026-10-15")


def _days(text, zone):
    parts = [int(part) for part in text.split("-")]
    if text != "-".join([f"{parts[0]:04}", *(f"{part:02}" for part in parts[1:])]) or len(parts) > 3:
        raise ValueError
    start_ms = clock.stamp(*[*parts, 1, 1][:3], zone=zone)
    if len(parts) == 3:
        return start_ms, start_ms + DAY_MS
    return start_ms, clock.end(clock.MONTH if len(parts) == 2 else clock.YEAR, start_ms, zone)


def _place(to, site):
    """What is to be known of the terminal: {"terminal", "zone", "now", "units", "sources", "rows"}."""
    if site is not None:
        found = site_yaml.compile_file(site)
        return {"terminal": found.terminal_id, "zone": found.zone, "now": _now(), "rows": [],
                "units": {row.name: row.unit for row in found.manual}, "sources": [row.name for row in found.sources]}
    if to is None:
        raise Failure(USAGE, "which terminal?", "--to its folder or socket, or --site site.yaml with -o FILE")
    rows = _asked(to)
    head = rows[0]
    return {"terminal": head["terminal"], "zone": head["zone"], "now": head["time_ms"], "rows": rows,
            "sources": head["sources"],
            "units": {row["point"]: row["unit"] for row in rows if row["event"] == "manual"}}  # fmt: skip


def _asked(place):
    if not Path(place).exists():
        raise Failure(USAGE, f"there is no {place}", "name a terminal's folder or its maintenance socket")
    with desk.Desk.at(place, getpass.getuser()) as asked:
        return list(asked.ask({"do": "manual"}))


def _digest(text, place):
    """The digest of an entry that is named by its id, or by all of its digits."""
    if len(text) == 64:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    found = [row["digest"] for row in place["rows"] if row["event"] == "amount" and row["id"] == text]
    if len(found) != 1:
        hint = "'carbonterm enter list' has the ids; without --to give all 64 digits"
        raise Failure(USAGE, f"there is no entry {text}", hint)
    return bytes.fromhex(found[0])


def _give(place, key, what, fields, to, output, json):
    if to is None and output is None:
        raise Failure(USAGE, "nowhere to put it", "give --to, or -o FILE, or both")
    signer, name = keys.load(key)
    record = records.make(place["terminal"], name, place["now"], what, fields, signer.sign)
    if output is not None:
        draft = output.with_name(output.name + ".new")
        try:
            draft.write_bytes(record.encode())
            os.replace(draft, output)
        except OSError as error:
            raise Failure(USAGE, f"{output}: {error.strerror}", "choose another file with -o") from None
    if to is not None:
        return _sent(record, to, json)
    if json:
        put({"record": record.digest.hex(), "file": str(output)})
    else:
        print(say("signed", "已签名") + f" {hex_of(record.digest)}: {output}")
    return OK


def _sent(record, to, json):
    with desk.Desk.at(to, record.operator[:64]) as asked:
        (event,) = asked.ask({"do": "enter", "record": record.encode().hex()})
    if json:
        put({"record": record.digest.hex(), "epoch": event["epoch"], "seq": event["seq"]})
    else:
        text = say("taken as entry {}/{}, id {}", "已入账：条目 {}/{}，编号 {}")
        print(text.format(event["epoch"], event["seq"], hex_of(record.digest)))
    return OK


def _bundle(path):
    """The Bundle of a file or data folder."""
    if not path.exists():
        raise Failure(USAGE, f"there is no {path}", "name a bundle or a terminal's data folder")
    with tempfile.TemporaryDirectory() as folder:
        if path.is_dir():
            pull.to_file(path, Path(folder) / "log.bundle")
            path = Path(folder) / "log.bundle"
        return bundles.read(path)


def _of_bundle(path):
    """Rows of the state that a bundle's log comes to, as a terminal gives them."""
    pipeline = replaying.replay(_bundle(path).entries)[0].pipeline
    if pipeline.manuals is None:
        hint = "its site document has no operators"
        raise Failure(USAGE, f"{path}: nobody may enter anything at this terminal", hint)
    return pipeline.manuals.listed(pipeline.time_ms or 0)


def _read(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(USAGE, f"{path} cannot be read: {error.strerror}", "name a file") from None


def _now():
    return time.time_ns() // 1000000
