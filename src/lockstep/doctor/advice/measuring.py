"""Measure a database for the decision: size, disk, holders, commits per second.

Owns how each number is found without changing anything. A SQLite file is opened as
the doctor opens it; commits of others are seen by ``PRAGMA data_version``, which
tells that somebody committed, not how often, so what is counted is a lower bound.
PostgreSQL's transaction counter tells the writing transactions of the whole server.
"""

from __future__ import annotations

import ipaddress
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.doctor.advice.situation import Facts, Verdict
from lockstep.doctor.limits import Limits
from lockstep.doctor.postgresql.connecting import connected
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.processes import holders_of
from lockstep.doctor.sqlite.catalog import read_catalog
from lockstep.doctor.sqlite.opening import Opened, opened
from lockstep.doctor.sqlite.served import served
from lockstep.doctor.targets import Target
from lockstep.engine.sqlite_files import network_mount_of

if TYPE_CHECKING:
    from lockstep.config import Settings
    from lockstep.engine import DatabaseUrl

WATCH_S = 3.0
_POLL_S, _ROLLBACK_POLL_S = 0.01, 0.25
"""A look at a file in rollback mode keeps writers out for a moment: rarely, then."""


def measure(
    target: Target, *, watch_s: float = WATCH_S, settings: Settings | None = None
) -> Facts:
    """Return what can be measured of a database.

    Args:
        target: A SQLite file, a libSQL server's or a PostgreSQL database.
        watch_s: Seconds to watch for writes; 0 watches not at all.
        settings: Of the project; may hold a libSQL server's token.

    Raises:
        Unexaminable: The file is no database, or cannot be read.
        ConnectionLost: The server cannot be reached.
    """
    assert target.url is not None, "a database has a URL"
    if target.kind == "postgresql":
        return _of_postgresql(target.url, watch_s)
    if target.path is None:
        return _of_libsql(target.url, settings)
    return _of_file(target.path, watch_s)


def _of_file(path: Path, watch_s: float) -> Facts:
    mount = network_mount_of(path.resolve())
    with opened(path) as database:
        size = path.stat().st_size + (database.beside.wal_bytes or 0)
        tables = len(read_catalog(database).tables)
        mode = database.connection.execute("PRAGMA journal_mode").fetchone()[0]
        commits, watched_s = _watch_file(database, watch_s)
    rate = commits / watched_s * 3600 if watched_s else None
    return Facts(
        target=str(path),
        now="stay-on-sqlite",
        size_bytes=size,
        tables=tables,
        journal_mode="wal" if database.uses_wal else str(mode),
        file_system="" if mount is None else mount.filesystem,
        processes=len(holders_of(path)),
        writes_per_hour=rate,
        watched_s=round(watched_s, 3),
    )


def _watch_file(database: Opened, watch_s: float) -> tuple[int, float]:
    """Return how often others were seen to commit, and in how many seconds."""
    if not watch_s or database.how == "immutable":
        return 0, 0.0
    connection = database.connection
    step_s = _POLL_S if database.uses_wal else _ROLLBACK_POLL_S
    started = time.monotonic()
    commits, last = 0, connection.execute("PRAGMA data_version").fetchone()[0]
    while time.monotonic() - started < watch_s:
        time.sleep(min(step_s, watch_s))
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        commits += version != last
        last = version
    return commits, time.monotonic() - started


def _of_libsql(url: DatabaseUrl, settings: Settings | None) -> Facts:
    with served(url, settings) as database:
        (pages,) = database.connection.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = database.connection.execute("PRAGMA page_size").fetchone()
        tables = len(read_catalog(database).tables)
    return Facts(
        target=str(url),
        now="libsql-server",
        size_bytes=pages * page_bytes,
        tables=tables,
    )


def _of_postgresql(url: DatabaseUrl, watch_s: float) -> Facts:
    with connected(url) as connection:
        context = PostgresqlContext(url, connection, Limits())
        size = context.value("SELECT pg_database_size(current_database())")
        used = context.value(
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        allowed = int(context.setting("max_connections"))
        number = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        started, first = time.monotonic(), context.value(number)
        time.sleep(watch_s)
        last, watched_s = context.value(number), time.monotonic() - started
        now: Verdict = "postgresql-local" if _is_near(url) else "postgresql-hosted"
        return Facts(
            target=str(url),
            now=now,
            size_bytes=int(size),
            tables=len(context.tables),
            connections=(int(used), allowed),
            writes_per_hour=(last - first) / watched_s * 3600 if watch_s else None,
            watched_s=round(watched_s, 3) if watch_s else 0.0,
        )


def _is_near(url: DatabaseUrl) -> bool:
    """Return whether the server is on this host or in a private network."""
    host = url.sqlalchemy_url().host or ""
    if not host or host.startswith("/") or ("." not in host and ":" not in host):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.endswith((".local", ".lan", ".internal", ".localhost"))
    return address.is_private or address.is_loopback
