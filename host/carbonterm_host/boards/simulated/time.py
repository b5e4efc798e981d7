"""`time` of a board: its clock is set by machine.RTC, and may count from 2000."""

import simulated_chip as chip
import utime
from utime import *  # noqa: F403


def time_ns():
    return utime.time_ns() + chip.about["clock_ns"] - chip.about["epoch"] * 1000000000


def time():
    return time_ns() // 1000000000


def gmtime(seconds=None):
    """(year, month, day, hour, minute, second, weekday, day of the year)."""
    if seconds is None:
        seconds = time()
    return utime.gmtime(seconds + chip.about["epoch"])[:8]


localtime = gmtime


def mktime(fields):
    """Seconds since the epoch of a time in UTC."""
    return seconds_of(*fields[:6]) - chip.about["epoch"]


def seconds_of(year, month, day, hour, minute, second):
    """Seconds since 1970 of a time in UTC."""
    if month < 3:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
    return days * 86400 + hour * 3600 + minute * 60 + second
