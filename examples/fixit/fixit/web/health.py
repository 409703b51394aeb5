"""``/health``: is the database there, how fast does it answer. No secrets, no login."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from lockstep import Database
from lockstep.errors import LockstepError


async def health(request: Request) -> JSONResponse:
    """Return 200 with the database's latency, or 503 when it does not answer."""
    db: Database = request.app.state.db
    headers = {"cache-control": "no-store"}
    try:
        latency_s = await run_in_threadpool(db.ping)
    except LockstepError as error:
        body = {"status": "unavailable", "database": db.engine_name, "why": error.code}
        return JSONResponse(body, status_code=503, headers=headers)
    body = {
        "status": "ok",
        "database": db.engine_name,
        "latency_ms": round(latency_s * 1000, 3),
    }
    return JSONResponse(body, headers=headers)


routes: list[BaseRoute] = [Route("/health", health, methods=["GET"])]
