"""Operations in words, for a person who decides whether to go on.

Owns one line per operation. Must not know: connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from alembic.operations import ops

from lockstep.migrations.operations import (
    AlterEnumOp,
    CreateTouchTriggerOp,
    DropTouchTriggerOp,
    FillColumnOp,
    RunBatchesOp,
)


def describe_all(operations: Iterable[ops.MigrateOperation]) -> list[str]:
    """Return a line for each operation, those of a table's block one by one."""
    lines: list[str] = []
    for operation in operations:
        if isinstance(operation, ops.OpContainer):
            lines += describe_all(operation.ops)
        else:
            lines.append(describe(operation))
    return lines


def describe(operation: ops.MigrateOperation) -> str:
    """Return an operation as a short sentence without a full stop."""
    for kind, sentence in _SENTENCES:
        if isinstance(operation, kind):
            return sentence(operation)
    return type(operation).__name__


def _columns(names: Iterable[Any]) -> str:
    return ", ".join(str(getattr(name, "name", name)) for name in names)


def _alter(op: ops.AlterColumnOp) -> str:
    parts: list[str] = []
    if op.modify_type is not None:
        parts.append(f"type {op.modify_type!r}")
    if op.modify_nullable is not None:
        parts.append("NULL allowed" if op.modify_nullable else "NOT NULL")
    if op.modify_server_default is not False:
        gone = op.modify_server_default is None
        parts.append("no default" if gone else "another default")
    if op.modify_name is not None:
        parts.append(f"renamed to {op.modify_name}")
    if op.modify_comment is not False:
        parts.append("comment")
    return f"alter {op.table_name}.{op.column_name}: {', '.join(parts) or 'nothing'}"


def _sql(op: ops.ExecuteSQLOp) -> str:
    text = " ".join(str(op.sqltext).split())
    return f"run SQL: {text if len(text) <= 60 else text[:57] + '…'}"


# The first class that fits gives the sentence.
_SENTENCES: list[tuple[type[Any], Callable[[Any], str]]] = [
    (ops.CreateTableOp, lambda op: f"create table {op.table_name}"),
    (ops.DropTableOp, lambda op: f"drop table {op.table_name}"),
    (
        ops.RenameTableOp,
        lambda op: f"rename table {op.table_name} to {op.new_table_name}",
    ),
    (ops.AddColumnOp, lambda op: f"add column {op.table_name}.{op.column.name}"),
    (ops.DropColumnOp, lambda op: f"drop column {op.table_name}.{op.column_name}"),
    (AlterEnumOp, lambda op: f"change the values of {op.table_name}.{op.column_name}"),
    (ops.AlterColumnOp, _alter),
    (
        ops.CreateIndexOp,
        lambda op: f"create index {op.index_name} on {op.table_name}",
    ),
    (ops.DropIndexOp, lambda op: f"drop index {op.index_name}"),
    (
        ops.CreateForeignKeyOp,
        lambda op: (
            f"add foreign key {op.source_table}({_columns(op.local_cols)}) to "
            f"{op.referent_table}"
        ),
    ),
    (
        ops.CreateUniqueConstraintOp,
        lambda op: f"add unique {op.table_name}({_columns(op.columns)})",
    ),
    (
        ops.CreatePrimaryKeyOp,
        lambda op: f"add primary key {op.table_name}({_columns(op.columns)})",
    ),
    (
        ops.CreateCheckConstraintOp,
        lambda op: f"add check {op.constraint_name} to {op.table_name}",
    ),
    (
        ops.DropConstraintOp,
        lambda op: f"drop constraint {op.constraint_name} of {op.table_name}",
    ),
    (ops.CreateTableCommentOp, lambda op: f"comment table {op.table_name}"),
    (ops.DropTableCommentOp, lambda op: f"drop the comment of {op.table_name}"),
    (ops.ExecuteSQLOp, _sql),
    (ops.BulkInsertOp, lambda op: f"insert {len(op.rows)} rows into {op.table.name}"),
    (CreateTouchTriggerOp, lambda op: f"create touch trigger on {op.table_name}"),
    (DropTouchTriggerOp, lambda op: f"drop touch trigger of {op.table_name}"),
    (FillColumnOp, lambda op: f"fill column {op.table_name}.{op.column.name}"),
    (RunBatchesOp, lambda op: f"change rows of {op.table.name} in batches"),
]
