"""For tests on CPython: the `carbonterm` command in this process, and bundles of logs in memory."""

import io
from contextlib import redirect_stderr, redirect_stdout

import pytest

from carbonterm.ledger import bundle, checkpoint
from carbonterm_host import cli, datafolder


def carbonterm(*arguments, lang="en"):
    """(exit code, stdout, stderr) of the command, on a screen of 80 columns."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("CARBONTERM_LANG", lang)  # so that what the command sets is put back
        patch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as ended:
            cli.main(["--lang", lang, *map(str, arguments)])
    return ended.value.code, out.getvalue(), err.getvalue()


def pulled(storage, terminal_id, centre=None, time_s=1750000100):
    """Bytes of the bundle of a log; centre: (name, signer) that cosigns every checkpoint."""
    raw, out = io.BytesIO(), io.BytesIO()
    writer = bundle.Writer(raw, terminal_id, "test")
    datafolder.pull(storage, writer)
    writer.end()
    writer = bundle.Writer(out, terminal_id, "test")
    if centre:
        writer.centre(centre[0], centre[1].public)
    for _, frame in bundle.read(io.BytesIO(raw.getvalue())):
        if frame[0] == "checkpoint" and centre:
            writer.checkpoint(checkpoint.cosigned(frame[1], centre[0], centre[1].public, time_s, centre[1].sign))
        elif frame[0] != "header":
            getattr(writer, frame[0])(*frame[1:])
    writer.end()
    return out.getvalue()
