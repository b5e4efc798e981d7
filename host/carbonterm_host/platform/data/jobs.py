"""What the platform does by itself: backups into one folder or more, checks of its integrity; each leaves a report.

A backup is named <UTC time>.ctbackup; the newest `keep` of them stay. It is written into the first folder and copied
into the others (redundant storage), each copy read back and compared. A job is due when its last good report is older
than its interval; after a failure it is tried again within the hour.
"""

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

from sqlalchemy import insert, select, text

from carbonterm import clock
from carbonterm.errors import CarbonError, StoreError
from carbonterm_host.platform.data import backup, integrity
from carbonterm_host.platform.data.tables import upkeep
from carbonterm_host.platform.rounds import Rounds

BACKUP, CHECK = "backup", "check"
NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z\.ctbackup")  # of a backup made on schedule
REPORTS = 1000  # kept of each kind
AGAIN_MS = 3_600_000
_LOOK_S = 30


def keep_report(store, kind, report):
    """Stores a report {"ok", …}; the oldest go."""
    body = json.dumps(report, ensure_ascii=False)
    values = {"time_ms": _now(), "kind": kind, "ok": int(report["ok"]), "report": body}
    with store.write() as connection:
        connection.execute(insert(upkeep).values(**values))
        connection.execute(
            text("delete from upkeep where kind = :kind and id <= "
                 "(select id from upkeep where kind = :kind order by id desc limit 1 offset :keep)"),
            {"kind": kind, "keep": REPORTS},
        )  # fmt: skip


def reports(store, limit=20):
    """The newest reports, newest first."""
    with store.read() as connection:
        rows = connection.execute(select(upkeep).order_by(upkeep.c.id.desc()).limit(limit)).all()
    return [{"kind": row.kind, **json.loads(row.report), "time_ms": row.time_ms, "ok": bool(row.ok)} for row in rows]


def last(store):
    """{kind: its newest report}."""
    with store.read() as connection:
        rows = connection.execute(
            text("select * from upkeep where id in (select max(id) from upkeep group by kind) order by kind")
        ).all()
    return {row.kind: {**json.loads(row.report), "time_ms": row.time_ms, "ok": bool(row.ok)} for row in rows}


def lines(store):
    """The newest reports as lines of the page."""
    words = {BACKUP: "备份 Backup", CHECK: "完整性检查 Integrity check"}
    parts = []
    for kind, report in last(store).items():
        bad = "" if report["ok"] else " class=bad"
        word = "正常 ok" if report["ok"] else "有问题 FINDING (carbonterm platform check)"
        parts.append(f"<p{bad}>{words[kind]} {clock.text(report['time_ms'], 0)}: {word}</p>")
    return parts


def save(store, folders, keep, name, signer, digest):
    """One backup into every folder; the report. StoreError where one folder cannot take it."""
    when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    paths = [Path(folder) / f"{when}.ctbackup" for folder in folders]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    head = backup.write(store, paths[0], name, signer, digest)
    for path in paths[1:]:
        _copy(paths[0], path)
    for path in paths:
        old = sorted(one for one in path.parent.iterdir() if NAME.fullmatch(one.name))
        for one in old[:-keep]:
            one.unlink()
    return {"ok": True, "files": [str(path) for path in paths], "logs": len(head.logs), "bytes": head.size}


def _copy(source, path):
    draft = path.with_name(path.name + ".new")
    try:
        shutil.copyfile(source, draft)
        os.chmod(draft, 0o600)
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
        if _digest(source) != _digest(draft):
            raise StoreError(f"the copy {path} is not what was written", "check that disk")
        os.replace(draft, path)
    except OSError as error:
        raise StoreError(f"the copy {path} cannot be written: {error.strerror}", "check that disk") from None
    finally:
        draft.unlink(missing_ok=True)


def _digest(path):
    found = backup.hasher()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.digest()


class Jobs(Rounds):
    """A thread beside the server. table: {kind: (interval_ms, function() -> report)}."""

    def __init__(self, store, table):
        super().__init__("upkeep", _LOOK_S)
        self._store = store
        self._table = table
        self._tried = {}

    def round(self):
        for kind, (interval_ms, function) in self._table.items():
            if self._due(kind, interval_ms) and not self.ending():
                self._tried[kind] = _now()
                try:
                    self._once(kind, function)
                except Exception as error:  # the other kinds are done all the same
                    print(f"{kind}: {error!r}", file=sys.stderr, flush=True)

    def _due(self, kind, interval_ms):
        with self._store.read() as connection:
            done = connection.execute(
                text("select max(time_ms) from upkeep where kind = :kind and ok = 1"), {"kind": kind}
            ).scalar() or 0
        now = _now()  # a report from the future is of a clock that was wrong
        return not now - interval_ms < done <= now and now - self._tried.get(kind, 0) >= min(interval_ms, AGAIN_MS)

    def _once(self, kind, function):
        try:
            report = function()
        except (CarbonError, OSError) as error:
            report = {"ok": False, "error": str(error)}
            print(f"{kind}: {error}", file=sys.stderr, flush=True)
        keep_report(self._store, kind, report)


def table(store, folders, backup_ms, keep, check_ms, centre, digest):
    """The table of Jobs; centre: (name, signer). Without folders there is no backup, with 0 no check."""
    found = {}
    if folders:
        found[BACKUP] = backup_ms, lambda: save(store, folders, keep, *centre, digest)
    if check_ms:
        found[CHECK] = check_ms, lambda: integrity.check(store, digest)
    return found


def _now():
    return time.time_ns() // 1_000_000
