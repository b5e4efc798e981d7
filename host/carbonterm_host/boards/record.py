"""The production record: a signed line for each board that got an identity. Each line names the digest of the one
before, so that a line which was changed, taken out or put in between is seen.

A line is {"public_key", "record", "signature"}: `record` is a text, canonical JSON, signed by the operator (SM2, hex).
"""

import fcntl
import json
import os

from carbonterm_host import gm_backends
from carbonterm_host.boards import image as images
from carbonterm_host.screen import FINDING, USAGE, Failure

_ONE_OF_A_KIND = "terminal", "public_key", "chip"


def append(path, row, signer):
    """Appends the dict `row`, signed by an sm2.Signer, durably, and returns it as it was written, with "number" and
    "previous". Failure where the file is no record, or ends in the middle of a line: then nothing is written."""
    with _opened(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several boards, several lines of production
        file.seek(0)
        lines = _lines(path, file.read())
        row = {**row, "number": len(lines), "previous": images.digest(lines[-1]) if lines else ""}
        text = images.canonical(row).decode().strip()
        line = {"record": text, "public_key": signer.public.hex(), "signature": signer.sign(text.encode()).hex()}
        file.write(images.canonical(line))
        file.flush()
        os.fsync(file.fileno())
    return row


def _opened(path):
    try:
        return open(path, "a+b")
    except OSError as error:
        raise Failure(USAGE, f"{path}: {error.strerror}", "name a file in a folder that may be written") from error


def rows(path):
    """The dicts of all lines, unverified; none where there is no file. Failure where it is no record."""
    return [_parsed(path, line)[0] for line in _lines(path, path.read_bytes())] if path.exists() else []


def check(path, public):
    """([dict], [text]): the rows of the record, and what is wrong with it. public: bytes of the key that must have
    signed every line. Failure where the file is no record."""
    found, wrong, previous, seen = [], [], "", {}
    for number, raw in enumerate(_lines(path, path.read_bytes())):
        row, text, by, signature = _parsed(path, raw)
        where = f"line {number + 1}"
        if by != public:
            wrong.append(f"{where}: signed by {by.hex()[:16]}…, not by the key that is trusted")
        elif not gm_backends.verify(by, text.encode(), signature, gm_backends.best()):
            wrong.append(f"{where}: the signature does not fit")
        if (row.get("number"), row.get("previous")) != (number, previous):
            wrong.append(f"{where}: it does not follow the line before: one was taken out, put in or changed")
        for what in _ONE_OF_A_KIND:
            first = seen.setdefault((what, row.get(what)), number)
            if found[first:] and any(found[first].get(one) != row.get(one) for one in ("terminal", "chip")):
                wrong.append(f"{where}: its {what} is that of another board, line {first + 1}")
        found.append(row)
        previous = images.digest(raw)
    return found, wrong


def _lines(path, data):
    """The lines of a record's bytes, each whole and one of a record."""
    if data and not data.endswith(b"\n"):
        raise Failure(
            FINDING, f"{path} ends in the middle of a line: it was cut while it was written",
            "remove what is behind the last line feed; that board gets its line when it is made again",
        )  # fmt: skip
    lines = data.splitlines()
    for line in lines:
        _parsed(path, line)
    return lines


def _parsed(path, line):
    """(dict, its text, public key, signature) of a line."""
    try:
        outer = json.loads(line)
        row = json.loads(outer["record"])
        found = row, outer["record"], bytes.fromhex(outer["public_key"]), bytes.fromhex(outer["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(FINDING, f"{path} has a line that is none of a production record: {line[:60]!r}",
                      "name the record, or a new file") from error  # fmt: skip
    if not isinstance(row, dict):
        raise Failure(FINDING, f"{path} has a line without a board: {line[:60]!r}", "name the record, or a new file")
    return found
