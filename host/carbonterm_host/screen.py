"""What commands say and how they end: JSON or tables, Chinese or English, one set of exit codes."""

import json as _json
import os
import sys
from contextlib import contextmanager

import typer
from rich.console import Console

from carbonterm.errors import CarbonError

OK, FINDING, USAGE, UNREACHABLE, UNVERIFIED = range(5)

JSON = typer.Option(False, "--json", help="one JSON object (or JSON lines) instead of text · 输出 JSON")


class Failure(Exception):
    """Ends a command with a message for people and an exit code: `Failure(USAGE, what, hint)`."""

    def __init__(self, code, what, hint=""):
        super().__init__(what + "; " + hint if hint else what)
        self.code = code
        self.what = what
        self.hint = hint


@contextmanager
def usage():
    """What was asked for and is not there, or cannot be meant, ends with exit code 2 instead of 1."""
    try:
        yield
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from error


def console():
    """Rich console on stdout; colours only on a terminal, none with NO_COLOR."""
    return Console(highlight=False)


def note(text):
    """A line about progress: to stderr, and on a terminal only."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def put(value):
    """One JSON object on one line of stdout."""
    print(_json.dumps(value, ensure_ascii=False), flush=True)


def language():
    """ "zh" or "en": --lang (CARBONTERM_LANG), then LC_ALL, LC_MESSAGES, LANG."""
    for name in ("CARBONTERM_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def say(en, zh):
    """The text in the user's language."""
    return zh if language() == "zh" else en
