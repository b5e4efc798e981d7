"""`carbonterm verify`: is a bundle what its terminal wrote, all of it and nothing else?"""

import hashlib
import time
from enum import StrEnum
from functools import partial
from pathlib import Path

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm.errors import ClockError
from carbonterm.gm import sm3
from carbonterm.ledger import checkpoint as checkpoints
from carbonterm.ledger import proof
from carbonterm.ledger.tree import Tree
from carbonterm_host import gm_backends, single_proof, witness
from carbonterm_host.authority import Heads
from carbonterm_host.bundles import open_bundle
from carbonterm_host.commands.key import public_of
from carbonterm_host.screen import JSON, OK, UNVERIFIED, USAGE, Failure, console, put, say
from carbonterm_host.verifier import Verifier

LABELS = {
    "encoding": "编码规范", "fingerprints": "指纹", "keys": "密钥", "tree": "日志树", "checkpoints": "检查点",
    "sequence": "顺序完整", "policy": "封存策略", "platform": "平台比对",
}  # fmt: skip


class Backend(StrEnum):
    core = "core"
    openssl = "openssl"
    gmssl = "gmssl"


def main(
    file: list[Path] = typer.Argument(help="FILE.bundle or FILE.proof; two bundles are compared"),
    backend: Backend = typer.Option(Backend.core, help="whose SM2 and SM3 · 密码实现"),
    key: list[str] = typer.Option([], help="public key it must have, 128 hex digits; one per epoch · 公钥"),
    operator: list[str] = typer.Option([], help="public key of an operator you trust · 运营方公钥"),
    centre: list[str] = typer.Option([], help="public key of a centre you trust · 平台公钥"),
    checkpoint: list[Path] = typer.Option([], help="file of a checkpoint that came another way · 另得的检查点"),
    at: str | None = typer.Option(None, help="ISO 8601: nothing may be later; default now · 核验时刻"),
    platform: str | None = typer.Option(None, help="https://HOST:PORT: compare with what it holds · 与平台比对"),
    ca: Path | None = typer.Option(None, exists=True, help="CA of the platform's certificate, PEM"),
    json: bool = JSON,
):
    """Check a bundle or a proof: encoding, fingerprints, keys, tree, checkpoints, sequence, policy · 核验日志."""
    keys = [_key(text) for text in key]
    trust = {
        "operators": [_key(text, "--operator") for text in operator],
        "witnesses": [_key(text, "--centre") for text in centre],
        "heads": [_head(path) for path in checkpoint],
    }
    at_ms = _moment(at)
    if len(file) > 2:
        raise Failure(USAGE, "more than two files", "compare two bundles at a time")
    reports = []
    for path in file:
        with open_bundle(path) as opened:
            begin = opened.read(64)
            if proof.is_proof(begin):
                report = proof_report(begin + opened.read(proof.MAX_PROOF), keys, tools(backend.value), **trust)
            else:
                opened.seek(0)
                verifier = Verifier(keys, **tools(backend.value), **trust, at_ms=at_ms)
                verifier.read(opened)
                held = _compare(path, verifier, platform, ca, tools(backend.value)) if platform else None
                report = verifier.report()
                if held:
                    _judge(report, held)
        reports.append(report)
    report = reports[0] if len(file) == 1 else _pair(file, reports, tools(backend.value))
    if json:
        put(report)
    else:
        for one in reports:
            show(one)
        if len(file) == 2:
            _show_pair(report)
    return OK if report["ok"] else UNVERIFIED


def _compare(path, verifier, url, ca, options):
    """What the platform holds of the bundle: {"url", "epochs": [{"epoch", "held", "of", "same"}]}; its right word
    counts as a witness's (7.4: a fingerprint kept there for comparison)."""
    rows = []
    for epoch, size in sorted(verifier.sizes.items()):
        receipt = witness.ask(url, verifier.terminal_id, epoch, size, ca)
        held = 0 if receipt is None else receipt.next_seq
        same = True
        if receipt is not None:
            public = verifier.centres.get(receipt.centre)
            witnesses = verifier.authority.witnesses or ([public] if public else [])
            mine = (receipt.terminal_id, receipt.epoch) == (verifier.terminal_id, epoch) and held <= size
            signer = next((one for one in witnesses if receipt.signed_by(one, options["verify"])), None)
            same = mine and (signer is not None or not witnesses)
            same = same and receipt.root == _root(path, verifier, epoch, held, options)
            newest = witness.ask(url, verifier.terminal_id, epoch, None, ca).next_seq
            if newest > size:
                more = f"the platform holds {newest} entries of epoch {epoch}, the bundle {size}: "
                verifier.authority.notes.append(more + "it was pulled before, or its end was cut off")
            if same and signer:
                verifier.authority.witnessed(epoch, held, receipt.time_ms, signer)
        rows.append({"epoch": epoch, "held": held, "of": size, "same": same})
    return {"url": url, "epochs": rows}


def _judge(report, platform):
    """Adds the verdict "platform": does it hold the same entries?"""
    rows = platform["epochs"]
    verdict = True if rows else None
    if not all(row["same"] for row in rows):
        verdict = False
        report["reasons"]["platform"] = "the platform holds other entries than this bundle: one of the two was changed"
    elif not rows or any(row["held"] < row["of"] for row in rows):
        verdict = None
        report["reasons"]["platform"] = "the platform does not hold all entries; those it holds are the same"
    report["platform"] = platform
    report["verdicts"]["platform"] = verdict
    report["ok"] = report["ok"] and verdict is True


def _root(path, verifier, epoch, size, options):
    if size == verifier.sizes[epoch]:
        return verifier.roots[epoch]
    again = Verifier(**{**options, "verify": lambda *_: True})
    again.heads = Heads((), [(epoch, size)])
    with open_bundle(path) as opened:
        again.read(opened)
    return Tree(options["digest"]).root() if size == 0 else again.heads.roots.get((epoch, size))


def _pair(files, reports, options):
    with open_bundle(files[0]) as first, open_bundle(files[1]) as second:
        fork = witness.clone(first, second, options["hasher"], options["verify"])
    same = reports[0].get("terminal") == reports[1].get("terminal")
    return {
        "ok": all(one["ok"] for one in reports) and fork is None and same, "same_terminal": same, "fork": fork,
        "bundles": [{"file": str(path), **one} for path, one in zip(files, reports, strict=True)],
    }  # fmt: skip


def _show_pair(report):
    out = console()
    fork = report["fork"]
    if not report["same_terminal"]:
        out.print(say("two terminals: nothing to compare", "不是同一终端，无法比对"))
    elif fork is None:
        out.print(say("no entry differs: one history", "记录一致：同一历史"))
    else:
        out.print(say(f"a FORK: entry {fork['seq']} of epoch {fork['epoch']} differs; the key was used twice",
                      f"分叉：纪元 {fork['epoch']} 第 {fork['seq']} 条不同，密钥被重复使用"))  # fmt: skip
        for one in fork["leaves"]:
            signed = say("signed", "已签名") if one["signed"] else say("NOT signed", "未签名")
            out.print(f"  {one['leaf']} ({signed})")


def proof_report(data, trusted, options, **trust):
    """The object that `carbonterm verify --json` prints for a proof file, by the back end of `options`."""
    return single_proof.report(data, trusted, verify=options["verify"], digest=options["digest"], **trust)


def tools(backend):
    """Keyword arguments of Verifier for a back end's name; the digest over the file is no secret and may be ours."""
    fast = backend == "openssl" and "sm3" in hashlib.algorithms_available
    return {
        "verify": partial(gm_backends.verify, backend=backend),
        "digest": partial(gm_backends.digest, backend=backend),
        "hasher": partial(hashlib.new, "sm3") if fast else sm3.Hash,
    }


def _head(path):
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"--checkpoint {path} cannot be read: {error}", "give a checkpoint's text") from None
    checkpoints.parse(text)
    return text


def _moment(text):
    if text is None:
        return time.time_ns() // 1000000
    try:
        return clock.parse(text)
    except ClockError as error:
        raise Failure(USAGE, f"--at {text}: {error.what}", "give a time like 2026-11-21T08:00:00+08:00") from None


def _key(text, option="--key"):
    return public_of(text, option, "give 128 hex digits, as in the terminal's .pub file")


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
        out.print(say("{entries} entries, {checkpoints} checkpoints, {unsealed} behind the last; seen by no centre: "
                      "{unwitnessed}",
                      "{entries} 条记录，{checkpoints} 个检查点，其后 {unsealed} 条；无平台见证：{unwitnessed} 条")
                  .format(**report))  # fmt: skip
        if report["begins"]:
            epoch = report["keys"][0]["epoch"] if report["keys"] else 0
            out.print(say("begins with entry {0} of epoch {1}: what came before was dropped from the terminal",
                          "自纪元 {1} 第 {0} 条起：此前的记录已从终端清除")
                      .format(report["begins"], epoch))  # fmt: skip
    elif "entry" in report:
        out.print(say("entry {seq} ({kind}) of epoch {epoch}, terminal ", "纪元 {epoch} 第 {seq} 条（{kind}），终端 ")
                  .format(**report["entry"]) + report["terminal"])  # fmt: skip
    for note in report.get("notes", ()):
        out.print(note)
    for row in report.get("keys", ()):
        known = say("given", "已知") if row["known"] else say("compare it with the terminal's", "请与终端公钥核对")
        out.print(say("key of epoch", "密钥，纪元"), f"{row['epoch']}: {row['public'][:16]}… ({known})")
    if report["ok"] and not report.get("anchored", True):
        out.print(say("whose keys these are is the bundle's own word; --key, --operator or --centre decides it",
                      "密钥归属仅凭本文件所述；用 --key、--operator 或 --centre 确认"))  # fmt: skip
    out.print(say("verified", "核验通过") if report["ok"] else say("NOT verified", "核验未通过"))
