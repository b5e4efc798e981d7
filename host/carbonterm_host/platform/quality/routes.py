"""Addresses of quality control: reports, a check now, and the steps of reviews."""

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from carbonterm.errors import AccessError, CarbonError
from carbonterm_host.platform.access.routes import bad, number, small
from carbonterm_host.platform.quality import engine, reviews

MAX_REPORTS = 100
_CHECKS = 1  # at once: a replay is work


def add(app, store, signer, run, tools):
    """Puts the addresses into the application; tools: verify and digest of `engine.examine`."""
    checks = CapacityLimiter(_CHECKS)

    @app.get("/v1/terminals/{terminal_id}/quality")
    async def reports(terminal_id: str, limit: str = "1"):
        most = number(limit, MAX_REPORTS)
        if most is None:
            return bad(f"limit is at most {MAX_REPORTS}")
        return await run(engine.reports, store, terminal_id, most)

    @app.post("/v1/terminals/{terminal_id}/quality")
    async def check(terminal_id: str, request: Request):
        def checked():
            report = engine.examine(store, terminal_id, **tools)
            engine.keep(store, report, request.scope["access"]["who"], request.scope["access"]["role"])
            return report

        try:
            return await to_thread.run_sync(checked, limiter=checks)
        except CarbonError as error:
            return bad(str(error), 404)

    @app.get("/v1/terminals/{terminal_id}/reviews")
    async def listed(terminal_id: str):
        return await run(reviews.listed, store, terminal_id)

    @app.post("/v1/terminals/{terminal_id}/reviews")
    async def step(terminal_id: str, request: Request):
        try:
            period, start_ms, action, note = reviews.parse(await small(request) or b"")
            person = request.scope["access"]["person"]
            return await run(reviews.step, store, signer, person, terminal_id, period, start_ms, action, note)
        except AccessError as error:
            return bad(str(error), 409)
