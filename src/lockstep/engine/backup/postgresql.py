"""PostgreSQL: dump one instant, count it, restore it, compare.

Owns the exported snapshot that pg_dump and the digests share, and what a restore does
to a server. It knows no final name: ``files.py`` publishes.

    REPEATABLE READ ──► LOCK … ACCESS SHARE ──► pg_export_snapshot
                                                 ├─► pg_dump --snapshot ──► partial
                                                 └─► rows and digests, in the server

Invariants: digests and archive are the same instant, and no ALTER or TRUNCATE comes
between; an archive is restored into a database that is empty, in one transaction; a
database that is replaced is renamed together with its successor, in one transaction,
and kept.

See https://www.postgresql.org/docs/current/app-pgdump.html (--snapshot)
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

from lockstep.engine.backup.content import OnProgress, RowSum, Step, TableContent
from lockstep.engine.backup.files import stamp
from lockstep.engine.backup.postgresql_facts import carry_over
from lockstep.engine.backup.programs import Program, find_program, running
from lockstep.engine.sessions import raise_classified
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import (
    BackupFailed,
    Busy,
    MissingExtraError,
    PoolerIncompatible,
    StorageFailed,
)

if TYPE_CHECKING:
    import psycopg

    from lockstep.config import PostgresqlSettings

VERSION_TABLE = "alembic_version"
NAME_BYTES_MAX = 63
ROOM_BYTES_MIN = 64 * 1024
"""With less, a failure of pg_dump is one of the disk: it writes pieces of 4 KB."""

# What turns values into text must not depend on the server's or the user's taste.
_CANONICAL: LiteralString = """
    SET LOCAL DateStyle = 'ISO, YMD';
    SET LOCAL IntervalStyle = 'postgres';
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL extra_float_digits = 3;
    SET LOCAL bytea_output = 'hex';
    SET LOCAL lc_monetary = 'C';
    SET LOCAL row_security = off;
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL search_path = ''
"""

# Tables of the user: not the system's, not an extension's, no other session's
# temporary ones. Partitions are counted, the table over them has no rows itself.
_USER_RELATIONS: LiteralString = """
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                        AND d.objid = c.oid AND d.deptype = 'e')
"""
_TABLES: LiteralString = f"""
    SELECT n.nspname, c.relname,
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                 ORDER BY a.attnum)
    {_USER_RELATIONS} AND c.relkind = 'r' ORDER BY 1, 2
"""  # noqa: S608 - constants of this module; so the next two
_RELATIONS: LiteralString = f"""
    SELECT n.nspname::text || '.' || c.relname || ' ' || c.relkind::text
    {_USER_RELATIONS}
"""
_CONSTRAINTS: LiteralString = f"""
    SELECT r.name || ' ' || k.conname FROM pg_catalog.pg_constraint AS k
    JOIN (SELECT c.oid AS table_oid, n.nspname::text || '.' || c.relname AS name
          {_USER_RELATIONS}) AS r ON r.table_oid = k.conrelid
    WHERE k.contype IN ('p', 'u', 'f', 'c', 'x')
"""  # noqa: S608
_SUMS: LiteralString = """
    SELECT count(*),
           coalesce(sum(('x' || encode(substr(h, 1, 8), 'hex'))::bit(64)::bigint), 0),
           coalesce(sum(('x' || encode(substr(h, 9, 8), 'hex'))::bit(64)::bigint), 0)
    FROM (SELECT sha256(convert_to((lockstep_row.*)::text, 'UTF8')) AS h
          FROM ONLY {} AS lockstep_row) AS hashed
"""


@dataclass(frozen=True, slots=True)
class PostgresqlSnapshot:
    """What was dumped, as of its instant."""

    tables: tuple[TableContent, ...]
    revisions: tuple[str, ...]
    server_version: str
    program: Program


def dump_database(
    url: DatabaseUrl,
    settings: PostgresqlSettings,
    partial: Path,
    on_progress: OnProgress,
) -> PostgresqlSnapshot:
    """Dump the database of ``url`` into the file ``partial``.

    Raises:
        PoolerIncompatible: The URL leads through a transaction pooler.
        ProgramMissing: There is no pg_dump that is new enough.
        BackupFailed: pg_dump failed.
        StorageFailed: It failed where there is no room.
    """
    refuse_pooler(url, settings)
    with connected(url) as connection:
        server_major = connection.info.server_version // 10_000
        program = find_program("pg_dump", server_major)
        revisions = _revisions(connection)
        connection.rollback()
        connection.isolation_level = _repeatable_read()
        connection.read_only = True
        connection.execute(_CANONICAL)
        tables = _tables(connection)
        snapshot = _one(connection, "SELECT pg_export_snapshot()")
        # Some changes of a table are seen by older snapshots too; none may come
        # between the digest and the dump.
        _lock(connection, tables)
        arguments = ["--format=custom", f"--snapshot={snapshot}", f"--file={partial}"]
        with _telling_of_room(partial), running(program, arguments, url) as run:
            content = tuple(_content(connection, tables, on_progress, "reading"))
            while not run.wait():
                size = partial.stat().st_size
                on_progress(Step("pg_dump", size, None, "bytes"))
        version = _one(connection, "SHOW server_version")
        connection.rollback()
    return PostgresqlSnapshot(content, revisions, version, program)


@contextmanager
def _telling_of_room(partial: Path) -> Generator[None]:
    """Say so when pg_dump failed for want of room: it tells only in words."""
    try:
        yield
    except BackupFailed as error:
        free = shutil.disk_usage(partial.parent).free
        if free >= ROOM_BYTES_MIN:
            raise
        raise StorageFailed(
            f"there are {free:,} bytes free in {partial.parent}: {error.message}",
            hint="make room, or name another folder; earlier backups are untouched",
            detail=error.detail,
        ) from error


def refuse_pooler(url: DatabaseUrl, settings: PostgresqlSettings) -> None:
    """Refuse a transaction pooler.

    Raises:
        PoolerIncompatible: It is one; a snapshot is exported by one session.
    """
    if settings.pooler == "transaction" or (
        settings.pooler == "auto" and url.pooler_likely
    ):
        raise PoolerIncompatible("pg_dump and pg_restore need a session of their own")


@contextmanager
def connected(
    url: DatabaseUrl, *, autocommit: bool = False
) -> Generator[psycopg.Connection[tuple[Any, ...]]]:
    """Open a plain connection; what it raises is classified."""
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError("PostgreSQL", extra="pg") from error
    try:
        with psycopg.connect(
            url.unmasked(),
            autocommit=autocommit,
            fallback_application_name="lockstep backup",
        ) as connection:
            yield connection
    except psycopg.Error as error:
        raise_classified(error)


def _repeatable_read() -> Any:
    import psycopg

    return psycopg.IsolationLevel.REPEATABLE_READ


def _one(connection: psycopg.Connection[Any], sql: LiteralString) -> Any:
    row = connection.execute(sql).fetchone()
    assert row is not None, "the statement always returns one row"
    return row[0]


def _revisions(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    if _one(connection, f"SELECT to_regclass('{VERSION_TABLE}')") is None:
        return ()
    rows = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608
    return tuple(sorted(str(number) for (number,) in rows))


_Listed = tuple[str, str, list[str]]


def _tables(connection: psycopg.Connection[Any]) -> list[_Listed]:
    rows: list[_Listed] = connection.execute(_TABLES).fetchall()
    return rows


def _lock(connection: psycopg.Connection[Any], tables: list[_Listed]) -> None:
    from psycopg import sql

    if tables:
        names = sql.SQL(", ").join(sql.Identifier(*table[:2]) for table in tables)
        command = sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE")
        connection.execute(command.format(names))


def read_content(
    url: DatabaseUrl, on_progress: OnProgress, task: str
) -> tuple[TableContent, ...]:
    """Return rows and digest of every table of a database, of one snapshot."""
    with connected(url) as connection:
        connection.isolation_level = _repeatable_read()
        connection.read_only = True
        connection.execute(_CANONICAL)
        tables = _tables(connection)
        content = tuple(_content(connection, tables, on_progress, task))
        connection.rollback()
    return content


def _content(
    connection: psycopg.Connection[Any],
    tables: list[_Listed],
    on_progress: OnProgress,
    task: str,
) -> Generator[TableContent]:
    from psycopg import sql

    # The names of everything that is not a row: a lost index is noticed.
    catalogs: list[tuple[str, LiteralString]] = [
        ("pg_class", _RELATIONS),
        ("pg_constraint", _CONSTRAINTS),
    ]
    for name, query in catalogs:
        total = RowSum()
        for (text,) in connection.execute(query):
            total.add(str(text).encode())
        yield TableContent(name, ("name",), total.rows, total.digest)
    for done, (schema, table, columns) in enumerate(tables):
        on_progress(Step(f"{task} {schema}.{table}", done, len(tables), "tables"))
        total = RowSum()
        sums = connection.execute(
            sql.SQL(_SUMS).format(sql.Identifier(schema, table))
        ).fetchone()
        assert sums is not None, "an aggregate always returns one row"
        total.add_sums(*map(int, sums))
        yield TableContent(
            f"{schema}.{table}", tuple(columns), total.rows, total.digest
        )


def refuse_others(url: DatabaseUrl) -> None:
    """Refuse a database that somebody is connected to, before any work is done.

    Raises:
        Busy: Somebody is; it could not be renamed.
    """
    with connected(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchone()
    others: int = row[0] if row else 0
    if others:
        raise Busy(
            f"{others} other sessions are connected to {url}",
            hint="stop the application, then try again; nothing was changed",
            detail={"sessions": others},
        )


def is_empty(url: DatabaseUrl) -> bool:
    """Return whether a database has no relation of a user."""
    with connected(url) as connection:
        return connection.execute(_RELATIONS + " LIMIT 1").fetchone() is None


def restore_archive(
    archive: Path,
    url: DatabaseUrl,
    dumped_by_major: int,
    on_progress: OnProgress,
    *,
    owners: bool = False,
) -> None:
    """Restore ``archive`` into the empty database of ``url``, or nothing of it.

    Raises:
        ProgramMissing: There is no pg_restore that reads the archive.
        BackupFailed: pg_restore failed, and took everything back.
    """
    from psycopg.conninfo import make_conninfo

    program = find_program("pg_restore", dumped_by_major)
    # As a connection string, so that no character of the name means something else.
    database = make_conninfo(dbname=url.sqlalchemy_url().database or "")
    arguments = [f"--dbname={database}", "--single-transaction", "--exit-on-error"]
    if not owners:
        arguments += ["--no-owner", "--no-privileges"]
    with running(program, [*arguments, str(archive)], url) as run:
        seconds = 0.0
        while not run.wait(1.0):
            seconds += 1.0
            on_progress(Step("pg_restore", int(seconds), None, "seconds"))


@contextmanager
def successor_of(url: DatabaseUrl) -> Generator[DatabaseUrl]:
    """Make an empty database like that of ``url`` beside it; yield its URL.

    It is dropped at the end, unless :func:`take_over` has renamed it.
    """
    from psycopg import sql

    name = url.sqlalchemy_url().database or ""
    new = f"lockstep_restore_{secrets.token_hex(6)}"
    with connected(url, autocommit=True) as connection:
        connection.execute(_create_like(connection, name, new))
    try:
        with connected(_neighbour(url)) as connection:
            # Hours before it counts: whether the user may.
            carry_over(connection, name, new)
            connection.rollback()
        yield _named(url, new)
    finally:
        with connected(_neighbour(url), autocommit=True) as connection:
            drop = sql.SQL("DROP DATABASE IF EXISTS {}")
            connection.execute(drop.format(sql.Identifier(new)))


def _create_like(connection: psycopg.Connection[Any], name: str, new: str) -> Any:
    """Return CREATE DATABASE for one with the owner, encoding and locale of another."""
    from psycopg import sql

    # As JSON, because the columns' names differ between versions.
    row = connection.execute(
        "SELECT to_jsonb(d), pg_get_userbyid(datdba), pg_encoding_to_char(encoding)"
        " FROM pg_database AS d WHERE datname = %s",
        (name,),
    ).fetchone()
    assert row is not None, "the database that one is connected to exists"
    facts: dict[str, Any] = row[0]
    command = sql.SQL(
        "CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {}"
        " LC_COLLATE {} LC_CTYPE {}"
    ).format(
        sql.Identifier(new),
        sql.Identifier(row[1]),
        *map(sql.Literal, (row[2], facts["datcollate"], facts["datctype"])),
    )
    if facts.get("datlocprovider") == "i":
        locale = facts.get("datlocale") or facts.get("daticulocale")
        command += sql.SQL(" LOCALE_PROVIDER icu ICU_LOCALE {}").format(
            sql.Literal(locale)
        )
    return command


def take_over(url: DatabaseUrl, successor: DatabaseUrl, moment: datetime) -> str:
    """Give ``successor`` the name of the database of ``url``; return the old one's.

    And its settings and privileges. All of it is one transaction.

    Raises:
        Busy: Somebody is connected to the old database.
    """
    from psycopg import sql

    name = url.sqlalchemy_url().database or ""
    tail = f"_before_restore_{stamp(moment).lower()}"
    cut = name.encode()[: NAME_BYTES_MAX - len(tail)].decode(errors="ignore")
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    new = successor.sqlalchemy_url().database or ""
    with connected(_neighbour(url)) as connection:
        carry_over(connection, name, new)
        for before, after in ((name, cut + tail), (new, name)):
            connection.execute(
                rename.format(sql.Identifier(before), sql.Identifier(after))
            )
    return cut + tail


def _neighbour(url: DatabaseUrl) -> DatabaseUrl:
    """Return another database of the server: one's own cannot be renamed."""
    ours = url.sqlalchemy_url().database
    return _named(url, "postgres" if ours != "postgres" else "template1")


def _named(url: DatabaseUrl, database: str) -> DatabaseUrl:
    renamed = url.sqlalchemy_url().set(drivername="postgresql", database=database)
    return DatabaseUrl.parse(renamed)
