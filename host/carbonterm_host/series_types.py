"""Series types of environmental data and the usual periods of acquisition, as data (park document, 6.1 and 6.3).

data/series_types.json and data/periods.json say unit, range, rules and reasons; here they are looked up. `type_of`
finds the type of a point by its quantity and the class of node its meter stands at, `form_of` its figures for a unit.
"""

import json
import re
from fractions import Fraction
from functools import cache
from pathlib import Path

from carbonterm import units
from carbonterm.errors import CarbonError
from carbonterm.number import Number

FOLDER = Path(__file__).parent / "data"
PLACES = ("outlet", "environment")  # the nodes whose series are environmental data
_MS = {"s": 1000, "min": 60000, "h": 3600000}


class Form:
    """A type's figures in a point's own unit, exact: low and high (Fraction), step (Fraction or None), stuck_ms."""

    __slots__ = ("low", "high", "step", "stuck_ms")

    def __init__(self, row, ratio, stuck_ms):
        self.low, self.high, self.step = (
            None if row[key] is None else Fraction(row[key]) * ratio for key in ("min", "max", "step")
        )
        self.stuck_ms = stuck_ms


@cache
def types():
    """The rows of data/series_types.json, as dicts."""
    return json.loads((FOLDER / "series_types.json").read_text(encoding="utf-8"))["types"]


def type_of(quantity, place):
    """The type of a quantity at a node of class `place`, or None: it is no environmental series."""
    return next((row for row in types() if row["node"] == place and quantity in row["quantities"]), None)


def form_of(kind, unit):
    """The Form of a type for a unit, None if the type cannot be in that unit."""
    for row in kind["forms"]:
        try:
            ratio = units.factor(row["unit"], unit)
        except CarbonError:
            continue
        return Form(row, Fraction(ratio.numerator, ratio.denominator), span_ms(kind["stuck"]))
    return None


def wanted(kind):
    """The units that a type may be in, for people."""
    return ", ".join(row["unit"] for row in kind["forms"])


def number(value):
    """Number of a Fraction, exact or to 9 decimals."""
    return Number(round(value * 10**9), -9).normal()


@cache
def periods():
    """(rows, the row for what is in none) of data/periods.json, as dicts."""
    found = json.loads((FOLDER / "periods.json").read_text(encoding="utf-8"))
    return found["rows"], found["other"]


def period_of(quantity, kind):
    """The row of data/periods.json for a quantity that is a register or a value of the moment."""
    rows, other = periods()
    return next((row for row in rows if row["kind"] == kind and quantity in row["quantities"]), other)


def span_ms(text):
    """Milliseconds of a span like 15min in the data."""
    value, unit = re.fullmatch(r"(\d+)(s|min|h)", text).groups()
    return int(value) * _MS[unit]
