"""What tests do to a file system under a terminal."""

import contextlib
import shutil


def fill(path):
    """Somebody else's file at `path` takes all the room there is, also where another one writes at the same time."""
    with open(path, "wb", 0) as file, contextlib.suppress(OSError):
        while (free := shutil.disk_usage(path).free) > 0:
            file.write(bytes(free))
