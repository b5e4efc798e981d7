"""Questions to meters and terminals, for commissioning: one language (docs/commissioning.md), two ways to speak it.

    with desk.Desk.at(place, who) as asked:      # place: a serial device, host[:port], a terminal's folder or socket
        for event in asked.ask({"do": "scan", …}): …

A terminal is asked by its maintenance socket. A device or a host is asked by the firmware's own drivers: it runs here
as a child that answers the same questions, so that what a scan finds is what a terminal will read.
"""

import json
import os
import select
import socket
import stat
import subprocess
import sys
from pathlib import Path

from carbonterm_host import runtime
from carbonterm_host.screen import FINDING, UNREACHABLE, USAGE, Failure

SOCKET = "maintenance.sock"
PATIENCE_S = 75  # without any word from the other side
CODES = {"unreachable": UNREACHABLE, "usage": USAGE, "silent": FINDING, "refused": FINDING}


class Unanswered(Failure):
    """A question that was answered by an error; `kind`: unreachable, usage, silent or refused."""

    def __init__(self, kind, what, hint):
        super().__init__(CODES.get(kind, FINDING), what, hint)
        self.kind = kind


class Desk:
    """`place`: what every question is sent with (the device or host, the bus of a terminal); `terminal`: whether there
    is one behind it. `send(bytes)`, `receive() -> bytes` (b"" at the end), `end()`: the way to it."""

    def __init__(self, place, send, receive, end, terminal):
        self.place = place
        self.terminal = terminal
        self._send, self._receive, self._end = send, receive, end
        self._held = b""

    @classmethod
    def at(cls, place, who=None, bus=None, document=None, patience=PATIENCE_S):
        """The Desk of a place; Failure where there is none. document: a canonical site document, asked by its buses'
        names; bus: which of a terminal's or document's; patience: seconds without a word from a terminal."""
        path = Path(place) if place is not None else None
        try:
            folder = path is not None and path.is_dir()
            if folder or (path is not None and path.exists() and stat.S_ISSOCK(path.stat().st_mode)):
                return cls._terminal(path / SOCKET if folder else path, who, bus, patience)
        except PermissionError:
            hint = "ask as a user who may enter its folder"
            raise Failure(UNREACHABLE, f"{path}: permission denied", hint) from None
        if document is not None:
            return cls._child({} if bus is None else {"bus": bus}, document)
        if "/" in str(place):
            return cls._child({"device": str(path)})
        host, _, port = str(place).rpartition(":") if str(place).count(":") == 1 else (str(place), "", "502")
        if not (host and port.isdecimal() and 0 < int(port) < 65536):
            hint = "write /dev/ttyUSB0, 192.168.1.20 or 192.168.1.20:502, or name a terminal's folder"
            raise Failure(USAGE, f"{place} is no serial device, host or terminal", hint)
        return cls._child({"host": host, "port": int(port)})

    @classmethod
    def _terminal(cls, path, who, bus, patience):
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.settimeout(patience)
            link.connect(str(path))
        except OSError as error:
            link.close()
            why = {13: "permission denied", 2: "there is no socket", 111: "no terminal listens"}
            hint = f"start the terminal with --maintenance {path}, and ask as a user who may write the socket"
            raise Failure(UNREACHABLE, f"{path}: {why.get(error.errno, error)}", hint) from None
        place = {"who": who or "unknown"} | ({} if bus is None else {"bus": bus})
        return cls(place, link.sendall, lambda: link.recv(65536), link.close, True)

    @classmethod
    def _child(cls, place, document=None):
        command = [sys.executable, "-m", "carbonterm_device", "--desk"]
        folders = os.pathsep.join(map(str, runtime.packages()))
        file = None
        if document is not None:
            file = os.memfd_create("site")
            os.write(file, document)
            command += ["--site", f"/proc/self/fd/{file}"]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
            env={**os.environ, "PYTHONPATH": folders}, pass_fds=() if file is None else (file,),
        )  # fmt: skip
        if file is not None:
            os.close(file)

        def receive():
            if not select.select([child.stdout], [], [], PATIENCE_S)[0]:
                raise TimeoutError
            return os.read(child.stdout.fileno(), 65536)

        def end():
            child.stdin.close()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            child.stdout.close()

        return cls(place, child.stdin.write, receive, end, False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def ask(self, question):
        """The events that answer a question, as they come, without the last one; Unanswered where that is an error."""
        try:
            self._send(json.dumps(self.place | question).encode() + b"\n")
            while True:
                event = json.loads(self._line())
                if event["event"] == "done":
                    return
                if event["event"] == "error":
                    raise Unanswered(event["kind"], event["what"], event["hint"])
                yield event
        except (OSError, TimeoutError, ValueError) as error:
            what = "no word for a long time" if isinstance(error, TimeoutError) else "the other side has gone"
            raise Failure(UNREACHABLE, what, "ask again") from None

    def _line(self):
        while b"\n" not in self._held:
            data = self._receive()
            if not data:
                raise ConnectionResetError
            self._held += data
        line, self._held = self._held.split(b"\n", 1)
        return line
