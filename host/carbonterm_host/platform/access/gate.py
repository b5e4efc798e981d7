"""The gate before every address of the platform: who asks, whether he may, and a row in the access log before anything
leaves.

Without any user the people's addresses answer to the machine itself only (a direct connection from loopback). What
terminals and operators send is signed and needs no login; of it only refusals are logged, for what is taken has its
receipt.
"""

import json
import threading
import time
from ipaddress import ip_address

from anyio import CapacityLimiter, to_thread
from starlette.routing import Match

from carbonterm_host.platform.access import audit, guard, labels, users
from carbonterm_host.platform.access.roles import ENDPOINTS, OPEN, SIGNED, Person, allowed

COOKIE = "carbonterm"
HEADS_EVERY = 64  # rows of the access log between two that the centre signs
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Access:
    """State of the gate of one centre."""

    def __init__(self, store, name, signer):
        self.store = store
        self.name = name
        self.signer = signer
        self.failed_addresses = guard.Counter(guard.FAILURES)
        self.failed_names = guard.Counter(guard.FAILURES_OF_NAME)
        self.probes = guard.Counter(guard.PROBES)
        self.traps = guard.Counter(1)
        self.room = guard.Room()
        self._lock = threading.Lock()
        self._users = False

    def closed(self):
        """Whether users exist, so that nobody gets in without a login."""
        self._users = self._users or users.any_user(self.store)  # users are never removed
        return self._users

    def login(self, name, password, address):
        """("token", until_ms) or (None, ms to wait): an alarm and growing pauses after failures."""
        now = _now()
        with self._lock:
            wait = max(self.failed_addresses.wait_ms(address, now), self.failed_names.wait_ms(name, now))
        if wait:
            return None, wait
        if users.check(self.store, name, password):
            with self._lock:
                self.failed_addresses.forget(address)
            return users.open_session(self.store, name)
        with self._lock:
            of_address = self.failed_addresses.hit(address, now)
            of_name = self.failed_names.hit(name, now)
        if of_address:
            self.alarm(address, f"failed logins, last as {name}", of_address)
        if of_name:
            self.alarm(address, f"failed logins as {name} from several addresses", of_name)
        return None, 0

    def probed(self, address, what):
        """Counts a request for an address that is not there, or a connection to a trap."""
        with self._lock:
            count = self.probes.hit(address, _now())
        if count:
            self.alarm(address, f"probing, last {what}", count)

    def trapped(self, address, port):
        """Somebody connected to a port where nothing is served: said at once, then in growing pauses."""
        with self._lock:
            count = self.traps.hit(address, _now())
        if count:
            self.alarm(address, f"connection to trap port {port}", count)

    def alarm(self, address, what, count):
        """A row of the log; strangers with many addresses cannot fill the disk with them."""
        with self._lock:
            if not self.room.take(_now()):
                return
        audit.append(self.store, audit.ALARM, "", "", address, what, count)

    def log(self, record, status):
        """A row of the access log; refusals of strangers only as long as there is room."""
        with self._lock:
            if status >= 400 and not record["who"] and not self.room.take(_now()):
                return
            left_out = self.room.reported()
        seq = audit.append(
            self.store, audit.ACCESS, record["who"], record["role"], record["address"], record["what"], status, left_out
        )
        if seq % HEADS_EVERY == 0:
            audit.sign_head(self.store, self.name, self.signer)


class Gate:
    """ASGI middleware; `routes`: of the application behind it. Puts `scope["access"]` = {"person", "hidden", "address",
    …} there, `hidden` being the terminals that must not be shown to this person."""

    def __init__(self, app, access, routes):
        self.app = app
        self._access = access
        self._routes = routes
        self._threads = CapacityLimiter(4)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        template, parameters = _route(self._routes, scope)
        needs = ENDPOINTS.get((scope["method"], template))
        path = scope["path"] + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
        record = {
            "who": "", "role": "", "person": None, "hidden": frozenset(),
            "address": scope["client"][0] if scope.get("client") else "", "what": f"{scope['method']} {path}",
        }  # fmt: skip
        scope["access"] = record
        if needs == SIGNED:
            await self.app(scope, receive, self._logged(send, record, refusals_only=True))
            return
        refusal = await self._run(self._judge, scope, record, template, parameters)
        answer = self._logged(send, record)
        if refusal is None:
            await self.app(scope, receive, answer)
        else:
            await _refuse(answer, scope, *refusal)

    async def _run(self, function, *arguments):
        return await to_thread.run_sync(function, *arguments, limiter=self._threads)

    def _judge(self, scope, record, template, parameters):
        """None, or (status, text) of a refusal; fills the record."""
        access, headers = self._access, _headers(scope)
        person, by_cookie = self._person(scope, headers)
        if person is not None:
            record.update(who=person.name, role=person.role, person=person)
        if template is None:
            access.probed(record["address"], record["what"])
            return (404, "there is nothing here") if person or not access.closed() else (401, "log in")
        if by_cookie and scope["method"] != "GET" and not _same_origin(scope, headers):
            return 403, "this came from another site's page"
        if not allowed(person, scope["method"], template):
            if person is not None:
                return 403, f"a {person.role} has not the right to this"
            return 401, "log in" if access.closed() else "no user is made yet: only the machine itself is answered"
        if ENDPOINTS[scope["method"], template] != OPEN and not person.may("sensitive"):
            record["hidden"] = frozenset(labels.listed(access.store))
            if parameters.get("terminal_id") in record["hidden"]:
                return 403, f"this terminal is labelled as sensitive, and a {person.role} may not see it"
        return None

    def _person(self, scope, headers):
        """(Person or None, whether a cookie said so)."""
        token, by_cookie = _token(headers)
        if token:
            return users.person(self._access.store, token), by_cookie
        local = not self._access.closed() and _is_local(scope, headers)
        return (Person("local", "local"), False) if local else (None, False)

    def _logged(self, send, record, refusals_only=False):
        """`send` that writes the row before the answer begins."""

        async def sending(message):
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400 or not refusals_only:
                    await self._run(self._access.log, record, status)
                if refusals_only and status in (400, 401, 403, 404, 405, 413, 422):
                    await self._run(self._access.probed, record["address"], record["what"])
            await send(message)

        return sending


def _route(routes, scope):
    """(path template, parameters) of what will answer, or (None, {})."""
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            return route.path, child.get("path_params", {})
    return None, {}


def _headers(scope):
    found = {}
    for name, value in scope["headers"]:
        found.setdefault(name, value)
    return found


def _token(headers):
    """(token or "", whether from the cookie)."""
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip(), False
    for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value, True
    return "", False


def _is_local(scope, headers):
    """A direct connection from this machine, to its loopback name: no proxy, and no other site's name for us."""
    try:
        loopback = ip_address(scope["client"][0]).is_loopback
    except (ValueError, TypeError):
        return False
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return loopback and name in _LOOPBACK and not any(name in headers for name in _FORWARDED)


def _same_origin(scope, headers):
    origin = headers.get(b"origin", b"").decode("latin-1")
    return not origin or origin.partition("://")[2] == headers.get(b"host", b"").decode("latin-1")


async def _refuse(send, scope, status, text):
    wants_page = scope["method"] == "GET" and b"text/html" in _headers(scope).get(b"accept", b"")
    if status == 401 and wants_page and scope["path"] == "/":
        await send({"type": "http.response.start", "status": 303,
                    "headers": [(b"location", b"/login"), (b"content-length", b"0")]})  # fmt: skip
        await send({"type": "http.response.body", "body": b""})
        return
    body = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _now():
    return time.time_ns() // 1_000_000
