"""The `carbonterm` command: one table of commands, one module each; exit codes and errors in one place."""

import importlib
import os
import sys

import click
import typer

import carbonterm
from carbonterm.errors import CarbonError
from carbonterm_host.screen import FINDING, USAGE, Failure, put

# name: module of carbonterm_host.commands; a module has `main` (a command) or `app` (a group of commands)
COMMANDS = {
    "account": "account",
    "bundle": "bundle",
    "decode": "decode",
    "demo": "demo",
    "gm": "gm",
    "platform": "platform",
    "pull": "pull",
    "replay": "replay",
    "settle": "settle",
    "simulate": "simulate",
    "site": "site",
    "verify": "verify",
}


class Table(click.Group):
    """Loads a command's module only when it is called, so that `carbonterm decode` does not wait for a web server."""

    def list_commands(self, context):
        return sorted(COMMANDS)

    def get_command(self, context, name):
        if name not in COMMANDS:
            return None
        module = importlib.import_module("carbonterm_host.commands." + COMMANDS[name])
        group = getattr(module, "app", None)
        if group is None:
            group = typer.Typer(add_completion=False)
            group.command(name)(module.main)
        command = typer.main.get_command(group)
        command.name = name
        return command


def _language(context, option, value):
    if value:
        os.environ["CARBONTERM_LANG"] = value


@click.group(cls=Table, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(carbonterm.__version__, prog_name="carbonterm")
@click.option("--lang", type=click.Choice(["zh", "en"]), expose_value=False, is_eager=True, callback=_language,
              help="language of texts · 语言")  # fmt: skip
def cli():
    """carbonterm 碳计量数据终端: read meters, account emissions exactly, prove every record.

    Exit codes: 0 ok, 1 finding, 2 usage, 3 device or service not reachable, 4 verification failed.
    """


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        code = cli.main(arguments, prog_name="carbonterm", standalone_mode=False)
    except Failure as failure:
        code = _tell(as_json, failure.what, failure.hint, failure.code)
    except CarbonError as error:
        code = _tell(as_json, error.what, error.hint, FINDING)
    except click.ClickException as error:
        if as_json:
            put({"error": error.format_message(), "hint": "see --help"})
        else:
            error.show()
        code = USAGE
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _tell(as_json, what, hint, code):
    if as_json:
        put({"error": what, "hint": hint})
    else:
        print(f"carbonterm: {what}" + (f"\n  → {hint}" if hint else ""), file=sys.stderr)
    return code
