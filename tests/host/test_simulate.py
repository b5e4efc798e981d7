"""Simulated meters: exact totals, rollover, line time, faults by seed, ground truth, and masters that are not ours."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import tty
from decimal import Decimal
from fractions import Fraction

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusException

from carbonterm.field import modbus, models, registers
from carbonterm.number import Number
from carbonterm_host.simulate.faults import FAULTS, Faults, parse
from carbonterm_host.simulate.line import MeterLine
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.profile import FULL_HOUR, MINUTE_MS, MeterState, load
from carbonterm_host.simulate.site import Simulation, from_site, six_meters
from carbonterm_host.simulate.tcp import TcpServer

START = 1795190400000  # 2026-11-21T00:00:00+08:00
GAS, SDM630 = models.load("generic-gas-modbus"), models.load("eastron-sdm630")


# --- profiles --------------------------------------------------------------------------------------------------------


def test_total_does_not_depend_on_how_often_one_looks():
    often, once = MeterState(SDM630, START, seed=4), MeterState(SDM630, START, seed=4)
    for step in range(1, 4000):
        often.advance(START + step * 997)
    once.advance(START + 3999 * 997)
    assert often.integral == once.integral and often.totals() == once.totals()
    once.advance(START)  # a clock that goes back
    assert often.totals() == once.totals()


def test_total_is_the_integral_of_the_load():
    state = MeterState(GAS, START, seed=9, rate="100", start={"volume_actual": "7.25"})
    state.advance(START + 3 * 3600000 + 1234)
    first = (START + 480 * MINUTE_MS) // MINUTE_MS
    integral = sum(load(9, first + i) * MINUTE_MS for i in range(180)) + load(9, first + 180) * 1234
    wanted = Fraction("7.25") + Fraction(100) * integral / FULL_HOUR
    assert Decimal(state.totals()["volume_actual"]) == Decimal(int(wanted * 100)) / 100
    assert load(9, first + 10 * 60) > 2 * load(9, first + 2 * 60)  # day and night
    assert load(9, first) == load(9, first) != load(10, first)


@pytest.mark.parametrize("start, modulus", [("42949672.90", "42949672.96")])
def test_register_rolls_over_at_its_modulus(start, modulus):
    state = MeterState(GAS, START, start={"volume_actual": start})
    seen = [Decimal(state.totals()["volume_actual"])]
    for minute in range(1, 30):
        state.advance(START + minute * MINUTE_MS)
        seen.append(Decimal(state.totals()["volume_actual"]))
    top = Decimal(modulus)
    drops = [i for i in range(1, len(seen)) if seen[i] < seen[i - 1]]
    assert len(drops) == 1 and all(0 <= value < top for value in seen)
    total = sum((seen[i] - seen[i - 1] + top) % top for i in range(1, len(seen)))
    assert total == (seen[-1] - seen[0] + top) % top > 0


@pytest.mark.parametrize("id", models.ids(protocol="modbus"))
def test_registers_say_what_truth_says(id):
    """The simulator reads its registers back by struct and Decimal, the core by its own decoder: both agree."""
    model = models.load(id)
    state = MeterState(model, START, seed=2)
    state.advance(START + 12345678)
    checked = 0
    for function, blocks in state.blocks().items():
        for first, end in blocks:
            for address in range(first, end, model["max_registers"]):
                count = min(model["max_registers"], end - address)
                data, said = state.read(function, address, count)
                assert len(data) == 2 * count
                for name, text in said.items():
                    row = models.register(model, name)
                    at = 2 * (row["address"] - address)
                    raw = data[at : at + 2 * registers.WIDTH[row["type"]]]
                    value = registers.decode(raw, row["type"], row["order"]) * Number(row["scale"])
                    assert value == Number(text), name
                    assert row["min"] is None or value >= Number(row["min"]), name
                    assert row["max"] is None or value <= Number(row["max"]), name
                    checked += 1
    assert checked >= len(model["registers"]) - 2


def test_nan_and_backwards():
    state = MeterState(SDM630, START, seed=2)
    _, said = state.read(4, 52, 24)
    _, spoilt = state.read(4, 52, 24, backwards=3, nan=False)
    assert Decimal(said["active_energy_import"]) - Decimal(spoilt["active_energy_import"]) == Decimal("0.03")
    data, spoilt = state.read(4, 72, 2, nan=True)
    assert spoilt == {"active_energy_import": None} and registers.decode(data, "float32") is None


@pytest.mark.parametrize(
    "function, address, count, code", [(3, 52, 2, 1), (4, 1000, 2, 2), (4, 53, 24, 2), (4, 0, 81, 3)]
)
def test_reads_beyond_the_map(function, address, count, code):
    assert MeterState(SDM630, START).read(function, address, count) == (None, code)


@pytest.mark.parametrize(
    "settings, words", [({"start": {"volumes": "1"}}, "no register volumes"), ({"rate": "1,5"}, "the rate: '1,5'")]
)
def test_bad_profiles(settings, words):
    with pytest.raises(ValueError, match=words):
        MeterState(GAS, START, **settings)


# --- faults ----------------------------------------------------------------------------------------------------------


def test_faults_are_seeded_and_counted():
    def draw(seed):
        faults = Faults(seed)
        faults.add("crc", 0.3, meter="a")
        faults.add("late", 0.5)
        return [faults.choose(meter, i) for i in range(200) for meter in "ab"], faults

    first, faults = draw(3)
    assert first == draw(3)[0] != draw(4)[0]
    assert faults.counts["a", "crc"] == first.count("crc") and "crc" not in first[1::2]
    assert faults.table() == {"crc": first.count("crc"), "late": first.count("late")}


def test_faults_by_time_and_number():
    faults = Faults()
    window = faults.add("silent", after_s=5, until_s=8)
    faults.add("echo", limit=2)
    chosen = [faults.choose("a", s) for s in (0, 4, 5, 7.9, 8, 9, 10)]
    assert chosen == ["echo", "echo", "silent", "silent", None, None, None]
    faults.remove(window)
    assert faults.choose("a", 6) is None


@pytest.mark.parametrize(
    "text, words",
    [("crk", "no fault 'crk'; faults are: noise-before"), ("crc:x", "'x' is no probability"), ("crc:2", "from 0 to 1")],
)
def test_bad_faults(text, words):
    with pytest.raises(ValueError, match=words):
        parse(text)


def test_fault_texts():
    fault = parse("late:0.25@gas")
    assert (fault.name, fault.probability, fault.meter) == ("late", 0.25, "gas")
    with pytest.raises(ValueError, match="no meter 'oil'; there are: a"):
        Simulation([TcpServer("bus", [Meter("a", 1, GAS)])], faults=[parse("late@oil")])


# --- a line ----------------------------------------------------------------------------------------------------------


class Master:
    """Raw bytes on a line's pty, with nothing of ours in between."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def ask(self, frame, size, patience=60):
        """What comes back: `size` bytes, or fewer if they do not come."""
        os.write(self.fd, frame)
        got = b""
        while len(got) < size and select.select([self.fd], [], [], patience)[0]:
            got += os.read(self.fd, 260)
        return got


def test_line_time():
    """53 bytes of reply and 8 of request at 9600 8N1: 63.5 ms by computation, and no less by the clock."""
    meters = [Meter("a", 1, SDM630), Meter("b", 2, SDM630)]
    with Simulation([MeterLine("bus", meters, 9600)]) as plant, Master(plant.buses[0].path) as master:
        line = plant.buses[0]
        request = modbus.rtu(2, modbus.read_request(4, 52, 24))
        started = time.monotonic()
        reply = master.ask(request, 53)
        elapsed = time.monotonic() - started
        assert len(reply) == 53 and modbus.crc16(reply) == 0 and reply[:3] == b"\x02\x04\x30"
        assert line.busy_bits == (8 + 53) * 10 and line.busy_ms == (8 + 53) * 10 * 1000 / 9600
        assert elapsed * 1000 >= line.busy_ms - 1
        assert line.heard == 1


def test_line_is_silent_to_others():
    """Another unit, a broadcast, a wrong CRC, noise: no byte comes back; the next request is answered."""
    line = MeterLine("bus", [Meter("a", 1, SDM630)], 115200)
    with Simulation([line]) as plant, Master(plant.buses[0].path) as master:
        good = modbus.rtu(1, modbus.read_request(4, 0, 2))
        other, everybody = modbus.rtu(2, good[1:-2]), modbus.rtu(0, good[1:-2])
        for frame in (other, everybody, good[:-1] + bytes((good[-1] ^ 1,)), b"\x01\x04\x00"):
            assert master.ask(frame, 1, patience=0.15) == b""
        assert len(master.ask(good, 9)) == 9
        assert plant.buses[0].crc_errors >= 1 and plant.meters["a"].answered == 1


def test_line_refuses():
    line = MeterLine("bus", [Meter("a", 1, SDM630)], 115200)
    with Simulation([line]) as plant, Master(plant.buses[0].path) as master:
        for pdu, code in (
            (modbus.read_request(3, 0, 2), 1), (modbus.read_request(4, 5000, 2), 2),
            (modbus.read_request(4, 0, 100), 3), (modbus.write_request(6, 0, 1), 1), (b"\x04\x00\x00\x00\x00", 3),
        ):  # fmt: skip
            assert master.ask(modbus.rtu(1, pdu), 5) == modbus.rtu(1, modbus.exception(pdu[0], code))


def test_two_units_on_one_line_are_refused():
    for bus in (MeterLine, TcpServer):
        with pytest.raises(ValueError, match="same unit"):
            bus("bus", [Meter("a", 1, GAS), Meter("b", 1, GAS)])
    with pytest.raises(ValueError, match="9601 baud"):
        MeterLine("bus", [], 9601)
    with pytest.raises(ValueError, match="two meters are named a"):
        Simulation([TcpServer("one", [Meter("a", 1, GAS)]), TcpServer("two", [Meter("a", 1, GAS)])])


@pytest.mark.requirement("T-11.3-1")
def test_pymodbus_reads_our_line():
    """Our meter, somebody else's master."""
    with Simulation([MeterLine("bus", [Meter("a", 3, SDM630)], 19200)], speed=3600) as plant:
        client = ModbusSerialClient(plant.buses[0].path, baudrate=19200, timeout=30)
        assert client.connect()
        for _ in range(3):
            reply = client.read_input_registers(72, count=2, device_id=3)
            value = client.convert_from_registers(reply.registers, client.DATATYPE.FLOAT32)
            said = plant.truth.answers("a")[-1]["registers"]["active_energy_import"]
            assert abs(Decimal(value) - Decimal(said)) < Decimal("0.01")
        client.close()


@pytest.mark.slow
def test_pymodbus_server_has_the_map():
    meters = [Meter("a", 1, SDM630), Meter("b", 2, models.load("schneider-iem3155"))]
    with Simulation([TcpServer("bus", meters)]) as plant:
        client = ModbusTcpClient("127.0.0.1", port=plant.buses[0].port, timeout=30)
        reply = client.read_holding_registers(3203, count=4, device_id=2)
        value = client.convert_from_registers(reply.registers, client.DATATYPE.INT64)
        assert str(value) == plant.truth.answers("b")[-1]["registers"]["active_energy_import"]
        for function, address, count, code in ((3, 52, 2, 1), (4, 1000, 2, 2)):
            read = client.read_holding_registers if function == 3 else client.read_input_registers
            assert read(address, count=count, device_id=1).exception_code == code
        assert client.write_register(0, 1, device_id=1).exception_code == 1
        client.close()
        client = ModbusTcpClient("127.0.0.1", port=plant.buses[0].port, timeout=1, retries=0)
        with pytest.raises(ModbusException):  # nobody has unit 9
            client.read_input_registers(0, count=2, device_id=9)
        client.close()


# --- the plant -------------------------------------------------------------------------------------------------------


def test_ground_truth(tmp_path):
    path = tmp_path / "truth.jsonl"
    with six_meters(seed=3, speed=3600, truth=path, path=str(tmp_path / "tty")) as plant:
        media = [meter.model["medium"] for meter in plant.meters.values()]
        assert sorted(media) == ["electricity"] * 4 + ["gas", "heat"]
        assert [bus.kind for bus in plant.buses].count("modbus-rtu") == 1 and plant.bus("line").baud == 9600
        client = ModbusTcpClient("127.0.0.1", port=plant.bus("gas").port, timeout=30)
        seen = [client.read_holding_registers(0, count=2, device_id=1).registers for _ in range(5)]
        plant.write_truth()  # on demand
        assert len([json.loads(line) for line in path.read_text().splitlines()]) == 5 + 6 + 1
        client.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    answers, finals, counts = rows[:5], rows[5:-1], rows[-1]
    for answer, words in zip(answers, seen, strict=True):
        assert answer["meter"] == "gas-1" and answer["fault"] is None and answer["time_ms"] > 0
        assert Decimal(answer["registers"]["volume"]) * 100 == words[0] << 16 | words[1]
    gas = next(row for row in finals if row["meter"] == "gas-1")
    total = gas["totals"]["volume"]
    values = [total["start"], *(answer["registers"]["volume"] for answer in answers), total["end"]]
    assert [Decimal(v) for v in values] == sorted(Decimal(v) for v in values)
    assert gas["answered"] == 5 and counts["faults"] == {} and counts["seed"] == 3
    assert not os.path.lexists(tmp_path / "tty")
    assert not [thread for thread in threading.enumerate() if thread.name == "simulated meters"]


def test_port_that_is_taken():
    with Simulation([TcpServer("bus", [Meter("a", 1, GAS)])]) as plant:
        taken = plant.buses[0].port
        second = Simulation([MeterLine("line", [Meter("b", 1, GAS)]), TcpServer("bus", [Meter("c", 1, GAS)], taken)])
        with pytest.raises(OSError, match=f"127.0.0.1:{taken} cannot be listened on"):
            second.start()


class Place:
    """What from_site takes of a site document's rows."""

    baud = dialect = None

    def __init__(self, **fields):
        self.__dict__.update(fields)


def test_a_site(tmp_path):
    buses = [
        Place(name="far", kind="modbus-tcp", address="192.0.2.7", port=502),
        Place(name="line", kind="modbus-rtu", address=str(tmp_path / "tty"), port=19200, parity="even", stop=1),
        Place(name="here", kind="modbus-rtu", address="/dev/null", port=9600, parity="none", stop=1),
    ]
    meters = [
        Place(name="e", bus=0, unit=4, model="acrel-adw300", serial=None, parity=None, stop=None),
        Place(name="g", bus=1, unit=5, model="generic-gas-modbus", serial=None, parity=None, stop=None),
        Place(name="h", bus=2, unit=6, model="tuf-2000m", serial=None, parity=None, stop=None),
    ]  # fmt: skip
    plant, moved = from_site(Place(buses=buses, meters=meters))
    assert [(bus.name, where) for bus, where in moved] == [("far", "192.0.2.7:502"), ("here", "/dev/null")]
    with plant:
        assert plant.bus("line").path == str(tmp_path / "tty") and os.path.exists(tmp_path / "tty")
        assert plant.bus("line").describe()["parity"] == "even" and plant.bus("far").host == "127.0.0.1"
        assert [list(bus.meters) for bus in plant.buses] == [[4], [5], [6]]


# --- the command -----------------------------------------------------------------------------------------------------


def carbonterm(*arguments, **settings):
    return subprocess.Popen(
        [sys.executable, "-c", "from carbonterm_host.cli import main; main()", "simulate", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings,
    )  # fmt: skip


@pytest.mark.slow
def test_command_bus(tmp_path):
    process = carbonterm("bus", "1:eastron-sdm630", "2:generic-gas-modbus", "--fault", "exception@meter-2", "--json",
                         "--truth", tmp_path / "truth")  # fmt: skip
    meters = json.loads(process.stdout.readline())["meters"]
    assert [meter["model"] for meter in meters] == ["eastron-sdm630", "generic-gas-modbus"]
    client = ModbusTcpClient(meters[0]["address"], port=meters[0]["port"], timeout=30)
    assert len(client.read_input_registers(52, count=24, device_id=1).registers) == 24
    assert client.read_holding_registers(0, count=2, device_id=2).exception_code == 4
    client.close()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out) == {"answered": {"meter-1": 1, "meter-2": 0}, "faults": {"exception": 1}, "line_ms": {}}
    assert len((tmp_path / "truth").read_text().splitlines()) == 1 + 2 + 1


@pytest.mark.slow
def test_command_meter_on_a_line(tmp_path):
    process = carbonterm(
        "meter", "eastron-sdm120", "--unit", 9, "--pty", tmp_path / "tty", "--baud", 2400, "--start",
        "active_energy_import=99.5", "--rate", "0", env={**os.environ, "LANG": "zh_CN.UTF-8", "LC_ALL": ""},
    )  # fmt: skip
    assert "仪表" in process.stdout.readline()
    assert f"{tmp_path}/tty 2400 8N1" in process.stdout.readline()
    client = ModbusSerialClient(str(tmp_path / "tty"), baudrate=2400, timeout=30)
    client.connect()
    words = client.read_input_registers(72, count=2, device_id=9).registers
    assert client.convert_from_registers(words, client.DATATYPE.FLOAT32) == 99.5
    client.close()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0 and "应答 1 次" in out and err == ""


@pytest.mark.slow
def test_command_site(tmp_path):
    """Every meter of a site file; it says where the file's places could not be had."""
    (tmp_path / "site.yaml").write_text(
        "terminal: T1\nname: test\nzone: '+08:00'\n"
        "buses:\n- {name: far, kind: modbus-tcp, host: 192.0.2.7}\n"
        f"- {{name: line, kind: modbus-rtu, device: {tmp_path}/tty}}\n"
        "meters:\n- {name: m1, bus: far, unit: 1, model: eastron-sdm630}\n"
        "- {name: m2, bus: line, unit: 2, model: generic-gas-modbus}\n"
        "points: [{name: p, meter: m1, register: active_energy_import, every: 1s}]\n"
    )
    done = carbonterm("site", tmp_path / "site.yaml", "--seconds", 0, "--json")
    out, err = done.communicate(timeout=180)
    assert done.returncode == 0, err
    first, second = json.loads(out.splitlines()[0])["meters"]
    assert first["address"] == "127.0.0.1" and first["instead_of"] == "192.0.2.7:502"
    assert first["model"] == "eastron-sdm630"
    assert second["address"] == f"{tmp_path}/tty" and "instead_of" not in second and second["unit"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["meter", "eastron-sdm603"], 1, "did you mean eastron-sdm630"),
        (["bus", "sdm630"], 2, "write UNIT:MODEL"),
        (["bus", "1:tuf-2000m", "1:tuf-2000m"], 2, "same unit"),
        (["bus", "1:tuf-2000m", "--serial", "--baud", "9601"], 2, "9601 baud"),
        (["bus", "1:tuf-2000m", "--serial", "--parity", "odds"], 2, "parity 'odds'"),
        (["bus", "1:tuf-2000m", "--fault", "crk"], 2, "no fault 'crk'"),
        (["bus", "1:tuf-2000m", "--fault", "crc@meter-2"], 2, "there are: meter-1"),
        (["meter", "tuf-2000m", "--start", "heat"], 2, "--start active_energy_import="),
        (["meter", "tuf-2000m", "--start", "heath=1"], 2, "no register heath"),
        (["meter", "tuf-2000m", "--rate", "much"], 2, "the rate: 'much'"),
        (["bus", "1:tuf-2000m", "--pty", "/nowhere/tty"], 3, "nowhere"),
    ],
)
def test_command_refusals(arguments, code, words):
    process = carbonterm(*arguments, "--seconds", 0)
    out, err = process.communicate(timeout=180)
    assert process.returncode == code and words in err and out == ""


def test_every_fault_is_told():
    assert all(text and name == name.lower() for name, text in FAULTS.items())
