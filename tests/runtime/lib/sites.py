"""A small site document for tests, made by hand: two electricity meters and a gas meter, two sources."""

from carbonterm import formula, site


def compiled(name, scope, text, inputs, constants):
    """A compiled source: inputs [[name, unit]], constants [[name, unit, exponent, mantissa]]."""
    names = [row[0] for row in inputs] + [row[0] for row in constants]
    return [
        "carbonterm-source-1", ["test", 1], name, scope, "CO2", 1, formula.compile(text, names), inputs,
        [row + [None] for row in constants], ["GWP", "tCO2e/tCO2", 0, 1, None],
    ]  # fmt: skip


def point(name, meter, unit="kWh", scale=(1, -2), modulus=None, limit=None, kind="register", interval_ms=60000):
    register = ["energy", unit, 3, 10 * meter, "uint32", "ABCD", list(scale), kind]
    return [name, meter] + register + [modulus, limit, None, None, interval_ms]


def document(points=None, sources=None, closings=(2, 3, 4, 5), terminal="CT-TEST-1", version=1, zone=480, centres=()):
    """The decoded canonical array; E1 and E2 (kWh, 6 digits with 2 decimals) feed electricity, G1 (Nm3) feeds gas."""
    if points is None:
        points = [
            point("E1", 0, modulus=[1000000, -2]),
            point("E2", 1, modulus=[1000000, -2]),
            point("G1", 2, unit="Nm3"),
        ]
    if sources is None:
        electricity = compiled("electricity", 2, "AD*EF", [["AD", "MWh"]], [["EF", "tCO2/MWh", -4, 5306]])
        gas = compiled("gas", 1, "FC*NCV*CC*OF*44/12", [["FC", "10^4Nm3"]],
                       [["NCV", "GJ/10^4Nm3", -2, 38931], ["CC", "tC/GJ", -4, 153], ["OF", "1", -2, 99]])  # fmt: skip
        sources = [
            ["electricity", electricity, [["AD", [[0, 1, 1000], [1, 1, 1000]]]]],
            ["gas", gas, [["FC", [[2, 1, 10000]]]]],
        ]
    meters = [["M%d" % i, 0, i + 1, "none", 60, None, None, None, None, None] for i in range(3)]
    buses = [["lan", "modbus-tcp", "127.0.0.1", 502, "none", 1, 500, 1, 0]]
    return [
        site.FORMATS[0],
        version,
        terminal,
        "test",
        zone,
        buses,
        meters,
        points,
        sources,
        list(centres),
        [list(closings), 1000],
    ]
