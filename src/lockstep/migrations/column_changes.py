"""Columns added, altered and dropped, with what rows that exist need.

Owns the operations for the columns of one table: what is filled before it may be
NOT NULL, which checks belong to a type and travel with it, what a generated column
needs. Must not know: other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from lockstep.migrations.diff import Difference
from lockstep.migrations.fills import neutral_value, value_of_model
from lockstep.migrations.kinds import can_change, kind_of
from lockstep.migrations.model_objects import ModelObjects
from lockstep.migrations.old_objects import OldObjects
from lockstep.migrations.operations import AlterEnumOp, FillColumnOp
from lockstep.migrations.own_checks import OwnChecks
from lockstep.migrations.state import CheckState

Operation = ops.MigrateOperation


@dataclass
class ColumnSteps:
    """Operations in three places of a table's change.

    Attributes:
        first: Before the block; pairs of (up, down).
        inside: In the block, which is one rebuild on SQLite.
        last: After the block, so that its way back comes before the block's.
    """

    first: list[tuple[list[Operation], list[Operation]]] = field(
        default_factory=list[tuple[list[Operation], list[Operation]]]
    )
    inside: list[tuple[Operation, Operation | None]] = field(
        default_factory=list[tuple[Operation, "Operation | None"]]
    )
    last: list[tuple[list[Operation], list[Operation]]] = field(
        default_factory=list[tuple[list[Operation], list[Operation]]]
    )


class ColumnChanges:
    """The column changes of one table.

    Attributes:
        warnings: What will fail on a table with rows.
    """

    def __init__(
        self, table: str, models: ModelObjects, old: OldObjects, own: OwnChecks
    ) -> None:
        self._table = table
        self._models = models
        self._old = old
        self._own = own
        self.warnings: list[str] = []
        self._steps = ColumnSteps()

    def plan(self, found: Sequence[Difference]) -> ColumnSteps:
        """Return the operations for a table's differences."""
        changed: dict[str, set[str]] = {}
        for item in found:
            if item.kind == "column":
                assert item.name is not None, "a column has a name"
                if item.is_missing:
                    self._add(item.name)
                else:
                    self._drop(item.name)
            elif item.kind == "check":
                assert isinstance(item.state, CheckState), "a check has its state"
                owner = self._own.owner(self._table, item.state)
                renamed = item.actual is not None and item.wanted is not None
                if owner is not None and not renamed:
                    changed.setdefault(owner, set()).add("type")
            elif item.name is not None and item.kind in _IN_COLUMN:
                changed.setdefault(item.name, set()).add(item.kind)
        coming_or_going = {i.name for i in found if i.kind == "column"}
        for name, kinds in changed.items():
            if name not in coming_or_going:
                self._alter(name, kinds)
        return self._steps

    def _add(self, name: str) -> None:
        column = self._models.column(self._table, name)
        assert column is not None, "the models miss nothing of their own"
        drop = ops.DropColumnOp(self._table, name)
        drop._reverse = ops.AddColumnOp(self._table, column)  # pyright: ignore[reportPrivateUsage]
        if not _must_be_filled(column):
            self._steps.inside.append((ops.AddColumnOp(self._table, column), drop))
            return
        value = value_of_model(column)
        if value is None:
            self.warnings.append(
                f"{self._table}.{name} is NOT NULL and has no default: the revision "
                "fails on a table with rows. Add it nullable and fill it, or give "
                "the model a default"
            )
            self._steps.inside.append((ops.AddColumnOp(self._table, column), drop))
            return
        add = ops.AddColumnOp(self._table, _nullable(column))
        fill = FillColumnOp(self._table, sa.Column(name, column.type), value)
        self._steps.first.append(([add, fill], [drop]))
        self._steps.inside.append((self._set_nullable(column, False), None))

    def _set_nullable(
        self, column: sa.Column[Any], nullable: bool
    ) -> ops.AlterColumnOp:
        return ops.AlterColumnOp(
            self._table,
            column.name,
            existing_type=column.type,
            modify_nullable=nullable,
        )

    def _drop(self, name: str) -> None:
        column = self._old.column(self._table, name)
        assert column is not None, "the database or the history has the column"
        drop = ops.DropColumnOp(self._table, name)
        add = ops.AddColumnOp(self._table, column)
        drop._reverse = add  # pyright: ignore[reportPrivateUsage]
        value = neutral_value(column) if _must_be_filled(column) else None
        if value is None:
            self._steps.inside.append((drop, add))
            return
        back: list[Operation] = [
            ops.AddColumnOp(self._table, _nullable(column)),
            FillColumnOp(self._table, sa.Column(name, column.type), value),
            self._set_nullable(column, False),
        ]
        self._steps.inside.append((drop, None))
        self._steps.last.append(([], back))

    def _alter(self, name: str, kinds: set[str]) -> None:
        new = self._models.column(self._table, name)
        old = self._old.column(self._table, name)
        assert new is not None, "the models miss nothing of their own"
        if old is None:
            old = new
        if "generated" in kinds:
            drop = ops.DropColumnOp(self._table, name)
            self._steps.inside.append((drop, ops.AddColumnOp(self._table, old)))
            back = ops.DropColumnOp(self._table, name)
            self._steps.inside.append((ops.AddColumnOp(self._table, new), back))
            return
        if "nullable" in kinds:
            self._fill_nulls(old, new)
        if "type" in kinds and _labels(old.type) and _labels(new.type):
            change = AlterEnumOp(self._table, name, new.type, existing_type=old.type)
            self._steps.inside.append((change, change.reverse()))
            kinds = kinds - {"type", "collation"}
        if "type" in kinds and not can_change(kind_of(old.type), kind_of(new.type)):
            self.warnings.append(
                f"{self._table}.{name} changes from {old.type!r} to {new.type!r}, "
                "which has no exact way: the revision fails where rows have a value"
            )
        if kinds:
            up = self._alteration(old, new, kinds)
            down = self._alteration(new, old, kinds)
            self._steps.inside.append((up, down))

    def _fill_nulls(self, old: sa.Column[Any], new: sa.Column[Any]) -> None:
        """Give rows a value before NOT NULL refuses them, on both ways."""
        if kind_of(old.type) != kind_of(new.type):
            return  # a value of one type is none of the other
        if not new.nullable:
            value = value_of_model(new)
            if value is not None:
                fill = FillColumnOp(self._table, sa.Column(old.name, old.type), value)
                self._steps.first.append(([fill], []))
        if not old.nullable:
            value = neutral_value(old)
            if value is not None and _labels(old.type) == _labels(new.type):
                fill = FillColumnOp(self._table, sa.Column(new.name, new.type), value)
                self._steps.last.append(([], [fill]))

    def _alteration(
        self, old: sa.Column[Any], new: sa.Column[Any], kinds: set[str]
    ) -> ops.AlterColumnOp:
        change = ops.AlterColumnOp(
            self._table,
            new.name,
            existing_type=old.type,
            existing_nullable=bool(old.nullable),
            existing_comment=old.comment,
        )
        if kinds & {"type", "collation"}:
            change.modify_type = new.type
            # PostgreSQL cannot carry every default to another type by itself.
            if old.server_default is not None or new.server_default is not None:
                kinds = kinds | {"default"}
        if _counts(old) != _counts(new):
            change.kw["autoincrement"] = _counts(new)
            kinds = kinds - {"default"}
        if kinds & {"default", "identity"}:
            change.modify_server_default = new.server_default
        if "nullable" in kinds:
            change.modify_nullable = bool(new.nullable)
        if "comment" in kinds:
            change.modify_comment = new.comment
        return change


_IN_COLUMN = {
    "type",
    "nullable",
    "default",
    "generated",
    "identity",
    "collation",
    "comment",
}


def _must_be_filled(column: sa.Column[Any]) -> bool:
    return (
        not column.nullable and column.server_default is None and not column.primary_key
    )


def _counts(column: sa.Column[Any]) -> bool:
    """Whether the database gives the column its next number."""
    table: Any = column.table
    return table is not None and table.autoincrement_column is column


def _nullable(column: sa.Column[Any]) -> sa.Column[Any]:
    return sa.Column(column.name, column.type, nullable=True, comment=column.comment)


def _labels(type_: sa.types.TypeEngine[Any]) -> Any:
    return getattr(type_, "stored_values", None) or getattr(type_, "enums", None)
