"""Store and forward of a bridge: messages in SQLite, in order, until the terminal has them; bounded, durable.

`put` commits messages and, in the same transaction, the mark up to which their source was read: after a kill nothing is
read twice into the queue, nothing is missing. A message's id is the queue's own random name and its number, and stays
the same however often it is sent, so a terminal that remembers ids takes it once. WAL with synchronous=FULL: what `put`
returned from survives a power cut.

What the terminal refuses for good is kept beside (the last KEPT_REFUSED of them) with its reason, so that one bad
message never stops those behind it.
"""

import fcntl
import json
import secrets
import sqlite3
import threading

from carbonterm_host.bridge.config import BridgeError

KEPT_REFUSED = 1000
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, held TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refused (
  seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, held TEXT NOT NULL, why TEXT NOT NULL);
INSERT OR IGNORE INTO meta VALUES ('name', '{name}');
COMMIT;
"""
_GIVE_UP = "DELETE FROM messages WHERE seq IN (SELECT seq FROM messages ORDER BY seq LIMIT ?)"
_ASIDE = "INSERT OR REPLACE INTO refused SELECT seq, time_ms, held, ? FROM messages WHERE seq = ?"
_FORGET = "DELETE FROM refused WHERE seq NOT IN (SELECT seq FROM refused ORDER BY seq DESC LIMIT ?)"
_COUNTERS = ("sent", "refused", "lost")


class Message:
    """id: text, unique; time_ms: of its values; values: {name: decimal text}."""

    __slots__ = ("id", "seq", "time_ms", "values")

    def __init__(self, id, seq, time_ms, values):
        self.id, self.seq, self.time_ms, self.values = id, seq, time_ms, values


class Queue:
    """keep: most messages held; where more come, the oldest are given up and counted as lost. One process at a time
    may have a queue open for writing; readonly: to look at it meanwhile. Any thread may call."""

    def __init__(self, path, keep=100_000, readonly=False):
        self.path, self.keep = path, keep
        self._busy = threading.Lock()
        self._lock = None
        self._came = None
        if readonly and not path.is_file():
            raise BridgeError(f"there is no queue {path}", "the bridge makes it when it runs first")
        try:
            if not readonly:
                self._lock = open(f"{path}.lock", "a")  # noqa: SIM115, it is held as long as the queue
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            uri = f"{path.resolve().as_uri()}?mode={'ro' if readonly else 'rwc'}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            if not readonly:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.executescript(_SCHEMA.format(name=secrets.token_hex(8)))
            self.name = self._meta("name")
        except BlockingIOError:
            raise BridgeError(f"another bridge works with the queue {path}", "give each its own") from None
        except OSError as error:
            raise BridgeError(f"the queue {path} cannot be opened: {error.strerror}") from None
        except sqlite3.Error as error:
            raise BridgeError(f"{path} is no queue: {error}", "take the file away, or name another") from None

    def close(self):
        with self._busy:
            self._db.close()
            if self._lock:
                self._lock.close()

    def put(self, messages, mark=None):
        """Stores messages, (time_ms, {name: text}) each, and the source's mark (what JSON can hold); durable."""
        with self._busy, self._transaction():
            for time_ms, values in messages:
                held = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
                self._db.execute("INSERT INTO messages (time_ms, held) VALUES (?, ?)", (time_ms, held))
            if mark is not None:
                self._set("mark", json.dumps(mark))
            over = self._count() - self.keep
            if over > 0:
                self._db.execute(_GIVE_UP, (over,))
                self._add("lost", over)
        if messages and self._came:
            self._came()

    def on_put(self, call):
        """`call()` after each put that brought something, in the thread that put."""
        self._came = call

    def room(self):
        """How many messages fit in without any being given up."""
        with self._busy:
            return max(0, self.keep - self._count())

    @property
    def mark(self):
        """What the last `put` with a mark stored, or None."""
        with self._busy:
            text = self._meta("mark")
        return None if text is None else json.loads(text)

    def first(self):
        """The oldest Message, or None."""
        with self._busy:
            row = self._db.execute("SELECT seq, time_ms, held FROM messages ORDER BY seq LIMIT 1").fetchone()
        return row and Message(f"{self.name}-{row[0]}", row[0], row[1], json.loads(row[2]))

    def sent(self, message):
        """The terminal has it."""
        with self._busy, self._transaction():
            self._db.execute("DELETE FROM messages WHERE seq = ?", (message.seq,))
            self._add("sent", 1)

    def refused(self, message, why):
        """The terminal will never take it."""
        with self._busy, self._transaction():
            self._db.execute(_ASIDE, (why, message.seq))
            self._db.execute("DELETE FROM messages WHERE seq = ?", (message.seq,))
            self._db.execute(_FORGET, (KEPT_REFUSED,))
            self._add("refused", 1)

    def counts(self):
        """{"waiting", "sent", "refused", "lost"}: messages of this queue's life."""
        with self._busy:
            return {"waiting": self._count(), **{key: int(self._meta(key) or 0) for key in _COUNTERS}}

    def last_refused(self, count=10):
        """List of (id, time_ms, values, why), the newest first."""
        with self._busy:
            rows = self._db.execute("SELECT * FROM refused ORDER BY seq DESC LIMIT ?", (count,)).fetchall()
        return [(f"{self.name}-{seq}", time_ms, json.loads(held), why) for seq, time_ms, held, why in rows]

    def _transaction(self):
        return _Transaction(self._db)

    def _count(self):
        return self._db.execute("SELECT count(*) FROM messages").fetchone()[0]

    def _meta(self, key):
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row and row[0]

    def _set(self, key, value):
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _add(self, key, count):
        self._set(key, str(int(self._meta(key) or 0) + count))


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, ROLLBACK where it fails; what SQLite says (a full disk) comes out as OSError."""

    def __init__(self, db):
        self.db = db

    def __enter__(self):
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind, error, _):
        try:
            if kind is None:
                self.db.execute("COMMIT")
        except sqlite3.Error as failed:
            error = failed
        if self.db.in_transaction:  # SQLite may have rolled back by itself
            self.db.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise OSError(f"the queue: {error}") from None
