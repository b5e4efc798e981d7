"""The platform's HTTP face: the uplink's two addresses for terminals, and what people look at.

Bodies are bounded while they are read; checking and the store run in threads, so that the event loop answers others
meanwhile.
"""

import asyncio

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from carbonterm.errors import CarbonError
from carbonterm.ledger.entry import MAX_EPOCH, MAX_SEQ, is_terminal_id
from carbonterm.uplink.message import MAX_BATCH, Refusal
from carbonterm_host.platform import bundles, page
from carbonterm_host.platform.access import routes
from carbonterm_host.platform.access.gate import Access, Gate
from carbonterm_host.platform.data import routes as data_routes
from carbonterm_host.platform.intake import STATUS
from carbonterm_host.platform.inventory import routes as inventory
from carbonterm_host.platform.quality import routes as quality
from carbonterm_host.platform.registrar import Registrar

BODY_S = 60  # to send a whole body
THREADS = 4


def application(intake, registrar=None):
    """The ASGI application of one centre; without a Registrar it takes no operator's word."""
    registrar = registrar or Registrar(intake.store, {})
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
    async def get(terminal_id: str, epoch: str, size: str = ""):
        if not is_terminal_id(terminal_id) or not _number(epoch, MAX_EPOCH) or (size and not _number(size, MAX_SEQ)):
            return _cbor(400, Refusal("malformed", "the address names no terminal, epoch and size").encode())
        return _cbor(*await run(intake.get, terminal_id, int(epoch), int(size) if size else None))

    @app.get("/v1/terminals/{terminal_id}/registry")
    async def registry(terminal_id: str):
        return _cbor(200, await run(registrar.statements, terminal_id))

    @app.post("/v1/registrations")
    async def register(request: Request):
        return await _statement(request, registrar.register)

    @app.post("/v1/revocations")
    async def revoke(request: Request):
        return await _statement(request, registrar.revoke)

    async def _statement(request, function):
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(request)
        except (TimeoutError, ClientDisconnect):
            return Response(status_code=408, headers={"Connection": "close"})
        if body is None:
            return _cbor(413, Refusal("too-large", "this is no statement").encode(), {"Connection": "close"})
        return _cbor(*await run(function, body))

    @app.get("/v1/terminals/{terminal_id}")
    async def status(terminal_id: str):
        found = await run(page.terminal, intake.store, terminal_id)
        return JSONResponse(found or {"error": "no such terminal"}, 200 if found else 404)

    @app.get("/v1/terminals/{terminal_id}/bundle")
    async def bundle(terminal_id: str):
        try:
            pieces = await run(bundles.pieces, intake.store, terminal_id, (intake.name, intake.signer.public))
        except CarbonError as error:
            return JSONResponse({"error": error.what}, 404)
        name = {"Content-Disposition": f'attachment; filename="{terminal_id}.bundle"'}
        return StreamingResponse(pieces, headers=name, media_type="application/octet-stream")

    @app.get("/v1/terminals")
    async def terminals(request: Request):
        hidden = request.scope["access"]["hidden"]
        return [row for row in await run(page.terminals, intake.store) if row["terminal"] not in hidden]

    @app.get("/")
    async def index(request: Request):
        asks = request.scope["access"]
        return HTMLResponse(await run(page.html, intake.store, intake.name, intake.signer.public, asks))

    access = Access(intake.store, intake.name, intake.signer)
    routes.add(app, access, run)
    data_routes.add(app, intake.store, run)
    inventory.add(app, intake.store, run)
    quality.add(app, intake.store, intake.signer, run, intake.tools())
    app.state.access = access
    app.add_middleware(Gate, access=access, routes=app.routes)
    return app


def _number(text, most):
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most


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
