"""Civil time as integers: milliseconds since 1970-01-01T00:00:00Z, zones as minutes east of UTC.

No leap seconds (POSIX time), proleptic Gregorian calendar, years 1970 to 9999. The core never asks what time it is:
callers pass it in. Periods (周期) are civil: a day begins at local midnight, a month on its first day.
"""

from carbonterm.errors import ClockError, quoted

SECOND, MINUTE, HOUR, DAY, MONTH, YEAR = range(6)
PERIODS = ("second", "minute", "hour", "day", "month", "year")
LENGTHS = (1000, 60000, 3600000, 86400000)  # of the periods that always last the same
MAX_MS = 253402300799999  # 9999-12-31T23:59:59.999Z
FLOOR_MS = 1577836800000  # 2020-01-01: a clock that shows less was never set
CEILING_MS = 253370764800000  # 9999-01-01: a clock that shows more is no clock
EPOCH_2000_S = 946684800  # what ports that count from 2000-01-01 are behind

UNSET, HOLDOVER, RTC, NETWORK, GNSS = range(5)
STATES = ("unset", "holdover", "rtc", "network", "gnss")  # clock_state of an entry: how much its time can be trusted

_DAYS_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def is_leap(year):
    """True for a year of 366 days (Gregorian)."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_days(year, month):
    """Days in a month, month 1 to 12."""
    return 29 if month == 2 and is_leap(year) else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def days(year, month, day):
    """Days from 1970-01-01 to a date; month may run past 12 (it carries into the year)."""
    year, month = year + (month - 1) // 12, (month - 1) % 12
    before = year - 1
    leaps = before // 4 - before // 100 + before // 400 - 477  # 477 leap days before 1970
    late = 1 if month > 1 and is_leap(year) else 0
    return (year - 1970) * 365 + leaps + _DAYS_BEFORE[month] + late + day - 1


def date(day):
    """(year, month, day) of a day number counted from 1970-01-01."""
    cycles, rest = divmod(day + 719162, 146097)  # 400-year cycles from 0001-01-01
    hundreds = min(rest // 36524, 3)
    rest -= hundreds * 36524
    fours, rest = divmod(rest, 1461)
    ones = min(rest // 365, 3)
    rest -= ones * 365
    year = cycles * 400 + hundreds * 100 + fours * 4 + ones + 1
    month = 1
    while rest >= month_days(year, month):
        rest -= month_days(year, month)
        month += 1
    return year, month, rest + 1


def civil(ms, zone=0):
    """(year, month, day, hour, minute, second, millisecond) of a moment in a zone (minutes east)."""
    day, rest = divmod(ms + zone * 60000, 86400000)
    seconds, milli = divmod(rest, 1000)
    return date(day) + (seconds // 3600, seconds // 60 % 60, seconds % 60, milli)


def stamp(year, month, day, hour=0, minute=0, second=0, milli=0, zone=0):
    """Milliseconds of a civil time; ClockError for a date or time that does not exist."""
    if not (1970 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= month_days(year, month)):
        raise ClockError("%d-%02d-%02d is not a date from 1970 to 9999" % (year, month, day))
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60 and 0 <= milli < 1000):
        raise ClockError("%02d:%02d:%02d is not a time of day" % (hour, minute, second))
    return days(year, month, day) * 86400000 + ((hour * 60 + minute - zone) * 60 + second) * 1000 + milli


def start(period, ms, zone=0):
    """Start of the period (SECOND … YEAR) that holds `ms`: start <= ms < end."""
    local = ms + zone * 60000
    if period <= DAY:
        return local - local % LENGTHS[period] - zone * 60000
    year, month, _ = date(local // 86400000)
    return days(year, month if period == MONTH else 1, 1) * 86400000 - zone * 60000


def end(period, ms, zone=0):
    """End of the period that holds `ms`, which is the start of the next one."""
    if period <= DAY:
        return start(period, ms, zone) + LENGTHS[period]
    year, month, _ = date((ms + zone * 60000) // 86400000)
    if period == MONTH:
        return days(year, month + 1, 1) * 86400000 - zone * 60000
    return days(year + 1, 1, 1) * 86400000 - zone * 60000


def parse(text):
    """Milliseconds of an ISO 8601 time with offset: 2026-11-21T08:00:00[.123]+08:00 or …Z; else ClockError.

    The offset is required: a time without one is somebody's guess.
    """
    try:
        rest = text[19:]
        if text[4] + text[7] + text[13] + text[16] != "--::" or text[10] not in "T ":
            raise ClockError("")
        numbers = [_digits(text[a:b]) for a, b in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))]
        milli = 0
        if rest[:1] == ".":
            size = 1
            while size < len(rest) and "0" <= rest[size] <= "9":
                size += 1
            milli = _digits((rest[1:size] + "000")[:3])
            rest = rest[size:] if size > 1 else ""
        zone = parse_zone(rest)
    except (ClockError, IndexError):
        raise ClockError("%s is not a time" % quoted(text), "write it like 2026-11-21T08:00:00+08:00, with the offset")
    return stamp(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], milli, zone)


def parse_zone(text):
    """Minutes east of UTC of "+08:00", "-03:30" or "Z"; else ClockError."""
    if text == "Z":
        return 0
    if len(text) == 6 and text[0] in "+-" and text[3] == ":":
        hours, minutes = _digits(text[1:3]), _digits(text[4:6])
        if hours <= 14 and minutes < 60:
            return (hours * 60 + minutes) * (-1 if text[0] == "-" else 1)
    raise ClockError("%s is not an offset" % quoted(text), "write it like +08:00 or Z")


def text(ms, zone=0):
    """ISO 8601 with offset, milliseconds only where there are some: 2026-11-21T08:00:00+08:00."""
    year, month, day, hour, minute, second, milli = civil(ms, zone)
    fraction = ".%03d" % milli if milli else ""
    return "%04d-%02d-%02dT%02d:%02d:%02d%s%s" % (year, month, day, hour, minute, second, fraction, zone_text(zone))


def zone_text(zone):
    """ "+08:00" of minutes east; "Z" of 0."""
    if zone == 0:
        return "Z"
    return "%s%02d:%02d" % ("-" if zone < 0 else "+", abs(zone) // 60, abs(zone) % 60)


def from_port(seconds, epoch_year):
    """Milliseconds since 1970 of a port's time(); epoch_year is time.gmtime(0)[0] there, 1970 or 2000."""
    if epoch_year not in (1970, 2000):
        raise ClockError("this port counts time from %d" % epoch_year, "known epochs are 1970 and 2000")
    return (seconds + (EPOCH_2000_S if epoch_year == 2000 else 0)) * 1000


def _digits(text):
    for c in text:
        if not "0" <= c <= "9":
            raise ClockError("%s is not a number" % quoted(text))
    if not text:
        raise ClockError("a number is missing")
    return int(text)
