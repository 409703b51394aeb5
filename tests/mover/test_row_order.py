"""Ranges of a table's rows: side by side, in order, each row once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mover.test_schemas import DECLARED, TEXTS, VALUES

from lockstep.mover.model.sqlite import Table
from lockstep.mover.sqlite import survey
from lockstep.mover.sqlite.catalog import read_schema
from lockstep.mover.sqlite.profiling import profile_table
from lockstep.mover.sqlite.row_order import OutOfOrder, RowRange, order_of
from lockstep.mover.sqlite.survey import survey_table

COLLATIONS = ("", "", "", " COLLATE NOCASE", " COLLATE RTRIM")


@st.composite
def keyed_tables(draw: st.DrawFn) -> tuple[str, list[str], list[list[Any]]]:
    """Return a table WITHOUT ROWID, its columns, and rows for it."""
    quoted = [f'"{name}"' for name in "abcd"[: draw(st.integers(1, 4))]]
    columns = [
        f"{name} {draw(DECLARED)}{draw(st.sampled_from(COLLATIONS))}" for name in quoted
    ]
    key = draw(st.lists(st.sampled_from(quoted), min_size=1, unique=True))
    way = draw(st.sampled_from(["", " DESC", "mixed"]))
    parts = [
        name + (draw(st.sampled_from(["", " DESC"])) if way == "mixed" else way)
        for name in key
    ]
    if draw(st.sampled_from([False] * 9 + [True])):
        parts[0] = f"{key[0]} COLLATE NOCASE"
    create = f"CREATE TABLE t ({', '.join(columns)}, PRIMARY KEY ({', '.join(parts)}))"
    kinds = [draw(st.sampled_from([VALUES, TEXTS])) for _ in quoted]
    rows = draw(st.lists(st.tuples(*kinds), min_size=1, max_size=12))
    return f"{create} WITHOUT ROWID", quoted, [list(row) for row in rows]


def opened(create: str, rows: list[list[Any]]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(create)
    for row in rows:
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT OR IGNORE INTO t VALUES ({marks})", row)
    return connection


@settings(max_examples=60, deadline=None)
@given(table=keyed_tables(), rows=st.integers(1, 5))
def test_ranges_have_each_row_once_and_in_order(
    table: tuple[str, list[str], list[list[Any]]], rows: int
) -> None:
    create, _, values = table
    with closing(opened(create, values)) as connection:
        (described,) = read_schema(connection).tables
        order = order_of(described)
        if order is None:
            return
        listed = ", ".join(order.terms)

        def within(some: RowRange) -> list[Any]:
            where, bound = order.within(some)
            sql = f"SELECT * FROM t WHERE {where} ORDER BY {listed}"
            return connection.execute(sql, bound).fetchall()

        everything = connection.execute(f"SELECT * FROM t ORDER BY {listed}")
        expected = list(map(repr, everything.fetchall()))
        ranges = list(order.ranges(connection, rows))
        found = [within(some) for some in ranges]
        assert [repr(row) for some in found for row in some] == expected
        assert [len(some) for some in found[:-1]] == [rows] * (len(ranges) - 1)
        while any(some.rows > 1 for some in ranges):
            ranges = [
                half
                for some in ranges
                for half in (
                    order.halves(connection, some) if some.rows > 1 else [some]
                )
            ]
        assert [repr(row) for some in ranges for row in within(some)] == expected
        assert len(ranges) == len(expected)


@pytest.mark.parametrize(
    ("create", "terms"),
    [
        ("CREATE TABLE t (k TEXT PRIMARY KEY)", ('"rowid"',)),
        ("CREATE TABLE t (rowid, oid, _rowid_)", None),
        ("CREATE TABLE t (a, b, PRIMARY KEY (b, a)) WITHOUT ROWID", ('"b"', '"a"')),
        (
            "CREATE TABLE t (a, b, PRIMARY KEY (a DESC, b DESC)) WITHOUT ROWID",
            ('"a"', '"b"'),
        ),
        ("CREATE TABLE t (a COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID", ('"a"',)),
        ("CREATE TABLE t (a, PRIMARY KEY (a COLLATE NOCASE)) WITHOUT ROWID", None),
        ("CREATE TABLE t (a, b, PRIMARY KEY (a, b DESC)) WITHOUT ROWID", None),
        ("CREATE TABLE t (a COLLATE odd PRIMARY KEY) WITHOUT ROWID", None),
    ],
)
def test_which_tables_have_ranges(create: str, terms: tuple[str, ...] | None) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.create_collation("odd", lambda one, two: (one > two) - (one < two))
        connection.execute(create)
        (table,) = read_schema(connection).tables
        order = order_of(table)
        assert (order.terms if order else None) == terms


def test_a_range_is_found_along_the_key() -> None:
    create = (
        "CREATE TABLE t (a TEXT COLLATE NOCASE, b, c, PRIMARY KEY (a DESC, b DESC))"
    )
    rows = [["x", number, None] for number in range(9)]
    with closing(opened(f"{create} WITHOUT ROWID", rows)) as connection:
        connection.execute("CREATE INDEX i ON t (c, b)")
        (table,) = read_schema(connection).tables
        order = order_of(table)
        assert order is not None
        where, values = order.within(RowRange(("x", 2), ("X", 5), 3))
        sql = f"SELECT count(c) FROM t NOT INDEXED WHERE {where}"
        (step,) = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
        assert "SEARCH t USING PRIMARY KEY ((a,b)>(?,?)" in step[-1]


def two_rows(table: Table) -> int:
    return 2


@pytest.mark.parametrize("letters", ["aBcDE", "aBC"])
def test_rows_that_lie_in_another_order_are_looked_at_one_by_one(
    letters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is damaged: a search leads back to where it began, or past some rows."""
    create = "CREATE TABLE t (a TEXT COLLATE NOCASE PRIMARY KEY, n) WITHOUT ROWID"
    rows = [[letter, place] for place, letter in enumerate(letters)]
    with closing(opened(create, rows)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'NOCASE', 'BINARY')"
        )
        connection.execute("PRAGMA writable_schema = RESET")
        (table,) = read_schema(connection).tables
        monkeypatch.setattr(survey, "block_rows", two_rows)
        order = order_of(table)
        assert order is not None
        if letters == "aBcDE":
            with pytest.raises(OutOfOrder):
                list(order.ranges(connection, 2))
        found = survey_table(connection, table)
        assert found == profile_table(connection, table)
