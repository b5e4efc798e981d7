"""`carbonterm platform user … | roles | label | audit | alarms`: who may see and do what, and who did."""

import getpass
import os
import sys
from pathlib import Path

import typer
from rich.table import Table

from carbonterm import clock
from carbonterm_host.commands.platform_data import existing
from carbonterm_host.platform.access import audit, labels, users
from carbonterm_host.platform.access.roles import ENDPOINTS, LOCAL, RIGHTS, ROLES, allowed
from carbonterm_host.platform.access.roles import Person as _Person
from carbonterm_host.platform.store import Store
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say

app = typer.Typer(no_args_is_help=True, help="who may log in · 用户")

STORE = typer.Option(..., "--store", help="the platform's store, sqlite:///PATH · 存储")
FILE = typer.Option(None, "--password-file", help="read the password from this file, '-' is stdin · 密码文件")


@app.command("add")
def add(
    name: str = typer.Argument(metavar="NAME"),
    role: str = typer.Option(..., help=" | ".join(ROLES)),
    store: str = STORE,
    password_file: str | None = FILE,
    as_json: bool = JSON,
):
    """Makes a user; the password is asked for, or read from a file. 添加用户"""
    opened = Store(store)
    users.add(opened, name, role, _password(password_file))
    return _done(opened, as_json, f"user add {name} as {role}", {"user": name, "role": role})


@app.command("passwd")
def passwd(
    name: str = typer.Argument(metavar="NAME"),
    store: str = STORE,
    password_file: str | None = FILE,
    as_json: bool = JSON,
):
    """Sets another password; open sessions end. 修改密码"""
    opened = existing(store)
    users.change_password(opened, name, _password(password_file))
    return _done(opened, as_json, f"user passwd {name}", {"user": name})


@app.command("disable")
def disable(name: str = typer.Argument(metavar="NAME"), store: str = STORE, as_json: bool = JSON):
    """Nobody logs in as this user any more; open sessions end. 停用"""
    opened = existing(store)
    users.disable(opened, name)
    return _done(opened, as_json, f"user disable {name}", {"user": name, "disabled": True})


@app.command("enable")
def enable(name: str = typer.Argument(metavar="NAME"), store: str = STORE, as_json: bool = JSON):
    """Lets a disabled user log in again. 启用"""
    opened = existing(store)
    users.disable(opened, name, False)
    return _done(opened, as_json, f"user enable {name}", {"user": name, "disabled": False})


@app.command("token")
def token(
    name: str = typer.Argument(metavar="NAME"),
    days: int = typer.Option(30, min=1, max=users.MAX_DAYS, help="how long it holds · 有效天数"),
    store: str = STORE,
    as_json: bool = JSON,
):
    """Makes a token for a program that asks as this user; it is shown once. 程序令牌"""
    opened = existing(store)
    made, until = users.open_session(opened, name, days * 86_400_000)
    audit.append(opened, audit.ADMIN, "command", "", _here(), f"user token {name}, {days} days")
    if as_json:
        put({"user": name, "token": made, "until_ms": until})
    else:
        print(made)
    return OK


@app.command("list")
def listed(store: str = STORE, as_json: bool = JSON):
    """All users. 列出用户"""
    rows = users.listed(existing(store))
    if as_json:
        put(rows)
        return OK
    table = Table("user", "role", "角色", "sessions", "state")
    for row in rows:
        state = say("disabled", "停用") if row["disabled"] else say("active", "启用")
        table.add_row(row["name"], row["role"], ROLES[row["role"]][0], str(row["sessions"]), state)
    console().print(table)
    return OK


def roles(as_json: bool = JSON):
    """Which role may do what, and which address asks for which right. 权限矩阵"""
    matrix = [
        {"method": method, "address": path, "needs": needs if isinstance(needs, str) else list(needs),
         "roles": [role for role in ROLES if allowed(_Person("", role), method, path)]}
        for (method, path), needs in ENDPOINTS.items()
    ]  # fmt: skip
    if as_json:
        put({"rights": {role: list(rights) for role, (_, rights) in ROLES.items()} | {"local": list(LOCAL)},
             "addresses": matrix})  # fmt: skip
        return OK
    table = Table("right", *(f"{role} {chinese}" for role, (chinese, _) in ROLES.items()))
    for right, meaning in RIGHTS.items():
        table.add_row(f"{right} {meaning}", *("✓" if right in rights else "" for _, rights in ROLES.values()))
    console().print(table)
    table = Table("address", "needs")
    for row in matrix:
        table.add_row(f"{row['method']} {row['address']}", row["needs"] if isinstance(row["needs"], str)
                      else " | ".join(row["needs"]))  # fmt: skip
    console().print(table)
    return OK


def label(
    terminal: str | None = typer.Argument(None, metavar="TERMINAL"),
    reason: str | None = typer.Option(None, help="why its data are sensitive · 原因"),
    remove: bool = typer.Option(False, help="take the label off · 取消"),
    store: str = STORE,
    as_json: bool = JSON,
):
    """Labels a terminal's data as sensitive; without TERMINAL lists the labels. 敏感标记"""
    opened = existing(store)
    if terminal is not None:
        if (reason is None) != remove:
            raise Failure(USAGE, "give either --reason TEXT or --remove", "carbonterm platform label T1 --reason …")
        labels.put(opened, terminal, None if remove else reason, address=_here())
    found = labels.listed(opened)
    if as_json:
        put(found)
    else:
        for name, why in sorted(found.items()):
            print(f"{name}: {why}")
    return OK


def audit_log(
    store: str = STORE,
    limit: int = typer.Option(50, min=0, max=100000, help="rows to show, the newest · 行数"),
    known: list[str] = typer.Option([], metavar="SEQ:DIGEST", help="a head noted before · 曾记下的链头"),
    public: str | None = typer.Option(None, metavar="HEX", help="the centre's public key · 中心公钥"),
    as_json: bool = JSON,
):
    """Checks the chain of the access log and shows its end. 访问日志"""
    opened = existing(store)
    try:
        noted = [(int(seq), bytes.fromhex(digest)) for seq, _, digest in (text.partition(":") for text in known)]
        key = bytes.fromhex(public) if public else None
    except ValueError:
        raise Failure(USAGE, "--known is SEQ:DIGEST and --public hex digits", "this command prints both") from None
    count, wrong = audit.check(opened, key, known=noted)
    head = audit.head(opened)
    if as_json:
        put({"rows": count, "ok": not wrong, "findings": wrong, "head": head and f"{head[0]}:{head[1].hex()}",
             "last": audit.rows(opened, limit=limit)})  # fmt: skip
        return FINDING if wrong else OK
    _show(audit.rows(opened, limit=limit))
    for finding in wrong:
        print("✗ " + finding)
    print(say(f"{count} rows, head {head and head[0]}:{head and head[1].hex()}",
              f"{count} 行，链头 {head and head[0]}:{head and head[1].hex()}"))  # fmt: skip
    return FINDING if wrong else OK


def alarms(
    store: str = STORE,
    days: int = typer.Option(7, min=1, max=3660, help="how far back · 天数"),
    as_json: bool = JSON,
):
    """Failed logins and probing of the last days; exit code 1 if there are any. 告警"""
    since = users.now_ms() - days * 86_400_000
    found = [row for row in audit.rows(existing(store), audit.ALARM, limit=10000) if row["time_ms"] >= since]
    if as_json:
        put(found)
    else:
        _show(found)
    return FINDING if found else OK


COMMANDS = {"roles": roles, "label": label, "audit": audit_log, "alarms": alarms}


def _show(rows):
    table = Table("#", say("time (UTC)", "时间 (UTC)"), "kind", "who", "role", "from", "what", "status")
    for row in reversed(rows):
        more = f" (+{row['left_out']})" if row["left_out"] else ""
        table.add_row(str(row["seq"]), clock.text(row["time_ms"], 0), row["kind"], row["who"], row["role"],
                      row["address"], row["what"], f"{row['status']}{more}")  # fmt: skip
    console().print(table)


def _done(store, as_json, what, said):
    audit.append(store, audit.ADMIN, "command", "", _here(), what)
    if as_json:
        put(said)
    else:
        print(say("done: ", "完成：") + what)
    return OK


def _here():
    """Who gave the command, as the system knows him."""
    return f"uid {os.getuid()}"


def _password(file):
    """From a file, stdin or the terminal; never from the command line, which others can read."""
    if file is None:
        if not sys.stdin.isatty():
            raise Failure(USAGE, "there is no terminal to ask for a password", "use --password-file FILE, or '-'")
        first = getpass.getpass(say("password: ", "密码："))
        if getpass.getpass(say("once more: ", "再输一次：")) != first:
            raise Failure(USAGE, "the two are not the same", "try again")
        return first
    try:
        text = sys.stdin.read(1000) if file == "-" else Path(file).read_text()[:1000]
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{file} cannot be read: {error}", "give a text file with the password") from None
    return text.rstrip("\r\n")
