"""The one configuration document of a terminal, in canonical form.

A person writes site.yaml; the host checks it, resolves meter models, compiles formulas and writes this form, which is
what the terminal reads, what the `config` entry holds and what replay uses: nothing else configures an emission figure.
It is one canonical array of rows; rows refer to each other by index. docs/site.md describes every field.
"""

from carbonterm import cbor
from carbonterm.clock import DAY, HOUR, MINUTE, MONTH, YEAR
from carbonterm.errors import CarbonError, SiteError, quoted
from carbonterm.field import places
from carbonterm.site_rows import INSTANT, MANUAL, REGISTER, Row
from carbonterm.site_rows import as_it_is as _as_it_is
from carbonterm.site_rows import choice as _choice
from carbonterm.site_rows import index as _INDEX
from carbonterm.site_rows import integer as _integer
from carbonterm.site_rows import listed as _list
from carbonterm.site_rows import name as _NAME
from carbonterm.site_rows import name_or_none as _NAME_OR_NONE
from carbonterm.site_rows import number as _number
from carbonterm.site_rows import number_or_none as _NUMBER
from carbonterm.site_rows import octets as _bytes
from carbonterm.site_rows import optional as _optional
from carbonterm.site_rows import text as _text

# the second has meters of other protocols than Modbus; the first is read for the logs that hold it
FORMATS = ("carbonterm-site-1", "carbonterm-site-2")
FORMAT = FORMATS[-1]
# serial: a line whose meters may speak different protocols; inbound: who is there sends by itself
BUS_KINDS = ("modbus-tcp", "modbus-rtu", "serial", places.INPUTS) + places.SENDERS
STOPS = ("any", "majority")
TERMINAL, COLLECTOR = "terminal", "collector"  # profile: a collector polls, signs, stores and forwards, no more
PARITIES = ("none", "even", "odd")
LOGGED_PERIODS = (MINUTE, HOUR, DAY, MONTH, YEAR)
# where a plant has to be metered (park, 6.1, 6.3): 主要生产设施, 锅炉, 电力配电设备, 关键消耗节点, 排放口, 环境
NODES = ("production", "boiler", "distribution", "consumption", "outlet", "environment")


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


class Bus(Row):
    """A line of meters. port: the TCP port, or the baud rate of a serial device; gap_ms: the silence between frames.
    A line of kind "modbus-rtu" has Modbus meters only, one of kind "serial" any. sync_hour:
    the hour of the day in which the meters of DL/T 645 are told the time, None: never. inbound: where a bus is an
    entrance for messages, what carbonterm.field.inbound says; address and port are then the broker's, or those that
    the terminal listens on, and timeout_ms is how long a message may take to become durable."""

    NAME = "bus"

    @staticmethod
    def shape():
        return (
            ("name", _NAME),
            ("kind", _choice(*BUS_KINDS)),
            ("address", _text(255)),
            ("port", _integer(1, 4000000)),
            ("parity", _choice(*PARITIES)),
            ("stop", _integer(1, 2)),
            ("timeout_ms", _integer(10, 60000)),
            ("retries", _integer(0, 9)),
            ("gap_ms", _integer(0, 10000)),
        )

    @staticmethod
    def later():
        return (("sync_hour", _optional(_integer(0, 23)), None),)

    @staticmethod
    def extra():  # only an entrance has it
        return (("inbound", _as_it_is, None),)

    def __init__(self, values, where, first=False):
        if isinstance(values, list) and len(values) > 1 and values[1] in places.SENDERS:
            self._extra = True
        self.inbound = None
        Row.__init__(self, values, where, first)
        if self.kind not in places.SENDERS and self.inbound is None:
            return
        from carbonterm.field import inbound

        try:
            inbound.check_bus(self.kind, self.inbound)
        except CarbonError as error:
            raise SiteError("%s, inbound: %s" % (where, error.what), error.hint)


def _identifier(value):
    from carbonterm.field import identifier

    return identifier.check(value)


def _certificate(value):
    from carbonterm.site_certificate import Certificate  # few meters of a collector have one

    return Certificate(value, "certificate")


def _identity(value):
    from carbonterm.field import identity  # only meters that say their serial number need it

    identity.check(value)
    return list(value)


class Meter(Row):
    """A meter on a bus; unit: what it is asked by, a Modbus unit or the printed address (carbonterm.field.places);
    most: the largest number of registers it answers in one reply. serial (出厂编号), asset id and place are the record
    of the instrument (11.8); identity: where the meter itself says its serial number, as carbonterm.field.identity has
    it. dialect: how it writes, see places; baud, parity and stop: where they are not the line's; gap: registers that
    may be read unwanted between two wanted ones; silence_ms: the rest it needs after an answer, timeout_ms and retries:
    where the line's do not do; ct, pt: its transformers, "200/5", already part of its points' scales."""

    NAME = "meter"
    most = 125
    serial = asset = place = identity = certificate = dialect = baud = parity = stop = timeout_ms = retries = None
    ct = pt = identifier = None
    protocol, gap, silence_ms = places.MODBUS, 8, 0

    @staticmethod
    def shape():
        return (
            ("name", _NAME),
            ("bus", _INDEX),
            ("unit", _as_it_is),
            ("model", _NAME),
            ("most", _integer(1, 125)),
            ("serial", _NAME_OR_NONE),
            ("asset", _NAME_OR_NONE),
            ("place", _optional(_text(128))),
            ("identity", _optional(_identity)),
            ("certificate", _optional(_certificate)),
        )

    @staticmethod
    def later():
        return (
            ("protocol", _choice(*(places.PROTOCOLS + places.CHANNELS + places.SENDERS)), places.MODBUS),
            ("dialect", _as_it_is, None),
            ("baud", _optional(_integer(300, 4000000)), None),
            ("parity", _optional(_choice(*PARITIES)), None),
            ("stop", _optional(_integer(1, 2)), None),
            ("gap", _integer(0, 124), 8),
            ("silence_ms", _integer(0, 10000), 0),
            ("timeout_ms", _optional(_integer(10, 60000)), None),
            ("retries", _optional(_integer(0, 9)), None),
            ("ct", _optional(_text(24)), None),
            ("pt", _optional(_text(24)), None),
        )

    @staticmethod
    def extra():  # few have one
        return (("identifier", _identifier, None),)

    def __init__(self, values, where, first=False):
        if isinstance(values, list) and len(values) > len(self.shape()) + len(self.later()):
            self._extra = True
        Row.__init__(self, values, where, first)
        for name, check in (("unit", places.check_unit), ("dialect", places.check_dialect)):
            try:
                check(self.protocol, getattr(self, name))
            except CarbonError as error:
                raise SiteError("%s, %s: %s" % (where, name, error.what), error.hint)
        if self.protocol != places.MODBUS and self.identity is not None:
            raise SiteError("%s: only a Modbus meter has an identity register" % where)


class Point(Row):
    """A quantity of a meter: value = register × scale; scale holds decimals, CT and PT ratio. function, address, type
    and order: where the value is, as carbonterm.field.places has it for the meter's protocol.

    modulus: one more than the register's largest number, in scaled units (T-8.2.2-1). limit: largest plausible
    increase per hour. minimum, maximum: valid range, both ends valid (8.1.1).
    """

    NAME = "point"
    order = "ABCD"
    modulus = limit = minimum = maximum = None

    @staticmethod
    def shape():
        return (
            ("name", _NAME),
            ("meter", _INDEX),
            ("quantity", _NAME),
            ("unit", _text(32)),
            ("function", _as_it_is),
            ("address", _as_it_is),
            ("type", _as_it_is),
            ("order", _as_it_is),
            ("scale", _number),
            ("kind", _choice(REGISTER, INSTANT)),
            ("modulus", _NUMBER),
            ("limit", _NUMBER),
            ("minimum", _NUMBER),
            ("maximum", _NUMBER),
            ("interval_ms", _integer(100, 86400000)),
        )


def _feed(value):
    if not isinstance(value, list) or len(value) != 3:
        raise SiteError("must be a list of [point, numerator, denominator]")
    positive = _integer(1, (1 << 64) - 1)
    return [_INDEX(value[0]), positive(value[1]), positive(value[2])]


class Input(Row):
    """What feeds a parameter: the sum of the points' increments, each times numerator/denominator, which converts its
    unit to the parameter's."""

    NAME = "input"

    @staticmethod
    def shape():
        return (("parameter", _NAME), ("points", _list(_feed)))


def _compiled(value):
    from carbonterm.accounting import source as accounting  # collectors have no sources

    accounting.check(value)
    return value


def _inputs(value):
    return [Input(row, "input %d" % i) for i, row in enumerate(_list(lambda row: row)(value))]


class Source(Row):
    """An emission source: a compiled source of a method (with its factors) and the points that feed it."""

    NAME = "source"

    @staticmethod
    def shape():
        return (("name", _NAME), ("compiled", _compiled), ("inputs", _inputs))

    def scope(self):
        from carbonterm.accounting import source as accounting

        return self.compiled[accounting.SCOPE]


def _broker(value):
    from carbonterm.uplink import topics  # most centres are reached by HTTPS

    return topics.check_options(value)


class Centre(Row):
    """A platform: where it listens, the CA of its certificate (DER), the key that its receipts are signed with. mqtt:
    where host and port are a broker's over which it is reached, what carbonterm.uplink.topics says; None by HTTPS."""

    NAME = "centre"

    @staticmethod
    def shape():
        return (
            ("name", _NAME),
            ("host", _text(255)),
            ("port", _integer(1, 65535)),
            ("ca", _bytes(1, 8192)),
            ("public", _bytes(64, 64)),
        )

    @staticmethod
    def later():
        return (("mqtt", _broker, None),)

    def __init__(self, values, where, first=False):
        """One that is reached by HTTPS has no last place."""
        Row.__init__(self, values, where, first or (isinstance(values, list) and len(values) == len(self.shape())))


class Node(Row):
    """A place of the plant that has to be metered (监测节点): its class, the meters there, and where there is none
    the reason (gap)."""

    NAME = "node"

    @staticmethod
    def shape():
        return (
            ("name", _NAME),
            ("class_", _choice(*NODES)),
            ("meters", _list(_integer(0, 65535), 4096)),
            ("gap", _optional(_text(200))),
        )

    def __init__(self, values, where, first=False):
        Row.__init__(self, values, where, first)
        if self.meters and self.gap is not None:
            raise SiteError("%s: it has a meter and a reason for having none" % where, "leave one of them out")
        if self.meters != sorted(set(self.meters)):
            raise SiteError("%s: its meters are not in order, each once" % where)


class Settings(Row):
    """What holds for the whole site."""

    NAME = "settings"

    @staticmethod
    def shape():
        return (
            ("closings", _list(_choice(*LOGGED_PERIODS), 5)),  # the periods whose settlements and emissions are logged
            ("commit_ms", _integer(10, 600000)),  # the longest that a reading waits for its flush
        )

    @staticmethod
    def later():
        return (
            ("commit_bytes", _integer(256, 1 << 20), 4096),  # so many waiting bytes are flushed at once
            # what all centres hold is kept for so many days and MiB of log; 0: as long, as much as there is room
            ("keep_days", _integer(0, 36500), 0),
            ("keep_mb", _integer(0, 1 << 20), 0),
            # how many centres' signed words against the log end the signing in an epoch
            ("stop", _choice(*STOPS), "any"),
        )

    @staticmethod
    def extra():  # written only where it is not a terminal's
        return (("profile", _choice(COLLECTOR), TERMINAL),)

    profile = TERMINAL

    def __init__(self, values, where, first=False):
        """The four of `later` may be left out together, in either format."""
        count = len(values) if isinstance(values, list) else 0
        few, most = len(self.shape()), len(self.shape()) + len(self.later())
        if count > most:
            self._extra = True
        Row.__init__(self, values, where, first or count == few)


def _share(values, texts):
    """Puts one text in the place of all that are equal: a thousand points need not hold "kWh" a thousand times."""
    if isinstance(values, list):
        for i, value in enumerate(values):
            if isinstance(value, str):
                values[i] = texts.setdefault(value, value)


def _share_numbers(point, numbers):
    """As _share of a Point's numbers, which are the same for all points of a kind."""
    for name in ("scale", "modulus", "limit", "minimum", "maximum"):
        number = getattr(point, name)
        if number is not None:
            setattr(point, name, numbers.setdefault((number.mantissa, number.exponent), number))


class Site:
    """`Site(document)`: document is the decoded canonical array. Raises SiteError naming the row and the field.

    The parts of TAIL come last; a document leaves out those at its end that are empty. boundary: a Boundary of
    carbonterm.accounting.boundary, or None; operators, manual, virtual: rows of carbonterm.site_formed; series: {point:
    row} of carbonterm.site_series; calendar: (holidays, days worked instead) as day numbers; page: row of
    carbonterm.site_page or None; all_points: what an index counts: those of meters, then manual, then virtual ones.
    """

    ROWS = (("buses", Bus), ("meters", Meter), ("points", Point), ("sources", Source), ("centres", Centre))
    TAIL = ("nodes", "boundary", "formed", "series", "calendar", "page")
    operators = manual = virtual = ()
    series = {}  # noqa: RUF012 - never changed
    calendar = ((), ())
    page = None

    def __init__(self, document, spend=False):
        if not isinstance(document, list) or not 0 <= len(document) - 11 <= len(self.TAIL) or (
            document[0] not in FORMATS
        ):
            raise SiteError("this is no site document (%s)" % FORMAT, "make one with 'carbonterm site check'")
        self.format = document[0]
        first = self.format == FORMATS[0]
        self._bytes = None
        self.version = _integer(1, (1 << 32) - 1)(document[1])
        self.terminal_id = terminal_id(document[2])
        self.name = _text(128)(document[3])
        self.zone = _integer(-840, 840)(document[4])
        texts, numbers = {}, {}
        for place, (attribute, row) in enumerate(self.ROWS):
            rows = _list(lambda value: value)(document[5 + place])
            made = []
            setattr(self, attribute, made)
            for i in range(len(rows)):
                _share(rows[i], texts)
                made.append(row(rows[i], "%s %d" % (row.NAME, i), first))
                if row is Point:
                    _share_numbers(made[-1], numbers)
                if spend:
                    rows[i] = None
        self.settings = Settings(document[10], "settings", first)
        if len(document) > 11 and (first or not document[-1]):
            raise SiteError("a document's last part is not empty, and one of the first format has 11 parts")
        tail = [_list(_as_it_is)(part) for part in document[11:]]
        tail += [()] * (len(self.TAIL) - len(tail))
        self.nodes = [Node(values, "node %d" % i) for i, values in enumerate(tail[0])]
        self.boundary = None
        self.all_points = self.points
        if tail[2]:
            from carbonterm import site_formed

            site_formed.take(self, tail[2])
        if tail[3]:
            from carbonterm import site_series

            site_series.take(self, tail[3])
        if tail[4]:
            from carbonterm.site_series import calendar

            self.calendar = calendar(tail[4])
        if tail[5]:
            from carbonterm.site_page import Page

            self.page = Page(tail[5], "page")
        self._check()
        if self.settings.profile == COLLECTOR:
            self._check_collector(tail)
        if tail[2]:
            site_formed.check(self)
        if tail[1]:
            from carbonterm.accounting.boundary import Boundary  # few sites of collectors have one

            self.boundary = Boundary(tail[1])
            self.boundary.check(self)

    def _check(self):
        for rows, target, attribute in ((self.meters, self.buses, "bus"), (self.points, self.meters, "meter")):
            for row in rows:
                if getattr(row, attribute) >= len(target):
                    named = (row.NAME, quoted(row.name), attribute, getattr(row, attribute), len(target))
                    raise SiteError("%s %s names %s %d of %d" % named)
        for node in self.nodes:
            if node.meters and node.meters[-1] >= len(self.meters):
                raise SiteError("node %s names meter %d of %d" % (quoted(node.name), node.meters[-1], len(self.meters)))
        self._check_places()
        for rows in (self.buses, self.meters, self.all_points, self.sources, self.centres, self.nodes, self.operators):
            names = [row.name for row in rows]
            for name in names:
                if names.count(name) > 1:
                    raise SiteError("two rows are named %s" % quoted(name), "give each a name of its own")
        self._check_serials()
        ways = [(row.host, row.port, row.mqtt[0]) for row in self.centres if row.mqtt]
        for way in ways:
            if ways.count(way) > 1:
                raise SiteError("two centres are behind one broker with one prefix, %s" % quoted(way[2]),
                                "an answer of one might be taken for the other's; give each its own")  # fmt: skip
        for source in self.sources:
            fed = [feed.parameter for feed in source.inputs]
            from carbonterm.accounting import source as accounting

            if sorted(fed) != sorted([name for name, _ in source.compiled[accounting.INPUTS]]):
                raise SiteError(
                    "source %s: its inputs are not the ones of its formula, each once" % quoted(source.name)
                )
            for feed in source.inputs:
                for point, _, _ in feed.points:
                    alone = point < len(self.all_points) and len(feed.points) == 1 and self.is_mean(point)
                    if point >= len(self.all_points) or not (alone or self.is_amount(point)):
                        raise SiteError("source %s: point %d is no running total" % (quoted(source.name), point))

    def _check_collector(self, tail):
        # a fold that settles nothing (carbonterm.fold) has to come to what carbonterm.pipeline comes to
        for rows, what in ((self.settings.closings, "closings"), (self.sources, "sources"), (tail[1], "a boundary"),
                           (tail[2], "data by hand or virtual points"), (tail[3], "rates, fills or histories")):
            if rows:
                raise SiteError("a collector polls, signs, stores and forwards, and has no %s" % what,
                                "put that into the site document of its terminal")  # fmt: skip

    def _check_places(self):
        known = []
        for meter in self.meters:
            bus = self.buses[meter.bus]
            if not places.fits(meter.protocol, bus.kind):
                named = quoted(meter.name), meter.protocol, quoted(bus.name), bus.kind
                kind = meter.protocol if meter.protocol in places.SENDERS else "serial"
                if meter.protocol in places.CHANNELS:
                    kind = places.INPUTS
                raise SiteError("meter %s speaks %s, and bus %s is %s" % named, "make it a bus of kind " + kind)
            place = [meter.bus, meter.protocol, meter.unit]
            if place in known:
                raise SiteError("two meters of bus %s have the address %s" % (quoted(bus.name), meter.unit),
                                "each meter of a line has its own")  # fmt: skip
            known.append(place)
        for index, point in enumerate(self.points):
            protocol = self.meters[point.meter].protocol
            try:
                places.check_point(protocol, point.function, point.address, point.type, point.order)
            except CarbonError as error:
                raise SiteError("point %d, %s: %s" % (index, quoted(point.name), error.what), error.hint)

    def _check_serials(self):
        known = []
        for meter in self.meters:
            if meter.serial is not None:
                from carbonterm.field import identity

                for other in known:
                    if other.model == meter.model and identity.same(other.serial, meter.serial):
                        both = quoted(other.name), quoted(meter.name), quoted(meter.serial)
                        raise SiteError("meters %s and %s have one serial number, %s" % both, "correct one of them")
                known.append(meter)
        named = [meter for meter in self.meters if meter.identifier is not None]
        for at, meter in enumerate(named):
            from carbonterm.field import identifier

            for other in named[:at]:
                if identifier.same(other.identifier, meter.identifier):
                    both = quoted(other.name), quoted(meter.name), quoted(meter.identifier)
                    raise SiteError("meters %s and %s have one identifier, %s" % both, "each device has its own (6.3)")

    def is_amount(self, point):
        """Whether the settlements of a point are amounts, which add up and may feed a source."""
        row = self.all_points[point]
        if row.kind == MANUAL:
            return not row.mean
        return row.kind != INSTANT or (point in self.series and self.series[point].settles == 0)

    def is_mean(self, point):
        """Whether a point is entered by hand as a value that holds, which may feed a parameter alone."""
        return self.all_points[point].kind == MANUAL and self.all_points[point].mean

    def unit(self, point):
        """The unit that a point settles in: a rate's is that of its amount."""
        row = self.series.get(point)
        return self.all_points[point].unit if row is None or row.unit is None else row.unit

    def calibrations(self, at_ms, days):
        """[(meter, days left)] of certificates that end within `days` of a moment, or have ended (0 or less)."""
        found = [(meter, meter.certificate.days_left(at_ms, self.zone)) for meter in self.meters if meter.certificate]
        return [one for one in found if one[1] <= days]

    def canonical(self):
        """The document's canonical bytes."""
        if self._bytes is not None:
            return self._bytes
        rows = [[row.canonical() for row in getattr(self, attribute)] for attribute, _ in self.ROWS]
        tail = [[row.canonical() for row in self.nodes], self.boundary.canonical() if self.boundary else []]
        formed = [[row.canonical() for row in rows] for rows in (self.operators, self.manual, self.virtual)]
        tail.append(formed if formed != [[], [], []] else [])
        tail.append([self.series[point].canonical() for point in sorted(self.series)])
        tail.append([list(days) for days in self.calendar] if self.calendar != ((), ()) else [])
        tail.append(self.page.canonical() if self.page else [])
        while tail and not tail[-1]:
            tail.pop()
        head = [self.format, self.version, self.terminal_id, self.name, self.zone]
        return cbor.encode(head + rows + [self.settings.canonical()] + tail)


def decode(data):
    """The Site of canonical bytes, which it keeps; CborError or SiteError."""
    site = Site(cbor.decode(data), True)
    site._bytes = data if isinstance(data, bytes) else bytes(data)
    return site
