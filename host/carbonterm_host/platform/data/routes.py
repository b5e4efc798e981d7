"""Addresses of the platform's data: figures by page, trends, certifications, reports of backups and checks."""

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from carbonterm.errors import StoreError
from carbonterm_host.platform.data import certify, jobs, search

_NAMES = {"kind": "kind", "period": "period", "name": "name", "from": "start", "to": "end", "after": "after",
          "limit": "limit", "by": "by"}  # fmt: skip


def add(app, store, run):
    """Puts the addresses into the application; `run(function, *arguments)` awaits a function in a thread."""

    async def answer(terminal_id, request, function):
        unknown = set(request.query_params) - set(_NAMES)
        if unknown or len(request.query_params.multi_items()) != len(request.query_params):
            return JSONResponse({"error": f"the address takes once each: {', '.join(_NAMES)}"}, 400)
        try:
            query = search.Query(**{_NAMES[name]: value for name, value in request.query_params.items()})
            logs = await run(search.logs_of, store, terminal_id)
            if not logs:
                return JSONResponse({"error": "no such terminal"}, 404)
            etag = query.etag(logs)
            headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
            if etag in [part.strip() for part in request.headers.get("if-none-match", "").split(",")]:
                return Response(status_code=304, headers=headers)
            return JSONResponse(await run(function, store, terminal_id, query), headers=headers)
        except StoreError as error:
            return JSONResponse({"error": error.what, "hint": error.hint}, 400)

    @app.get("/v1/terminals/{terminal_id}/figures")
    async def figures(terminal_id: str, request: Request):
        return await answer(terminal_id, request, search.page)

    @app.get("/v1/terminals/{terminal_id}/trend")
    async def trend(terminal_id: str, request: Request):
        return await answer(terminal_id, request, search.trend)

    @app.get("/v1/terminals/{terminal_id}/certifications")
    async def certifications(terminal_id: str):
        return await run(certify.listed, store, terminal_id)

    @app.get("/v1/upkeep")
    async def upkeep():
        return await run(jobs.reports, store)
