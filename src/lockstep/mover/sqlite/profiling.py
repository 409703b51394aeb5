"""The one complete pass over a table that asks SQLite for nothing but its values.

Owns reading every cell into a ``TableProfile``. Each value is looked at, none is
sampled, because one text among a million integers decides what type can hold them all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lockstep.migrations.sqlite.tokens import quote
from lockstep.moments.names import is_time_type
from lockstep.mover.asking import rows_of
from lockstep.mover.model.profile import ColumnProfile, TableProfile
from lockstep.mover.model.sqlite import Column, Table
from lockstep.mover.sqlite.apart import LongRow, read_apart, reads_apart
from lockstep.mover.sqlite.rows import Block, read_blocks

Tell = Callable[[int], None]
"""Told how many rows of a table were looked at so far."""


def untold(rows: int) -> None:
    """Say nothing about how far it is."""


def profile_table(connection: Any, table: Table, tell: Tell = untold) -> TableProfile:
    """Look at every value of a table; ``tell`` how many rows, now and then.

    Most files hold valid UTF-8 only, which the driver decodes by itself; a table
    where it fails is read again in the slower way that keeps damaged text.
    """
    try:
        return _profile(connection, table, tell, is_clean=True)
    except sqlite3.OperationalError:
        return _profile(connection, table, tell, is_clean=False)


def _profile(
    connection: Any, table: Table, tell: Tell, *, is_clean: bool
) -> TableProfile:
    rows, profiles = profile_columns(
        connection, table, table.columns, tell, is_clean=is_clean
    )
    return TableProfile(table.name, rows, profiles)


def profile_columns(
    connection: Any,
    table: Table,
    columns: Sequence[Column],
    tell: Tell = untold,
    *,
    is_clean: bool,
) -> tuple[int, list[ColumnProfile]]:
    """Look at every value of some columns; return how many rows there are, too.

    Raises:
        sqlite3.OperationalError: ``is_clean`` was said, and a text is no UTF-8.
    """
    profiles = [ColumnProfile(column.name) for column in columns]
    for column, profile in zip(columns, profiles, strict=True):
        profile.watches_forms = is_time_type(column.declared)
        # A text column turns numbers into text; elsewhere they may stand side
        # by side, and then a text like '42' must be told from the number.
        profile.watches_numbers = column.affinity == "blob"
    names = [column.name for column in columns]
    rows, whole = 0, set[str]()
    for found in _read(connection, table, names, is_clean):
        if isinstance(found, LongRow):
            rows += 1
            for profile in profiles:
                if not _add_cell(profile, found, connection):
                    whole.add(profile.name)
            continue
        rows += len(found[1])
        tell(rows)
        for profile, values in zip(profiles, zip(*found[1], strict=True), strict=False):
            profile.add(values)
    for profile in profiles:
        profile.is_in_pieces &= profile.name not in whole
    return rows, profiles


def _read(
    connection: Any, table: Table, names: Sequence[str], is_clean: bool
) -> Iterable[Block | LongRow]:
    if reads_apart(connection, table):
        return read_apart(connection, table, names, is_clean=is_clean)
    return read_blocks(connection, table, columns=names, is_clean=is_clean)


def _add_cell(profile: ColumnProfile, row: LongRow, connection: Any) -> bool:
    """Look at a cell of a long row; return whether that can be done in pieces."""
    name = profile.name
    if name not in row.long:
        profile.add([row.value(name)])
        return True
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    try:
        if row.kinds[name] == "text" and encoding != "UTF-8":
            for _ in row.pieces(name, encoding):
                pass
    except UnicodeDecodeError:
        # What SQLite makes of such a text only SQLite knows.
        profile.add([row.value(name)])
        return False
    profile.add_long(row.kinds[name], row.pieces(name, encoding))
    return True


def integer_bounds(connection: Any, table: str, column: str) -> tuple[int, int]:
    """Return least and greatest integer above zero; zeros where there is none."""
    name = quote(column)
    ((least, greatest),) = rows_of(
        connection,
        f"SELECT coalesce(min({name}), 0), coalesce(max({name}), 0) "
        f"FROM {quote(table)} WHERE typeof({name}) = 'integer' AND {name} > 0",
    )
    return least, greatest
