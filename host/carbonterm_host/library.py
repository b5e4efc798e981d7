"""The methods and factors that ship with the core, and those of a user's own library folder beside them.

The core opens no file; this module does. A user's folder (--library DIR or $CARBONTERM_LIBRARY) holds own factors,
confirmations and packages (see carbonterm_host.library_folder); what it adds are newer versions beside the shipped
ones, which stay usable for their own periods.
"""

import datetime
import json
import os
from functools import lru_cache
from pathlib import Path

import typer

import carbonterm
from carbonterm import clock
from carbonterm.accounting.load import ZONE, date, load_factors, load_method
from carbonterm.errors import AccountingError, quoted
from carbonterm.nearest import hint
from carbonterm_host import library_folder

FOLDER = Path(carbonterm.__file__).parent / "accounting"
VARIABLE = "CARBONTERM_LIBRARY"
LIBRARY = typer.Option(None, "--library", metavar="DIR", help=f"folder of your own library, ${VARIABLE} · 自有库目录")


def read(path):
    """The object of a JSON file; AccountingError where it is none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise AccountingError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise AccountingError(f"{path} is no JSON: {error}") from None


def shipped_files(kind):
    """Paths of the shipped methods or factors, in the order of their names."""
    return sorted(FOLDER.glob(kind + "/*.json"))


@lru_cache(maxsize=64)
def _shipped_method(path):
    return load_method(read(path))


@lru_cache(maxsize=1)
def shipped_factors():
    """Factors as they ship."""
    return load_factors(*[read(path) for path in shipped_files("factors")])


def methods(folder=None):
    """{id: newest Method} of all methods, in the order of their ids; older versions are there as "id@version"."""
    found = {method.id: method for method in map(_shipped_method, shipped_files("methods"))}
    for method in library_folder.methods(own_folder(folder)):
        former = found.get(method.id)
        if former is not None and former.version != method.version:
            found[f"{former.id}@{former.version}"] = former
        found[method.id] = method
    return {id: found[id] for id in sorted(found)}


def factors(folder=None):
    """Factors of all factor sets, with what the user's folder adds."""
    return library_folder.with_own(shipped_factors(), own_folder(folder))


def factors_with(own, folder=None):
    """The Factors of `factors` and those of one more set, a dict as in accounting/factors/*.json."""
    return factors(folder).joined(load_factors(own))


def method(name, folder=None):
    """The Method of an id or "id@version"; AccountingError with the nearest ids."""
    path = FOLDER / "methods" / (name + ".json")
    if own_folder(folder) is None and name.replace("-", "").isalnum() and path.exists():
        return _shipped_method(path)  # no need to load the others
    known = methods(folder)
    if name not in known:
        raise AccountingError("unknown method " + quoted(name), hint(name, list(known), "methods"))
    return known[name]


def own_folder(given):
    """The user's folder as a Path, or None; AccountingError where it is named and not there."""
    name = given or os.environ.get(VARIABLE)
    if not name:
        return None
    if not Path(name).is_dir():
        raise AccountingError(f"library {quoted(str(name))} is no folder", "make the folder first")
    return Path(name)


def moment(text):
    """Start of a day in China in ms, of YYYY-MM-DD, or of an ISO 8601 time; today where None."""
    if text is None:
        china = datetime.timezone(datetime.timedelta(minutes=ZONE))
        text = datetime.datetime.now(china).date().isoformat()
    return clock.parse(text) if "T" in text else date(text, "--at")
