"""Whatever is translated gives the same on both engines: the databases say so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from lockstep.engine.scratch import postgresql_database
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.translate.expressions import Meaning, Untranslatable, value
from lockstep.mover.translate.from_postgresql import expression_to_sqlite

TABLE = {
    "i": ("INTEGER", "bigint", "integer"),
    "j": ("INTEGER", "bigint", "integer"),
    "r": ("REAL", "double precision", "real"),
    "s": ("REAL", "double precision", "real"),
    "t": ("TEXT", "text", "text"),
    "u": ("TEXT COLLATE NOCASE", "text", "text"),
    "w": ("DATETIME", "text", "text"),
    "f": ("BOOLEAN", "boolean", "boolean"),
    "b": ("BLOB", "bytea", "bytes"),
    "m": ("DATETIME", "timestamp", "text"),
    "d": ("DATE", "date", "text"),
    "x": ("DECIMAL", "numeric", "numeric"),
}
AFFINITIES = {"INTEGER": "integer", "REAL": "real", "BLOB": "blob", "TEXT": "text"}
MEANINGS = {
    name: Meaning(
        f'"{name}"',
        kind,
        codec,
        AFFINITIES.get(declared.split()[0], "numeric"),
        "NOCASE" if "NOCASE" in declared else "BINARY",
    )
    for name, (declared, kind, codec) in TABLE.items()
}

INTEGERS = st.sampled_from(
    [0, 1, -1, 2, 3, 7, -8, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
)
REALS = st.sampled_from([0.0, 0.5, -2.5, 3.0, 0.1, 1e15, 2.0**53, -1e308, 5e-324])
TEXTS = st.sampled_from(
    [
        *("", "a", "A", "abc", "ABC", "aBé", "É", "é", "ß", "%", "_", "a_c", "a%c"),
        *("[", "]x", "a]c", "x-1", "\\", "a\\c", "it's", " pad ", "12", "1.5", "Z"),
        *("日本", "😀b", "a\nb", '{"a": 1}', "[1", '"\x01"'),
    ]
)
BLOBS = st.sampled_from([b"", b"\x00\xff", b"abc", bytes(16)])
MOMENTS = st.sampled_from(
    [
        *("2024-02-29 12:34:56", "0001-01-01 00:00:00", "9999-12-31 23:59:59"),
        *("2024-02-29 12:34:56.5", "2023-12-31 23:59:59.9996"),
        "1969-12-31 23:59:59.999999",
    ]
)
DAYS = st.sampled_from(["2024-02-29", "0001-01-01", "9999-12-31", "2023-12-31"])
NUMERICS = st.sampled_from([0, 1, 0.5, -0.25, 3, 0.1, 2**53, 123456789.125])
CELLS: list[st.SearchStrategy[Any]] = [
    *(INTEGERS, INTEGERS, REALS, REALS, TEXTS, TEXTS),
    # A column for numbers would make numbers of these.
    TEXTS.filter(lambda text: text not in ("12", "1.5")),
    *(st.sampled_from([0, 1]), BLOBS, MOMENTS, DAYS, NUMERICS),
]
ROWS = st.tuples(*(st.none() | cells for cells in CELLS))

ONE = [
    *("length({})", "abs({})", "lower({})", "upper({})", "trim({})", "hex({})", "-{}"),
    *("unicode({})", "typeof({})", "CAST({} AS INTEGER)", "CAST({} AS TEXT)", "~{}"),
    *("CAST({} AS REAL)", "NOT {}", "{} IS NULL", "{} NOTNULL", "{} IS TRUE", "+{}"),
    *("{} IS NOT FALSE", "{} COLLATE NOCASE", "date({})", "datetime({})", "time({})"),
    *("strftime('%Y-%m', {})", "strftime('%d.%m.%Y %H h', {})", "unixepoch({})"),
    *(
        "json_valid({})",
        "ltrim({}, 'a ')",
        "typeof({}) = 'integer'",
        "strftime('%j', {})",
    ),
    *[f"substr({{}}, {place})" for place in range(-4, 5)],
    *[f"substr({{}}, {place}, {n})" for place in range(-4, 5) for n in (0, 1, 3)],
]
TWO = [
    *[f"{{}} {sign} {{}}" for sign in ("+", "-", "*", "/", "%", "||", "&", "|")],
    *[f"{{}} {sign} {{}}" for sign in ("=", "<>", "<", "<=", ">", ">=", "<<", ">>")],
    *[f"{{}} {word} {{}}" for word in ("AND", "OR", "IS", "IS NOT", "LIKE", "GLOB")],
    *("ifnull({}, {})", "nullif({}, {})", "instr({}, {})", "min({}, {})"),
    *("max({}, {})", "CASE {} WHEN {} THEN 1 ELSE 2 END", "trim({}, {})"),
]
THREE = [
    *(
        "iif({}, {}, {})",
        "{} BETWEEN {} AND {}",
        "{} IN ({}, {})",
        "{} NOT IN ({}, {})",
    ),
    *(
        "replace({}, {}, {})",
        "CASE WHEN {} THEN {} ELSE {} END",
        "coalesce({}, {}, {})",
    ),
]
MATCHING = ["{} LIKE {}", "{} NOT LIKE {}", "{} GLOB {}", "{} LIKE {} ESCAPE '\\'"]


def literal(one: Any) -> str:
    if isinstance(one, str):
        return "'" + one.replace("'", "''") + "'"
    if isinstance(one, bytes):
        return f"x'{one.hex()}'"
    if one == -(2**63):
        return "(-9223372036854775807 - 1)"
    return f"({one!r})" if one < 0 else repr(one)


def filled(template: str, *parts: str) -> str:
    return template.format(*(f"({part})" for part in parts))


LITERALS: list[st.SearchStrategy[Any]] = [INTEGERS, REALS, TEXTS, BLOBS, MOMENTS, DAYS]
LEAVES = st.one_of(
    st.sampled_from(sorted(TABLE)), st.one_of(LITERALS).map(literal), st.just("NULL")
)
PATTERNS = st.lists(
    st.sampled_from([*"%_*?aAbé[]^-1x\\.", "[a-c]", "[^a]", "[]x]"]), max_size=4
).map(lambda parts: literal("".join(parts)))


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(filled, st.sampled_from(ONE), inner),
        st.builds(filled, st.sampled_from(TWO), inner, inner),
        st.builds(filled, st.sampled_from(THREE), inner, inner, inner),
        st.builds(filled, st.sampled_from(MATCHING), inner, PATTERNS),
    )


READ_AS_OBJECTS = ("day", "moment", "clock", "numeric")
SIMPLE = compound(LEAVES)
EXPRESSIONS = compound(LEAVES | SIMPLE | compound(LEAVES | SIMPLE))


@pytest.fixture(scope="module")
def server(postgres_server: Any) -> Iterator[psycopg.Connection[Any]]:
    with (
        postgresql_database(postgres_server.url) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        columns = ", ".join(f'"{n}" {kind}' for n, (_, kind, _) in TABLE.items())
        connection.execute(f"CREATE TABLE rows (n int, {columns})".encode())
        connection.execute(b"SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'")
        yield connection


def on_sqlite(rows: list[tuple[Any, ...]], sql: str) -> list[Any]:
    connection = sqlite3.connect(":memory:")
    try:
        columns = ", ".join(
            f'"{n}" {declared}' for n, (declared, _, _) in TABLE.items()
        )
        connection.execute(f"CREATE TABLE rows ({columns})")
        marks = ", ".join("?" * len(TABLE))
        connection.executemany(f"INSERT INTO rows VALUES ({marks})", rows)
        found = connection.execute(f"SELECT {sql} FROM rows ORDER BY rowid").fetchall()
        return [row[0] for row in found]
    finally:
        connection.close()


def on_postgresql(
    server: psycopg.Connection[Any], rows: list[tuple[Any, ...]], sql: str
) -> list[Any]:
    """Each row's value; the error's class where PostgreSQL's numbers end."""
    with server.cursor() as cursor:
        cursor.execute(b"TRUNCATE rows")
        marks = ", ".join(["%s"] * (len(TABLE) + 1))
        typed = [
            (number, *row[:7], None if row[7] is None else bool(row[7]), *row[8:])
            for number, row in enumerate(rows)
        ]
        cursor.executemany(f"INSERT INTO rows VALUES ({marks})".encode(), typed)
    found: list[Any] = []
    for number in range(len(rows)):
        try:
            statement = f"SELECT {sql} FROM rows WHERE n = {number}"
            row = server.execute(statement.encode()).fetchone()
            found.append(row[0] if row else None)
        except psycopg.errors.NumericValueOutOfRange as error:
            found.append(type(error))
    return found


def seen(one: Any) -> Any:
    if isinstance(one, bool):
        return int(one)
    if isinstance(one, float):
        return (float, one + 0.0 if one else 0.0)
    return one


@example("u = 'ABC'", [(*[None] * 5, "abc", *[None] * 6)])
@example("t LIKE 'a\\%%' ESCAPE '\\'", [(*[None] * 4, "A%c", *[None] * 7)])
@example("i > 0.5 AND r < 3", [(2**53 + 1, None, 0.1, *[None] * 9)])
@example("i = '9007199254740993'", [(2**53, *[None] * 11)])
@example("hex(b)", [(*[None] * 12,)])
@given(EXPRESSIONS, st.lists(ROWS, min_size=2, max_size=4))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_a_translated_expression_gives_the_same(
    server: psycopg.Connection[Any], sql: str, rows: list[tuple[Any, ...]]
) -> None:
    try:
        made = value(sql, MEANINGS)
    except Untranslatable:
        assume(False)
        raise
    try:
        expected = on_sqlite(rows, sql)
    except sqlite3.OperationalError:  # abs() of the least integer
        return
    assume("IS JSON" not in made.sql or server.info.server_version >= 160_000)
    found = on_postgresql(server, rows, made.sql)
    for mine, other in zip(expected, found, strict=True):
        if other is psycopg.errors.NumericValueOutOfRange:
            continue
        if made.kind in READ_AS_OBJECTS:
            continue
        assert seen(mine) == seen(other), (sql, made.sql)


SQLITE_CODECS = {"bigint": "integer", "boolean": "boolean", "bytea": "bytes"}
SQLITE_TYPES = {"integer": "INTEGER", "real": "REAL", "bytes": "BLOB", "text": "TEXT"}


def to_sqlite_plan() -> TablePlan:
    plan = TablePlan("rows", "rows", [])
    for name, (_, kind, _) in TABLE.items():
        codec = (
            "real" if kind == "double precision" else SQLITE_CODECS.get(kind, "text")
        )
        made = ColumnPlan(name, name, SQLITE_TYPES.get(codec, "BOOLEAN"), codec)
        made.source_type = kind.replace("timestamp", "timestamp without time zone")
        plan.columns.append(made)
    return plan


def in_its_own_words(server: psycopg.Connection[Any], sql: str) -> str:
    server.execute(f"CREATE VIEW v AS SELECT {sql} AS c FROM rows".encode())
    row = server.execute(b"SELECT pg_get_viewdef('v', false)").fetchone()
    server.execute(b"DROP VIEW v")
    assert row is not None
    return str(row[0]).strip().removeprefix("SELECT").rpartition(" AS c")[0]


@example("t LIKE 'a%'", [(*[None] * 4, "A%c", *[None] * 7)])
@given(EXPRESSIONS, st.lists(ROWS, min_size=2, max_size=4))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_what_comes_back_from_postgresqls_catalogs_gives_the_same(
    server: psycopg.Connection[Any], sql: str, rows: list[tuple[Any, ...]]
) -> None:
    """PostgreSQL writes the expression in its own words, which are read again."""
    plan = to_sqlite_plan()
    try:
        made = value(sql, MEANINGS)
        assume("IS JSON" not in made.sql)
        again = expression_to_sqlite(in_its_own_words(server, made.sql), plan)
    except Untranslatable:
        assume(False)
        raise
    assume(not again.differences and made.kind not in READ_AS_OBJECTS)
    found = on_postgresql(server, rows, made.sql)
    try:
        back = on_sqlite(rows, again.sql)
    except sqlite3.OperationalError:  # abs() of the least integer
        return
    for mine, other in zip(back, found, strict=True):
        if other is not psycopg.errors.NumericValueOutOfRange:
            assert seen(mine) == seen(other), (made.sql, again.sql)


SERVERS_OWN = (
    *("i BETWEEN 1 AND 5 AND j > 0", "i NOT BETWEEN -1 AND 3 OR j IS NULL"),
    *("t IN ('a', 'abc')", "t::varchar NOT IN ('a', 'it''s')", "t IN ('a', NULL)"),
    *("trim(t) <> ''", "trim(both 'a' from t) <> ''", "trim(leading from t) = t"),
    *("trim(trailing 'cC' from t) = t", "substring(t from 2 for 2) = 'bc'"),
    *("substring(t, 2) = 'bc'", "position('b' in t) > 1", "position('' in t) = 1"),
    *("f IS UNKNOWN", "f IS NOT UNKNOWN", "i > -1.5", "i <= 2.5 AND i <> 2.0"),
    *(
        "i = ANY (ARRAY[1, 2.5])",
        "NOT (f AND i > 0) AND (f OR t = 'a')",
        "d = '2024-02-29'",
    ),
    "(i > 0 AND j > 0) AND (t <> '' AND (f OR i = 7))",
)
SAMPLES = (
    (*(None,) * 12,),
    (1, 2, 0.5, 1.5, "a", "A", "w", True, b"a", None, "2024-02-29", 1.5),
    (-1, 5, 0.5, 1.5, "abc", "A", "w", False, b"", None, "2024-02-28", None),
    (7, -8, None, 1.5, " pad ", "A", "w", None, b"a", None, None, 2),
    (2, 0, 0.5, None, "", "A", "w", True, None, None, "2024-02-29", 0),
    (3, None, 0.5, 1.5, "ABC", None, "w", False, b"a", None, None, None),
    (-2, 1, 0.5, 1.5, "it's", "é", None, True, b"a", None, "2024-02-29", None),
)


def test_what_postgresql_spells_in_words_of_its_own_is_understood(
    server: psycopg.Connection[Any],
) -> None:
    plan, rows = to_sqlite_plan(), list(SAMPLES)
    for sql in SERVERS_OWN:
        spelled = in_its_own_words(server, sql)
        restored = in_its_own_words(server, spelled)
        found = on_postgresql(server, rows, sql)
        for text in (spelled, restored):
            back = on_sqlite(rows, expression_to_sqlite(text, plan).sql)
            assert list(map(seen, back)) == list(map(seen, found)), text
