"""What a terminal does when its storage runs out, in a stated order (docs/storage.md, "When storage runs out").

The steps follow from the free bytes alone, so they do not swing with the rate that they change. Registers lose nothing
by any of them: their next reading carries the increment. Readings of the moment are lost, and counted.
"""

NORMAL, EARLY, COARSE, REGISTERS, CLOSED = range(5)
STEPS = (
    ("normal", "every reading is kept"),
    ("early", "what all centres hold goes before its time"),
    ("coarse", "readings are kept every 15 minutes"),
    ("registers", "only registers are kept, every hour"),
    ("closed", "no reading is kept; the rest is for what the log has to say"),
)
MOST = 64 << 20  # bytes: the first limit on storages of 256 MiB and more
GRID = {COARSE: 900000, REGISTERS: 3600000}  # milliseconds
WARN_DAYS = 7
SHORTEST_MS = 600000  # of a log whose rate means anything


def limits(total):
    """Free bytes below which EARLY, COARSE, REGISTERS and CLOSED begin, for a storage of `total` bytes."""
    first = min(total >> 2, MOST)
    return first, first >> 1, first >> 2, first >> 3


def step(free, total, now):
    """The step for so many free bytes; `now` is the one in force, left where a quarter more is free than began it."""
    bounds = limits(total)
    down = len([1 for bound in bounds if free < bound])
    up = len([1 for bound in bounds if free < bound + (bound >> 2)])
    return max(down, min(up, now))


def wanted(free, total):
    """Bytes to be freed until EARLY ends; 0 where it has not begun."""
    bound = limits(total)[0]
    return bound + (bound >> 2) - free if free < bound else 0


def thin(now, time_ms, rows, points, register="register"):
    """The rows of a round at `time_ms` that step `now` keeps. rows as in a readings entry, points of the site."""
    if now < COARSE:
        return rows
    if now == CLOSED:
        return []
    grid = GRID[now]
    kept = []
    for row in rows:
        point = points[row[0]]
        due = point.interval_ms >= grid or time_ms % grid < point.interval_ms
        if due and (now == COARSE or point.kind == register):
            kept.append(row)
    return kept


def autonomy(room, size, span_ms):
    """(days, bytes per day) for which `room` bytes do at the rate of a log of `size` bytes over span_ms; (None, None)
    where the log is too short to tell."""
    if span_ms < SHORTEST_MS or size <= 0:
        return None, None
    rate = size * 86400000 // span_ms
    return max(room, 0) // max(rate, 1), rate
