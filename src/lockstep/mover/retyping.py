"""Try the types that columns had on PostgreSQL with the values that they hold now.

Owns whether a column of a file that came from PostgreSQL gets its type again. An
application may have written there what the type refuses, cuts, rounds or spells in
another way. Only a server knows all of that for every type, so the target's is asked,
in a transaction that is taken back:

    cells of the columns in question ──► a table of texts ──► is cell::type the cell?
        yes   the column gets the type
        no    a wider one, or what holds every text; the plan says why

Invariant: nothing of a file can be run by its journal: a type is named only after the
server has read it as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.ahead import Reading
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.blocks.long_values import LongCells
from lockstep.mover.model.plan import ColumnPlan, Plan, TablePlan
from lockstep.mover.plan.types_back import less_narrow, readjust_default

if TYPE_CHECKING:
    import psycopg

    from lockstep.mover.sides import MoveSource

_TABLE: Final = "lockstep_move_tried"
_REFUSALS: Final = ("22", "23", "42", "54", "0A")
"""Classes of what a server says of a value or a type, not of itself."""

_COUNTED: Final = ("smallint", "integer", "bigint")
"""What an identity column can be; a file counts up whatever integer is its key."""

_SHOWN_MAX: Final = 40
_NO_TYPE: Final = re.compile(r"--|/\*|;")
"""What a server would read as more, or less, than a type."""


def retype(plan: Plan, source: MoveSource, connection: psycopg.Connection[Any]) -> None:
    """Give columns the types that they want, where every value allows it.

    Args:
        plan: To PostgreSQL; changed in place.
        source: What it was made from.
        connection: To the target; in autocommit. It is left as it was.

    Raises:
        psycopg.Error: The server fails for a reason that no value is to blame for.
    """
    for table in plan.carried():
        wanting = [column for column in table.columns if column.wanted]
        if not wanting:
            continue
        with connection.transaction(force_rollback=True):
            _send(table, wanting, source, connection)
            for place, column in enumerate(wanting):
                _choose(column, f"c{place}", connection)


def _send(
    table: TablePlan,
    columns: Sequence[ColumnPlan],
    source: MoveSource,
    connection: psycopg.Connection[Any],
) -> None:
    """Copy some columns of a table into one of texts."""
    names = ", ".join(f"c{place} text" for place in range(len(columns)))
    connection.execute(f"CREATE UNLOGGED TABLE {_TABLE} ({names})".encode())
    reduced = replace(table, columns=list(columns), order_key=[])
    with (
        connection.cursor().copy(f"COPY {_TABLE} FROM STDIN".encode()) as copy,
        closing(Reading(lambda after: _cells(source, reduced, after), None)) as cells,
    ):
        for block in cells:
            copy.write(block.data)


def _cells(
    source: MoveSource, table: TablePlan, after: int | str | None
) -> Iterator[LineBlock]:
    long = LongCells(frozenset(c.source for c in table.columns), in_pieces=True)
    return source.own_order(table, after, for_copy=True, long=long)


def _choose(column: ColumnPlan, cell: str, connection: psycopg.Connection[Any]) -> None:
    """Give a column the narrowest type that gives back each of its cells."""
    wanted, why = column.wanted, ""
    column.wanted = ""
    for name in less_narrow(wanted):
        if name == column.type:
            break
        reason = _why_not(column, name, cell, connection)
        if not reason:
            column.type = name
            readjust_default(column)
            column.note = why
            if column.identity and name not in _COUNTED:
                column.identity = False
                column.note = f"a key of type {name} does not count up by itself"
            return
        why = why or f"was {wanted}: {reason}"
    column.note = "; ".join(filter(None, (column.note, why)))


def _why_not(
    column: ColumnPlan, name: str, cell: str, connection: psycopg.Connection[Any]
) -> str:
    """Return why a column cannot have a type; empty where it can."""
    import psycopg

    made = replace(column, type=name)
    readjust_default(made)
    is_same = f"format('%s', {cell}::{name}) = {cell}"
    if name == "real":
        # Digits that a longer number would show are no difference.
        is_same = f"({cell}::real)::text::float8 = {cell}::float8"
    try:
        with connection.transaction():
            known = connection.execute("SELECT to_regtype(%s)", (name,)).fetchone()
            if known is None or known[0] is None or _NO_TYPE.search(name):
                return "this server has no such type"
            if made.default is not None:
                connection.execute(f"SELECT ({made.default})::{name}".encode())
            row = connection.execute(
                f"SELECT left({cell}, {_SHOWN_MAX}) FROM {quote(_TABLE)} "
                f"WHERE NOT coalesce({is_same}, {cell} IS NULL) LIMIT 1".encode()
            ).fetchone()
    except psycopg.Error as error:
        if (error.sqlstate or "")[:2] not in _REFUSALS:
            raise
        return error.diag.message_primary or str(error)
    return "" if row is None else f"it would not give {row[0]!r} back"
