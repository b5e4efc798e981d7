"""A `carbonterm` command run in the test's own process: one of its own takes half a second."""

import contextlib
import io
import os

from carbonterm_host import cli


def carbonterm(*words, lang="en"):
    """(exit code, stdout, stderr) of the command."""
    out, err, before, code = io.StringIO(), io.StringIO(), os.environ.get("CARBONTERM_LANG"), None
    os.environ["CARBONTERM_LANG"] = lang
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main(list(map(str, words)))
    except SystemExit as ended:
        code = ended.code
    finally:
        os.environ.pop("CARBONTERM_LANG")
        if before is not None:
            os.environ["CARBONTERM_LANG"] = before
    return code, out.getvalue(), err.getvalue()
