"""Puts the application together; nothing here touches the database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount

from fixit.project import files_directory
from fixit.web import api, assets, errors, exports, files, health, live
from fixit.web.guard import (
    BodyLimit,
    KnownHost,
    RateLimit,
    Rates,
    SameOrigin,
    SecurityHeaders,
    Unbroken,
)
from fixit.web.live import LiveFeed
from fixit.web.routes import admin, login, machines, report, stock, work
from lockstep import Database


def create_app(
    db: Database,
    *,
    rates: Rates | None = None,
    files_in: Callable[[], Path] = files_directory,
) -> Starlette:
    """Return the ASGI application over ``db``, which stays the caller's to close.

    Args:
        db: A database whose history is at its head.
        rates: How often one address may ask; the default suits a factory.
        files_in: Where attachments lie; asked when the first one comes.
    """
    routes: list[BaseRoute] = [
        *login.routes,
        *report.routes,
        *work.routes,
        *stock.routes,
        *machines.routes,
        *admin.routes,
        *files.routes,
        *exports.routes,
        *live.routes,
        *health.routes,
        *api.routes,
        Mount(assets.PREFIX, assets.Assets(), name="static"),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Unbroken),
            Middleware(KnownHost),
            Middleware(RateLimit, rates=rates or Rates()),
            Middleware(SameOrigin),
            Middleware(BodyLimit),
        ],
        exception_handlers=errors.handlers(),
        lifespan=_lifespan,
    )
    # A path with one slash too many is nobody's, and no reason to build an address
    # from what the request says its host is.
    app.router.redirect_slashes = False
    app.state.db = db
    app.state.live = LiveFeed(db)
    app.state.files_directory = files_in
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncGenerator[None]:
    yield
    app.state.live.close()
