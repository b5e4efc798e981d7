"""The one configuration document of a terminal, in canonical form.

A person writes site.yaml; the host checks it, resolves meter models, compiles formulas and writes this form, which is
what the terminal reads, what the `config` entry holds and what replay uses: nothing else configures an emission figure.
It is one canonical array of rows; rows refer to each other by index. docs/site.md describes every field.
"""

from carbonterm import cbor, units
from carbonterm.accounting import source as accounting
from carbonterm.clock import DAY, HOUR, MINUTE, MONTH, YEAR, stamp
from carbonterm.errors import CarbonError, SiteError, quoted
from carbonterm.field import identity
from carbonterm.field.registers import ORDERS, TYPES
from carbonterm.number import Number

FORMAT = "carbonterm-site-1"
REGISTER, INSTANT = "register", "instant"  # a running total, or a value of the moment
BUS_KINDS = ("modbus-tcp", "modbus-rtu")
PARITIES = ("none", "even", "odd")
LOGGED_PERIODS = (MINUTE, HOUR, DAY, MONTH, YEAR)


# --- field checks: value of the canonical form -> value of the row, or SiteError --------------------------------


def _text(limit):
    def check(value):
        if not isinstance(value, str) or not 0 < len(value) <= limit:
            raise SiteError("must be a text of 1 to %d characters" % limit)
        return value

    return check


def _integer(low, high):
    def check(value):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise SiteError("must be an integer from %d to %d" % (low, high))
        return value

    return check


def _choice(*allowed):
    def check(value):
        if value not in allowed:
            raise SiteError("must be one of " + ", ".join([str(a) for a in allowed]))
        return value

    return check


def _number(value):
    if not isinstance(value, list) or len(value) != 2:
        raise SiteError("must be a number [mantissa, exponent]")
    return Number(value[0], value[1])


def _optional(check):
    return lambda value: None if value is None else check(value)


def _bytes(low, high):
    def check(value):
        if not isinstance(value, bytes) or not low <= len(value) <= high:
            raise SiteError("must be %d to %d bytes" % (low, high))
        return value

    return check


def _list(check, high=65535):
    def checked(value):
        if not isinstance(value, list) or len(value) > high:
            raise SiteError("must be a list of at most %d" % high)
        return [check(item) for item in value]

    return checked


def terminal_id(value):
    """A terminal's identifier: 1 to 32 of A-Z a-z 0-9 . - beginning with a letter or digit; SiteError otherwise."""
    good = isinstance(value, str) and 0 < len(value) <= 32 and value[0] not in ".-"
    if good:
        for c in value:
            if not ("0" <= c <= "9" or "A" <= c <= "Z" or "a" <= c <= "z" or c in ".-"):
                good = False
    if not good:
        raise SiteError("%s is no terminal id" % quoted(str(value)), "use 1 to 32 of A-Z a-z 0-9 . -")
    return value


class Row:
    """A row of the document: FIELDS names its places and how each is checked."""

    FIELDS = ()
    NAME = "row"

    def __init__(self, values, where):
        if not isinstance(values, list) or len(values) != len(self.FIELDS):
            raise SiteError("%s must have %d fields" % (where, len(self.FIELDS)))
        for (name, check), value in zip(self.FIELDS, values):
            try:
                setattr(self, name, check(value))
            except CarbonError as error:
                raise SiteError("%s, %s: %s" % (where, name, error.what), error.hint)

    def canonical(self):
        return [_plain(getattr(self, name)) for name, _ in self.FIELDS]


class Bus(Row):
    """A line of meters. port: the TCP port, or the baud rate of a serial device; gap_ms: the silence between frames."""

    NAME = "bus"
    FIELDS = (
        ("name", _text(64)),
        ("kind", _choice(*BUS_KINDS)),
        ("address", _text(255)),
        ("port", _integer(1, 4000000)),
        ("parity", _choice(*PARITIES)),
        ("stop", _integer(1, 2)),
        ("timeout_ms", _integer(10, 60000)),
        ("retries", _integer(0, 9)),
        ("gap_ms", _integer(0, 10000)),
    )


def day_of(text):
    """Day number from 1970-01-01 of a date written YYYY-MM-DD; SiteError or ClockError otherwise."""
    parts = text.split("-") if isinstance(text, str) and len(text) == 10 else ()
    if [len(part) for part in parts] != [4, 2, 2] or not all("0" <= c <= "9" for part in parts for c in part):
        raise SiteError("%s is no date" % quoted(str(text)), "write it like 2026-01-31")
    return stamp(int(parts[0]), int(parts[1]), int(parts[2])) // 86400000


def _date(value):
    day_of(value)
    return value


def _above_zero(value):
    number = _number(value)
    if not number > 0:
        raise SiteError("must be above 0")
    return number


def _unit(value):
    units.parse(value)
    return value


class Certificate(Row):
    """A certificate of verification or calibration (检定证书, 校准证书), dates YYYY-MM-DD; due: the first day on which
    it no longer holds. uncertainty: expanded, in `unit` ("%" is relative), with coverage factor k; standard: what the
    values are traced to; digest: SM3 of the certificate's file."""

    NAME = "certificate"
    FIELDS = (
        ("number", _text(64)),
        ("authority", _text(128)),
        ("date", _date),
        ("due", _date),
        ("result", _text(64)),
        ("uncertainty", _optional(_above_zero)),
        ("unit", _optional(_unit)),
        ("k", _optional(_above_zero)),
        ("standard", _optional(_text(200))),
        ("digest", _optional(_bytes(32, 32))),
    )

    def __init__(self, values, where):
        Row.__init__(self, values, where)
        if day_of(self.due) <= day_of(self.date):
            raise SiteError("%s is due on %s, not after its date %s" % (where, self.due, self.date))
        if (self.uncertainty is None) != (self.unit is None):
            raise SiteError("%s: an uncertainty has a unit, and a unit an uncertainty" % where)

    def days_left(self, at_ms, zone):
        """Days from the civil date of a moment in a zone (minutes east) to the due date; 0 or less: it has expired."""
        return day_of(self.due) - (at_ms + zone * 60000) // 86400000


def _certificate(value):
    return Certificate(value, "certificate")


def _identity(value):
    identity.check(value)
    return list(value)


class Meter(Row):
    """A meter on a bus; most: the largest number of registers it answers in one reply. serial (出厂编号), asset id and
    place are the record of the instrument (11.8); identity: where the meter itself says its serial number, as
    carbonterm.field.identity has it."""

    NAME = "meter"
    FIELDS = (
        ("name", _text(64)),
        ("bus", _integer(0, 65535)),
        ("unit", _integer(0, 255)),
        ("model", _text(64)),
        ("most", _integer(1, 125)),
        ("serial", _optional(_text(64))),
        ("asset", _optional(_text(64))),
        ("place", _optional(_text(128))),
        ("identity", _optional(_identity)),
        ("certificate", _optional(_certificate)),
    )


class Point(Row):
    """A quantity of a meter: value = register × scale; scale holds decimals, CT and PT ratio.

    modulus: one more than the register's largest number, in scaled units (T-8.2.2-1). limit: largest plausible
    increase per hour. minimum, maximum: valid range, both ends valid (8.1.1).
    """

    NAME = "point"
    FIELDS = (
        ("name", _text(64)),
        ("meter", _integer(0, 65535)),
        ("quantity", _text(64)),
        ("unit", _text(32)),
        ("function", _integer(1, 4)),
        ("address", _integer(0, 65535)),
        ("type", _choice(*sorted(TYPES))),
        ("order", _choice(*sorted(ORDERS))),
        ("scale", _number),
        ("kind", _choice(REGISTER, INSTANT)),
        ("modulus", _optional(_number)),
        ("limit", _optional(_number)),
        ("minimum", _optional(_number)),
        ("maximum", _optional(_number)),
        ("interval_ms", _integer(100, 86400000)),
    )


def _feed(value):
    if not isinstance(value, list) or len(value) != 3:
        raise SiteError("must be a list of [point, numerator, denominator]")
    positive = _integer(1, (1 << 64) - 1)
    return [_integer(0, 65535)(value[0]), positive(value[1]), positive(value[2])]


class Input(Row):
    """What feeds a parameter: the sum of the points' increments, each times numerator/denominator, which converts its
    unit to the parameter's."""

    NAME = "input"
    FIELDS = (("parameter", _text(64)), ("points", _list(_feed)))


def _compiled(value):
    accounting.check(value)
    return value


def _inputs(value):
    return [Input(row, "input %d" % i) for i, row in enumerate(_list(lambda row: row)(value))]


class Source(Row):
    """An emission source: a compiled source of a method (with its factors) and the points that feed it."""

    NAME = "source"
    FIELDS = (("name", _text(64)), ("compiled", _compiled), ("inputs", _inputs))

    def scope(self):
        return self.compiled[accounting.SCOPE]


class Centre(Row):
    """A platform: where it listens, the CA of its certificate (DER), the key that its receipts are signed with."""

    NAME = "centre"
    FIELDS = (
        ("name", _text(64)),
        ("host", _text(255)),
        ("port", _integer(1, 65535)),
        ("ca", _bytes(1, 8192)),
        ("public", _bytes(64, 64)),
    )


class Settings(Row):
    """What holds for the whole site."""

    NAME = "settings"
    FIELDS = (
        ("closings", _list(_choice(*LOGGED_PERIODS), 5)),  # the periods whose settlements and emissions are logged
        ("commit_ms", _integer(10, 600000)),  # the longest that a reading waits for its flush
    )


class Site:
    """`Site(document)`: document is the decoded canonical array. Raises SiteError naming the row and the field."""

    ROWS = (("buses", Bus), ("meters", Meter), ("points", Point), ("sources", Source), ("centres", Centre))

    def __init__(self, document):
        if not isinstance(document, list) or len(document) != 11 or document[0] != FORMAT:
            raise SiteError("this is no site document (%s)" % FORMAT, "make one with 'carbonterm site check'")
        self.version = _integer(1, (1 << 32) - 1)(document[1])
        self.terminal_id = terminal_id(document[2])
        self.name = _text(128)(document[3])
        self.zone = _integer(-840, 840)(document[4])
        for place, (attribute, row) in enumerate(self.ROWS):
            rows = _list(lambda value: value)(document[5 + place])
            setattr(self, attribute, [row(values, "%s %d" % (row.NAME, i)) for i, values in enumerate(rows)])
        self.settings = Settings(document[10], "settings")
        self._check()

    def _check(self):
        for rows, target, attribute in ((self.meters, self.buses, "bus"), (self.points, self.meters, "meter")):
            for row in rows:
                if getattr(row, attribute) >= len(target):
                    named = (row.NAME, quoted(row.name), attribute, getattr(row, attribute), len(target))
                    raise SiteError("%s %s names %s %d of %d" % named)
        for rows in (self.buses, self.meters, self.points, self.sources, self.centres):
            names = [row.name for row in rows]
            for name in names:
                if names.count(name) > 1:
                    raise SiteError("two rows are named %s" % quoted(name), "give each a name of its own")
        self._check_serials()
        for source in self.sources:
            fed = [feed.parameter for feed in source.inputs]
            if sorted(fed) != sorted([name for name, _ in source.compiled[accounting.INPUTS]]):
                raise SiteError(
                    "source %s: its inputs are not the ones of its formula, each once" % quoted(source.name)
                )
            for feed in source.inputs:
                for point, _, _ in feed.points:
                    if point >= len(self.points) or self.points[point].kind != REGISTER:
                        raise SiteError("source %s: point %d is no running total" % (quoted(source.name), point))

    def _check_serials(self):
        known = []
        for meter in self.meters:
            if meter.serial is not None:
                for other in known:
                    if other.model == meter.model and identity.same(other.serial, meter.serial):
                        both = quoted(other.name), quoted(meter.name), quoted(meter.serial)
                        raise SiteError("meters %s and %s have one serial number, %s" % both, "correct one of them")
                known.append(meter)

    def canonical(self):
        """The document's canonical bytes."""
        rows = [[row.canonical() for row in getattr(self, attribute)] for attribute, _ in self.ROWS]
        return cbor.encode(
            [FORMAT, self.version, self.terminal_id, self.name, self.zone] + rows + [self.settings.canonical()]
        )


def decode(data):
    """The Site of canonical bytes; CborError or SiteError."""
    return Site(cbor.decode(data))


def _plain(value):
    if isinstance(value, Number):
        return [value.mantissa, value.exponent]
    if isinstance(value, Row):
        return value.canonical()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
