"""Inputs of the terminal itself as a bus: a converter's and a counter's channels, each a text with one number.

Reading one is a moment's work of the system, so nothing waits. The bytes that go into the entry's digest are the
channel's name, "=" and what it showed.
"""

from carbonterm.errors import CarbonError
from carbonterm.field.channels import LONGEST
from carbonterm_device.bus import REASONS, Counters, NoAnswer
from carbonterm_device.ports import port as default_port


class Channels:
    """The channels below a folder of the system; CarbonError on a board that has no such thing."""

    up = True

    def __init__(self, folder, board=default_port):
        if not hasattr(board, "read_channel"):
            raise CarbonError("this board's inputs are not read", "give it a Modbus module with analogue inputs")
        self.where = folder
        self.counters = Counters()
        self._read = board.read_channel

    async def ask(self, request, meter, timeout_ms):
        """(what the channel shows, name = what it shows); NoAnswer where the system does not show it."""
        self.counters.requests += 1
        try:
            data = self._read(self.where, request.unit, LONGEST)
        except OSError as error:
            self.counters.timeouts += 1
            why = REASONS.get(error.args[0], "error %d" % error.args[0])
            hint = "check the folder, the channel's name and the permissions"
            raise NoAnswer("%s: channel %s cannot be read: %s" % (self.where, request.unit, why), hint)
        self.counters.replies += 1
        return data, request.unit.encode() + b"=" + data

    def close(self):
        pass
