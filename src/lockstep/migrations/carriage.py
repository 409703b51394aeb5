"""The sample rows of ``verify`` and what became of them.

Owns the rows on a scratch database from revision to revision: put in where a
table has none, remembered before a step, compared after it. Must not know: how a
step is applied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy import exc as sa_exc

from lockstep.migrations.operations import AlterEnumOp, FillColumnOp, RunBatchesOp
from lockstep.migrations.render.types import same_ddl
from lockstep.migrations.results import Direction, Severity
from lockstep.migrations.samples import Samples, rows_of

if TYPE_CHECKING:
    from alembic.script import Script

    from lockstep.engine import Database
    from lockstep.migrations.replay import Replay

# Operations that may change rows because their author wants it.
_DATA = (ops.ExecuteSQLOp, ops.BulkInsertOp, RunBatchesOp)


@dataclass
class Memory:
    """The rows before a step, by table."""

    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict[str, list[dict[str, Any]]]
    )
    columns: dict[str, dict[str, sa.types.TypeEngine[Any]]] = field(
        default_factory=dict[str, dict[str, sa.types.TypeEngine[Any]]]
    )
    touched: dict[str, str] = field(default_factory=dict[str, str])


class Carriage:
    """Carries rows through a replay.

    Args:
        database: The scratch database.
        declared: A replay of the same history, whose ledger knows the types.
    """

    def __init__(self, database: Database, declared: Replay) -> None:
        self._database = database
        self._declared = declared
        self.refused: dict[str, str] = {}
        self.rows_carried = 0

    def load(self) -> None:
        """Put rows into the tables that have none."""
        metadata = self._declared.ledger.metadata()
        with self._database.engine.begin() as connection:
            present = set(sa.inspect(connection).get_table_names())
            empty = [
                name
                for name, table in metadata.tables.items()
                if name in present and self._count(connection, table) == 0
            ]
            samples = Samples(connection)
            samples.fill(metadata, empty)
        self.refused.update(samples.refused)

    def _count(self, connection: sa.Connection, table: sa.Table) -> int:
        query = sa.select(sa.func.count()).select_from(sa.table(table.name))
        return connection.execute(query).scalar_one()

    def remember(self) -> Memory:
        """Return the rows as they are now."""
        memory = Memory()
        metadata = self._declared.ledger.metadata()
        with self._database.engine.connect() as connection:
            present = set(sa.inspect(connection).get_table_names())
            for name, table in metadata.tables.items():
                if name not in present:
                    continue
                memory.rows[name] = list(rows_of(connection, table))
                memory.columns[name] = {c.name: c.type for c in table.columns}
                entry = self._declared.ledger.tables[name]
                if entry.touch_key is not None:
                    memory.touched[name] = entry.touch_column
        return memory

    def thin_out(self, *, only_sparse: bool) -> None:
        """Delete the rows that have only what they must have, or all rows."""
        metadata = self._declared.ledger.metadata()
        with self._database.engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                condition = sa.true()
                if only_sparse:
                    optional = [
                        c for c in table.columns if c.nullable and not c.foreign_keys
                    ]
                    condition = sa.and_(
                        *(c.is_(None) for c in optional), sa.literal(bool(optional))
                    )
                savepoint = connection.begin_nested()
                try:
                    connection.execute(sa.delete(table).where(condition))
                except sa_exc.IntegrityError:
                    savepoint.rollback()  # others point at them; they stay
                else:
                    savepoint.commit()

    def follow(self, script: Script, direction: Direction) -> None:
        """Let the declared schema take the same step."""
        if self._declared.failure is None:
            try:
                self._declared.apply(script, upgrade=direction == "upgrade")
            except Exception as exc:
                # A history for one engine only; the samples stop growing here.
                self._declared.failure = exc

    def losses(self, before: Memory) -> Iterator[tuple[str, Severity]]:
        """Compare the rows with those remembered before the step."""
        after = self.remember()
        done = self._declared.operations
        renamed = {
            str(op.table_name): str(op.new_table_name)
            for op in done
            if isinstance(op, ops.RenameTableOp)
        }
        severity: Severity = (
            "warning" if any(isinstance(op, _DATA) for op in done) else "error"
        )
        for name, rows in before.rows.items():
            now = renamed.get(name, name)
            if now not in after.rows:
                continue  # dropped; whether that was wanted, the plan shows
            self.rows_carried += min(len(rows), len(after.rows[now]))
            if len(rows) != len(after.rows[now]):
                count = f"{len(rows)} rows before, {len(after.rows[now])} after"
                yield f"table {now!r} has {count}", severity
                continue
            changed = self._changed_columns(name, now, before, after)
            if changed:
                yield f"values changed in {now!r}: {', '.join(changed)}", severity

    def _changed_columns(
        self, name: str, now: str, before: Memory, after: Memory
    ) -> list[str]:
        """Return the columns that no operation speaks of and that changed."""
        spoken_of = {before.touched.get(name), after.touched.get(now)}
        for op in self._declared.operations:
            if isinstance(op, FillColumnOp) and op.table_name == name:
                spoken_of.add(str(op.column.name))
            if isinstance(op, AlterEnumOp) and op.table_name == name and op.rename:
                spoken_of.add(op.column_name)
        same = [
            column
            for column, type_ in before.columns[name].items()
            if column not in spoken_of
            and column in after.columns[now]
            and same_ddl(type_, after.columns[now][column])
        ]

        def shown(rows: list[dict[str, Any]], column: str) -> list[str]:
            return sorted(repr(row[column]) for row in rows)

        return [
            column
            for column in same
            if shown(before.rows[name], column) != shown(after.rows[now], column)
        ]
