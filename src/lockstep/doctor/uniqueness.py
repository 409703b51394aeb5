"""The duplicates that a unique index lets in.

Owns which loopholes an index has, by its definition, and the questions that find
the rows which went through. The questions are SQL that both engines understand.

    a text twice, but for its case or spaces        email: a@x.org, A@x.org
    the same columns twice, one of them NULL        (7, NULL), (7, NULL)
    the primary key among the columns               (email, id)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lockstep.doctor.catalog import Index, Table
from lockstep.doctor.findings import Severity
from lockstep.doctor.names import is_title, is_typed_by_people, says_unique
from lockstep.schema import constraint_name
from lockstep.schema.names import quote_identifier as quoted

_STRING = re.compile(r"'(?:[^']|'')*'")
_IDENTIFIER = re.compile(r"[\"`\[]([^\"`\]]+)[\"`\]]|(\w+)")


@dataclass(frozen=True, slots=True)
class Loophole:
    """One way around a unique index, and the question who went it.

    Attributes:
        kind: ``folded``, ``nulls`` or ``key``.
        columns: Those that were meant to be unique.
        severity: How bad it is when rows went through.
        what: What is said of them, after their number.
        question: Counts the values that occur more than once.
        index_sql: The statement that closes it; ``{nulls}`` is the engine's.
    """

    kind: str
    columns: tuple[str, ...]
    severity: Severity
    what: str
    question: str
    index_sql: str


def loopholes(table: Table, index: Index, rows_max: int) -> Iterator[Loophole]:
    """Yield the ways around ``index``; nothing where it is not unique."""
    if not index.unique or index.partial:
        return
    if None in index.columns:
        columns = _mentioned(table, index)
    else:
        columns = tuple(name for name in index.columns if name is not None)
    if _holds_key(table, columns):
        others = tuple(c for c in columns if c not in table.primary_key)
        if others and says_unique(index.name, columns, table.plain_name):
            yield _of_key(table, others, rows_max)
        return
    if len(columns) == 1:
        yield from _of_text(table, columns[0], index, rows_max)
    elif None not in index.columns and not index.nulls_equal:
        yield from _of_nulls(table, columns, rows_max)


def _holds_key(table: Table, columns: tuple[str, ...]) -> bool:
    key = set(table.primary_key)
    return bool(key) and key < set(columns)


def _of_key(table: Table, columns: tuple[str, ...], rows_max: int) -> Loophole:
    listed = ", ".join(map(quoted, columns))
    return Loophole(
        "key",
        columns,
        "warning",
        "more than once: the index is over the primary key too, which is unique "
        "already, and so it never refuses a row",
        _count(table, columns, listed, _given(columns), rows_max),
        f"CREATE UNIQUE INDEX {_name(table, columns)} ON {table.quoted} ({listed})",
    )


def _of_text(
    table: Table, name: str, index: Index, rows_max: int
) -> Iterator[Loophole]:
    column = table.column(name)
    if column is None or column.family != "text" or index.special:
        return
    own = quoted(name)
    folded = f"lower(trim({own}))"
    typed = is_typed_by_people(name)
    if not typed and not is_title(name):
        # Paths, tokens and symbols may well differ in case only.
        folded = f"trim({own})"
    yield Loophole(
        "folded",
        (name,),
        "warning" if typed else "notice",
        "more than once, but for "
        + ("case and spaces" if "lower" in folded else "spaces around it"),
        _count(table, (name,), folded, f"{own} <> ''", rows_max),
        f"CREATE UNIQUE INDEX {_name(table, (name, 'folded'))} ON {table.quoted} "
        f"({folded})",
    )


def _of_nulls(
    table: Table, columns: tuple[str, ...], rows_max: int
) -> Iterator[Loophole]:
    described = [table.column(name) for name in columns]
    open_ones = [c.name for c in described if c is not None and c.nullable]
    if not open_ones or columns == table.primary_key:
        return
    listed = ", ".join(map(quoted, columns))
    some_null = " OR ".join(f"{quoted(name)} IS NULL" for name in open_ones)
    some_value = " OR ".join(f"{quoted(name)} IS NOT NULL" for name in columns)
    yield Loophole(
        "nulls",
        columns,
        "warning",
        "more than once: one of the columns is NULL there, and a unique index takes no "
        "NULL for another's duplicate",
        _count(table, columns, listed, f"({some_null}) AND ({some_value})", rows_max),
        f"CREATE UNIQUE INDEX {_name(table, (*columns, 'nulls'))} ON {table.quoted} "
        f"({{nulls}})",
    )


def closing_sql(
    loophole: Loophole, table: Table, index: Index, *, nulls_not_distinct: bool
) -> str:
    """Return the statement that closes ``loophole``, once the duplicates are gone."""
    if loophole.kind == "key" and index.declared:
        return f"DROP INDEX {table.beside(index.name)}; {loophole.index_sql}"
    if loophole.kind != "nulls":
        return loophole.index_sql
    if nulls_not_distinct:
        listed = ", ".join(map(quoted, loophole.columns))
        return loophole.index_sql.format(nulls=listed) + " NULLS NOT DISTINCT"
    parts: list[str] = []
    for name in loophole.columns:
        column = table.column(name)
        own = quoted(name)
        open_one = column is not None and column.nullable
        parts += [f"({own} IS NULL)", f"coalesce({own}, '')"] if open_one else [own]
    return loophole.index_sql.format(nulls=", ".join(parts))


def _mentioned(table: Table, index: Index) -> tuple[str, ...]:
    """Return the columns that an index over an expression mentions."""
    _, _, definition = index.sql.partition("(")
    plain = _STRING.sub("", definition)
    said = {(a or b).lower() for a, b in _IDENTIFIER.findall(plain)}
    return tuple(c.name for c in table.columns if c.name.lower() in said)


def _given(columns: tuple[str, ...]) -> str:
    return " AND ".join(f"{quoted(name)} IS NOT NULL" for name in columns)


def _count(
    table: Table, columns: tuple[str, ...], group: str, condition: str, rows_max: int
) -> str:
    listed = ", ".join(map(quoted, columns))
    source = f"SELECT {listed} FROM {table.quoted} LIMIT {rows_max}"
    return (
        f"SELECT count(*) FROM (SELECT 1 FROM ({source}) AS s WHERE {condition}"
        f" GROUP BY {group} HAVING count(*) > 1) AS d"
    )


def _name(table: Table, columns: tuple[str, ...]) -> str:
    return quoted(constraint_name("uq", table.plain_name, *columns))
