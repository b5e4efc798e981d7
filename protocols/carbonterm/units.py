"""Units as exact rational sizes over base dimensions; conversion that is exact or refused.

A unit is written as meters, standards and people write it: kWh, GJ, t, tCO2, tC/GJ, GJ/10^4Nm3, tCO2/MWh, kg/(m2.a), %,
千瓦时, 吨, 万Nm3. `*`, `.`, `·` multiply, `/` divides what follows it, a number at the end is a power (m3, m2).
Sizes: GB 3100/3101 (SI), GB/T 2589-2020 (tce: 29307.6 kJ per kilogram of standard coal).

What looks alike and is not the same thing has its own dimension, so that no conversion slips through:
Nm3 (gas at 0 °C, 101.325 kPa) and m3; a mass and the mass of a substance (t, tC, tCO2, tCH4); tCO2 and tCO2e;
W, var and VA; °C and K. The way from one to the other (44/12, a GWP, a density) belongs in a method's formula.
"""

from carbonterm.errors import UnitError, quoted
from carbonterm.nearest import hint
from carbonterm.number import Ratio

MAX_TEXT = 60

SUBSTANCES = (
    "C", "CO2", "CO2e", "CH4", "CH4_fossil", "CH4_nonfossil", "N2O", "SF6", "NF3", "CF4", "C2F6", "C3F8", "c-C4F8",
    "C4F10", "C5F12", "C6F14", "HFC-23", "HFC-32", "HFC-41", "HFC-125", "HFC-134", "HFC-134a", "HFC-143", "HFC-143a",
    "HFC-152a", "HFC-161", "HFC-227ea", "HFC-236cb", "HFC-236ea", "HFC-236fa", "HFC-245ca", "HFC-245fa", "HFC-365mfc",
    "HFC-43-10mee", "COD", "BOD",
)  # fmt: skip

_PREFIXES = {"k": (1000, 1), "M": (10**6, 1), "G": (10**9, 1), "T": (10**12, 1), "m": (1, 1000), "μ": (1, 10**6)}
_MASSES = (("kg", 1, 1), ("mg", 1, 10**6), ("kt", 10**6, 1), ("Mt", 10**9, 1), ("t", 1000, 1), ("g", 1, 1000))
_MYRIADS = {"万": 10**4, "亿": 10**8}

# symbol: (numerator, denominator, dimensions, prefixes it takes)
_ENERGY = {"energy": 1}
_POWER = {"energy": 1, "time": -1}
_UNITS = {
    "": (1, 1, {}, ""), "1": (1, 1, {}, ""), "-": (1, 1, {}, ""), "fraction": (1, 1, {}, ""),
    "%": (1, 100, {}, ""), "‰": (1, 1000, {}, ""), "ppm": (1, 10**6, {}, ""),
    "J": (1, 1, _ENERGY, "kMGT"), "Wh": (3600, 1, _ENERGY, "kMGT"), "tce": (29307600000, 1, _ENERGY, ""),
    "kgce": (29307600, 1, _ENERGY, ""), "kcal": (41868, 10, _ENERGY, ""), "W": (1, 1, _POWER, "kMGm"),
    "varh": (3600, 1, {"reactive": 1, "time": 1}, "kM"), "var": (1, 1, {"reactive": 1}, "kM"),
    "VAh": (3600, 1, {"apparent": 1, "time": 1}, "kM"), "VA": (1, 1, {"apparent": 1}, "kM"),
    "A": (1, 1, {"current": 1}, "km"), "V": (1, 1, {"energy": 1, "time": -1, "current": -1}, "km"),
    "Hz": (1, 1, {"time": -1}, "kM"), "Pa": (1, 1, {"energy": 1, "length": -3}, "kM"),
    "bar": (100000, 1, {"energy": 1, "length": -3}, "m"),
    "t": (1000, 1, {"mass": 1}, "kM"), "g": (1, 1000, {"mass": 1}, "kmμ"),
    "m": (1, 1, {"length": 1}, "km"), "cm": (1, 100, {"length": 1}, ""), "L": (1, 1000, {"length": 3}, "km"),
    "Nm3": (1, 1, {"Nm3": 1}, "k"), "NL": (1, 1000, {"Nm3": 1}, ""),
    "s": (1, 1, {"time": 1}, "m"), "min": (60, 1, {"time": 1}, ""), "h": (3600, 1, {"time": 1}, ""),
    "d": (86400, 1, {"time": 1}, ""), "K": (1, 1, {"temperature": 1}, ""), "°C": (1, 1, {"°C": 1}, ""),
    "mol": (1, 1, {"amount": 1}, "km"), "pcs": (1, 1, {"count": 1}, ""), "a": (1, 1, {"year": 1}, ""),
}  # fmt: skip

_ALIASES = {
    "千瓦时": "kWh", "度": "kWh", "兆瓦时": "MWh", "瓦时": "Wh", "千瓦": "kW", "兆瓦": "MW", "瓦": "W",
    "焦": "J", "千焦": "kJ", "兆焦": "MJ", "吉焦": "GJ", "百万千焦": "GJ", "太焦": "TJ", "大卡": "kcal",
    "吨": "t", "公斤": "kg", "千克": "kg", "克": "g", "吨标准煤": "tce", "千克标准煤": "kgce", "吨标煤": "tce",
    "立方米": "m3", "升": "L", "l": "L", "标准立方米": "Nm3", "标立方米": "Nm3", "标方": "Nm3", "方": "m3",
    "吨二氧化碳": "tCO2", "千克二氧化碳": "kgCO2", "吨二氧化碳当量": "tCO2e", "千克二氧化碳当量": "kgCO2e",
    "吨碳": "tC",
    "tCO2eq": "tCO2e", "tCO2-e": "tCO2e", "kgCO2eq": "kgCO2e", "千乏": "kvar", "千乏时": "kvarh",
    "秒": "s", "分": "min", "小时": "h", "时": "h", "日": "d", "天": "d", "day": "d", "年": "a", "year": "a",
    "伏": "V", "安": "A", "赫兹": "Hz", "帕": "Pa", "千帕": "kPa", "兆帕": "MPa", "℃": "°C", "摄氏度": "°C",
    "degC": "°C",
    "个": "pcs", "台": "pcs", "槽": "pcs", "人": "pcs", "person": "pcs", "次": "pcs", "米": "m", "平方米": "m2",
    "公里": "km",
}  # fmt: skip
_PRINTED = {"³": "3", "²": "2", "⁴": "^4", "⁸": "^8", "（": "(", "）": ")", "／": "/", "％": "%", "µ": "μ", "₂": "2",
            "₄": "4", " ": "", "\u3000": ""}  # fmt: skip
_TIMES = "*.·×"
_STOPS = "/()^" + _TIMES


class Unit:
    """A size (exact Ratio of base units), a dimension (tuple of (base, power)) and `text`, how it was written."""

    __slots__ = ("ratio", "dimension", "text")

    def __init__(self, ratio, dimension, text):
        self.ratio = ratio
        self.dimension = dimension
        self.text = text

    def __str__(self):
        return self.text


def parse(text):
    """The Unit of a text; UnitError says what is not known and what comes near. A Unit is returned as it is."""
    if isinstance(text, Unit):
        return text
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise UnitError("a unit is a text of at most %d characters" % MAX_TEXT, "write it like kWh or tCO2/MWh")
    plain = "".join(_PRINTED.get(c, c) for c in text)
    if plain in _UNITS:
        size, dimension = _symbol(plain, text)
    else:
        size, dimension, at = _product(plain, 0, text, 0)
        if at < len(plain):
            raise UnitError("unit %s: %s stands alone" % (quoted(text), quoted(plain[at])), _HOW)
    dimension = tuple(sorted((name, power) for name, power in dimension.items() if power))
    if len(dimension) != 1 or dimension[0][1] != 1:
        for name, _ in dimension:
            if name == "°C":
                raise UnitError(
                    "unit %s: °C has its zero at 273.15 K and cannot be part of a product" % quoted(text),
                    "write K for a temperature difference",
                )
    return Unit(size, dimension, text)


def convert(value, source, target):
    """`value` (Number, Ratio or int) in unit `source` as an exact Ratio in unit `target`; both text or Unit.

    UnitError where they do not measure the same thing. Example: convert(Number("1.5"), "MWh", "kWh") is Ratio(1500).
    """
    return factor(source, target) * value


def factor(source, target):
    """How many `target` one `source` is, as an exact Ratio; UnitError where they do not measure the same thing."""
    source, target = parse(source), parse(target)
    if source.dimension != target.dimension:
        raise UnitError(
            "%s and %s do not measure the same thing" % (quoted(source.text), quoted(target.text)),
            _way_out(source.dimension, target.dimension),
        )
    return source.ratio / target.ratio


def fits(a, b):
    """Whether one can be converted into the other."""
    return parse(a).dimension == parse(b).dimension


def same(a, b):
    """Whether both are one and the same unit, however written: kWh and 千瓦时, GJ/t and MJ/kg."""
    a, b = parse(a), parse(b)
    return a.dimension == b.dimension and a.ratio == b.ratio


def times(a, b, power=1):
    """The unit a × b^power, for checking formulas."""
    a, b = parse(a), parse(b)
    dimension = {}
    for name, p in a.dimension:
        dimension[name] = p
    size = _joined(a.ratio, dimension, b.ratio, _as_dict(b.dimension), power)
    sign = "*" if power > 0 else "/"
    text = a.text + sign + ("(" + b.text + ")" if "/" in b.text else b.text)
    text += "" if abs(power) == 1 else "^" + str(abs(power))
    return Unit(size, tuple(sorted((n, p) for n, p in dimension.items() if p)), text)


def known():
    """All symbols and Chinese names, without prefixes and substances, in the order of the alphabet."""
    return sorted([name for name in _UNITS if name not in ("", "-", "1")] + list(_ALIASES))


# --- the parts ----------------------------------------------------------------------------------------------------

_HOW = "write it like kWh, GJ/10^4Nm3 or kg/(m2.a)"


def _as_dict(dimension):
    found = {}
    for name, power in dimension:
        found[name] = power
    return found


def _joined(size, dimension, other_size, other, power):
    """size × other_size^power; adds other^power to the dict `dimension`."""
    for name in other:
        dimension[name] = dimension.get(name, 0) + other[name] * power
    for _ in range(abs(power)):
        size = size * other_size if power > 0 else size / other_size
    return size


def _product(text, at, whole, depth):
    """Size, dimension and end of factor { times factor | "/" factor } from `at`."""
    size, dimension, power, wanted = Ratio(1), {}, 1, True
    while at < len(text) and text[at] != ")":
        c = text[at]
        if c == "/" or c in _TIMES:
            if wanted:
                break
            power, wanted, at = (-1 if c == "/" else 1), True, at + 1
            continue
        if not wanted:
            break
        if c == "(":
            if depth:
                raise UnitError("unit %s: parentheses within parentheses" % quoted(whole), _HOW)
            part_size, part, at = _product(text, at + 1, whole, depth + 1)
            if text[at : at + 1] != ")":
                raise UnitError("unit %s: a ( is never closed" % quoted(whole), _HOW)
            at, wanted = at + 1, False
        elif "0" <= c <= "9":
            number, at = _count(text, at)
            times, at = _power(text, at)
            part_size, part = Ratio(number), {}
            if number == 0:
                raise UnitError("unit %s: a unit cannot be 0" % quoted(whole), _HOW)
            size = _joined(size, dimension, part_size, part, power * times)
            wanted = at >= len(text) or text[at] not in _STOPS  # 10^4Nm3 goes on, 1/h does not
            if at >= len(text) or text[at] == ")":
                wanted = False
            continue
        else:
            stop = at
            while stop < len(text) and text[stop] not in _STOPS:
                stop += 1
            if stop == at:
                break
            part_size, part = _symbol(text[at:stop], whole)
            at, wanted = stop, False
        times, at = _power(text, at)
        size = _joined(size, dimension, part_size, part, power * times)
    if wanted:
        raise UnitError("unit %s: a unit is missing at character %d" % (quoted(whole), at + 1), _HOW)
    return size, dimension, at


def _count(text, at):
    stop = at
    while stop < len(text) and "0" <= text[stop] <= "9":
        stop += 1
    return int(text[at:stop]), stop


def _power(text, at):
    """The power "^n" at `at`, 1 where there is none; and where it ends."""
    if text[at : at + 1] != "^":
        return 1, at
    negative = text[at + 1 : at + 2] == "-"
    start = at + 2 if negative else at + 1
    if not "0" <= text[start : start + 1] <= "9":
        raise UnitError("unit %s: a power is a whole number" % quoted(text), _HOW)
    power, stop = _count(text, start)
    if not 0 < power <= 12:
        raise UnitError("unit %s: a power is 1 to 12" % quoted(text), _HOW)
    return (-power if negative else power), stop


def _symbol(symbol, whole):
    """Size and dimension of a symbol or name without operators."""
    found = _lookup(symbol)
    if found:
        return found
    names = known() + ["t" + name for name in SUBSTANCES] + ["kWh", "MWh", "GJ", "MJ", "kW", "kg", "m3", "kPa", "MPa"]
    what = "unknown unit " + quoted(symbol)
    if symbol != whole:
        what += " in " + quoted(whole)
    raise UnitError(what, hint(symbol, names, "some of the known units"))


def _lookup(symbol):
    symbol = _ALIASES.get(symbol, symbol)
    found = _UNITS.get(symbol)
    if found:
        return Ratio(found[0], found[1]), found[2]
    found = _UNITS.get(symbol[1:])
    if found and symbol[:1] in _PREFIXES and symbol[0] in found[3]:
        prefix = _PREFIXES[symbol[0]]
        return Ratio(found[0] * prefix[0], found[1] * prefix[1]), found[2]
    for mass, numerator, denominator in _MASSES:
        if symbol.startswith(mass) and symbol[len(mass) :] in SUBSTANCES:
            return Ratio(numerator, denominator), {symbol[len(mass) :]: 1}
    if len(symbol) < 2:
        return None
    if symbol[0] in _MYRIADS:
        found = _lookup(symbol[1:])
        return found and (found[0] * _MYRIADS[symbol[0]], found[1])
    if symbol[-1] in "23456789" and not "0" <= symbol[-2] <= "9":
        found = _lookup(symbol[:-1])
        if found:
            raised = {}
            return _joined(Ratio(1), raised, found[0], found[1], int(symbol[-1])), raised
    return None


# pairs of dimensions that people take for one another, and what leads from one to the other
_TRAPS = (
    ("Nm3", "length", "Nm3 is gas at 0 °C and 101.325 kPa, m3 gas as it flows: temperature and pressure convert"),
    ("C", "CO2", "carbon becomes CO2 by 44/12, which belongs in the method's formula"),
    ("CO2", "CO2e", "a gas becomes CO2e by its GWP, which the method applies"),
    ("CH4", "CO2e", "a gas becomes CO2e by its GWP, which the method applies"),
    ("mass", "CO2", "a mass of material becomes CO2 by an emission factor, which belongs in the method's formula"),
    ("mass", "Nm3", "a density leads from one to the other; put it in a virtual point or formula"),
    ("mass", "length", "a density leads from one to the other; put it in a virtual point or formula"),
    ("°C", "temperature", "°C and K differ by 273.15, which no factor gives; record the temperature in °C"),
    ("reactive", "energy", "W is active, var reactive power: they are different quantities of the meter"),
    ("apparent", "energy", "W is active power, VA apparent power: they are different quantities of the meter"),
)


def _way_out(a, b):
    a, b = [name for name, _ in a], [name for name, _ in b]
    for one, other, way in _TRAPS:
        if (one in a and other in b and other not in a) or (other in a and one in b and one not in a):
            return way
    if "energy" in a and "energy" in b:
        return "power (kW) is not energy (kWh): integrate over time in the meter or a virtual point"
    return "choose a unit that measures the same thing"
