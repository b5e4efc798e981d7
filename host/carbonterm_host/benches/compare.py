"""The log against ground truth, on the host: both ways, value by value, and the totals.

Ground truth has a row for each answer of a meter, with what its registers said in it (carbonterm_host.simulate.meter).

- the log itself: its bundle verifies, its replay is equal byte by byte;
- nothing wrong: each value in the log was said by that very meter for that very register, just before it was recorded.
  One thing no terminal can see: bytes that changed on the line and have the right sum of 8 bits. They are counted, and
  must be in no total;
- nothing missing: of each answer that came over the line whole, true and in time, there is a value, unless the power
  failed before it was durable;
- totals equal: what each point counted from its first reading to its last is what the meter's register did meanwhile.
"""

import itertools
import json
from bisect import bisect_left, bisect_right
from decimal import Decimal

from carbonterm import site as sites
from carbonterm.field import models, places
from carbonterm.field.plan import bits, plan
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles
from carbonterm_host.benches import clauses, entrances, received
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.commands.verify import tools
from carbonterm_host.simulate import faults as table
from carbonterm_host.verifier import Verifier

NEAR_MS = 5000  # from a request to the row that its answer makes, repeats included
CLOCKS_MS = 50  # that the terminal's and the simulation's may differ by
ROUND_MS = 60000  # a round of the plant never takes longer
LOST_MS = 40000  # a round may wait so long for its commit


class Result:
    """`counts` {what: how many}, `differences` texts that begin with what is different: "wrong: …" and so on; `report`
    of the verifier, `fold` of the replay, `found` the bundle, `points` with what the log has of each."""

    def __init__(self):
        self.counts = {}
        self.differences = []
        self.report = self.fold = self.found = None
        self.points = []

    def count(self, name, number=1):
        self.counts[name] = self.counts.get(name, 0) + number

    def differs(self, text):
        self.differences.append(text)

    def of(self, *kinds):
        """The differences of some kinds."""
        return [text for text in self.differences if text.startswith(tuple(kind + ":" for kind in kinds))]


class Truth:
    """Answers by meter in order of time, events, power cuts."""

    def __init__(self, path, lost_ms, clocks_ms):
        self.lost_ms, self.clocks_ms = lost_ms, clocks_ms
        self.answers, self.events, self.cuts = {}, {}, []
        self.uploads, self.loop = {}, []
        self.sent, self.shown = {}, {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                if row.get("event") == "power":
                    self.cuts.append(row["time_ms"])
                elif row.get("event") in ("sent", "shown"):
                    (self.sent if row["event"] == "sent" else self.shown).setdefault(row["point"], []).append(row)
                elif "totals" in row and "event" in row:
                    self.events.setdefault(row["meter"], []).append(row)
                elif "datatime" in row:
                    self.uploads.setdefault(row["meter"], []).append(row)
                elif "loop" in row:
                    self.loop.append(row)
                elif "registers" in row:
                    self.answers.setdefault(row["meter"], []).append(row)
        self.times = {meter: [row["time_ms"] for row in rows] for meter, rows in self.answers.items()}

    def between(self, meter, since, until):
        """The answers of a meter to requests of a span of time."""
        times = self.times.get(meter, [])
        return self.answers.get(meter, [])[bisect_left(times, since) : bisect_right(times, until)]

    def lost(self, time_ms, follows_ms):
        """Whether a power cut has taken what was read then. follows_ms: the first row behind it, None if there is none:
        what is durable is so in order, so there is nothing between that and the cut."""
        return any(
            cut - self.lost_ms <= time_ms <= cut + self.clocks_ms and (follows_ms is None or follows_ms > cut)
            for cut in self.cuts
        )


class Point:
    """A point of the site, the register of the model behind it, and how long an answer may take."""

    def __init__(self, site, index):
        self.point = site.points[index]
        meter = site.meters[self.point.meter]
        self.meter = meter.name
        self.rows = []  # (time, Decimal or None, quality)
        self.before = None  # (total, register) where the log begins, if that is not the terminal's beginning
        self.asked = site.buses[meter.bus].kind not in entrances.NOT_ASKED
        if not self.asked:
            return
        model = models.load(meter.model)
        here = self.point.function, self.point.address
        self.register = next(row["name"] for row in model["registers"] if models.place(model, row)[:2] == here)
        bus = site.buses[meter.bus]
        request = next(r for r in plan(site, meter.bus) if index in [i for i, _ in r.points])
        line_us = (request.sent + request.awaited) * bits(bus, meter) * 1000000 // (meter.baud or bus.port)
        self.in_time_ms = bus.timeout_ms + line_us // 1000
        self.eight_bits = meter.protocol != places.MODBUS  # of a checksum: one garbled frame in 256 looks right
        # where its meter is also asked for others, at other times, whose answers tell of this register as well
        self.shared = any(p.meter == self.point.meter and p.interval_ms != self.point.interval_ms for p in site.points)


def compare(folder, bundle=None, lost_ms=LOST_MS, clocks_ms=CLOCKS_MS):
    """Result for a folder with site.bin, truth.jsonl and log; bundle: of the log, where it is made already; lost_ms:
    how long a reading may wait for its commit, so that a power cut takes it; clocks_ms: how far the clocks may differ.
    A log whose beginning was dropped is compared from its first entry on."""
    result = Result()
    truth = Truth(folder / "truth.jsonl", lost_ms, clocks_ms)
    if bundle is None:
        bundle = folder / "log.bundle"
        pull.to_file(folder / "log", bundle)
    result.found = bundles.read(bundle)
    _log(result, bundle)
    site = sites.decode((folder / "site.bin").read_bytes())
    result.points = [Point(site, index) for index in range(len(site.points))]
    _rows(result, result.found.entries, result.points)
    begins = _begins(result.found.entries, result.points)
    told = [one for one in (entries.decode(raw) for raw, _ in result.found.entries) if one.kind == entries.METER]
    for index, point in enumerate(result.points):
        if not point.asked:
            continue
        _nothing_wrong(result, truth, point)
        _nothing_missing(result, truth, point, begins)
        if site.settings.profile == sites.COLLECTOR:  # its terminal counts, by these rows and these words
            if point.point.kind == sites.REGISTER:
                modulus = point.point.modulus and Decimal(str(point.point.modulus))
                rows = [row for row in point.rows if row[1] is not None]
                exchanged = [(_fall(rows, one[0], truth.clocks_ms), *one[1:]) for one in clauses.exchanges(told, index)]
                _totals(result, truth, point, clauses.counted(rows, modulus, exchanged))
            continue
        settler = result.fold.pipeline.settlers[index]
        if settler is not None:
            _totals(result, truth, point, Decimal(str(settler.total)))
    received.compare(result, truth, result.points, result.fold)
    if (folder / "centres.json").exists():
        _stations(result, truth, json.loads((folder / "centres.json").read_text()))
    _loop(result, truth)
    return result


def _fall(rows, at_ms, clocks_ms):
    """When a board read an exchanged meter first: the moment of the operator's word is by the bench's clock."""
    falls = [after[0] for before, after in itertools.pairwise(rows) if after[1] < before[1]]
    near = [time_ms for time_ms in falls if abs(time_ms - at_ms) <= clocks_ms + NEAR_MS]
    return near[0] if near else at_ms


def _begins(rows, points):
    """When the log begins; gives the points the totals of its first entry, where that is a snapshot."""
    if not rows:
        return 0
    first = entries.decode(rows[0][0])
    if first.kind == entries.SNAPSHOT:
        for point, settler in zip(points, replay(rows[:1])[0].pipeline.settlers, strict=False):
            if settler is not None and settler.register.value is not None:
                point.before = Decimal(str(settler.total)), Decimal(str(settler.register.value))
    return first.time_ms if first.kind == entries.SNAPSHOT else 0


def _stations(result, truth, centres):
    """Each upload has come to its centre, as it was, and no other has."""
    for name, uploads in truth.uploads.items():
        taken = {}
        for command, datatime, told in centres[name]:
            taken.setdefault((command, datatime), {}).update(told)
        for row in uploads:
            came = taken.pop((row["item"], row["datatime"]), {})
            said = {item.split("/")[1]: text for item, text in row["registers"].items()}
            flags = {value for key, value in came.items() if key.endswith("-Flag")}
            values = {key: value for key, value in came.items() if not key.endswith("-Flag")}
            if values != said or flags != {row["flag"]}:
                result.differs(f"station {name}: {row}, the centre has {came}")
            result.count("uploads")
        for key in taken:
            result.differs(f"station {name}: the centre has {key}, which was never sent")


def _loop(result, truth):
    """A current is a value by the straight line, or none and why."""
    for row in truth.loop:
        current, value = Decimal(row["loop"]), row["value"]
        broken = current <= Decimal("3.6") or current >= 21
        outside = broken or not Decimal("3.8") <= current <= Decimal("20.5")
        wanted = None if outside else (current - 4) / 16 * 200 - 20
        if (value is None) != (wanted is None) or (value is not None and abs(Decimal(value) - wanted) > 0):
            result.differs(f"loop: {row}, it is {wanted}")
        result.count("currents")


def _log(result, file):
    verifier = Verifier(**tools("openssl"))
    with open(file, "rb") as data:
        verifier.read(data)
    result.report = verifier.report()
    if not result.report["ok"]:
        result.differs(f"bundle: it does not verify: {result.report}")
    result.fold, wrongs = replay(result.found.entries)
    for wrong in wrongs:
        result.differs(f"replay: {wrong}")
    result.count("entries", len(result.found.entries))


def _rows(result, rows, points):
    for raw, _ in rows:
        one = entries.decode(raw)
        if one.kind != entries.READINGS:
            continue
        for index, offset, quality, exponent, mantissa in one.body[0]:
            value = None if mantissa is None else Decimal(mantissa).scaleb(exponent)
            points[index].rows.append((one.time_ms + offset, value, quality))
            result.count("values" if value is not None else ("", "", "", "invalid", "silent", "refused")[quality])


def _said(row, register):
    text = row["registers"].get(register)
    return None if text is None else Decimal(text)


def _garbled(row):
    """Whether bytes of an answer were others on the line than the meter had sent."""
    return row.get("spoilt") or row["fault"] in ("noise-inside", "wrong-rate", "switch-late")


def _nothing_wrong(result, truth, point):
    for time_ms, value, _ in point.rows:
        if value is None:
            continue
        answers = truth.between(point.meter, time_ms - NEAR_MS, time_ms + truth.clocks_ms)
        said = [_said(row, point.register) for row in answers]
        if value not in said and point.eight_bits and any(_garbled(row) for row in answers):
            result.count("let through by a checksum of 8 bits and in no total")
        elif value not in said:
            others = [
                meter for meter in truth.answers
                if any(value == _said(row, name) for row in truth.between(meter, time_ms - NEAR_MS, time_ms)
                       for name in row["registers"])
            ]  # fmt: skip
            what = f"wrong: {point.point.name} at {time_ms} is {value}, the meter said {said}"
            result.differs(f"{what}; {others} did")
        else:
            result.count("right values")


def _nothing_missing(result, truth, point, begins):
    """Each readable answer has a row of its own: the first one behind it that no answer before it has taken. Where a
    meter tells of the register in answers to other questions too, any row near will do."""
    rows = [row for row in point.rows if row[1] is not None]
    times = [row[0] for row in rows]
    last, free = point.rows[-1][0] if point.rows else 0, 0
    for row in truth.answers.get(point.meter, ()):
        time_ms, fault = row["time_ms"], row["fault"]
        if _said(row, point.register) is None or time_ms % point.point.interval_ms >= ROUND_MS or time_ms < begins:
            continue  # the second: the answer was another point's, which is read more often
        whole = table.leaves(fault) == table.READABLE and not row.get("spoilt")
        if not whole or row.get("took_ms", 0) > point.in_time_ms:
            result.count("answers that did not get through")
            continue
        result.count("readable answers")
        at = max(free, bisect_left(times, time_ms - (NEAR_MS if point.shared else truth.clocks_ms)))
        if truth.lost(time_ms, times[at] if at < len(times) else None) or time_ms > last:
            result.count("of them lost to power cuts and at the end")
            continue
        if at < len(times) and times[at] <= time_ms + NEAR_MS:
            free = 0 if point.shared else at + 1
        else:
            result.differs(f"missing: {point.point.name} at {time_ms}: {row}; the log has {times[at - 1 : at + 2]}")


def _totals(result, truth, point, total):
    valued = [(time_ms, value) for time_ms, value, _ in point.rows if value is not None]
    if not valued:
        result.differs(f"totals: {point.point.name} has no value at all")
        return
    (first_ms, first), (last_ms, last) = valued[0], valued[-1]
    if point.before:
        total, first = total - point.before[0], point.before[1]
    modulus = point.point.modulus and Decimal(str(point.point.modulus))
    events = [e for e in truth.events.get(point.meter, ()) if first_ms <= e["time_ms"] <= last_ms]
    counted, at = Decimal(0), first
    for row in truth.between(point.meter, first_ms + 1, last_ms + truth.clocks_ms):
        said = _said(row, point.register)
        if row["fault"] is not None and (table.kind(row["fault"]) == table.CONTENT or row["fault"] in _LYING):
            continue
        if said is None:
            continue
        while events and events[0]["time_ms"] <= row["time_ms"]:
            stood = events.pop(0)["totals"][point.register]
            counted += _way(at, Decimal(stood["last"]), modulus)
            at = Decimal(stood["first"])
        counted += _way(at, said, modulus)
        at = said
        if at == last and row["time_ms"] >= last_ms - NEAR_MS:
            break  # what it said later is in no row
    result.count("totals")
    if at != last or counted != total:
        result.differs(f"totals: {point.point.name} counted {total}, the meter {counted}; last {last}, it said {at}")
    else:
        result.count("equal totals")


_LYING = ("backwards",)


def _way(old, new, modulus):
    return new - old if new >= old or modulus is None else new - old + modulus
