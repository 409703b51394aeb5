"""SQLite: copy a database that is being written to, check copies, put one back.

Owns connections of its own, so that no setting of a pooled one changes. It knows no
final name: ``files.py`` publishes what this module made and checked.

    source ──BEGIN──┬─► pages, some at a time ──► partial ──► integrity_check, rows
                    └─► rows and digests, same snapshot ──────────► compare

Invariants: one read transaction spans the copy and the digests, so both are the same
instant and a writer that never stops cannot make the copy start again (without it
SQLite restarts at every commit; in WAL mode the writer is not held up by it, and the
log grows meanwhile). A copy is one file: no WAL belongs to it. A database that is put
back replaces the old content in one transaction of SQLite's own, on the same file, so
a kill leaves one or the other and no stale ``-wal`` can be taken for the new one's.

See https://sqlite.org/backup.html and https://sqlite.org/c3ref/backup_finish.html
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lockstep.engine.backup.content import (
    OnProgress,
    RowSum,
    Step,
    TableContent,
    TableDifference,
    compare,
    unreadable,
)
from lockstep.engine.backup.files import check_free_space, flush_file
from lockstep.engine.sqlite_errors import classify_opening
from lockstep.engine.sqlite_files import (
    check_filesystem,
    check_folder,
    check_is_there,
    check_second_library,
    note_closed,
    note_opening,
)
from lockstep.engine.sqlite_wal import use_wal
from lockstep.errors import BackupFailed, Busy

if TYPE_CHECKING:
    from lockstep.config import SqliteSettings
    from lockstep.engine.urls import DatabaseUrl

PAGES_PER_STEP = 2048
"""Eight megabytes of usual pages: often enough for a progress line and Ctrl-C."""

ROWS_PER_FETCH = 1000
PROBLEMS_MAX = 20
"""Lines of ``integrity_check`` that are told."""

SCHEMA_TABLE = "sqlite_schema"
COUNT_OBJECTS = "SELECT count(*) FROM sqlite_schema"
VERSION_TABLE = "alembic_version"


@dataclass(frozen=True, slots=True)
class SqliteSnapshot:
    """What was copied, as of its instant."""

    tables: tuple[TableContent, ...]
    revisions: tuple[str, ...]
    foreign_key_violations: int


def copy_database(
    url: DatabaseUrl,
    settings: SqliteSettings,
    partial: Path,
    on_progress: OnProgress,
) -> SqliteSnapshot:
    """Copy the database of ``url`` into the file ``partial``, and check the copy.

    Raises:
        BackupFailed: The copy is not sound, or not equal to the source.
        StorageFailed: There is not enough room.
    """
    with open_source(url, settings) as source:
        source.execute("BEGIN")
        # A transaction has no snapshot before its first read.
        source.execute(COUNT_OBJECTS).fetchone()
        check_free_space(partial.parent, _size_bytes(source))
        _copy_pages(source, partial, on_progress)
        revisions = _revisions(source)
        tables = tuple(read_content(source, on_progress, "reading"))
        source.execute("ROLLBACK")
    flush_file(partial)
    problems, differences, violations = check_copy(partial, tables, on_progress)
    if problems or differences:
        names = [difference.name for difference in differences]
        raise BackupFailed(
            "the copy is not sound: "
            + "; ".join([*problems[:3], *(f"table {name} differs" for name in names)]),
            hint="check the database: PRAGMA integrity_check; then the disk",
            detail={"problems": problems, "tables": names},
        )
    return SqliteSnapshot(tables, revisions, violations)


def describe_copy(path: Path, on_progress: OnProgress) -> SqliteSnapshot:
    """Check a file that something else copied, and say what it holds.

    Raises:
        BackupFailed: The file is not sound.
    """
    flush_file(path)
    with _closing(sqlite3.connect(path)) as copy:
        # Not vacuumed: that would number the rows of tables without a key anew.
        revisions = _revisions(copy)
        tables = tuple(read_content(copy, on_progress, "reading"))
    problems, _, violations = check_copy(path, tables, on_progress)
    if problems:
        raise BackupFailed(
            "the copy is not sound: " + "; ".join(problems[:3]),
            hint="lockstep db doctor names what is wrong in the database itself",
            detail={"problems": problems},
        )
    return SqliteSnapshot(tables, revisions, violations)


@contextmanager
def open_source(
    url: DatabaseUrl, settings: SqliteSettings
) -> Generator[sqlite3.Connection]:
    """Open a database for reading, with the checks every connection gets."""
    path = url.path
    if path is None:
        with _closing(sqlite3.connect(url.sqlite_uri, uri=True)) as connection:
            yield connection
        return
    check_is_there(path)
    with _checked(path, settings) as connection:
        yield connection


@contextmanager
def _checked(path: Path, settings: SqliteSettings) -> Generator[sqlite3.Connection]:
    check_folder(path, read_only=False)
    check_filesystem(path, settings)
    check_second_library(path, settings)
    note_opening(path)
    try:
        # rw, not ro: a log that a killed process left must be recovered to be read.
        mode = "rw" if os.access(path, os.W_OK) else "ro"
        uri = f"file:{quote(os.fsencode(path))}?mode={mode}"
        connection = _opened(path, uri, settings.busy_timeout_s)
        with _closing(connection):
            yield connection
    finally:
        note_closed(path)


def _opened(path: Path, uri: str, timeout_s: float) -> sqlite3.Connection:
    """Connect and read something, which tells a database from any other file."""
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=timeout_s)
        try:
            connection.execute(COUNT_OBJECTS).fetchone()
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise classify_opening(error, path) from error
    return connection


@contextmanager
def _closing(connection: sqlite3.Connection) -> Generator[sqlite3.Connection]:
    connection.isolation_level = None
    try:
        yield connection
    finally:
        connection.close()


def _size_bytes(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return pages * size


def _copy_pages(
    source: sqlite3.Connection, partial: Path, on_progress: OnProgress
) -> None:
    def tell(_status: int, remaining: int, total: int) -> None:
        on_progress(Step("copying", total - remaining, total, "pages"))

    with _closing(sqlite3.connect(partial)) as target:
        # A partial file that a power cut leaves is thrown away; it is flushed once,
        # before it gets its name.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target, pages=PAGES_PER_STEP, progress=tell)
    with _closing(sqlite3.connect(partial)) as target:
        # The header came along, and says WAL: then even a reader would need to make
        # two files beside the copy.
        target.execute("PRAGMA synchronous = OFF")
        (mode,) = target.execute("PRAGMA journal_mode = DELETE").fetchone()
        assert mode == "delete", "nobody else knows the partial file's name"


def _revisions(connection: sqlite3.Connection) -> tuple[str, ...]:
    there = connection.execute(
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?",
        (VERSION_TABLE,),
    ).fetchone()
    if there is None:
        return ()
    rows = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608
    return tuple(sorted(str(number) for (number,) in rows))


def read_content(
    connection: sqlite3.Connection, on_progress: OnProgress, task: str
) -> Generator[TableContent]:
    """Yield rows and digest of every table, as of the transaction's snapshot.

    Virtual tables are left out: their content lies in ordinary shadow tables, which
    are counted. The schema counts as one more table, so a lost index is noticed.
    """
    listed = connection.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main'"
        " AND type IN ('table', 'shadow') AND name != 'sqlite_schema' ORDER BY name"
    ).fetchall()
    names = [str(name) for (name,) in listed]
    for done, name in enumerate([SCHEMA_TABLE, *names]):
        on_progress(Step(f"{task} {name}", done, len(names) + 1, "tables"))
        if name == SCHEMA_TABLE:
            columns = ("type", "name", "tbl_name", "sql")
        else:
            columns = _stored_columns(connection, name)
        yield _table_content(connection, name, columns)


def _stored_columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    # A generated column follows from the others, and may need a function that only
    # the application's connections have.
    rows = connection.execute(
        "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", (table,)
    )
    return tuple(str(name) for (name,) in rows)


def _table_content(
    connection: sqlite3.Connection, name: str, columns: tuple[str, ...]
) -> TableContent:
    total = RowSum()
    listed = ", ".join(map(_quoted, columns))
    before = connection.text_factory
    # Text may be no UTF-8, and must not look like a blob: bytearray against bytes.
    connection.text_factory = bytearray
    try:
        cursor = connection.execute(f"SELECT {listed} FROM {_quoted(name)}")  # noqa: S608
        while rows := cursor.fetchmany(ROWS_PER_FETCH):
            for row in rows:
                total.add(repr(row).encode("ascii"))
    finally:
        connection.text_factory = before
    return TableContent(name, columns, total.rows, total.digest)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def check_copy(
    path: Path, expected: tuple[TableContent, ...], on_progress: OnProgress
) -> tuple[list[str], list[TableDifference], int]:
    """Return what is wrong with a copy that nobody else uses.

    Returns:
        What SQLite says about the file, the tables that differ, and how many rows
        point at nothing (a fact of the source as well, so no fault of the copy).
    """
    on_progress(Step("checking the copy", 0, None, "pages"))
    uri = f"file:{quote(os.fsencode(path))}?mode=ro"
    try:
        with _closing(sqlite3.connect(uri, uri=True)) as connection:
            problems = integrity_problems(connection)
            violations = len(
                connection.execute("PRAGMA foreign_key_check").fetchmany(100_000)
            )
            found = list(read_content(connection, on_progress, "comparing"))
    except sqlite3.DatabaseError as error:
        return [f"SQLite cannot read it: {error}"], unreadable(expected), 0
    return problems, compare(expected, found), violations


def integrity_problems(connection: sqlite3.Connection) -> list[str]:
    """Return what ``integrity_check`` finds; empty when the file is sound."""
    rows: list[Any] = connection.execute(
        f"PRAGMA integrity_check({PROBLEMS_MAX})"
    ).fetchall()
    lines = [str(line) for (line,) in rows]
    return [] if lines == ["ok"] else lines


def has_tables(path: Path) -> bool:
    """Return whether a SQLite file holds anything; one that is missing does not."""
    if not path.exists() or path.stat().st_size == 0:
        return False
    uri = f"file:{quote(os.fsencode(path))}?mode=rw"
    with _closing(sqlite3.connect(uri, uri=True)) as connection:
        (objects,) = connection.execute(COUNT_OBJECTS).fetchone()
    return objects > 0


@contextmanager
def alone(path: Path, settings: SqliteSettings) -> Generator[sqlite3.Connection]:
    """Open an existing file so that nobody else can, until the block ends.

    Everything of its log is in the file then, and ``-wal`` and ``-shm`` are gone.

    Raises:
        Busy: Another connection has it open, of this process or of another one.
    """
    with _checked(path, settings) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            # Needs the file alone, and takes the log in; says so if it cannot.
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            if mode == "delete":
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            mode = "wal"
        if mode != "delete":
            raise Busy(
                f"{path} is open in another program, or in this one",
                hint="stop the application, then try again; nothing was changed",
            )
        yield connection


def replace_content(
    target: sqlite3.Connection, copy: Path, on_progress: OnProgress
) -> None:
    """Make ``target``, held by :func:`alone`, hold what ``copy`` holds.

    One transaction: killed at any instant, the file has the old content (its next
    opening rolls the journal back) or the new one.
    """

    def tell(_status: int, remaining: int, total: int) -> None:
        on_progress(Step("putting in place", total - remaining, total, "pages"))

    # EXTRA also flushes the folder after the journal is gone.
    target.execute("PRAGMA synchronous = EXTRA")
    with _closing(sqlite3.connect(copy)) as source:
        source.backup(target, pages=PAGES_PER_STEP, progress=tell)


def let_be_written(path: Path, settings: SqliteSettings) -> None:
    """Give a restored file the journal mode in which readers do not stop a write.

    Its first writer would do so, but not from inside a read session of its own.
    """
    with _checked(path, settings) as connection:
        use_wal(connection, settings.busy_timeout_s)


def copy_aside(
    source: sqlite3.Connection, partial: Path, on_progress: OnProgress
) -> None:
    """Copy what ``alone`` holds into ``partial`` and flush it."""
    _copy_pages(source, partial, on_progress)
    flush_file(partial)
