"""The clock chip DS3231 on an I2C bus: seven BCD registers of civil time in UTC, and a flag that it has stopped.

Registers as in Maxim's data sheet DS3231 (19-5170): 0 seconds … 6 year, 15 status with OSF in bit 7.
"""

from carbonterm.clock import civil, stamp

ADDRESS = 0x68
_STATUS, _STOPPED = 15, 0x80
_MASKS = 0x7F, 0x7F, 0x3F, 7, 0x3F, 0x1F, 0xFF  # of the time's registers, in 24 hour mode


def read_ms(bus):
    """Milliseconds since 1970, or None where the chip says that it stood still. OSError where no chip answers,
    ClockError where its registers hold no time."""
    if bus.readfrom_mem(ADDRESS, _STATUS, 1)[0] & _STOPPED:
        return None
    rows = [one & mask for one, mask in zip(bus.readfrom_mem(ADDRESS, 0, 7), _MASKS)]
    second, minute, hour, _, day, month, year = [(one >> 4) * 10 + (one & 15) for one in rows]
    return stamp(2000 + year, month, day, hour, minute, second)


def write_ms(bus, ms):
    """Sets the chip, 2000 to 2099, and takes its flag away."""
    year, month, day, hour, minute, second, _ = civil(ms)
    rows = second, minute, hour, 1, day, month, year - 2000
    bus.writeto_mem(ADDRESS, 0, bytes([one // 10 << 4 | one % 10 for one in rows]))
    status = bus.readfrom_mem(ADDRESS, _STATUS, 1)[0]
    bus.writeto_mem(ADDRESS, _STATUS, bytes([status & ~_STOPPED & 0xFF]))
