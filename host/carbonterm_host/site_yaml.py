"""site.yaml → the canonical site document: every mistake at once, each with file:line:column and the way out.

`compile_file(path)` gives the Site; `Mistakes` (one exception, all of them) otherwise. docs/site.md describes the file.
"""

import time
from functools import partial
from pathlib import Path

import yaml

from carbonterm import clock, site, units
from carbonterm.accounting import library
from carbonterm.accounting.given import reserved
from carbonterm.accounting.lines import split
from carbonterm.accounting.load import of_gas
from carbonterm.accounting.source import INPUTS
from carbonterm.errors import CarbonError
from carbonterm.field import places, plan
from carbonterm.series.instant import AMOUNT
from carbonterm_host import library as files
from carbonterm_host import (
    site_boundary,
    site_centre,
    site_channels,
    site_formed,
    site_inbound,
    site_instrument,
    site_meter,
    site_nodes,
    site_profile,
    site_series,
)
from carbonterm_host.yaml_reader import Bad, Mistakes, Reader

DEFAULTS = {
    "modbus-tcp": {"port": 502, "timeout": "1000ms", "retries": 1, "gap": "0ms"},
    "modbus-rtu": {"baud": 9600, "timeout": "500ms", "retries": 1, "gap": "5ms"},
    "serial": {"baud": 9600, "timeout": "800ms", "retries": 1, "gap": "50ms"},
}
BUS_KEYS = ("folder", "host", "port", "device", "baud", "parity", "stop", "timeout", "retries", "gap", "sync_hour")
_LINE_ONLY = ("device", "baud", "parity", "stop", "sync_hour")


def compile_file(path):
    """The Site of a site.yaml; files it names (CA certificates) are read beside it. Raises Mistakes or OSError."""
    path = Path(path)
    return compile_text(path.read_text(encoding="utf-8"), str(path), path.parent)


def compile_text(text, file="site.yaml", folder=Path(".")):
    """The Site of the text of a site.yaml. Factors are those in force on its `factors_on` day, today if it has none."""
    return _Reader(text, file, folder).site()


class _Reader(Reader):
    def __init__(self, text, file, folder):
        way = "begin with 'terminal: <its id>'; docs/site.md has an example"
        super().__init__(text, file, folder, way=way)

    # --- the document ------------------------------------------------------------------------------------------------

    def site(self):
        try:
            top = self.table(
                self.root, "the site", ("terminal", "name", "zone", "buses", "meters", "points"),
                ("version", "factors_on", "nodes", "sources", "boundary", "centres", "settings", "operators", "manual",
                 "virtual", "calendar", "page"),
            )  # fmt: skip
        except Bad:
            raise Mistakes(self.mistakes) from None
        head = [site.FORMAT]
        for key, read in (
            ("version", lambda node: self.integer(node, 1, 2**32 - 1)),
            ("terminal", self._terminal),
            ("name", self.text),
            ("zone", self._zone),
        ):
            try:
                head.append(read(top[key]) if key in top else 1)
            except Bad:
                head.append(None)
        self.at_ms = self._day(top["factors_on"]) if "factors_on" in top else time.time_ns() // 1000000
        self.buses, self.bus_index = self.each(top["buses"], "buses", self._bus)
        self.meters, self.meter_index = self.each(top["meters"], "meters", self._meter)
        site_meter.same_address_twice(self, top["meters"])
        site_inbound.same_sender_twice(self, top["meters"])
        site_instrument.same_serial_twice(self, top["meters"])
        site_instrument.same_identifier_twice(self, top["meters"])
        self.points, self.point_index = self.each(top["points"], "points", self._point)
        site_inbound.stack_without_carbon(self, top["meters"])
        self.series = site_series.read(self, top["points"])
        nodes = site_nodes.read(self, top.get("nodes"))
        site_nodes.environment(self, nodes, top["points"])
        operators = site_formed.operators(self, top.get("operators"))
        manual, virtual = site_formed.points(self, top.get("manual"), top.get("virtual"))
        if manual and not operators:
            self.note(top["manual"], "nobody may enter the manual points", "operators: [{name: …, public: …}] (6.2)")
        self.used_points = {}
        sources, self.source_index = self.each(top.get("sources"), "sources", self._source)
        boundary = site_boundary.read(self, top.get("boundary"), sources)
        centres, _ = self.each(top.get("centres"), "centres", partial(site_centre.centre, self))
        site_centre.same_way_twice(self, top.get("centres"), centres)
        settings = self._settings(top.get("settings"))
        site_series.check_months(self, top["points"], self.series, settings[0])
        calendar = site_series.calendar(self, top.get("calendar"))
        page = site_inbound.page(self, top["page"]) if "page" in top else []
        if settings[-1] == site.COLLECTOR:
            site_profile.check(self, top, self.series)
        if self.mistakes:
            raise Mistakes(self.mistakes)
        measured = self.points[: len(self.points) - len(manual) - len(virtual)]
        rows = [self.buses, [m[0] for m in self.meters], measured, sources, centres]
        series = [self.series[point] for point in sorted(self.series)]
        formed = [operators, manual, virtual] if operators or manual or virtual else []
        found = self._made([*head, *rows, settings], [nodes, [], formed, series, calendar, page])
        if boundary:
            site_boundary.check(self, top["boundary"], boundary, found)
            if self.mistakes:
                raise Mistakes(self.mistakes)
            found = self._made([*head, *rows, settings], [nodes, boundary, formed, series, calendar, page])
        for index, node in enumerate(self.rows(top["buses"], "buses")):
            try:
                plan.Budget(found, index)
            except CarbonError as error:
                self.note(node, error.what, error.hint)
        if self.mistakes:
            raise Mistakes(self.mistakes)
        return found

    def _made(self, document, tail):
        """The Site of a document; tail: its last parts, of which it leaves out the empty ones at its end."""
        while tail and not tail[-1]:
            tail = tail[:-1]
        try:
            return site.Site([*document, *tail])
        except CarbonError as error:
            raise Mistakes([(self.file, 1, 1, error.what, error.hint)]) from None

    def _day(self, node):
        try:
            return library.date(self.text(node), "factors_on")
        except CarbonError as error:
            self.note(node, error.what, error.hint)
        except Bad:
            pass
        return 0

    def _terminal(self, node):
        try:
            return site.terminal_id(self.text(node))
        except CarbonError as error:
            raise self.bad(node, error.what, error.hint) from None

    def _zone(self, node):
        try:
            return clock.parse_zone(self.text(node))
        except CarbonError as error:
            raise self.bad(node, error.what, error.hint) from None

    def _meter(self, node):
        kind = site_inbound.bus_of(self, node)
        return site_inbound.meter(self, node, kind) if kind else site_meter.meter(self, node)

    def _point(self, node):
        kind = site_inbound.meter_of(self, node)
        return site_inbound.point(self, node, kind) if kind else site_meter.point(self, node)

    def _bus(self, node):
        kind = site_inbound.kind_of(node)
        if kind:
            return site_inbound.bus(self, node, kind)
        keys = self.table(node, "a bus", ("name", "kind"), BUS_KEYS)
        kind = self.choice(keys["kind"], site.BUS_KINDS)
        if kind == places.INPUTS:
            return site_channels.bus(self, keys)
        place, rate = ("host", "port") if kind == "modbus-tcp" else ("device", "baud")
        for other in ("folder", *(_LINE_ONLY if kind == "modbus-tcp" else ("host", "port"))):
            if other in keys:
                self.note(keys[other], f"a {kind} bus has no '{other}'")
        if place not in keys:
            raise self.bad(node, f"a {kind} bus needs '{place}'")
        default = DEFAULTS[kind]
        row = [
            self.text(keys["name"]),
            kind,
            self.text(keys[place]),
            self.integer(keys[rate], 1, 65535 if kind == "modbus-tcp" else 4000000) if rate in keys else default[rate],
            self.choice(keys["parity"], site.PARITIES) if "parity" in keys else "none",
            self.integer(keys["stop"], 1, 2) if "stop" in keys else 1,
            self.duration(keys["timeout"]) if "timeout" in keys else int(default["timeout"][:-2]),
            self.integer(keys["retries"], 0, 9) if "retries" in keys else default["retries"],
            self.duration(keys["gap"]) if "gap" in keys else int(default["gap"][:-2]),
            self.integer(keys["sync_hour"], 0, 23) if "sync_hour" in keys else None,
        ]
        return row[0], row

    def _source(self, node):
        keys = self.table(node, "a source", ("name", "method", "source", "parameters"))
        name = self.text(keys["name"])
        try:
            method = files.method(self.text(keys["method"]))
        except CarbonError as error:
            raise self.bad(keys["method"], error.what, error.hint) from None
        try:
            source = method.source(self.text(keys["source"]))
        except CarbonError as error:
            raise self.bad(keys["source"], error.what, error.hint) from None
        known = [parameter.name for parameter in source.parameters]
        given, own, feeds = {}, [], {}
        allowed = _parameter_keys(keys["parameters"], method, source)
        rows = self.table(keys["parameters"], f"source '{name}'", (), allowed)
        gas = self.text(rows["gas"]) if "gas" in rows and "gas" not in known else ""
        for parameter, value in rows.items():
            try:
                if isinstance(value, yaml.SequenceNode):
                    feeds[parameter] = self._feed(name, value)
                elif isinstance(value, yaml.MappingNode):
                    own.append(self._own_factor(parameter, source, gas, value))
                    given[parameter] = f"site/{parameter}"
                else:
                    given[parameter] = self.text(value)
            except Bad:
                feeds[parameter] = None
        if None in feeds.values():
            raise Bad
        fuels = {self.fuels[point] for points in feeds.values() for point in points if point in self.fuels}
        if len(fuels) == 1 and library.FUEL not in given and any(p.choose == library.FUEL for p in source.parameters):
            given[library.FUEL] = fuels.pop()  # the default factors of what is entered
        try:
            factors = files.factors_with({"id": "site", "name_zh": "本站点", "name_en": "this site", "factors": own})
            units_of = {parameter: self._unit(points[0]) for parameter, points in feeds.items()}
            compiled = library.compile_source(method, source, given, factors, self.at_ms, units_of)
            inputs = []
            for parameter, unit in compiled[INPUTS]:
                if parameter not in feeds:
                    words = source.parameter(split(parameter, known)[0]).name_zh
                    what = f"source '{name}' lacks {parameter} ({words}, {unit})"
                    way = f"feed it: {parameter}: [point, …], or give {{value: …, source: …}}"
                    raise self.bad(keys["parameters"], what, way)
                ratios = [(point, units.convert(1, self._unit(point), unit)) for point in feeds[parameter]]
                inputs.append([parameter, [[point, ratio.numerator, ratio.denominator] for point, ratio in ratios]])
        except CarbonError as error:
            raise self.bad(keys["parameters"], f"source '{name}': {error.what}", error.hint) from None
        return name, [name, compiled, inputs]

    def _feed(self, source, node):
        """The indices of a list of points, which must be running totals that feed nothing else."""
        points = []
        for item in self.rows(node, "points"):
            point = self.reference(item, self.point_index, "point")
            row = self.points[point]
            if row is None:
                raise Bad
            if row[9] == site.INSTANT and not self.is_amount(point):
                raise self.bad(item, f"point '{row[0]}' is a value of the moment, not a running total",
                               "choose the meter's total, or make an amount of a rate: integrate: linear")  # fmt: skip
            if point in self.means:
                if len(node.value) > 1:
                    raise self.bad(item, f"point '{row[0]}' is a value, which cannot be added to others",
                                   "let it feed its parameter alone")  # fmt: skip
                return [point]
            for leaf, share in site_formed.leaves(self, point):
                before, other = self.used_points.get(leaf, (0, source))
                if before + share > 1:
                    what = f"point '{self.points[leaf][0]}' already feeds source '{other}': it would count twice"
                    raise self.bad(item, what, "let it feed one source only, or apportion it: virtual: (docs/site.md)")
                self.used_points[leaf] = before + share, source
            points.append(point)
        if not points:
            raise self.bad(node, "the list of points is empty")
        return points

    def is_amount(self, point):
        """Whether a value of the moment settles as an amount."""
        return self.series.get(point, (0, None))[1] == AMOUNT

    def _unit(self, point):
        """The unit that a point settles in."""
        row = self.series.get(point)
        return self.points[point][3] if row is None or row[4] is None else row[4]

    def _own_factor(self, name, of, gas, node):
        """A factor of the site's own, as a row of a factor set: `{value, source, unit}`."""
        keys = self.table(node, f"parameter {name}", ("value", "source"), ("unit", "valid_from", "valid_to"))
        source = self.text(keys["source"])
        base = split(name, [parameter.name for parameter in of.parameters])[0]
        unit, words = "tCO2e/t", "全球变暖潜势"
        if base != "GWP" or of.choices is None:
            unit, words = of_gas(of.parameter(base).units[0], gas), of.parameter(base).name_zh
        unit = self.text(keys["unit"]) if "unit" in keys else unit
        value = str(self.number(keys["value"]))
        row = {"id": f"site/{name}", "name_zh": words, "value": value, "unit": unit, "document": source,
               "source": source, "basis": "confirmed", "confidence": "high"}  # fmt: skip
        for key in ("valid_from", "valid_to"):
            if key in keys:
                row[key] = self.text(keys[key])
        return row

    def certificate(self, node):
        """Bytes of the CA certificate (DER) that a node names, a file beside site.yaml."""
        try:
            ca = (self.folder / self.text(node)).read_bytes()
        except OSError as error:
            raise self.bad(node, f"the CA certificate cannot be read: {error.strerror}", "name a DER file") from None
        if not ca.startswith(b"\x30") or len(ca) > 8192:
            hint = "convert it: openssl x509 -in ca.pem -outform DER -out ca.der"
            raise self.bad(node, "this file is no DER certificate", hint)
        return ca

    def _settings(self, node):
        """Each key on its own, so that a wrong one hides no other."""
        later = [value for _, _, value in site.Settings.later()]
        row = [[clock.HOUR, clock.DAY, clock.MONTH, clock.YEAR], 1000, *later]
        readers = {
            "closings": (0, self._closings),
            "commit": (1, self._commit),
            "commit_size": (2, lambda node: self.integer(node, 256, 1 << 20)),
            "days": (3, lambda node: self.integer(node, 1, 36500)),
            "mb": (4, lambda node: self.integer(node, 1, 1 << 20)),
            "stop": (5, lambda node: self.choice(node, site.STOPS)),
            "profile": (6, lambda node: self.choice(node, (site.TERMINAL, site.COLLECTOR))),
        }
        row.append(site.TERMINAL)
        closings = []  # the node, where there is one

        def take(node, name, known):
            for key, value in self.table(node, name, (), known).items():
                try:
                    if key == "keep":
                        take(value, "keep", ("days", "mb"))
                    else:
                        place, read = readers[key]
                        row[place] = read(value)
                        if key == "closings":
                            closings.append(value)
                except Bad:
                    continue

        try:
            if node is not None:
                take(node, "settings", ("closings", "commit", "commit_size", "keep", "stop", "profile"))
        except Bad:
            pass
        profile = row.pop()
        if profile == site.COLLECTOR:
            return site_profile.settings(self, closings[0] if closings else None, row)
        return row[:2] if row[2:] == later else row

    def _closings(self, node):
        names = {clock.PERIODS[period]: period for period in site.LOGGED_PERIODS}
        found = set()
        for one in self.rows(node, "closings"):
            try:
                found.add(names[self.choice(one, list(names))])
            except Bad:
                continue
        return sorted(found)

    def _commit(self, node):
        commit = self.duration(node)
        if not 10 <= commit <= 600000:
            raise self.bad(node, f"commit is from 10ms to 10min, not '{node.value}'")
        return commit


def _pair(number):
    return [number.mantissa, number.exponent]


def _parameter_keys(node, method, source):
    """Keys that a source's parameters may have: names, lines of names (M.1, M.2 …), fuel, gas, GWP, gwp_set."""
    names = [parameter.name for parameter in source.parameters]
    names += reserved(method, source, names)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    written = [key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode)]
    return [*names, *(key for key in written if split(key, names)[1])]
