"""What a simulated meter measures: a plant's load over the day, and the meter's registers that follow from it, exactly.

The load is constant within a minute: a daily curve times seeded noise, so it is known for any minute without the
minutes before. A running total is the integral of the load as integers and fractions, cut down to the register's last
digit: it does not depend on how often one looks, and ground truth is exact. Registers of any protocol are made by the
core's codec in the meter's role; what they say is read back by other means (carbonterm_host.simulate.said), so that
truth is a second opinion. Runs on MicroPython as well.
"""

from carbonterm.errors import NumberError
from carbonterm.field import dlt645_items, models, places, registers
from carbonterm.number import Number, Ratio
from carbonterm_host.simulate import said
from carbonterm_host.simulate.chance import mixed

MINUTE_MS = 60000
FULL = 1000 * 1000  # load of a minute at the curve's top without noise
FULL_HOUR = FULL * 3600000  # and its integral over an hour, in milliseconds

# load by hour of the day, in thousandths of the nominal: two shifts, a lunch break, a base load at night
_CURVE = (
    310, 300, 295, 300, 320, 380, 520, 760, 930, 1000, 980, 940,
    800, 900, 970, 990, 960, 880, 720, 600, 520, 450, 390, 340,
)  # fmt: skip
_NOISE = 80  # thousandths up or down

# nominal rate by medium: kW, m³/h in the pipe, GJ/h, m³/h, t/h
NOMINAL = {"electricity": "60", "gas": "80", "heat": "3", "water": "12", "steam": "2", "flow": "20", "other": "1",
           "flue gas": "1"}  # fmt: skip
SINGLE_PHASE = "8"  # kW
_POWER_FACTOR = Ratio(92, 100)
_REACTIVE = Ratio(426, 1000)  # var per W at that power factor
_VOLUME_PER_GJ = Ratio(955, 100)  # m³ of water cooled by 25 K
_NORMAL = Ratio(117, 100)  # Nm³ per m³ of gas in the pipe

# unit: how much of it a nominal 1 makes in an hour (totals) or is (values of the moment)
_PER_NOMINAL = {
    "Wh": 1000, "kWh": 1, "MWh": Ratio(1, 1000), "varh": 1000 * _REACTIVE, "kvarh": _REACTIVE,
    "kVAh": Ratio(25, 23),
    "W": 1000, "kW": 1, "MW": Ratio(1, 1000), "var": 1000 * _REACTIVE, "kvar": _REACTIVE,
    "VA": Ratio(25000, 23), "kVA": Ratio(25, 23), "A": 1000 / (230 * _POWER_FACTOR),
    "GJ": 1, "MJ": 1000, "GJ/h": 1, "MJ/h": 1000, "m3": 1, "m3/h": 1, "L": 1000, "L/h": 1000,
    "Nm3": _NORMAL, "Nm3/h": _NORMAL, "t": 1, "t/h": 1, "kg": 1000, "kg/h": 1000,
}  # fmt: skip
# units of what does not follow the load
_STEADY = {"V": 230, "Hz": 50, "kPa": 130, "°C": 20, "m/s": 1, "%": 11, "ppm": 40}
# of heat, where a nominal 1 is 1 GJ/h
_PER_GJ = {"kWh": Ratio(2500, 9), "MWh": Ratio(5, 18), "kW": Ratio(2500, 9), "MW": Ratio(5, 18)}
# bytes of the items of 901F that are not 4, in the layout of 46 bytes
_CJT188_SIZES = {"supply_temp": 3, "return_temp": 3, "work_hours": 3}
_BITS = {"int16": 15, "uint16": 16, "int32": 31, "uint32": 32, "int64": 63, "uint64": 64}


def load(seed, minute):
    """Load of a minute (minutes since 1970 in the plant's civil time): an integer, FULL at the curve's top."""
    of_day = minute % 1440
    hour, rest = divmod(of_day, 60)
    curve = _CURVE[hour] * (60 - rest) + _CURVE[(hour + 1) % 24] * rest
    return curve * (1000 - _NOISE + mixed("%s/%d" % (seed, minute)) % (2 * _NOISE + 1)) // 60


class Register:
    """A row of a meter model of any protocol and what the simulation adds: step (of the last digit) and start, both in
    the row's unit; nominal, start: Ratios or integers."""

    __slots__ = (
        "name", "row", "protocol", "function", "address", "type", "order", "width", "places", "step", "modulus",
        "per_hour", "start", "_parts", "_base", "_worn",
    )  # fmt: skip

    def __init__(self, row, nominal, start, seed, protocol=places.MODBUS):
        self.row = row
        self.protocol = protocol
        self.name = row["name"]
        self.width = 0
        if protocol == places.MODBUS:
            self.function, self.address = row["function"], row["address"]
            self.type, self.order = row["type"], row["order"]
            self.width = registers.WIDTH[self.type]
            self.places = 2 if self.type.startswith("float") else 0
            self.step = Number(row["scale"]).ratio() * Ratio(1, 10**self.places)
        else:
            self.function, self.address, self.order = 0, row["item"], "ABCD"
            if protocol == places.CJT188:
                self.type, self.places = "bcd", models.cjt188_decimals(row["item"])
            else:
                self.type = row["layout"]
                self.places = len(self.type) - 1 - self.type.find(".") if "." in self.type else 0
            self.step = Ratio(1, 10**self.places)
        back = "export" in self.name or "reverse" in self.name
        per = _PER_NOMINAL.get(row["unit"], 0 if row["kind"] == "instant" else 1)
        if row["quantity"] in ("heat", "heat flow") and row["unit"] in _PER_GJ:
            per = _PER_GJ[row["unit"]]
        self.per_hour = Ratio(0) if back else _ratio(nominal) * per
        if row["quantity"] == "operating time":
            self.per_hour = Ratio(1)  # it is an hour older after an hour
        if start is None:
            start = Ratio(0) if back else _first(seed, row["quantity"]) * per
        modulus = _ratio(Number(row["modulus"])) if row["modulus"] else None
        if modulus is None and protocol != places.MODBUS:
            modulus = _ratio(Number(_full_scale(protocol, self.type)))
        if modulus is None and self.type in _BITS:
            modulus = self.step * (1 << _BITS[self.type])
        self.modulus = None if modulus is None else modulus / self.step
        if self.modulus is not None:
            self.modulus = self.modulus.numerator // self.modulus.denominator
        self._worn = 0
        self._begin(_ratio(start), 0)

    def _begin(self, start, integral):
        """From `integral` on the total counts from `start`."""
        self.start = start
        first, per = start / self.step, self.per_hour / self.step
        below = first.denominator * per.denominator * FULL_HOUR
        self._parts = (first.numerator * per.denominator * FULL_HOUR, per.numerator * first.denominator, below)
        self._base = integral

    def _count(self, integral):
        above, per, below = self._parts
        return (above + per * (integral - self._base)) // below

    def total(self, integral):
        """Steps of a running total after `integral` of the load, as the register shows them."""
        count = self._count(integral)
        return count if self.modulus is None else count % self.modulus

    def worn(self, integral):
        """Steps that it has counted since the simulation began, whatever rolled over or was replaced meanwhile."""
        return self._worn + self._count(integral) - self._count(self._base)

    def again(self, steps, integral):
        """Another meter, or a reset: the register shows `steps` now and goes on from there."""
        self._worn = self.worn(integral)
        self._begin(self.step * steps, integral)

    def raw(self, steps):
        return Number(steps, -self.places)

    def bytes(self, steps):
        """The register's bytes on the wire; None steps: NaN, or FF in packed digits."""
        if self.protocol == places.MODBUS:
            return registers.encode(None if steps is None else self.raw(steps), self.type, self.order)
        layout = _layout(self)
        if steps is None:
            return b"\xff" * dlt645_items.size(layout)
        most = 8 * 10 ** (2 * dlt645_items.size(layout) - 1) if layout[0] == "s" else 10 ** (
            2 * dlt645_items.size(layout))  # fmt: skip
        return dlt645_items.write(layout, self.raw(min(steps, most - 1)))

    def said(self, data):
        """What the register's bytes say, in the row's unit: a decimal text, or None for NaN and no digits."""
        if self.protocol == places.MODBUS:
            return said.modbus(data, self.type, self.order, self.row["scale"])
        return said.digits(data, self.places, self.type[0] == "s")


class MeterState:
    """One meter: `model` as models.load gives it, from `start_ms` on (milliseconds of simulated time).

    seed: of the noise; rate: nominal of the medium as a decimal text (NOMINAL); start: {register name: decimal text} of
    totals at the start; zone: of the plant, minutes east; place: registers beside the model's rows that can be read,
    (function, address, count), or None.
    """

    def __init__(self, model, start_ms, seed=1, rate=None, start=None, zone=480, place=None):
        self.model = model
        self.seed = seed
        self.zone = zone
        names = [row["name"] for row in model["registers"]]
        single = "voltage" in names  # one phase
        nominal = _decimal(rate or (SINGLE_PHASE if single else NOMINAL[model["medium"]]), "the rate")
        per_volume = nominal * _VOLUME_PER_GJ if model["medium"] == "heat" else nominal
        start = start or {}
        unknown = [name for name in sorted(start) if name not in names]
        if unknown:
            raise ValueError("model %s has no register %s" % (model["id"], ", ".join(unknown)))
        self.registers = [
            Register(row, per_volume if row["unit"] in ("m3", "m3/h", "L", "L/h") else nominal,
                     _decimal(start[row["name"]], row["name"]) if row["name"] in start else None, seed,
                     model["protocol"])
            for row in model["registers"]
        ]  # fmt: skip
        self._named = {register.name: register for register in self.registers}
        self.start_ms = self.now_ms = start_ms
        self.integral = 0  # of the load since the start, in milliseconds
        self.clock_ms = 0  # how far the meter's own clock is ahead
        self.drift_ppm = mixed("clock/%s" % seed) % 201 - 100
        self.clock_wrong = None  # or "zeros": what it says instead of a time
        self._blocks = {}
        if model["protocol"] == places.MODBUS:
            spans = [(register.function, register.address, register.width) for register in self.registers]
            self._blocks = _blocks(spans + [place] if place else spans)

    def advance(self, now_ms):
        """Goes on to `now_ms`; a moment before the one reached changes nothing."""
        while self.now_ms < now_ms:
            minute = (self.now_ms + self.zone * MINUTE_MS) // MINUTE_MS
            end = min(now_ms, (minute + 1) * MINUTE_MS - self.zone * MINUTE_MS)
            self.integral += load(self.seed, minute) * (end - self.now_ms)
            self.now_ms = end

    def read(self, function, address, count, backwards=0, nan=False, lie=None):
        """(bytes, {register name: what it says}) of a read; (None, exception code) if the meter has no such registers.

        backwards: steps taken off every running total; nan: float registers say NaN; lie: see `spoken`.
        """
        if count > self.model["max_registers"]:
            return None, 3
        if function not in self._blocks:
            return None, 1
        if not any(first <= address and address + count <= end for first, end in self._blocks[function]):
            return None, 2
        data = bytearray(2 * count)
        told = {}
        for register in self.registers:
            at = register.address - address
            if register.function != function or at + register.width <= 0 or at >= count:
                continue
            value = self.spoken(register, backwards, nan and register.places > 0, lie)
            if at >= 0 and at + register.width <= count:
                told[register.name] = register.said(value)
            for i, byte in enumerate(value):
                if 0 <= 2 * at + i < 2 * count:
                    data[2 * at + i] = byte
        return bytes(data), told

    def spoken(self, register, backwards=0, nothing=False, lie=None):
        """The bytes of a register on the wire. lie(register, steps, bytes) gives the bytes instead, or None."""
        steps = self._steps(register)
        if backwards and register.row["kind"] == "register":
            steps = max(steps - backwards, 0)
        data = register.bytes(None if nothing else steps)
        return (lie(register, steps, data) if lie else None) or data

    def find(self, item):
        """The register of an identifier or item (DL/T 645, CJ/T 188), None if the meter has none."""
        for register in self.registers:
            if register.address == item:
                return register
        return None

    def own_clock(self):
        """Milliseconds by the meter's own clock, which drifts."""
        return self.now_ms + self.clock_ms + (self.now_ms - self.start_ms) * self.drift_ppm // 1000000

    def again(self, steps):
        """Another meter in its place (its running totals begin at `steps`), or a reset (0)."""
        for register in self.registers:
            if register.row["kind"] == "register":
                register.again(steps, self.integral)

    def near_full_scale(self, minutes):
        """Running totals with a full scale will roll over after so many minutes at nominal load."""
        for register in self.registers:
            if register.row["kind"] == "register" and register.modulus is not None and register.per_hour > 0:
                ahead = register.per_hour / register.step * minutes
                ahead = ahead.numerator // (60 * ahead.denominator)
                register.again(max(register.modulus - ahead, 0), self.integral)

    def totals(self):
        """{register name: what it says now} of the running totals."""
        return {r.name: r.said(r.bytes(self._steps(r))) for r in self.registers if r.row["kind"] == "register"}

    def worn(self):
        """{register name: decimal text} of what the running totals have counted since the start, in the row's unit."""
        return {
            r.name: str((r.step * r.worn(self.integral)).number().normal())
            for r in self.registers if r.row["kind"] == "register"
        }  # fmt: skip

    def blocks(self):
        """{function: [(first address, end)]} of what can be read; gaps of up to 16 registers are filled."""
        return self._blocks

    def _steps(self, register):
        if register.row["kind"] == "register":
            return register.total(self.integral)
        steps = self._moment(register) / register.step
        return steps.numerator // steps.denominator

    def _moment(self, register):
        """A value of the moment, as a Ratio in the row's unit."""
        row = register.row
        minute = (self.now_ms + self.zone * MINUTE_MS) // MINUTE_MS
        now = Ratio(load(self.seed, minute), FULL)
        if row["name"].endswith("_fraction"):
            whole = self._named[row["name"][: -len("_fraction")]]
            value = whole.start + whole.per_hour * Ratio(self.integral, FULL_HOUR)
            return value - value.numerator // value.denominator
        if row["unit"] in _STEADY:
            value = _STEADY[row["unit"]]
            if row["unit"] == "°C" and self.model["medium"] == "heat":
                value = 75 if "supply" in row["name"] else 50
            return Ratio(value * (1000 + load(self.seed + 1, minute) % 9 - 4), 1000)
        if row["quantity"] == "power factor":
            return _POWER_FACTOR
        if row["unit"] not in _PER_NOMINAL:  # a status or a setting
            return _ratio(Number(row["min"] or 0))
        phases = 3 if row["name"][-2:] in ("_a", "_b", "_c") else 1
        return register.per_hour * now / phases


def _ratio(value):
    return Ratio(value) if isinstance(value, int) else value.ratio()


def _decimal(text, what):
    try:
        return Number(text).ratio()
    except NumberError as error:
        raise ValueError("%s: %s" % (what, error))


def _first(seed, quantity):
    """Running total at the start, the same for all registers of a quantity: 1000.00 to 49999.99."""
    return Ratio(100000 + mixed("%s/%s" % (seed, quantity)) % 4900000, 100)


def _layout(register):
    """The layout of a register's digits on the wire (DL/T 645, CJ/T 188)."""
    if register.protocol != places.CJT188:
        return register.type
    size = _CJT188_SIZES.get(register.address, 4)
    return "X" * (2 * size - register.places) + ("." + "X" * register.places if register.places else "")


def _full_scale(protocol, type):
    """10 to the digits before the point of a register without a modulus of its own."""
    return 10**6 if protocol == places.CJT188 else 10 ** len(type.split(".")[0].replace("s", ""))


def _blocks(rows):
    found = {}
    for function, address, width in sorted(rows):
        spans = found.setdefault(function, [])
        if spans and address <= spans[-1][1] + 16:
            spans[-1] = (spans[-1][0], max(spans[-1][1], address + width))
        else:
            spans.append((address, address + width))
    return found
