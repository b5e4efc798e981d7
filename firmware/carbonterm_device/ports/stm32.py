"""STM32H7: regions of the chip's flash, Ethernet, reset cause. MicroPython calls the platform "pyboard"."""

import carbonterm_board as about
import machine
import pyb

from carbonterm_device.ports.microcontroller import *  # noqa: F403

_CAUSES = {1: "power-on", 2: "reset pin", 3: "watchdog", 4: "deep sleep", 5: "software"}


def block_device(name):
    """The partition `name` of board.toml as a block device by pyb.Flash; OSError where there is none."""
    begin = min([row[1] for row in about.PARTITIONS if row[0] in ("log", "vfs")])
    for row in about.PARTITIONS:
        if row[0] == name and row[1] >= begin:
            return pyb.Flash(start=row[1] - begin, len=row[2])
    raise OSError(19)


def reset_cause():
    """Why the board started: a word of _CAUSES, "unknown" otherwise."""
    return _CAUSES.get(machine.reset_cause(), "unknown")


def network_up(name, secret):
    """Starts the board's Ethernet with DHCP; name and secret are Wi-Fi's and not used. Returns the interface."""
    import network

    interface = network.LAN()
    interface.active(True)
    return interface
