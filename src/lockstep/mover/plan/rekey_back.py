"""UUIDs become the numbers again that they were made of, and references with them.

Owns how a rekeyed database is read for its way back. A key's number stands beside
it, in the column that kept it and went on counting; a reference is looked up there.
An orphan, which has no row to look at, tells the number itself.
"""

from __future__ import annotations

from dataclasses import replace

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.codecs import codec_of
from lockstep.mover.model.plan import ColumnPlan, Plan, TablePlan
from lockstep.mover.plan.rekey import UUID_DEFAULT
from lockstep.schema.types.portable import quoted


def keeps_numbers(forward: Plan) -> bool:
    """Whether every key that became a UUID has its number beside it."""
    keys = [table for table in forward.carried() if _key(table) is not None]
    return all(_number(table) is not None for table in keys)


def _key(table: TablePlan) -> ColumnPlan | None:
    for column in table.columns:
        is_own = column.default == UUID_DEFAULT  # a reference has none
        if is_own and column.codec.startswith("uuid7:"):
            return column
    return None


def _number(table: TablePlan) -> ColumnPlan | None:
    key = _key(table)
    for column in table.columns:
        is_beside = key is not None and column.source == key.source
        if is_beside and column.codec == "integer":
            return column
    return None


def columns_back(forward: Plan, origin: TablePlan) -> list[ColumnPlan]:
    """Return the columns of a table as its way to SQLite reads them.

    Args:
        forward: The move that made the UUIDs.
        origin: The table's plan in it.
    """
    key, number = _key(origin), _number(origin)
    made: list[ColumnPlan] = []
    for column in origin.columns:
        if number is not None and column is number:
            continue
        if number is not None and column is key:
            column = replace(number, identity=False)
        elif column.codec.startswith("uuid7"):
            column = _looked_up(forward, origin, column)
        made.append(
            replace(
                column,
                source=column.target,
                target=column.source,
                default=None,
                computed="",
            )
        )
    return made


def _looked_up(forward: Plan, origin: TablePlan, column: ColumnPlan) -> ColumnPlan:
    word, _, rest = column.codec.partition(":")
    own = f"{quote(origin.target)}.{quote(column.target)}"
    if word == "uuid7":
        now_ms, tag = rest.split(",")
        tags, found = [tag], _lookup(forward, int(tag), own)
    else:
        now_ms, directing, *pairs = rest.split(",")
        director = origin.column(directing)
        words = f"{quote(origin.target)}.{quote(director.target)}"
        tags = list[str]()
        found = f"CASE {words}"
        for value, _, tag in (pair.rpartition("=") for pair in pairs):
            tags.append(tag)
            if director.codec.startswith("uuid7:"):
                value = codec_of(director.codec).encode(int(value))
            found += f" WHEN {quoted(value)} THEN {_lookup(forward, int(tag), own)}"
        found += " END"
    codec = f"looked_up:{now_ms},{','.join(tags)}"
    return replace(column, codec=codec, read_as=f"coalesce({found}, {own}::text)")


def _tag(key: ColumnPlan) -> int:
    return int(key.codec.rpartition(",")[2])


def _lookup(forward: Plan, tag: int, own: str) -> str:
    for parent in forward.carried():
        key, number = _key(parent), _number(parent)
        if key is not None and number is not None and _tag(key) == tag:
            return (
                f"(SELECT p.{quote(number.target)}::text FROM {quote(parent.target)} "
                f"AS p WHERE p.{quote(key.target)} = {own})"
            )
    return "NULL::text"
