"""What a simulated meter measures: a plant's load over the day, and the meter's registers that follow from it, exactly.

The load is constant within a minute: a daily curve times seeded noise, so it is known for any minute without the
minutes before. A running total is the integral of the load as integers and fractions, cut down to the register's last
digit: it does not depend on how often one looks, and ground truth is exact. Registers are made by the core's codec in
the meter's role; what they say is read back here by other means (struct, Decimal), so that truth is a second opinion.
"""

import hashlib
import struct
from decimal import Decimal
from fractions import Fraction

from carbonterm.errors import NumberError
from carbonterm.field import registers
from carbonterm.number import Number

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
_POWER_FACTOR = Fraction(92, 100)
_REACTIVE = Fraction(426, 1000)  # var per W at that power factor
_VOLUME_PER_GJ = Fraction(955, 100)  # m³ of water cooled by 25 K
_NORMAL = Fraction(117, 100)  # Nm³ per m³ of gas in the pipe

# unit: how much of it a nominal 1 makes in an hour (totals) or is (values of the moment)
_PER_NOMINAL = {
    "Wh": 1000, "kWh": 1, "MWh": Fraction(1, 1000), "varh": 1000 * _REACTIVE, "kvarh": _REACTIVE,
    "kVAh": 1 / _POWER_FACTOR,
    "W": 1000, "kW": 1, "MW": Fraction(1, 1000), "var": 1000 * _REACTIVE, "kvar": _REACTIVE,
    "VA": 1000 / _POWER_FACTOR, "kVA": 1 / _POWER_FACTOR, "A": 1000 / (230 * _POWER_FACTOR),
    "GJ": 1, "MJ": 1000, "GJ/h": 1, "MJ/h": 1000, "m3": 1, "m3/h": 1, "L": 1000, "L/h": 1000,
    "Nm3": _NORMAL, "Nm3/h": _NORMAL, "t": 1, "t/h": 1, "kg": 1000, "kg/h": 1000,
}  # fmt: skip
# units of what does not follow the load
_STEADY = {"V": 230, "Hz": 50, "kPa": 130, "°C": 20, "m/s": 1, "%": 11, "ppm": 40}
_BITS = {"int16": 15, "uint16": 16, "int32": 31, "uint32": 32, "int64": 63, "uint64": 64}


def load(seed, minute):
    """Load of a minute (minutes since 1970 in the plant's civil time): an integer, FULL at the curve's top."""
    of_day = minute % 1440
    hour, rest = divmod(of_day, 60)
    curve = _CURVE[hour] * (60 - rest) + _CURVE[(hour + 1) % 24] * rest
    return curve * (1000 - _NOISE + _random(f"{seed}/{minute}") % (2 * _NOISE + 1)) // 60


def _random(text):
    """A 32-bit number that depends on nothing but the text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


class Register:
    """A row of a meter model and what the simulation adds: step (of the last digit) and start, in the row's unit."""

    __slots__ = (
        "name", "row", "function", "address", "type", "order", "width", "places", "scale", "step", "modulus",
        "per_hour", "start",
    )  # fmt: skip

    def __init__(self, row, nominal, start, seed):
        self.row = row
        self.name, self.function, self.address = row["name"], row["function"], row["address"]
        self.type, self.order = row["type"], row["order"]
        self.width = registers.WIDTH[self.type]
        self.scale = Fraction(row["scale"])
        self.places = 2 if self.type.startswith("float") else 0
        self.step = self.scale / 10**self.places
        back = "export" in self.name or "reverse" in self.name
        per = Fraction(_PER_NOMINAL.get(row["unit"], 0 if row["kind"] == "instant" else 1))
        self.per_hour = Fraction(0) if back else nominal * per
        if start is None:
            start = Fraction(0) if back else _first(seed, row["quantity"]) * per
        self.start = start
        self.modulus = Fraction(row["modulus"]) if row["modulus"] else None
        if self.modulus is None and self.type in _BITS:
            self.modulus = (1 << _BITS[self.type]) * self.scale

    def total(self, integral):
        """Steps of a running total after `integral` of the load."""
        value = self.start + self.per_hour * integral / FULL_HOUR
        if self.modulus is not None:
            value %= self.modulus
        return int(value / self.step)

    def raw(self, steps):
        return Number(steps, -self.places)

    def bytes(self, steps):
        """The register's bytes; None steps: NaN."""
        return registers.encode(None if steps is None else self.raw(steps), self.type, self.order)

    def said(self, data):
        """What the register's bytes say, in the row's unit: a decimal text, or None for NaN."""
        data = _unordered(data, self.order)
        if self.type.startswith("float"):
            raw = _shortest(data)
        elif self.type == "bcd":
            raw = Decimal(data.hex()) if data.hex().isdigit() else None
        else:
            raw = Decimal(int.from_bytes(data, "big", signed=self.type[0] == "i"))
        return None if raw is None else format((raw * Decimal(self.row["scale"])), "f")


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
        names = {row["name"] for row in model["registers"]}
        single = "voltage" in names  # one phase
        nominal = _decimal(rate or (SINGLE_PHASE if single else NOMINAL[model["medium"]]), "the rate")
        if model["medium"] == "heat":
            per_volume = nominal * _VOLUME_PER_GJ
        else:
            per_volume = nominal
        start = start or {}
        unknown = set(start) - names
        if unknown:
            raise ValueError(f"model {model['id']} has no register {', '.join(sorted(unknown))}")
        self.registers = [
            Register(row, per_volume if row["unit"] in ("m3", "m3/h", "L", "L/h") else nominal,
                     _decimal(start[row["name"]], row["name"]) if row["name"] in start else None, seed)
            for row in model["registers"]
        ]  # fmt: skip
        self._named = {register.name: register for register in self.registers}
        spans = [(register.function, register.address, register.width) for register in self.registers]
        self._blocks = _blocks([*spans, place] if place else spans)
        self.start_ms = self.now_ms = start_ms
        self.integral = 0  # of the load since the start, in milliseconds

    def advance(self, now_ms):
        """Goes on to `now_ms`; a moment before the one reached changes nothing."""
        while self.now_ms < now_ms:
            minute = (self.now_ms + self.zone * MINUTE_MS) // MINUTE_MS
            end = min(now_ms, (minute + 1) * MINUTE_MS - self.zone * MINUTE_MS)
            self.integral += load(self.seed, minute) * (end - self.now_ms)
            self.now_ms = end

    def read(self, function, address, count, backwards=0, nan=False):
        """(bytes, {register name: what it says}) of a read; (None, exception code) if the meter has no such registers.

        backwards: steps taken off every running total; nan: float registers say NaN.
        """
        if count > self.model["max_registers"]:
            return None, 3
        if function not in self._blocks:
            return None, 1
        if not any(first <= address and address + count <= end for first, end in self._blocks[function]):
            return None, 2
        data = bytearray(2 * count)
        said = {}
        for register in self.registers:
            at = register.address - address
            if register.function != function or at + register.width <= 0 or at >= count:
                continue
            steps = self._steps(register)
            if backwards and register.row["kind"] == "register":
                steps = max(steps - backwards, 0)
            value = register.bytes(None if nan and register.places else steps)
            if at >= 0 and at + register.width <= count:
                said[register.name] = register.said(value)
            for i, byte in enumerate(value):
                if 0 <= 2 * at + i < 2 * count:
                    data[2 * at + i] = byte
        return bytes(data), said

    def totals(self):
        """{register name: what it says now} of the running totals."""
        return {r.name: r.said(r.bytes(self._steps(r))) for r in self.registers if r.row["kind"] == "register"}

    def blocks(self):
        """{function: [(first address, end)]} of what can be read; gaps of up to 16 registers are filled."""
        return self._blocks

    def _steps(self, register):
        if register.row["kind"] == "register":
            return register.total(self.integral)
        return int(self._moment(register) / register.step)

    def _moment(self, register):
        """A value of the moment, as a fraction in the row's unit."""
        row = register.row
        minute = (self.now_ms + self.zone * MINUTE_MS) // MINUTE_MS
        now = Fraction(load(self.seed, minute), FULL)
        if row["name"].endswith("_fraction"):
            whole = self._named[row["name"].removesuffix("_fraction")]
            return (whole.start + whole.per_hour * self.integral / FULL_HOUR) % 1
        if row["unit"] in _STEADY:
            value = Fraction(_STEADY[row["unit"]])
            if row["unit"] == "°C" and self.model["medium"] == "heat":
                value = Fraction(75 if "supply" in row["name"] else 50)
            return value * (1000 + load(self.seed + 1, minute) % 9 - 4) / 1000
        if row["quantity"] == "power factor":
            return _POWER_FACTOR
        if row["unit"] not in _PER_NOMINAL:  # a status or a setting
            return Fraction(row["min"] or 0)
        phases = 3 if row["name"][-2:] in ("_a", "_b", "_c") else 1
        return register.per_hour * now / phases


def _decimal(text, what):
    try:
        ratio = Number(text).ratio()
        return Fraction(ratio.numerator, ratio.denominator)
    except NumberError as error:
        raise ValueError(f"{what}: {error}") from None


def _first(seed, quantity):
    """Running total at the start, the same for all registers of a quantity: 1000.00 to 49999.99."""
    return Fraction(100000 + _random(f"{seed}/{quantity}") % 4900000, 100)


def _blocks(rows):
    found = {}
    for function, address, width in sorted(rows):
        spans = found.setdefault(function, [])
        if spans and address <= spans[-1][1] + 16:
            spans[-1] = (spans[-1][0], max(spans[-1][1], address + width))
        else:
            spans.append((address, address + width))
    return found


def _unordered(data, order):
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    return b"".join(words)


def _shortest(data):
    """Decimal of a float's bytes with the fewest digits that give the same bytes; None for NaN and infinity."""
    code, most = (">f", 9) if len(data) == 4 else (">d", 17)
    value = struct.unpack(code, data)[0]
    if value != value or abs(value) == float("inf"):
        return None
    for digits in range(1, most + 1):
        text = f"{value:.{digits}g}"
        try:
            if struct.pack(code, float(text)) == data:
                return Decimal(text)
        except OverflowError:
            continue
    return Decimal(value)
