"""What others sent to a terminal, against ground truth: each acknowledged value is in the log, once, at its time, good.

And each current that a 4-20 mA loop showed is there as the quantity it says, or as no value where it says none.
"""

from decimal import Decimal

from carbonterm import site as sites

NEAR_MS = 5000  # between a current and the reading of it
GOOD = 2  # qualities below count


def compare(result, truth, points, fold):
    """Adds to `result` of benches.compare what is wrong, missing and counted of the points that nobody asks."""
    for index, point in enumerate(points):
        if point.asked:
            continue
        name = point.point.name
        if name in truth.shown:
            _currents(result, name, truth.shown[name], point.rows)
            continue
        sent = [(row["time_ms"], Decimal(row["value"])) for row in truth.sent.get(name, ())]
        _values(result, name, sent, point.rows)
        settler = fold.pipeline.settlers[index]
        if settler is not None and point.point.kind == sites.REGISTER and sent:
            total, wanted = Decimal(str(settler.total)), sent[-1][1] - sent[0][1]
            result.count("totals")
            if total != wanted:
                result.differs(f"totals: {name} counted {total}, what was sent {wanted}")
            else:
                result.count("equal totals")


def _values(result, name, sent, rows):
    valued = [(time_ms, value) for time_ms, value, quality in rows if value is not None and quality < GOOD]
    for time_ms, value, quality in rows:
        if value is not None and ((time_ms, value) not in sent or quality >= GOOD):
            result.differs(f"wrong: {name} at {time_ms} is {value} of quality {quality}, which nobody sent")
        elif value is not None:
            result.count("right values")
    for one in sent:
        result.count("readable answers")
        if valued.count(one) != 1:
            count = valued.count(one)
            result.differs(f"missing: {name} at {one[0]}: {one[1]} was taken, it is there {count} times")


def _currents(result, name, shown, rows):
    """A reading is of what was shown around its time; what stood until it was read has a reading."""
    told = [(row["time_ms"], None if row["value"] is None else Decimal(row["value"])) for row in shown]
    for time_ms, value, _ in rows:
        ends = [since for since, _ in told[1:]] + [time_ms]
        near = [one for (since, one), end in zip(told, ends, strict=True)
                if since <= time_ms + NEAR_MS and end >= time_ms - NEAR_MS]  # fmt: skip
        if near and value not in near:
            result.differs(f"wrong: {name} at {time_ms} is {value}, the loop showed {near}")
        elif near:
            result.count("right values")
    for since, value in told[:-1]:
        result.count("readable answers")
        if not any(one == value and since <= time_ms + NEAR_MS for time_ms, one, _ in rows):
            result.differs(f"missing: {name} at {since}: the loop showed {value}, no reading says so")


def counted(truth_rows):
    """{by: how many values} of ground truth's rows."""
    found = {}
    for row in truth_rows:
        if row.get("event") in ("sent", "shown"):
            found[row["by"]] = found.get(row["by"], 0) + 1
    return found
