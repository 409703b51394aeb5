"""The operations that Alembic does not have.

Owns what a revision may say beside Alembic's own: ``op.create_touch_trigger``,
``op.drop_touch_trigger``, ``op.alter_enum``, ``op.rename_constraint``,
``op.alter_sqlite_options``, ``op.fill_column`` and ``op.run_batches``, and what takes
them back. How they are carried out is ``portable.py``'s.

The names are registered with Alembic when this module is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from alembic.operations import BatchOperations, Operations, ops

from lockstep.migrations.batches import BATCH_ROWS, Change


class TouchTriggerOp(ops.MigrateOperation):
    """What both operations on a touch trigger name."""

    def __init__(
        self, table_name: str, key: Sequence[str], *, column: str = "updated_at"
    ) -> None:
        self.table_name = table_name
        self.key = list(key)
        self.column = column


@Operations.register_operation("create_touch_trigger")
class CreateTouchTriggerOp(TouchTriggerOp):
    """Keep ``updated_at`` of a table also for raw SQL."""

    @classmethod
    def create_touch_trigger(
        cls,
        operations: Operations,
        table_name: str,
        key: Sequence[str],
        *,
        column: str = "updated_at",
    ) -> None:
        """Create the trigger that keeps a table's ``updated_at``.

        Args:
            operations: Given by Alembic.
            table_name: The table.
            key: Its primary key columns.
            column: The column to keep.
        """
        operations.invoke(cls(table_name, key, column=column))

    def reverse(self) -> DropTouchTriggerOp:
        """Return the operation that takes this one back."""
        return DropTouchTriggerOp(self.table_name, self.key, column=self.column)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the difference as ``alembic check`` prints it."""
        return ("add_touch_trigger", self.table_name)


@Operations.register_operation("drop_touch_trigger")
class DropTouchTriggerOp(TouchTriggerOp):
    """Stop keeping ``updated_at`` for raw SQL."""

    @classmethod
    def drop_touch_trigger(
        cls,
        operations: Operations,
        table_name: str,
        key: Sequence[str],
        *,
        column: str = "updated_at",
    ) -> None:
        """Drop the trigger that keeps a table's ``updated_at``.

        Args:
            operations: Given by Alembic.
            table_name: The table.
            key: Its primary key columns, for the way back.
            column: The column that was kept.
        """
        operations.invoke(cls(table_name, key, column=column))

    def reverse(self) -> CreateTouchTriggerOp:
        """Return the operation that takes this one back."""
        return CreateTouchTriggerOp(self.table_name, self.key, column=self.column)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the difference as ``alembic check`` prints it."""
        return ("remove_touch_trigger", self.table_name)


@Operations.register_operation("alter_enum")
@BatchOperations.register_operation("alter_enum", "batch_alter_enum")
class AlterEnumOp(ops.MigrateOperation):
    """Change the values that an enum column may hold."""

    def __init__(
        self,
        table_name: str,
        column_name: str,
        type_: sa.types.TypeEngine[Any],
        *,
        existing_type: sa.types.TypeEngine[Any],
        rename: Mapping[str, str | None] | None = None,
    ) -> None:
        self.table_name = table_name
        self.column_name = column_name
        self.type_ = sa.types.to_instance(type_)
        self.existing_type = sa.types.to_instance(existing_type)
        self.rename = dict(rename or {})

    @classmethod
    def alter_enum(
        cls,
        operations: Operations,
        table_name: str,
        column_name: str,
        type_: sa.types.TypeEngine[Any],
        *,
        existing_type: sa.types.TypeEngine[Any],
        rename: Mapping[str, str | None] | None = None,
    ) -> None:
        """Change the values that an enum column may hold.

        Rows that hold a value which is no longer allowed make the revision fail,
        unless ``rename`` says what becomes of them.

        Args:
            operations: Given by Alembic.
            table_name: The table.
            column_name: The column.
            type_: The type with the new values.
            existing_type: The type with the values so far.
            rename: Old value to new value, or to None for NULL.
        """
        operations.invoke(
            cls(
                table_name,
                column_name,
                type_,
                existing_type=existing_type,
                rename=rename,
            )
        )

    @classmethod
    def batch_alter_enum(
        cls,
        operations: BatchOperations,
        column_name: str,
        type_: sa.types.TypeEngine[Any],
        *,
        existing_type: sa.types.TypeEngine[Any],
        rename: Mapping[str, str | None] | None = None,
    ) -> None:
        """Change an enum's values within a block; see ``op.alter_enum``."""
        table = cast("Any", operations.impl).table_name
        operations.invoke(
            cls(table, column_name, type_, existing_type=existing_type, rename=rename)
        )

    def reverse(self) -> AlterEnumOp:
        """Return the operation that takes this one back."""
        back = {new: old for old, new in self.rename.items() if new is not None}
        return AlterEnumOp(
            self.table_name,
            self.column_name,
            self.existing_type,
            existing_type=self.type_,
            rename=back,
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the difference as ``alembic check`` prints it."""
        return ("modify_enum", self.table_name, self.column_name, self.type_)


@Operations.register_operation("rename_constraint")
@BatchOperations.register_operation("rename_constraint", "batch_rename_constraint")
class RenameConstraintOp(ops.MigrateOperation):
    """Give a constraint another name."""

    def __init__(
        self,
        table_name: str,
        old_name: str,
        new_name: str,
        *,
        if_exists: bool = False,
    ) -> None:
        self.table_name = table_name
        self.old_name = old_name
        self.new_name = new_name
        self.if_exists = if_exists

    @classmethod
    def rename_constraint(
        cls,
        operations: Operations,
        table_name: str,
        old_name: str,
        new_name: str,
        *,
        if_exists: bool = False,
    ) -> None:
        """Give a constraint another name.

        Args:
            operations: Given by Alembic.
            table_name: The table.
            old_name: Its name so far.
            new_name: Its name from now on.
            if_exists: Do nothing where there is no such constraint, as with the
                check of a boolean, which only SQLite has.
        """
        operations.invoke(cls(table_name, old_name, new_name, if_exists=if_exists))

    @classmethod
    def batch_rename_constraint(
        cls,
        operations: BatchOperations,
        old_name: str,
        new_name: str,
        *,
        if_exists: bool = False,
    ) -> None:
        """Rename a constraint within a block; see ``op.rename_constraint``."""
        table = cast("Any", operations.impl).table_name
        operations.invoke(cls(table, old_name, new_name, if_exists=if_exists))

    def reverse(self) -> RenameConstraintOp:
        """Return the operation that takes this one back."""
        return RenameConstraintOp(
            self.table_name, self.new_name, self.old_name, if_exists=self.if_exists
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the difference as ``alembic check`` prints it."""
        return ("rename_constraint", self.table_name, self.old_name, self.new_name)


@Operations.register_operation("alter_sqlite_options")
class AlterSqliteOptionsOp(ops.MigrateOperation):
    """Change what only SQLite's CREATE TABLE states."""

    def __init__(self, table_name: str, **options: bool) -> None:
        self.table_name = table_name
        self.options = options

    @classmethod
    def alter_sqlite_options(
        cls,
        operations: Operations,
        table_name: str,
        *,
        strict: bool | None = None,
        without_rowid: bool | None = None,
        autoincrement: bool | None = None,
    ) -> None:
        """Change a table's options on SQLite; nothing happens elsewhere.

        Args:
            operations: Given by Alembic.
            table_name: The table.
            strict: Whether SQLite checks the type of every value.
            without_rowid: Whether the primary key is the storage order.
            autoincrement: Whether a key is never used twice.
        """
        given = {
            "strict": strict,
            "without_rowid": without_rowid,
            "autoincrement": autoincrement,
        }
        chosen = {key: value for key, value in given.items() if value is not None}
        operations.invoke(cls(table_name, **chosen))

    def reverse(self) -> AlterSqliteOptionsOp:
        """Return the operation that takes this one back."""
        back = {key: not value for key, value in self.options.items()}
        return AlterSqliteOptionsOp(self.table_name, **back)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the difference as ``alembic check`` prints it."""
        return ("modify_sqlite_options", self.table_name, self.options)


@Operations.register_operation("fill_column")
class FillColumnOp(ops.MigrateOperation):
    """Give the rows that have no value in a column one."""

    def __init__(self, table_name: str, column: sa.Column[Any], value: Any) -> None:
        self.table_name = table_name
        self.column = column
        self.value = value

    @classmethod
    def fill_column(
        cls, operations: Operations, table_name: str, column: sa.Column[Any], value: Any
    ) -> None:
        """Give every row whose column is NULL a value.

        Args:
            operations: Given by Alembic.
            table_name: The table.
            column: ``sa.Column(name, type)``.
            value: A value of the column's Python type, an SQL expression, or a
                function that is called for each row.
        """
        operations.invoke(cls(table_name, column, value))

    def reverse(self) -> ops.ModifyTableOps:
        """Return nothing to do: what was NULL before is not remembered."""
        return ops.ModifyTableOps(self.table_name, [])

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the difference as ``alembic check`` prints it."""
        return ("fill_column", self.table_name, self.column.name)


@Operations.register_operation("run_batches")
class RunBatchesOp(ops.MigrateOperation):
    """Change rows with Python, a batch at a time."""

    def __init__(self, table: sa.TableClause, change: Change, **options: Any) -> None:
        self.table = table
        self.change = change
        self.options = options

    @classmethod
    def run_batches(
        cls,
        operations: Operations,
        table: sa.TableClause,
        change: Change,
        *,
        key: Sequence[str] = ("id",),
        where: sa.ColumnElement[bool] | None = None,
        batch_size: int = BATCH_ROWS,
    ) -> int:
        """Read a table in batches and write back what ``change`` returns.

        Memory holds one batch. Rows are read in the order of the key, each once,
        inside the revision's transaction.

        Args:
            operations: Given by Alembic.
            table: Made with ``light_table``.
            change: Takes a list of rows; returns dicts with the key columns and
                the columns to set, or None when it wrote by itself.
            key: The columns that identify a row.
            where: Which rows to read.
            batch_size: Rows per batch.

        Returns:
            How many rows were read.
        """
        options: dict[str, Any] = {
            "key": key,
            "where": where,
            "batch_size": batch_size,
        }
        return operations.invoke(cls(table, change, **options))
