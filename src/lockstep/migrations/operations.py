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
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from alembic.operations import BatchOperations, Operations, ops
from alembic.operations.batch import BatchOperationsImpl

from lockstep.errors import MigrationError
from lockstep.migrations.batches import (
    BATCH_ROWS,
    Change,
    fill_column,
    run_batches,
    written_out,
)
from lockstep.migrations.results import ProgressCallback, silent

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

Listener = Callable[[ops.MigrateOperation], None]


@Operations.register_operation("create_touch_trigger")
class CreateTouchTriggerOp(ops.MigrateOperation):
    """Keep ``updated_at`` of a table also for raw SQL."""

    def __init__(
        self, table_name: str, key: Sequence[str], *, column: str = "updated_at"
    ) -> None:
        self.table_name = table_name
        self.key = list(key)
        self.column = column

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
class DropTouchTriggerOp(ops.MigrateOperation):
    """Stop keeping ``updated_at`` for raw SQL."""

    def __init__(
        self, table_name: str, key: Sequence[str], *, column: str = "updated_at"
    ) -> None:
        self.table_name = table_name
        self.key = list(key)
        self.column = column

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


class PortableBatchImpl(BatchOperationsImpl):
    """A ``batch_alter_table`` block: on SQLite one rebuild, elsewhere ALTERs."""

    def alter_enum(self, *arguments: Any, **options: Any) -> None:
        """Collect the change of an enum."""
        cast("Any", self).batch.append(("alter_enum", arguments, options))

    def rename_constraint(self, *arguments: Any, **options: Any) -> None:
        """Collect the rename of a constraint."""
        cast("Any", self).batch.append(("rename_constraint", arguments, options))

    def flush(self) -> None:
        """Carry out what the block collected."""
        from lockstep.migrations.sqlite.impl import SafeSqliteImpl

        impl: Any = cast("Any", self.operations).impl
        if isinstance(impl, SafeSqliteImpl):
            impl.run_batch(self)
            return
        other: Any = impl
        for name, arguments, options in cast("Any", self).batch:
            getattr(other, name)(*arguments, **options)
        arguments: list[Any] = list(cast("Any", self).table_args)
        for argument in arguments:
            table: Any = sa.Table(cast("Any", self).table_name, sa.MetaData(), argument)
            assert argument.table is table, "constraints are bound to their table"
            other.add_constraint(argument)


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
    def batch_alter_table(  # pyright: ignore[reportIncompatibleMethodOverride]
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


Implementation = PortableOperations._to_impl.dispatch_for  # pyright: ignore[reportPrivateUsage]


@Implementation(ops.AlterColumnOp, replace=True)
def _alter_column(operations: Any, op: ops.AlterColumnOp) -> None:
    # Alembic's own also drops and adds the checks of the types beside it; our
    # implementations know how a type's checks are named and where they stand.
    operations.impl.alter_column(
        op.table_name,
        op.column_name,
        nullable=op.modify_nullable,
        server_default=op.modify_server_default,
        name=op.modify_name,
        type_=op.modify_type,
        schema=op.schema,
        existing_type=op.existing_type,
        existing_server_default=op.existing_server_default,
        existing_nullable=op.existing_nullable,
        comment=op.modify_comment,
        existing_comment=op.existing_comment,
        **op.kw,
    )


@Implementation(AlterEnumOp)
def _alter_enum(operations: Any, op: AlterEnumOp) -> None:
    operations.impl.alter_enum(
        op.table_name,
        op.column_name,
        op.type_,
        existing_type=op.existing_type,
        rename=op.rename,
    )


@Implementation(RenameConstraintOp)
def _rename_constraint(operations: Any, op: RenameConstraintOp) -> None:
    operations.impl.rename_constraint(
        op.table_name, op.old_name, op.new_name, if_exists=op.if_exists
    )


@Implementation(AlterSqliteOptionsOp)
def _alter_sqlite_options(operations: Any, op: AlterSqliteOptionsOp) -> None:
    operations.impl.alter_sqlite_options(op.table_name, **op.options)


@Implementation(CreateTouchTriggerOp)
def _create_touch_trigger(operations: Any, op: CreateTouchTriggerOp) -> None:
    from lockstep.schema import create_touch_trigger_sql

    _run_statements(
        operations,
        create_touch_trigger_sql(
            op.table_name, op.key, operations.impl.dialect.name, column=op.column
        ),
    )


@Implementation(DropTouchTriggerOp)
def _drop_touch_trigger(operations: Any, op: DropTouchTriggerOp) -> None:
    from lockstep.schema import drop_touch_trigger_sql

    name = operations.impl.dialect.name
    _run_statements(operations, drop_touch_trigger_sql(op.table_name, name))


def _run_statements(operations: Any, statements: Sequence[str]) -> None:
    for statement in statements:
        # DDL formats its text with %, and strftime has some of its own.
        operations.impl.execute(sa.DDL(statement.replace("%", "%%")))


@Implementation(FillColumnOp)
def _fill_column(operations: Any, op: FillColumnOp) -> int:
    context = operations.migration_context
    if context.as_sql:
        target = sa.table(op.table_name, sa.column(op.column.name, op.column.type))
        own = target.c[op.column.name]
        given = op.value() if callable(op.value) else op.value
        value = (
            given
            if isinstance(given, sa.sql.ClauseElement)
            else written_out(op.column, given, operations.impl.dialect)
        )
        operations.impl.execute(
            sa.update(target).where(own.is_(None)).values({op.column.name: value})
        )
        return 0
    return fill_column(
        context.connection,
        op.table_name,
        op.column,
        op.value,
        on_progress=_on_progress(context),
    )


@Implementation(RunBatchesOp)
def _run_batches(operations: Any, op: RunBatchesOp) -> int:
    context = operations.migration_context
    if context.as_sql:
        raise MigrationError(
            f"rows of {op.table.name!r} are changed with Python; that is no SQL text"
        )
    return run_batches(
        context.connection,
        op.table,
        op.change,
        on_progress=_on_progress(context),
        **op.options,
    )


def _on_progress(context: MigrationContext) -> ProgressCallback:
    request = context.opts.get("lockstep_request")
    return silent if request is None else request.on_progress
