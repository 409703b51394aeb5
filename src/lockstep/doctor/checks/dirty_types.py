"""Values that are not what their column is declared to hold."""

from __future__ import annotations

from lockstep.doctor.catalog import Column, Table
from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted
from lockstep.doctor.names import says_anything, words
from lockstep.doctor.sqlite.census import ColumnCensus
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.schema.names import quote_identifier as quoted

# Per family: the storage classes that do not belong, and what to call the values.
_FOREIGN = {
    "integer": {"texts": "text", "reals": "fractional number", "blobs": "blob"},
    "boolean": {"texts": "text", "reals": "fractional number", "blobs": "blob"},
    "real": {"texts": "text", "blobs": "blob"},
    "decimal": {"texts": "text that is no number", "blobs": "blob"},
    "text": {"blobs": "blob"},
    "date": {"blobs": "blob"},
    "time": {"blobs": "blob"},
    "json": {"integers": "number", "reals": "number"},
}
_OF_ONE_KIND = ("uuid", "blob", "other")
"""Families that hold values of any one storage class, and no two at once."""
_CLASSES = {"texts": "text", "reals": "real", "blobs": "blob", "integers": "integer"}


def examine(context: SqliteContext) -> Findings:
    """Compare the storage class of every value with its column's type."""
    for table in context.tables:
        if table.strict:
            continue
        census = context.census(table)
        for column in table.columns:
            counts = census.columns.get(column.name)
            if counts is not None and counts.values:
                yield from _of_column(context, table, column, counts, census.told())


def _of_column(
    context: SqliteContext,
    table: Table,
    column: Column,
    counts: ColumnCensus,
    told: str,
) -> Findings:
    if column.family == "json" and counts.texts + counts.blobs == 0:
        # A JSON column may hold bare numbers only; nothing contradicts.
        return
    wrong: dict[str, int] = {}
    for attribute, noun in _FOREIGN.get(column.family, {}).items():
        count: int = getattr(counts, attribute)
        if attribute == "texts" and counts.empty_texts:
            count -= counts.empty_texts
            wrong["empty text"] = counts.empty_texts
        if count:
            wrong[noun] = wrong.get(noun, 0) + count
    if column.family == "boolean" and counts.odd_booleans:
        wrong["number other than 0 and 1"] = counts.odd_booleans
    is_moment = column in context.moment_columns(table)  # see mixed-epochs
    if column.family in _OF_ONE_KIND and not (is_moment or _may_be_anything(column)):
        yield from _of_two_kinds(context, table, column, counts, told)
    if not wrong:
        return
    total = sum(wrong.values())
    kinds = ", ".join(f"{count:,} × {noun}" for noun, count in wrong.items())
    yield CHECK.finding(
        "warning",
        f"{table.name}.{column.name}",
        f"{counted(total, 'value')} of {counts.values:,} in a column declared "
        f"{column.declared} {'is' if total == 1 else 'are'} something else: "
        f"{kinds}{told}",
        mend=_mend(column, wrong),
        command=f"SELECT {table.row_key}, typeof({quoted(column.name)}) FROM "
        f"{quoted(table.name)} WHERE {_condition(column)}",
        evidence={
            "declared": column.declared,
            "values": counts.values,
            "wrong": wrong,
            "rowids": context.examples(table, _condition(column)),
        },
    )


def _may_be_anything(column: Column) -> bool:
    """Return whether a name or a type (``INTEGER_OR_TEXT``) announces several kinds."""
    announced = {"or", "any", "variant", "dynamic", "mixed"}
    return says_anything(column.name) or bool(announced & set(words(column.declared)))


def _of_two_kinds(
    context: SqliteContext,
    table: Table,
    column: Column,
    counts: ColumnCensus,
    told: str,
) -> Findings:
    """Yield a column whose type says little and whose values disagree."""
    numbers = counts.integers + counts.reals
    texts = counts.texts - counts.empty_texts
    kinds = {"number": numbers, "text": texts, "blob": counts.blobs}
    found = {kind: count for kind, count in kinds.items() if count}
    if len(found) < 2:
        return
    shown = ", ".join(f"{count:,} × {kind}" for kind, count in found.items())
    fewest = min(found, key=lambda kind: found[kind])
    name = quoted(column.name)
    condition = _KIND_CONDITIONS[fewest].format(name)
    declared = f"declared {column.declared}" if column.declared else "of no type"
    yield CHECK.finding(
        "warning",
        f"{table.name}.{column.name}",
        f"a column {declared} holds values of several kinds: {shown}{told}",
        mend="give the column one type, and convert the values that are not of it",
        command=f"SELECT {table.row_key}, typeof({name}) FROM {table.quoted} WHERE "
        f"{condition}",
        evidence={
            "declared": column.declared,
            "values": counts.values,
            "kinds": found,
            "rowids": context.examples(table, condition),
        },
    )


_KIND_CONDITIONS = {
    "number": "typeof({0}) IN ('integer', 'real')",
    "text": "typeof({0}) = 'text'",
    "blob": "typeof({0}) = 'blob'",
}


def _condition(column: Column) -> str:
    name = quoted(column.name)
    kinds = [_CLASSES[attribute] for attribute in _FOREIGN[column.family]]
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    condition = f"typeof({name}) IN ({listed})"
    if column.family == "boolean":
        condition += f" OR (typeof({name}) = 'integer' AND {name} NOT IN (0, 1))"
    return condition


def _mend(column: Column, wrong: dict[str, int]) -> str:
    if set(wrong) == {"empty text"}:
        return "write NULL (or the number that was meant) instead of ''"
    if column.family == "text":
        return "CAST the blobs to text if they are text, or declare the column BLOB"
    return (
        "correct the rows, then rebuild the table as STRICT so that the database "
        "refuses such values"
    )


CHECK = Check(
    name="dirty-types",
    looks_for="Text, '', fractions or blobs in numeric columns, blobs in text columns, "
    "booleans that are neither 0 nor 1, values of several kinds in a column of no "
    "clear type.",
    why="Without STRICT SQLite stores whatever it is given. Compared with a number a "
    "text is always the greater one: > and < answer wrongly without an error; another "
    "database refuses the rows when they are moved.",
    sqlite=examine,
)
