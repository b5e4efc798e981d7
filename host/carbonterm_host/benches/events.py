"""What happens on a bench, and what can be wrong with what stands on it on purpose."""

from carbonterm.errors import CarbonError
from carbonterm.gm import sm2, sm3
from carbonterm.number import Number

# do: (keys it needs, keys it may have, whether it happens in simulated time too)
_KINDS = {
    "power-cut": ((), ("off",), True),  # the terminal loses its power, for so long
    "brown-out": ((), ("off",), False),  # it fails in the middle of the next write; a process, wherever it is
    "line-cut": (("bus", "for"), (), True),  # an adapter or a cable is pulled out
    "network-cut": (("for",), ("centre",), False),  # a centre is not there
    "replaced": (("meter",), (), True),  # another meter takes the place, and an operator says so
    "reset": (("meter",), (), True),
    "enter": (("point", "value"), ("days", "months"), False),  # an operator enters an amount, of the day before
    "clock-step": (("by",), (), False),  # somebody sets the terminal's clock
}
OFF_MS = 1000
OPERATOR = sm2.Signer(sm3.digest(b"carbonterm bench operator"))  # of entries by hand; everybody knows this key

# does: keys it needs
DEFECTS = {
    "swap": ("meter",),  # a meter's words are in the other order
    "mute": ("meter",),  # answers of a meter that vanish: every so many, 10
    "flip": (),  # a bit of the log is another one
    "drop": (),  # an entry of readings is left out of the log
    "off": (),  # the terminal does not come back after its first power cut
    "unsent": (),  # an entry that a centre has not got
    "worn": ("cycles",),  # a flash that stands fewer erases
    "cramped": ("heap",),  # a heap of so many KiB
}
LIVE = ("swap", "mute", "off", "cramped")  # which have to be there while the scenario runs


class Event:
    """`do` happens `at_ms` after the start and lasts `for_ms`; `row`: what else the scenario says."""

    __slots__ = ("at_ms", "do", "for_ms", "row")

    def __init__(self, do, at_ms, for_ms, row):
        self.do = do
        self.at_ms = at_ms
        self.for_ms = for_ms
        self.row = row


def read(scenario, row, where):
    """The Events of a row of [[events]]; one with `every` and `times` happens again."""
    do = row.get("do") if isinstance(row, dict) else None
    if do not in _KINDS:
        raise scenario.bad(where, f"'{do}' is nothing that happens", "do = one of: " + ", ".join(_KINDS))
    required, optional, simulated = _KINDS[do]
    scenario.table(row, where, ("do", "at", *required), ("every", "times", *optional))
    if scenario.simulated and not simulated:
        raise scenario.bad(where, f"{do} happens in real time only", 'time = "real"')
    scenario.meter(row, where)
    if "bus" in row:
        scenario.bus(row, where)
    if row.get("centre", 0) not in range(max(scenario.centres, 1)):
        raise scenario.bad(f"{where} centre", f"there is no centre {row['centre']}", f"centres = {scenario.centres}")
    if do == "enter":
        _by_hand(scenario, row, where)
    at = scenario.duration(row["at"], f"{where} at")
    for_ms = OFF_MS if do in ("power-cut", "brown-out") else 0
    for key in ("for", "off"):
        if key in row:
            for_ms = scenario.duration(row[key], f"{where} {key}")
    every = scenario.duration(row.get("every", "1s"), f"{where} every")
    times = row.get("times", 1)
    if not isinstance(times, int) or not 1 <= times <= 10000:
        raise scenario.bad(f"{where} times", f"'{times}' is no number from 1 to 10000", "times = 10")
    if at + (times - 1) * every + for_ms >= scenario.ms:
        raise scenario.bad(where, f"{do} is not over before the scenario is", "let it last longer")
    return [Event(do, at + i * every, for_ms, row) for i in range(times)]


def _by_hand(scenario, row, where):
    names = [point.name for point in scenario.site.manual]
    if row["point"] not in names:
        known = "there are: " + ", ".join(names)
        raise scenario.bad(f"{where} point", f"there is no manual point '{row['point']}'", known)
    for key, most in (("days", 31), ("months", 12)):
        if key in row and row[key] not in range(1, most + 1):
            raise scenario.bad(f"{where} {key}", f"'{row[key]}' is no number from 1 to {most}", f"{key} = 1: the last")
    try:
        Number(row["value"])
    except (CarbonError, TypeError):
        raise scenario.bad(f"{where} value", f"'{row['value']}' is no number", 'write it like value = "12.5"') from None
