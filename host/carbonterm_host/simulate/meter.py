"""A simulated meter as its bus sees it: an address, its state, what is wrong with what it says, and ground truth of it.

One class for all protocols; how it is asked and answers is its `persona` (carbonterm_host.simulate.persona). Runs on
MicroPython as well: time, faults and the place of ground truth are handed in.
"""

from carbonterm.field import identity, models
from carbonterm_host.simulate import faults as fault_table
from carbonterm_host.simulate.persona import persona
from carbonterm_host.simulate.profile import MeterState

RATIO = 40  # of the transformer that fault "ratio" counts twice
NEW_METER = 3  # steps that a meter shows which was just put up


class Meter:
    """`model` as models.load gives it; unit: what it is asked by, a number (Modbus) or the printed address. See
    MeterState for rate and start. serial: what it says its serial number is, if its model has a register for that;
    None: it has no such register. baud, parity, stop: its own, None: its line's. dialect: [type, identifier order, unit
    first] of a CJ/T 188 meter that differs from its model. edition: 2004 or 2018, what its heat meters send (46 or 43
    bytes)."""

    def __init__(self, name, unit, model, seed=1, rate=None, start=None, serial=None, baud=None, parity=None, stop=None,
                 dialect=None, short=False):  # fmt: skip
        self.name = name
        self.unit = unit
        self.model = model
        self.serial = serial
        self.baud, self.parity, self.stop = baud, parity, stop
        self.place = models.identity(model) if serial else None
        self.settings = seed, rate, start
        self.state = None
        self.answered = 0
        self.persona = persona(self, dialect or models.dialect(model), short)

    def begin(self, clock, faults, truth):
        """Called by the simulation when it starts."""
        seed, rate, start = self.settings
        self.clock, self.faults, self.truth = clock, faults, truth
        place = tuple(self.place[:3]) if self.place else None
        self.state = MeterState(self.model, clock.start_ms, seed, rate, start, place=place)
        self.first = self.state.totals()
        self._last = {}  # the bytes that each register said last

    def fault(self, able=None):
        """The fault that befalls the answer to the read that has just come, or None. able: of what can befall its
        bus, None: all that can befall its protocol on a line."""
        found = self.faults.choose(self.name, self.clock.elapsed_s(), able or self.persona.able)
        if found and fault_table.kind(found) == fault_table.STATE:
            self._happen(found)
        return found

    def read(self, function, address, count, fault):
        """(registers' bytes, None) of Modbus, or (None, exception code); goes on to now first. Writes ground truth."""
        if self.place and [function, address, count] == self.place[:3]:
            return (None, 4) if fault == "exception" else (identity.tell(self.serial, *self.place[2:]), None)
        now = self.clock.now_ms()
        self.state.advance(now)
        data, told = self.state.read(function, address, count, self._back(fault), fault == "nan", self.lie(fault))
        if data is None:
            return None, told
        if fault in ("exception", "busy"):
            return None, 4 if fault == "exception" else 6
        self.tell(told, fault, function=function, address=address, count=count)
        return data, None

    def spoken(self, item, fault):
        """(bytes, text that they say) of a register by its identifier or item; None if the meter has none. Goes on to
        now first."""
        self.state.advance(self.clock.now_ms())
        register = self.state.find(item)
        if register is None:
            return None
        data = self.state.spoken(register, self._back(fault), fault == "nan", self.lie(fault))
        return data, register.said(data)

    def tell(self, told, fault, **asked):
        """Writes a row of ground truth: told {register name: text}."""
        if fault == "silent":
            return
        self.answered += 1
        row = {"time_ms": self.state.now_ms, "meter": self.name, "unit": self.unit}
        row.update(asked)
        row.update({"registers": told, "fault": fault})
        self.truth.add(row)
        self.row = row

    def lie(self, fault):
        """What a fault of CONTENT makes of a register: f(register, steps, bytes) -> bytes or None; None: the truth."""
        make = _LIES.get(fault)
        if make is None:
            if fault is None or fault_table.leaves(fault) == fault_table.READABLE:
                return self._keep
            return None
        return lambda register, steps, data: make(self, register, steps, data)

    def final(self):
        """The last row of ground truth: totals at the start and now, and what was counted between them."""
        self.state.advance(self.clock.now_ms())
        totals, worn = self.state.totals(), self.state.worn()
        return {
            "final": True, "time_ms": self.state.now_ms, "meter": self.name, "unit": self.unit,
            "model": self.model["id"], "answered": self.answered,
            "totals": {name: {"start": self.first[name], "end": totals[name], "counted": worn[name]}
                       for name in totals},
        }  # fmt: skip

    def _keep(self, register, steps, data):
        self._last[register.name] = data

    def _back(self, fault):
        return self.faults.random.randint(1, 500) if fault == "backwards" else 0

    def _happen(self, fault):
        """What a fault of STATE does to the meter, for good."""
        state = self.state
        state.advance(self.clock.now_ms())
        before = state.totals()
        if fault == "rollover":
            state.near_full_scale(10)
        elif fault == "clock":
            jump = self.faults.random.choice((1000, -1000, 3600000, -3600000, 86400000 * 31, None, "zeros"))
            state.clock_wrong = "zeros" if jump == "zeros" else None
            state.clock_ms = 946684800000 - state.now_ms if jump is None else 0 if jump == "zeros" else jump
            return
        else:
            state.again(NEW_METER if fault == "replaced" else 0)
        after = state.totals()
        self.truth.add({
            "event": fault, "time_ms": state.now_ms, "meter": self.name,
            "totals": {name: {"last": before[name], "first": after[name]} for name in after},
        })  # fmt: skip


# --- lies ------------------------------------------------------------------------------------------------------------


def _flipped(meter, register, steps, data):
    chance = meter.faults.random
    data = bytearray(data)
    data[chance.below(len(data))] ^= 1 << chance.below(8)
    return bytes(data)


def _no_digits(meter, register, steps, data):
    if register.type != "bcd" and register.width:
        return None
    data = bytearray(data)
    data[meter.faults.random.below(len(data))] = 0x0A + meter.faults.random.below(6)
    return bytes(data)


def _minus_zero(meter, register, steps, data):
    if register.row["kind"] == "register":
        return None
    if register.type[:5] == "float":
        zero = bytearray(register.bytes(0))
        top = register.bytes(-1)
        return bytes([zero[i] | (0x80 if _sign_at(register) == i else 0) for i in range(len(top))])
    if register.type[0] == "s":
        return bytes(len(data) - 1) + b"\x80"
    return None


def _sign_at(register):
    """Where the byte with the sign of a float stands."""
    last = 2 * register.width - 1
    return {"ABCD": 0, "BADC": 1, "CDAB": last - 1, "DCBA": last}[register.order]


def _multiplied(factor):
    def lie(meter, register, steps, data):
        if register.row["kind"] != "register":
            return None
        if register.modulus is not None:
            return register.bytes(steps * factor % register.modulus)
        return register.bytes(steps * factor)

    return lie


def _stuck(meter, register, steps, data):
    return meter._last.get(register.name)


def _swapped(meter, register, steps, data):
    if len(data) == 2:
        return data[1:] + data[:1]
    if not register.width:
        return bytes(reversed(data))
    half = len(data) >> 1
    return data[half:] + data[:half]


_LIES = {
    "flipped": _flipped, "no-digits": _no_digits, "minus-zero": _minus_zero, "stuck": _stuck,
    "spike": _multiplied(10), "ratio": _multiplied(RATIO), "swapped": _swapped,
}  # fmt: skip


