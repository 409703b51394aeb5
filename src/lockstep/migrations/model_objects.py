"""The models' columns, constraints and indexes, found by what a database shows.

Owns the way from a state (which may carry a name the database made up) to the
object of SQLAlchemy that a revision is written from. Must not know: databases.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import conv

from lockstep.errors import NotPortable
from lockstep.migrations.ddl import expression_sql, make_dialect
from lockstep.migrations.diff import Difference, in_words
from lockstep.migrations.operations import CreateTouchTriggerOp
from lockstep.migrations.sqlite.tokens import canonical
from lockstep.migrations.state import (
    CheckState,
    ConstraintState,
    ForeignKeyState,
    UniqueState,
)
from lockstep.migrations.tables import columns_of
from lockstep.schema import constraint_name, touched_column

_SQLITE = make_dialect("sqlite")


class ModelObjects:
    """Answers questions about the models with portable defaults."""

    def __init__(self, metadata: sa.MetaData) -> None:
        self.metadata = metadata

    def table(self, name: str) -> sa.Table | None:
        """Return a table, or None."""
        return self.metadata.tables.get(name)

    def column(self, table: str, name: str) -> sa.Column[Any] | None:
        """Return a column, or None."""
        found = self.metadata.tables.get(table)
        return None if found is None else found.c.get(name)

    def index(self, table: str, name: str) -> sa.Index | None:
        """Return an index, or None."""
        made = self.metadata.tables[table].indexes
        return next((index for index in made if str(index.name) == name), None)

    def constraint(self, table: str, state: ConstraintState) -> sa.Constraint:
        """Return a constraint; one without a name gets the conventional one.

        Raises:
            NotPortable: Several unnamed checks cannot be told apart.
        """
        made = list(self.metadata.tables[table].constraints)
        for constraint in made:
            if constraint.name is not None and str(constraint.name) == state.name:
                return constraint
        similar = [c for c in made if _may_be(c, state)]
        if len(similar) > 1 and isinstance(state, CheckState):
            similar = [
                c
                for c in similar
                if isinstance(c, sa.CheckConstraint)
                and canonical(expression_sql(_SQLITE, c.sqltext)) == state.expression
            ] or similar
        if len(similar) != 1:
            raise NotPortable(
                f"table {table!r} has checks without a name that cannot be told apart",
                hint="name them, or use ls.portable_metadata(), which does",
            )
        return self.with_name(similar[0])

    def with_name(self, constraint: sa.Constraint) -> sa.Constraint:
        """Return the constraint, named if it is not; it can be dropped then."""
        if isinstance(constraint.name, str):
            return constraint
        table = constraint.table.name
        columns = [column.name for column in columns_of(constraint)]
        if isinstance(constraint, sa.ForeignKeyConstraint):
            parts = [*columns, constraint.referred_table.name]
            name = constraint_name("fk", table, *parts)
        elif isinstance(constraint, sa.UniqueConstraint):
            name = constraint_name("uq", table, *columns)
        elif isinstance(constraint, sa.PrimaryKeyConstraint):
            name = constraint_name("pk", table)
        else:
            name = constraint_name("ck", table, *(columns or ["rows"]))
        constraint.name = conv(name)
        return constraint

    def touch_trigger(self, table: str) -> CreateTouchTriggerOp:
        """Return the operation that creates a table's touch trigger."""
        made = self.metadata.tables[table]
        column = touched_column(made)
        assert column is not None, "asked only for a table that has one"
        key = [item.name for item in made.primary_key.columns]
        return CreateTouchTriggerOp(table, key, column=column.name)

    def foreign_key_differences(
        self, table: sa.Table, constraint: sa.ForeignKeyConstraint
    ) -> list[Difference]:
        """Return the drop and the new creation of a foreign key."""
        named = self.with_name(constraint)
        name = str(named.name)
        state = ForeignKeyState(
            name,
            tuple(element.parent.name for element in constraint.elements),
            constraint.referred_table.name,
            tuple(element.column.name for element in constraint.elements),
        )
        words = in_words(state)
        return [
            Difference("foreign key", table.name, name, words, None, state),
            Difference("foreign key", table.name, name, None, words, state),
        ]


def _may_be(constraint: sa.Constraint, state: ConstraintState) -> bool:
    if getattr(constraint, "_type_bound", False):
        return False
    match state:
        case UniqueState():
            kinds = (sa.UniqueConstraint, sa.PrimaryKeyConstraint)
            names = sorted(column.name for column in columns_of(constraint))
            return isinstance(constraint, kinds) and names == sorted(state.columns)
        case ForeignKeyState():
            if not isinstance(constraint, sa.ForeignKeyConstraint):
                return False
            local = sorted(element.parent.name for element in constraint.elements)
            target = constraint.referred_table.name
            return local == sorted(state.columns) and target == state.table
        case CheckState():
            unnamed = not isinstance(constraint.name, str)
            return isinstance(constraint, sa.CheckConstraint) and unnamed
        case _:
            return False
