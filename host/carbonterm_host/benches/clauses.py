"""What a type test asks of single clauses of T/CSMT, from the log and ground truth alone.

Each figure is computed here once more in decimals, by code that shares nothing with the terminal's.
"""

import itertools
from decimal import Decimal

from carbonterm import clock
from carbonterm.ledger import entry as entries
from carbonterm_host.benches import entrances

SUSPECT = 2
SLOW_MS = 20000
# what shows that a terminal takes values by a protocol
PROTOCOLS = {
    "modbus-rtu": "T-11.3-1", "dlt645-2007": "T-11.3-2", "dlt645-1997": "T-11.3-2", "cjt188": "T-11.3-3",
    "modbus-tcp": "T-11.3-4", "mqtt": "T-11.3-5", "https": "T-11.3-6", entrances.LOOP: "T-11.3-7",
    entrances.OPC_UA: "T-11.3-9", entrances.ODBC: "T-11.3-10", "hj212": "T-6.3-2",
}  # fmt: skip


def _in_range(evidence, wanted):
    """8.1.1: a value outside its range is kept, marked, and counts in nothing; one at an end is good."""
    good = bad = 0
    wrong = []
    for index, point in enumerate(evidence.site.points):
        low, high = [None if end is None else Decimal(str(end)) for end in (point.minimum, point.maximum)]
        if low is None and high is None:
            continue
        for time_ms, value, quality in evidence.rows(index):
            if value is None:
                continue
            outside = (low is not None and value < low) or (high is not None and value > high)
            good, bad = good + (not outside), bad + outside
            if (outside and quality < SUSPECT) or (not outside and quality >= SUSPECT):
                wrong.append(f"{point.name} at {time_ms}: {value} has quality {quality}")
    return not wrong and good and bad, wrong[0] if wrong else f"{good} within, {bad} outside and marked"


def _settled(evidence, wanted):
    """8.2.1: minutes, hours, days add up to each other and to last minus first, from the rows alone."""
    wrong, periods = [], 0
    for index, point in enumerate(evidence.site.points):
        fine = _by_point(evidence.closings(clock.MINUTE), index)
        rows = [row for row in evidence.rows(index) if row[1] is not None and row[2] < SUSPECT]
        if not fine or not rows:
            continue
        modulus = point.modulus and Decimal(str(point.modulus))
        end, exchanged = max(fine) + 60000, exchanges(evidence.of_kind(entries.METER), index)
        until = counted([row for row in rows if row[0] <= end], modulus, exchanged)
        told = sum(row[3] for row in fine.values())
        periods += len(fine)
        # the last minute ends between two readings; what is counted up to its end lies between them
        later = counted(rows, modulus, exchanged)
        if not until <= told <= later:
            wrong.append(f"{point.name}: minutes add up to {told}, the readings to {until} … {later}")
        for period in (clock.HOUR, clock.DAY):
            for start, row in _by_point(evidence.closings(period), index).items():
                close = clock.end(period, start, evidence.site.zone)
                within = [one[3] for begin, one in fine.items() if start <= begin < close]
                periods += 1
                if row[3] != sum(within):
                    wrong.append(f"{point.name}: {clock.PERIODS[period]} {row[3]}, its minutes {sum(within)}")
    return not wrong and periods, wrong[0] if wrong else f"{periods} settlements add up"


def _by_point(closings, index):
    """{start: row} of a point; several settlements of one period are added."""
    found = {}
    for row in closings:
        if row[0] == index and row[3] is not None:
            before = found.get(row[1])
            found[row[1]] = row if before is None else (*before[:3], before[3] + row[3], *row[4:])
    return found


def exchanges(told, index):
    """[(time, where the old register ended, where the new one began)] of a point, by entries of METER."""
    return [(body[2], Decimal(body[4]).scaleb(body[3]), Decimal(body[5]).scaleb(body[3]))
            for body in (entry.body for entry in told) if body[0] == index]  # fmt: skip


def counted(rows, modulus, exchanged=()):
    """What a register did from the first of the rows to the last, each full scale and exchange counted through."""

    def way(old, new):
        return new - old + modulus if new < old and modulus else new - old

    total = Decimal(0)
    for before, after in itertools.pairwise(rows):
        at = before[1]
        for _, last, first in [one for one in exchanged if before[0] < one[0] <= after[0]]:
            total, at = total + way(at, last), first
        total += way(at, after[1])
    return total


def _rolled(evidence, wanted):
    """8.2.2: a register that went through its full scale, and a total that goes on."""
    found = 0
    for index, point in enumerate(evidence.site.points):
        if point.modulus is None or evidence.result.fold is None:
            continue
        rows = [row for row in evidence.rows(index) if row[1] is not None]
        falls = [1 for before, after in itertools.pairwise(rows) if after[1] < before[1]]
        settler = evidence.result.fold.pipeline.settlers[index]
        if falls and settler is not None:
            went = counted(rows, Decimal(str(point.modulus)))
            if went != Decimal(str(settler.total)):
                return False, f"{point.name}: {settler.total}, ground truth {went}"
            found += len(falls)
    return found >= wanted, f"{found} rollovers counted through"


def _formed(evidence, wanted):
    """8.3.2: what is formed of several points is the sum, difference or share of their settlements."""
    wrong, checked = [], 0
    names = {point.name: index for index, point in enumerate(evidence.site.all_points)}
    minutes = evidence.closings(clock.MINUTE)
    for name, formula in wanted.items():
        terms = [(-1, term[1:]) if term[0] == "-" else (1, term) for term in formula.split()]
        unknown = [one for one in [name, *(term for _, term in terms)] if one not in names]
        if unknown:
            return False, f"there is no point '{unknown[0]}'"
        parts = [(sign, _by_point(minutes, names[one])) for sign, one in terms]
        formed = _by_point(minutes, names[name])
        for start, row in formed.items():
            if all(start in part for _, part in parts):
                sum_of = sum(sign * part[start][3] for sign, part in parts)
                checked += 1
                if row[3] != sum_of:
                    wrong.append(f"{name} at {start} is {row[3]}, {formula} is {sum_of}")
    return not wrong and checked, wrong[0] if wrong else f"{checked} settlements are what they are formed of"


def _by_hand(evidence, wanted):
    """6.2: what an operator entered is in the log, signed, and in the point's total."""
    if evidence.result.fold is None:
        return False, "the log cannot be read"
    pipeline = evidence.result.fold.pipeline
    names = [point.name for point in evidence.site.all_points]
    records = len(evidence.of_kind(entries.MANUAL))
    for name, value in wanted.items():
        total = pipeline.total(names.index(name)) if name in names else None
        if total is None or Decimal(str(total)) != Decimal(value):
            return False, f"{name} is {total}"
    return records >= len(wanted), f"{records} signed records, totals equal"


def _at_most_twice(evidence, wanted):
    """8.1.2: an amount of twice the largest month counts, one above it is refused with the reason."""
    counted, found = _by_hand(evidence, wanted)
    refused = [text for text in evidence.errors if "(8.1.2)" in text]
    return counted and refused, f"{found}; refused: {refused[0][:160] if refused else 'none'}"


def _protocols(evidence, wanted):
    """11.3: values came by each of these protocols, and every one was said by its meter."""
    heard, points = {}, {}
    for index, point in enumerate(evidence.site.points):
        name = entrances.way(evidence.site, evidence.scenario.vias, point)
        heard[name] = heard.get(name, 0) + sum(1 for row in evidence.rows(index) if row[1] is not None)
        points.setdefault(name, []).append(point.name)
    found = []
    for name in wanted:
        wrong = [text for text in evidence.result.of("wrong", "missing")
                 if any(text.split()[1] == one for one in points.get(name, ()))]  # fmt: skip
        said = wrong[0][:240] if wrong else f"{heard.get(name, 0)} values"
        found.append((name, PROTOCOLS.get(name), heard.get(name) and not wrong, said))
    return found


def _prompt(evidence, wanted):
    """6.3: a reading is in the log within its sampling interval, without an operator; of points that are read so slowly
    that it does not say how busy the bench's machine is."""
    worst, count = 0, 0
    for entry in evidence.of_kind(entries.READINGS):
        for row in entry.body[0]:
            interval_ms = evidence.site.points[row[0]].interval_ms
            if row[4] is not None and interval_ms >= SLOW_MS:
                worst = max(worst, row[1] / interval_ms)
                count += 1
    return count and worst <= 1, f"{count} readings, the slowest after {100 * worst:.0f} % of its interval"


CLAUSES = {
    "range_marked": (_in_range, "yes", "values out of range are marked 越限标记", "range_marked = true",
                     "8.1.1", "T-8.1.1-1"),
    "settled": (_settled, "yes", "minutes, hours and days add up 结算相符", "settled = true", "8.2.1", "T-8.2.1-2"),
    "rollovers": (_rolled, "count", "full scale is counted through 满刻度跳转", "rollovers = 1", "8.2.2", "T-8.2.2-1"),
    "formed": (_formed, "formulas", "points formed of others 汇总计算", 'formed = {rest = "a -b"}',
               "8.3.2", "T-8.3.2-1"),
    "by_hand": (_by_hand, "formulas", "entered by hand 人工填报", 'by_hand = {coal = "12.5"}', "6.2", "T-6.2-2"),
    "at_most_twice": (_at_most_twice, "formulas", "at most twice the largest month 二倍月度校验",
                      'at_most_twice = {diesel = "300"}', "8.1.2", "T-8.1.2-1"),
    "protocols": (_protocols, "texts", "values by each protocol 各协议", 'protocols = ["modbus-rtu"]', "11.3"),
    "prompt": (_prompt, "yes", "stored within the interval 实时性", "prompt = true", "6.3", "T-6.3-1"),
}
