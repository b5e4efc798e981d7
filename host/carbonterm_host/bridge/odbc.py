"""A database behind ODBC as a source: any query, read on from where it ended, by a key or a time column.

The query has one place `?`: the key of the last row read. `WHERE id > ?` suits a key that only grows; `WHERE at >= ?`
suits a time, of which several rows may have the same: rows of the mark's own key that were read already are known by
their digest and left out. Rows and mark go into the queue in one transaction, so a kill neither loses nor repeats one.
A queue that is full makes the reading wait: the database keeps the rows.
"""

import contextlib
import datetime
import decimal
import hashlib
import time

import pyodbc

from carbonterm_host.bridge.config import BridgeError, Unreachable
from carbonterm_host.bridge.readings import LONGEST_NAME, MOST_VALUES, decimal_text, messages, milliseconds

ROWS = 200  # of one transaction
_FULL = 0.5  # seconds until a full queue is looked at again


class Source:
    """options: as config.read gives them; tell(state, why): "connected", "waiting" (why), "bad" (which row)."""

    def __init__(self, options, queue, tell):
        self.options, self.queue, self.tell = options.odbc, queue, tell
        self._told = None
        self._link = None

    def run(self, stop, once=False):
        """Reads until the Event `stop` is set; once: to the query's end, and the trouble as BridgeError."""
        try:
            while not stop.is_set():
                began, more = time.monotonic(), False
                try:
                    more = self._read(stop)
                    self._state(*(("waiting", "the queue is full") if more else ("connected", "")))
                except (pyodbc.Error, OSError) as error:
                    linked = self._link is not None
                    self._close()
                    if once:
                        raise (BridgeError if linked else Unreachable)(_reason(error)) from None
                    self._state("waiting", _reason(error))
                if once and not more:
                    return
                stop.wait(_FULL if more else max(0, began + self.options.every - time.monotonic()))
        finally:
            self._close()

    def _connect(self):
        text = self.options.connection
        if self.options.password is not None:
            text += ";PWD={" + self.options.password.replace("}", "}}") + "}"
        if self._link is None:
            seconds = max(1, int(self.options.timeout))
            self._link = pyodbc.connect(text, timeout=seconds, autocommit=True)
            self._link.timeout = seconds  # of a query, where the driver can
        return self._link

    def _close(self):
        if self._link is not None:
            with contextlib.suppress(pyodbc.Error):  # it was lost already
                self._link.close()
            self._link = None

    def _read(self, stop):
        """One query, to its end. True: there may be more, but the queue has no room; no cursor is held meanwhile."""
        mark = self.queue.mark or {"key": _held(self.options.start), "seen": []}
        cursor = self._connect().execute(self.options.query, _given(mark["key"]))
        try:
            columns = [column[0] for column in cursor.description or ()]
            places = self._places(columns)
            of_row = -(-len(self.options.values or "1") // MOST_VALUES)  # messages
            count = max(1, min(ROWS, self.queue.keep // of_row))
            while not stop.is_set():
                if self.queue.room() < min(count * of_row, self.queue.keep):
                    return True
                rows = cursor.fetchmany(count)
                if not rows:
                    break
                readings, mark = self._take(rows, places, mark)
                self.queue.put(messages(readings), mark)
            return False
        finally:
            if self._link is not None:
                cursor.close()

    def _places(self, columns):
        """{what: index}: of key, time and values in a row; BridgeError for a column that is not there."""
        wanted = {"key": self.options.key, "time": self.options.time.column}
        if self.options.values is None:
            wanted.update(name=self.options.name, value=self.options.value)
        else:
            wanted.update((("value", name), column) for name, column in self.options.values.items())
        found = {}
        for what, column in wanted.items():
            if columns.count(column) != 1:
                said = "twice" if columns.count(column) else "no"
                raise BridgeError(f"the query gives {said} column '{column}'", "it gives " + ", ".join(columns))
            found[what] = columns.index(column)
        return found

    def _take(self, rows, places, mark):
        """(readings, the mark behind these rows)."""
        readings = []
        last, seen = _given(mark["key"]), list(mark["seen"])
        for row in rows:
            key = row[places["key"]]
            if key is None:
                raise BridgeError("a row without a key", f"column '{self.options.key}' must not be NULL")
            digest = hashlib.sha256(repr(tuple(row)).encode()).hexdigest()[:16]
            if key == last:
                if digest in seen:
                    continue
            else:
                self._check_order(last, key)
                last, seen = key, []
            seen.append(digest)
            readings += self._readings(row, places, key)
        return readings, {"key": _held(last), "seen": seen}

    def _check_order(self, last, key):
        if type(last) is type(key) and key < last:
            hint = f"end it with ORDER BY {self.options.key}, and ask for > or >= ?"
            raise BridgeError(f"the query gives key {key} behind {last}", hint)

    def _readings(self, row, places, key):
        form = self.options.time
        moment = milliseconds(row[places["time"]], form.form, form.zone)
        if moment is None:
            self.tell("bad", f"row {key}: '{row[places['time']]}' is no time of form {form.form} with a known zone")
            return []
        if self.options.values is not None:
            return [(moment, name, decimal_text(row[places["value", name]])) for name in self.options.values]
        name = str(row[places["name"]] or "").strip()
        if not 1 <= len(name) <= LONGEST_NAME:
            self.tell("bad", f"row {key}: '{name[:80]}' is no name of a value")
            return []
        return [(moment, name, decimal_text(row[places["value"]]))]

    def _state(self, state, why):
        if (state, why) != self._told:
            self._told = state, why
            self.tell(state, why)


def _held(key):
    """A key as [kind, text]: JSON can hold it, `_given` makes it again."""
    kind = type(key).__name__
    if kind not in _KINDS:
        raise BridgeError(f"a key of type {kind} cannot be kept", "take a column of integers, texts or times")
    return [kind, key.isoformat() if kind in ("datetime", "date") else str(key)]


def _given(held):
    return _KINDS[held[0]](held[1])


_KINDS = {
    "int": int, "str": str, "float": float, "Decimal": decimal.Decimal,
    "datetime": datetime.datetime.fromisoformat, "date": datetime.date.fromisoformat,
}  # fmt: skip


def _reason(error):
    if isinstance(error, OSError):
        return str(error)
    return "the database: " + str(error.args[-1] if error.args else error)
