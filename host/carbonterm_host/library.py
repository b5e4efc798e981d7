"""The methods and factors that ship with the core, read from their files (the core itself never opens one)."""

import json
from functools import lru_cache
from pathlib import Path

import carbonterm
from carbonterm.accounting.load import Factors, load_factors, load_method
from carbonterm.errors import AccountingError, quoted
from carbonterm.nearest import hint

FOLDER = Path(carbonterm.__file__).parent / "accounting"


def _read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def methods():
    """{id: Method} of all methods, in the order of their ids."""
    found = [load_method(_read(path)) for path in sorted(FOLDER.glob("methods/*.json"))]
    return {method.id: method for method in sorted(found, key=lambda m: m.id)}


@lru_cache(maxsize=1)
def factors():
    """Factors of all factor sets."""
    return load_factors(*[_read(path) for path in sorted(FOLDER.glob("factors/*.json"))])


def factors_with(own):
    """The shipped Factors and those of one more set, a dict as in accounting/factors/*.json."""
    merged, shipped, mine = Factors(), factors(), load_factors(own)
    for name in ("by_id", "sets", "fuels"):
        setattr(merged, name, {**getattr(shipped, name), **getattr(mine, name)})
    return merged


def method(name):
    """The Method of an id; AccountingError with the nearest ids."""
    known = methods()
    if name not in known:
        raise AccountingError("unknown method " + quoted(name), hint(name, list(known), "methods"))
    return known[name]
