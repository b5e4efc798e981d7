"""Addresses for people: log in and out, the access log, alarms, users, labels."""

import html as markup
import json
import urllib.parse

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from carbonterm.errors import AccessError
from carbonterm_host.platform.access import audit, labels, users
from carbonterm_host.platform.access.gate import COOKIE

MAX_BODY = 4096
MAX_ROWS = 1000
_LOGINS = 2  # at once: each takes 32 MiB

_FORM = """<!doctype html><html lang="zh"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>carbonterm</title><style>body{{font:15px/1.6 sans-serif;margin:3em auto;max-width:20em}}
label,input,button{{display:block;width:100%;box-sizing:border-box;margin:.3em 0}}.bad{{color:#b00}}</style>
<h1>碳计量平台 Carbon platform</h1><p class=bad>{said}</p><form method=post action=/login>
<label>用户 User<input name=name autocomplete=username required></label>
<label>密码 Password<input name=password type=password autocomplete=current-password required></label>
<button>登录 Log in</button></form>"""


async def small(request):
    """A request's body of at most MAX_BODY bytes, or None."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY:
            return None
    return data


async def fields(request, *names):
    """The texts of a JSON object with exactly these names (null is allowed), or None."""
    data = await small(request)
    try:
        found = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or set(found) - set(names):
        return None
    values = [found.get(name) for name in names]
    return values if all(value is None or isinstance(value, str) for value in values) else None


def bad(text, status=400):
    return JSONResponse({"error": text}, status)


def number(text, most):
    """The number a query holds, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= most else None


def add(app, access, run):
    """Puts the addresses into the application; `run(function, *arguments)` awaits a function in a thread."""
    logins = CapacityLimiter(_LOGINS)

    async def login(request, name, password):
        record = request.scope["access"]
        token, until = await to_thread.run_sync(access.login, name, password, record["address"], limiter=logins)
        record["what"] += f" {'ok' if token else 'failed'} {name}"
        return token, until

    @app.get("/login")
    async def form():
        return HTMLResponse(_FORM.format(said=""))

    @app.post("/login")
    async def log_in(request: Request):
        data = urllib.parse.parse_qs((await small(request) or b"").decode("utf-8", "replace"))
        name, password = (data.get(key, [""])[0] for key in ("name", "password"))
        token, until = await login(request, name[:64], password)
        if token is None:
            said = f"请稍候 wait {until // 1000 + 1} s" if until else "用户或密码错误 wrong user or password"
            return HTMLResponse(_FORM.format(said=markup.escape(said)), 429 if until else 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, token, max_age=users.SESSION_MS // 1000, httponly=True, samesite="strict",
                          secure=request.url.scheme == "https")  # fmt: skip
        return answer

    @app.post("/v1/login")
    async def token(request: Request):
        found = await fields(request, "name", "password")
        if found is None or None in found:
            return bad('send {"name", "password"}')
        made, until = await login(request, found[0][:64], found[1])
        if made is not None:
            return {"token": made, "until_ms": until}
        if until:
            return JSONResponse({"error": "too many failures"}, 429, {"Retry-After": str(until // 1000 + 1)})
        return bad("wrong user or password", 401)

    @app.post("/logout")
    async def log_out(request: Request):
        person = request.scope["access"]["person"]
        if person.session is not None:
            await run(users.close_session, access.store, person.session)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE)
        return answer

    @app.get("/v1/me")
    async def me(request: Request):
        person = request.scope["access"]["person"]
        return {"name": person.name, "role": person.role, "rights": list(person.rights)}

    @app.get("/v1/audit")
    async def log(before: str = "", limit: str = "100"):
        return await _rows(None, before, limit)

    @app.get("/v1/alarms")
    async def alarms(before: str = "", limit: str = "100"):
        return await _rows(audit.ALARM, before, limit)

    async def _rows(kind, before, limit):
        below, most = number(before, 10**12) if before else None, number(limit, MAX_ROWS)
        if most is None or (before and below is None):
            return bad(f"before is a row's number, limit at most {MAX_ROWS}")
        return await run(audit.rows, access.store, kind, below, most)

    @app.get("/v1/users")
    async def listed():
        return await run(users.listed, access.store)

    @app.put("/v1/terminals/{terminal_id}/label")
    async def label(terminal_id: str, request: Request):
        found = await fields(request, "reason")
        if found is None:
            return bad('send {"reason": text, or null to take the label off}')
        record = request.scope["access"]
        try:
            await run(labels.put, access.store, terminal_id, found[0], record["who"], record["role"], record["address"])
        except AccessError as error:
            return bad(str(error))
        return {"terminal": terminal_id, "label": found[0]}
