"""Somebody else's time server: Debian's chronyd on a free port of the loopback; this machine's clock is left alone."""

import contextlib
import os
import shutil
import socket
import subprocess
import time

import pytest

from loopback import free_port

LONG_S = 60
DIRECTIVES = "bindaddress 127.0.0.1", "allow 127.0.0.1", "cmdport 0", "bindcmdaddress /"


class Chrony:
    """`knows`: whether it says that it has the time. place: "host:port"."""

    def __init__(self, folder, knows=True):
        self._binary = shutil.which("chronyd") or "/usr/sbin/chronyd"
        if not os.path.exists(self._binary):
            pytest.skip("chronyd is not installed: apt-get install chrony")
        self._folder, self._knows = folder, knows
        folder.mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        self.place = f"127.0.0.1:{self._port}"

    def __enter__(self):
        words = [self._binary, "-4", "-d", "-x", *(["-U"] if os.getuid() else ["-u", "root"]), *DIRECTIVES]
        # without a source of its own it knows the time only where it is told that it does
        words += [f"port {self._port}", f"pidfile {self._folder}/pid", *(["local stratum 3"] if self._knows else [])]
        self._said = open(self._folder / "said", "wb")
        self._process = subprocess.Popen(words, stdout=self._said, stderr=self._said)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self):
        """Until it answers as it will: a start is not synchronised, whatever `local` says."""
        end = time.monotonic() + LONG_S
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(1)
            one.connect(("127.0.0.1", self._port))
            while True:
                with contextlib.suppress(OSError):
                    one.send(bytes([0x23]) + bytes(47))
                    if one.recv(256)[0] >> 6 == (0 if self._knows else 3):
                        return
                assert time.monotonic() < end and self._process.poll() is None, (self._folder / "said").read_text()
                time.sleep(0.05)

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(LONG_S)
        self._said.close()
