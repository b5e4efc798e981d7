"""Faults of simulated meters and lines: seeded, counted, each by probability or by time, one at most per answer.

    faults = Faults(seed=7)
    faults.add("crc", probability=0.1)                      any meter, one answer in ten
    faults.add("silent", meter="gas", after_s=5, until_s=8)   that meter is dead for three seconds

The numbers are those of the list of faults in docs/simulate.md. COMMON ones happen to Modbus TCP as well.
"""

from carbonterm_host.simulate.chance import Chance

COMMON, LINE, CONTENT, STATE = "common", "line", "content", "state"
CENTRE, ANALOG, CEMS = "centre", "analog", "cems"  # of what is no meter on a line
# what a fault leaves of the answer: the right value can be had, it cannot, or that depends on the rest of the line
READABLE, LOST, PERHAPS = "readable", "lost", "perhaps"

# name, number, kind, what is left, what happens
_ROWS = (
    ("noise-before", 1, COMMON, READABLE, "random bytes before the reply"),
    ("noise-after", 1, COMMON, READABLE, "random bytes after the reply"),
    ("noise-inside", 1, LINE, LOST, "random bytes inside the reply"),
    ("truncated", 2, COMMON, LOST, "the reply ends in the middle"),
    ("crc", 3, COMMON, LOST, "the reply's CRC or checksum is wrong (over TCP: its protocol identifier)"),
    ("misframed", 4, LINE, LOST, "wrong end byte, second 68, or length (Modbus: function or length)"),
    ("flipped", 5, CONTENT, LOST, "a bit of the data is wrong and the checksum right: plausibility is all that helps"),
    ("late", 6, COMMON, PERHAPS, "the reply comes after the master has given up"),
    ("glued", 7, COMMON, READABLE, "the reply comes twice without a pause"),
    ("foreign", 8, COMMON, READABLE, "another unit's valid reply comes before the meter's own"),
    ("other-item", 8, LINE, READABLE, "a valid reply to another question comes before the one that was asked for"),
    ("collision", 9, LINE, LOST, "another meter answers at the same time: the line carries both, AND bit by bit"),
    ("wildcard", 10, LINE, LOST, "the reply has an address that is not the meter's: AA, 99 or 0"),
    ("echo", 11, COMMON, READABLE, "the request comes back before the reply"),
    ("partial-echo", 11, LINE, READABLE, "the end of the request comes back before the reply"),
    ("switch-late", 12, LINE, LOST, "the driver switches too late: the first bytes of the reply are lost"),
    ("switch-early", 12, LINE, LOST, "the driver switches too early: the last bytes of the reply are lost"),
    ("wrong-rate", 13, LINE, LOST, "the reply comes at another baud rate or parity"),
    ("pause", 14, LINE, PERHAPS, "a pause of 0.6 s inside the reply"),
    ("leaders", 15, LINE, READABLE, "0 to 8 bytes FE before the reply, FF or 00 of a line that wakes up before them"),
    ("exception", 16, COMMON, LOST, "the meter refuses (Modbus: device failure; DL/T 645: no such data)"),
    ("busy", 16, LINE, LOST, "the meter is busy (Modbus: 06; DL/T 645: other error)"),
    ("follow", 17, LINE, READABLE, "the data come in two frames (DL/T 645)"),
    ("follow-lost", 17, LINE, LOST, "the second of two frames does not come (DL/T 645)"),
    ("follow-wrong", 17, LINE, LOST, "the second of two frames has a wrong number or identifier (DL/T 645)"),
    ("nan", 18, COMMON, LOST, "float registers say NaN, packed digits FF"),
    ("no-digits", 18, CONTENT, LOST, "packed digits have a nibble from A to F"),
    ("minus-zero", 19, CONTENT, LOST, "values of the moment that can have a sign say minus zero"),
    ("rollover", 20, STATE, READABLE, "running totals stand close before their full scale"),
    ("replaced", 21, STATE, READABLE, "another meter takes the place: running totals begin again at 3"),
    ("reset", 22, STATE, READABLE, "running totals begin again at 0"),
    ("backwards", 23, COMMON, LOST, "running totals are lower than before, in this reply"),
    ("stuck", 24, CONTENT, LOST, "the reply has the values of the last one"),
    ("spike", 25, CONTENT, LOST, "running totals are ten times as high, in this reply"),
    ("ratio", 26, CONTENT, LOST, "a transformer's ratio of 40 is counted twice, in this reply"),
    ("clock", 27, STATE, READABLE, "the meter's clock jumps: a second, an hour, to 2000-01-01, to zeros"),
    ("swapped", 28, CONTENT, LOST, "words or bytes of each value are in the other order"),
    ("silent", 29, COMMON, LOST, "no reply"),
    ("drip", 29, LINE, PERHAPS, "the reply's bytes come one by one, 40 ms apart"),
    ("no-ack", 30, CENTRE, READABLE, "HJ 212: the centre does not acknowledge (no 9014)"),
    ("old-ack", 30, CENTRE, READABLE, "HJ 212: the centre acknowledges an earlier packet again, not this one"),
    ("double-ack", 30, CENTRE, READABLE, "HJ 212: the centre acknowledges twice"),
    ("wrong-request", 30, CENTRE, READABLE, "HJ 212: a request with a wrong password, which 9011 refuses"),
    ("set-time", 30, CENTRE, READABLE, "HJ 212: the centre sets the logger's clock"),
    ("open-loop", 32, ANALOG, LOST, "4-20 mA: less than 3.6 mA"),
    ("over-range", 32, ANALOG, LOST, "4-20 mA: more than 21 mA"),
    ("ripple", 32, ANALOG, READABLE, "4-20 mA: 50 Hz on the signal, 0.2 mA at most"),
    ("drift", 32, ANALOG, READABLE, "4-20 mA: the signal is 0.1 mA too high"),
    ("flagged", 33, CEMS, LOST, "HJ 212: the values' flag is C, M, D or T"),
)  # fmt: skip

_TABLE = {row[0]: row[1:] for row in _ROWS}
FAULTS = {row[0]: row[4] for row in _ROWS}
METERS = (COMMON, LINE, CONTENT, STATE)
LATE_MS = 700


def number(name):
    """A fault's place in the list of 34."""
    return _TABLE[name][0]


def kind(name):
    """COMMON, LINE, CONTENT or STATE."""
    return _TABLE[name][1]


def leaves(name):
    """READABLE, LOST or PERHAPS; None is no fault."""
    return READABLE if name is None else _TABLE[name][2]


def names(*kinds):
    """The names of all faults of these kinds, in the order of their numbers."""
    return [row[0] for row in _ROWS if row[2] in kinds]


class Fault:
    __slots__ = ("after_s", "limit", "meter", "name", "probability", "until_s", "used")

    def __init__(self, name, probability=1.0, meter=None, after_s=0, until_s=None, limit=None):
        if name not in FAULTS:
            raise ValueError("there is no fault '%s'; faults are: %s" % (name, ", ".join([row[0] for row in _ROWS])))
        if not 0 <= probability <= 1:
            raise ValueError("the probability of fault %s must be from 0 to 1, not %s" % (name, probability))
        self.name = name
        self.probability = probability
        self.meter = meter
        self.after_s = after_s
        self.until_s = until_s
        self.limit = limit
        self.used = 0


def parse(text):
    """Fault of NAME[:PROBABILITY][@METER]; ValueError says what is wrong."""
    rest, _, meter = text.partition("@")
    name, colon, probability = rest.partition(":")
    try:
        chance = float(probability) if colon else 1.0
    except ValueError:
        raise ValueError("'%s' is no probability; write it like --fault %s:0.1" % (probability, name)) from None
    limit = 1 if name in FAULTS and kind(name) == STATE else None
    return Fault(name, chance, meter or None, limit=limit)


class Faults:
    def __init__(self, seed=1, faults=()):
        self.random = Chance("faults/%s" % seed)
        self.faults = list(faults)
        self.counts = {}  # (meter, fault) that happened: how often

    def add(self, name, probability=1.0, meter=None, after_s=0, until_s=None, limit=None):
        """limit: how often at most. Returns the Fault; `remove` takes it away again."""
        fault = Fault(name, probability, meter, after_s, until_s, limit)
        self.faults.append(fault)
        return fault

    def remove(self, fault):
        self.faults.remove(fault)

    def choose(self, meter, elapsed_s, able=None):
        """Name of the fault that befalls this answer of `meter`, or None. elapsed_s: since the start; able: the names
        that can befall it, None: all."""
        for fault in self.faults:
            if fault.meter not in (None, meter) or (fault.limit is not None and fault.used >= fault.limit):
                continue
            if elapsed_s < fault.after_s or (fault.until_s is not None and elapsed_s >= fault.until_s):
                continue
            if able is not None and fault.name not in able:
                continue
            if fault.probability >= 1 or self.random.random() < fault.probability:
                fault.used += 1
                self.count(meter, fault.name)
                return fault.name
        return None

    def count(self, meter, name):
        self.counts[meter, name] = self.counts.get((meter, name), 0) + 1

    def noise(self):
        """1 to 12 random bytes."""
        return self.random.randbytes(self.random.randint(1, 12))

    def table(self):
        """{fault: count} over all meters."""
        found = {}
        for (_, name), count in self.counts.items():
            found[name] = found.get(name, 0) + count
        return {name: found[name] for name in sorted(found)}
