"""Random schemas and values go there and back; fifty tables in circles arrive."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.mover import checker

from lockstep.engine.scratch import postgresql_database
from lockstep.mover import Mover

NAMES = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"),
    min_size=1,
    max_size=70,
)
DECLARED = st.sampled_from(
    [
        *("INTEGER", "TEXT", "REAL", "BLOB", "", "NUMERIC", "DECIMAL(8,2)", "BOOLEAN"),
        *("DATE", "DATETIME", "TIME", "VARCHAR(3)", "TINYINT(1)", "POINT", "ANY THING"),
    ]
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            *(
                "42",
                "4.5",
                "1e5",
                " 7",
                "0x1",
                "inf",
                "-inf",
                "nan",
                "NaN",
                "1.0",
                "-0",
            ),
            *(
                "2024-02-29",
                "2023-02-29",
                "2024-01-01 10:00:00",
                "10:00:00",
                "\\N",
                "\t",
            ),
            *("2024-01-01 10:00:00.10", "0000-00-00", "\0", "t", "f", "true", "\\x41"),
        ]
    ),
)
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 1),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, 0.1, 1e15, 2.0**53, 9.007199254740993e15, 1e19]),
    TEXTS,
    st.binary(max_size=6),
    st.sampled_from([b"42", b"abc", b"\xff", b""]),
)
KEYS = ["UNIQUE", "PRIMARY KEY", "COLLATE NOCASE UNIQUE"]


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[str], list[list[Any]]]:
    names = draw(
        st.lists(NAMES, min_size=1, max_size=4, unique_by=lambda name: name.lower())
    )
    declared = [draw(DECLARED) for _ in names]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    key = draw(st.sampled_from(["", "INTEGER PRIMARY KEY", *KEYS, "WITHOUT ROWID"]))
    columns = [f"{q} {d}" for q, d in zip(quoted, declared, strict=True)]
    if key in KEYS:
        columns[0] += f" {key}"
    elif key == "WITHOUT ROWID":
        columns.append(f"PRIMARY KEY ({quoted[-1]} DESC)")
    elif key:
        columns[0] = f"{quoted[0]} {key}"
    kinds = draw(
        st.lists(
            st.sampled_from([VALUES, TEXTS]), min_size=len(names), max_size=len(names)
        )
    )
    rows = draw(st.lists(st.tuples(*kinds), max_size=12))
    tail = key if key == "WITHOUT ROWID" else ""
    return (
        f"CREATE TABLE t ({', '.join(columns)}) {tail}",
        quoted,
        [list(r) for r in rows],
    )


@pytest.fixture(scope="module")
def server_url(postgres_server: Any) -> Iterator[str]:
    with postgresql_database(postgres_server.url) as url:
        yield url


def empty(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"DROP TABLE IF EXISTS t CASCADE")
        connection.execute(b"DROP SCHEMA IF EXISTS lockstep_move CASCADE")


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=tables())
@example(table=("CREATE TABLE t (a REAL)", ['"a"'], [[0.0], [0.0], [b"0"]]))
@example(table=("CREATE TABLE t (a INTEGER)", ['"a"'], [[7], [8], [b" 7"], [b"07"]]))
def test_whatever_sqlite_holds_goes_there_and_back(
    table: tuple[str, list[str], list[list[Any]]], server_url: str
) -> None:
    create, quoted, rows = table
    empty(server_url)
    with tempfile.TemporaryDirectory() as folder:
        path, back = Path(folder) / "a.db", Path(folder) / "b.db"
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute(create)
        marks = ", ".join("?" * len(quoted))
        for row in rows:
            try:
                connection.execute(f"INSERT OR IGNORE INTO t VALUES ({marks})", row)
            except sqlite3.IntegrityError:
                continue  # a text for a rowid
        connection.close()
        there = Mover(path, server_url, quarantine=Path(folder) / "q").move()
        assert there.verification is not None
        assert there.verification.differences == []
        expected = checker.sqlite_rows(path, "t")
        assert checker.postgresql_rows(server_url, "t") == expected
        again = Mover(server_url, back, quarantine=Path(folder) / "q").move()
        assert again.verification is not None
        assert again.verification.differences == []
        assert checker.typed_rows(back, "t") == checker.typed_rows(path, "t")


def test_fifty_tables_in_circles(tmp_path: Path, postgres_server: Any) -> None:
    path = tmp_path / "circles.db"
    connection = sqlite3.connect(path, isolation_level=None)
    count = 50
    for i in range(count):
        connection.execute(
            f"CREATE TABLE t{i} (id INTEGER PRIMARY KEY, "
            f"next_id INTEGER NOT NULL REFERENCES t{(i + 1) % count}(id), "
            f"own_id INTEGER REFERENCES t{i}(id) ON DELETE SET NULL, "
            f"far_id INTEGER REFERENCES t{(i * 7 + 3) % count} DEFERRABLE INITIALLY DEFERRED)"
        )
        connection.execute(f"CREATE INDEX i{i} ON t{i} (next_id)")
        connection.executemany(
            f"INSERT INTO t{i} VALUES (?, ?, ?, ?)",
            [(r, 21 - r, r - 1 or None, None if r % 3 else r) for r in range(1, 21)],
        )
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    with postgresql_database(postgres_server.url) as url:
        result = Mover(path, url).move()
        assert result.is_exact
        assert result.plan.losses == []
        assert result.not_built == []
        with psycopg.connect(url) as server:
            row = server.execute(
                b"SELECT count(*), bool_and(convalidated) FROM pg_constraint "
                b"WHERE contype = 'f'"
            ).fetchone()
        assert row == (150, True)
        for i in range(count):
            expected = checker.sqlite_rows(path, f"t{i}")
            assert checker.postgresql_rows(url, f"t{i}") == expected
