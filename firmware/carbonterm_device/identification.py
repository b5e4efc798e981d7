"""Is the meter on the line the one on record? Its serial number is read at the start and once a day (11.8).

Only meters whose record has a serial number and whose model has a register for it are asked. The first word of a meter
and every change of it become an `audit` entry; a meter that says another serial number than its record, or refuses to
say one, is an alarm in the status until it says the right one. Silence changes nothing: it is no answer.
"""

from carbonterm_device.bus import LinkDown, NoAnswer, Refused

DAY_MS = 86400000
AGAIN_MS = 600000  # after no answer
MATCHES, DIFFERS = "identified", "identity mismatch"


class Identification:
    """The meters of bus number `index`; `driver`, `terminal` and `clock` as in Acquisition."""

    def __init__(self, index, site, driver, terminal, clock):
        self.driver = driver
        self.terminal = terminal
        self.clock = clock
        self.timeout_ms = site.buses[index].timeout_ms
        self.meters = [m for m in site.meters if m.bus == index and m.serial is not None and m.identity is not None]
        self.due = [0] * len(self.meters)
        self.said = [None] * len(self.meters)  # (what, detail) of the newest answer

    def take_over(self, other):
        """Keeps what the meters that stay have said."""
        before = [meter.canonical() for meter in other.meters]
        for place, meter in enumerate(self.meters):
            if meter.canonical() in before:
                was = before.index(meter.canonical())
                self.due[place], self.said[place] = other.due[was], other.said[was]

    async def look(self):
        """Asks the first meter that is due; at most one, so that the next round of readings is not late."""
        now = self.clock.now_ms()
        for place, meter in enumerate(self.meters):
            if now < self.due[place] <= now + DAY_MS:  # further away: the clock was set back
                continue
            from carbonterm.field import identity  # most sites have no meter that is asked

            function, address, count, type, order = meter.identity
            self.due[place] = now + DAY_MS
            try:
                data, _ = await self.driver.read(meter.unit, function, address, count, self.timeout_ms)
                told = identity.said(data, type, order)
            except (NoAnswer, LinkDown):
                self.due[place] = now + AGAIN_MS
                return
            except Refused:
                told = None
            self._hear(place, meter, told, told is not None and identity.same(meter.serial, told))
            return

    def _hear(self, place, meter, told, same):
        if same:
            word = MATCHES, "%s: %s" % (meter.name, told)
        elif told is None:
            word = DIFFERS, "%s: it says no serial number, the record says %s" % (meter.name, meter.serial)
        else:
            word = DIFFERS, "%s: it says %s, the record says %s" % (meter.name, told, meter.serial)
        if word != self.said[place]:
            self.said[place] = word
            self.terminal.audit("terminal", word[0], word[1][:200])

    def alarms(self):
        """Texts of the meters that are not the ones on record."""
        return ["%s: %s" % word for word in self.said if word is not None and word[0] == DIFFERS]

    def status(self):
        return [
            {"meter": meter.name, "serial": meter.serial, "matches": None if word is None else word[0] == MATCHES}
            for meter, word in zip(self.meters, self.said)
        ]
