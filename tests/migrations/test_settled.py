"""What a dump brings back is the same text: every spelling, tried on the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockstep.engine import Database
from lockstep.migrations.postgresql.settled import settled

MakeDatabase = Callable[..., Database]

TABLE = """
CREATE TABLE t (x int, y int, a int, b int, s text, v varchar(10), v2 varchar, c char(3),
  "Odd, (name" varchar, n numeric(10, 2), f float8, bo boolean, d date, ts timestamp,
  arr text[], doc jsonb, at timestamptz)
"""
TERMS = (
    *("x BETWEEN a AND b", "x NOT BETWEEN 1 AND 5", "x BETWEEN SYMMETRIC 5 AND 1"),
    *(
        "bo",
        "NOT bo",
        "y > -1",
        "a IS NULL",
        "(a, b) > (1, 2)",
        "s LIKE 'a!_%' ESCAPE '!'",
    ),
    *("v IN ('a', 'b, c', 'it''s')", "v NOT IN ('a', 'x OR y')", "c IN ('a', 'b')"),
    *("v IN ('a', v2, lower(v2))", "v IN ('a', NULL)", "\"Odd, (name\" IN ('a', 'b')"),
    *("(a, b) IN ((1, 2), (3, 4))", "x IN (1, 2)", "s ~ '^(a AND b)$'", "v LIKE 'a%'"),
    "n = ANY (ARRAY[a, -1, a + b])",
    "f = ANY (ARRAY[1, a])",
    "ts = ANY (ARRAY[d, date '2020-01-01'])",
    "s = ANY (ARRAY[v || 'x', 'b', CASE WHEN bo THEN v END]::varchar[])",
    "s = ANY (ARRAY[ARRAY[v, 'a'], ARRAY['b', v2]]::text[])",
    "s = ANY (ARRAY[v]::varchar[] || arr)",
    "v IN ('(ARRAY[''a''])::text[]', E'\\\\b')",
    "(ARRAY['a'::varchar, 'b'])[1] = v",
    "CASE WHEN v IN ('a', 'b') AND (x BETWEEN 1 AND 2) AND bo THEN y > 2 ELSE bo END",
    "coalesce(v IN ('a', 'b'), x BETWEEN 1 AND 2 AND bo)",
    "doc ->> 'a' IN ('x', 'y') AND (doc -> 'b' ->> 'c')::int > 5",
)


def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bracketed = st.one_of(parts, parts.map(lambda text: f"({text})"))
    return st.one_of(
        st.tuples(
            st.sampled_from((" AND ", " OR ")), st.lists(bracketed, min_size=2)
        ).map(lambda made: made[0].join(made[1])),
        parts.map(lambda text: f"NOT ({text})"),
    )


CONDITIONS = st.recursive(st.sampled_from(TERMS), joined, max_leaves=9)

READ = """
SELECT pg_get_constraintdef(k.oid), pg_get_expr(k.conbin, k.conrelid),
  pg_get_indexdef(i.indexrelid, 1, true), pg_get_indexdef(i.indexrelid),
  pg_get_expr(i.indpred, i.indrelid)
FROM pg_constraint k, pg_index i WHERE k.conname = 'k' AND i.indexrelid = 'i'::regclass
"""


@pytest.fixture
def server(make_database: MakeDatabase) -> Iterator[psycopg.Connection]:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE.encode())
        yield connection


def texts(
    connection: psycopg.Connection, check: str, index: str
) -> tuple[str, str, list[str]]:
    """Make a check and an index; return their statements, and what is compared."""
    with connection.transaction(force_rollback=True):
        connection.execute(f"ALTER TABLE t ADD CONSTRAINT k {check}".encode())
        connection.execute(index.encode())
        row = connection.execute(READ.encode()).fetchone()
    assert row is not None
    return row[0], row[3], [settled(row[1]), settled(row[2]), settled(row[4])]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=CONDITIONS)
def test_a_condition_reads_as_it_did_before_the_dump(
    condition: str, server: psycopg.Connection
) -> None:
    index = f"CREATE INDEX i ON t (({condition})) WHERE {condition}"
    check, statement, stated = texts(server, f"CHECK ({condition})", index)
    _, _, restored = texts(server, check, statement)
    assert restored == stated


def test_other_conditions_stay_others() -> None:
    alike = ("(a AND b AND c)", "((a AND b) AND c)")
    assert settled(alike[0]) == settled(alike[1])
    others = (
        *("((a OR b) AND c)", "(a OR b OR c)", "(NOT (a AND b) AND c)"),
        *("((v)::text = ANY (ARRAY['(a AND b) AND c'::text]))", "'((a AND b) AND c)'"),
        *("(ARRAY['a'])::text[]", "(ARRAY['b'])::text[]", "(ARRAY['a'])::name[]"),
    )
    assert len({settled(text) for text in (*others, alike[0])}) == len(others) + 1


def test_brackets_without_end_are_left_alone() -> None:
    deep = f"{'(' * 5_000}a{')' * 5_000}"
    assert settled(deep) == deep
