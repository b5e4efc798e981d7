"""What the hardware and the system under a terminal are like: T/CSMT draft 10.6.2 b) and d).

Asked seldom: a look opens some dozens of small files (5 ms on a desktop), so what was found stands for LOOK_MS. All is
integers and texts; None is what this machine does not say. On a board without /proc the runtime's own word is all there
is.
"""

import gc
import sys

from carbonterm import __version__

LOOK_MS = 5000
LOAD_MS = 2000  # the shortest time over which a load is a load
LOWEST_MC, HIGHEST_MC = -25000, 55000  # 10.5: the temperature around the terminal
HIGHEST_CHIP_MC = 85000  # a chip's own: what one for industry stands, and 30 degrees above the 55 around it
LEAST_MEMORY = 20  # the part of the memory, one in so many, below which it runs out

try:
    import carbonterm_board as about
except ImportError:  # a Linux terminal that runs from a checkout or a wheel
    about = None


class Health:
    """`port`: its ticks, heap, RUNTIME; `storage`: the data folder's; `clock`: has now_ms(). root: another tree than /
    for /proc and /sys."""

    def __init__(self, port, storage, clock, root=""):
        self._port = port
        self._storage = storage
        self._clock = clock
        self._root = root
        self._began = self._at = port.ticks_ms()
        self._uptime_ms = 0
        self._work = None  # (ticks, time in use, time in all) at the last measure of the load
        self._load = None
        self._found = None

    def look(self):
        """A dict, docs/monitoring.md; at most LOOK_MS old."""
        port, now = self._port, self._port.ticks_ms()
        passed = port.ticks_diff(now, self._at)
        if self._found is None or passed >= LOOK_MS or passed < 0:
            self._found, self._at = None, now  # the old one is garbage before the new one is made
            self._uptime_ms += max(passed, 0)
            self._found = self._look()
        return self._found

    def _look(self):
        found = {
            "time_ms": self._clock.now_ms(), "firmware": __version__, "runtime": self._port.RUNTIME,
            "implementation": _implementation(),
            "board": about.NAME if about else None, "profile": about.PROFILE if about else "terminal",
            "heap": {"used": self._port.heap_used(), "free": gc.mem_free() if hasattr(gc, "mem_free") else None},
            "uptime_s": self._uptime_ms // 1000,
        }  # fmt: skip
        try:
            free, total = self._storage.free()
        except OSError:
            free = total = None
        found["disk"] = {"total": total, "free": free, "device": None}
        if sys.platform == "linux":
            self._linux(found)
        else:
            found["os"] = {"type": sys.platform, "release": self._port.RUNTIME, "version": sys.version,
                           "machine": getattr(sys.implementation, "_machine", None), "distribution": None}  # fmt: skip
            found["reset_cause"] = self._port.reset_cause() if hasattr(self._port, "reset_cause") else None
        return found

    def _linux(self, found):
        from carbonterm_device.ports import proc

        root = self._root
        found["os"] = proc.system(root)
        cores, used, ticks = proc.work(root)
        found["cpu"] = {"cores": cores, "max_hz": proc.clock_hz(root), "load_permille": self._loaded(used, ticks)}
        found["memory"] = proc.memory(root)
        found["disk"]["device"] = proc.largest_disk(root)
        warm = proc.temperature(root)
        found["temperature_mc"], found["sensor"], found["sensor_of"] = warm if warm else (None, None, None)
        found["humidity_mpct"] = proc.humidity(root)
        found["ethernet"], found["virtual_ethernet"] = proc.ethernet(root)
        found["serial"], found["usb"] = proc.serial_ports(root), proc.usb_ports(root)
        found["containers"], found["screen_cm"] = proc.containers(root), proc.screen_cm(root)
        found["reset_cause"], found["system_uptime_s"] = proc.reset_cause(root), proc.uptime_s(root)

    def _loaded(self, used, ticks):
        """Thousandths of all cores in use since the last measure, None before there are two."""
        now, before = self._port.ticks_ms(), self._work
        if before is None or self._port.ticks_diff(now, before[0]) >= LOAD_MS or ticks < before[2]:
            if before is not None and ticks > before[2]:
                self._load = (used - before[1]) * 1000 // (ticks - before[2])
            self._work = now, used, ticks
        return self._load

    def faults(self):
        """[(code, where, text)] of what is out of its limits (carbonterm_device.faults)."""
        found, rows = self.look(), []
        warm, of = found.get("temperature_mc"), found.get("sensor_of")
        if warm is not None and not LOWEST_MC <= warm <= (HIGHEST_MC if of == "board" else HIGHEST_CHIP_MC):
            rows.append(("F801", found["sensor"], "%s degrees Celsius" % tenths(warm)))
        memory = found.get("memory") or {}
        if memory.get("free") is not None and memory["free"] * LEAST_MEMORY < memory["total"]:
            rows.append(("F802", "memory", "%d MB of %d MB left" % (memory["free"] >> 20, memory["total"] >> 20)))
        return rows

    def line(self):
        """What the log is told of it once a day."""
        found = self.look()
        memory, disk, cpu = found.get("memory") or {}, found["disk"], found.get("cpu") or {}
        parts = []
        if found.get("temperature_mc") is not None:
            parts.append("%s C (%s)" % (tenths(found["temperature_mc"]), found["sensor"]))
        if found.get("humidity_mpct") is not None:
            parts.append("%s %% rh" % tenths(found["humidity_mpct"]))
        if cpu.get("load_permille") is not None:
            parts.append("cpu %d/1000" % cpu["load_permille"])
        for name, row in (("memory", memory), ("disk", disk)):
            if row.get("total"):
                parts.append("%s %d of %d MB free" % (name, row["free"] >> 20, row["total"] >> 20))
        return ", ".join(parts)


def tenths(thousandths):
    """41230 as "41.2"."""
    whole = abs(thousandths) // 100
    return "%s%d.%d" % ("-" if thousandths < 0 and whole else "", whole // 10, whole % 10)


def _implementation():
    it = sys.implementation
    return {
        "name": it.name, "version": ".".join([str(one) for one in it.version[:3]]),
        "machine": getattr(it, "_machine", None), "mpy": getattr(it, "_mpy", None),
    }  # fmt: skip
