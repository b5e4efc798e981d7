"""Faults of simulated meters: seeded, counted, each by probability or by time, one at most per answer.

    faults = Faults(seed=7)
    faults.add("crc", probability=0.1)                      any meter, one answer in ten
    faults.add("silent", meter="gas", after_s=5, until_s=8)   that meter is dead for three seconds
"""

import random
from collections import Counter

FAULTS = {
    "noise-before": "random bytes before the reply",
    "noise-after": "random bytes after the reply",
    "truncated": "the reply ends in the middle",
    "crc": "the reply's CRC is wrong (over TCP: its protocol identifier)",
    "echo": "the request comes back before the reply",
    "glued": "the reply comes twice without a pause",
    "late": "the reply comes after the master has given up",
    "exception": "the meter refuses with an exception (device failure)",
    "silent": "no reply",
    "nan": "float registers say NaN",
    "backwards": "running totals are lower than before, in this reply",
    "foreign": "another unit's valid reply comes before the meter's own",
}
CONTENT = ("nan", "backwards")  # faults in what the reply says; all others are faults of the reply
LATE_MS = 700


class Fault:
    __slots__ = ("after_s", "limit", "meter", "name", "probability", "until_s", "used")

    def __init__(self, name, probability=1.0, meter=None, after_s=0, until_s=None, limit=None):
        if name not in FAULTS:
            raise ValueError(f"there is no fault '{name}'; faults are: {', '.join(FAULTS)}")
        if not 0 <= probability <= 1:
            raise ValueError(f"the probability of fault {name} must be from 0 to 1, not {probability}")
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
        raise ValueError(f"'{probability}' is no probability; write it like --fault {name}:0.1") from None
    return Fault(name, chance, meter or None)


class Faults:
    def __init__(self, seed=1, faults=()):
        self.random = random.Random(f"faults/{seed}")
        self.faults = list(faults)
        self.counts = Counter()  # (meter, fault) that happened

    def add(self, name, probability=1.0, meter=None, after_s=0, until_s=None, limit=None):
        """limit: how often at most. Returns the Fault; `remove` takes it away again."""
        fault = Fault(name, probability, meter, after_s, until_s, limit)
        self.faults.append(fault)
        return fault

    def remove(self, fault):
        self.faults.remove(fault)

    def choose(self, meter, elapsed_s):
        """Name of the fault that befalls this answer of `meter`, or None. elapsed_s: real time since the start."""
        for fault in self.faults:
            if fault.meter not in (None, meter) or (fault.limit is not None and fault.used >= fault.limit):
                continue
            if elapsed_s < fault.after_s or (fault.until_s is not None and elapsed_s >= fault.until_s):
                continue
            if fault.probability >= 1 or self.random.random() < fault.probability:
                fault.used += 1
                self.counts[meter, fault.name] += 1
                return fault.name
        return None

    def noise(self):
        """1 to 12 random bytes."""
        return self.random.randbytes(self.random.randint(1, 12))

    def table(self):
        """{fault: count} over all meters."""
        found = Counter()
        for (_, name), count in self.counts.items():
            found[name] += count
        return dict(sorted(found.items()))
