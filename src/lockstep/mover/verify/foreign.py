"""Find in one database what another one has, by the names and types it has.

Owns which table and column of a PostgreSQL database that somebody else filled, or
read, is put beside which of a SQLite file, and how their cells are written. What the
same value is says ``canonical``, how it is spelled ``spelled``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lockstep.migrations.sqlite.tokens import fold
from lockstep.mover.codecs import codec_of
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.model.postgresql import PgColumn, PgSchema, PgTable
from lockstep.mover.model.profile import TableProfile
from lockstep.mover.verify.canonical import DAYS, Foreign, counted_unit
from lockstep.mover.verify.spelled import (
    INTEGERS,
    TEXTS,
    FileColumn,
    ServerColumn,
    SpelledTable,
    codec_for,
)

Bounds = Callable[[str, str], tuple[int, int]]
"""Gives the least and the greatest integer above zero of a table and its column."""

COLUMNS_ALIKE = 0.5
"""Of a table's columns, so that one of another schema can be meant."""


class ServerNames:
    """Finds a table of PostgreSQL by what a file calls it.

    Args:
        schema: What is there.
        path: The schemas that a name alone is looked for in, in order.
    """

    def __init__(self, schema: PgSchema, path: Sequence[str]) -> None:
        self._near = [[t for t in schema.tables if t.schema == name] for name in path]
        self._far = [t for t in schema.tables if t.schema not in path]

    def find(self, table: TablePlan) -> list[PgTable]:
        """Return the table that is meant; several where nothing tells them apart.

        What a name alone finds goes first, as for every reader; then a table of any
        other schema that is called so, with or without its schema's name before it.
        """
        for there in self._near:
            if found := _named(table, there):
                return [found]
        wanted = fold(table.source)
        columns = {fold(column.source) for column in table.columns}
        alike = [found for found in self._far if _is_alike(columns, found)]
        for called in (_with_schema, _alone):
            if some := [found for found in alike if wanted in called(found)]:
                return some
        return []


def _named(table: TablePlan, there: Sequence[PgTable]) -> PgTable | None:
    for name in (table.target, table.source, fold(table.source)):
        for found in there:
            if found.name == name:
                return found
    same = [found for found in there if fold(found.name) == fold(table.source)]
    return same[0] if same else None


def _with_schema(table: PgTable) -> set[str]:
    return {fold(table.full_name), fold(f"{table.schema}_{table.name}")}


def _alone(table: PgTable) -> set[str]:
    return {fold(table.name)}


def _is_alike(columns: set[str], found: PgTable) -> bool:
    theirs = {fold(column.name) for column in found.columns}
    return len(columns & theirs) >= COLUMNS_ALIKE * len(columns)


def column_in(table: PgTable, column: ColumnPlan) -> PgColumn | None:
    """Return the column of a server's table that a file's column is put beside."""
    by_name = {fold(found.name): found for found in table.columns}
    by_name |= {found.name: found for found in table.columns}
    return by_name.get(column.target) or by_name.get(fold(column.source))


def spell(
    table: TablePlan,
    found: Sequence[PgColumn],
    stored: TableProfile,
    bounds: Bounds,
    *,
    is_source: bool,
    is_utf8: bool,
) -> SpelledTable:
    """Decide how the cells of two tables are written and compared.

    Args:
        table: What is compared; its codecs and its order are changed in place.
        found: PostgreSQL's columns, in the order of the table's.
        stored: What SQLite's table holds.
        bounds: Of SQLite's integers; asked of columns that are moments.
        is_source: Whether PostgreSQL is the source.
        is_utf8: Whether SQLite sorts texts as UTF-8.
    """
    words: list[str] = []
    meanings: list[Foreign] = []
    for column, theirs in zip(table.columns, found, strict=True):
        name = column.target if is_source else column.source
        profile = stored.column(name)
        is_counted = theirs.type in DAYS and "integer" in profile.classes
        least_and_greatest = bounds(stored.name, name) if is_counted else (0, 0)
        meanings.append(Foreign(theirs.type, counted_unit(*least_and_greatest)))
        words.append(codec_for(profile, theirs.type))
        column.codec = words[-1] or column.codec
    sorts = {
        column.source
        for column, word, theirs in zip(table.columns, words, found, strict=True)
        if _sorts_alike(word, theirs, is_utf8)
        # SQLite has NULL first, PostgreSQL last.
        and not stored.column(column.target if is_source else column.source).counts[
            "null"
        ]
    }
    if not sorts.issuperset(table.order_key):
        table.order_key = []
    return _spelled(table, words, meanings, found, is_source=is_source)


def _sorts_alike(word: str, theirs: PgColumn, is_utf8: bool) -> bool:
    if word == "integer":
        return theirs.type in INTEGERS
    return word == "text" and theirs.type in TEXTS and is_utf8


def _spelled(
    table: TablePlan,
    words: Sequence[str],
    meanings: Sequence[Foreign],
    found: Sequence[PgColumn],
    *,
    is_source: bool,
) -> SpelledTable:
    spelled = SpelledTable()
    file = spelled.target if is_source else spelled.source
    server = spelled.source if is_source else spelled.target
    for planned, word, meant, theirs in zip(
        table.columns, words, meanings, found, strict=True
    ):
        if planned.source in table.order_key and word == "integer":
            # A key of integers sorts as such.
            file.append(codec_of(word))
            server.append(codec_of(word))
            continue
        file.append(FileColumn(word, meant, theirs.type))
        server.append(ServerColumn(meant))
    if not all(words):
        spelled.encoders = [
            codec_of(word) if word else meant
            for word, meant in zip(words, meanings, strict=True)
        ]
    return spelled
