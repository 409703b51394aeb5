"""``vacuum``: give back the space that deleted rows left behind.

Owns what is checked before and what is said after. It changes no row and no schema.

SQLite writes the whole file anew, so it needs room for that and the write lock for as
long. ``auto_vacuum`` is a property of the file that only a VACUUM can change: the
pragma alone does nothing on a file that has tables.

See https://sqlite.org/lang_vacuum.html and https://sqlite.org/pragma.html#pragma_auto_vacuum
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

from lockstep.engine.backup.files import check_free_space
from lockstep.engine.sessions import raise_classified
from lockstep.errors import ConfigError, UnsupportedCapability

if TYPE_CHECKING:
    from lockstep.engine.database import Database

AutoVacuum = Literal["none", "full", "incremental"]
"""In the order of SQLite's numbers for them."""


_SERVERS_PAGES_MIN = 65_536
"""libsql-server leaves smaller databases as they are: 256 MiB."""


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What a vacuum did.

    Attributes:
        before_bytes: Size of the file with its log, or of the server's database.
        after_bytes: The same, afterwards.
        auto_vacuum: SQLite: how the file gives space back by itself; else None.
        elapsed_s: How long it took.
    """

    before_bytes: int
    after_bytes: int
    auto_vacuum: AutoVacuum | None
    elapsed_s: float

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        gained = self.before_bytes - self.after_bytes
        return {**asdict(self), "gained_bytes": gained}


def vacuum(database: Database, *, auto_vacuum: AutoVacuum | None = None) -> Vacuumed:
    """Give unused space back to the file system.

    Args:
        database: Readers may go on; writers wait for it.
        auto_vacuum: SQLite: also change how the file gives space back by itself.

    SQLite: VACUUM, then the log is written back and cut. PostgreSQL: VACUUM (ANALYZE)
    of what the user owns, which lets the server use the space again and gives only
    the end of each table back.

    Raises:
        StorageFailed: There is no room for a second copy; nothing was changed.
        Busy: A writer did not end within the timeout.
        ConfigError: ``auto_vacuum`` on PostgreSQL, or on a database in memory.
        UnsupportedCapability: libSQL servers vacuum by themselves alone.
    """
    if database.engine_name == "libsql":
        raise _refusal_of_a_server(database)
    is_file = database.url.path is not None
    if auto_vacuum is not None and not is_file:
        raise ConfigError(
            "auto_vacuum is a property of SQLite files", hint="leave --auto-vacuum out"
        )
    started = time.perf_counter()
    try:
        # Outside a transaction: both engines refuse VACUUM in one.
        with database.engine.connect() as plain:
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            if database.dialect_name == "sqlite":
                before, after, mode = _sqlite(connection, database, auto_vacuum)
            else:
                before, after, mode = _postgresql(connection)
    except sa_exc.SQLAlchemyError as error:
        raise_classified(error)
    return Vacuumed(before, after, mode, time.perf_counter() - started)


def _refusal_of_a_server(database: Database) -> UnsupportedCapability:
    """Return what a libSQL server's own way is, with what there is to gain.

    Measured with libsql-server 0.24: with each of its checkpoints.
    """
    with database.read_session() as session:
        pages, unused, size = (
            int(session.scalars(sa.text(f"PRAGMA {name}")).one())
            for name in ("page_count", "freelist_count", "page_size")
        )
    gain = f"{unused * size:,} of {pages * size:,} bytes are unused"
    if pages >= _SERVERS_PAGES_MIN and unused * 2 > pages:
        hint = (
            "the server does it by itself with its next checkpoint, once an hour if "
            "it was not started with another --checkpoint-interval-s"
        )
    else:
        hint = (
            f"the server does it by itself when half of more than "
            f"{_SERVERS_PAGES_MIN:,} pages are unused; until then new rows use the "
            "space; db backup and db restore into a new database leave it behind"
        )
    return UnsupportedCapability(
        f"a libSQL server does not let its clients vacuum; {gain}",
        hint=hint,
        detail={"size_bytes": pages * size, "unused_bytes": unused * size},
    )


def _sqlite(
    connection: sa.Connection, database: Database, auto_vacuum: AutoVacuum | None
) -> tuple[int, int, AutoVacuum | None]:
    modes = get_args(AutoVacuum)

    def pragma(text: str) -> Any:
        return connection.exec_driver_sql(f"PRAGMA {text}").scalar()

    path = database.url.path
    if path is None:
        connection.exec_driver_sql("VACUUM")
        size = pragma("page_count") * pragma("page_size")
        return size, size, None
    content = pragma("page_count") * pragma("page_size")
    before = _size_bytes(path)
    # The new content is built in a temporary file, then goes through the log.
    check_free_space(path.parent, content)
    check_free_space(
        Path(os.environ.get("SQLITE_TMPDIR", tempfile.gettempdir())), content
    )
    if auto_vacuum is not None:
        connection.exec_driver_sql(f"PRAGMA auto_vacuum = {auto_vacuum}")
    connection.exec_driver_sql("VACUUM")
    # A reader of an old snapshot keeps the log; then a later checkpoint cuts it.
    pragma("wal_checkpoint(TRUNCATE)")
    return before, _size_bytes(path), modes[pragma("auto_vacuum")]


def _size_bytes(path: Path) -> int:
    names = (path, path.with_name(path.name + "-wal"))
    return sum(name.stat().st_size for name in names if name.exists())


def _postgresql(connection: sa.Connection) -> tuple[int, int, None]:
    def size() -> int:
        sql = "SELECT pg_database_size(current_database())"
        return int(connection.exec_driver_sql(sql).scalar_one())

    # A large table takes longer than a statement may.
    connection.exec_driver_sql("SET statement_timeout = 0")
    try:
        before = size()
        connection.exec_driver_sql("VACUUM (ANALYZE)")
        return before, size(), None
    finally:
        # The pooled connection must not stay without its limit.
        connection.invalidate()
