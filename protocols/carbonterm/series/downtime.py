"""How long something stood still, in working days (T/CSMT clause 12.4: 不超过3个工作日).

Working days are Monday to Friday, except those that a calendar says are holidays, and the days that it
says are worked (调休). Half a day counts as half.
"""

DAY_MS = 86400000
LIMIT_DAYS = 3
WARN_DAYS = 2  # the operator hears of it while there is a day left
LONGEST_DAYS = 366  # nobody counts further


def is_worked(day, holidays=(), worked=()):
    """Whether a day number (from 1970-01-01, a Thursday) is a working day."""
    if day in worked:
        return True
    return (day + 3) % 7 < 5 and day not in holidays


def working_ms(from_ms, to_ms, zone, calendar=((), ())):
    """Milliseconds of working days between two moments, in civil days of a zone (minutes east); calendar: (holidays,
    worked days) as day numbers. Of at most a year: what is longer counts as the first year of it."""
    shift = zone * 60000
    begin, end = from_ms + shift, to_ms + shift
    first = begin // DAY_MS
    last = min((end - 1) // DAY_MS, first + LONGEST_DAYS)
    total = 0
    for day in range(first, last + 1):
        if is_worked(day, calendar[0], calendar[1]):
            total += min(end, (day + 1) * DAY_MS) - max(begin, day * DAY_MS)
    return max(0, total)


def tenths(ms):
    """Days with one decimal, as a text, rounded up: 2.9 is never told of three whole days."""
    count = -(-ms * 10 // DAY_MS)
    return "%d.%d" % (count // 10, count % 10)
