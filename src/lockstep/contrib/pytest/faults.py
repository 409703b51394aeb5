"""Fixtures that break things for real: kill -9, held locks, full disks.

Owns subprocesses that are killed or hold locks; each ends with its test. Nothing
here pretends: the signal, the lock and the error are the operating system's and
the database's own.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from lockstep.engine import Database

KILL_POINT_VARIABLE = "LOCKSTEP_KILL_POINT"
RUN_TIMEOUT_S = 60


def reach(point: str) -> None:
    """Die here by SIGKILL, if this is the point that ``kill_after`` named.

    For scripts under test; elsewhere it does nothing.
    """
    if os.environ.get(KILL_POINT_VARIABLE) == point:
        os.kill(os.getpid(), signal.SIGKILL)


class KillAfter(Protocol):
    """What the fixture ``kill_after`` is."""

    def __call__(
        self,
        script: str | Path,
        *args: str,
        point: str | None = None,
        delay_s: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run ``script`` until it is killed; return what it printed."""
        ...


class LockHolder(Protocol):
    """What the fixture ``lock_holder`` is."""

    def __call__(
        self, db: Database, *, table: str | None = None
    ) -> AbstractContextManager[None]:
        """Hold the write lock (PostgreSQL: of ``table``) in another process."""
        ...


class FullDisk(Protocol):
    """What the fixture ``full_disk`` is."""

    def __call__(self, db: Database, *, pages_free: int = 0) -> None:
        """Let the SQLite file of ``db`` grow by ``pages_free`` pages, no more."""
        ...


@pytest.fixture
def kill_after() -> KillAfter:
    """Run a Python script in another process and end it by SIGKILL.

    ``script`` is a path or the program's text. It dies where it calls
    ``lockstep.contrib.pytest.faults.reach(point)``, or ``delay_s`` after its first
    output (a loaded machine may take seconds to start it). A script that ends by
    itself before that fails the test.
    """

    def run(
        script: str | Path,
        *args: str,
        point: str | None = None,
        delay_s: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        if (point is None) == (delay_s is None):
            raise ValueError("name a point or a delay, one of them")
        program = [str(script)] if isinstance(script, Path) else ["-c", script]
        process = subprocess.Popen(  # noqa: S603 - the test's own script
            [sys.executable, *program, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # so that nothing is read ahead of communicate()
            env={**os.environ, **(env or {}), KILL_POINT_VARIABLE: point or ""},
        )
        first = b"" if delay_s is None else _first_output(process)
        try:
            rest, errors = process.communicate(timeout=delay_s or RUN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            rest, errors = process.communicate()
            if delay_s is None:
                pytest.fail(f"the script never reached '{point}'\n{errors.decode()}")
        output = (first + rest).decode()
        if process.returncode != -signal.SIGKILL:
            pytest.fail(
                f"the script ended by itself ({process.returncode}) before it was "
                f"killed\n{output}\n{errors.decode()}"
            )
        return output

    return run


def _first_output(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout, "started with a pipe"
    ready, _, _ = select.select([process.stdout], [], [], RUN_TIMEOUT_S)
    return process.stdout.read(1) if ready else b""


_HOLD_SQLITE = """
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], uri=True, isolation_level=None, timeout=30)
c.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
c.execute("ROLLBACK")
c.close()
"""

_HOLD_LIBSQL = """
import sys
from lockstep.engine.hrana import dbapi
c = dbapi.connect(sys.argv[1], auth_token=sys.argv[2] or None, autocommit=True)
c.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
c.rollback()
c.close()
"""

_HOLD_POSTGRESQL = """
import psycopg, sys
with psycopg.connect(sys.argv[1]) as c:
    c.execute(psycopg.sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(
        psycopg.sql.Identifier(sys.argv[2])))
    print("held", flush=True)
    sys.stdin.read()
    c.rollback()
"""


@pytest.fixture
def lock_holder() -> LockHolder:
    """Hold a lock in another process for the length of a ``with`` block."""

    @contextmanager
    def hold(db: Database, *, table: str | None = None) -> Generator[None]:
        if db.engine_name == "sqlite":
            program, args = _HOLD_SQLITE, [db.url.sqlite_uri]
        elif db.engine_name == "libsql":
            # The server takes the lock away after five seconds, if others want it.
            program, args = _HOLD_LIBSQL, [db.url.http_url, db.url.auth_token or ""]
        else:
            if table is None:
                raise ValueError("PostgreSQL locks tables: name one")
            program, args = _HOLD_POSTGRESQL, [db.url.unmasked(), table]
        process = subprocess.Popen(  # noqa: S603 - the test's own script
            [sys.executable, "-c", program, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout, "started with a pipe"
            line = process.stdout.readline()
            if line.strip() != "held":
                _, errors = process.communicate()
                pytest.fail(f"the lock could not be taken:\n{errors}")
            yield
        finally:
            process.communicate(timeout=RUN_TIMEOUT_S)

    return hold


@pytest.fixture
def full_disk() -> FullDisk:
    """Make a SQLite database that cannot grow: SQLITE_FULL, as on a full disk."""

    def fill(db: Database, *, pages_free: int = 0) -> None:
        from sqlalchemy import event

        if db.engine_name != "sqlite":
            raise ValueError("only a SQLite file can be kept from growing")
        with db.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

        def limit(dbapi_connection: Any, record: Any) -> None:
            from lockstep.engine.sqlite_aio import on_driver

            sql = f"PRAGMA max_page_count = {pages + pages_free}"
            on_driver(dbapi_connection, lambda raw: raw.execute(sql).fetchall())

        # The limit is the connection's, so every new one gets it and the old
        # ones go.
        event.listen(db.engine, "connect", limit)
        db.engine.dispose()

    return fill
