"""What the rows of a site document are made of: checks of fields, and Row, the class of every kind of row.

A check takes a value of the canonical form and gives the value of the row, or raises SiteError; it does not say where.
"""

from carbonterm.errors import CarbonError, SiteError
from carbonterm.number import Number

REGISTER, INSTANT = "register", "instant"  # a running total, or a value of the moment
MANUAL, VIRTUAL = "manual", "virtual"  # entered by a person, or made of other points (carbonterm.site_formed)


# --- field checks: value of the canonical form -> value of the row, or SiteError --------------------------------


def text(limit):
    """A text of 1 to `limit` characters."""
    def check(value):
        if not isinstance(value, str) or not 0 < len(value) <= limit:
            raise SiteError("must be a text of 1 to %d characters" % limit)
        return value

    return check


def integer(low, high):
    """An integer from low to high."""
    def check(value):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise SiteError("must be an integer from %d to %d" % (low, high))
        return value

    return check


def choice(*allowed):
    """One of the values."""
    def check(value):
        if value not in allowed:
            raise SiteError("must be one of " + ", ".join([str(a) for a in allowed]))
        return value

    return check


def number(value):
    """[mantissa, exponent], as a Number."""
    if not isinstance(value, list) or len(value) != 2:
        raise SiteError("must be a number [mantissa, exponent]")
    return Number(value[0], value[1])


def as_it_is(value):
    """Anything."""
    return value


def optional(check):
    """None, or what the other check takes."""
    return lambda value: None if value is None else check(value)


def octets(low, high):
    """Bytes, low to high of them."""
    def check(value):
        if not isinstance(value, bytes) or not low <= len(value) <= high:
            raise SiteError("must be %d to %d bytes" % (low, high))
        return value

    return check


def listed(check, high=65535):
    """A list of at most `high`, each item checked."""
    def checked(value):
        if not isinstance(value, list) or len(value) > high:
            raise SiteError("must be a list of at most %d" % high)
        return [check(item) for item in value]

    return checked


# one function for all the fields that are checked alike
name, name_or_none = text(64), optional(text(64))
number_or_none = optional(number)
index = integer(0, 65535)


class Row:
    """A row of the document: `shape`, `later` and `extra` name its places and how each is checked.

    They are functions, so that a device does not keep what it needs for a moment; for the same reason what is usually
    the same is an attribute of the class, and a row's own where it is not: rows are most of a site.
    """

    NAME = "row"
    _first = _extra = False

    @staticmethod
    def shape():
        """((name, check), …) of the places that every document has."""
        return ()

    @staticmethod
    def later():
        """((name, check, the value it then stands for), …) of those that one of the first format does not have."""
        return ()

    @staticmethod
    def extra():
        """As `later`, of those at the end that only some rows have."""
        return ()

    def __init__(self, values, where, first=False):
        if first:
            self._first = True
        fields = self.fields()
        if not isinstance(values, list) or len(values) != len(fields):
            raise SiteError("%s must have %d fields" % (where, len(fields)))
        for name, _, value in self.later():
            self._set(name, value)
        for (name, check), value in zip(fields, values):
            try:
                self._set(name, check(value))
            except CarbonError as error:
                raise SiteError("%s, %s: %s" % (where, name, error.what), error.hint)

    def _set(self, name, value):
        usual = getattr(self, name, Row)
        if type(usual) is not type(value) or usual != value:
            setattr(self, name, value)

    def fields(self):
        """[(name, check)] of the places that this row has in its document."""
        more = () if self._first else self.later()
        return list(self.shape()) + [row[:2] for row in (more + self.extra() if self._extra else more)]

    def canonical(self):
        return [plain(getattr(self, name)) for name, _ in self.fields()]


def plain(value):
    """A value of a row as the canonical document has it."""
    if isinstance(value, Number):
        return [value.mantissa, value.exponent]
    if isinstance(value, Row):
        return value.canonical()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
