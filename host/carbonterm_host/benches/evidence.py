"""What is known after a scenario has run: the log and ground truth compared, and what the bench itself saw."""

import json
from decimal import Decimal

from carbonterm import site as sites
from carbonterm.ledger import entry as entries
from carbonterm_host.benches import compare
from carbonterm_host.screen import Failure


class Evidence:
    """For expectations and the report. `result`: of compare; `log`: Entries in their order; `power`: [(off ms, on ms or
    None)]; `cuts`: [(meter names, from ms, until ms)]; `lines`: {bus: counters and busy_ms}; `alarms`, `errors`,
    `crashes`: texts; `samples`: [{"time_ms", "entries", "cursors", "heap"}]; `centres`: [{"name", "entries": {(epoch,
    seq): bytes}, "twice"}]; `wear` of a flash and the `cycles` that it stands, or None; `begin_ms`, `end_ms`."""

    def __init__(self, scenario, folder, saw):
        self.scenario = scenario
        self.folder = folder
        self.site = sites.decode((folder / "site.bin").read_bytes())
        self.power = saw.get("power", [])
        self.cuts = saw.get("cuts", [])
        self.lines = saw.get("lines", {})
        self.alarms = saw.get("alarms", [])
        self.errors = saw.get("errors", [])
        self.crashes = saw.get("crashes", [])
        self.samples = saw.get("samples", [])
        self.centres = saw.get("centres", [])
        self.faults = saw.get("faults", {})
        self.wear, self.cycles = saw.get("wear"), saw.get("cycles")
        self.begin_ms, self.end_ms = saw["begin_ms"], saw["end_ms"]
        self.log = []
        try:
            lost_ms = saw.get("lost_ms", compare.LOST_MS)
            clocks_ms = saw.get("clocks_ms", compare.CLOCKS_MS)
            self.result = compare.compare(folder, folder / "log.bundle", lost_ms, clocks_ms)
            self.log = [entries.decode(raw) for raw, _ in self.result.found.entries]
        except Failure as failure:  # a file that is no bundle any more
            self.result = compare.Result()
            self.result.differs(f"bundle: {failure.what}")

    def of_kind(self, kind):
        return [entry for entry in self.log if entry.kind == kind]

    def rows(self, index):
        """[(time, Decimal or None, quality)] of a point."""
        return self.result.points[index].rows if self.result.points else []

    def truth(self):
        """The rows of ground truth."""
        with open(self.folder / "truth.jsonl", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def closings(self, period):
        """[(point, start ms, quality, Decimal increment, max, min)] of the settlements of a period."""
        found = []
        for entry in self.of_kind(entries.CLOSING):
            if entry.body[0] == period:
                for point, quality, exponent, *values in entry.body[2]:
                    numbers = [None if one is None else Decimal(one).scaleb(exponent) for one in values]
                    found.append((point, entry.body[1], quality, *numbers))
        return found
