"""carbonterm gm: SM2, SM3, SM4 and HMAC-SM3 on the command line, by three implementations that share no code.

Secrets come from files only: what stands on a command line, every process of the machine can read.
"""

import os
import re
import secrets
import sys
from enum import StrEnum
from pathlib import Path

import typer

from carbonterm.errors import GmError, quoted
from carbonterm.gm import der, sm2_encrypt
from carbonterm.gm.curve import on_curve
from carbonterm.gm.der import signature_from_der
from carbonterm_host import gm_backends, gm_ciphers
from carbonterm_host.screen import JSON, OK, UNVERIFIED, USAGE, Failure, console, put, say

Backend = StrEnum("Backend", {name: name for name in gm_backends.BACKENDS})
Mode = StrEnum("Mode", {name: name for name in ("cbc", "ctr", "gcm")})
BACKEND = typer.Option(Backend.core, help="core: ours, openssl: libcrypto 3, gmssl: from PyPI · 算法实现")
DATA = typer.Argument(metavar="HEX|@FILE|-", help="bytes in hex, a file, or - for raw stdin · 十六进制、文件或标准输入")
PUBLIC = typer.Option(help="x||y, 128 hex digits, or 130 with the leading 04 · 公钥")
PRIVATE = typer.Option(exists=True, dir_okay=False, help="file: PEM, 32 bytes or 64 hex digits · 私钥文件")
SECRET = typer.Option(exists=True, dir_okay=False, help="file of the key: 16 bytes or 32 hex digits · 密钥文件")
OUTPUT = typer.Option(None, "-o", "--output", help="raw bytes into a file instead of hex · 输出文件")
DER = typer.Option(False, "--der", help="DER as in GM/T 0009-2012 · 输出 DER")

app = typer.Typer(
    help="National cryptography: SM2, SM3, SM4. 国密算法。", add_completion=False, no_args_is_help=True
)


@app.command()
def sm3(
    data: str = DATA,
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
    public: str = PUBLIC,
    message: str = typer.Option(metavar="HEX|@FILE|-", help="signed bytes, as for sm3 · 被签名的字节"),
    signature: str = typer.Option(help="r||s, 128 hex digits, or DER · 签名"),
    backend: Backend = BACKEND,
    as_json: bool = JSON,
):
    """SM2 signature with SM3 and the ID 1234567812345678 (GB/T 32918.2-2016). SM2 验签。

    Exit code 0 if the signature is valid, 4 if not, 2 for a wrong call.
    """
    key = _public(public)
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


@app.command()
def sign(
    data: str = DATA,
    private: Path = PRIVATE,
    as_der: bool = DER,
    output: Path | None = OUTPUT,
    backend: Backend = BACKEND,
    as_json: bool = JSON,
):
    """SM2 signature with SM3 and the ID 1234567812345678. SM2 签名。"""
    raw = _run(gm_backends.sign, _private(private), _message(data, "HEX"), backend.value)
    return _out("signature", der.signature_to_der(raw) if as_der else raw, output, as_json, backend)


@app.command()
def encrypt(
    data: str = DATA,
    public: str = PUBLIC,
    as_der: bool = DER,
    output: Path | None = OUTPUT,
    backend: Backend = BACKEND,
    as_json: bool = JSON,
):
    """SM2 encryption, C1C3C2 without 04 (GB/T 32918.4-2016). SM2 加密。"""
    raw = _run(gm_ciphers.encrypt, _public(public), _message(data, "HEX"), backend.value)
    return _out("ciphertext", der.ciphertext_to_der(raw) if as_der else raw, output, as_json, backend)


@app.command()
def decrypt(
    data: str = DATA,
    private: Path = PRIVATE,
    output: Path | None = OUTPUT,
    backend: Backend = BACKEND,
    as_json: bool = JSON,
):
    """SM2 decryption of C1C3C2, with or without 04, or DER. Exit code 4 if it is not for this key. SM2 解密。"""
    ciphertext, key = _message(data, "HEX"), _private(private)
    try:
        ciphertext = der.ciphertext_from_der(ciphertext)
    except GmError:
        x, y = int.from_bytes(ciphertext[1:33], "big"), int.from_bytes(ciphertext[33:65], "big")
        if ciphertext[:1] == b"\4" and len(ciphertext) > sm2_encrypt.OVERHEAD + 1 and on_curve(x, y):
            ciphertext = ciphertext[1:]
    plain = _run(gm_ciphers.decrypt, key, ciphertext, backend.value, code=UNVERIFIED)
    return _out("plain", plain, output, as_json, backend)


@app.command()
def hmac(
    data: str = DATA,
    key: Path = typer.Option(exists=True, dir_okay=False, help="file of the key, its raw bytes · 密钥文件"),
    backend: Backend = BACKEND,
    as_json: bool = JSON,
):
    """HMAC-SM3 with the bytes of a file as the key. HMAC-SM3 消息鉴别码。"""
    return _out("mac", _run(gm_ciphers.hmac, _file(key), _message(data, "HEX"), backend.value), None, as_json, backend)


@app.command()
def sm4(
    data: str = DATA,
    key: Path = SECRET,
    mode: Mode = typer.Option(Mode.gcm, help="gcm also says whether the message was changed · 工作模式"),
    decrypt: bool = typer.Option(False, "--decrypt", help="the other way · 解密"),
    iv: str | None = typer.Option(None, help="initial value in hex; without it a random one goes first · 初始向量"),
    aad: str = typer.Option("", metavar="HEX|@FILE", help="for gcm: bytes under the tag that are not encrypted"),
    output: Path | None = OUTPUT,
    backend: Backend = BACKEND,
    as_json: bool = JSON,
):
    """SM4 encryption and decryption, GB/T 32907-2016. Exit code 4 for a wrong tag or padding. SM4 加解密。"""
    content, size = _message(data, "HEX"), 12 if mode is Mode.gcm else 16
    if aad and mode is not Mode.gcm:
        raise Failure(USAGE, f"--aad is not for {mode.value}", "use --mode gcm")
    first = b""
    if iv is not None:
        initial = _unhex(iv, "--iv")
    elif decrypt:
        initial, content = content[:size], content[size:]
    else:
        first = initial = secrets.token_bytes(size)
    values = [_secret(key, 16), initial, content]
    if mode is Mode.gcm:
        values.append(_message(aad, "--aad"))
    if mode is not Mode.ctr:
        values.append(decrypt)
    function = {Mode.cbc: gm_ciphers.cbc, Mode.ctr: gm_ciphers.ctr, Mode.gcm: gm_ciphers.gcm}[mode]
    out = first + _run(function, *values, backend.value, code=UNVERIFIED if decrypt else USAGE)
    return _out("plain" if decrypt else "ciphertext", out, output, as_json, backend)


def _out(name, value, output, as_json, backend):
    """Prints bytes in hex, or writes them to a file that only the user can read."""
    said = {name: value.hex()}
    if output is not None:
        said = {"file": str(output)}
        try:
            with open(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(value)
        except OSError as error:
            raise Failure(USAGE, f"{output}: {error.strerror}", "name another file with -o") from None
    if as_json:
        put({**said, "bytes": len(value), "backend": backend.value})
    elif output is None:
        print(value.hex())
    return OK


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


def _run(function, *arguments, code=USAGE):
    try:
        return function(*arguments)
    except GmError as error:
        raise Failure(code, error.what, error.hint) from None


def _message(text, name):
    if text.startswith("@"):
        return _file(Path(text[1:]))
    return sys.stdin.buffer.read() if text == "-" else _unhex(text, name)


def _file(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(USAGE, f"{path}: {error.strerror}", "name a file that can be read") from None


def _public(text):
    key = _unhex(text, "--public")
    return key[1:] if len(key) == 65 and key[0] == 4 else key


def _secret(path, size):
    """`size` bytes of a file that has them raw or in hex."""
    content = _file(path)
    if len(content) != size:
        digits = re.sub(rb"\s", b"", content)
        if not re.fullmatch(rb"[0-9a-fA-F]{%d}" % (2 * size), digits):
            raise Failure(
                USAGE, f"{path} is no key: it has {len(content)} bytes", f"write {size} bytes, or {2 * size} hex digits"
            )
        content = bytes.fromhex(digits.decode())
    return content


def _private(path):
    content = _file(path)
    if b"-----BEGIN" in content:
        return _run(der.private_from_pem, content.decode("ascii", "replace"))
    return _secret(path, 32)


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
