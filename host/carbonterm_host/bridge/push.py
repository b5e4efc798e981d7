"""Messages of a queue to a terminal's inbound endpoint, one after the other, each until the terminal has it.

`POST url` with `Authorization: Bearer TOKEN` and the JSON of docs/inbound.md. 200 alone says that the message is in the
terminal's log. What else is answered is either about the message (400, 409, 413, 422: refused for good, kept beside) or
about now (all the rest, and no answer at all: the same bytes again later, 1 s to 60 s, and nothing overtakes them).
"""

import http.client
import json
import sqlite3
import ssl
import threading
from urllib.parse import urlsplit

from carbonterm_host.bridge.config import BridgeError

FOR_GOOD = (400, 409, 413, 422)
FIRST_WAIT, LONGEST_WAIT = 1, 60  # seconds
TIMEOUT = 30
_READ = 4096  # bytes of an answer that are looked at


class Refused(Exception):
    """The terminal will never take this message; str() is its reason."""


class Later(Exception):
    """Not now; str() is why."""


class Inbox:
    """The terminal's endpoint. ca: PEM file of the terminal's certificate or of who signed it; token: its secret."""

    def __init__(self, url, token, ca):
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port or 443
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.token = token
        self._link = None
        try:
            self._context = ssl.create_default_context(cafile=str(ca))
        except (ssl.SSLError, OSError) as error:
            raise BridgeError(f"{ca} holds no certificate in PEM: {error}") from None

    def send(self, source, message):
        """Returns when the message is in the terminal's log; Refused or Later."""
        body = json.dumps(
            {"source": source, "id": message.id, "time": message.time_ms, "values": message.values}, ensure_ascii=False
        ).encode()
        status, said = self._post(body)
        if status == 200:
            return
        why = f"{status} {said}".strip()
        if status in FOR_GOOD:
            raise Refused(why)
        raise Later(f"the terminal answers {why}")

    def _post(self, body):
        try:
            if self._link is None:
                self._link = http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT, context=self._context)
            head = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            self._link.request("POST", self.path, body, head)
            answer = self._link.getresponse()
            said = _reason(answer.read(_READ))
            if answer.will_close or not answer.isclosed():
                self.close()
            return answer.status, said
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise Later(f"the terminal's certificate is not the one of 'ca': {error.verify_message}") from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Later(f"no answer from {self.host}:{self.port}: {error or type(error).__name__}") from None

    def close(self):
        if self._link is not None:
            self._link.close()
            self._link = None


def _reason(body):
    """What an answer says in its JSON, or its first line."""
    try:
        said = json.loads(body)
        return "; ".join(str(said[key]) for key in ("error", "hint") if said.get(key))[:300]
    except (ValueError, AttributeError, TypeError):
        return body.decode("utf-8", "replace").split("\n")[0][:300]


class Pusher(threading.Thread):
    """Takes messages out of a queue as they come. tell(state, why): state "pushing", "waiting" (why says what for) or
    "refused" (why says which message); the first two are told when they change."""

    def __init__(self, queue, inbox, source, tell):
        super().__init__(daemon=True)
        self.queue, self.inbox, self.source = queue, inbox, source
        self.trouble = None  # why the message at hand is not there yet, or None
        self._tell = tell
        self._new = threading.Event()
        self._ended = threading.Event()
        queue.on_put(self._new.set)

    def run(self):
        wait = FIRST_WAIT
        while not self._ended.is_set():
            self._new.clear()
            try:
                message = self.queue.first()
                if message is None:
                    self._new.wait()
                    continue
                self._push(message)
            except (Later, OSError, sqlite3.Error) as reason:
                self._state(str(reason))
                self._ended.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)
                continue
            self._state(None)
            wait = FIRST_WAIT
        self.inbox.close()

    def _push(self, message):
        try:
            self.inbox.send(self.source, message)
        except Refused as reason:
            self.queue.refused(message, str(reason))
            self._tell("refused", f"{message.id}: {reason}")
        else:
            self.queue.sent(message)

    def _state(self, trouble):
        if trouble != self.trouble:
            self.trouble = trouble
            self._tell("waiting" if trouble else "pushing", trouble or "")

    def end(self):
        """Ends the thread after the message at hand."""
        self._ended.set()
        self._new.set()
        self.join(TIMEOUT + 5)
