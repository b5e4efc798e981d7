"""What a scenario may expect, one row each: a word of [expect], how its value is checked, how it is judged.

A judgement is (ok, what was found) from the evidence and the value that the scenario gives; carbonterm_host.benches
.clauses has those that a type test asks for.
"""

import io
import random
import re

from carbonterm import clock
from carbonterm.ledger import entry as entries
from carbonterm_host.benches import clauses
from carbonterm_host.commands.verify import tools
from carbonterm_host.verifier import Verifier

SILENT = 3  # the first quality of a reading that is none
AROUND_MS = 2500  # at both ends of a cut: what was under way
HOUR_MS = 3600000
YEAR_HOURS = 8766


class Expectation:
    """`kind` of value: bool, int (at most, at least), number, texts or table; `clause` of T/CSMT that it shows, `id` of
    the requirement. A judgement may also be a list of (word, id, ok, found), a verdict for each word of the value."""

    def __init__(self, judge, kind, title, example, clause=None, id=None):
        self.judge = judge
        self.kind = kind
        self.title = title
        self.example = "write it like " + example
        self.clause = clause
        self.id = id

    def refuses(self, wanted, scenario):
        """Why a scenario can't expect `wanted`, or None."""
        if not _KINDS[self.kind](wanted):
            return f"'{wanted}' is no {self.kind}"
        if self.kind == "table":
            known = [bus.name for bus in scenario.site.buses] if self.judge is _polls else None
            for key in wanted if known else ():
                if key not in known:
                    return f"there is no bus '{key}'"
        return None


def _plain(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_KINDS = {
    "yes": lambda value: value is True,
    "count": _plain,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0,
    "texts": lambda value: isinstance(value, list) and value and all(isinstance(one, str) for one in value),
    "formulas": lambda value: isinstance(value, dict) and value and all(isinstance(v, str) for v in value.values()),
    "table": lambda value: isinstance(value, dict) and value and all(_plain(one) for one in value.values()),
}


def judge(evidence):
    """[{"expect", "title", "clause", "id", "wanted", "found", "ok"}], a row for each word of [expect], or of its value;
    one for crashes where there were any."""
    verdicts = []
    unasked = {"crashes": 0} if evidence.crashes else {}
    for name, wanted in {**unasked, **evidence.scenario.expect}.items():
        expectation = EXPECTATIONS[name]
        judged = expectation.judge(evidence, wanted)
        several = isinstance(judged, list)
        for word, number, ok, found in judged if several else [("", expectation.id, *judged)]:
            verdicts.append({
                "expect": f"{name} {word}".strip(), "title": expectation.title,
                "clause": expectation.clause, "id": number,
                "wanted": wanted[word] if several and isinstance(wanted, dict) else True if several else wanted,
                "found": _civil(found, evidence.site.zone), "ok": bool(ok),
            })  # fmt: skip
    return verdicts


def _civil(text, zone):
    """Moments in milliseconds as people read them."""
    return re.sub(r"\b1[5-9]\d{11}\b", lambda found: clock.text(int(found[0]), zone)[:23].replace("T", " "), text)


def _verified(evidence, wanted):
    wrong = evidence.result.of("bundle")
    report = evidence.result.report
    if wrong or not report:
        reasons = list(report["reasons"].values()) if report else wrong
        return False, "; ".join(map(str, reasons))[:300]
    return True, f"{report['entries']} entries, {report['checkpoints']} checkpoints"


def _replayed(evidence, wanted):
    wrong = evidence.result.of("replay")
    fold = evidence.result.fold
    if wrong or fold is None:
        return False, wrong[0][:300] if wrong else "the log cannot be read"
    return True, f"{fold.compared} derived entries equal"


def _among(kind, what):
    def judged(evidence, wanted):
        found, counts = evidence.result.of(kind), evidence.result.counts
        return len(found) <= wanted and evidence.log, _said(found, f"{counts.get(what, 0)} {what}")

    return judged


def _said(found, good):
    return f"{len(found)}: {found[0][:240]}" if found else f"0 of {good}"


def _totals(evidence, wanted):
    found, counts = evidence.result.of("totals"), evidence.result.counts
    number = counts.get("totals", 0)
    return not found and number > 0, _said(found, f"{number} totals differ from ground truth")


def _doubled(evidence, wanted):
    seen, twice = set(), 0
    for entry in evidence.log:
        key = entry.epoch, entry.seq
        twice += key in seen
        seen.add(key)
        if entry.kind == entries.READINGS:
            rows = {(row[0], entry.time_ms + row[1]) for row in entry.body[0]}
            twice += len(rows & seen) + len(entry.body[0]) - len({row[0] for row in entry.body[0]})
            seen |= rows
    twice += sum(centre["twice"] for centre in evidence.centres)
    return twice <= wanted and seen, f"{twice}"


def _delivered(evidence, wanted):
    log = {(entries.decode(raw).epoch, entries.decode(raw).seq): raw for raw, _ in evidence.result.found.entries
           } if evidence.log else {}  # fmt: skip
    said, good = [], bool(log and evidence.centres)
    for centre in evidence.centres:
        lost = sum(1 for key, raw in log.items() if centre["entries"].get(key) != raw)
        strange = sum(1 for key in centre["entries"] if key not in log)
        said.append(f"{centre['name']}: {len(centre['entries'])} of {len(log)}, {lost} lost, {strange} strange")
        good = good and not lost and not strange
    return good, "; ".join(said)


def _alarms(evidence, wanted):
    told = evidence.alarms + [" ".join(entry.body) for entry in evidence.of_kind(entries.AUDIT)]
    missing = [text for text in wanted if not any(text in one for one in told)]
    return not missing, f"not heard: {', '.join(missing)}" if missing else f"{len(wanted)} heard"


def _gaps(evidence, wanted):
    """While a meter cannot be heard its points have rows without a value, and no value."""
    wrong, marked = [], 0
    for index, point in enumerate(evidence.site.points):
        name = evidence.site.meters[point.meter].name
        rows = evidence.rows(index)
        for since, until in [cut[1:] for cut in evidence.cuts if name in cut[0]]:
            inside = [row for row in rows if since + AROUND_MS < row[0] < until]
            wrong += [f"{point.name} has a value at {row[0]}" for row in inside if row[1] is not None]
            rounds = (until - since - AROUND_MS) // point.interval_ms
            if rounds > 1 and len(inside) < rounds // 2:  # a round that takes longer than its interval makes way
                wrong.append(f"{point.name}: {len(inside)} rows for {rounds} rounds from {since} to {until}")
            marked += len(inside)
    return not wrong and marked > 0, wrong[0] if wrong else f"{marked} rows say that there is no value"


def _restart(evidence, wanted):
    readings = [entry.time_ms for entry in evidence.of_kind(entries.READINGS)]
    worst = 0
    for _, on in evidence.power:
        after = [time for time in readings if on is not None and time > on]
        if not after:
            return False, "no reading after a power cut"
        worst = max(worst, after[0] - on)
    return evidence.power and worst <= 1000 * wanted, f"{worst / 1000:.1f} s at most over {len(evidence.power)} starts"


def _line_use(evidence, wanted):
    lasted = evidence.end_ms - evidence.begin_ms
    used = {bus: row["busy_ms"] / lasted for bus, row in evidence.lines.items() if row.get("busy_ms")}
    said = ", ".join(f"{bus} {100 * part:.0f} %" for bus, part in used.items())
    return used and max(used.values()) <= wanted, said or "no line was used"


def _polls(evidence, wanted):
    found = []
    for bus, least in wanted.items():
        row = evidence.lines.get(bus, {})
        wrong = sum(row.get(name, 0) for name in ("timeouts", "errors", "exceptions"))
        kind = next(one.kind for one in evidence.site.buses if one.name == bus)
        number = {"modbus-tcp": "T-7.1-3", "analog": "T-7.1-4"}.get(kind, "T-7.1-2" if bus == "rs232" else "T-7.1-1")
        replies = row.get("replies", 0)
        found.append((bus, number, replies >= least and not wrong, f"{replies} answers, {wrong} errors"))
    return found


def _starts(evidence, wanted):
    found = len(evidence.of_kind(entries.START))
    return found == wanted, f"{found}"


def _flash_years(evidence, wanted):
    """Years until the block that is erased most has had its cycles, at the rate of the run."""
    if not evidence.wear:
        return False, "no flash was simulated"
    hours = (evidence.end_ms - evidence.begin_ms) / HOUR_MS
    said, least = [], None
    for name, (blocks, erases, most, _) in evidence.wear.items():
        # the ring is level: what is erased in a run falls on all blocks alike in the long run (docs/storage.md)
        rate = max(erases / blocks, most if name != "log" else 0) / hours
        years = evidence.cycles / rate / YEAR_HOURS if rate else None
        said.append(f"{name}: {erases} erases on {blocks} blocks, {most} at most"
                    + (f", {years:.0f} years" if years else ""))  # fmt: skip
        if years is not None:
            least = years if least is None else min(least, years)
    return least is not None and least >= wanted, "; ".join(said)


def _heap(evidence, wanted):
    peak = max((row["heap"] for row in evidence.samples), default=0)
    return 0 < peak <= wanted << 10, f"{peak >> 10} KiB"


def _tampered(evidence, wanted):
    """Bits of a copy of the bundle are flipped one after the other; the verifier has to see each."""
    data = (evidence.folder / "log.bundle").read_bytes()
    chance, seen = random.Random(evidence.scenario.seed), 0
    for _ in range(wanted):
        spoilt = bytearray(data)
        spoilt[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        verifier = Verifier(**tools("openssl"))
        verifier.read(io.BytesIO(bytes(spoilt)))
        seen += not verifier.report()["ok"]
    return seen == wanted, f"{seen} of {wanted} flipped bits seen"


def _crashes(evidence, wanted):
    found = evidence.crashes
    return len(found) <= wanted, f"{len(found)}: {found[-1][:240]}" if found else "none"


def _no_errors(evidence, wanted):
    return not evidence.errors, evidence.errors[0][:200] if evidence.errors else "none"


EXPECTATIONS = {
    "verified": Expectation(_verified, "yes", "the log verifies 日志验证", "verified = true", "7.4", "T-7.4-2"),
    "replayed": Expectation(_replayed, "yes", "replay is equal 重放一致", "replayed = true", "8.2.1", "T-8.2.1-1"),
    "wrong": Expectation(_among("wrong", "values"), "count", "values that no meter said 错误值", "wrong = 0",
                         "11.3", "T-11.3-1"),
    "lost": Expectation(_among("missing", "readable answers"), "count", "answers without a value 丢失", "lost = 0",
                        "6.3", "T-6.3-1"),
    "doubled": Expectation(_doubled, "count", "entries or readings there twice 重复", "doubled = 0", "7.6", "T-7.6-2"),
    "totals_equal": Expectation(_totals, "yes", "totals equal ground truth 总量一致", "totals_equal = true",
                                "8.2.1", "T-8.2.1-1"),
    "delivered": Expectation(_delivered, "yes", "every centre has the log 各中心齐全", "delivered = true",
                             "7.3", "T-7.3-1"),
    "alarms": Expectation(_alarms, "texts", "alarms and audit entries 报警", 'alarms = ["certificate"]'),
    "gaps_marked": Expectation(_gaps, "yes", "what was not read is marked 缺失已标记", "gaps_marked = true", "12.4"),
    "restart_s": Expectation(_restart, "number", "readings after power is back 恢复时间", "restart_s = 5",
                             "7.6", "T-7.6-1"),
    "line_use": Expectation(_line_use, "number", "the busiest line 线路占用", "line_use = 0.5"),
    "polls": Expectation(_polls, "table", "answers without an error 无差错轮询", "polls = {line = 1000}", "7.1"),
    "starts": Expectation(_starts, "count", "starts of the terminal 启动次数", "starts = 3", "7.6", "T-7.6-1"),
    "flash_years": Expectation(_flash_years, "number", "the flash lasts 闪存寿命", "flash_years = 10"),
    "heap_kb": Expectation(_heap, "count", "heap at most 堆内存", "heap_kb = 8192"),
    "tamper_seen": Expectation(_tampered, "count", "a flipped bit is seen 篡改可见", "tamper_seen = 10",
                               "7.4", "T-7.4-2"),
    "crashes": Expectation(_crashes, "count", "restarts and ends of itself 自行重启", "crashes = 0", "7.6"),
    "no_errors": Expectation(_no_errors, "yes", "no task failed 无任务异常", "no_errors = true"),
    **{name: Expectation(*row) for name, row in clauses.CLAUSES.items()},
}
