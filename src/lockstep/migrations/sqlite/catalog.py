"""What a SQLite file says about its own schema.

Owns the queries against ``sqlite_master`` and the PRAGMAs that a migration
needs, answered through the caller's connection and transaction.
Must not know: models, Alembic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lockstep.errors import MigrationError
from lockstep.migrations.sqlite.tokens import fold, quote

if TYPE_CHECKING:
    import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

# Names that SQLite and its extensions own, never part of a model.
_INTERNAL = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


@dataclass(frozen=True)
class StoredObject:
    """A row of ``sqlite_master``."""

    type: str
    name: str
    table: str
    sql: str


class Catalog:
    """Questions to one connection's main database."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Return all rows of a query with ``?`` parameters."""
        return list(self._connection.exec_driver_sql(sql, values).all())

    def scalar(self, sql: str, *values: Any) -> Any:
        """Return the first column of the first row, or None."""
        return self._connection.exec_driver_sql(sql, values).scalar()

    @property
    def is_in_this_process(self) -> bool:
        """SQLite is a library here, not inside of a server.

        A server knows no functions of ours, and lets nobody set most pragmas.
        """
        driver: Any = self._connection.connection.driver_connection
        return hasattr(driver, "create_function")

    def pragma(self, name: str) -> int:
        """Return a PRAGMA's integer value."""
        return int(self.scalar(f"PRAGMA {name}") or 0)

    def count(self, table: str) -> int:
        """Return a table's number of rows."""
        return int(self.scalar(f"SELECT count(*) FROM {quote(table)}"))  # noqa: S608 - quoted

    def has(self, table: str) -> bool:
        """Whether a table or view of this name exists."""
        return bool(
            self.scalar(
                "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') "
                "AND name = ? COLLATE NOCASE",
                table,
            )
        )

    def table(self, name: str) -> StoredObject:
        """Return a table as it is stored.

        Raises:
            MigrationError: There is no such table.
        """
        for row in self.rows(
            "SELECT type, name, tbl_name, sql FROM sqlite_master "
            "WHERE type = 'table' AND name = ? COLLATE NOCASE",
            name,
        ):
            return StoredObject(*row)
        raise MigrationError(
            f"there is no table {name!r}",
            hint="correct the name in the revision",
        )

    def tables(self) -> list[StoredObject]:
        """Return the ordinary tables, not SQLite's own, by name."""
        special = {
            row[1]
            for row in self.rows("PRAGMA main.table_list")
            if row[2] in ("shadow", "virtual")
        }
        stored = self.rows(
            "SELECT type, name, tbl_name, sql FROM sqlite_master "  # noqa: S608
            f"WHERE type = 'table' AND {_INTERNAL} ORDER BY name"
        )
        return [StoredObject(*row) for row in stored if row[1] not in special]

    def objects_on(self, table: str) -> list[StoredObject]:
        """Return a table's indexes and triggers that have a statement."""
        return [
            StoredObject(*row)
            for row in self.rows(
                "SELECT type, name, tbl_name, sql FROM sqlite_master "
                "WHERE type IN ('index', 'trigger') AND sql IS NOT NULL "
                "AND tbl_name = ? COLLATE NOCASE ORDER BY rowid",
                table,
            )
        ]

    def index(self, name: str) -> StoredObject | None:
        """Return an index by name."""
        for row in self.rows(
            "SELECT type, name, tbl_name, sql FROM sqlite_master "
            "WHERE type = 'index' AND name = ? COLLATE NOCASE",
            name,
        ):
            return StoredObject(*row)
        return None

    def tables_pointing_at(self, table: str) -> list[str]:
        """Return the tables with a foreign key to ``table``, itself included."""
        return [
            stored.name
            for stored in self.tables()
            if any(
                fold(row[2]) == fold(table)
                for row in self.rows(f"PRAGMA foreign_key_list({quote(stored.name)})")
            )
        ]

    def sequence(self, table: str) -> int | None:
        """Return the highest key ever given to an AUTOINCREMENT table."""
        if not self.has("sqlite_sequence"):
            return None
        return self.scalar(
            "SELECT seq FROM sqlite_sequence WHERE name = ? COLLATE NOCASE", table
        )

    def set_sequence(self, table: str, value: int) -> None:
        """Set the highest key ever given to an AUTOINCREMENT table."""
        run = self._connection.exec_driver_sql
        run("DELETE FROM sqlite_sequence WHERE name = ? COLLATE NOCASE", (table,))
        run("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, value))

    def statistics(self, table: str) -> list[Any]:
        """Return what ANALYZE knows about a table, which DROP TABLE deletes.

        Each row is (index or None, statistics, the index's columns).
        """
        if not self.has("sqlite_stat1"):
            return []
        rows = self.rows(
            "SELECT idx, stat FROM sqlite_stat1 WHERE tbl = ? COLLATE NOCASE", table
        )
        return [(index, stat, self._index_columns(index)) for index, stat in rows]

    def restore_statistics(self, table: str, rows: list[Any]) -> None:
        """Put back the statistics of the indexes that are as they were."""
        for index, stat, columns in rows:
            # SQLite numbers the indexes of constraints, so a name may now belong
            # to another one.
            if self._index_columns(index) == columns:
                self._connection.exec_driver_sql(
                    "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)",
                    (table, index, stat),
                )

    def _index_columns(self, index: str | None) -> list[Any]:
        if index is None:
            return []
        return [row[2] for row in self.rows(f"PRAGMA index_info({quote(index)})")]

    def foreign_key_violations(self) -> dict[tuple[str, str], int]:
        """Count the rows that point at nothing, by (table, parent)."""
        counts: dict[tuple[str, str], int] = {}
        for row in self.rows("PRAGMA foreign_key_check"):
            key = (str(row[0]), str(row[2]))
            counts[key] = counts.get(key, 0) + 1
        return counts

    def dangling_references(self) -> set[tuple[str, str]]:
        """Return (table, parent) for foreign keys to a table that is not there."""
        present = {fold(stored.name) for stored in self.tables()}
        return {
            (stored.name, str(row[2]))
            for stored in self.tables()
            for row in self.rows(f"PRAGMA foreign_key_list({quote(stored.name)})")
            if fold(row[2]) not in present
        }

    def broken_views_and_triggers(self) -> dict[str, str]:
        """Return what would fail if used, with SQLite's own words."""
        found: dict[str, str] = {}
        for kind, name, table in self.rows(
            "SELECT type, name, tbl_name FROM sqlite_master "
            "WHERE type IN ('view', 'trigger') ORDER BY type DESC, name"
        ):
            for statement in self._probes(kind, name, table):
                try:
                    self._connection.exec_driver_sql(f"EXPLAIN {statement}")
                except sa_exc.DBAPIError as exc:
                    found[f"{kind} {name!r}"] = str(exc.orig)
        return found

    def _probes(self, kind: str, name: str, table: str) -> list[str]:
        if kind == "view":
            return [f"SELECT * FROM {quote(name)}"]  # noqa: S608 - quoted
        columns = self.rows(f"PRAGMA table_info({quote(table)})")
        if not columns:
            return []
        # Compiling a statement compiles the triggers it would fire; an UPDATE of
        # every column reaches UPDATE OF triggers too.
        sets = ", ".join(f"{quote(row[1])} = {quote(row[1])}" for row in columns)
        target = quote(table)
        return [
            f"INSERT INTO {target} DEFAULT VALUES",
            f"UPDATE {target} SET {sets}",  # noqa: S608 - quoted
            f"DELETE FROM {target}",  # noqa: S608 - quoted
        ]
