"""site.yaml: a good file compiles; a bad one says all its mistakes at once, with line, column and the way out."""

import json
import subprocess
import sys

import pytest

from carbonterm import clock
from carbonterm_host import site_yaml

GOOD = """\
terminal: CT-1
name: 示范工厂
zone: "+08:00"
factors_on: 2026-11-21
buses:
  - {name: lan, kind: modbus-tcp, host: 192.168.1.20, timeout: 800ms}
  - {name: line1, kind: modbus-rtu, device: /dev/ttyS1, baud: 2400, parity: even, retries: 2}
meters:
  - {name: incomer, bus: lan, unit: 1, model: schneider-iem3155}
  - {name: shop, bus: line1, unit: 9, model: acrel-adw300}
  - {name: gas, bus: line1, unit: 2, model: generic-gas-modbus}
points:
  - {name: E1, meter: incomer, register: active_energy_import, every: 1min, limit: "2000000"}
  - {name: E2, meter: shop, register: active_energy_import, every: 15s, multiplier: "30"}
  - {name: P1, meter: incomer, register: active_power, every: 1s}
  - {name: G1, meter: gas, register: volume, every: 1h}
sources:
  - name: gas
    method: cn-2015-other-industry
    source: fuel_combustion
    parameters: {FC: [G1], fuel: natural_gas}
  - name: electricity
    method: cn-2015-other-industry
    source: purchased_electricity
    parameters:
      AD: [E1, E2]
      EF: {value: "0.5703", source: own measurement report 17}
settings:
  closings: [minute, hour, day]
"""


def test_a_good_file_compiles():
    site = site_yaml.compile_text(GOOD)
    assert [(b.kind, b.port, b.timeout_ms, b.retries) for b in site.buses] == [
        ("modbus-tcp", 502, 800, 1),
        ("modbus-rtu", 2400, 500, 2),
    ]
    e1, e2, p1, g1 = site.points
    assert (e1.unit, str(e1.limit), e1.interval_ms, e1.kind) == ("Wh", "2000000", 60000, "register")
    assert str(e2.scale) == "0.3" and e2.interval_ms == 15000  # 0.01 kWh × 30
    assert p1.kind == "instant" and str(g1.modulus) == "42949672.96"
    assert site.settings.closings == [clock.MINUTE, clock.HOUR, clock.DAY]
    assert site.sources[1].inputs[0].points == [[0, 1, 1000000], [1, 1, 1000]]  # Wh and kWh to MWh
    assert site.sources[0].inputs[0].points == [[3, 1, 10000]]
    origins = [row[4][:2] for row in site.sources[1].compiled[8]]
    assert origins == [["site/EF", "own measurement report 17"]]
    again = site_yaml.compile_text(GOOD)
    assert again.canonical() == site.canonical()


def mistakes(text, folder="."):
    with pytest.raises(site_yaml.Mistakes) as caught:
        site_yaml.compile_text(text, "plant.yaml", folder)
    print(caught.value)
    return [(line, what, hint) for _, line, _, what, hint in caught.value.rows]


TEN = """\
terminal: "CT 1"
name: plant
zone: "8"
buses:
  - {name: lan, kind: modbus-udp, host: h}
  - {name: line1, kind: modbus-rtu, device: /dev/ttyS1}
meters:
  - {name: m1, bus: lna, unit: 1, model: eastron-sdm630}
  - {name: m2, bus: line1, unit: 250, model: eastron-sdm630}
  - {name: m3, bus: line1, unit: 3, model: eastron-sdm360}
  - {name: m4, bus: line1, unit: 4, model: eastron-sdm630}
points:
  - {name: E1, meter: m4, register: active_energy_inport, every: 1min}
  - {name: E2, meter: m4, register: active_energy_import, every: often}
  - {name: E3, meter: m4, register: active_energy_import, every: 1min, multiplier: "1,5"}
sources: []
setings: {commit: 1s}
"""


def test_ten_mistakes_are_said_at_once():
    found = mistakes(TEN)
    assert [line for line, _, _ in found] == [1, 3, 5, 8, 9, 10, 13, 14, 15, 17]
    text = "\n".join(f"{line} {what} → {hint}" for line, what, hint in found)
    for wanted in ("modbus-udp", "'lna'", "did you mean", "250 cannot be on a serial line", "eastron-sdm630",
                   "active_energy_import", "'often' is no duration", "1,5", "'setings'"):  # fmt: skip
        assert wanted in text, wanted


# what is replaced in GOOD, by what, what the mistake says, in which line
WRONG = (
    ("EF: {value: \"0.5703\", source: own measurement report 17}", "EF: {value: \"0.5703\"}", "lacks source", 27),
    ("EF: {value: \"0.5703\", source: own", "EF: {value: \"0.5703\", unit: kg, source: own", "kg", 26),
    ("EF: {value: \"0.5703\", source: own measurement report 17}", "EX: grid", "knows no key 'EX'", 27),
    ("AD: [E1, E2]", "AD: [E1, E1]", "count twice", 26),
    ("AD: [E1, E2]", "AD: [E1, P1]", "not a running total", 26),
    ("AD: [E1, E2]", "AD: [E1, E9]", "there is no point 'E9'", 26),
    ("AD: [E1, E2]", "AD: []", "list of points is empty", 26),
    ("AD: [E1, E2]", "AD: [G1]", "already feeds source 'gas'", 26),
    ("FC: [G1]", "FC: [E1]", "Wh", 21),
    ("fuel: natural_gas", "fuel: natural_gass", "natural_gas", 21),
    ("method: cn-2015-other-industry", "method: cn-2015-other", "unknown method", 19),
    ("source: fuel_combustion", "source: fuel_combustio", "fuel_combustion", 20),
    ("    parameters: {FC: [G1], fuel: natural_gas}", "    parameters: {fuel: natural_gas}", "FC", 21),
    ("unit: 2, model: generic", "unit: 9, model: generic", "one address: unit 9", 11),
    ("name: E2, meter: shop", "name: E1, meter: shop", "twice", 14),
    ("closings: [minute", "closings: [second", "second", 29),
    ("factors_on: 2026-11-21", "factors_on: 2026-13-01", "2026-13-01", 4),
    ("factors_on: 2026-11-21", "factors_on: 2014-01-01", "not valid on 2014-01-01", 21),
    ("host: 192.168.1.20", "host: 192.168.1.20, baud: 9600", "has no 'baud'", 6),
    ("host: 192.168.1.20, ", "", "needs 'host'", 6),
    ("zone: \"+08:00\"", "zone: \"+08:00\"\nzone: Z", "has 'zone' twice", 4),
    ("terminal: CT-1\n", "", "lacks terminal", 1),
    ("buses:\n", "buses: no\nx:\n", "knows no key 'x'", 6),
)  # fmt: skip


@pytest.mark.parametrize("old, new, says, line", WRONG)
def test_each_mistake_names_its_line(old, new, says, line):
    assert old in GOOD
    found = mistakes(GOOD.replace(old, new, 1))
    assert any(says in what + hint and at == line for at, what, hint in found), found


SETTINGS = "{closings: [hour], commit: 2s, commit_size: 8192, keep: {days: 400, mb: 2000}, stop: majority}"
# what is replaced in SETTINGS, by what, what the mistake says
WRONG_SETTINGS = (
    ("commit: 2s", "commit: 9ms", "from 10ms to 10min, not '9ms'"),
    ("commit: 2s", "commit: 11min", "from 10ms to 10min, not '11min'"),
    ("commit: 2s", "commit: 2", "'2' is no duration"),
    ("8192", "255", "an integer from 256 to 1048576 is wanted here, not '255'"),
    ("8192", "1048577", "not '1048577'"),
    ("8192", "8 KiB", "not '8 KiB'"),
    ("8192", "[8192]", "not a list or table"),
    ("days: 400", "days: 0", "an integer from 1 to 36500 is wanted here, not '0'"),
    ("days: 400", "days: 36501", "not '36501'"),
    ("days: 400", "days: 1.5", "not '1.5'"),
    ("mb: 2000", "mb: 0", "an integer from 1 to 1048576 is wanted here, not '0'"),
    ("mb: 2000", "mb: 1048577", "not '1048577'"),
    ("mb: 2000", "mib: 2000", "keep knows no key 'mib'"),
    ("mb: 2000", "days: 1", "keep has 'days' twice"),
    ("{days: 400, mb: 2000}", "400", "keep must be a table"),
    ("majority", "all", "'all' is not one of any, majority"),
    ("majority", "", "a text is wanted here"),
    ("closings: [hour]", "closings: hour", "closings must be a list"),
    ("closings: [hour]", "closings: [hours]", "did you mean 'hour'"),
)  # fmt: skip


def settings(text):
    return GOOD.replace("settings:\n  closings: [minute, hour, day]\n", f"settings: {text}\n")


@pytest.mark.parametrize("old, new, says", WRONG_SETTINGS)
def test_each_setting_is_checked_where_it_is_written(old, new, says):
    row = site_yaml.compile_text(settings(SETTINGS)).settings
    found = row.commit_ms, row.commit_bytes, row.keep_days, row.keep_mb, row.stop, row.closings
    assert found == (2000, 8192, 400, 2000, "majority", [clock.HOUR])
    assert old in SETTINGS
    found = mistakes(settings(SETTINGS.replace(old, new, 1)))
    assert len(found) == 1 and says in found[0][1] + found[0][2] and found[0][0] == 28, found


def test_all_wrong_settings_are_said_at_once():
    wrong = "{closings: [hours, day, weeks], commit: 1ms, commit_size: 1, keep: {days: 0, mb: x, g: 1}, stop: no, x: 1}"
    found = mistakes(settings(wrong))
    assert len(found) == 9 and {line for line, _, _ in found} == {28}, found


@pytest.mark.parametrize("hour", ("24", "-1", "3.5", "noon", "[3]"))
def test_the_hour_of_broadcast_time_is_checked(hour):
    line = "device: /dev/ttyS1, baud: 2400"
    assert site_yaml.compile_text(GOOD.replace(line, line + ", sync_hour: 3", 1)).buses[1].sync_hour == 3
    ((at, what, _),) = mistakes(GOOD.replace(line, f"{line}, sync_hour: {hour}", 1))
    assert at == 7 and "an integer from 0 to 23 is wanted here" in what
    found = mistakes(GOOD.replace("host: 192.168.1.20", "host: 192.168.1.20, sync_hour: 3", 1))
    assert [(at, what) for at, what, _ in found] == [(6, "a modbus-tcp bus has no 'sync_hour'")]


CERTIFIED = "{number: J1, authority: A, date: 2026-03-01, due: 2027-03-01, result: ok, RULE}"
CERTIFICATES = (  # what is replaced in a whole certificate, by what, what the mistake says
    *((f"{name}: {value}, ", "", f"lacks {name}") for name, value in (
        ("number", "J1"), ("authority", "A"), ("date", "2026-03-01"), ("due", "2027-03-01"), ("result", "ok"))),
    ("number: J1", "number: ''", "text"),
    ("number: J1", "number: " + "x" * 65, "at most 64 characters"),
    ("number: J1", "number: [J1]", "text"),
    ("authority: A", "authority: " + "x" * 129, "at most 128 characters"),
    ("result: ok", "result: " + "x" * 65, "at most 64 characters"),
    ("date: 2026-03-01", "date: 2026-02-30", "2026-02-30"),
    ("date: 2026-03-01", "date: 1.3.2026", "is no date"),
    ("due: 2027-03-01", "due: 2026-03-01", "not after its date"),
    ("due: 2027-03-01", "due: soon", "is no date"),
    ("RULE", "uncertainty: 0.2", "is no uncertainty"),
    ("RULE", "uncertainty: -0.2 %", "is no uncertainty"),
    ("RULE", "uncertainty: 0 %", "is no uncertainty"),
    ("RULE", "uncertainty: 0.2 furlong", "is no uncertainty"),
    ("RULE", "k: two", "two"),
    ("RULE", "k: '0'", "above 0"),
    ("RULE", "k: '-2'", "above 0"),
    ("RULE", "standard: " + "x" * 201, "at most 200 characters"),
    ("RULE", "file: nowhere.pdf", "cannot be read"),
    ("RULE", "colour: red", "knows no key 'colour'"),
)  # fmt: skip


@pytest.mark.requirement("T-11.8-3", part="each field of a certificate is checked where it is written")
@pytest.mark.parametrize("old, new, says", CERTIFICATES)
def test_each_field_of_a_certificate_is_checked(old, new, says, tmp_path):
    assert old in CERTIFIED
    changed = CERTIFIED.replace(old, new, 1).replace(", RULE", "")
    meter = "model: schneider-iem3155}"
    assert meter in GOOD
    good = GOOD.replace(meter, f"model: schneider-iem3155, certificate: {CERTIFIED.replace(', RULE', '')}}}", 1)
    assert site_yaml.compile_text(good).meters[0].certificate.number == "J1"
    found = mistakes(GOOD.replace(meter, f"model: schneider-iem3155, certificate: {changed}}}", 1), tmp_path)
    assert any(says in what + hint for _, what, hint in found), found


CENTRE = 'centres:\n  - {name: p, url: "URL", ca: ca.der, public: KEY}\n'


def test_centres(tmp_path):
    (tmp_path / "ca.der").write_bytes(b"\x30\x82\x01")
    good = GOOD + CENTRE.replace("URL", "https://c.example:8443").replace("KEY", "ab" * 64)
    centre = site_yaml.compile_text(good, "x", tmp_path).centres[0]
    assert (centre.host, centre.port, centre.ca, centre.public) == ("c.example", 8443, b"\x30\x82\x01", b"\xab" * 64)
    for url, key, ca, says in (
        ("http://c.example", "ab" * 64, b"\x30", "https://"), ("https://c/x", "ab" * 64, b"\x30", "https://"),
        ("https://c:99999", "ab" * 64, b"\x30", "https://"), ("https://c", "ab" * 63, b"\x30", "128 hex digits"),
        ("https://c", "ab" * 64, b"-----BEGIN", "openssl x509"), ("https://c", "ab" * 64, None, "cannot be read"),
    ):  # fmt: skip
        (tmp_path / "ca.der").unlink(missing_ok=True)
        if ca is not None:
            (tmp_path / "ca.der").write_bytes(ca)
        found = mistakes(GOOD + CENTRE.replace("URL", url).replace("KEY", key), tmp_path)
        assert len(found) == 1 and says in found[0][1] + found[0][2]


@pytest.mark.parametrize("text", ("", "a: [", "- 1", "just words", "a: &x [*x]", "\x00", "!!python/object:os.system x"))
def test_what_is_no_site_file(text):
    assert len(mistakes(text)) >= 1


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "carbonterm_host", "site", "check", *arguments], capture_output=True, text=True
    )


@pytest.mark.slow
def test_the_command(tmp_path):
    file = tmp_path / "site.yaml"
    file.write_text(GOOD)
    done = command(str(file), "--json", "-o", str(tmp_path / "site.bin"))
    said = json.loads(done.stdout)
    assert done.returncode == 0 and said["ok"] and said["points"] == 4
    assert (tmp_path / "site.bin").read_bytes() == site_yaml.compile_text(GOOD).canonical()
    assert "E1" in command(str(file)).stdout
    file.write_text(TEN)
    done = command(str(file))
    assert (
        done.returncode == 1 and f"{file}:8:21: there is no bus 'lna'" in done.stderr and "10 mistakes" in done.stderr
    )
    done = command(str(file), "--json")
    assert done.returncode == 1 and len(json.loads(done.stdout)["mistakes"]) == 10
    assert command(str(tmp_path / "nowhere.yaml")).returncode == 2
