"""Rows that a table accepts, made up from its declaration.

Owns the invention of values: by type, unique per row, pointing at rows that are
there, and within the checks as far as trying finds a way. Must not know: history.

The rows are the same in every run, so that a finding can be looked at again.
"""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from lockstep.migrations.kinds import Kind, kind_of
from lockstep.migrations.sqlite.tokens import meaningful, tokens
from lockstep.migrations.tables import in_dependency_order

if TYPE_CHECKING:
    from sqlalchemy import Connection

# A full row, another full row, and one that has only what it must have.
ROWS_PER_TABLE = 3
SPARSE_ROW = ROWS_PER_TABLE - 1
ATTEMPTS_MAX = 40

_MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)


@dataclass
class Samples:
    """Inserts rows into the tables of one connection.

    Attributes:
        refused: Tables that took no row, with the reason.
        inserted: How many rows were inserted.
    """

    connection: Connection
    refused: dict[str, str] = field(default_factory=dict[str, str])
    inserted: int = 0

    def fill(self, metadata: sa.MetaData, tables: Sequence[str]) -> None:
        """Insert rows into the named tables, parents first.

        Args:
            metadata: The declared schema; foreign keys resolve in it.
            tables: Those that have no rows yet.
        """
        waiting = [t.name for t, _ in _ordered(metadata) if t.name in tables]
        for _ in range(len(waiting) + 1):  # cycles need another look
            still: list[str] = []
            for name in waiting:
                for number in range(ROWS_PER_TABLE):
                    if not self._insert(metadata.tables[name], number) and not number:
                        still.append(name)
                        break
            if still == waiting:
                break
            waiting = still
        self.refused = {name: self.refused[name] for name in waiting}

    def _insert(self, table: sa.Table, number: int) -> bool:
        sparse = number == SPARSE_ROW
        reason = "no row was tried"
        for attempt in range(ATTEMPTS_MAX):
            row = self._row(table, number, attempt, sparse=sparse)
            if row is None:
                reason = "a row it must point at is missing"
                break
            savepoint = self.connection.begin_nested()
            try:
                self.connection.execute(sa.insert(table).values(row))
            except (sa_exc.SQLAlchemyError, ValueError) as exc:
                savepoint.rollback()
                reason = str(getattr(exc, "orig", exc)).partition("\n")[0]
                continue
            savepoint.commit()
            self.inserted += 1
            return True
        self.refused[table.name] = reason
        return False

    def _row(
        self, table: sa.Table, number: int, attempt: int, *, sparse: bool
    ) -> dict[str, Any] | None:
        row: dict[str, Any] = {}
        hints = _hints(table)
        for column in table.columns:
            if _is_given_by_database(column) or (sparse and _may_be_left_out(column)):
                continue
            row[column.name] = value_for(
                column, number, attempt, hints.get(column.name, ())
            )
        for constraint in table.foreign_key_constraints:
            if not self._point(row, constraint, number, sparse=sparse):
                return None
        return row

    def _point(
        self,
        row: dict[str, Any],
        constraint: sa.ForeignKeyConstraint,
        number: int,
        *,
        sparse: bool,
    ) -> bool:
        """Let the row point at one that is there, at itself, or at nothing."""
        pairs = [(e.parent, e.column) for e in constraint.elements]
        optional = any(parent.nullable for parent, _ in pairs)
        local = [parent.name for parent, _ in pairs]
        if sparse and optional:
            for parent, _ in pairs:
                if parent.nullable:
                    row.pop(parent.name, None)
            return True
        target = pairs[0][1].table
        found = self.connection.execute(
            sa.select(*(column for _, column in pairs)).limit(ROWS_PER_TABLE)
        ).all()
        if found:
            chosen = found[min(number, len(found) - 1)]
            row.update(zip(local, chosen, strict=True))
            return True
        if optional:
            for parent, _ in pairs:
                if parent.nullable:
                    row[parent.name] = None
            return True
        if target is constraint.table:
            own = [row.get(column.name) for _, column in pairs]
            row.update(zip(local, own, strict=True))
            return None not in own
        return False


def _ordered(metadata: sa.MetaData) -> list[tuple[sa.Table, Any]]:
    pairs = in_dependency_order(metadata.tables.values())
    return [(table, keys) for table, keys in pairs if table is not None]


def _is_given_by_database(column: sa.Column[Any]) -> bool:
    if isinstance(column.server_default, sa.Computed | sa.Identity):
        return True
    return column is column.table.autoincrement_column


def _may_be_left_out(column: sa.Column[Any]) -> bool:
    return not column.primary_key and (
        bool(column.nullable) or column.server_default is not None
    )


def _hints(table: sa.Table) -> Mapping[str, Sequence[Any]]:
    """Return the literals that a table's checks mention, by column."""
    found: dict[str, list[Any]] = {}
    for constraint in table.constraints:
        if not isinstance(constraint, sa.CheckConstraint):
            continue
        parts = meaningful(tokens(str(constraint.sqltext)))
        names = {p.name.lower() for p in parts if p.name is not None}
        values: list[Any] = []
        for part in parts:
            if part.kind == "number" and re.fullmatch(r"\d+", part.text):
                number = int(part.text)
                values += [number, number + 1, number - 1]
            elif part.kind == "number":
                values.append(decimal.Decimal(part.text))
            elif part.kind == "string":
                values.append(part.text.strip("'"))
        for column in table.columns:
            if column.name.lower() in names:
                found.setdefault(column.name, []).extend(values)
    return found


def value_for(
    column: sa.Column[Any], number: int, attempt: int, hints: Sequence[Any] = ()
) -> Any:
    """Return a value of a column's type.

    Args:
        column: Says type and length.
        number: The row; another number gives another value.
        attempt: Counts the tries for this row; each tries something else.
        hints: Values that a check mentions.
    """
    labels = getattr(column.type, "stored_values", None)
    labels = labels or getattr(column.type, "enums", None)
    if labels:
        member = getattr(column.type, "_member_of", None)
        label = labels[(number + attempt) % len(labels)]
        return member[label] if member else label
    kind = kind_of(column.type)
    fitting = [hint for hint in hints if _fits(hint, kind)]
    if attempt and fitting and attempt <= 2 * len(fitting):
        return _cast(fitting[(attempt - 1 + number) % len(fitting)], kind)
    make = _MAKERS.get(kind, _text)
    return make(column, number + 3 * attempt)


def _fits(hint: Any, kind: Kind) -> bool:
    numeric = kind in ("integer", "decimal", "float")
    return isinstance(hint, str) if kind == "text" else numeric and hint is not None


def _cast(hint: Any, kind: Kind) -> Any:
    if kind == "integer":
        return int(decimal.Decimal(str(hint)))
    if kind == "decimal":
        return decimal.Decimal(str(hint))
    return float(hint) if kind == "float" else hint


def _text(column: sa.Column[Any], number: int) -> str:
    # Digits, because they survive the most changes of type.
    length = getattr(column.type, "length", None) or 12
    return str(1000 + number)[-length:] if length < 4 else str(1000 + number)


def _decimal(column: sa.Column[Any], number: int) -> decimal.Decimal:
    scale = getattr(column.type, "scale", None) or 0
    precision = getattr(column.type, "precision", None) or 18
    whole = 10 ** max(0, precision - scale)
    return decimal.Decimal((number + 1) % whole)


def _json(column: sa.Column[Any], number: int) -> Any:
    return {"number": number, "list": [1, "two", None]}


def _array(column: sa.Column[Any], number: int) -> list[Any]:
    item: Any = getattr(column.type, "item", None)
    if item is None:
        return []
    lone: sa.Column[Any] = sa.Column("item", item)
    return [value_for(lone, number, 0), value_for(lone, number + 1, 0)]


_MAKERS: dict[Kind, Callable[[sa.Column[Any], int], Any]] = {
    "boolean": lambda _, n: n % 2 == 0,
    "integer": lambda _, n: n + 1,
    "decimal": _decimal,
    "float": lambda _, n: n + 0.5,
    "text": _text,
    "uuid": lambda _, n: uuid.UUID(int=(7 << 76) | (2 << 62) | (n + 1)),
    "moment": lambda _, n: _MOMENT + datetime.timedelta(days=n),
    "datetime": lambda _, n: (_MOMENT + datetime.timedelta(days=n)).replace(
        tzinfo=None
    ),
    "date": lambda _, n: _MOMENT.date() + datetime.timedelta(days=n),
    "time": lambda _, n: datetime.time(n % 24, 30),
    "json": _json,
    "array": _array,
    "blob": lambda _, n: bytes([n % 256, 0, 255]),
}


def rows_of(connection: Connection, table: sa.Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table, as its declared types read them, in key order."""
    keys = list(table.primary_key.columns) or list(table.columns)
    for row in connection.execute(sa.select(table).order_by(*keys)).mappings():
        yield {column.name: row[column] for column in table.columns}
