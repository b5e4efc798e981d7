"""Where the runtimes of the tests are, and how they are started from the project's root."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MICRO = ("micropython", "micropython32")
SEARCH_PATH = [ROOT / "tests/runtime/lib", ROOT / "protocols", ROOT / "firmware"]


class Unavailable(Exception):
    """A runtime that can't be had on this machine, with the reason."""


def command(runtime, search_path=SEARCH_PATH, heap="16M"):
    """(argument list, environment) that starts `runtime`: "cpython", "micropython" or "micropython32"."""
    path = ":".join(str(p) for p in search_path)
    if runtime == "cpython":
        env = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}
        return [sys.executable], {**os.environ, **env}
    binary = _micropython() if runtime == "micropython" else _micropython32()
    return [binary, "-X", f"heapsize={heap}"], {**os.environ, "MICROPYPATH": ".frozen:" + path}


@cache
def _micropython():
    from carbonterm_host.runtime import NotFound, find

    try:
        return find()
    except NotFound as reason:
        raise Unavailable(str(reason)) from None


@cache
def _micropython32():
    done = subprocess.run([ROOT / "tools/micropython32"], capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise Unavailable(done.stderr.strip() or f"tools/micropython32 ended with {done.returncode}")
    return done.stdout.strip()
