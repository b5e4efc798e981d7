"""A real platform in a process of its own, for tests (CPython only)."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from carbonterm.gm import sm2
from carbonterm.ledger import entry
from carbonterm.ledger.segment import Log
from carbonterm.uplink.message import Batch, Receipt, Refusal
from carbonterm_host.platform.store import Store
from loopback import free_port
from memory_storage import MemoryStorage

START_MS = 1750000000000


def run(*arguments, timeout=300):
    """A finished `carbonterm` command."""
    return subprocess.run(
        [sys.executable, "-m", "carbonterm_host", *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout, env={**os.environ, "LANG": "C", "CARBONTERM_LANG": "en"},
    )  # fmt: skip


class Platform:
    """`carbonterm platform serve` on the store folder/platform.db; the port stays the same over restarts."""

    def __init__(self, folder, *options):
        self.folder = Path(folder)
        self.store = f"sqlite:///{self.folder}/platform.db"
        self.options = options
        self.port = free_port()
        self.process = None

    def start(self):
        with open(self.folder / "platform.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "carbonterm_host", "platform", "serve", "--store", self.store, "--json",
                 "--port", str(self.port), *map(str, self.options)],
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError((self.folder / "platform.log").read_text()[-2000:])
        self.ready = json.loads(line)
        self.url = self.ready["url"]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.public = bytes.fromhex(self.ready["public_key"])
        return self

    def kill(self):
        self.process.kill()
        self._gone()

    def stop(self):
        """Exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self._gone()

    def _gone(self):
        code = self.process.wait(120)
        self.process.stdout.close()
        return code

    def register(self, source, epoch=0):
        store = Store(self.store)
        store.register(source.terminal_id, epoch, source.signer.public)
        store.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()


class Source:
    """A terminal's log in memory, `count` entries of readings in it."""

    def __init__(self, terminal_id, count=0, seed=1):
        self.terminal_id = terminal_id
        self.signer = sm2.Signer(bytes(31) + bytes((seed,)))
        self.log = Log(MemoryStorage(), terminal_id, 0, self.signer)
        self.add(count)

    def add(self, count):
        for _ in range(count):
            seq = self.log.next_seq
            self.log.append(START_MS + seq * 1000, 3, entry.READINGS, [[[0, 0, 0, -2, seq]], None])
        self.log.commit()
        return self

    def pairs(self, first=0, end=None):
        return list(self.log.entries(first, end))

    def batch(self, first=0, end=None, checkpoint=None):
        """Bytes of a batch of the log's entries."""
        return Batch(self.terminal_id, 0, first, self.pairs(first, end), checkpoint).encode()


def post(platform, terminal_id, body, client=httpx):
    """(status, Receipt or Refusal) of a POST."""
    answer = client.post(
        f"{platform.url}/v1/terminals/{terminal_id}/entries", content=body, headers={"Content-Type": "application/cbor"}
    )
    return _read(answer)


def get(platform, terminal_id, epoch=0, client=httpx):
    return _read(client.get(f"{platform.url}/v1/terminals/{terminal_id}/entries", params={"epoch": epoch}))


def _read(answer):
    assert answer.headers["content-type"] == "application/cbor", (answer.status_code, answer.text[:200])
    kind = Receipt if answer.status_code == 200 else Refusal
    return answer.status_code, kind.decode(answer.content)
