"""`carbonterm factors …`: the emission-factor library: list, show, diff, confirm, add, pack, unpack."""

import datetime
import time
import urllib.error
import urllib.request
from pathlib import Path

import typer
from rich.table import Table

from carbonterm.accounting.load import ZONE, load_factors
from carbonterm.accounting.model import Factors
from carbonterm.accounting.source import holds
from carbonterm.clock import text
from carbonterm_host import library, library_folder, library_package
from carbonterm_host.commands import key as keys
from carbonterm_host.library import LIBRARY
from carbonterm_host.screen import FINDING, JSON, OK, UNREACHABLE, UNVERIFIED, USAGE, Failure, console, put, say, usage

app = typer.Typer(help="the emission-factor library · 排放因子库", add_completion=False, no_args_is_help=True)
AT = typer.Option(None, "--at", help="only what is valid on that day · 日期 YYYY-MM-DD")
SIGN = typer.Option(None, "--key", exists=True, dir_okay=False, help="signs it: carbonterm key operator's file · 私钥")


@app.command(name="list")
def list_(
    set_id: str | None = typer.Argument(None, metavar="[SET]", help="set, e.g. grid, gwp, ndrc-2013-chem · 因子集"),
    at: str | None = AT,
    as_json: bool = JSON,
    folder: str | None = LIBRARY,
):
    """The sets, or the factors of one set, with every version. 因子目录"""
    known = library.factors(folder)
    if set_id is None:
        rows = [{"set": name, "factors": len(ids), "fuels": len(known.fuels.get(name, ()))}
                for name, ids in sorted(known.sets.items())]  # fmt: skip
        if as_json:
            put({"sets": rows})
            return OK
        for row in rows:
            print(f"{row['set']:28} {row['factors']}")
        return OK
    ids = known.of(set_id)
    if not ids:
        raise Failure(USAGE, f"no factors in {set_id!r}", "carbonterm factors list shows the sets")
    when = None if at is None else library.moment(at)
    rows = [row for id in ids for row in _versions(known, id) if when is None or _within(row, known, when)]
    if as_json:
        put({"set": set_id, "factors": rows})
        return OK
    table = Table(say("factor", "因子"), say("value", "数值"), say("unit", "单位"), say("valid", "有效期"), "",
                  box=None, pad_edge=False)  # fmt: skip
    for row in rows:
        mark = "⚠" if row["unconfirmed"] else "✓"
        table.add_row(f"{mark} {row['id']}", row["value"], row["unit"], _span(row), row["name_zh"])
    console().print(table)
    return OK


@app.command()
def show(
    factor: str = typer.Argument(help="factor · 因子"), as_json: bool = JSON, folder: str | None = LIBRARY
):
    """One factor, all its versions: value, validity, source, evidence, confirmation. 因子详情"""
    known = library.factors(folder)
    rows = _versions(known, factor)
    own = library.own_folder(folder)
    for row, one in zip(rows, known.of_id(factor), strict=True):
        row["evidence_found"] = library_folder.evidence(own, one)
    if as_json:
        put({"factor": factor, "versions": rows})
    else:
        for row in rows:
            for name, value in row.items():
                if value not in (None, ""):
                    print(f"{name}: {value}")
            print()
    return FINDING if any(row["evidence_found"] is False for row in rows) else OK


@app.command()
def diff(
    one: str = typer.Argument(metavar="FILE-or-DATE", help="factor set, package, or day · 文件或日期"),
    other: str | None = typer.Argument(None, metavar="[FILE-or-DATE]", help="default: today · 缺省为今日"),
    as_json: bool = JSON,
    folder: str | None = LIBRARY,
):
    """What differs between two libraries, or between what was valid on two days. 因子差异"""
    known = library.factors(folder)
    before = _state(one, known)
    if other is None and not _is_day(one):  # a file is compared with the newest of its own factors
        after = {id: _row(known.by_id[id]) for id in before if id in known.by_id}
    else:
        after = _state(other, known)
    rows = []
    for id in dict.fromkeys([*before, *after]):
        old, new = before.get(id), after.get(id)
        if old != new:
            what = "added" if old is None else "removed" if new is None else "changed"
            rows.append({"factor": id, "change": what, "before": old, "after": new})
    if as_json:
        put({"differences": rows})
        return FINDING if rows else OK
    for row in rows:
        print(f"{row['change']:8} {row['factor']}: {_brief(row['before'])} → {_brief(row['after'])}")
    if not rows:
        print(say("no difference", "无差异"))
    return FINDING if rows else OK


@app.command()
def confirm(
    factor: str = typer.Argument(help="factor · 因子"),
    document: str = typer.Option(..., help="printed text that was compared · 正式文本"),
    page: str = typer.Option(..., help="page or table · 页码或表号"),
    by: str = typer.Option(..., help="who compared · 核对人"),
    value: str | None = typer.Option(None, help="what is printed, where it differs · 印刷值（不同时）"),
    on: str | None = typer.Option(None, help="day, default today · 核对日期"),
    valid_from: str | None = typer.Option(None, help="first day it holds, default as it was · 生效日"),
    valid_to: str | None = typer.Option(None, help="last day it holds, default as it was · 失效日"),
    number: int | None = typer.Option(None, "--number", help="which version, default the newest · 版本序号"),
    key: Path | None = SIGN,
    as_json: bool = JSON,
    folder: str | None = LIBRARY,
):
    """Records that a person compared a factor with the print; a correction is a version beside the old. 核对因子"""
    own, known = _own(folder), library.factors(folder)
    _versions(known, factor)  # says what is near where it is unknown
    versions = known.of_id(factor)
    if number is not None and not 1 <= number <= len(versions):
        raise Failure(USAGE, f"{factor} has no version {number}", f"it has {len(versions)}")
    was, was_from = library_folder.was(versions[-1 if number is None else number - 1])
    record = {"factor": factor, "was": was, "was_from": was_from, "value": value, "document": document, "page": page,
              "by": by, "on": on or _today(), "valid_from": valid_from, "valid_to": valid_to,
              "public": None}  # fmt: skip
    with usage():
        written = library_folder.confirm(own, known, record, keys.load(key)[0] if key else None)
    rows = _versions(library.factors(folder), factor)
    if as_json:
        put({"confirmation": written, "versions": rows})
        return OK
    print(f"✓ {factor}: {rows[-1]['value']} {rows[-1]['unit']}, {rows[-1]['confirmation']}")
    return OK


@app.command()
def add(
    factor: str = typer.Argument(help="id, e.g. own/steam-2025 · 标识"),
    value: str = typer.Argument(help="number · 数值"),
    unit: str = typer.Argument(help="unit, e.g. tCO2/GJ · 单位"),
    name: str = typer.Option(..., help="Chinese name · 名称"),
    document: str = typer.Option(..., help="document it stands in, e.g. a test report · 文件"),
    valid_from: str | None = typer.Option(None, help="first day · 生效日"),
    valid_to: str | None = typer.Option(None, help="last day · 失效日"),
    uncertainty: str | None = typer.Option(None, help="as it is stated, e.g. ±5% · 不确定度"),
    evidence: Path | None = typer.Option(None, exists=True, dir_okay=False, help="file that proves it · 证明文件"),
    as_json: bool = JSON,
    folder: str | None = LIBRARY,
):
    """A factor of one's own, with its evidence. 自有因子"""
    row = {"id": factor, "name_zh": name, "value": value, "unit": unit, "document": document, "source": document,
           "basis": "found", "confidence": "high", "valid_from": valid_from, "valid_to": valid_to,
           "uncertainty": uncertainty}  # fmt: skip
    row = {key: value for key, value in row.items() if value is not None}
    own, known = _own(folder), library.factors(folder)
    with usage():
        row = library_folder.add(own, known, row, evidence)
    put(row) if as_json else print(f"✓ {row['id']}: {row['value']} {row['unit']}")
    return OK


@app.command()
def pack(
    files: list[Path] | None = typer.Argument(None, metavar="[FILE…]", help="methods and factor sets, JSON · 文件"),
    name: str = typer.Option(..., help="name of the library · 库名"),
    version: int = typer.Option(..., help="1, 2 … · 版本"),
    key: Path = typer.Option(..., "--key", exists=True, help="a file of carbonterm key operator · 制作方私钥"),
    output: Path = typer.Option(..., "-o", "--output", help="package to write · 输出文件"),
    as_json: bool = JSON,
):
    """Makes a signed, versioned library package; without FILE of all that ship. 制作因子库包"""
    paths = files or [*library.shipped_files("methods"), *library.shipped_files("factors")]
    with usage():
        kinds = ["method" if "sources" in library.read(path) else "factors" for path in paths]
        texts = [(kind, path.read_text("utf-8")) for kind, path in zip(kinds, paths, strict=True)]
        data = library_package.pack(name, version, time.time_ns() // 1_000_000, texts, keys.load(key)[0])
    output.write_bytes(data)
    package = library_package.parse(data)
    row = {**_package(package), "file": str(output), "bytes": len(data)}
    said = f"{output}: {name} {version}, {len(data)} B, {say('maker', '制作方')} {row['maker']}"
    put(row) if as_json else print(said)
    return OK


@app.command()
def unpack(
    source: str = typer.Argument(metavar="FILE|URL", help="library package · 因子库包"),
    maker: str = typer.Option(..., help="public key that you trust, 128 hex digits, or NAME:KEY · 信任的公钥"),
    as_json: bool = JSON,
    folder: str | None = LIBRARY,
):
    """Checks a package's signature and puts it into the library; older versions stay. 安装因子库包"""
    data = _fetched(source) if source.startswith(("http://", "https://")) else _bytes(source)
    try:
        trusted = bytes.fromhex(maker.rpartition(":")[2])
    except ValueError:
        raise Failure(USAGE, "--maker is no public key", "128 hex digits, as carbonterm key show prints them") from None
    own = _own(folder)
    try:
        package = library_package.parse(data)
        path = library_package.keep(own, package, trusted)
    except library_package.Untrusted as error:
        raise Failure(UNVERIFIED, error.what, error.hint) from None
    row = {**_package(package), "file": str(path)}
    put(row) if as_json else print(f"✓ {package.name} {package.version} → {path}")
    return OK


# --- the parts ---------------------------------------------------------------------------------------------------


def _versions(known, id):
    found = known.of_id(id)
    if found is None:
        with usage():
            known.factor(id, 0)  # says what is near
    return [{"number": number, **_row(factor)} for number, factor in enumerate(found, 1)]


def _row(factor):
    return {
        "id": factor.id, "name_zh": factor.name_zh, "value": str(factor.value), "unit": factor.unit,
        "valid_from": None if factor.start is None else text(factor.start, ZONE)[:10],
        "valid_to": None if factor.end is None else text(factor.end - 1, ZONE)[:10], "document": factor.document,
        "source": factor.source, "basis": factor.basis, "confidence": factor.confidence,
        "unconfirmed": factor.unconfirmed, "uncertainty": factor.uncertainty, "note": factor.note,
        "evidence": factor.evidence, "confirmation": factor.confirmation,
    }  # fmt: skip


def _within(row, known, when):
    factor = known.of_id(row["id"])[row["number"] - 1]
    return holds(factor.start, factor.end, when)


def _span(row):
    return f"{row['valid_from'] or '…'} – {row['valid_to'] or '…'}"


def _brief(row):
    return "-" if row is None else f"{row['value']} {row['unit']} ({_span(row)})"


def _is_day(word):
    return len(word) == 10 and word[4] == word[7] == "-" and not Path(word).exists()


def _state(word, known):
    """{id: row} of a file, of a package, or of what is valid on a day."""
    if word is None or _is_day(word):
        when = library.moment(word)
        found = {}
        for id in known.by_id:
            valid = [factor for factor in known.of_id(id) if holds(factor.start, factor.end, when)]
            if valid:
                found[id] = _row(valid[-1])
        return found
    if word.endswith(".json"):
        factors = load_factors(library.read(word))
    else:
        factors = Factors().joined(load_factors(*library_package.read(word).factors))
    return {id: _row(factor) for id, factor in factors.by_id.items()}


def _own(folder):
    found = library.own_folder(folder)
    if found is None:
        raise Failure(USAGE, "no library folder is named", f"give --library DIR, or set ${library.VARIABLE}")
    return found


def _today():
    return datetime.datetime.now(datetime.timezone(datetime.timedelta(minutes=ZONE))).date().isoformat()


def _package(package):
    return {"name": package.name, "version": package.version, "made": text(package.made_ms, ZONE),
            "maker": package.maker.hex(), "methods": [one["id"] for one in package.methods],
            "factors": [one["id"] for one in package.factors]}  # fmt: skip


def _bytes(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Failure(USAGE, f"{path}: {error.strerror}", "name a file of carbonterm factors pack") from None


def _fetched(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read(library_package.MAX_BYTES + 1)
    except (urllib.error.URLError, OSError) as error:
        raise Failure(UNREACHABLE, f"{url}: {error}", "check the address") from None
