"""Mass of a gas from a continuous emission monitor (CEMS): concentration × flow, reading → hour → day … year.

    mass of an hour [g] = mean concentration [g/Nm3] × mean flow [Nm3/h] × share of the hour that the plant ran

Standard state is 273.15 K and 101.325 kPa (HJ 75-2017; its formula prints 273). Concentration and flow are brought to
one basis, wet or dry, by the moisture; if they are on the same basis none is needed. Concentrations that were corrected
to a reference oxygen are turned back first: the correction is for limits, never for masses. A volume share becomes
g/Nm3 by the molar mass and the molar volume of the ideal gas, 44.01 / 22.414 = 1963.5 g/Nm3 for CO2.

All quantities are integers: a concentration in 10^-6 g/Nm3, a flow in 10^-6 Nm3/h, a mass in g, each rounded half to
even once (GB/T 8170), so that days, months and years are the exact sums of their hours.

Sources: HJ 75-2017 (formulas as transcribed in public, the 45 minutes from memory); 40 CFR 75 Appendix F; EU 2018/2066
Annex VIII. What replaces hours without data is in carbonterm.accounting.substitution.
"""

from carbonterm import clock, units
from carbonterm.errors import AccountingError, quoted
from carbonterm.number import Number, Ratio, half_even

PLACES = 6  # decimals of g/Nm3, Nm3/h and t
# gas: g/mol; the molar volume of an ideal gas at 273.15 K and 101.325 kPa is 22.414 L/mol
MOLAR_MASSES = (("CO2", "44.01"), ("CH4", "16.043"), ("N2O", "44.013"))
MOLAR_VOLUME = "22.414"
AIR = "21"  # % of oxygen in air in the correction formula of HJ 75; GB 13223 and GB 13271 have the same
TOO_MUCH_OXYGEN = Number("20.9")
KELVIN = "273.15"
PRESSURE = Number("101.325")

VALID, STOPPED, MISSING, FILLED = range(4)
STATES = ("valid", "stopped", "missing", "filled")
# flags of HJ 212-2017: normal, manual; stopped; maintenance, fault, calibration, out of range, communication
RUNS, STOPS, FAILS = range(3)
FLAGS = {"": RUNS, "N": RUNS, "S": RUNS, "F": STOPS, "M": FAILS, "D": FAILS, "C": FAILS, "T": FAILS, "B": FAILS}

COLUMNS = ("concentration", "flow", "moisture", "o2", "o2wet", "temperature", "pressure")
DEFAULT_UNITS = ("%", "Nm3/h", "%", "%", "%", "°C", "kPa")


class Setup:
    """How a stack is measured. `units`: unit texts by column name, in place of DEFAULT_UNITS.

    concentration and flow: "wet" or "dry" basis; o2_reference: % of oxygen to which the concentrations were corrected,
    or None; area: m2 of the duct where the flow is a velocity; density: g/Nm3 of the gas in place of M / 22.414.
    AccountingError for a unit that measures something else, an unknown gas or basis.
    """

    __slots__ = ("gas", "density", "size", "share", "actual", "area", "concentration", "flow", "o2_reference", "air",
                 "kelvin")  # fmt: skip

    def __init__(self, units_of=None, gas="CO2", concentration="dry", flow="dry", o2_reference=None, area=None,
                 density=None, air=AIR, kelvin=KELVIN):  # fmt: skip
        for basis in (concentration, flow):
            if basis not in ("wet", "dry"):
                raise AccountingError("unknown basis " + quoted(str(basis)), "wet or dry")
        self.gas, self.concentration, self.flow = gas, concentration, flow
        self.air, self.kelvin = Number(air), Number(kelvin)
        self.o2_reference = None if o2_reference is None else _oxygen(Number(o2_reference), "the reference oxygen")
        self.density = _density(gas) if density is None else Number(density).ratio()
        self.area = None if area is None else Number(area)
        for what, value in (("the density", self.density), ("the area of the duct", self.area)):
            if value is not None and not value > 0:
                raise AccountingError("%s is %s" % (what, value), "it must be above 0")
        chosen = dict(zip(COLUMNS, DEFAULT_UNITS))
        for name in units_of or {}:
            if name not in chosen:
                raise AccountingError("unknown column " + quoted(name), "known: " + ", ".join(COLUMNS))
            chosen[name] = units_of[name]
        self._sizes(chosen)

    def _sizes(self, chosen):
        size, concentration, flow = {}, chosen["concentration"], chosen["flow"]
        self.share = units.fits(concentration, "%")
        if self.share:
            size["concentration"] = units.factor(concentration, "1") * self.density
        else:  # mg/m3 of a CEMS means the m3 of the standard state
            target = "g/m3" if units.fits(concentration, "g/m3") else "g/Nm3"
            size["concentration"] = units.factor(concentration, target)
        self.actual = not units.fits(flow, "Nm3/h")
        if units.fits(flow, "m/s"):
            if self.area is None:
                raise AccountingError("the flow is a velocity", "say the area of the duct in m2")
            size["flow"] = units.factor(flow, "m/h") * self.area
        else:
            size["flow"] = units.factor(flow, "m3/h" if self.actual else "Nm3/h")
        targets = ("1", "%", "%", "°C", "kPa")
        for name, target in zip(COLUMNS[2:], targets):
            size[name] = units.factor(chosen[name], target)
        self.size = size

    def wants(self):
        """Names of the columns without which there is no mass."""
        names = ["concentration", "flow"]
        if self.concentration != self.flow:
            names.append("moisture")
        if self.o2_reference is not None:
            names.append("o2")
        if self.actual:
            names += ["temperature", "pressure"]
        return names

    def limit(self, name, value):
        """A concentration or flow at standard state, in its column's unit, as the integer of an hour."""
        return (self.size[name] * Number(value)).round(PLACES).mantissa


def _density(gas):
    for name, mass in MOLAR_MASSES:
        if name == gas:
            return Number(mass) / Number(MOLAR_VOLUME) * 1000
    raise AccountingError("unknown gas " + quoted(str(gas)), "known: " + ", ".join(name for name, _ in MOLAR_MASSES))


def _oxygen(value, what):
    if value < 0 or value >= TOO_MUCH_OXYGEN:
        shown = value.ratio().round(4).normal()
        raise AccountingError("%s is %s %%" % (what, shown), "flue gas has 0 to 20.9 % of oxygen, air has 20.9 %")
    return value


def reading(setup, values):
    """(concentration, flow) of one reading as integers on the flow's basis; None where a part is missing.

    `values`: column name → Number or None. AccountingError for what cannot be: a negative flow, a moisture of 100 %.
    """
    got = {}
    for name in COLUMNS:
        value = values.get(name)
        got[name] = None if value is None else setup.size[name] * value
    moisture = _moisture(got)
    concentration = _concentration(setup, values, got)
    flow = _flow(setup, values, got)
    if setup.concentration != setup.flow and concentration is not None:
        if moisture is None:
            concentration = None
        elif setup.concentration == "dry":
            concentration = concentration * (1 - moisture)
        else:
            concentration = concentration / (1 - moisture)
    return (
        None if concentration is None else concentration.round(PLACES).mantissa,
        None if flow is None else flow.round(PLACES).mantissa,
    )


def _moisture(got):
    """The volume share of water, measured or from oxygen wet and dry (40 CFR 75 Appendix F, F-31)."""
    moisture, dry, wet = got["moisture"], got["o2"], got["o2wet"]
    for value, what in ((dry, "the oxygen"), (wet, "the wet oxygen")):
        if value is not None:
            _oxygen(value, what)
    if moisture is None and dry is not None and wet is not None and dry > 0:
        moisture = (dry - wet) / dry
    if moisture is not None and (moisture < 0 or moisture >= 1):
        shown = (moisture * 100).round(2)
        raise AccountingError("the moisture is %s %%" % shown, "it is a share of the volume, from 0 to below 100 %")
    return moisture


def _concentration(setup, values, got):
    value = got["concentration"]
    if value is None:
        return None
    if value < 0 or (setup.share and value > setup.density):
        shown = values["concentration"]
        raise AccountingError("the concentration is %s" % shown, "flag the reading as invalid, or correct it")
    if setup.o2_reference is None:
        return value
    if got["o2"] is None:
        return None
    return value * (setup.air - got["o2"]) / (setup.air - setup.o2_reference)


def _flow(setup, values, got):
    value = got["flow"]
    if value is None:
        return None
    if value < 0:
        raise AccountingError("the flow is %s" % values["flow"], "below 0 is a fault: flag the reading as invalid")
    if not setup.actual:
        return value
    temperature, pressure = got["temperature"], got["pressure"]
    if temperature is None or pressure is None:
        return None
    kelvin = setup.kelvin + temperature
    if not kelvin > 0 or not pressure > 0:
        raise AccountingError(
            "a gas of %s °C at %s kPa" % (values["temperature"], values["pressure"]),
            "the pressure is the absolute one: atmosphere and static pressure together",
        )
    return value * setup.kelvin / kelvin * pressure / PRESSURE


# --- hours -----------------------------------------------------------------------------------------------------------


class Hour:
    """start_ms; run (numerator, denominator) the share of the hour that the plant ran; c and q, the means (integers of
    10^-6 g/Nm3 and 10^-6 Nm3/h) or None; state; mass in g or None; how: what filled it, or ""."""

    __slots__ = ("start_ms", "run", "c", "q", "state", "mass", "how")

    def __init__(self, start_ms):
        self.start_ms = start_ms
        self.run = (1, 1)
        self.c = self.q = self.mass = None
        self.state, self.how = MISSING, ""

    def weigh(self):
        """Its mass from c and q."""
        self.mass = half_even(self.c * self.q * self.run[0], 10 ** (2 * PLACES) * self.run[1])


def hours(rows, interval_ms, valid, zone=480):
    """Every Hour from the first to the last row. rows: (time_ms, flag, c, q) in order of time, values as of `reading`.

    interval_ms: what one row stands for. valid: [kind, number], when an hour is a valid one:
        ["minutes", 45]     so many minutes of data, or the same share of the minutes that the plant ran
        ["share", "0.8"]    so much of the readings that the running time can have
        ["quarters", 4]     a reading in each quarter of the hour, of those in which the plant ran
    An hour without any row is missing: the plant is taken to have run.
    """
    check_valid(valid)
    found, at = [], 0
    if not rows:
        return found
    start, last = clock.start(clock.HOUR, rows[0][0], zone), rows[-1][0]
    while start <= last:
        end, first = start + 3600000, at
        while at < len(rows) and rows[at][0] < end:
            at += 1
        found.append(_hour(start, rows[first:at], interval_ms, valid))
        start = end
    return found


def check_valid(valid):
    """AccountingError for what is no rule of validity."""
    if isinstance(valid, (list, tuple)) and len(valid) == 2:
        kind, number = valid
        if kind == "minutes" and isinstance(number, int) and 0 < number <= 60:
            return
        if kind == "share" and isinstance(number, str) and Number(number) > 0 and Number(number) <= 1:
            return
        if kind == "quarters" and number in (1, 2, 3, 4):
            return
    raise AccountingError("no rule of a valid hour", 'write it like ["minutes", 45], ["share", "0.8"], ["quarters", 4]')


def _hour(start, rows, interval_ms, valid):
    hour = Hour(start)
    ran = [row for row in rows if FLAGS[row[1]] != STOPS]
    if rows:
        hour.run = (len(ran), len(rows))
        if not ran:
            hour.state, hour.mass = STOPPED, 0
            return hour
    good = [row for row in ran if FLAGS[row[1]] == RUNS]
    for name, place in (("c", 2), ("q", 3)):
        having = [row for row in good if row[place] is not None]
        if having and _enough(start, having, ran, rows, interval_ms, valid):
            setattr(hour, name, half_even(sum([row[place] for row in having]), len(having)))
    if hour.c is not None and hour.q is not None:
        hour.state = VALID
        hour.weigh()
    return hour


def _enough(start, having, ran, rows, interval_ms, valid):
    kind, number = valid
    if interval_ms >= 3600000:
        return True
    if kind == "quarters":
        wanted, there = [], []
        for quarter in range(4):
            low, high = start + quarter * 900000, start + (quarter + 1) * 900000
            if any(low <= row[0] < high for row in ran) or not any(low <= row[0] < high for row in rows):
                wanted.append(quarter)
            if any(low <= row[0] < high for row in having):
                there.append(quarter)
        return len(there) >= min(number, len(wanted))
    share = Ratio(number, 60) if kind == "minutes" else Number(number).ratio()
    most = half_even(3600000, interval_ms) * Ratio(len(ran), len(rows))  # readings that the running time can have
    return Ratio(len(having)) >= most * share


# --- days to years ---------------------------------------------------------------------------------------------------


class Total:
    """start_ms, end_ms; mass in g, the exact sum of its hours; counts by state (VALID, STOPPED, MISSING, FILLED) and
    filled: the g that filled hours have of it."""

    __slots__ = ("start_ms", "end_ms", "mass", "counts", "filled")


def totals(all_hours, period, zone=480):
    """Total of each `period` (clock.DAY … YEAR, or None for all of it) that has hours, in order of time."""
    found, total = [], None
    for hour in all_hours:
        if total is None or (period is not None and hour.start_ms >= total.end_ms):
            total = Total()
            total.start_ms = hour.start_ms if period is None else clock.start(period, hour.start_ms, zone)
            total.end_ms = None if period is None else clock.end(period, hour.start_ms, zone)
            total.mass, total.counts, total.filled = 0, [0, 0, 0, 0], 0
            found.append(total)
        total.counts[hour.state] += 1
        total.mass += hour.mass or 0
        if hour.state == FILLED:
            total.filled += hour.mass
    if total is not None and period is None:
        total.end_ms = all_hours[-1].start_ms + 3600000
    return found


def valid_day(total):
    """Whether a day is a valid one: 20 hours that are measured or stopped (HJ 76-2017 Annex B, as it is quoted)."""
    return total.counts[VALID] + total.counts[STOPPED] >= 20


def valid_month(month, days, zone=480):
    """Whether a month is a valid one: 25 valid days of its Totals `days`, in February 23 (HJ 76-2017 Annex B)."""
    valid = [day for day in days if month.start_ms <= day.start_ms < month.end_ms and valid_day(day)]
    return len(valid) >= (23 if clock.civil(month.start_ms, zone)[1] == 2 else 25)


def part75(co2_percent, wet_scfh):
    """Short tons of CO2 per hour by 40 CFR 75 Appendix F, F-11: 5.7e-7 × % CO2 (stack moisture) × wet scf/h."""
    return Number("5.7e-7") * Number(co2_percent) * Number(wet_scfh)
