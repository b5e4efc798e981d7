"""The platform's HTTP face: the uplink's two addresses for terminals, and what people look at.

Bodies are bounded while they are read; checking and the store run in threads, so that the event loop answers others
meanwhile.
"""

import asyncio

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.requests import ClientDisconnect

from carbonterm.ledger.entry import MAX_EPOCH, is_terminal_id
from carbonterm.uplink.message import MAX_BATCH, Refusal
from carbonterm_host.platform import page
from carbonterm_host.platform.intake import STATUS

BODY_S = 60  # to send a whole body
THREADS = 4


def application(intake):
    """The ASGI application of one centre."""
    app = FastAPI(title="carbonterm platform", docs_url=None, redoc_url=None, openapi_url=None)
    threads = CapacityLimiter(THREADS)

    async def run(function, *arguments):
        return await to_thread.run_sync(function, *arguments, limiter=threads)

    @app.post("/v1/terminals/{terminal_id}/entries")
    async def post(terminal_id: str, request: Request):
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(request)
        except (TimeoutError, ClientDisconnect):
            return Response(status_code=408, headers={"Connection": "close"})
        if body is None:
            code = "too-large"
            answer = Refusal(code, f"a batch has at most {MAX_BATCH} bytes").encode()
            return _cbor(STATUS[code], answer, {"Connection": "close"})
        return _cbor(*await run(intake.post, terminal_id, body))

    @app.get("/v1/terminals/{terminal_id}/entries")
    async def get(terminal_id: str, epoch: str):
        if not is_terminal_id(terminal_id) or not (epoch.isascii() and epoch.isdigit() and int(epoch[:6]) <= MAX_EPOCH):
            return _cbor(400, Refusal("malformed", "the address names no terminal and epoch").encode())
        return _cbor(*await run(intake.get, terminal_id, int(epoch)))

    @app.get("/v1/terminals/{terminal_id}")
    async def status(terminal_id: str):
        found = await run(page.terminal, intake.store, terminal_id)
        return JSONResponse(found or {"error": "no such terminal"}, 200 if found else 404)

    @app.get("/v1/terminals")
    async def terminals():
        return await run(page.terminals, intake.store)

    @app.get("/")
    async def index():
        return HTMLResponse(await run(page.html, intake.store, intake.name, intake.signer.public))

    return app


async def _body(request):
    """The request's body, or None if it is too large."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BATCH:
            return None
        parts.append(part)
    return b"".join(parts)


def _cbor(status, content, headers=None):
    return Response(content, status, headers, media_type="application/cbor")
