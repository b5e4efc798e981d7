"""`carbonterm pull`: copy a terminal's log into one file that anybody can check."""

import getpass
import os
import socket
import sys
from pathlib import Path

import typer

import carbonterm
from carbonterm.errors import LedgerError
from carbonterm.ledger.bundle import Writer
from carbonterm.ledger.entry import MAX_TEXT
from carbonterm.ledger.frames import terminal_of
from carbonterm.uplink.kept import MAX_NOTE, NOTES
from carbonterm_host.datafolder import DataFolder, pull
from carbonterm_host.screen import JSON, USAGE, Failure, put, say


def to_file(folder, path):
    """Pulls the data folder `folder` into the file `path`, which appears only when it is whole. Returns a Pulled."""
    storage = DataFolder(folder)
    terminal_id = terminal_of(storage)
    if terminal_id is None:
        raise LedgerError(f"{folder} holds no log with an entry", "give the data folder of a terminal that has run")
    new = f"{path}.new"
    try:
        with open(new, "wb") as file:
            writer = Writer(file, terminal_id, f"carbonterm {carbonterm.__version__}")
            done = pull(storage, writer)
            writer.end()
        os.replace(new, path)
    finally:
        if os.path.exists(new):
            os.remove(new)
    return done


def leave_note(folder, entries):
    """Tells the terminal of `folder` that its log was taken: it appends the note to its log, now or at its next start.
    False where the folder can't be written, or somebody pulls all the time and the terminal does not run."""
    path = Path(folder) / NOTES
    try:
        with open(path, "ab") as file:
            if file.tell() > MAX_NOTE // 2:
                return False
            line = f"{getpass.getuser()}@{socket.gethostname()} pulled {entries} entries"
            file.write(line[:MAX_TEXT].encode() + b"\n")
    except (OSError, KeyError):
        return False
    return True


def main(
    terminal: Path | None = typer.Argument(None, help="data folder of a terminal · 终端数据目录"),
    output: Path = typer.Option(..., "-o", "--output", help="FILE.bundle"),
    port: str | None = typer.Option(None, "--port", help="a board at a serial port instead · 板卡串口"),
    json: bool = JSON,
    note: bool = typer.Option(True, help="leave a note, of which the terminal makes an audit entry · 留下审计记录"),
):
    """Copy a terminal's log, keys and checkpoints into a bundle; the terminal may go on meanwhile · 取出日志.

    A board at --port is stopped for that time, and starts again.
    """
    if (terminal is None) == (port is None):
        raise Failure(USAGE, "say which terminal: its data folder, or --port", "for instance --port /dev/ttyACM0")
    if terminal is not None and not terminal.is_dir():
        raise Failure(USAGE, f"{terminal} is not a folder", "give the data folder of a terminal")
    try:
        if port is None:
            done = to_file(terminal, output)
        else:
            from carbonterm_host.commands import board_live

            done = board_live.pulled(port, output)
    except OSError as error:
        raise Failure(USAGE, f"{error.filename}: {error.strerror}", "choose another file with -o") from None
    noted = note and port is None and leave_note(terminal, done.entries)
    if json:
        torn = [{"segment": name, "offset": offset, "bytes": size} for name, offset, size in done.torn]
        put({"file": str(output), "entries": done.entries, "checkpoints": done.checkpoints,
             "receipts": done.receipts, "torn": torn, "noted": noted})  # fmt: skip
        return
    print(say(f"{done.entries} entries, {done.checkpoints} checkpoints → {output}",
              f"{done.entries} 条记录、{done.checkpoints} 个检查点 → {output}"))  # fmt: skip
    for name, offset, size in done.torn:
        print(say(f"left out: {size} bytes at {offset} of {name}, a write that was cut",
                  f"未取：{name} 位移 {offset} 处 {size} 字节，写入中断"), file=sys.stderr)  # fmt: skip
