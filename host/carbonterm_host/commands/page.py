"""`carbonterm page user | remove | certificate`: who may use the terminal's own page, and its TLS (docs/page.md)."""

import getpass
import hashlib
import os
import secrets
import sys
from enum import StrEnum
from pathlib import Path

import typer
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from carbonterm import users
from carbonterm.errors import AccessError
from carbonterm.gm import pbkdf2, sm3
from carbonterm_host import durable
from carbonterm_host.platform.keys import make_certificates
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, put, say

app = typer.Typer(no_args_is_help=True, help="users and certificate of a terminal's own page · 终端网页的用户与证书")

ITERATIONS = 20000  # 0.7 s of a terminal's processor at a log-in
LEAST = 10  # characters of a password
FILE = "page.users"
FOLDER = typer.Option(..., "--to", exists=True, file_okay=False, help="the terminal's data folder · 数据文件夹")
NAME = typer.Option(FILE, "--file", help="file of the users, as the site document names it · 用户文件名")


class Role(StrEnum):
    viewer = "viewer"
    operator = "operator"
    administrator = "administrator"


@app.command()
def user(
    name: str = typer.Argument(help="1 to 32 letters, digits, . - _ · 用户名"),
    role: Role = typer.Argument(help="what he may do · 角色"),
    to: Path = FOLDER,
    file: str = NAME,
    token: bool = typer.Option(False, help="a token for a program, printed once · 程序用令牌"),
    stdin: bool = typer.Option(False, help="read the password from stdin · 从标准输入读取密码"),
    as_json: bool = JSON,
):
    """Adds a user, or gives him another password or role; a terminal that runs knows at once. 添加或修改用户"""
    lines = _lines(to / file, name)
    said = {"user": name, "role": role.value}
    if token:
        said["token"] = secrets.token_hex(24)
        words = ["token", sm3.digest(said["token"].encode()).hex()]
    else:
        salt = secrets.token_bytes(16)
        words = ["password", str(ITERATIONS), salt.hex(), _verifier(_password(stdin), salt).hex()]
    _write(to / file, [*lines, " ".join([name, role.value, *words])])
    if as_json:
        put(said)
    elif token:
        print(said["token"])
        print(say("keep it: it is shown once", "请保存：仅显示一次"), file=sys.stderr)
    else:
        print(f"{name}: {role.value}")
    return OK


@app.command()
def remove(
    name: str = typer.Argument(help="the user · 用户名"),
    to: Path = FOLDER,
    file: str = NAME,
    as_json: bool = JSON,
):
    """Takes a user away; who is logged in stays so until his session ends. 删除用户"""
    before = (to / file).read_text().splitlines() if (to / file).exists() else []
    lines = _lines(to / file, name)
    if len(lines) == len(before):
        raise Failure(FINDING, f"there is no user {name} in {to / file}")
    _write(to / file, lines)
    if as_json:
        put({"removed": name})
    else:
        print(say(f"{name} is removed", f"已删除 {name}"))
    return OK


@app.command()
def certificate(
    to: Path = FOLDER,
    host: list[str] = typer.Option(..., help="names and addresses it is opened by, again for more · 主机名或地址"),
    ca: Path = typer.Option(..., help="folder of your own CA, made if need be: keep it off the terminal · CA 文件夹"),
    as_json: bool = JSON,
):
    """Makes page.crt and page.key of a CA of your own; give browsers its ca.pem. 生成网页证书"""
    if ca.resolve().is_relative_to(to.resolve()):
        raise Failure(USAGE, "the CA's key would lie on the terminal", "name a folder elsewhere")
    paths = make_certificates(ca, tuple(host))
    der, form = serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL
    made = x509.load_pem_x509_certificate(paths["server.pem"].read_bytes())
    key = serialization.load_pem_private_key(paths["server.key"].read_bytes(), None)
    for name, data in (("page.crt", made.public_bytes(der)),
                       ("page.key", key.private_bytes(der, form, serialization.NoEncryption()))):  # fmt: skip
        _put(to / name, data)
    for one in ("server.key", "server.pem"):
        paths[one].unlink()
    if as_json:
        put({"certificate": str(to / "page.crt"), "key": str(to / "page.key"), "ca": str(paths["ca.pem"])})
    else:
        print(say(f"give browsers {paths['ca.pem']}", f"请在浏览器中信任 {paths['ca.pem']}"))
    return OK


@app.command()
def stick(
    path: str = typer.Argument(help="folder where USB sticks are mounted · U 盘挂载目录"),
    to: Path = FOLDER,
    as_json: bool = JSON,
):
    """Says where the page finds a USB stick, for export and import. 设置 U 盘挂载目录"""
    if not path.startswith("/") or len(path.encode()) > 250 or any(c < " " for c in path):
        raise Failure(USAGE, f"{path} is no absolute path", "like /media/usb")
    _put(to / "page.stick", path.encode() + b"\n")
    if as_json:
        put({"stick": path})
    else:
        print(say(f"sticks are looked for at {path}", f"U 盘目录：{path}"))
    return OK


def _lines(path, name):
    """The lines of the file but that of a user; Failure for a name or file that is none."""
    try:
        users.check_name(name)
        data = path.read_bytes() if path.exists() else b""
        users.parse(data)
    except AccessError as error:
        raise Failure(USAGE, error.what, error.hint) from None
    return [line for line in data.decode().splitlines() if line.split()[:1] != [name]]


def _password(stdin):
    if stdin:
        found = sys.stdin.readline().rstrip("\n")
    else:
        found = getpass.getpass(say("password: ", "密码: "))
        if getpass.getpass(say("again: ", "再次输入: ")) != found:
            raise Failure(USAGE, "the two are not the same")
    if not LEAST <= len(found) <= 200:
        raise Failure(USAGE, f"a password has {LEAST} to 200 characters", "a sentence is easy to remember")
    return found.encode()


def _verifier(password, salt):
    if "sm3" in hashlib.algorithms_available:
        return hashlib.pbkdf2_hmac("sm3", password, salt, ITERATIONS)
    return pbkdf2.derive(password, salt, ITERATIONS)


def _write(path, lines):
    _put(path, "".join(line + "\n" for line in lines).encode())


def _put(path, data):
    """A file of mode 0600, whole or not at all, that belongs to who owns the folder."""
    owner = path.parent.stat()
    durable.replace(path, data, 0o600, (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None)
