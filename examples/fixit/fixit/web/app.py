"""Puts the application together; nothing here touches the database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from fixit.web import api, errors, exports, health, live
from fixit.web.guard import (
    BodyLimit,
    RateLimit,
    Rates,
    SameOrigin,
    SecurityHeaders,
)
from fixit.web.live import LiveFeed
from fixit.web.routes import admin, login, machines, report, stock, work
from lockstep import Database

STATIC = Path(__file__).parent / "static"


def create_app(db: Database, *, rates: Rates | None = None) -> Starlette:
    """Return the ASGI application over ``db``, which stays the caller's to close.

    Args:
        db: A database whose history is at its head.
        rates: How often one address may ask; the default suits a factory.
    """
    routes: list[BaseRoute] = [
        *login.routes,
        *report.routes,
        *work.routes,
        *stock.routes,
        *machines.routes,
        *admin.routes,
        *exports.routes,
        *live.routes,
        *health.routes,
        *api.routes,
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(RateLimit, rates=rates or Rates()),
            Middleware(SameOrigin),
            Middleware(BodyLimit),
        ],
        exception_handlers=errors.handlers(),
        lifespan=_lifespan,
    )
    app.state.db = db
    app.state.live = LiveFeed(db)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncGenerator[None]:
    yield
    app.state.live.close()
