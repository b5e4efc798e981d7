"""What is counted against strangers, in bounded memory: failed logins, probing requests, and the room for refusals in
the access log. Times are handed in, in ms.
"""

from collections import OrderedDict

WINDOW_MS = 10 * 60_000
FAILURES = 5  # of logins from one address, or probes, within the window: an alarm
FAILURES_OF_NAME = 20  # for one name, from wherever
PROBES = 20
FIRST_WAIT_MS, LONGEST_WAIT_MS = 30_000, 15 * 60_000
MOST_KEYS = 10_000
REFUSALS_PER_MINUTE = 300  # that are written to the access log


class Counter:
    """Counts events per key within WINDOW_MS; at `limit` the count begins anew and the key is blocked, each time twice
    as long. Beyond MOST_KEYS the key that was quiet longest is forgotten."""

    def __init__(self, limit, most=MOST_KEYS):
        self._limit = limit
        self._most = most
        self._keys = OrderedDict()  # key: [count, since when, times blocked, until when]

    def hit(self, key, now_ms):
        """Counts one event; the number of events if this one fills the measure, else 0."""
        row = self._keys.pop(key, None)
        if row is None or now_ms - max(row[1], row[3]) > WINDOW_MS:
            row = [0, now_ms, 0, 0]
        self._keys[key] = row
        if len(self._keys) > self._most:
            self._keys.popitem(last=False)
        if now_ms < row[3]:
            return 0  # said already
        row[0] += 1
        if row[0] < self._limit:
            return 0
        row[3] = now_ms + min(FIRST_WAIT_MS << min(row[2], 10), LONGEST_WAIT_MS)
        row[0], row[2] = 0, row[2] + 1
        return self._limit

    def wait_ms(self, key, now_ms):
        """How long this key has to wait yet."""
        row = self._keys.get(key)
        return max(row[3] - now_ms, 0) if row else 0

    def forget(self, key):
        self._keys.pop(key, None)

    def __len__(self):
        return len(self._keys)


class Room:
    """Lets at most `most` refusals a minute through and counts the others."""

    def __init__(self, most=REFUSALS_PER_MINUTE):
        self._most = most
        self._minute, self._used = None, 0
        self.left_out = 0

    def take(self, now_ms):
        """Whether this refusal may be written down."""
        if now_ms // 60_000 != self._minute:
            self._minute, self._used = now_ms // 60_000, 0
        self._used += 1
        if self._used <= self._most:
            return True
        self.left_out += 1
        return False

    def reported(self):
        """How many were left out since the last time this was asked."""
        count, self.left_out = self.left_out, 0
        return count
