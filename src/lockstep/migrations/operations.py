"""The operations that Alembic does not have, and the ``op`` that knows them all.

Owns ``op.alter_enum``, ``op.create_touch_trigger``, ``op.drop_touch_trigger``,
``op.fill_column`` and ``op.run_batches``, and ``PortableOperations``: Alembic's
``op`` with our carrying out on SQLite and PostgreSQL, which also tells listeners
what a revision does. Must not know: transactions, files.

The names are registered with Alembic when this module is imported; how Alembic's
own operations behave elsewhere in the process is not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations import BatchOperations, Operations, ops
from alembic.operations.batch import BatchOperationsImpl

from lockstep.migrations.batches import BATCH_ROWS, Change, fill_column, run_batches

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

Listener = Callable[[ops.MigrateOperation], None]


@Operations.register_operation("create_touch_trigger")
class CreateTouchTriggerOp(ops.MigrateOperation):
    """Keep ``updated_at`` of a table also for raw SQL."""

    def __init__(self, table_name: str, key: Sequence[str]) -> None:
        self.table_name = table_name
        self.key = list(key)

    @classmethod
    def create_touch_trigger(
        cls, operations: Operations, table_name: str, key: Sequence[str]
    ) -> None:
        """Create the trigger that keeps a table's ``updated_at``.

        Args:
            operations: Given by Alembic.
            table_name: The table; it has a column ``updated_at``.
            key: Its primary key columns.
        """
        operations.invoke(cls(table_name, key))

    def reverse(self) -> DropTouchTriggerOp:
        """Return the operation that takes this one back."""
        return DropTouchTriggerOp(self.table_name, self.key)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the difference as ``alembic check`` prints it."""
        return ("add_touch_trigger", self.table_name)


@Operations.register_operation("drop_touch_trigger")
class DropTouchTriggerOp(ops.MigrateOperation):
    """Stop keeping ``updated_at`` for raw SQL."""

    def __init__(self, table_name: str, key: Sequence[str]) -> None:
        self.table_name = table_name
        self.key = list(key)

    @classmethod
    def drop_touch_trigger(
        cls, operations: Operations, table_name: str, key: Sequence[str]
    ) -> None:
        """Drop the trigger that keeps a table's ``updated_at``.

        Args:
            operations: Given by Alembic.
            table_name: The table.
            key: Its primary key columns, for the way back.
        """
        operations.invoke(cls(table_name, key))

    def reverse(self) -> CreateTouchTriggerOp:
        """Return the operation that takes this one back."""
        return CreateTouchTriggerOp(self.table_name, self.key)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return the difference as ``alembic check`` prints it."""
        return ("remove_touch_trigger", self.table_name)


@Operations.register_operation("alter_enum")
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


class PortableBatchImpl(BatchOperationsImpl):
    """A ``batch_alter_table`` block: on SQLite one rebuild, elsewhere ALTERs."""

    def flush(self) -> None:
        """Carry out what the block collected."""
        from lockstep.migrations.sqlite.impl import SafeSqliteImpl

        impl = self.operations.impl
        if isinstance(impl, SafeSqliteImpl):
            impl.run_batch(self)
            return
        for name, arguments, options in self.batch:
            getattr(impl, name)(*arguments, **options)
        for argument in self.table_args:
            table = sa.Table(self.table_name, sa.MetaData(), argument)
            assert argument.table is table, "constraints are bound to their table"
            impl.add_constraint(argument)


class PortableOperations(Operations):
    """Alembic's ``op``, carried out portably.

    Args:
        migration_context: Its ``impl`` is one of ours.
        listeners: Told of each operation before it is carried out.
    """

    _to_impl = Operations._to_impl.branch()  # pyright: ignore[reportPrivateUsage]

    def __init__(
        self,
        migration_context: MigrationContext,
        impl: BatchOperationsImpl | None = None,
        *,
        listeners: Sequence[Listener] = (),
    ) -> None:
        super().__init__(migration_context, impl)
        self.listeners = tuple(listeners)

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        """Tell the listeners, then carry the operation out."""
        for listener in self.listeners:
            listener(operation)
        return super().invoke(operation)

    @contextmanager
    def batch_alter_table(  # noqa: PLR0913 - Alembic's signature
        self, table_name: str, schema: str | None = None, **options: Any
    ) -> Generator[BatchOperations]:
        """Collect changes of one table; on SQLite they are one rebuild."""
        impl = PortableBatchImpl(
            self,
            table_name,
            schema,
            options.get("recreate", "auto"),
            options.get("copy_from"),
            options.get("table_args", ()),
            options.get("table_kwargs", {}),
            options.get("reflect_args", ()),
            options.get("reflect_kwargs", {}),
            options.get("naming_convention"),
            options.get("partial_reordering"),
        )
        yield PortableBatchOperations(
            self.migration_context, impl, listeners=self.listeners
        )
        impl.flush()

    @contextmanager
    def installed(self) -> Generator[None]:
        """Make this the ``op`` that revisions import, while the block runs.

        Blocks may be nested; the outer ``op`` is there again afterwards.
        """
        attributes, modules = Operations._setups[Operations]  # pyright: ignore[reportPrivateUsage]
        names = ("_proxy", *attributes)
        saved = [{n: g[n] for n in names if n in g} for g, _ in modules]
        for module_globals, _ in modules:
            module_globals["_proxy"] = self
            for attribute in attributes:
                module_globals[attribute] = getattr(self, attribute)
        try:
            yield
        finally:
            for (module_globals, _), before in zip(modules, saved, strict=True):
                for name in names:
                    module_globals.pop(name, None)
                module_globals.update({"_proxy": None} | before)


class PortableBatchOperations(BatchOperations):
    """The ``batch_op`` of a block; tells the same listeners."""

    _to_impl = PortableOperations._to_impl  # pyright: ignore[reportPrivateUsage]

    def __init__(
        self,
        migration_context: MigrationContext,
        impl: BatchOperationsImpl | None = None,
        *,
        listeners: Sequence[Listener] = (),
    ) -> None:
        super().__init__(migration_context, impl)
        self.listeners = tuple(listeners)

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        """Tell the listeners, then collect the operation."""
        for listener in self.listeners:
            listener(operation)
        return super().invoke(operation)
