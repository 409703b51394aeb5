"""What ``clean`` makes of texts and blobs: UUIDs and documents in types of their own.

Owns the proof. Every value of a column is looked at, and columns that refer to each
other become one type together, or stay. Integers that are moments are ``times``'s.

    every value of the column                       becomes   and back
    ``3f2504e0-4f89-41d3-9a0c-0305e82c3301``        uuid      the same text
    the same digits without ``-``, called a UUID    uuid      the same text
    16 bytes, called a UUID                         uuid      the same bytes
    JSON, declared so                               json      the same text

Invariant: every value comes back as it was. ``jsonb`` would write a document in its
own way, and a UUID in capitals would come back in small letters: those stay texts.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from lockstep.migrations.sqlite.tokens import fold, quote
from lockstep.mover.asking import rows_of
from lockstep.mover.model.plan import ColumnPlan, Plan
from lockstep.mover.model.profile import TableProfile
from lockstep.mover.model.sqlite import Column, Schema, Table
from lockstep.mover.plan.frameworks import DJANGO, Framework
from lockstep.mover.translate.defaults import translate_default
from lockstep.mover.translate.tree import Untranslatable

Place = tuple[str, str]
"""A table and a column of it."""

_CALLED_UUID: Final = re.compile(r"uuid|guid|char\(32\)", re.IGNORECASE)
_DIGIT: Final = "[0-9a-f]"
_DASHED: Final = "-".join(_DIGIT * count for count in (8, 4, 4, 4, 12))
_CODECS: Final = {"dashed": "text", "digits": "uuid_hex", "bytes": "uuid_bytes"}


def clean_up(
    connection: Any,
    schema: Schema,
    profiles: Mapping[str, TableProfile],
    plan: Plan,
    framework: Framework | None,
) -> None:
    """Change the columns of a plan whose every value is a UUID or a document.

    Args:
        connection: To the source, whose values are looked at.
        schema: What the file says about itself.
        profiles: What lies in each table of the plan.
        plan: Its columns are named and typed; nothing is built behind them yet.
        framework: Whose file it is. Django reads no ``json``, only ``jsonb``.
    """
    carried = {made.source: made for made in plan.carried()}
    tables = [table for table in schema.tables if table.name in carried]
    columns = {
        (table.name, column.name): (column, carried[table.name].column(column.name))
        for table in tables
        for column in table.columns
        if not column.generated and column.collation == "BINARY"
    }
    looked = _Looked(connection, profiles)
    for group in _groups(tables):
        some = [columns[place] for place in group if place in columns]
        is_called = any(_is_called_uuid(column) for column, _ in some)
        kinds = {looked.uuids(place, is_called=is_called) for place in group} - {""}
        if len(some) == len(group) and len(kinds) == 1 and None not in kinds:
            _change(some, "uuid", _CODECS[str(*kinds)], "every value is a UUID")
    if framework is DJANGO:
        return
    for table in tables:
        indexed = {fold(part) for part in _indexed(table)}
        for column in table.columns:
            place = (table.name, column.name)
            is_free = place in columns and fold(column.name) not in indexed
            if is_free and _is_for_json(table, column) and looked.documents(place):
                _change([columns[place]], "json", "text", "every value is JSON")


def wanted_by_django(schema: Schema, plan: Plan) -> list[str]:
    """Return what an application of Django would miss in the plan's types."""
    notices: list[str] = []
    carried = {made.source: made for made in plan.carried()}
    for table in schema.tables:
        made = carried.get(table.name)
        if made is None:
            continue
        for column in table.columns:
            where = f"{table.name}.{column.name}"
            planned = made.column(column.name)
            if planned.type != "text":
                continue
            if column.declared.lower() == "char(32)":
                why = "Django keeps UUIDs so, and asks PostgreSQL for uuid: --clean"
                notices.append(f"{where} is {column.declared}: {why}")
            elif _is_for_json(table, column):
                name = quote(planned.target)
                notices.append(
                    f"{where} holds documents, which Django reads from jsonb only; "
                    f"after the move: ALTER TABLE {quote(made.target)} "
                    f"ALTER {name} TYPE jsonb USING {name}::jsonb"
                )
    return notices


def _change(
    columns: list[tuple[Column, ColumnPlan]], type_: str, codec: str, note: str
) -> None:
    """Give columns a type, or none of them where a default does not follow."""
    changed: list[ColumnPlan] = []
    for column, made in columns:
        other = replace(made, type=type_, codec=codec, note=note, default=None)
        if column.default is not None:
            try:
                other.default = translate_default(
                    str(column.default), column.declared, other
                )
            except Untranslatable:
                return
        changed.append(other)
    for (_, made), other in zip(columns, changed, strict=True):
        made.type, made.codec, made.note = other.type, other.codec, other.note
        made.default, made.instead = other.default, None


def _is_called_uuid(column: Column) -> bool:
    return any(map(_CALLED_UUID.search, (column.declared, column.name)))


def _is_for_json(table: Table, column: Column) -> bool:
    """Whether a column is declared so: by its type, or by a check as Django's."""
    asked = fold(f"json_valid({quote(column.name)})")
    is_checked = any(asked in fold(expression) for _, expression in table.checks)
    return is_checked or "JSON" in column.declared.upper()


def _indexed(table: Table) -> Iterator[str]:
    """Yield the columns of keys and indexes: ``json`` has no order, not even ``=``."""
    yield from table.key
    for index in table.indexes:
        yield from (part.column for part in index.parts if part.column is not None)


def _groups(tables: list[Table]) -> list[list[Place]]:
    """Return all columns, those together that refer to each other."""
    group_of: dict[Place, list[Place]] = {
        (table.name, column.name): [(table.name, column.name)]
        for table in tables
        for column in table.columns
    }
    folded = {(fold(table), fold(name)): (table, name) for table, name in group_of}
    keys = {fold(table.name): table.key for table in tables}
    for table in tables:
        for key in table.foreign_keys:
            referred = key.referred or keys.get(fold(key.parent), [])
            for name, above in zip(key.columns, referred, strict=False):
                ends = (
                    folded.get((fold(table.name), fold(name))),
                    folded.get((fold(key.parent), fold(above))),
                )
                if ends[0] is not None and ends[1] is not None:
                    _join(group_of, ends[0], ends[1])
    return list({id(group): group for group in group_of.values()}.values())


def _join(group_of: dict[Place, list[Place]], one: Place, two: Place) -> None:
    mine, other = group_of[one], group_of[two]
    if mine is not other:
        mine += other
        group_of.update(dict.fromkeys(other, mine))


class _Looked:
    """Looks at values, until one is found that is something else."""

    def __init__(self, connection: Any, profiles: Mapping[str, TableProfile]) -> None:
        self._connection = connection
        self._profiles = profiles

    def uuids(self, place: Place, *, is_called: bool) -> str | None:
        """Return how a column's UUIDs are written; None for others, "" for nothing.

        Digits alone may be a digest, and sixteen bytes anything, unless they are called
        a UUID.
        """
        stored = self._profiles[place[0]].column(place[1])
        if not stored.classes:
            return ""
        name = quote(place[1])
        asked = {"dashed": ("text", f"{name} GLOB '{_DASHED}'")}
        if is_called:
            asked["digits"] = ("text", f"{name} GLOB '{_DIGIT * 32}'")
            asked["bytes"] = ("blob", f"length({name}) = 16")
        for kind, (wanted, condition) in asked.items():
            if stored.classes == {wanted} and self._holds(place, condition):
                return kind
        return None

    def documents(self, place: Place) -> bool:
        """Whether every value of a column is a text that is JSON."""
        if self._profiles[place[0]].column(place[1]).classes != {"text"}:
            return False
        function = "json_valid"  # a server lends no function
        if isinstance(self._connection, sqlite3.Connection):
            function = "lockstep_is_json"
            self._connection.create_function(function, 1, _is_json, deterministic=True)
        return self._holds(place, f"{function}({quote(place[1])})")

    def _holds(self, place: Place, condition: str) -> bool:
        table, name = place
        found = rows_of(
            self._connection,
            f"SELECT 1 FROM {quote(table)} WHERE {quote(name)} IS NOT NULL "
            f"AND NOT ({condition}) LIMIT 1",
        )
        return not found


def _is_json(text: str) -> bool:
    """Whether a text is JSON by RFC 8259; older versions of SQLite ask for less."""
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
