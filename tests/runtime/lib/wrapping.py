"""A port whose ticks begin anew as on 32 bits, and stand still until they are set: for tests of what is days old."""

PERIOD = 1 << 30  # of time.ticks_ms on 32 bits: 12.4 days
DAY_MS = 86400000


class Ticks:
    """A port's time, which stands still until it is set."""

    now = 0

    def ticks_ms(self):
        return self.now % PERIOD

    def ticks_add(self, ticks, ms):
        return (ticks + ms) % PERIOD

    def ticks_diff(self, one, other):
        return (one - other + PERIOD // 2) % PERIOD - PERIOD // 2

    def random(self, size):
        return bytes(size)

    async def sleep_ms(self, ms):
        self.now += ms


def pass_by(port, days, look):
    """Days go by in which somebody looks each minute."""
    end = port.now + int(days * DAY_MS)
    while port.now < end:
        port.now += 60000
        look()
