"""ESP32-S3: partitions by name, Wi-Fi, reset cause."""

import machine
from esp32 import Partition

from carbonterm_device.ports.microcontroller import *  # noqa: F403
from carbonterm_device.ports.microcontroller import about

_CAUSES = {1: "power-on", 2: "reset pin", 3: "watchdog", 4: "deep sleep", 5: "software"}


def block_device(name):
    """The partition `name` of board.toml as a block device; OSError where the flash has none."""
    found = Partition.find(Partition.TYPE_DATA, label=name)
    if not found:
        raise OSError(19)
    return found[0]


def reset_cause():
    """Why the board started: a word of _CAUSES, "unknown" otherwise."""
    return _CAUSES.get(machine.reset_cause(), "unknown")


def network_up(name, secret):
    """Starts to join the Wi-Fi `name`; the driver goes on by itself. Returns the interface."""
    import network

    interface = network.WLAN(network.STA_IF)
    interface.active(True)
    interface.config(reconnects=-1)
    interface.connect(name, secret)
    return interface


NAME = about.NAME
