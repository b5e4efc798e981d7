"""Quality control on a schedule: a thread beside the server that checks each terminal once per interval."""

import sys

from sqlalchemy import select
from sqlalchemy.sql import func

from carbonterm.errors import CarbonError
from carbonterm_host.platform.access.users import now_ms
from carbonterm_host.platform.quality import engine
from carbonterm_host.platform.quality.engine import quality_reports
from carbonterm_host.platform.rounds import Rounds
from carbonterm_host.platform.store import logs

_LOOK_S = 60


class Schedule(Rounds):
    """A terminal is checked when its last report is older than `hours`. tools: verify and digest of `examine`."""

    def __init__(self, store, hours, **tools):
        super().__init__("quality", _LOOK_S)
        self._store = store
        self._interval_ms = hours * 3_600_000
        self._tools = tools
        self._tried = {}  # terminals whose check broke: when

    def round(self):
        for terminal_id in self._due(self._tried):
            if self.ending():
                return
            try:
                engine.keep(self._store, engine.examine(self._store, terminal_id, **self._tools), "schedule")
            except CarbonError:
                continue  # nothing is there yet
            except Exception as error:  # the other terminals are checked all the same
                self._tried[terminal_id] = now_ms()
                print(f"quality check of {terminal_id}: {error!r}", file=sys.stderr, flush=True)

    def _due(self, tried):
        newest = select(func.max(quality_reports.c.time_ms)).where(
            quality_reports.c.terminal_id == logs.c.terminal_id
        ).scalar_subquery()  # fmt: skip
        with self._store.read() as connection:
            rows = connection.execute(select(logs.c.terminal_id, newest).distinct()).all()
        before = now_ms() - self._interval_ms
        return [name for name, last in rows if max(last or 0, tried.get(name, 0)) <= before]
