"""The firmware on a Linux gateway: `carbonterm board install | uninstall | installed | start | updates`
(docs/boards.md)."""

import contextlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import typer

from carbonterm_host.boards import gateway
from carbonterm_host.boards import image as images
from carbonterm_host.screen import FINDING, JSON, OK, UNREACHABLE, USAGE, Failure, put, say

FOLDER = typer.Option(..., "--folder", metavar="DIR", help="where the firmware lives, e.g. /opt/carbonterm · 程序目录")
VIA = typer.Option(None, "--via", metavar="COMMAND", help='on another machine: "ssh user@gateway carbonterm" · 远程')
TRUST = "the maker's public key · 制造方公钥"
ORDER = "SSH_ORIGINAL_COMMAND"  # what the other end asked for, as sshd hands it to the command of a key
LARGEST = 64 << 20
BEATS = 3  # of the status that a version on trial has to show
PARTS = (images.ROMFS, images.MANIFEST, images.SIGNATURE, images.BOM)


def install(
    image: str = typer.Option(..., "--image", metavar="DIR", help="of carbonterm board build; - for stdin · 镜像目录"),
    folder: Path = FOLDER,
    trust: str | None = typer.Option(None, "--trust", metavar="HEX", help="the maker's public key, once · 制造方公钥"),
    via: str | None = VIA,
    as_json: bool = JSON,
):
    """Installs or upgrades the firmware of a Linux gateway: signed images only, old or new whatever is cut. 安装、升级

    The terminal's data are not touched; run it as a user who may not read them.
    """
    from carbonterm_host.commands.key import public_of

    key = public_of(trust, "--trust")
    if via:
        images.load(image, key)
        return _remote(via, "install", folder, _packed(Path(image)), as_json, *(["--trust", trust] if trust else []))
    with _image(image) as place:
        done = gateway.install(folder, place, key)
    if as_json:
        put({**done, "folder": str(folder)})
    else:
        before = f"{done['before']} → " if done["before"] else ""
        print(f"{folder}: {before}{done['version']}, {say('slot', '槽')} {done['slot']}; "
              + say("the next start runs it", "下次启动生效"))  # fmt: skip
    return OK


def uninstall(folder: Path = FOLDER, via: str | None = VIA, as_json: bool = JSON):
    """Takes the firmware of a Linux gateway away; its data stay. 卸载"""
    if via:
        return _remote(via, "uninstall", folder, b"", as_json)
    if not folder.is_dir():
        raise Failure(USAGE, f"{folder} is no folder", "name the one of carbonterm board install")
    gone = gateway.uninstall(folder)
    if as_json:
        put({"folder": str(folder), "removed": gone})
    else:
        print(say(f"removed: {', '.join(gone) or 'nothing'}", f"已移除：{', '.join(gone) or '无'}"))
    return OK


def installed(folder: Path = FOLDER, via: str | None = VIA, as_json: bool = JSON):
    """What is installed on a Linux gateway, and whether it has shown that it runs. 已装版本"""
    if via:
        return _remote(via, "installed", folder, b"", as_json)
    found = gateway.versions(folder)
    if as_json:
        put(found)
    else:
        state = say("it runs", "运行正常") if found["starts_left"] is None else say("on trial", "试运行")
        state = state if found["version"] else say("nothing is installed", "未安装")
        print(f"{found['version'] or '-'} ({say('slot', '槽')} {found['current'] or '-'}), {state}")
    return OK if found["version"] else FINDING


def updates(folder: Path = FOLDER, trust: str = typer.Option(..., "--trust", metavar="HEX", help=TRUST)):
    """What an SSH key may do that brings upgrades, as its command= in authorized_keys. 远程升级入口

    It takes install, uninstall and installed of one folder, and images of one maker.
    """
    from carbonterm_host.commands.key import public_of

    key = public_of(trust, "--trust").hex()
    known = rf" --folder {re.escape(str(folder))}( --trust {key})?( --image -)?( --json)?"
    order = re.fullmatch(r"\S+ board (install|uninstall|installed)" + known, os.environ.get(ORDER, ""))
    if order is None:
        hint = f"--via 'ssh … carbonterm' --folder {folder}: install, uninstall or installed, images by {key[:16]}…"
        raise Failure(USAGE, "this way in takes upgrades and nothing else", hint)
    what, as_json = order[1], order[4] is not None
    if what == "install":
        return install("-", folder, key, None, as_json)
    return (installed if what == "installed" else uninstall)(folder, None, as_json)


def start(
    folder: Path = FOLDER,
    arguments: list[str] = typer.Argument(..., metavar="-- ARGUMENTS", help="of the firmware · 固件参数"),
):
    """Starts the firmware of a Linux gateway; for systemd, as the terminal's own user. 启动

    A new version that has not run well in three starts gives way to the one before.
    """
    status, makes_key = _after(arguments, "--status"), "--init" in arguments
    if status is None and not makes_key:
        raise Failure(USAGE, "nobody would see whether the firmware runs", "give it --status FILE, behind --")
    slot, said = gateway.choose(folder, not makes_key)
    if said:
        print(said, file=sys.stderr, flush=True)
    words, environment = gateway.command(folder, slot, arguments)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # of a serial line that is pulled out, which would end a first process
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # the firmware looks whether it waits, and ends well
    if makes_key or gateway.trial(folder) is None:
        os.execve(words[0], words, environment)
    return _watched(folder, words, environment, status)


def _watched(folder, words, environment, status):
    """Runs a version on trial until it ends; its status tells when it has shown that it runs."""
    former, seen = _written(status), set()
    process = subprocess.Popen(words, env=environment)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: process.send_signal(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(0.5)
        beat = _beat(status, former) if len(seen) < BEATS else None
        if beat is not None:
            seen.add(beat)
            if len(seen) == BEATS:
                gateway.confirm(folder)


def _written(path):
    """What tells one status from the one before; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, TypeError):
        return None
    return found.st_ino, found.st_mtime_ns


def _beat(path, former):
    """Which status a terminal that records and signs has written after the one that was `former`; None for none. The
    clock may be set meanwhile, to an earlier time too."""
    if _written(path) in (None, former):
        return None
    try:
        found = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return None
    well = not found.get("stopped") and "entries" in found and not (found.get("storage") or {}).get("failed")
    return found.get("time_ms") if well else None


def _after(words, name):
    return words[words.index(name) + 1] if name in words[:-1] else None


# --- another machine --------------------------------------------------------------------------------------------------


def _remote(via, what, folder, data, as_json, *more):
    """Runs a command of this file at the other end, with `data` as its stdin."""
    if not re.fullmatch(r"[\w./@+-]+", str(folder)):
        raise Failure(USAGE, f"{folder} cannot be told to another machine", "a folder of letters, digits, / . _ - only")
    words = [*shlex.split(via), "board", what, "--folder", str(folder), *more]
    words += (["--image", "-"] if data else []) + (["--json"] if as_json else [])
    try:
        done = subprocess.run(words, input=data, capture_output=True)
    except OSError as error:
        hint = "name a program, as in --via 'ssh user@gateway carbonterm'"
        raise Failure(UNREACHABLE, f"--via {words[0]}: {error}", hint) from error
    sys.stdout.write(done.stdout.decode(errors="replace"))
    sys.stderr.write(done.stderr.decode(errors="replace"))
    return done.returncode


def _packed(image):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in PARTS:
            if (image / name).exists():
                row = tarfile.TarInfo(name)
                row.size = (image / name).stat().st_size
                tar.addfile(row, io.BytesIO((image / name).read_bytes()))
    return buffer.getvalue()


@contextlib.contextmanager
def _image(name):
    """The image folder `name`, or one of what comes over stdin."""
    if name != "-":
        yield Path(name)
        return
    data = sys.stdin.buffer.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Failure(USAGE, f"more than {LARGEST} bytes came over stdin", "send what carbonterm board build made")
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for row in tar:
                    if row.name in PARTS and row.isfile():
                        (Path(folder) / row.name).write_bytes(tar.extractfile(row).read())
        except (tarfile.TarError, EOFError) as error:
            raise Failure(USAGE, f"what came over stdin is no image: {error}", "send it by --via") from error
        yield Path(folder)


def add(app):
    """Registers the commands with `carbonterm board`."""
    for command in (install, uninstall, installed, updates, start):
        app.command(command.__name__)(command)
