"""One process, one port: uvicorn around the pages.

Owns the port and the sentence that says where to look. The application itself is
``fixit.web.app``.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Generator
from contextlib import contextmanager, suppress

import uvicorn
from sqlalchemy import exists, select

from fixit.errors import FixitError
from fixit.housekeeping import tidy
from fixit.models import User
from fixit.seed import has_demo_pins
from fixit.web.app import create_app
from fixit.web.live import LiveFeed
from lockstep import Database
from lockstep.errors import LockstepError

PORT = 8000
PORTS_TRIED = 20
SHUTDOWN_S = 5
TIDY_EVERY_S = 60.0

log = logging.getLogger("fixit")


def serve(db: Database, *, host: str, port: int | None, browser: bool) -> None:
    """Serve until interrupted.

    Args:
        db: A database that ``prepare`` made ready.
        host: The address to listen on.
        port: The port; None takes 8000 or the next one that is free.
        browser: Open a browser, where there is a screen.

    Raises:
        FixitError: The port, or every port tried, is taken.
    """
    with listen(host, port) as listener:
        url = f"http://{_name(host)}:{listener.getsockname()[1]}"
        _greet(db, url)
        if browser and _has_screen():
            webbrowser.open(url)
        app = create_app(db)
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_S
        )
        # uvicorn raises Ctrl-C again after it has ended in order.
        with _kept_tidy(db), suppress(KeyboardInterrupt):
            _Server(config, app.state.live).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends the live streams at a signal; uvicorn would wait for them for ever."""

    def __init__(self, config: uvicorn.Config, live: LiveFeed) -> None:
        super().__init__(config)
        self._live = live

    async def on_tick(self, counter: int) -> bool:
        """Look for a signal ten times a second."""
        if self.should_exit:
            self._live.close()
        return await super().on_tick(counter)


def listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens; nobody can take the port meanwhile."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    candidates = range(PORT, PORT + PORTS_TRIED) if port is None else (port,)
    reason = ""
    for candidate in candidates:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            reason = error.strerror or str(error)
        else:
            return listener
    wanted = f"port {port}" if port is not None else "any port tried"
    raise FixitError(f"Cannot listen on {host}, {wanted}: {reason}.")


@contextmanager
def _kept_tidy(db: Database) -> Generator[None]:
    """Keep house in a thread while the block runs."""
    stopped = threading.Event()

    def keep() -> None:
        while True:
            try:
                tidy(db)
            except LockstepError as error:
                # Nothing is half done; the next round finds the same work again.
                log.warning("housekeeping waits: %s", error)
            if stopped.wait(TIDY_EVERY_S):
                return

    # A daemon, because Ctrl-C may come between any two of these lines.
    keeper = threading.Thread(target=keep, name="housekeeping", daemon=True)
    try:
        keeper.start()
        yield
    finally:
        stopped.set()
        keeper.join()


def _greet(db: Database, url: str) -> None:
    print(f"FixIt is at {url} (Ctrl-C ends it), its data in {db.url}", flush=True)
    with db.read_session() as session:
        nobody = not session.scalar(select(exists().where(User.id.is_not(None))))
        demo = has_demo_pins(session)
    if nobody:
        print(
            'Nobody can sign in yet: fixit create-admin ADMIN-001 "Your Name"',
            file=sys.stderr,
        )
    if demo:
        print(
            "Demo data: ADMIN-001/1234, TECH-001/5678, OP-001/0000, STORE-001/2468. "
            "Change these PINs.",
            file=sys.stderr,
        )


def _name(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - asked for on the command line
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _has_screen() -> bool:
    # Without one, some systems open a text browser on top of the log.
    if sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
