"""`carbonterm key operator | register | revoke | show`: the operator's side of terminals' keys (docs/keys.md)."""

import os
import secrets
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import typer

from carbonterm import clock
from carbonterm.errors import CarbonError, GmError
from carbonterm.gm import der, sm2
from carbonterm.ledger.checkpoint import is_name
from carbonterm.ledger.registry import MAX_BYTES, Registration, Revocation
from carbonterm.uplink.message import MAX_ANSWER, Refusal
from carbonterm_host.screen import JSON, OK, UNREACHABLE, UNVERIFIED, USAGE, Failure, put, say

app = typer.Typer(no_args_is_help=True, help="operators' keys, registrations, revocations · 密钥登记与吊销")

_HEAD = "carbonterm operator "
KEY = typer.Option(..., "--operator-key", exists=True, help="file of carbonterm key operator · 运营方私钥")
OUTPUT = typer.Option(None, "-o", "--output", help="file to write · 输出文件")
PLATFORM = typer.Option(None, help="https://HOST:PORT: send it there · 发送到平台")
CA = typer.Option(None, exists=True, help="CA of the platform's certificate, PEM")


@app.command()
def operator(
    name: str = typer.Argument(help="name in registrations, e.g. a domain · 名称"),
    output: Path = typer.Option(..., "-o", "--output", help="new file for the key, mode 0600 · 私钥文件"),
    as_json: bool = JSON,
):
    """Makes an operator's key; prints its public half for `platform serve --operator`. 生成运营方密钥"""
    if not is_name(name) or ":" in name:
        raise Failure(USAGE, f"{name!r} cannot name a key", "use printable ASCII without blanks, + and :")
    signer, private = _new()
    text = _HEAD + name + "\n" + der.private_to_pem(private, signer.public)
    try:
        number = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failure(USAGE, f"{output}: {error.strerror}", "name a file that does not exist yet") from None
    with open(number, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if as_json:
        put({"operator": name, "public_key": signer.public.hex(), "file": str(output)})
    else:
        print(say("keep the file offline, with a copy", "请离线保存该文件并备份") + f": {output}", file=sys.stderr)
        print(f"{name}:{signer.public.hex()}")
    return OK


@app.command()
def register(
    request: Path = typer.Argument(help="NNNNN.reg of the terminal's data folder, or its request in hex · 登记请求"),
    operator_key: Path = KEY,
    terminal: str | None = typer.Option(None, help="the terminal it must be for · 终端编号"),
    output: Path | None = OUTPUT,
    platform: str | None = PLATFORM,
    ca: Path | None = CA,
    as_json: bool = JSON,
):
    """Signs a terminal's request (what --init printed) after checking that the device has its key. 登记终端密钥"""
    signer, name = load(operator_key)
    asked = Registration.decode(_bytes(request))
    if not asked.possessed():
        raise Failure(UNVERIFIED, "the device did not sign its request", "ask it again: carbonterm_device --init")
    if asked.operator != name:
        raise Failure(USAGE, f"the request is for operator {asked.operator}, this is {name}'s key", "use that key")
    if terminal is not None and asked.terminal_id != terminal:
        raise Failure(USAGE, f"the request is of {asked.terminal_id}, not of {terminal}", "is it the right device?")
    signed = asked.authorised(signer.sign)
    _deliver(signed.encode(), output, platform, "registrations", ca)
    _tell(as_json, signed)
    return OK


@app.command()
def revoke(
    terminal: str = typer.Argument(help="terminal id · 终端编号"),
    epoch: int = typer.Argument(help="0, 1, 2 … · 纪元"),
    operator_key: Path = KEY,
    seq: int = typer.Option(..., "--from", help="first entry that is not to be believed · 起始条目"),
    reason: str = typer.Option(..., help="why · 原因"),
    before: str | None = typer.Option(None, help="time in RFC 3339, default now: only what a centre cosigned before"),
    output: Path | None = OUTPUT,
    platform: str | None = PLATFORM,
    ca: Path | None = CA,
    as_json: bool = JSON,
):
    """Takes back the key of an epoch: later entries, and what no centre saw before, are flagged. 吊销密钥"""
    signer, _ = load(operator_key)
    time_ms = time.time_ns() // 1_000_000 if before is None else clock.parse(before)
    made = Revocation.make(terminal, epoch, seq, time_ms, reason, signer.sign)
    Revocation.decode(made.encode())
    _deliver(made.encode(), output, platform, "revocations", ca)
    _tell(as_json, made)
    return OK


@app.command()
def show(
    file: Path = typer.Argument(help="an operator's key, a registration or a revocation · 文件"),
    as_json: bool = JSON,
):
    """Says what a file holds; never a private key. 查看"""
    data = _bytes(file)
    if data.startswith(_HEAD.encode()):
        signer, name = load(file)
        if as_json:
            put({"operator": name, "public_key": signer.public.hex()})
        else:
            print(f"{name}:{signer.public.hex()}")
        return OK
    try:
        found = Registration.decode(data)
    except CarbonError:
        found = Revocation.decode(data)
    _tell(as_json, found)
    return OK


def load(path):
    """(Signer, name) of an operator's key file; GmError where it is none."""
    try:
        head, _, pem = path.read_text(encoding="ascii").partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise GmError(f"{path} cannot be read: {error}", "give a file of carbonterm key operator") from None
    name = head.removeprefix(_HEAD)
    if not head.startswith(_HEAD) or not is_name(name):
        raise GmError(f"{path} is no operator's key", "give a file of carbonterm key operator")
    return sm2.Signer(der.private_from_pem(pem)), name


def public_of(text, option, hint="give its 128 hex digits"):
    """The 64 bytes of a public key that was given as 128 hex digits with an option; None where none was given."""
    if text is None:
        return None
    try:
        public = bytes.fromhex(text)
    except ValueError:
        public = b""
    if len(public) != 64:
        raise Failure(USAGE, f"{option} is not a public key", hint)
    return public


def _new():
    while True:
        private = secrets.token_bytes(32)
        try:
            return sm2.Signer(private), private
        except GmError:  # 0 or above n - 2: once in 2^32
            continue


def _bytes(path):
    """The file's bytes; hex digits are turned into what they say."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Failure(USAGE, f"{path} cannot be read: {error.strerror}", "name a file") from None
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError:
        return data


def _deliver(data, output, platform, what, ca):
    if output is None and platform is None:
        raise Failure(USAGE, "nowhere to put it", "give -o FILE, --platform URL or both")
    if platform is not None:
        _post(f"{platform.rstrip('/')}/v1/{what}", data, ca)
    if output is not None:
        draft = output.with_name(output.name + ".new")
        try:
            draft.write_bytes(data)
            os.replace(draft, output)
        except OSError as error:
            raise Failure(USAGE, f"{output}: {error.strerror}", "choose another file with -o") from None


def _post(url, data, ca):
    if not url.startswith(("https://", "http://")):
        raise Failure(USAGE, f"--platform {url} is no address", "give https://HOST:PORT")
    context = ssl.create_default_context(cafile=ca) if url.startswith("https") else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/cbor"})
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            answer.read(MAX_BYTES)
    except urllib.error.HTTPError as error:
        try:
            refusal = Refusal.decode(error.read(MAX_ANSWER + 1))
        except CarbonError:
            raise Failure(UNREACHABLE, f"{url} answered with {error.code}", "is it a carbonterm platform?") from None
        raise Failure(
            UNVERIFIED, f"the platform refused: {refusal.code} ({refusal.reason})", "see docs/keys.md"
        ) from None
    except (OSError, ValueError) as error:
        raise Failure(UNREACHABLE, f"{url} gave no answer: {error}", "check the address and --ca") from None


def _tell(as_json, found):
    if isinstance(found, Registration):
        row = {
            "registration": found.terminal_id, "epoch": found.epoch, "public_key": found.public.hex(),
            "operator": found.operator, "time": clock.text(found.time_ms, 0), "signed": bool(found.operator_signature),
            "previous": found.previous and [found.previous[0], found.previous[1], found.previous[2].hex()],
        }  # fmt: skip
    else:
        row = {
            "revocation": found.terminal_id, "epoch": found.epoch, "from": found.seq,
            "time": clock.text(found.time_ms, 0), "reason": found.reason,
        }  # fmt: skip
    if as_json:
        put(row)
        return
    for name, value in row.items():
        print(f"{name}: {value}")
