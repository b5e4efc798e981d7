"""`carbonterm verify`: is a bundle what its terminal wrote, all of it and nothing else?"""

import hashlib
from enum import StrEnum
from functools import partial
from pathlib import Path

import typer
from rich.table import Table

from carbonterm.errors import LedgerError
from carbonterm.gm import sm3
from carbonterm.ledger import entry, proof
from carbonterm_host import gm_backends
from carbonterm_host.bundles import open_bundle
from carbonterm_host.screen import JSON, OK, UNVERIFIED, USAGE, Failure, console, put, say
from carbonterm_host.verifier import Verifier

LABELS = {
    "encoding": "编码规范", "fingerprints": "指纹", "keys": "密钥", "tree": "日志树", "checkpoints": "检查点",
    "sequence": "顺序完整", "policy": "封存策略",
}  # fmt: skip


class Backend(StrEnum):
    core = "core"
    openssl = "openssl"
    gmssl = "gmssl"


def main(
    file: Path = typer.Argument(help="FILE.bundle or FILE.proof"),
    backend: Backend = typer.Option(Backend.core, help="whose SM2 and SM3 · 密码实现"),
    key: list[str] = typer.Option([], help="public key it must have, 128 hex digits; one per epoch · 公钥"),
    json: bool = JSON,
):
    """Check a bundle or a proof: encoding, fingerprints, keys, tree, checkpoints, sequence, policy · 核验日志."""
    keys = [_key(text) for text in key]
    with open_bundle(file) as opened:
        begin = opened.read(64)
        if proof.is_proof(begin):
            report = proof_report(begin + opened.read(proof.MAX_PROOF), keys, tools(backend.value))
        else:
            opened.seek(0)
            verifier = Verifier(keys, **tools(backend.value))
            verifier.read(opened)
            report = verifier.report()
    if json:
        put(report)
    else:
        show(report)
    return OK if report["ok"] else UNVERIFIED


def proof_report(data, trusted, options):
    """The object that `carbonterm verify --json` prints for a proof file: the verdicts that one entry can have."""
    report = {"ok": False, "verdicts": dict.fromkeys(proof.VERDICTS), "reasons": {}}
    try:
        found = proof.decode(data)
    except LedgerError as error:
        report["verdicts"]["encoding"] = False
        report["reasons"] = {"encoding": str(error)}
        return report
    verdicts, reasons = proof.check(found, trusted, options["verify"], options["digest"])
    kind = entry.decode(found.entry).kind if verdicts["encoding"] else None
    return {
        "ok": all(verdicts.values()), "verdicts": verdicts, "reasons": reasons, "terminal": found.terminal_id,
        "entry": {"epoch": found.epoch, "seq": found.seq, "kind": kind if kind is None else entry.KINDS[kind]},
        "checkpoint": found.size, "cosignatures": len(found.centres),
        "keys": [{"epoch": found.epoch, "public": found.public.hex(), "known": found.public in trusted}],
    }  # fmt: skip


def tools(backend):
    """Keyword arguments of Verifier for a back end's name; the digest over the file is no secret and may be ours."""
    fast = backend == "openssl" and "sm3" in hashlib.algorithms_available
    return {
        "verify": partial(gm_backends.verify, backend=backend),
        "digest": partial(gm_backends.digest, backend=backend),
        "hasher": partial(hashlib.new, "sm3") if fast else sm3.Hash,
    }


def _key(text):
    try:
        public = bytes.fromhex(text)
    except ValueError:
        public = b""
    if len(public) != 64:
        raise Failure(USAGE, "--key is not a public key", "give 128 hex digits, as in the terminal's .pub file")
    return public


def show(report):
    """The verdicts as a table, each with its first reason."""
    table = Table(box=None, header_style="bold")
    table.add_column(say("verdict", "项目"))
    table.add_column("")
    table.add_column(say("first reason", "首个原因"))
    words = {True: say("yes", "是"), False: say("NO", "否"), None: say("unknown", "未知")}
    for name in report["verdicts"]:
        table.add_row(say(name, LABELS[name]), words[report["verdicts"][name]], report["reasons"].get(name, ""))
    out = console()
    out.print(table)
    if "entries" in report:
        out.print(say("{entries} entries, {checkpoints} checkpoints, {unsealed} behind the last",
                      "{entries} 条记录，{checkpoints} 个检查点，其后 {unsealed} 条").format(**report))  # fmt: skip
    elif "entry" in report:
        out.print(say("entry {seq} ({kind}) of epoch {epoch}, terminal ", "纪元 {epoch} 第 {seq} 条（{kind}），终端 ")
                  .format(**report["entry"]) + report["terminal"])  # fmt: skip
    for row in report.get("keys", ()):
        known = say("given", "已知") if row["known"] else say("compare it with the terminal's", "请与终端公钥核对")
        out.print(say("key of epoch", "密钥，纪元"), f"{row['epoch']}: {row['public'][:16]}… ({known})")
    out.print(say("verified", "核验通过") if report["ok"] else say("NOT verified", "核验未通过"))
