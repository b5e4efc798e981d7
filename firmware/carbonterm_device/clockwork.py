"""The terminal's clock: the port's time, and how far it is to be trusted."""

from carbonterm.clock import HOLDOVER, RTC
from carbonterm_device.ports import port


class Clock:
    """The port's clock and how far it is trusted; an offset makes it a simulated one (holdover)."""

    def __init__(self, offset_ms=0):
        self._offset_ms = offset_ms
        self.state = HOLDOVER if offset_ms else RTC

    def now_ms(self):
        return port.now_ms() + self._offset_ms
