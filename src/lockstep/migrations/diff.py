"""What differs between two states of a schema.

Owns the pairing of constraints (by name, else by meaning) and the list of
differences, in words that carry no engine. Must not know: Alembic, databases.

Invariant: the list is empty exactly when both states mean the same; the order of
columns and constraints, and names that a database made up itself, mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from lockstep.migrations.state import (
    CheckState,
    ColumnState,
    ConstraintState,
    ForeignKeyState,
    IndexState,
    SchemaState,
    TableState,
    UniqueState,
)

Kind = Literal[
    "table",
    "column",
    "type",
    "nullable",
    "default",
    "generated",
    "identity",
    "collation",
    "comment",
    "primary key",
    "unique",
    "foreign key",
    "check",
    "index",
    "trigger",
    "option",
    "table comment",
]
C = TypeVar("C", bound=ConstraintState)


@dataclass(frozen=True)
class Difference:
    """One difference between what is there and what is wanted.

    Attributes:
        kind: What it is about.
        table: The table.
        name: Column, constraint, index, trigger or option.
        actual: What is there, in words; None when it is missing.
        wanted: What should be there; None when it is one too many.
        state: The constraint that is missing or one too many.
    """

    kind: Kind
    table: str
    name: str | None
    actual: str | None
    wanted: str | None
    state: ConstraintState | None = None

    @property
    def is_missing(self) -> bool:
        """Whether something has to be made."""
        return self.actual is None

    @property
    def is_extra(self) -> bool:
        """Whether something has to go."""
        return self.wanted is None

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two differences the same one."""
        meaning = None if self.state is None else self.state.meaning
        sides = (self.is_missing, self.is_extra)
        return (self.kind, self.table, self.name or meaning, sides)

    def sentence(self) -> str:
        """Return the difference as one line for a person."""
        place = self.table if self.name is None else f"{self.table}.{self.name}"
        if self.kind == "table":
            place = self.table
        if self.is_missing:
            return f"{self.kind} {place} is missing"
        if self.is_extra:
            return f"{self.kind} {place} is not in the models"
        return f"{self.kind} of {place} is {self.actual}, the models say {self.wanted}"


def differences(
    actual: SchemaState, wanted: SchemaState, *, triggers: set[str] | None = None
) -> list[Difference]:
    """Return what leads from ``actual`` to ``wanted``.

    Args:
        actual: The database.
        wanted: The models.
        triggers: Names of the triggers that count; others are the user's own.
    """
    found = [
        Difference("table", name, None, None, name)
        for name in wanted.tables
        if name not in actual.tables
    ]
    for name, table in actual.tables.items():
        if name in wanted.tables:
            found += _in_table(table, wanted.tables[name], triggers)
        else:
            found.append(Difference("table", name, None, name, None))
    return found


def _in_table(
    actual: TableState, wanted: TableState, triggers: set[str] | None
) -> Iterator[Difference]:
    name = actual.name
    for column in wanted.columns.values():
        if column.name in actual.columns:
            yield from _in_column(name, actual.columns[column.name], column)
        else:
            yield Difference("column", name, column.name, None, column.type)
    for column in actual.columns.values():
        if column.name not in wanted.columns:
            yield Difference("column", name, column.name, column.type, None)
    keys = ([k] if k is not None else [] for k in (actual.primary_key,))
    yield from _unpaired(
        "primary key",
        name,
        next(keys),
        [] if wanted.primary_key is None else [wanted.primary_key],
    )
    yield from _unpaired("unique", name, actual.uniques, wanted.uniques)
    yield from _unpaired("foreign key", name, actual.foreign_keys, wanted.foreign_keys)
    yield from _unpaired("check", name, actual.checks, wanted.checks)
    yield from _unpaired("index", name, actual.indexes, wanted.indexes)
    yield from _in_triggers(actual, wanted, triggers)
    for option in sorted(actual.options ^ wanted.options):
        there = option if option in actual.options else f"not {option}"
        needed = option if option in wanted.options else f"not {option}"
        yield Difference("option", name, option, there, needed)
    if actual.comment != wanted.comment:
        yield Difference(
            "table comment", name, None, repr(actual.comment), repr(wanted.comment)
        )


def _in_column(
    table: str, actual: ColumnState, wanted: ColumnState
) -> Iterator[Difference]:
    pairs: list[tuple[Kind, str | None, str | None]] = [
        ("type", actual.type, wanted.type),
        ("nullable", _null(actual), _null(wanted)),
        ("default", _default(actual), _default(wanted)),
        ("generated", actual.generated, wanted.generated),
        ("identity", actual.identity, wanted.identity),
        ("collation", actual.collation, wanted.collation),
        ("comment", actual.comment, wanted.comment),
    ]
    for kind, there, needed in pairs:
        if there != needed:
            yield Difference(
                kind, table, actual.name, there or "none", needed or "none"
            )


def _null(column: ColumnState) -> str:
    return "NULL allowed" if column.nullable else "NOT NULL"


def _default(column: ColumnState) -> str | None:
    # A sequence keeps its name when its table is renamed; that is no difference.
    if column.default is not None and column.default.startswith("nextval("):
        return "nextval"
    return column.default


def _in_triggers(
    actual: TableState, wanted: TableState, counted: set[str] | None
) -> Iterator[Difference]:
    for name, text in wanted.triggers.items():
        if actual.triggers.get(name) != text:
            there = actual.triggers.get(name)
            yield Difference("trigger", actual.name, name, there, text)
    for name, text in actual.triggers.items():
        if name not in wanted.triggers and (counted is None or name in counted):
            yield Difference("trigger", actual.name, name, text, None)


def _unpaired(
    kind: Kind, table: str, actual: Sequence[C], wanted: Sequence[C]
) -> Iterator[Difference]:
    extra, missing = list(actual), list(wanted)
    for same in (_same_name_and_meaning, _same_meaning_unnamed):
        for one in list(missing):
            partner = next((o for o in extra if same(table, o, one)), None)
            if partner is not None:
                extra.remove(partner)
                missing.remove(one)
    for one in list(missing):
        old = next((o for o in extra if _only_renamed(o, one)), None)
        if old is not None:
            extra.remove(old)
            missing.remove(one)
            yield Difference(kind, table, one.name, old.name, one.name, one)
    for one in extra:
        yield Difference(kind, table, one.name, in_words(one), None, one)
    for one in missing:
        yield Difference(kind, table, one.name, None, in_words(one), one)


def _same_name_and_meaning(_: str, one: C, two: C) -> bool:
    return one.name == two.name and one.meaning == two.meaning


def _same_meaning_unnamed(table: str, one: C, two: C) -> bool:
    if isinstance(one, IndexState) or one.meaning != two.meaning:
        return False
    return not is_own_name(table, one.name) or not is_own_name(table, two.name)


def _only_renamed(one: ConstraintState, two: ConstraintState) -> bool:
    return not isinstance(one, IndexState) and one.meaning == two.meaning


def is_own_name(table: str, name: str | None) -> bool:
    """Whether somebody chose this name, rather than the database."""
    if name is None:
        return False
    made_up = rf"{re.escape(table[:40])}.*_(pkey|key|fkey|check)\d*"
    return re.fullmatch(made_up, name) is None


def in_words(state: ConstraintState) -> str:
    """Return a constraint in words for a person."""
    match state:
        case UniqueState():
            return f"({', '.join(state.columns)}) {state.options}".strip()
        case ForeignKeyState():
            remote = ", ".join(state.remote_columns)
            local = ", ".join(state.columns)
            return f"({local}) to {state.table}({remote}) {state.options}"
        case CheckState():
            return state.expression
        case IndexState():
            unique = "unique " if state.unique else ""
            where = f" where {state.where}" if state.where is not None else ""
            keys = ", ".join(state.keys)
            return f"{unique}({keys}){where} {state.options}".strip()
