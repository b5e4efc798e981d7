"""A simulated 4-20 mA loop: a transmitter on a quantity that follows the plant's load, and what goes wrong with it.

Currents are Numbers with three decimals, as a converter of 16 bits gives them. Runs on MicroPython as well.
"""

from carbonterm.field.analog import Scale
from carbonterm.number import Number
from carbonterm_host.simulate.profile import FULL, MINUTE_MS, load

ABLE = ("open-loop", "over-range", "ripple", "drift")
_MORE = {"open-loop": (0, 3599), "over-range": (21001, 23000)}


class Loop:
    """Quantity from `low` to `high` (Numbers) as 4 to 20 mA; `name`: for the faults' counts."""

    def __init__(self, name, low, high, seed=1):
        self.name = name
        self.scale = Scale("4-20mA", low, high)
        self.seed = seed

    def begin(self, now_ms, faults):
        self.start_ms, self.faults = now_ms, faults

    def sample(self, now_ms):
        """(current in mA, fault or None, mA that the fault added)."""
        part = load(self.seed, now_ms // MINUTE_MS + 480)  # at most 1.08 times FULL
        true = Number(4000 + 14000 * part // FULL, -3)
        fault = self.faults.choose(self.name, (now_ms - self.start_ms) // 1000, ABLE)
        chance = self.faults.random
        if fault in _MORE:
            current = Number(chance.randint(*_MORE[fault]), -3)
        elif fault == "ripple":
            current = true + Number(chance.randint(-200, 200), -3)
        else:
            current = true + Number(100 if fault == "drift" else 0, -3)
        return current, fault, current - true
