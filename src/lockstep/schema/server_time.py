"""The database's own clock, written the way ``UtcDateTime`` stores a moment.

``CURRENT_TIMESTAMP`` is no portable default: SQLite writes another format than
the type's, to the second, and PostgreSQL's is the start of the transaction.
``utc_now()`` is the start of the statement on both.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from lockstep.schema.types.time import UtcDateTime

NOW_SQL = {
    "sqlite": "(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')",
    "postgresql": "statement_timestamp()",
}
"""The current moment per dialect. SQLite's clock has milliseconds."""


class utc_now(FunctionElement[Any]):
    """The moment the statement began, by the database's clock.

    For ``server_default=utc_now()`` and comparisons such as
    ``Job.due_at <= utc_now()``. SQLite: milliseconds; PostgreSQL: microseconds.
    """

    name = "utc_now"
    type = UtcDateTime()
    inherit_cache = True

    def __repr__(self) -> str:
        return "utc_now()"


@compiles(utc_now, "sqlite")
def _sqlite(element: utc_now, compiler: SQLCompiler, **_: Any) -> str:
    return NOW_SQL["sqlite"]


@compiles(utc_now)
def _postgresql(element: utc_now, compiler: SQLCompiler, **_: Any) -> str:
    return NOW_SQL["postgresql"]
