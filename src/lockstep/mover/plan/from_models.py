"""The plan between two databases that one set of models describes.

Owns which codec belongs to a portable type. The tables are not made here: the
migration history brings the target to its head, and the rows are put into what is
there. So the application that works on one side works on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lockstep.engine.idempotency import WRITE_KEYS_TABLE
from lockstep.errors import InvalidPlan
from lockstep.mover.model.plan import ColumnPlan, Dialect, Loss, Plan, TablePlan
from lockstep.schema.names import KEPT_BY_EACH
from lockstep.schema.types import (
    Array,
    BigInteger,
    Blob,
    Boolean,
    Date,
    Decimal,
    Enum,
    Float,
    Json,
    Text,
    UtcDateTime,
    Uuid,
)

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

_CODECS: dict[type[Any], str] = {
    Array: "array",
    BigInteger: "integer",
    Blob: "bytes",
    Boolean: "boolean",
    Date: "text",
    Enum: "text",
    Float: "real",
    Json: "json",
    Text: "text",
    UtcDateTime: "utc",
    Uuid: "text",
}
_ORDERED = (BigInteger, Uuid, Text, Enum, Blob, sa.Integer, sa.String)
_WRITE_KEYS = (
    ColumnPlan("key", "key", "text", "text", not_null=True),
    ColumnPlan("result", "result", "text", "text"),
    ColumnPlan("at", "at", "bigint", "integer", not_null=True),
)


def plan_from_models(
    metadata: sa.MetaData, source: Dialect, target: Dialect, present: Sequence[str]
) -> Plan:
    """Make the plan for the tables that models describe.

    Args:
        metadata: The models.
        source: The dialect that is read.
        target: The dialect that is written.
        present: The source's tables.

    Raises:
        InvalidPlan: A model's table is not in the source, or has a type that does
            not say how it is stored.
    """
    plan = Plan(source, target, [], creates_tables=False)
    plan.notices.append("the models and their history make the target")
    missing = [t.name for t in metadata.sorted_tables if t.name not in present]
    if missing:
        raise InvalidPlan(
            f"the source has no table {missing[0]!r}",
            hint="lockstep migrate upgrade brings the source to the head first",
        )
    described = {table.name for table in metadata.sorted_tables}
    for name in present:
        if name == WRITE_KEYS_TABLE:
            plan.tables.append(_write_keys())
        elif name not in described | KEPT_BY_EACH:
            why = "no model describes it"
            plan.losses.append(Loss("table", name, why, is_data=True))
    for table in metadata.sorted_tables:
        made = TablePlan(table.name, table.name, [])
        for column in table.columns:
            made.columns.append(
                ColumnPlan(
                    column.name,
                    column.name,
                    _type_name(column.type, target),
                    codec_for(column.type, f"{table.name}.{column.name}"),
                    not_null=not column.nullable,
                    identity=_is_identity(table, column, target),
                )
            )
        made.primary_key = [column.name for column in table.primary_key]
        if all(isinstance(c.type, _ORDERED) for c in table.primary_key):
            made.order_key = list(made.primary_key)
        plan.tables.append(made)
    return plan


def _write_keys() -> TablePlan:
    """Return the plan of the idempotency keys.

    A write that is asked for again after the move must find the key that it used
    before, or it would be done twice.
    """
    columns = [replace(column) for column in _WRITE_KEYS]
    return TablePlan(
        *(WRITE_KEYS_TABLE, WRITE_KEYS_TABLE, columns),
        primary_key=["key"],
        order_key=["key"],
    )


def _is_identity(table: sa.Table, column: sa.Column[Any], target: Dialect) -> bool:
    return target == "postgresql" and table.autoincrement_column is column


def _type_name(kind: TypeEngine[Any], target: Dialect) -> str:
    if target == "sqlite":
        from sqlalchemy.dialects.sqlite import dialect
    else:
        from sqlalchemy.dialects.postgresql import dialect
    made: Any = dialect()
    return str(kind.compile(made)).lower()


def codec_for(kind: TypeEngine[Any], where: str) -> str:
    """Return the codec of a portable type, or of a plain one that is stored alike.

    Raises:
        InvalidPlan: The type is stored in a way that only its driver knows.
    """
    if isinstance(kind, Decimal):
        if kind.is_scaled:
            return f"scaled:{kind.scale}"
        return f"wide_decimal:{kind.precision},{kind.scale}"
    if isinstance(kind, Array):
        return f"array:{codec_for(kind.item, where)}"
    for known, codec in _CODECS.items():
        if isinstance(kind, known):
            return codec
    plain: list[tuple[type[Any], str]] = [
        (sa.Boolean, "boolean"),
        (sa.Integer, "integer"),
        (sa.Float, "real"),
        (sa.Enum, "text"),
        (sa.String, "text"),
        (sa.LargeBinary, "bytes"),
        (sa.Date, "text"),
    ]
    for known, codec in plain:
        if isinstance(kind, known):
            return codec
    raise InvalidPlan(
        f"{where} has the type {kind!r}, which is stored differently by each engine",
        hint="use a portable type of lockstep.schema, or move without the models",
    )
