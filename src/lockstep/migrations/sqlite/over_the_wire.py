"""What a rebuild does differently when SQLite is inside of a server.

Owns two detours. A server knows no Python functions, so values that change their
type are read, converted here and written back. It lets nobody switch
``legacy_alter_table`` on, so views and triggers, which a modern RENAME compiles and
fails on while a table is missing, step aside for that moment.

Must not know: the order of a rebuild. Invariant: it all happens inside of the
rebuild's own transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lockstep.migrations.sqlite.catalog import Catalog
from lockstep.migrations.sqlite.tokens import quote

if TYPE_CHECKING:
    import sqlalchemy as sa

Convert = Callable[[Any], Any]

ROWS_PER_BLOCK = 500
"""Read at once; a server's answer has a limit of some megabytes."""


@contextmanager
def views_and_triggers_aside(connection: sa.Connection, table: str) -> Generator[None]:
    """Drop every view and trigger, except those of ``table``; make them again."""
    catalog = Catalog(connection)
    aside = catalog.rows(
        "SELECT type, name, sql FROM sqlite_master WHERE type = 'view'"
        " OR (type = 'trigger' AND tbl_name <> ? COLLATE NOCASE)"
        # A trigger of a view needs the view.
        " ORDER BY type = 'trigger', rowid",
        table,
    )
    run = connection.exec_driver_sql
    for kind, name, _ in aside:
        run(f"DROP {kind} IF EXISTS {quote(name)}")
    yield
    for _, _, sql in aside:
        run(sql)


def copy_converted(
    connection: sa.Connection,
    select: str,
    insert: str,
    convert: Sequence[Convert | None],
    on_rows: Callable[[int], None],
) -> None:
    """Copy rows through this process, converting some of their columns.

    Args:
        connection: In the rebuild's transaction.
        select: The query of all rows, in an order that is total.
        insert: The statement for one row, with a ``?`` for each column.
        convert: Per column the way to its new value; None copies it.
        on_rows: Told how many rows were written.
    """
    driver: Any = connection.connection.driver_connection
    done = 0
    while True:
        block = driver.execute(
            f"{select} LIMIT {ROWS_PER_BLOCK} OFFSET {done}"
        ).fetchall()
        if not block:
            return
        driver.executemany(
            insert,
            [
                tuple(
                    value if change is None else change(value)
                    for value, change in zip(row, convert, strict=True)
                )
                for row in block
            ],
        )
        done += len(block)
        on_rows(len(block))
