"""The rebuild of one SQLite table: new definition, all rows, nothing else lost.

SQLite cannot alter most of a table. The way out is a new table, a copy, a drop
and a rename; done carelessly it deletes child rows (ON DELETE CASCADE fires for
DROP TABLE), forgets triggers, checks and counters, or breaks views. This module
owns the careful way and proves it afterwards.

    count ► CREATE new ► copy rows in blocks ► count ► DROP old ► RENAME
          ► indexes, triggers, sqlite_sequence, statistics ► count ► compile views

Must not know: Alembic. Invariant: it runs inside one transaction that was begun
with ``foreign_keys`` off, and raises rather than leave anything behind.

See: https://www.sqlite.org/lang_altertable.html#otheralter
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lockstep.errors import MigrationError, RowsLostInRebuild
from lockstep.migrations.pace import Pace
from lockstep.migrations.results import ProgressCallback, silent
from lockstep.migrations.sqlite.catalog import Catalog, StoredObject
from lockstep.migrations.sqlite.conversion import Conversion
from lockstep.migrations.sqlite.over_the_wire import (
    copy_converted,
    views_and_triggers_aside,
)
from lockstep.migrations.sqlite.table_text import TableText, parse_table
from lockstep.migrations.sqlite.tokens import fold, joined, names_in, quote, tokens

if TYPE_CHECKING:
    import sqlalchemy as sa

# Rows per INSERT … SELECT: large enough to cost nothing, small enough that a
# person sees progress every second or so.
COPY_ROWS_PER_BLOCK = 50_000


@dataclass
class Rebuild:
    """A table being changed: edit ``table``, then ``run``.

    Attributes:
        table: The definition to arrive at; edited in place by the caller.
        expressions: SQL over the old columns for new columns that are not a
            plain copy; a new column that is neither here nor in the old table
            gets its default.
        conversions: Columns whose values change their type.
        dropped_columns: Old columns that go; their indexes go with them.
        afterwards: Called when the new table stands, in order.
    """

    connection: sa.Connection
    name: str
    on_progress: ProgressCallback = silent
    table: TableText = field(init=False)
    expressions: dict[str, str] = field(default_factory=dict[str, str])
    conversions: dict[str, Conversion] = field(default_factory=dict[str, Conversion])
    dropped_columns: set[str] = field(default_factory=set[str])
    afterwards: list[Callable[[], None]] = field(
        default_factory=list[Callable[[], None]]
    )
    is_changed: bool = False

    def __post_init__(self) -> None:
        self.catalog = Catalog(self.connection)
        stored = self.catalog.table(self.name)
        try:
            self.table = parse_table(stored.sql)
            self._old = parse_table(stored.sql)
        except (ValueError, KeyError, IndexError) as exc:
            raise MigrationError(
                f"the definition of table {self.name!r} cannot be rebuilt: {exc}",
                hint="change a virtual table by hand: create, copy, drop",
            ) from exc
        self.name = stored.name

    def old_columns(self) -> set[str]:
        """Return the names of the columns that are there now, in lower case."""
        return {fold(column.name) for column in self._old.columns}

    def run(self) -> None:
        """Replace the table, carrying everything over.

        Raises:
            RowsLostInRebuild: A count differs; the caller must roll back.
            MigrationError: A row does not fit, or a view or trigger would break.
        """
        if self.is_changed:
            self._replace()
        for task in self.afterwards:
            task()

    def _replace(self) -> None:
        if self.catalog.pragma("foreign_keys"):
            raise MigrationError(
                f"table {self.name!r} cannot be rebuilt while foreign keys are on",
                hint="run the history with lockstep, or with env.run() in env.py",
            )
        rows_before = self.catalog.count(self.name)
        children = {
            name: self.catalog.count(name)
            for name in self.catalog.tables_pointing_at(self.name)
            if fold(name) != fold(self.name)
        }
        kept = self._kept_objects()
        broken_before = self.catalog.broken_views_and_triggers()
        sequence = self.catalog.sequence(self.name)
        statistics = self.catalog.statistics(self.name)
        interim = self._interim_name()
        self.connection.exec_driver_sql(self.table.sql(interim))
        with self._converting():
            self._copy(interim, rows_before)
        self._compare(interim, rows_before)
        self._swap(interim)
        for stored in kept:
            self.connection.exec_driver_sql(stored.sql)
        if sequence is not None and self.table.has_autoincrement:
            self.catalog.set_sequence(self.name, sequence)
        self.catalog.restore_statistics(self.name, statistics)
        self._compare(self.name, rows_before)
        for child, rows in children.items():
            self._compare(child, rows)
        self._refuse_newly_broken(broken_before)

    def _kept_objects(self) -> list[StoredObject]:
        """Return the indexes and triggers to make again; drop what must go."""
        gone = {fold(name) for name in self.dropped_columns}
        return [
            stored
            for stored in self.catalog.objects_on(self.name)
            if stored.type == "trigger" or not (gone & names_in(_body(stored.sql)))
        ]

    def _interim_name(self) -> str:
        name = f"_lockstep_new_{self.name}"
        if self.catalog.has(name):
            raise MigrationError(
                f"table {name!r} is left over from something else",
                hint=f"look at it and drop it: DROP TABLE {quote(name)}",
            )
        return name

    @contextmanager
    def _converting(self) -> Generator[None]:
        """Let SQLite call the type conversions, and explain one that fails."""
        conversions = list(self.conversions.values())
        installed = conversions if self.catalog.is_in_this_process else []
        for conversion in installed:
            conversion.install(self.connection)
        try:
            yield
        except Exception as exc:
            for conversion in conversions:
                if conversion.failure is not None:
                    raise conversion.explain() from exc
            raise
        finally:
            for conversion in installed:
                conversion.remove(self.connection)

    def _copy(self, interim: str, total: int) -> None:
        pairs = list(self._column_pairs())
        key = self._rowid_name()
        if key is not None and self.table.rowid_alias() is None:
            pairs.insert(0, (key, key))
        into = ", ".join(quote(new) if new != key else new for new, _ in pairs)
        select = ", ".join(old for _, old in pairs)
        source, target = quote(self.name), quote(interim)
        insert = f"INSERT INTO {target} ({into}) SELECT {select} FROM {source}"  # noqa: S608 - names are quoted
        pace = Pace(f"rebuild {self.name}", total, self.on_progress)
        if not pairs:
            return
        if self.conversions and not self.catalog.is_in_this_process:
            values = ", ".join("?" for _ in pairs)
            copy_converted(
                self.connection,
                f"SELECT {select} FROM {source} ORDER BY {key or self._total_order()}",  # noqa: S608
                f"INSERT INTO {target} ({into}) VALUES ({values})",  # noqa: S608
                [self._change_of(new) for new, _ in pairs],
                pace.advance,
            )
            return
        if key is None:
            self.connection.exec_driver_sql(insert)
            pace.advance(total)
            return
        last = self.catalog.scalar(f"SELECT min({key}) - 1 FROM {source}")  # noqa: S608
        while last is not None:
            block = (
                f"SELECT {key} AS k FROM {source} WHERE {key} > ? "  # noqa: S608
                f"ORDER BY {key} LIMIT {COPY_ROWS_PER_BLOCK}"
            )
            upto = self.catalog.scalar(f"SELECT max(k) FROM ({block})", last)  # noqa: S608
            if upto is None:
                break
            done = self.connection.exec_driver_sql(
                f"{insert} WHERE {key} > ? AND {key} <= ? ORDER BY {key}", (last, upto)
            )
            pace.advance(done.rowcount)
            last = upto

    def _column_pairs(self) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = []
        old = {fold(column.name): column for column in self._old.columns}
        for column in self.table.columns:
            if column.is_generated:
                continue
            expression = self.expressions.get(fold(column.name))
            conversion = self.conversions.get(fold(column.name))
            if expression is not None:
                pairs.append((column.name, expression))
            elif conversion is not None:
                old_value = quote(column.name)
                if self.catalog.is_in_this_process:
                    old_value = f"{conversion.sql}({old_value})"
                pairs.append((column.name, old_value))
            elif fold(column.name) in old:
                pairs.append((column.name, quote(column.name)))
        return pairs

    def _change_of(self, column: str) -> Callable[[Any], Any] | None:
        name = fold(column)
        conversion = None if name in self.expressions else self.conversions.get(name)
        return None if conversion is None else conversion.convert

    def _total_order(self) -> str:
        """Return all columns: the key of a table without rowids is among them."""
        return ", ".join(quote(column.name) for column in self._old.columns)

    def _rowid_name(self) -> str | None:
        """Return a name of the rowid that no column hides, in both tables."""
        if self._old.is_without_rowid or self.table.is_without_rowid:
            return None
        taken = {fold(c.name) for c in (*self._old.columns, *self.table.columns)}
        free = (name for name in ("rowid", "_rowid_", "oid") if name not in taken)
        return next(free, None)

    def _swap(self, interim: str) -> None:
        # With the modern behaviour RENAME reads every view and trigger and fails
        # on those that name the table which is just not there.
        if not self.catalog.is_in_this_process:
            with views_and_triggers_aside(self.connection, self.name):
                self._drop_and_rename(interim)
            return
        legacy = self.catalog.pragma("legacy_alter_table")
        self.connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
        try:
            self._drop_and_rename(interim)
        finally:
            self.connection.exec_driver_sql(f"PRAGMA legacy_alter_table = {legacy}")

    def _drop_and_rename(self, interim: str) -> None:
        self.connection.exec_driver_sql(f"DROP TABLE {quote(self.name)}")
        self.connection.exec_driver_sql(
            f"ALTER TABLE {quote(interim)} RENAME TO {quote(self.name)}"
        )

    def _compare(self, table: str, expected: int) -> None:
        actual = self.catalog.count(table)
        if actual != expected:
            raise RowsLostInRebuild(
                f"the rebuild of {self.name!r} changed table {table!r} "
                f"from {expected} to {actual} rows",
                detail={"table": table, "expected": expected, "actual": actual},
            )

    def _refuse_newly_broken(self, before: dict[str, str]) -> None:
        for name, problem in self.catalog.broken_views_and_triggers().items():
            if name not in before:
                raise MigrationError(
                    f"{name} no longer works after the change of "
                    f"{self.name!r}: {problem}",
                    hint="drop it first and create it again afterwards",
                    detail={"object": name, "table": self.name},
                )


def _body(sql: str) -> str:
    """Return a CREATE INDEX statement from its key columns on."""
    parts = tokens(sql)
    start = next(i for i, part in enumerate(parts) if part.is_symbol("("))
    return joined(parts[start:])
