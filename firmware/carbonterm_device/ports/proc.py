"""What Linux says of its machine, by /proc and /sys: T/CSMT draft 10.1, 10.2 and 10.6.2 b).

Integers and texts; None, or an empty list, is what the system does not say. `root`: another tree, for tests.
"""

import os
import socket
import struct
import sys

MICROPYTHON = sys.implementation.name == "micropython"
BOARD, CHIP = "board", "chip"  # what a temperature is of
_SECTOR = 512  # bytes of /sys/block/*/size, whatever the disk's own are
_NO_DISKS = ("loop", "ram", "zram", "sr", "fd", "dm-", "md")
_RUNTIMES = ("docker", "podman", "containerd", "crun", "runc", "lxc-start", "systemd-nspawn")
_PLACES = ("/usr/bin/", "/usr/local/bin/", "/usr/sbin/")
# sensors that sit on a circuit board or in a housing; those of processors are hotter than what is around them
_IN_HOUSING = (
    "lm75", "tmp1", "tmp4", "tmp7", "sht", "ds18", "ds3231", "hih6130", "adt7", "mcp98", "board", "ambient", "case",
)  # fmt: skip
_SIGTERM, _LOOK_MS = 15, 500
_ETHERNET = "1"  # ARPHRD_ETHER
_CARD_RESET = 0x20  # of linux/watchdog.h: the last start was the watchdog's


def text(path, root=""):
    """A small file's text without blanks around it, None where it can't be read."""
    try:
        with open(root + path) as file:
            return file.read().strip()
    except (OSError, ValueError):
        return None


def number(path, root=""):
    """A small file's integer, None."""
    try:
        return int(text(path, root) or "")
    except ValueError:
        return None


def listed(path, root=""):
    """Sorted names in a folder."""
    try:
        return sorted(os.listdir(root + path))
    except OSError:
        return []


def there(path, root=""):
    try:
        os.stat(root + path)
    except OSError:
        return False
    return True


def alive(name=None):
    """Tells systemd that the terminal lives (sd_notify(3)): with WatchdogSec it starts it anew where this ends. name:
    of its socket, default that of the environment; without one nothing is told. False where it could not be."""
    name = os.getenv("NOTIFY_SOCKET") if name is None else name
    if not name:
        return False
    path = b"\0" + name[1:].encode() if name[0] == "@" else name.encode()
    if len(path) > 107:
        return False
    link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        link.setblocking(False)
        link.connect(struct.pack("H", socket.AF_UNIX) + path if MICROPYTHON else path)
        link.send(b"READY=1\nWATCHDOG=1\n")
    except OSError:
        return False
    finally:
        link.close()
    return True


def terminated(root=""):
    """Whether SIGTERM waits for this process, which it does where who started it has blocked it (`env
    --block-signal=TERM`, `carbonterm board start`): MicroPython hears no signals. Elsewhere it ends the process."""
    for line in (text("/proc/self/status", root) or "").split("\n"):
        if line.startswith(("SigPnd:", "ShdPnd:")) and int(line[7:].strip(), 16) >> (_SIGTERM - 1) & 1:
            return True
    return False


async def told_to_end(port, most_ms=None):
    """Waits until SIGTERM waits, at most so long where that is given; whether it does."""
    begun = port.ticks_ms()
    while not terminated():
        if most_ms is not None and port.ticks_diff(port.ticks_ms(), begun) >= most_ms:
            return False
        await port.sleep_ms(_LOOK_MS)
    return True


async def heed(port, app):
    """Ends the rounds of an App once SIGTERM waits, as the console's "stop" does."""
    await told_to_end(port)
    app.stop()


def system(root=""):
    """{"type", "release", "version", "machine"} as uname says them, and the "distribution"."""
    found = {}
    for name, file in (("type", "ostype"), ("release", "osrelease"), ("version", "version"), ("machine", "arch")):
        found[name] = text("/proc/sys/kernel/" + file, root)
    found["distribution"] = None
    for line in (text("/etc/os-release", root) or "").split("\n"):
        if line.startswith("PRETTY_NAME="):
            found["distribution"] = line[12:].strip('"')
    return found


def clock_hz(root=""):
    """The processor's highest clock, by cpufreq; by /proc/cpuinfo where there is none; None."""
    found = number("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", root)
    if found is not None:
        return found * 1000
    best = None
    for line in (text("/proc/cpuinfo", root) or "").split("\n"):
        name, _, value = line.partition(":")
        if name.strip() == "cpu MHz":
            whole, _, part = value.strip().partition(".")
            if whole.isdigit():
                best = max(best or 0, int(whole) * 1000000 + int((part + "000000")[:6]))
    return best


def work(root=""):
    """(cores, time in use, time in all) since the start, in ticks of /proc/stat; (None, 0, 0)."""
    lines = (text("/proc/stat", root) or "").split("\n")
    times = [int(one) for one in lines[0].split()[1:9] if one.isdigit()]
    if len(times) < 5:
        return None, 0, 0
    cores = len([1 for line in lines if line.startswith("cpu") and line[3:4].isdigit()])
    return cores, sum(times) - times[3] - times[4], sum(times)  # but idle and waiting for a disk


def memory(root=""):
    """{"total", "free"} in bytes; free is what can be had without swapping, as `free` says it."""
    found = {"total": None, "free": None}
    for line in (text("/proc/meminfo", root) or "").split("\n"):
        words = line.split()
        if words and words[0] in ("MemTotal:", "MemAvailable:"):
            found["total" if words[0] == "MemTotal:" else "free"] = int(words[1]) * 1024
    return found


def largest_disk(root=""):
    """Bytes of the machine's largest disk, None."""
    best = None
    for name in listed("/sys/block", root):
        size = number("/sys/block/%s/size" % name, root)
        if size and not [1 for one in _NO_DISKS if name.startswith(one)]:
            best = max(best or 0, size * _SECTOR)
    return best


def temperature(root=""):
    """(thousandths of a degree Celsius, the sensor's name, BOARD or CHIP), of a sensor in the housing before one in a
    chip, and of several the hottest; None."""
    found = []
    for folder, name, file in (("/sys/class/hwmon", "name", "temp1_input"), ("/sys/class/thermal", "type", "temp")):
        for one in listed(folder, root):
            value = number("%s/%s/%s" % (folder, one, file), root)
            if value is not None and -100000 < value < 200000:
                said = text("%s/%s/%s" % (folder, one, name), root) or one
                housing = len([1 for word in _IN_HOUSING if said.lower().startswith(word)]) > 0
                found.append((housing, value, said))
    if not found:
        return None
    housing, value, said = max(found)
    return value, said[:40], BOARD if housing else CHIP


def humidity(root=""):
    """Relative humidity in thousandths of a percent by a sensor of the housing, None."""
    for one in listed("/sys/class/hwmon", root):
        value = number("/sys/class/hwmon/%s/humidity1_input" % one, root)
        if value is not None:
            return value
    return None


def ethernet(root=""):
    """(names of the Ethernet ports, names of virtual interfaces)."""
    real, virtual = [], []
    for name in listed("/sys/class/net", root):
        place = "/sys/class/net/" + name
        if text(place + "/type", root) != _ETHERNET or there(place + "/phy80211", root):
            continue
        (real if there(place + "/device", root) else virtual).append(name)
    return real, virtual


def serial_ports(root=""):
    """Names of the serial ports that have a chip behind them."""
    found = []
    for name in listed("/sys/class/tty", root):
        place = "/sys/class/tty/" + name
        if there(place + "/device", root) and text(place + "/type", root) != "0":
            found.append(name)
    return found


def usb_ports(root=""):
    """Ports of the machine's own USB controllers, None where it has none."""
    place = "/sys/bus/usb/devices"
    found = [number("%s/%s/maxchild" % (place, name), root) for name in listed(place, root) if name.startswith("usb")]
    found = [count for count in found if count]
    return sum(found) if found else None


def containers(root=""):
    """Container runtimes that are installed; "inside": this is a container; "kernel" alone: it could run one."""
    found = [one for one in _RUNTIMES if [1 for place in _PLACES if there(place + one, root)]]
    if there("/.dockerenv", root) or there("/run/.containerenv", root):
        found.append("inside")
    if not found and all([there("/proc/" + one, root) for one in ("self/ns/pid", "self/ns/mnt", "cgroups")]):
        found.append("kernel")
    return found


def screen_cm(root=""):
    """[width, height] in cm of a connected screen, by its EDID; None."""
    for one in listed("/sys/class/drm", root):
        if text("/sys/class/drm/%s/status" % one, root) == "connected":
            try:
                with open("%s/sys/class/drm/%s/edid" % (root, one), "rb") as file:
                    edid = file.read(128)
            except OSError:
                continue
            if len(edid) == 128 and edid[21] and edid[22]:
                return [edid[21], edid[22]]
    return None


def reset_cause(root=""):
    """ "watchdog" where that started the machine last; None: not known."""
    status = number("/sys/class/watchdog/watchdog0/bootstatus", root)
    return "watchdog" if status and status & _CARD_RESET else None


def uptime_s(root=""):
    whole = (text("/proc/uptime", root) or "").partition(".")[0]
    return int(whole) if whole.isdigit() else None
