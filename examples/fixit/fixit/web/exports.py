"""CSV exports: streamed, so a table of any size needs the memory of a few rows."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from fixit.services import export
from fixit.web.session import signed_in


async def export_csv(request: Request) -> Response:
    """Stream one export as a file."""
    name = request.path_params["name"]
    chunks = export.stream_csv(
        request.app.state.db, await run_in_threadpool(signed_in, request), name
    )
    return StreamingResponse(
        chunks,
        media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": f'attachment; filename="fixit-{name}.csv"',
            "cache-control": "no-store",
            "x-accel-buffering": "no",
        },
    )


routes: list[BaseRoute] = [Route("/export/{name}.csv", export_csv, methods=["GET"])]
