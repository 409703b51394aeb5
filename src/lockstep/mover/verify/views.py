"""Compare what carried views show on both sides, before a move is called verified.

Owns the safety net under their translation: a view that shows other rows than its
original, or none because it fails, is taken back and named. Views are derived, so
this is bounded: by rows, by time for each and for all; what was not compared is told.

Where rows are equal in an order, neither engine says which of them a LIMIT shows. So
PostgreSQL is asked for all of them (``FETCH FIRST … WITH TIES``), and a view that shows
as many others of these is told, and stays.

Invariant: a view that was compared and differs does not stay in the target.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from lockstep.errors import LockstepError
from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.asking import rows_of
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

_BY_CHANCE: Final = "its LIMIT chooses between rows that are equal in its order"
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_LIMIT: Final = re.compile(r"\b(?:LIMIT|OFFSET|FETCH FIRST)\b", re.IGNORECASE)
_TAIL: Final = re.compile(
    r"(?:\s+OFFSET (?P<offset>\d+))?\s+LIMIT (?P<limit>\d+);?\s*\Z"
)
"""As PostgreSQL writes it at the end of a view's query."""

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
    limited: list[str] = []
    for statement in built:
        name = _read_by(statement, refused)
        problem = f"it reads {name}, which was taken back" if name else ""
        if not problem:
            is_chosen = bool(_read_by(statement, limited))
            try:
                problem = _difference(
                    plan, statement, source, target, deadline, is_chosen=is_chosen
                )
            except _NotCompared as reason:
                notices.append(f"the view {statement.name} was not compared: {reason}")
        if problem:
            refused[statement.name] = (statement, f"{problem}; it was taken back")
        elif _has_limit(statement.sql) or _read_by(statement, limited):
            limited.append(statement.name)
    for statement, problem in reversed(refused.values()):
        target.take_back(statement, problem)
    return list(refused.values())


def _read_by(statement: Statement, names: Iterable[str]) -> str:
    """Return which of these views another one reads; empty for none."""
    for name in names:
        if f" {quote(name)} " in statement.sql:
            return name
    return ""


def _difference(
    plan: Plan,
    statement: Statement,
    source: MoveSource,
    target: MoveTarget,
    deadline: float,
    *,
    is_chosen: bool,
) -> str:
    """Return what a view shows otherwise; empty for nothing.

    ``is_chosen`` says that it reads a view whose LIMIT may show other rows.
    """
    here, there = plan.views[statement.name], quote(statement.name)
    if time.monotonic() > deadline:
        raise _NotCompared("the others took long enough")
    if plan.target == "postgresql":
        file, server, names = source.connection, target.connection, (here, there)
    else:
        file, server, names = target.connection, source.connection, (there, here)
    keys = _keys_of(plan)
    types, other = _rows_of_server(server, names[1], keys)
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
    if is_chosen:
        raise _NotCompared(_BY_CHANCE)
    _refuse_chance(server, names[1], keys, mine, other)
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


def _refuse_chance(
    connection: psycopg.Connection[Any],
    view: str,
    keys: LookedUp | None,
    mine: Rows,
    other: Rows,
) -> None:
    """Raise ``_NotCompared`` where a LIMIT shows other rows of some that are equal.

    Args:
        connection: To PostgreSQL.
        view: Its view.
        keys: Knows the numbers behind a rekeyed plan's UUIDs.
        mine: What SQLite shows.
        other: What PostgreSQL shows.
    """
    (row,) = connection.execute(
        "SELECT pg_get_viewdef(%s::regclass)", (view,)
    ).fetchall()
    query = str(row[0])
    tail = _TAIL.search(query)
    if _has_limit(query[: tail.start()] if tail else query):
        raise _NotCompared(_BY_CHANCE)
    if tail is None:
        return
    count = int(tail["limit"]) + int(tail["offset"] or 0)
    # Without an order any row may be shown.
    for end in (f" FETCH FIRST {count} ROWS WITH TIES", ""):
        whole = query[: tail.start()] + end
        _, equal = _rows_of_server(connection, view, keys, whole)
        if isinstance(equal, str):
            continue
        is_chosen = mine.total() == other.total() and mine <= equal and other < equal
        if is_chosen:
            raise _NotCompared(_BY_CHANCE)
        return


def _has_limit(sql: str) -> bool:
    return _LIMIT.search(_QUOTED.sub("", sql)) is not None


def _rows_of_server(
    connection: psycopg.Connection[Any],
    view: str,
    keys: LookedUp | None,
    query: str = "",
) -> tuple[list[Foreign], Rows | str]:
    """Return a view's rows and how they are read, or why it cannot be shown.

    Args:
        connection: To PostgreSQL.
        view: Which view.
        keys: Knows the numbers behind a rekeyed plan's UUIDs.
        query: What is read instead; it has the view's columns.
    """
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
            names = ", ".join(quote(name) for name, _ in found)
            relation = f"({query}) AS shown ({names})" if query else view
            sql = f"SELECT {shown} FROM {relation} LIMIT {ROWS_MAX + 1}"
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


def _rows_of_file(connection: Any, view: str, types: Sequence[Foreign]) -> Rows | str:
    """Return a view's rows, or why SQLite cannot show it.

    A libSQL server gives up by itself what takes it too long.
    """
    sql = f"SELECT * FROM {view} LIMIT {ROWS_MAX + 1}"
    try:
        if isinstance(connection, sqlite3.Connection):
            rows = _rows_in_time(connection, sql)
        else:
            rows = rows_of(connection, sql)
    except sqlite3.DataError as error:
        raise _NotCompared(str(error)) from error  # the server's answer is too long
    except sqlite3.Error as error:
        return str(error)
    except LockstepError as error:
        raise _NotCompared(f"the server does not show it: {error}") from error
    _refuse_many(rows)
    return Counter(
        tuple(
            None if cell is None else kind.encode(cell)
            for kind, cell in zip(types, row, strict=True)
        )
        for row in rows
    )


def _rows_in_time(connection: sqlite3.Connection, sql: str) -> list[Any]:
    end = time.monotonic() + VIEW_S

    def is_late() -> bool:
        return time.monotonic() > end

    before, connection.text_factory = connection.text_factory, text_of
    connection.set_progress_handler(is_late, _STEPS)
    try:
        return rows_of(connection, sql)
    except sqlite3.Error:
        if is_late():
            raise _NotCompared(f"it takes longer than {VIEW_S:g} s") from None
        raise
    finally:
        connection.set_progress_handler(None, 0)
        connection.text_factory = before


def _refuse_many(rows: Sequence[Any]) -> None:
    if len(rows) > ROWS_MAX:
        raise _NotCompared(f"it has more than {ROWS_MAX:,} rows")
