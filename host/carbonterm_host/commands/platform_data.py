"""`carbonterm platform backup | restore | check | certify | export`: keeping its data (docs/platform_data.md)."""

from functools import partial
from pathlib import Path

import typer

from carbonterm.ledger.checkpoint import is_name
from carbonterm_host import gm_backends
from carbonterm_host.commands.key import public_of
from carbonterm_host.platform import keys
from carbonterm_host.platform.data import backup as backups
from carbonterm_host.platform.data import certify as certifying
from carbonterm_host.platform.data import export as exporting
from carbonterm_host.platform.data import integrity, jobs
from carbonterm_host.platform.store import Store
from carbonterm_host.screen import FINDING, JSON, OK, UNVERIFIED, USAGE, Failure, put, say

STORE = typer.Option(..., "--store", help="the platform's store, sqlite:///PATH · 存储")
KEY = typer.Option(None, help="file of the platform's SM2 key; default: STORE.key · 签名密钥")
NAME = typer.Option("platform", help="the platform's name · 名称")


_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration(text):
    """Milliseconds of a text like 24h, 7d, 30m, 10s or 0."""
    number, unit = (text, "s") if text == "0" else (text[:-1], text[-1:])
    if not (number.isascii() and number.isdigit() and len(number) <= 6 and unit in _UNITS):
        raise Failure(USAGE, f"{text!r} is no time", "write it like 24h, 7d, 30m or 10s")
    return int(number) * _UNITS[unit]


def tools():
    """{"verify", "digest"}: of the fastest back end here."""
    backend = gm_backends.best()
    return {
        "verify": partial(gm_backends.verify, backend=backend), "digest": partial(gm_backends.digest, backend=backend),
    }  # fmt: skip


def existing(url):
    """The Store of a file that is there; a wrong path must not make an empty one."""
    path = url.removeprefix("sqlite:///")
    if path == url or not Path(path).is_file():
        raise Failure(USAGE, f"{url!r} names no store that is there", "give the sqlite:///PATH that serve has")
    return Store(url)


def signer_of(store, key, name):
    path = key or Path(store.path + ".key")
    if not path.is_file():
        raise Failure(USAGE, f"there is no key file {path}", "name it with --key; serve made it at its first start")
    if not is_name(name):
        raise Failure(USAGE, f"--name {name!r} cannot name a key", "use printable ASCII without blanks and +")
    return keys.load_or_make(path)


def backup(
    file: Path = typer.Argument(metavar="FILE"),
    store: str = STORE,
    key: Path | None = KEY,
    name: str = NAME,
    as_json: bool = JSON,
):
    """Writes the whole store into one signed file; the platform may be running. 备份"""
    opened = existing(store)
    head = backups.write(opened, file, name, signer_of(opened, key, name), tools()["digest"])
    report = {"ok": True, "files": [str(file)], "logs": len(head.logs), "bytes": head.size}
    jobs.keep_report(opened, jobs.BACKUP, report)
    opened.close()
    return _told(as_json, head, file, "backed up", "已备份")


def restore(
    file: Path = typer.Argument(metavar="FILE"),
    store: str = STORE,
    public: str | None = typer.Option(None, help="public key of the platform that made it, 128 hex digits · 平台公钥"),
    as_json: bool = JSON,
):
    """Makes a store from a backup, where there is none; checks every digest first. 恢复"""
    path = store.removeprefix("sqlite:///")
    if path == store or not path:
        raise Failure(USAGE, f"{store!r} is no SQLite file", "give sqlite:///PATH")
    by = public_of(public, "--public", "give 128 hex digits, as serve prints them")
    head = backups.restore(file, path, by, **tools())
    return _told(as_json, head, path, "restored", "已恢复")


def check(
    store: str = STORE,
    fingerprints: bool = typer.Option(False, help="every signature, too: slow · 验证全部指纹"),
    as_json: bool = JSON,
):
    """Computes every log again from its bytes, and looks for data without metadata. Exit 1 on a finding. 完整性检查"""
    opened = existing(store)
    given = tools()
    report = integrity.check(opened, given["digest"], given["verify"] if fingerprints else None)
    jobs.keep_report(opened, jobs.CHECK, report)
    opened.close()
    if as_json:
        put(report)
        return OK if report["ok"] else FINDING
    for row in report["logs"]:
        print(f"{row['terminal']} {row['epoch']}: {row['entries']} " + say("entries", "条") + f", {row['root'][:16]}…")
        for text in row["findings"]:
            print("  ! " + text)
    for text in report["file"] + report["access"]:
        print("! " + text)
    for layer, count in report["flagged"].items():
        if count:
            print(say(f"! layer {layer}: {count} rows without metadata", f"! {layer} 层：{count} 行无元数据"))
    print(say("the store is whole", "存储完整") if report["ok"] else say("there are FINDINGS", "发现问题"))
    return OK if report["ok"] else FINDING


def certify(
    bundle: Path = typer.Argument(metavar="FILE.bundle"),
    store: str = STORE,
    by: str = typer.Option(..., metavar="WHO", help="who answers for the result · 认证人"),
    key: Path | None = KEY,
    name: str = NAME,
    as_json: bool = JSON,
):
    """Verifies a bundle against what the platform holds, and keeps the signed result. Exit 4 if not good. 认证"""
    opened = existing(store)
    result = certifying.certify(opened, bundle, by, name, signer_of(opened, key, name), **tools())
    opened.close()
    if as_json:
        put(result)
    else:
        for reason in result["reasons"]:
            print("! " + reason)
        print(say("certified", "认证通过") if result["ok"] else say("NOT certified", "认证未通过"))
    return OK if result["ok"] else UNVERIFIED


def export(
    folder: Path = typer.Argument(metavar="DIR"),
    store: str = STORE,
    terminal: str = typer.Option(..., metavar="ID", help="of which terminal · 终端"),
    year: int = typer.Option(..., help="which year, in the site's zone · 年份"),
    as_json: bool = JSON,
):
    """Writes a year of a terminal's data: one CSV file per layer, with digests. 导出"""
    opened = existing(store)
    manifest = exporting.year(opened, terminal, year, folder)
    opened.close()
    if as_json:
        put({"folder": str(folder), **manifest})
    else:
        for file, row in manifest["files"].items():
            print(f"{folder / file}: {row['rows']} " + say("rows", "行") + f", SM3 {row['sm3'][:16]}…")
    return OK


def _told(as_json, head, path, done, zh):
    if as_json:
        put({"file": str(path), **head.report()})
        return OK
    entries = sum(row[2] for row in head.logs)
    print(say(f"{done}: {path}, {len(head.logs)} logs, {entries} entries",
              f"{zh}：{path}，{len(head.logs)} 个日志，{entries} 条"))  # fmt: skip
    return OK


COMMANDS = {"backup": backup, "restore": restore, "check": check, "certify": certify, "export": export}
