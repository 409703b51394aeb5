"""A libSQL server's database as the target of a move.

Owns what a server does otherwise than a file: it lets few pragmas be set, has no
collation but SQLite's own, and takes a transaction away that lasts too long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import Unmappable
from lockstep.mover.blocks.encoding import Blocks
from lockstep.mover.failures import is_full
from lockstep.mover.journal import TableProgress
from lockstep.mover.model.plan import Plan, TablePlan
from lockstep.mover.sqlite.served import ServedConnection
from lockstep.mover.sqlite.target import SqliteTarget

SERVED_CHUNK_BYTES = 4 * 1024 * 1024
"""Far less than a server writes in the five seconds it grants a transaction."""

SURELY_STORED_BYTES = 1_000_000
"""A row up to here is not asked about."""

_ROW_LIMIT_HINT = (
    "libsql-server stores rows of up to about 5 MB; shorten it in the source"
)
_SETTABLE = ("user_version",)


class ServedTarget(SqliteTarget):
    """A server's database that is being filled.

    Args:
        url: Which one.
    """

    chunk_bytes = SERVED_CHUNK_BYTES

    def __init__(self, url: DatabaseUrl) -> None:
        super().__init__(ServedConnection(url), str(url))

    def create(self, plan: Plan, source: str, fingerprint: str, request: str) -> None:
        """Make the journal and all tables, empty, in one transaction.

        Raises:
            Unmappable: A row is longer than the server stores.
        """
        for table in plan.carried():
            if not self._takes(table.row_bytes_max):
                widest = f": {table.widest_cell}" if table.widest_cell else ""
                raise Unmappable(
                    f"{table.source} has a row of {table.row_bytes_max:,} bytes, "
                    f"and the server stores none of that length{widest}",
                    hint=_ROW_LIMIT_HINT,
                    detail={
                        "table": table.source,
                        "bytes": table.row_bytes_max,
                        "cell": table.widest_cell,
                    },
                )
        super().create(plan, source, fingerprint, request)

    def _takes(self, size: int) -> bool:
        if size <= SURELY_STORED_BYTES:
            return True
        try:
            self._connection.execute("SELECT length(zeroblob(?))", (size,))
        except sqlite3.DatabaseError:
            return False
        return True

    def lay_out(self, plan: Plan) -> None:
        """Do nothing: a server makes its databases in its own way."""

    def set_pragmas(self, plan: Plan, names: Sequence[str]) -> None:
        """Set what a server lets be set."""
        super().set_pragmas(plan, [name for name in names if name in _SETTABLE])

    def stand_in_for_collations(self, statements: list[str]) -> None:
        """Do nothing: a server takes no collation from outside."""

    def fill(
        self,
        table: TablePlan,
        blocks: Blocks,
        exact: Blocks,
        on_progress: Callable[[int], None],
    ) -> TableProgress:
        """Copy a table's rows from where the journal says it is.

        Raises:
            Unmappable: The server refuses a row.
        """
        try:
            return super().fill(table, blocks, exact, on_progress)
        except sqlite3.DatabaseError as error:
            if is_full(error):
                raise
            raise Unmappable(
                f"the server refuses a row of {table.source}: {error}",
                hint=_ROW_LIMIT_HINT,
                detail={"table": table.source},
            ) from error
