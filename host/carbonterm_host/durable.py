"""Files that are there whole and durable, or not at all: written beside, flushed, renamed, and the folder flushed.

A draft is always a new file, so that nothing is written through a link that somebody else has left in its place.
"""

import os


def replace(path, data, mode=0o666, owner=None):
    """Puts a file of these bytes at `path`, which never has wider rights than `mode`; owner: (user, group) or None."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        if owner:
            os.fchown(file.fileno(), *owner)
        write(file, data)
    os.replace(draft, path)
    flush(path.parent)


def write(file, data):
    """Writes to the end of an open file, down to the disk."""
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def flush(folder):
    """The names of a folder are durable."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
