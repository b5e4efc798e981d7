"""What of the whole process the log says in `audit` entries (11.12 全过程日志): who configured what, which methods and
factors were issued (carbonterm_device.issued), what was reported to whom, who took the log away. Acquisition speaks for
itself, in `readings`.
"""

from carbonterm import clock
from carbonterm.clock import DAY
from carbonterm.ledger.entry import MAX_TEXT
from carbonterm.uplink.kept import MAX_NOTE, NOTES


class Journal:
    """Watches what others do with the log. `couriers`: of carbonterm_device.delivery."""

    def __init__(self, terminal, couriers, storage):
        self._terminal = terminal
        self._couriers = couriers
        self._storage = storage
        self._days = {}

    def look(self):
        """Once a second: the first receipt of each centre since the start and in each civil day, and who pulled."""
        terminal = self._terminal
        if terminal.site is None or terminal.stopped or terminal.failed:
            return
        day = clock.start(DAY, terminal.clock.now_ms(), terminal.site.zone)
        for courier in self._couriers:
            receipt = courier.now.outbox.receipt
            if receipt is not None and receipt.next_seq and self._days.get(courier.name) != day:
                self._days[courier.name] = day
                words = receipt.epoch, receipt.next_seq, clock.text(receipt.time_ms, terminal.site.zone)
                terminal.audit(courier.name, "report", "received epoch %d up to %d entries; its receipt: %s" % words)
        self._pulled()

    def _pulled(self):
        try:
            note = self._storage.read(NOTES, 0, MAX_NOTE)
        except (OSError, KeyError):  # nobody was there
            return
        self._storage.remove(NOTES)
        for line in note.split(b"\n"):
            try:
                text = line.decode()
            except ValueError:  # a note that was torn in the middle of a letter
                continue
            if text:
                self._terminal.audit("pull", "report", text[:MAX_TEXT])
