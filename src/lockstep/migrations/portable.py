"""Alembic's ``op``, carried out portably.

Owns how every operation, Alembic's and ours, is carried out on SQLite and PostgreSQL,
and tells listeners what a revision does. Must not know: transactions, files. How
Alembic's own operations behave elsewhere in the process is not touched.

    revision ──► op.… ──► listeners ──► our implementation, or Alembic's
                 └─ batch_alter_table: one rebuild on SQLite, ALTERs elsewhere
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from alembic.operations import BatchOperations, Operations, ops
from alembic.operations.base import AbstractOperations
from alembic.operations.batch import BatchOperationsImpl

from lockstep.errors import MigrationError
from lockstep.migrations.batches import fill_column, run_batches, written_out
from lockstep.migrations.operations import (
    AlterEnumOp,
    AlterSqliteOptionsOp,
    CreateTouchTriggerOp,
    DropTouchTriggerOp,
    FillColumnOp,
    RenameConstraintOp,
    RunBatchesOp,
)
from lockstep.migrations.request import OPTION
from lockstep.migrations.results import ProgressCallback, silent

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

Listener = Callable[[ops.MigrateOperation], None]


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


class _Told(AbstractOperations):
    """Operations that listeners are told of.

    Args:
        migration_context: Its ``impl`` is one of ours.
        impl: Of a batch.
        listeners: Told of each operation before it is carried out, or collected.
    """

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
        """Tell the listeners, then carry the operation out or collect it."""
        for listener in self.listeners:
            listener(operation)
        return super().invoke(operation)


class PortableOperations(_Told, Operations):
    """Alembic's ``op``, carried out portably."""

    _to_impl = Operations._to_impl.branch()  # pyright: ignore[reportPrivateUsage]

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


class PortableBatchOperations(_Told, BatchOperations):
    """The ``batch_op`` of a block; tells the same listeners."""

    _to_impl = PortableOperations._to_impl  # pyright: ignore[reportPrivateUsage]


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
            f"rows of {op.table.name!r} are changed with Python; that is no SQL text",
            hint="leave --sql out: apply this revision with lockstep migrate upgrade",
        )
    return run_batches(
        context.connection,
        op.table,
        op.change,
        on_progress=_on_progress(context),
        **op.options,
    )


def _on_progress(context: MigrationContext) -> ProgressCallback:
    request = context.opts.get(OPTION)
    return silent if request is None else request.on_progress
