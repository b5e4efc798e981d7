"""`carbonterm platform doctor`: looks whether a running platform is protected as docs/deployment.md asks.

Each check looks at the thing itself (the socket, the handshake, the file) and says ok, finding, or unknown where this
user cannot see it. Exit code 1 with findings.
"""

import os
import shutil
import socket
import ssl
import stat
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import typer
from cryptography import x509
from rich.table import Table

from carbonterm_host.commands.platform_access import STORE
from carbonterm_host.commands.platform_data import existing
from carbonterm_host.platform.access import audit, users
from carbonterm_host.platform.access.roles import ROLES
from carbonterm_host.screen import FINDING, JSON, OK, USAGE, Failure, console, put, say

GOOD, BAD, UNKNOWN = "ok", "finding", "unknown"
BACKUP_HOURS = 48
CERTIFICATE_DAYS = 30
_LISTEN = "0A"  # state of a listening socket in /proc/net/tcp
_SIGN = {GOOD: "✓", BAD: "✗", UNKNOWN: "?"}


def doctor(
    store: str = STORE,
    url: str | None = typer.Option(None, help="where the platform answers, https://HOST:PORT · 地址"),
    ca: Path | None = typer.Option(None, exists=True, help="CA of its certificate, PEM · CA 证书"),
    key: list[Path] = typer.Option([], exists=True, help="private keys whose file modes are looked at · 私钥文件"),
    backup_dir: Path | None = typer.Option(None, help="where backups are kept · 备份目录"),
    as_json: bool = JSON,
):
    """Looks at sockets, TLS, files, users, backups and the firewall of this machine. 部署检查"""
    opened = existing(store)
    checks = [*_files(opened.path, key), *_people(opened), _log(opened)]
    checks += _line(url, ca) if url else [("line", UNKNOWN, say("give --url", "请给 --url"))]
    checks += [_backup(backup_dir), _firewall(url)]
    bad = any(state == BAD for _, state, _ in checks)
    if as_json:
        put({"ok": not bad, "checks": [dict(zip(("check", "state", "what"), row, strict=True)) for row in checks]})
    else:
        table = Table("", say("check", "检查"), say("what was found", "结果"))
        for name, state, what in checks:
            table.add_row(_SIGN[state], name, what)
        console().print(table)
    return FINDING if bad else OK


COMMANDS = {"doctor": doctor}


def _files(path, keys):
    """Files and their folder that others may open (P-4.5-2)."""
    names = [Path(path + end) for end in ("", "-wal", "-shm", ".key")] + list(keys)
    for file in [name for name in names if name.exists()]:
        mode = stat.S_IMODE(file.stat().st_mode)
        state = BAD if mode & 0o077 else GOOD
        yield f"file {file.name}", state, f"{mode:04o}" + (f": chmod 600 {file}" if state == BAD else "")
    folder = Path(path).absolute().parent
    mode = folder.stat().st_mode
    writable = mode & 0o022 and not mode & stat.S_ISVTX
    yield "folder of the store", BAD if writable else GOOD, f"{stat.S_IMODE(mode):04o}" + (
        f": chmod go-w {folder}" if writable else "")  # fmt: skip


def _people(store):
    """Users, and enough persons for a review by three (P-9.3, P-6.6-6)."""
    active = [row for row in users.listed(store) if not row["disabled"]]
    roles = {row["role"] for row in active}
    if not active:
        yield "users", BAD, say("there are none: carbonterm platform user add", "无用户")
        return
    yield "users", GOOD if "admin" in roles else BAD, ", ".join(f"{row['name']} ({row['role']})" for row in active)
    missing = [role for role in ROLES if role != "viewer" and role not in roles]
    yield "review by three", BAD if missing else GOOD, say("nobody is ", "缺少 ") + ", ".join(missing) if missing else (
        "operator, auditor, admin")  # fmt: skip


def _log(store):
    count, wrong = audit.check(store)
    return "access log", BAD if wrong else GOOD, wrong[0] if wrong else say(f"{count} rows, whole", f"{count} 行，完整")


def _line(url, ca):
    """The listening socket and the TLS that a stranger gets (P-9.5-2)."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.port:
        raise Failure(USAGE, f"{url!r} is not https://HOST:PORT", "as serve prints it")
    addresses = listening(parts.port)
    if addresses is None:
        yield "listens on", UNKNOWN, say("/proc/net/tcp cannot be read", "无法读取 /proc/net/tcp")
    else:
        loopback = all(address in ("127.0.0.1", "::1") for address in addresses)
        state = GOOD if addresses and (loopback or parts.scheme == "https") else BAD
        yield "listens on", state, ", ".join(addresses) or say("nothing listens here", "未监听")
    if parts.scheme == "http":
        yield "TLS", GOOD if addresses and loopback else BAD, say("none: loopback only", "无，仅本机")
        return
    yield from _handshake(parts.hostname, parts.port, ca)


def _handshake(host, port, ca):
    context = ssl.create_default_context(cafile=ca)
    try:
        with socket.create_connection((host, port), 10) as line, context.wrap_socket(line, server_hostname=host) as tls:
            version, cipher, der = tls.version(), tls.cipher()[0], tls.getpeercert(True)
    except OSError as error:  # ssl's errors are of these
        yield "TLS", BAD, str(error)
        return
    yield "TLS", GOOD if version in ("TLSv1.2", "TLSv1.3") else BAD, f"{version} {cipher}"
    days = (x509.load_der_x509_certificate(der).not_valid_after_utc - datetime.now(UTC)).days
    yield "certificate", GOOD if days >= CERTIFICATE_DAYS else BAD, say(f"{days} days left", f"还有 {days} 天")


def listening(port):
    """Addresses on which this machine listens at a TCP port, None where that cannot be seen."""
    found = []
    try:
        for name, size in (("/proc/net/tcp", 4), ("/proc/net/tcp6", 16)):
            for line in Path(name).read_text().splitlines()[1:]:
                place, state = line.split()[1], line.split()[3]
                address, number = place.split(":")
                if state == _LISTEN and int(number, 16) == port:
                    raw = bytes.fromhex(address)
                    words = b"".join(raw[at : at + 4][::-1] for at in range(0, size, 4))  # the kernel's little-endian
                    found.append(socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, words))
    except (OSError, ValueError, IndexError):
        return None
    return sorted(set(found))


def _backup(folder):
    """The newest file of the backups' folder (P-9.5-4)."""
    if folder is None:
        return "backup", UNKNOWN, say("give --backup-dir", "请给 --backup-dir")
    try:
        newest = max((one.stat().st_mtime for one in folder.iterdir() if one.is_file()), default=None)
    except OSError as error:
        return "backup", BAD, f"{folder}: {error.strerror}"
    if newest is None:
        return "backup", BAD, say(f"{folder} is empty", f"{folder} 为空")
    hours = int(max(time.time() - newest, 0)) // 3600
    state = GOOD if hours <= BACKUP_HOURS else BAD
    return "backup", state, say(f"the newest is {hours} h old", f"最新备份 {hours} 小时前")


def _firewall(url):
    """nftables drops what it does not know and lets the platform's port in (P-9.5-1)."""
    program = shutil.which("nft") or next((p for p in ("/usr/sbin/nft", "/sbin/nft") if os.path.exists(p)), None)
    if program is None:
        return "firewall", UNKNOWN, say("nft is not installed here", "未安装 nft")
    done = subprocess.run([program, "list", "ruleset"], capture_output=True, text=True, timeout=20)
    if done.returncode:
        return "firewall", UNKNOWN, say("only root may see the rules", "需 root 权限")
    return firewall(done.stdout, urlsplit(url).port if url else None)


def firewall(rules, port):
    """The check's row for the text of `nft list ruleset`."""
    if "hook input" not in rules or "policy drop" not in rules:
        return "firewall", BAD, say("no input chain that drops: see docs/deployment.md", "无默认拒绝的 input 链")
    if port is not None and str(port) not in rules:
        return "firewall", BAD, say(f"no rule names port {port}", f"规则未含端口 {port}")
    return "firewall", GOOD, say("input drops by default", "input 默认拒绝")
