"""Addresses of inventories: a terminal's totals, its boundary as a page, the enterprises."""

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse

from carbonterm.errors import CarbonError
from carbonterm_host.platform import page
from carbonterm_host.platform.inventory import enterprises, figures, notices


def add(app, store, run):
    """Puts the addresses into the application; `run(function, *arguments)` awaits a function in a thread."""

    @app.get("/v1/terminals/{terminal_id}/inventory")
    async def inventory(terminal_id: str, period: str | None = None):
        try:
            found = await run(figures.of, store, terminal_id, period)
        except CarbonError as error:
            return JSONResponse({"error": error.what, "hint": error.hint}, 400)
        return JSONResponse(found or {"error": "no such terminal, or it has no site document"}, 200 if found else 404)

    @app.get("/v1/terminals/{terminal_id}/boundary")
    async def boundary(terminal_id: str):
        found = await run(notices.drawn, store, terminal_id)
        return HTMLResponse(found or "no such terminal, or it has no site document", 200 if found else 404)

    @app.get("/v1/enterprises")
    async def listed(request: Request, type: str = "", sort: str = "name"):
        hidden = request.scope["access"]["hidden"]
        names = [row["terminal"] for row in await run(page.terminals, store) if row["terminal"] not in hidden]
        try:
            return await run(enterprises.listed, store, names, type, sort)
        except CarbonError as error:
            return JSONResponse({"error": error.what, "hint": error.hint}, 400)
