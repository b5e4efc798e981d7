"""What a terminal says of its machine, beside what the system itself says; machines that are made up; the self-check of
clause 10 and the data sheets of boards; the page of fault codes."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from carbonterm.clock import parse
from carbonterm.errors import CarbonError
from carbonterm.site_page import Page
from carbonterm_device import faults, health, selfcheck
from carbonterm_device.ports import port, proc
from carbonterm_device.storage import Folder
from carbonterm_host import runtime
from carbonterm_host.boards import board as boards
from carbonterm_host.boards import image
from shell import carbonterm

DOCS = Path(__file__).parents[2] / "docs"


class Now:
    @staticmethod
    def now_ms():
        return parse("2026-01-01T00:00:00Z")


def near(ours, before, after, percent=5):
    """Within 5 % of what the system said before and after: others use it meanwhile."""
    low, high = min(before, after), max(before, after)
    assert low * (100 - percent) <= ours * 100 <= high * (100 + percent), (before, ours, after)


def system_says(folder):
    """[memory, memory free, disk, disk free] by free and df."""
    free = subprocess.run(["free", "-b"], capture_output=True, text=True, check=True).stdout.split("\n")[1].split()
    df = subprocess.run(["df", "-B1", "--output=size,avail", folder], capture_output=True, text=True, check=True)
    return [int(one) for one in (free[1], free[6], *df.stdout.split("\n")[1].split())]


SCRIPT = """
import json, sys
from carbonterm_device.health import Health
from carbonterm_device.ports import port
from carbonterm_device.storage import Folder
from carbonterm_device.clockwork import Clock
print(json.dumps(Health(port, Folder(sys.argv[1]), Clock()).look()))
"""


@pytest.mark.requirement("T-10.6.2-2")
@pytest.mark.requirement("T-10.6.2-4")
def test_the_terminals_figures_are_the_systems_own(tmp_path):
    """Of the firmware on MicroPython, beside uname, free, df and nproc."""
    script = tmp_path / "look.py"
    script.write_text(SCRIPT)
    before = system_says(tmp_path)
    done = subprocess.run([runtime.find(), script, tmp_path / "data"], env=runtime.environment(), check=True,
                          capture_output=True, text=True)  # fmt: skip
    after = system_says(tmp_path)
    found = json.loads(done.stdout)
    ours = [found[part][name] for part in ("memory", "disk") for name in ("total", "free")]
    for one, was, then in zip(ours, before, after, strict=True):
        near(one, was, then)
    assert found["cpu"]["cores"] == os.cpu_count()
    uname = os.uname()
    system = found["os"]
    assert (system["type"], system["release"], system["version"]) == (uname.sysname, uname.release, uname.version)
    assert system["machine"] in (uname.machine, None)
    asked = "import sys; print(sys.implementation.name, sys.implementation.version)"
    said = subprocess.run([runtime.find(), "-c", asked], capture_output=True, text=True, check=True).stdout
    implementation = found["implementation"]
    assert said.startswith(implementation["name"]) and implementation["version"].replace(".", ", ") in said
    assert found["runtime"] == "micropython " + implementation["version"]


@pytest.mark.requirement("T-10.6.2-2", part="the load of the processor")
def test_the_load_is_the_share_of_time_in_use(tmp_path):
    tree = made(tmp_path, {"proc/stat": "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1\ncpu1 1\ncpufreq 3\n"})
    assert proc.work(tree) == (2, 200, 1000)
    looked = health.Health(port, Folder(str(tmp_path / "data")), Now, tree)
    assert looked._loaded(200, 1000) is None
    looked._work = port.ticks_add(port.ticks_ms(), -2 * health.LOAD_MS), 200, 1000
    assert looked._loaded(500, 2000) == 300
    assert looked._loaded(501, 2001) == 300  # a load is over some time
    looked._work = port.ticks_ms(), 501, 9001  # counters that began anew
    assert looked._loaded(5, 10) == 300


def made(folder, files):
    """A tree of /proc and /sys."""
    root = folder / "tree"
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(root)


GATEWAY = {
    "proc/sys/kernel/ostype": "Linux\n", "proc/sys/kernel/osrelease": "6.6.1\n", "proc/sys/kernel/version": "#1 SMP\n",
    "etc/os-release": 'NAME=x\nPRETTY_NAME="OpenWrt 24.10"\n',
    "proc/meminfo": "MemTotal:        1022976 kB\nMemFree: 1 kB\nMemAvailable:     801234 kB\n",
    "proc/stat": "cpu  10 0 10 80 0 0 0 0\ncpu0 1\ncpu1 1\ncpu2 1\ncpu3 1\n", "proc/uptime": "4711.05 1.2\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1200000\n",
    "sys/block/mmcblk0/size": "15269888\n", "sys/block/loop0/size": "999999999999\n",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n", "sys/class/hwmon/hwmon0/temp1_input": "71500\n",
    "sys/class/hwmon/hwmon1/name": "lm75\n", "sys/class/hwmon/hwmon1/temp1_input": "56125\n",
    "sys/class/hwmon/hwmon2/name": "sht3x\n", "sys/class/hwmon/hwmon2/humidity1_input": "61200\n",
    "sys/class/net/eth0/type": "1\n", "sys/class/net/eth0/device/x": "", "sys/class/net/eth1/type": "1\n",
    "sys/class/net/eth1/device/x": "", "sys/class/net/wlan0/type": "1\n", "sys/class/net/wlan0/device/x": "",
    "sys/class/net/wlan0/phy80211/x": "", "sys/class/net/lo/type": "772\n", "sys/class/net/br0/type": "1\n",
    "sys/class/tty/ttyS0/type": "4\n", "sys/class/tty/ttyS0/device/x": "", "sys/class/tty/ttyS1/type": "0\n",
    "sys/class/tty/ttyS1/device/x": "", "sys/class/tty/ttyUSB0/device/x": "", "sys/class/tty/tty1/x": "",
    "sys/bus/usb/devices/usb1/maxchild": "1\n", "sys/bus/usb/devices/usb2/maxchild": "2\n",
    "sys/bus/usb/devices/1-1/maxchild": "4\n",
    "usr/bin/podman": "", "sys/class/watchdog/watchdog0/bootstatus": "32\n",
    "sys/class/drm/card0-HDMI-A-1/status": "connected\n",
    "sys/class/drm/card0-HDMI-A-1/edid": bytes(21) + bytes((8, 5)) + bytes(105),
}  # fmt: skip


def looked(tmp_path, files):
    return health.Health(port, Folder(str(tmp_path / "data")), Now, made(tmp_path, files))


@pytest.mark.requirement("T-10.5-1", part="the temperature of the housing is an alarm outside -25 to 55 degrees")
@pytest.mark.requirement("T-10.5-2", part="humidity is told where there is a sensor")
def test_a_gateway_that_is_made_up(tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux is looked at by /proc")
    one = looked(tmp_path, GATEWAY)
    found = one.look()
    assert found["os"] == {"type": "Linux", "release": "6.6.1", "version": "#1 SMP", "machine": None,
                           "distribution": "OpenWrt 24.10"}  # fmt: skip
    assert found["cpu"] == {"cores": 4, "max_hz": 1200000000, "load_permille": None}
    assert found["memory"] == {"total": 1022976 * 1024, "free": 801234 * 1024}
    assert found["disk"]["device"] == 15269888 * 512 and found["system_uptime_s"] == 4711
    assert (found["temperature_mc"], found["sensor"], found["sensor_of"]) == (56125, "lm75", "board")
    assert found["humidity_mpct"] == 61200 and found["reset_cause"] == "watchdog"
    assert found["ethernet"] == ["eth0", "eth1"] and found["virtual_ethernet"] == ["br0"]
    assert found["serial"] == ["ttyS0", "ttyUSB0"] and found["usb"] == 3 and found["screen_cm"] == [8, 5]
    assert found["containers"] == ["podman"]
    assert one.faults() == [("F801", "lm75", "56.1 degrees Celsius")]
    assert one.line().startswith("56.1 C (lm75), 61.2 % rh")
    json.dumps(found)


def test_limits_of_temperature_and_memory(tmp_path):
    for value, sensor, wrong in (
        (55000, "lm75", 0), (55001, "lm75", 1), (-25000, "lm75", 0), (-25001, "lm75", 1), (84000, "k10temp", 0),
        (85001, "k10temp", 1), (-30000, "k10temp", 1),
    ):  # fmt: skip
        files = {"sys/class/hwmon/hwmon0/name": sensor, "sys/class/hwmon/hwmon0/temp1_input": str(value)}
        shutil.rmtree(tmp_path / "tree", ignore_errors=True)
        assert len(looked(tmp_path, files).faults()) == wrong, (value, sensor)
    files = {"proc/meminfo": "MemTotal: 1000000 kB\nMemAvailable: 40000 kB\n"}
    shutil.rmtree(tmp_path / "tree")
    assert [row[0] for row in looked(tmp_path, files).faults()] == ["F802"]
    assert health.tenths(-25040) == "-25.0" and health.tenths(-40) == "0.0" and health.tenths(99) == "0.0"


def test_a_system_that_says_nothing_or_rubbish_is_unknown_and_ends_nothing(tmp_path):
    bare = looked(tmp_path, {}).look()
    assert bare["memory"] == {"total": None, "free": None} and bare["cpu"]["max_hz"] is None
    assert bare["serial"] == bare["ethernet"] == bare["containers"] == [] and bare["usb"] is None
    rubbish = {name: b"\xff\x00:: rubbish " for name in GATEWAY}
    found = looked(tmp_path, rubbish).look()
    assert found["temperature_mc"] is None and found["disk"]["device"] is None
    results = {row["id"]: row["result"] for row in selfcheck.rows(bare, None, {})}
    assert results["T-10.1a-1"] == results["T-10.1b-1"] == results["T-10.2.2-1"] == "unknown"


LIVES = """
import sys
from carbonterm_device.ports import proc
print(proc.alive(), proc.alive(sys.argv[1]))
"""


@pytest.mark.parametrize("binary", (runtime.find(), sys.executable))
def test_systemd_is_told_that_the_terminal_lives(tmp_path, binary):
    """As sd_notify(3): a datagram to the socket of the environment, in the file system or abstract; else nothing."""
    script, environment = tmp_path / "lives.py", runtime.environment()
    script.write_text(LIVES)
    environment["PYTHONPATH"] = os.pathsep.join(map(str, runtime.packages()))
    for name in (str(tmp_path / "notify"), f"@carbonterm-{os.getpid()}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(name.replace("@", "\0"))
            listener.settimeout(60)
            for given, said in ((name, "True True"), ("", "False True")):
                done = subprocess.run([binary, script, name], env=environment | {"NOTIFY_SOCKET": given},
                                      capture_output=True, text=True, check=True)  # fmt: skip
                assert done.stdout.strip() == said, done
                for _ in range(said.count("True")):
                    assert listener.recv(100) == b"READY=1\nWATCHDOG=1\n"
    done = subprocess.run([binary, script, str(tmp_path / "none")], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "False False"


def test_a_sigterm_that_waits_is_found(tmp_path):
    for lines, found in (("SigPnd:\t0000000000000000\nShdPnd:\t0000000000004000\n", True), ("", False),
                         ("SigPnd:\t0000000000004000\nShdPnd:\t0000000000000000\n", True),
                         ("SigPnd:\t0000000000000001\nShdPnd:\t0000000080000a00\nSigBlk:\t0000000000004000\n", False),
                         ):  # fmt: skip
        assert proc.terminated(made(tmp_path, {"proc/self/status": "Name:\tx\n" + lines})) is found
    assert proc.terminated(str(tmp_path / "none")) is False
    assert proc.terminated() is False


# --- the self-check ---------------------------------------------------------------------------------------------------


def checked(files, tmp_path, sheet=None, site=None):
    shutil.rmtree(tmp_path / "tree", ignore_errors=True)
    rows = selfcheck.rows(looked(tmp_path, files).look(), site, sheet or {})
    return {row["id"]: (row["result"], row["basis"]) for row in rows}, rows


class Paged:
    """What the self-check looks at of a Site."""

    page = Page(["0.0.0.0", 8443, "page.crt", "page.key", "page.users"], "page")
    buses = ()


@pytest.mark.requirement("T-10.1a-1")
@pytest.mark.requirement("T-10.1a-2")
@pytest.mark.requirement("T-10.1a-3")
@pytest.mark.requirement("T-10.1a-5", part="the screen's size, measured or declared")
@pytest.mark.requirement("T-10.1b-1")
@pytest.mark.requirement("T-10.1b-2")
@pytest.mark.requirement("T-10.1b-4")
def test_memory_storage_processor_and_screen_pass_or_fail_at_their_limits(tmp_path):
    small, _ = checked(GATEWAY, tmp_path)
    assert small["T-10.1b-1"] == small["T-10.1b-2"] == small["T-10.1b-4"] == ("pass", "measured")
    assert small["T-10.1a-1"] == ("fail", "measured") and small["T-10.1a-2"] == ("pass", "measured")
    assert small["T-10.1a-5"] == ("pass", "measured")  # 94 mm
    large = GATEWAY | {"proc/meminfo": "MemTotal: 7812500 kB\nMemAvailable: 1 kB\n",
                       "sys/block/nvme0n1/size": "500000000\n"}  # fmt: skip
    found, _ = checked(large, tmp_path)
    assert found["T-10.1a-1"] == found["T-10.1a-3"] == ("pass", "measured")
    found, _ = checked(large | {"proc/meminfo": "MemTotal: 7800000 kB\n"}, tmp_path)
    assert found["T-10.1a-1"][0] == "fail"
    slow = GATEWAY | {"sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "999000\n",
                      "proc/meminfo": "MemTotal: 900000 kB\n", "proc/sys/kernel/ostype": "FreeBSD\n"}  # fmt: skip
    found, _ = checked(slow, tmp_path)
    assert {found[name][0] for name in ("T-10.1b-1", "T-10.1b-2", "T-10.1a-2")} == {"fail"}
    tiny = GATEWAY | {"sys/class/drm/card0-HDMI-A-1/edid": bytes(21) + bytes((7, 5)) + bytes(105)}
    assert checked(tiny, tmp_path)[0]["T-10.1a-5"] == ("fail", "measured")


@pytest.mark.requirement("T-10.1b-3", part="a container runtime is looked for")
@pytest.mark.requirement("T-10.1a-4", part="the self-check says whether the terminal has a page")
@pytest.mark.requirement("T-10.1b-5", part="the self-check says whether the terminal has a page")
def test_containers_and_pages(tmp_path):
    assert checked(GATEWAY, tmp_path)[0]["T-10.1b-3"] == ("pass", "measured")
    none = {name: text for name, text in GATEWAY.items() if name != "usr/bin/podman"}
    assert checked(none, tmp_path)[0]["T-10.1b-3"] == ("fail", "measured")
    kernel = none | {"proc/self/ns/pid": "", "proc/self/ns/mnt": "", "proc/cgroups": ""}
    assert checked(kernel, tmp_path)[0]["T-10.1b-3"] == ("unknown", None)
    assert checked(GATEWAY, tmp_path)[0]["T-10.1a-4"] == ("fail", "measured")
    found, rows = checked(GATEWAY, tmp_path, site=Paged)
    assert found["T-10.1a-4"] == found["T-10.1b-5"] == ("pass", "measured")
    lacking = {row["clause"] for row in rows if row["must"] and row["result"] != "pass"}
    assert "10.1a" in lacking and "10.1b" not in lacking


SHEET = {
    "kind": "gateway", "cpu_mhz": 1200, "screen_mm": 0, "ethernet": 2, "usb": 2, "supply_v": [198, 242],
    "temperature_c": [-25, 55], "humidity_pct": [20, 93], "mounting": ["rack", "rail", "wall"],
    "modules": ["main unit", "lines"], "vibration": "GB/T 2423.10", "source": "data sheet 1.0", "serial": 4,
}  # fmt: skip
DECLARED = "T-10-1", "T-10.3-1", "T-10.4-1", "T-10.4-2", "T-10.5-2"


@pytest.mark.requirement("T-10-1")
@pytest.mark.requirement("T-10.3-1", part="declared in the data sheet")
@pytest.mark.requirement("T-10.4-1", part="declared")
@pytest.mark.requirement("T-10.4-2")
@pytest.mark.requirement("T-10.5-1", part="declared")
@pytest.mark.requirement("T-10.5-2", part="declared")
@pytest.mark.requirement("T-10.2.1-1", part="counted or declared")
@pytest.mark.requirement("T-10.2.1-2", part="counted or declared")
@pytest.mark.requirement("T-10.2.2-1", part="counted or declared")
def test_what_nobody_can_measure_is_declared_and_said_to_be(tmp_path):
    bare = {"proc/sys/kernel/ostype": "Linux\n"}
    found, _ = checked(bare, tmp_path, SHEET)
    for name in (*DECLARED, "T-10.2.1-1", "T-10.2.1-2", "T-10.2.2-1", "T-10.5-1"):
        assert found[name] == ("pass", "declared"), name
    assert {checked(bare, tmp_path)[0][name] for name in DECLARED} == {("unknown", None)}
    for item, value, row in (
        ("supply_v", [210, 230], "T-10.3-1"), ("temperature_c", [0, 55], "T-10.5-1"), ("usb", 1, "T-10.2.2-1"),
        ("humidity_pct", [30, 93], "T-10.5-2"), ("mounting", ["rail"], "T-10.4-2"), ("modules", ["one"], "T-10.4-1"),
        ("ethernet", 1, "T-10.2.1-2"), ("serial", 3, "T-10.2.1-1"),
    ):  # fmt: skip
        assert checked(bare, tmp_path, SHEET | {item: value})[0][row] == ("fail", "declared"), item
    lacking = {name: value for name, value in SHEET.items() if name != "mounting"}
    assert checked(bare, tmp_path, lacking)[0]["T-10-1"] == ("fail", "declared")
    assert checked(GATEWAY, tmp_path, SHEET)[0]["T-10.2.2-1"] == ("pass", "measured")  # what is measured goes first


@pytest.mark.requirement("T-10-1", part="board check demands the items of a terminal's data sheet")
@pytest.mark.parametrize(
    ("change", "said"),
    (
        (("usb = 2\n", ""), "[sheet] lacks usb"),
        (("usb = 2\n", "usb = -1\n"), "[sheet] usb is -1"),
        (("usb = 2\n", "usb = true\n"), "[sheet] usb is True"),
        (("supply_v = [198, 242]", "supply_v = [242, 198]"), "[sheet] supply_v"),
        (("supply_v = [198, 242]", 'supply_v = "220 V"'), "[sheet] supply_v"),
        (('mounting = ["rack", "rail", "wall"]', "mounting = 3"), "[sheet] mounting"),
        (('kind = "gateway"', 'kind = "phone"'), "[sheet] kind"),
        (('vibration = "not tested: the draft names no figure"\n', ""), "[sheet] lacks vibration"),
        (('vibration = "not tested: the draft names no figure"', "vibration = 3"), "[sheet] vibration"),
        (("source = ", "origin = "), "unknown key origin"),
        (('source = "what the draft asks for, no maker\'s paper yet"', 'source = ""'), "[sheet] source"),
    ),
)
def test_a_terminal_board_without_its_data_sheet_is_refused(tmp_path, change, said):
    folder = tmp_path / "mine"
    shutil.copytree(boards.root() / "linux-gateway", folder)
    text = (folder / "board.toml").read_text()
    assert change[0] in text
    (folder / "board.toml").write_text(text.replace(*change))
    code, out, _ = carbonterm("board", "check", folder)
    assert code == 1 and said in out, out


def test_the_image_of_a_terminal_knows_its_data_sheet_and_a_collectors_has_no_room_for_it():
    text = image.described(boards.load("linux-gateway"))
    told = {}
    exec(text, told)  # what the image has as carbonterm_board.py
    assert told["SHEET"]["supply_v"] == [198, 242] and told["SHEET"]["serial"] == 4
    assert "SHEET" not in image.described(boards.load("rpi-pico2"))


def test_a_data_sheet_from_outside_is_looked_at():
    selfcheck.check({**boards.load("linux-gateway").sheet, "serial": 4})
    assert [name for name, _ in selfcheck.SHEET] == list(boards.SHEET)
    for wrong in (
        7, None, [], "x", {"usb": "2"}, {"usb": True}, {"usb": None}, {"supply_v": 220}, {"supply_v": [1, 2, 3]},
        {"supply_v": [1, "2"]}, {"mounting": "rail"}, {"mounting": [1]}, {"source": 5}, {"colour": "grey"},
    ):  # fmt: skip
        with pytest.raises(CarbonError, match="no item of a data sheet"):
            selfcheck.check(wrong)


# --- codes ------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T-10.6.2-5", part="the page of codes")
def test_the_page_of_codes_has_every_code_and_no_other():
    page = (DOCS / "faults.md").read_text()
    rows = {row[0]: row[1:] for row in re.findall(r"^\| (F\d{3}) \| (.*?) \| (.*?) \| (.*?) \|$", page, re.M)}
    assert set(rows) == set(faults.FAULTS)
    for code, (what, do) in faults.FAULTS.items():
        assert rows[code][0] == what and rows[code][2] == do, code
        assert rows[code][1]
