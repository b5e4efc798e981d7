"""Every command that the documents name is there, with the options that they name."""

import re
from pathlib import Path

import pytest
import typer

from carbonterm_host import cli

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "boards").rglob("*.md"))]
EVERYWHERE = {"--help", "-h", "--lang", "--version"}


def written(text):
    """What follows `carbonterm` in code, the indented lines behind it included: a text for each command."""
    blocks = re.split(r"^```.*$", text, flags=re.M)
    for lines in (block.split("\n") for block in blocks[1::2]):
        for number, line in enumerate(lines):
            found = re.search(r"(?:^|[\s/(])carbonterm (?=[a-z])(.*)", line)
            if found:
                more = [found[1]]
                for next_ in lines[number + 1 :]:
                    if not re.match(r"\s+[\[-]", next_):
                        break
                    more.append(next_)
                yield " ".join(more)
    for block in blocks[::2]:
        yield from re.findall(r"`(?:\.venv/bin/)?carbonterm ([a-z][^`]*)`", block)


def commands(text):
    """([command], the words that follow) of a text: several where they stand as alternatives, none where one is not."""
    here, words = typer.main.get_command(cli.app), text.split()
    while words and hasattr(here, "get_command"):
        names = words[0].split("|")
        if words[1:2] == ["|"]:
            names = [one.split()[0] for one in re.split(r"\s\|\s", " ".join(words))]
        found = [one for one in (here.get_command(None, name) for name in names) if one]
        if len(found) != 1 or len(names) > 1:
            return found, words
        here, words = found[0], words[1:]
    return [here], words


def options(command):
    found = set(EVERYWHERE)
    for one in command.params:
        found |= {*one.opts, *one.secondary_opts}
    for name in getattr(command, "commands", ()):
        found |= options(command.get_command(None, name))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_the_documents(page):
    for text in written(page.read_text(encoding="utf-8")):
        found, words = commands(text)
        assert found, f"{page.name} names a command that is not there: carbonterm {text[:80]}"
        said = re.split(r'"|\s--\s', " ".join(words))[0]  # what is quoted, or behind --, is another program's
        for option in re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", said):
            known = set().union(*map(options, found))
            assert option in known, f"{page.name}: carbonterm {text[:80]} has no option {option}"


def test_what_is_not_there_is_seen():
    for text, good in (("board flash X --port P", True), ("board flush X", False), ("verify x --operator N:HEX", True)):
        assert bool(commands(text)[0]) == good
    assert "--port" in options(commands("board flash X")[0][0])
    assert list(written("a `carbonterm scan X` b\n```\ncarbonterm watch Y\n    [--every S]\nls\n```\n")) == [
        "watch Y     [--every S]", "scan X"]  # fmt: skip
