"""The `carbonterm` command: one table of commands, one module each; exit codes and errors in one place."""

import importlib
import os
import sys
from enum import StrEnum

import typer
from typer.core import TyperGroup

import carbonterm
from carbonterm.errors import CarbonError
from carbonterm_host.screen import FINDING, USAGE, Failure, put

# name: module of carbonterm_host.commands; a module has `main` (a command) or `app` (a group of commands)
COMMANDS = {
    "account": "account",
    "bench": "bench",
    "board": "board",
    "boundary": "boundary",
    "bridge": "bridge",
    "bundle": "bundle",
    "cems": "cems",
    "compare": "compare",
    "decode": "decode",
    "demo": "demo",
    "enter": "enter",
    "explain": "explain",
    "factors": "factors",
    "footprint": "footprint",
    "fuse": "fuse",
    "gaps": "gaps",
    "gm": "gm",
    "inventory": "inventory",
    "key": "key",
    "meters": "meters",
    "methods": "methods",
    "models": "models",
    "page": "page",
    "platform": "platform",
    "prepare": "prepare",
    "probe": "probe",
    "prove": "prove",
    "pull": "pull",
    "replay": "replay",
    "scan": "scan",
    "settle": "settle",
    "simulate": "simulate",
    "site": "site",
    "status": "status",
    "trace": "trace",
    "uncertainty": "uncertainty",
    "verifier": "verifier",
    "verify": "verify",
    "watch": "watch",
}


class Table(TyperGroup):
    """Loads a command's module only when it is called, so that `carbonterm decode` does not wait for a web server."""

    def list_commands(self, ctx):
        return sorted(COMMANDS)

    def get_command(self, ctx, cmd_name):
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module("carbonterm_host.commands." + COMMANDS[cmd_name])
        group = getattr(module, "app", None)
        if group is None:
            group = typer.Typer(add_completion=False)
            group.command(cmd_name)(module.main)
        group._add_completion = False  # it is the whole program's
        command = typer.main.get_command(group)
        command.name = cmd_name
        return command


class Language(StrEnum):
    zh = "zh"
    en = "en"


app = typer.Typer(cls=Table, context_settings={"help_option_names": ["-h", "--help"]}, pretty_exceptions_enable=False)


def _version(wanted: bool):
    if wanted:
        print(f"carbonterm {carbonterm.__version__}")
        raise typer.Exit()


@app.callback(no_args_is_help=True)
def root(
    lang: Language | None = typer.Option(None, help="language of texts · 语言"),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="version · 版本"),
):
    """carbonterm 碳计量数据终端: read meters, account emissions exactly, prove every record.

    Exit codes: 0 ok, 1 finding, 2 usage, 3 device or service not reachable, 4 verification failed.
    """
    if lang:
        os.environ["CARBONTERM_LANG"] = lang.value


def main(arguments=None):
    """Runs one command and exits with its code; a command returns None or a code, or raises Failure."""
    arguments = _language_first(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in arguments
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="carbonterm", standalone_mode=False)
    except Failure as failure:
        code = _tell(as_json, failure.what, failure.hint, failure.code)
    except CarbonError as error:
        code = _tell(as_json, error.what, error.hint, FINDING)
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer's usage errors have it
            raise
        code = _tell(as_json, error.format_message(), "carbonterm --help", USAGE)
    sys.exit(code if isinstance(code, int) else 0)


def _language_first(arguments):
    """--lang may stand anywhere; it is the root command's option."""
    for i, argument in enumerate(arguments):
        if argument == "--lang":
            return [*arguments[i : i + 2], *arguments[:i], *arguments[i + 2 :]]
        if argument.startswith("--lang="):
            return [argument, *arguments[:i], *arguments[i + 1 :]]
    return arguments


def _tell(as_json, what, hint, code):
    if as_json:
        put({"error": what, "hint": hint})
    else:
        print(f"carbonterm: {what}" + (f"\n  → {hint}" if hint else ""), file=sys.stderr)
    return code
