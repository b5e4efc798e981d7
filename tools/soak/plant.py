"""The plant of the soak: 30 meters of four protocols on 4 lines, as a site file, and what shall happen to them.

`site_text()` is the site file, `plan_of(seed, hours, level)` what happens. Times are in simulated seconds.
"""

from carbonterm_host.benches import planned
from carbonterm_host.simulate import faults as table

LINES = (("hall", 9600, "none"), ("yard", 2400, "even"), ("mixed", 2400, "even"), ("far", 1200, "even"))

# name, line, model, address, settings of its own, points (register, limit per hour or None)
_ENERGY = (("active_energy_import", "200"), ("active_power", None))
_PHASE = (("active_energy_import", "200"), ("active_power", None))
_OLD = (("active_energy_import", "200"),)
_HEAT = (("heat", "3000"), ("volume", "100"), ("temperature_supply", None))
METERS = (
    ("sdm-1", 0, "eastron-sdm630", 1, "", (("active_energy_import", "200"), ("voltage_a", None))),
    ("sdm-2", 0, "eastron-sdm630", 2, "", (("active_energy_import", "200"),)),
    ("dts-1", 0, "chint-dtsu666", 3, "", (("active_energy_import", "200"),)),
    ("iem-1", 0, "schneider-iem3155", 4, "", (("active_energy_import", "200000"),)),
    ("adw-1", 0, "acrel-adw300", 5, "", (("active_energy_import", "200"),)),
    ("adw-2", 0, "acrel-adw300", 6, "", (("active_energy_import", "200"),)),
    ("gas-1", 0, "generic-gas-modbus", 7, "", (("volume", "300"),)),
    ("tuf-1", 0, "tuf-2000m", 8, "", (("heat", "30"),)),
    ("three-1", 1, "dlt645-2007-three-phase", "201000000011", "", _ENERGY),
    ("three-2", 1, "dlt645-2007-three-phase", "201000000012", "", _ENERGY),
    ("three-3", 1, "dlt645-2007-three-phase", "201000000013", "", _ENERGY),
    ("one-1", 1, "dlt645-2007-single-phase", "000012345601", "", (("active_energy_import", "30"),)),
    ("old-1", 1, "dlt645-1997", "000000000021", "", _OLD),
    ("old-2", 1, "dlt645-1997", "000000000022", "", _OLD),
    ("old-3", 1, "dlt645-1997", "000000000023", "", _OLD),
    ("three-4", 2, "dlt645-2007-three-phase", "201000000031", "", _ENERGY),
    ("three-5", 2, "dlt645-2007-three-phase", "201000000032", "", _ENERGY),
    ("old-4", 2, "dlt645-1997", "000000000033", "", _OLD),
    ("heat-1", 2, "cjt188-heat-unit-first", "42590008210438", "", _HEAT),
    ("heat-2", 2, "cjt188-heat", "42590008210439", "", _HEAT),
    ("water-1", 2, "cjt188-water", "20120000000101", "", (("volume", "40"),)),
    ("gas-2", 2, "cjt188-gas", "20120000000102", "", (("volume", "300"),)),
    ("gas-3", 2, "generic-gas-modbus", 9, ", baud: 9600, parity: none", (("volume", "300"),)),
    ("old-5", 3, "dlt645-1997", "000000000041", "", _OLD),
    ("old-6", 3, "dlt645-1997", "000000000042", "", _OLD),
    ("three-6", 3, "dlt645-2007-three-phase", "201000000043", ", baud: 2400", _ENERGY),
    ("water-2", 3, "cjt188-water", "20120000000201", "", (("volume", "40"),)),
    ("heat-3", 3, "cjt188-heat", "42590008210440", "", _HEAT),
    ("sdm-3", 3, "eastron-sdm630", 1, ", baud: 4800", (("active_energy_import", "200"),)),
    ("dts-2", 3, "chint-dtsu666", 2, ", baud: 9600, parity: none", (("active_energy_import", "200"),)),
)
STATIONS = (("stack-2017", "31011519900101000000001A", "2017"), ("stack-2025", "31011519900101000000002B", "2025"))
LOOP = "loop"  # a 4-20 mA transmitter from -20 to 180
OLD_COUNTER, OUTAGE = "old-1", "old-2"  # these roll over; the second is silent meanwhile


def site_text(terminal="CT-SOAK-1"):
    """The site file."""
    rows = [f"terminal: {terminal}", "name: soak 浸泡试验", 'zone: "+08:00"', "buses:"]
    for name, baud, parity in LINES:
        rows.append(f"  - {{name: {name}, kind: serial, device: /dev/{name}, baud: {baud}, parity: {parity}, "
                    "timeout: 400ms, retries: 1, gap: 20ms}")  # fmt: skip
    rows.append("meters:")
    for name, line, model, address, own, _ in METERS:
        key = f"unit: {address}" if isinstance(address, int) else f'address: "{address}"'
        rows.append(f"  - {{name: {name}, bus: {LINES[line][0]}, model: {model}, {key}{own}}}")
    rows.append("points:")
    for name, _, _, _, _, points in METERS:
        for register, limit in points:
            tail = "" if limit is None else f', limit: "{limit}"'
            rows.append(f"  - {{name: {name} {register}, meter: {name}, register: {register}, every: 60s{tail}}}")
    rows.append("settings: {closings: [hour, day], commit: 1s}")
    return "\n".join(rows) + "\n"


def words_of_operators(hours):
    """[(second, meter, fault of STATE)]: what is done to meters on purpose, and an operator then enters."""
    end = int(hours * 3600)
    return [(end // 3, "three-1", "replaced"), (end // 3 + 60, "sdm-1", "replaced"), (end // 2, "gas-2", "reset")]


def windows(hours):
    """[(from, until)] in seconds: when faults happen: not at the beginning, around an operator's word, at the end."""
    end = int(hours * 3600)
    still = min(600, end // 24)
    quiet = sorted([second for second, _, _ in words_of_operators(hours)])
    found, begin = [], still
    for second in quiet:
        if second - still > begin:
            found.append((begin, second - still))
        begin = max(begin, second + still)
    if end - 2 * still > begin:
        found.append((begin, end - 2 * still))
    return found


def plan_of(seed, hours, level):
    """The plan of a run (carbonterm_host.benches.planned); level 0: nothing goes wrong."""
    if not level:
        return planned.plan(seed, hours)
    end_ms = int(hours * 3600000) + planned.BEFORE_MS
    return planned.plan(
        seed, hours, happenings(hours, level), [end_ms * part // 16 for part in (3, 6, 10, 13)], pulled(hours),
        [[name, number, version, 150 if version == "2025" else 600] for name, number, version in STATIONS], LOOP,
    )  # fmt: skip


def happenings(hours, level):
    """All faults, as rows for Faults.add; level: probability of each at each answer."""
    found = [["rollover", 1.0, OLD_COUNTER, 0, None, 1], ["rollover", 1.0, OUTAGE, 0, None, 1]]
    found += [[fault, 1.0, meter, second, None, 1] for second, meter, fault in words_of_operators(hours)]
    first = windows(hours)[0]
    found.append(["silent", 1.0, OUTAGE, first[0], min(first[0] + 10800, first[1])])
    for begin, end in windows(hours):
        found.append(["clock", level, None, begin, end])
        found += [[name, level, None, begin, end] for name in table.names(table.COMMON, table.LINE, table.CONTENT)]
        found += [  # there are fewer packets than frames
            [name, min(10 * level, 1), None, begin, end] for name in table.names(table.CENTRE, table.CEMS, table.ANALOG)
        ]  # fmt: skip
    return found


def pulled(hours):
    """When a line's adapter is pulled out: the far line for ten minutes, and it flaps for five."""
    begin = 1000 * (windows(hours)[0][0] + 120)
    flaps = [(1200 + 20 * i, 1210 + 20 * i) for i in range(15)]
    return [["/dev/far", begin + 1000 * since, begin + 1000 * until] for since, until in [(0, 600), *flaps]]
