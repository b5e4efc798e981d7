"""carbonterm gm: SM3 digests and SM2 signatures on the command line, by three implementations that share no code."""

import re
import sys
from enum import StrEnum

import typer

from carbonterm.errors import GmError, quoted
from carbonterm.gm.der import signature_from_der
from carbonterm_host import gm_backends
from carbonterm_host.screen import JSON, OK, UNVERIFIED, USAGE, Failure, console, put, say

Backend = StrEnum("Backend", {name: name for name in gm_backends.BACKENDS})
BACKEND = typer.Option(Backend.core, help="core: ours, openssl: libcrypto 3, gmssl: from PyPI · 算法实现")

app = typer.Typer(help="National cryptography: SM3, SM2. 国密算法。", add_completion=False, no_args_is_help=True)


@app.command()
def sm3(
    data: str = typer.Argument(metavar="HEX|-", help="bytes in hex, or - for raw stdin · 十六进制，- 读标准输入"),
    backend: Backend = BACKEND,
    as_json: bool = JSON,
):
    """SM3 digest (GB/T 32905-2016). SM3 摘要。"""
    message = _message(data, "HEX")
    digest = _run(gm_backends.digest, message, backend.value).hex()
    if as_json:
        put({"digest": digest, "bytes": len(message), "backend": backend.value})
    else:
        print(digest)


@app.command()
def verify(
    public: str = typer.Option(help="x||y, 128 hex digits, or 130 with the leading 04 · 公钥"),
    message: str = typer.Option(metavar="HEX|-", help="signed bytes in hex, or - for raw stdin · 被签名的字节"),
    signature: str = typer.Option(help="r||s, 128 hex digits, or DER · 签名"),
    backend: Backend = BACKEND,
    as_json: bool = JSON,
):
    """SM2 signature with SM3 and the ID 1234567812345678 (GB/T 32918.2-2016). SM2 验签。

    Exit code 0 if the signature is valid, 4 if not, 2 for a wrong call.
    """
    key = _unhex(public, "--public")
    if len(key) == 65 and key[0] == 4:
        key = key[1:]
    raw = _unhex(signature, "--signature")
    if len(raw) != 64 and raw[:1] == b"\x30":
        raw = _from_der(raw)
    valid = _run(gm_backends.verify, key, _message(message, "--message"), raw, backend.value)
    if as_json:
        put({"valid": valid, "backend": backend.value})
    else:
        console().print(say("valid", "有效") if valid else say("NOT valid", "无效"), style="green" if valid else "red")
        for said in _lengths(key, raw):
            print("  → " + said, file=sys.stderr)
    return OK if valid else UNVERIFIED


def _lengths(key, signature):
    if len(key) != 64:
        yield say(f"a public key has 64 bytes, this one {len(key)}", f"公钥应为 64 字节，此处为 {len(key)} 字节")
    if len(signature) != 64:
        size = len(signature)
        yield say(f"a signature has 64 bytes or is DER, this one has {size}", f"签名应为 64 字节或 DER，此处 {size}")


def _from_der(der):
    try:
        return signature_from_der(der)
    except GmError:
        return der  # verification says False to its length


def _run(function, *arguments):
    try:
        return function(*arguments)
    except GmError as error:  # a backend that is not installed
        raise Failure(USAGE, error.what, error.hint) from None


def _message(text, name):
    return sys.stdin.buffer.read() if text == "-" else _unhex(text, name)


def _unhex(text, name):
    digits = re.sub(r"\s", "", text)
    wrong = re.search(r"[^0-9a-fA-F]", digits)
    if wrong:
        raise Failure(
            USAGE, f"{quoted(wrong[0])}, character {wrong.start() + 1} of {name}, is no hex digit",
            "write bytes as hex digits without 0x, like 616263 for abc",
        )  # fmt: skip
    if len(digits) % 2:
        raise Failure(
            USAGE, f"{name} has {len(digits)} hex digits, an odd number", "a byte has two digits: is one lost?"
        )
    return bytes.fromhex(digits)
