"""Compare what carried views show on both sides, before a move is called verified.

Owns the safety net under their translation: a view that shows other rows than its
original, or none because it fails, is taken back and named. Views are derived, so
this is bounded: by rows, by time for each and for all; what was not compared is told.

Invariant: a view that was compared and differs does not stay in the target.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.codecs.keys import LookedUp
from lockstep.mover.model.plan import Plan, Statement
from lockstep.mover.model.values import text_of
from lockstep.mover.sides import MoveSource, MoveTarget
from lockstep.mover.verify.canonical import Foreign

if TYPE_CHECKING:
    import psycopg

ROWS_MAX: Final = 10_000
VIEW_S: Final = 2.0
"""For one view on one side, and five times as much for all of them."""

_STEPS: Final = 10_000
"""Of SQLite's machine between two looks at the clock."""

Rows = Counter[tuple[str | None, ...]]


class _NotCompared(Exception):
    """A view has too many rows, or takes too long."""


def compare_views(
    plan: Plan, source: MoveSource, target: MoveTarget, notices: list[str]
) -> list[tuple[Statement, str]]:
    """Take back the views that do not show the same rows.

    Args:
        plan: Whose views are built.
        source: Shows what is right.
        target: Shows what was carried.
        notices: Is told what was not compared.

    Returns:
        What was taken back, and why.
    """
    steps = target.journal.steps()
    built = [
        statement
        for table in plan.carried()
        for statement in table.statements
        if statement.name in plan.views and steps.get(statement.step) == ""
    ]
    deadline = time.monotonic() + 5 * VIEW_S
    refused: dict[str, tuple[Statement, str]] = {}
    for statement in built:
        problem = _read_by(statement, refused)
        if not problem:
            try:
                problem = _difference(plan, statement, source, target, deadline)
            except _NotCompared as reason:
                notices.append(f"the view {statement.name} was not compared: {reason}")
        if problem:
            refused[statement.name] = (statement, f"{problem}; it was taken back")
    for statement, problem in reversed(refused.values()):
        target.take_back(statement, problem)
    return list(refused.values())


def _read_by(statement: Statement, refused: dict[str, Any]) -> str:
    for name in refused:
        if f" {quote(name)} " in statement.sql:
            return f"it reads {name}, which was taken back"
    return ""


def _difference(
    plan: Plan,
    statement: Statement,
    source: MoveSource,
    target: MoveTarget,
    deadline: float,
) -> str:
    here, there = plan.views[statement.name], quote(statement.name)
    if time.monotonic() > deadline:
        raise _NotCompared("the others took long enough")
    if plan.target == "postgresql":
        file, server, names = source.connection, target.connection, (here, there)
    else:
        file, server, names = target.connection, source.connection, (there, here)
    if not isinstance(file, sqlite3.Connection):
        raise _NotCompared("the file is a server's")
    types, other = _rows_of_server(server, names[1], _keys_of(plan))
    mine = _rows_of_file(file, names[0], types)
    if isinstance(other, str):
        # What neither shows is no other view.
        return "" if isinstance(mine, str) else f"PostgreSQL fails to show it: {other}"
    if isinstance(mine, str):
        return f"SQLite fails to show it: {mine}"
    lacking, extra = (mine - other), (other - mine)
    if plan.target == "sqlite":
        lacking, extra = extra, lacking
    if not lacking and not extra:
        return ""
    row = next(iter(lacking or extra))
    shown = " | ".join("NULL" if cell is None else cell[:40] for cell in row)
    word = "lacks" if lacking else "shows as well"
    return f"it {word} {shown[:200]!r}"


class _Key(Foreign):
    """A column of UUIDs, of which some were numbers before this move.

    Args:
        keys: Knows which, and what they were.
    """

    def __init__(self, keys: LookedUp) -> None:
        super().__init__("uuid")
        self._keys = keys

    def encode(self, value: Any) -> str:
        """Return what the file shows: a number, or what is a UUID there already."""
        return str(value) if type(value) is int else super().encode(value)

    def decode(self, text: str) -> str:
        """Return the number that a UUID was made of, or the UUID."""
        found = self._keys.decode(text)
        return str(found) if type(found) is int else super().decode(text)


def _keys_of(plan: Plan) -> LookedUp | None:
    """Return what knows the numbers behind a rekeyed plan's UUIDs."""
    columns = (column for table in plan.tables for column in table.columns)
    words = [c.codec.partition(":")[2] for c in columns if c.codec.startswith("uuid7:")]
    if not words or plan.target != "postgresql":
        return None
    now_ms = words[0].partition(",")[0]
    tags = sorted({word.partition(",")[2] for word in words})
    return LookedUp(",".join([now_ms, *tags]))


def _rows_of_server(
    connection: psycopg.Connection[Any], view: str, keys: LookedUp | None
) -> tuple[list[Foreign], Rows | str]:
    import psycopg

    types: list[Foreign] = []
    try:
        # In the source's own transaction this is a part that can fail alone.
        with connection.transaction():
            limit = f"SET LOCAL statement_timeout = {int(VIEW_S * 1000)}"
            connection.execute(limit.encode())
            found = connection.execute(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
                (view,),
            ).fetchall()
            types = [
                _Key(keys) if keys and type_ == "uuid" else Foreign(type_)
                for _, type_ in found
            ]
            shown = ", ".join(f"{quote(name)}::text" for name, _ in found)
            sql = f"SELECT {shown} FROM {view} LIMIT {ROWS_MAX + 1}"
            rows = connection.execute(sql.encode()).fetchall()
            connection.execute("SET LOCAL statement_timeout = 0")
    except psycopg.errors.QueryCanceled:
        raise _NotCompared(f"it takes longer than {VIEW_S:g} s") from None
    except psycopg.Error as error:
        return types, str(error.diag.message_primary or error)
    _refuse_many(rows)
    return types, Counter(
        tuple(
            None if cell is None else kind.decode(cell)
            for kind, cell in zip(types, row, strict=True)
        )
        for row in rows
    )


def _rows_of_file(
    connection: sqlite3.Connection, view: str, types: Sequence[Foreign]
) -> Rows | str:
    end = time.monotonic() + VIEW_S

    def is_late() -> bool:
        return time.monotonic() > end

    before, connection.text_factory = connection.text_factory, text_of
    connection.set_progress_handler(is_late, _STEPS)
    try:
        rows = connection.execute(
            f"SELECT * FROM {view} LIMIT {ROWS_MAX + 1}"
        ).fetchall()
    except sqlite3.Error as error:
        if is_late():
            raise _NotCompared(f"it takes longer than {VIEW_S:g} s") from None
        return str(error)
    finally:
        connection.set_progress_handler(None, 0)
        connection.text_factory = before
    _refuse_many(rows)
    return Counter(
        tuple(
            None if cell is None else kind.encode(cell)
            for kind, cell in zip(types, row, strict=True)
        )
        for row in rows
    )


def _refuse_many(rows: Sequence[Any]) -> None:
    if len(rows) > ROWS_MAX:
        raise _NotCompared(f"it has more than {ROWS_MAX:,} rows")
