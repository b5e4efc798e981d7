"""`carbonterm settle FILE.parquet|FILE.bundle`: many points, long times (docs/series.md, "A year at once")."""

from decimal import Context

from rich.table import Table

from carbonterm import clock
from carbonterm.errors import CarbonError, LedgerError, SeriesError
from carbonterm.ledger import bundle
from carbonterm.number import Number
from carbonterm.pipeline import PLACES
from carbonterm.series.closing import Settler
from carbonterm_host.screen import FINDING, OK, UNVERIFIED, USAGE, Failure, console, put, say

QUALITIES = ("good", "estimated", "suspect", "invalid")
_QUALITIES_ZH = {"good": "正常", "estimated": "估算", "suspect": "可疑", "invalid": "无效"}
_PARQUET = b"PAR1"
_BUNDLE = bundle.MAGIC[:18]


def is_one(file):
    """Whether a file begins as Parquet or a bundle does, or is named so."""
    try:
        with open(file, "rb") as opened:
            begin = opened.read(len(_BUNDLE))
    except OSError:
        begin = b""
    return begin[:4] == _PARQUET or begin == _BUNDLE or file.endswith((".parquet", ".bundle"))


class Point:
    """A row of the result: name, unit (None where nobody says it), Settled, and its Settler (None where a bundle was
    replayed and it has none)."""

    __slots__ = ("name", "settled", "settler", "unit")

    def __init__(self, name, unit, settled, settler):
        self.name, self.unit, self.settled, self.settler = name, unit, settled, settler


def run(file, period, json, site=None, out=None, zone="+08:00", modulus=None, limit=None, interval_ms=None):
    """The command; period is one of clock.PERIODS, the other settings are for tables without a site."""
    try:
        from carbonterm_host.batch import parquet, series, year
    except ImportError as error:
        raise Failure(USAGE, f"{error.name} is not installed", "pip install 'carbonterm[reports]'") from None
    level, found = clock.PERIODS.index(period), None
    try:
        with open(file, "rb") as opened:
            is_bundle = opened.read(len(_BUNDLE)) == _BUNDLE or file.endswith(".bundle")
        if is_bundle:
            found = year.of_bundle(file)
        elif site:
            found = year.of_columns(_site(site), parquet.columns(file))
        else:
            settings = clock.parse_zone(zone), modulus, limit, interval_ms, (level,)
            points, readings = _alone(parquet.columns(file), settings, series)
    except LedgerError as error:
        raise Failure(UNVERIFIED, f"{file}: {error.what}", error.hint) from None
    except CarbonError as error:
        raise Failure(USAGE, error.what, error.hint) from None
    except OSError as error:
        raise Failure(USAGE, f"{file} cannot be read: {error.strerror}", "name a Parquet file or a bundle") from None
    if found:
        points, readings = _points(found), found.readings
        if level not in found.site.settings.closings:
            known = ", ".join(clock.PERIODS[one] for one in found.site.settings.closings)
            raise Failure(USAGE, f"the site does not settle the {period}", f"it settles: {known}")
    zone_minutes = found.site.zone if found else clock.parse_zone(zone)
    view = {"file": file, "period": period, "readings": readings, "replayed": bool(found and found.replayed)}
    view["points"] = [_point(one, level, zone_minutes) for one in points]
    view["sources"] = _sources(found, level, zone_minutes) if found else []
    if out:
        _write(out, view)
    if json:
        put(view)
    else:
        _show(view, out)
    rows = [row for one in view["points"] + view["sources"] for row in one["periods"]]
    return FINDING if any(row["quality"] in QUALITIES[2:] for row in rows) else OK


def _site(file):
    from carbonterm_host import site_yaml

    try:
        return site_yaml.compile_file(file)
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(USAGE, f"{file} cannot be read: {error}", "name a site.yaml") from None


def _alone(columns, settings, series):
    """(Points, readings) of a table without a site: each point with the same settings, in the file's order."""
    zone, modulus, limit, interval_ms, periods = settings
    points, readings = [], 0
    for name, column in columns:
        settled = series.Settled(periods)
        settler = Settler(zone, modulus, limit, interval_ms or _spacing(column.times), periods)
        series.settle(settler, column.times, column.mantissas, column.exponents, column.qualities, settled)
        points.append(Point(name, None, settled, settler))
        readings += len(column)
    if not readings:
        raise SeriesError("the file has no readings")
    return points, readings


def _spacing(times):
    """The median spacing in ms, the lower one of two; None for fewer than two readings."""
    spacings = sorted((times[1:] - times[:-1]).tolist())
    return max(spacings[(len(spacings) - 1) // 2], 1) if spacings else None


def _points(found):
    named = found.site.all_points
    return [
        Point(named[index].name, named[index].unit, settled, found.settlers.get(index))
        for index, settled in sorted(found.settled.items())
    ]


def _point(point, level, zone):
    rows = sorted(point.settled.settlements(level), key=lambda one: one.start_ms)
    periods = [_period(one.start_ms, one.increment, one.quality, level, zone, one.max, one.min) for one in rows]
    total = sum((one.increment for one in rows), Number(0))
    if isinstance(point.settler, Settler) and point.settler.register.time_ms is not None:
        last, total = point.settler.open(level), point.settler.total
        if not rows or last.start_ms < point.settler.register.time_ms:
            periods.append(_period(last.start_ms, last.increment, last.quality, level, zone, last.max, last.min))
    return {"point": point.name, "unit": point.unit, "total": str(total), "periods": periods}


def _period(start_ms, increment, quality, level, zone, high, low):
    return {
        "start": clock.text(start_ms, zone),
        "end": clock.text(clock.end(level, start_ms, zone), zone),
        "increment": str(increment),
        "max": None if high is None else str(high),
        "min": None if low is None else str(low),
        "quality": QUALITIES[quality],
    }


def _sources(found, level, zone):
    rows = []
    for index, source in enumerate(found.site.sources):
        columns = found.emissions(index, level)
        values = [columns[name].tolist() for name in ("start", "quality", "mantissa", "known")]
        periods = [
            {"start": clock.text(start, zone), "tco2e": str(Number(mantissa, -PLACES)) if known else None,
             "quality": QUALITIES[quality]}
            for start, quality, mantissa, known in zip(*values, strict=True)
        ]  # fmt: skip
        total = Number(sum(values[2]), -PLACES)
        rows.append({"source": source.name, "scope": source.scope(), "tco2e": str(total), "periods": periods})
    return rows


# --- what is shown and written ------------------------------------------------------------------------------------


def _show(view, out):
    screen = console()
    title = say(f"{view['file']}: every {view['period']}", f"{view['file']}：结算周期 {view['period']}")
    table = Table(title=title, title_justify="left")
    table.add_column(say("Point", "测点"))
    for heading in (say("Total", "合计"), say("Unit", "单位"), say("Periods", "周期数"), say("Largest", "最大")):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(say("Quality", "质量"))
    for row in view["points"]:
        largest = max((Number(one["increment"]) for one in row["periods"]), default="—")
        cells = row["point"], row["total"], row["unit"] or "", str(len(row["periods"])), str(largest)
        table.add_row(*cells, _worst(row))
    screen.print(table)
    if view["sources"]:
        table = Table(title=say("Emissions", "排放量"), title_justify="left")
        table.add_column(say("Source", "排放源"))
        for heading in (say("Scope", "范围"), "tCO2e", say("Periods", "周期数")):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column(say("Quality", "质量"))
        for row in view["sources"]:
            table.add_row(row["source"], str(row["scope"]), row["tco2e"], str(len(row["periods"])), _worst(row))
        screen.print(table)
    screen.print(say(f"{view['readings']} readings", f"读数 {view['readings']} 个"))
    if view["replayed"]:
        screen.print(say("replayed entry by entry", "已逐条重放"))
    if out:
        screen.print(say(f"every period is in {out}", f"各周期已写入 {out}"), soft_wrap=True)


def _worst(row):
    """How many periods are of each quality that is not good; "good" where all are."""
    texts = []
    for name in QUALITIES[1:]:
        count = sum(one["quality"] == name for one in row["periods"])
        if count:
            texts.append(f"{say(name, _QUALITIES_ZH[name])} {count}")
    return ", ".join(texts) or say("good", "正常")


def _write(out, view):
    """A Parquet file with a row for each period of each point and source; numbers are exact decimals."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    exact = Context(prec=38)
    rows = {name: [] for name in ("kind", "name", "period", "start", "value", "max", "min", "quality")}
    for kind, key, found in (("point", "increment", view["points"]), ("source", "tco2e", view["sources"])):
        for one in found:
            for row in one["periods"]:
                texts = row[key], row.get("max"), row.get("min")
                values = [None if text is None else exact.create_decimal(text) for text in texts]
                cells = (kind, one[kind], view["period"], clock.parse(row["start"]), *values, row["quality"])
                for name, cell in zip(rows, cells, strict=True):
                    rows[name].append(cell)
    places = [-v.as_tuple().exponent for name in ("value", "max", "min") for v in rows[name] if v is not None]
    decimal = pa.decimal128(38, min(max(places, default=0), 20) if places else 0)
    arrays = {name: pa.array(rows[name]) for name in ("kind", "name", "period", "quality")}
    arrays["start"] = pa.array(rows["start"], pa.int64()).cast(pa.timestamp("ms", "UTC"))
    try:
        for name in ("value", "max", "min"):
            arrays[name] = pa.array(rows[name], decimal)
        pq.write_table(pa.table({name: arrays[name] for name in rows}), out)
    except pa.ArrowInvalid as error:
        raise Failure(USAGE, f"{out}: {error}", "use --json: numbers of any length are texts there") from None
    except OSError as error:
        raise Failure(USAGE, f"{out} cannot be written: {error.strerror}") from None
