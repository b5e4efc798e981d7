"""RP2350: regions of the flash, Wi-Fi or a W5500 on SPI, reset cause."""

import os

import carbonterm_board as about
import machine
import rp2

from carbonterm_device.ports.microcontroller import *  # noqa: F403
from carbonterm_device.ports.microcontroller import Region

_CAUSES = {1: "power-on", 3: "watchdog"}


class _Whole:
    """The whole flash by rp2.Flash, which counts its blocks from the beginning of its file system."""

    def __init__(self, start):
        self._flash = rp2.Flash()
        self._start = start

    def readblocks(self, number, buffer, offset):
        return self._flash.readblocks(number - self._start, buffer, offset)

    def writeblocks(self, number, data, offset):
        return self._flash.writeblocks(number - self._start, data, offset)

    def ioctl(self, what, argument):
        return self._flash.ioctl(what, argument - self._start)


def block_device(name):
    """The partition `name` of board.toml as a block device; OSError where the base firmware's storage area is not what
    board.toml says of log and vfs together, or its file system has more of it than vfs."""
    block = about.FLASH[0]
    rows = {row[0]: row for row in about.PARTITIONS}
    mounted = os.statvfs("/")
    if name != "vfs" and mounted[1] * mounted[2] > rows["vfs"][2]:
        raise OSError(19)
    areas = [row for row in about.PARTITIONS if row[0] in ("log", "vfs")]
    begin = min([row[1] for row in areas])
    if rp2.Flash().ioctl(4, 0) * block != max([row[1] + row[2] for row in areas]) - begin:
        raise OSError(19)  # its blocks are counted from elsewhere: the log would lie over the files
    for row in about.PARTITIONS:
        if row[0] == name and row[1] >= begin:
            return Region(_Whole(begin // block), row[1], row[2], block)
    raise OSError(19)


def reset_cause():
    """Why the board started: a word of _CAUSES, "unknown" otherwise."""
    return _CAUSES.get(machine.reset_cause(), "unknown")


def network_up(name, secret):
    """Starts Wi-Fi, or the W5500 of board.toml; name and secret are Wi-Fi's. Returns the interface."""
    import network

    pins = dict(about.NETWORK)
    if pins["kind"] == "w5500":
        spi = machine.SPI(
            pins["spi"],
            20000000,
            sck=machine.Pin(pins["sck"]),
            mosi=machine.Pin(pins["mosi"]),
            miso=machine.Pin(pins["miso"]),
        )
        interface = network.WIZNET5K(spi, machine.Pin(pins["cs"]), machine.Pin(pins["reset"]))
        interface.active(True)
        interface.ipconfig(dhcp4=True)
        return interface
    interface = network.WLAN(network.STA_IF)
    interface.active(True)
    interface.connect(name, secret)
    return interface
