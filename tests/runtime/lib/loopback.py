"""Ports of the loopback for tests (CPython only) that stay free until they are used, and between two starts."""

import fcntl
import secrets
import socket
import tempfile
from pathlib import Path

FIRST, COUNT = 20000, 10000  # below those that the system hands out to whoever asks for any
_held = []  # open files, locked as long as this process lives: no other test has their ports


def free_port():
    folder = Path(tempfile.gettempdir(), "carbonterm-ports")
    folder.mkdir(exist_ok=True)
    while True:
        port = FIRST + secrets.randbelow(COUNT)
        file = open(folder / str(port), "a")  # noqa: SIM115 - see _held
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as one:
                one.bind(("127.0.0.1", port))
        except OSError:
            file.close()
            continue
        _held.append(file)
        return port
