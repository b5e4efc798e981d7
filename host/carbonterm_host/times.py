"""Times that cannot be: entries later than now, and entries later than the centre that signed for them.

Order comes from seq, so a wrong clock spoils no signature; but a log that was made up beforehand has times to come. An
entry with an unset clock says no time. A clock that ran ahead and was set back says so itself, in a `clock` entry: what
that explains is a note, not an offence.
"""

from carbonterm import clock
from carbonterm.ledger import entry

TOLERANCE_MS = 3600 * 1000  # a clock without a network drifts minutes a year; a wrong zone is off by more


class Times:
    """Hears of entries and of centres' signatures in a bundle's order. at_ms: what is called now, or None."""

    def __init__(self, at_ms=None):
        self.at_ms = at_ms
        self.notes = []
        self._wrong = None  # what no clock entry can explain
        self._ahead = None  # (time_ms, why) of the earliest time ahead that no clock entry has explained
        self._latest = None  # (time_ms, epoch, seq) of the latest entry since the clock was last set back

    def entry(self, found):
        if found.clock_state == clock.UNSET or found.time_ms < clock.FLOOR_MS:
            return
        if found.kind == entry.CLOCK and (found.body[0] == entry.REBASE or found.body[2] < found.body[1]):
            self._back(found)  # a rebase too: an unset clock came to another time than was known before
        if self._latest is None or found.time_ms > self._latest[0]:
            self._latest = (found.time_ms, found.epoch, found.seq)
            if self._after(found.time_ms, self.at_ms):
                self._note(f"later than {clock.text(self.at_ms)}")

    def centre(self, name, time_ms):
        """The centre signed at time_ms for the entries so far."""
        if self._after(time_ms, self.at_ms) and self._wrong is None:
            self._wrong = f"{name} signed at {clock.text(time_ms)}, later than {clock.text(self.at_ms)}"
        if self._latest and self._after(self._latest[0], time_ms):
            self._note(f"later than {clock.text(time_ms)}, when {name} signed for it")

    def ends(self):
        """What cannot be, as a text, or None."""
        return self._wrong or (self._ahead and self._ahead[1])

    def _note(self, why):
        time_ms, epoch, seq = self._latest
        if self._ahead is None or time_ms < self._ahead[0]:
            self._ahead = (time_ms, f"entry {seq} of epoch {epoch} says {clock.text(time_ms)}, {why}")

    def _back(self, step):
        """The clock was set back: times ahead of where it stands now are explained."""
        if self._ahead and self._ahead[0] > step.body[2]:
            self.notes.append(f"the clock ran ahead until entry {step.seq} of epoch {step.epoch}: {self._ahead[1]}")
            self._ahead = None
        self._latest = None

    def _after(self, time_ms, other_ms):
        return other_ms is not None and time_ms > other_ms + TOLERANCE_MS
