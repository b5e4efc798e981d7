"""The page's HTTPS: who may connect, how much he may send, who he is; Microdot finds the handler of what is left.

One request per connection. The head is read and checked before anything else sees it, the body only where its sender is
logged in or on the way to be, so that nobody from outside can make the terminal hold more than some kilobytes, or
print. A page is sent piece by piece.
"""

import asyncio

from microdot import Microdot, Request, Response

from carbonterm.errors import AccessError, CarbonError, quoted
from carbonterm.users import ROLES
from carbonterm_device.inbound.http import REASONS, Answer, body_size, linger, parse_head, read_body, read_head
from carbonterm_device.page import html
from carbonterm_device.page.sessions import COOKIE, Sessions
from carbonterm_device.page.users import Door

CONNECTIONS = 8
HEAD_S, BODY_S, WRITE_S, LONGEST_S = 10, 30, 30, 120
MAX_HEAD, MAX_FORM, MAX_UPLOAD = 8192, 32768, 300000
PIECE = 2048  # bytes that are written at once
LINGER_S = 1
LOOK_MS = 500
AGAIN_MS = 5000
_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
     "frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin"), ("X-Frame-Options", "DENY"),
)  # fmt: skip
_HTML = "text/html; charset=UTF-8"
_UPLOADS = b"/upload", b"/manual/enter"
_HEX = b"0123456789abcdefABCDEF"


class Refused(Exception):
    """A request that is answered with a status and a page that says why."""

    def __init__(self, status, what):
        super().__init__(status)
        self.status = status
        self.what = what


class Server:
    """The page of an App, as long as its site document has one."""

    def __init__(self, app, port):
        self.app = app
        self.port = port
        self.sessions = Sessions(port)
        self.door = Door(lambda: self._file(self.app.site.page.users), port)
        self.alarm = ""
        self._connections = 0
        Request.max_content_length = Request.max_body_length = MAX_UPLOAD
        Request.max_readline = MAX_HEAD
        self.web = Microdot()
        self.web.options_handler = None
        self._routes()

    # --- listening --------------------------------------------------------------------------------------------------

    async def run(self):
        """Listens where the site document says; where that fails, where it said before."""
        good = None
        while self.app.site.page is not None:
            row = self.app.site.page
            try:
                await self._listen(row)
                good = row
            except (OSError, ValueError) as error:
                self.alarm = "page: %s:%d: %s" % (row.address, row.port, error)
                self.app.err("F902", "page", "%s:%d: %s" % (row.address, row.port, error))
                if good is None or good is row:
                    await self.port.sleep_ms(AGAIN_MS)
                    continue
                try:
                    await self._listen(good, row)
                except (OSError, ValueError):
                    await self.port.sleep_ms(AGAIN_MS)

    async def _listen(self, row, wanted=None):
        """Until the site document's page is another one than `wanted` (None: than `row`)."""
        context = self.port.server_context(self._file(row.certificate), self._file(row.key))
        server = await asyncio.start_server(self._connection, row.address, row.port, ssl=context)
        if wanted is None:
            self.alarm = ""
        told = (wanted or row).canonical()
        try:
            while self.app.site.page is not None and self.app.site.page.canonical() == told:
                self.sessions.look()
                self.door.look()
                await self.port.sleep_ms(LOOK_MS)
        finally:
            server.close()

    def _file(self, name):
        storage = self.app.storage
        try:
            return storage.read(name, 0, min(storage.size(name), 65536))
        except OSError:
            raise CarbonError("%s is not in the data folder" % name, "put it there, readable by the terminal only")

    async def _connection(self, reader, writer):
        from carbonterm_device.wires import hang_up

        self._connections += 1
        try:
            if self._connections <= CONNECTIONS:
                await asyncio.wait_for(self._one(reader, writer), LONGEST_S)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError):
            pass  # whoever it was has gone, or is too slow
        except Exception as error:  # a mistake of a page ends this page, and nothing else
            self.app.err("F902", "page", "%s %s" % (type(error).__name__, error))
        finally:
            self._connections -= 1
            await hang_up(writer)

    async def _one(self, reader, writer):
        out = _Out(writer)
        try:
            head, rest = await asyncio.wait_for(read_head(reader, MAX_HEAD), HEAD_S)
            if not head:
                return
            size = self._check(head)
            body = await asyncio.wait_for(read_body(reader, rest, size), BODY_S) if size or rest else b""
        except Answer as refusal:
            words = refusal.status, REASONS[refusal.status], refusal.body["error"]
            await out.awrite(("HTTP/1.0 %d %s\r\nContent-Type: text/plain\r\n\r\n%s\n" % words).encode())
            await out.aclose()
            await asyncio.wait_for(linger(reader), LINGER_S)
            return
        await self.web.handle_request(_Given(head + b"\r\n\r\n" + body), out)

    def _check(self, head):
        """Bytes of the body of a request that may be handled; Answer otherwise."""
        if len(head) > MAX_HEAD or [byte for byte in head if not (32 <= byte < 127 or byte in b"\r\n\t")]:
            raise Answer(400, "a head is ASCII, of at most %d bytes" % MAX_HEAD)
        words, fields = parse_head(head)
        if words[0] not in (b"GET", b"HEAD", b"POST"):
            raise Answer(405, "only GET and POST are taken here")
        path, _, query = words[1].partition(b"?")
        if path[:1] != b"/" or b"%" in path or b".." in path or not _decodes(query):
            raise Answer(404, "there is nothing here")
        if words[0] != b"POST":
            if body_size(fields, 0):
                raise Answer(413, "no body is taken here")
            return 0
        session = self.sessions.find(_cookie(fields.get(b"cookie", b"").decode()), False)
        if session is None and path != b"/login":
            raise Answer(401, "nobody is logged in")
        size = body_size(fields, MAX_UPLOAD if path in _UPLOADS else MAX_FORM if session else 1024)
        if size is None:
            raise Answer(411, "there is no Content-Length")
        return size

    # --- what the pages need ----------------------------------------------------------------------------------------

    def route(self, path, handler, least=0, method="GET"):
        """handler(request, session) gives a Response for users whose role is at least ROLES[least]."""

        async def handle(request, **words):
            try:
                session = self.session_of(request)
                if session is None:
                    return to("/login")
                if ROLES.index(session.user.role) < least:
                    raise Refused(403, "this is for the %s · 需要 %s 权限" % (ROLES[least], ROLES[least]))
                if method == "POST":
                    request.g.form = form(request)
                    if request.g.form.get("token") != session.token:
                        raise Refused(403, "this form is not from this page, or too old: load it again · 请刷新页面")
                return await handler(request, session, **words)
            except Refused as refusal:
                return self.refused(refusal)
            except CarbonError as error:
                return self.refused(Refused(400, str(error)))

        self.web.route(path, methods=[method])(handle)

    def session_of(self, request, touch=True):
        """The Session of a request, None where nobody is logged in, or the file of users has him no more as he came."""
        session = self.sessions.find(_cookie(request.headers.get("Cookie", "")), touch)
        if session is not None and not self.door.knows(session.user):
            self.sessions.end_of(session.user.name)
            return None
        return session

    def refused(self, refusal):
        return self.answer(("拒绝", "refused"), None, [html.box(html.escape(refusal.what), True), _BACK], "",
                           refusal.status)  # fmt: skip

    def answer(self, title, session, parts, here="", status=200):
        """A Response with a page."""
        return Response(html.page(title, session, parts, here), status, {"Content-Type": _HTML})

    def audit(self, who, detail):
        """Into the log: what a user did, or was refused."""
        terminal = self.app.terminal
        if terminal.site is not None and not terminal.stopped:
            terminal.audit(who[:64], "page", detail[:200])

    # --- the routes -------------------------------------------------------------------------------------------------

    def _routes(self):
        from carbonterm_device.page import configuration, entries, views

        web = self.web

        @web.after_request
        async def secure(_, response):
            for name, value in _HEADERS:
                response.headers[name] = value
            if "Cache-Control" not in response.headers:
                response.headers["Cache-Control"] = "no-store"
            return response

        web.after_error_request(secure)
        web.get("/style.css")(_style)
        web.get("/login")(self._ask)
        web.post("/login")(self._login)
        self.route("/logout", self._logout, method="POST")
        for one in (views, entries, configuration):
            one.routes(self)

    async def _ask(self, _):
        return self.answer(("登录", "log in"), None, _login_form(""))

    async def _login(self, request):
        try:
            words = form(request)
            name, password = words.get("name", ""), words.get("password", "")
            user = await self.door.enter(name, password)
        except Refused as refusal:
            return self.refused(refusal)
        except AccessError as error:
            if error.hint == "wrong":
                self.audit("page", "wrong password for %s from %s" % (quoted(name, 32), _where(request)))
            return self.answer(("登录", "log in"), None, _login_form(error.what), "", 403)
        except CarbonError as error:
            return self.answer(("登录", "log in"), None, _login_form(str(error)), "", 503)
        self.audit(user.name, "logged in as %s from %s" % (user.role, _where(request)))
        return to("/", "%s=%s; Path=/; Secure; HttpOnly; SameSite=Strict" % (COOKIE, self.sessions.begin(user)))

    async def _logout(self, request, session):
        self.sessions.end(_cookie(request.headers.get("Cookie", "")))
        self.audit(session.user.name, "logged out")
        return to("/login", COOKIE + "=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")


class _Given:
    """The whole request, read already, as a stream."""

    def __init__(self, data):
        self._data = data
        self._at = 0

    async def readline(self):
        end = self._data.find(b"\n", self._at) + 1
        return self._take(end if end else len(self._data))

    async def readexactly(self, size):
        return self._take(self._at + size)

    read = readexactly

    def _take(self, end):
        begin, self._at = self._at, end
        return self._data[begin:end]


class _Out:
    """Writes in pieces, and waits for nobody for ever."""

    def __init__(self, writer):
        self._writer = writer
        self._held = b""

    def get_extra_info(self, name):
        return self._writer.get_extra_info(name)

    async def awrite(self, data):
        self._held += data
        if len(self._held) >= PIECE:
            await self.aclose()

    async def aclose(self):
        held, self._held = self._held, b""
        for at in range(0, len(held), PIECE):
            self._writer.write(held[at : at + PIECE])
            await asyncio.wait_for(self._writer.drain(), WRITE_S)


_BACK = '<p><a href="/">%s</a></p>' % html.both("返回", "back")


async def _style(_):
    return Response(html.STYLE, 200, {"Content-Type": "text/css", "Cache-Control": "max-age=600"})


def _login_form(wrong):
    if wrong:
        yield html.box(html.escape(wrong), True)
    yield (
        '<form method="post" action="/login"><label>%s</label><input name="name" autocomplete="username" autofocus '
        'required maxlength="32"><label>%s</label><input name="password" type="password" required maxlength="200" '
        'autocomplete="current-password">%s</form>'
        % (html.both("用户名", "name"), html.both("密码", "password"), html.button("登录", "log in"))
    )


def to(path, cookie=None):
    """A Response that leads elsewhere."""
    headers = {"Location": path}
    if cookie:
        headers["Set-Cookie"] = cookie
    return Response("", 303, headers)


def form(request):
    """{name: value} of a form, the first of each name, files as bytes; "name.all": [(file's name, bytes)] of all files
    of an input. Refused where it is none."""
    kind = request.content_type or ""
    try:
        if kind.startswith("multipart/form-data"):
            return _parts(request.body, kind.partition("boundary=")[2].strip('"').encode())
        found = request.form
        return {name: found[name] for name in found} if found else {}
    except (ValueError, TypeError):
        raise Refused(400, "this is no form")


def _parts(body, boundary):
    """{name: text, of a file bytes} of a multipart body (RFC 7578)."""
    if not 0 < len(boundary) <= 70:
        raise ValueError
    found, mark = {}, b"--" + boundary
    for part in (b"\r\n" + body).split(b"\r\n" + mark)[1:]:
        head, _, data = part.partition(b"\r\n\r\n")
        name = head.partition(b' name="')[2].partition(b'"')[0].decode()
        title = head.partition(b' filename="')[2].partition(b'"')[0].decode()
        if title:
            title = title.replace("\\", "/").split("/")[-1] or "file"
            found.setdefault(name + ".all", []).append((title[:64], data))
        if name and name not in found:
            found[name] = data if b' filename="' in head else data.decode()
    return found


def _cookie(text):
    """What the cookie of a session says, "" where there is none."""
    for part in text.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _decodes(query):
    """Whether behind each % two hex digits stand."""
    parts = query.split(b"%")[1:]
    return not [1 for part in parts if len(part) < 2 or [1 for byte in part[:2] if byte not in _HEX]]


def _where(request):
    """The address of who asks; MicroPython's unix port gives it as the system's structure."""
    address = request.client_addr
    if isinstance(address, (bytes, bytearray)):
        return ".".join([str(byte) for byte in address[4:8]]) if len(address) < 20 else "IPv6"
    return str(address[0]) if address else "?"
