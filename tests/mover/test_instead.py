"""The other type that a plan offers, where a few rows stand in the way of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import given, settings
from hypothesis import strategies as st

from lockstep.engine import Database
from lockstep.engine.urls import DatabaseUrl
from lockstep.mover import Mover, plan_to_toml
from lockstep.mover.codecs import CellRefused, codec_of
from lockstep.mover.connecting import open_sqlite_source
from lockstep.mover.model.plan import ColumnPlan
from lockstep.mover.model.results import silent
from lockstep.mover.model.values import text_of

MakeDatabase = Callable[..., Database]
USUAL = (
    st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.integers(-9, 9).map(float),
    st.integers(0, 1),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    st.sampled_from(["2024-02-29", "1999-12-31"]),
    st.binary(max_size=9),
)
ODD = st.sampled_from([7, 2.5, 3.0, float("inf"), "1,5", "", "a\0b", b"\xff", None])
BROKEN = "CAST(x'c3' AS TEXT)"


def _planned(path: Path, declared: str, values: list[Any], broken: int) -> ColumnPlan:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE t (v {declared})")
        connection.executemany("INSERT INTO t VALUES (?)", [(v,) for v in values])
        connection.execute(f"INSERT INTO t SELECT {BROKEN} WHERE {broken}")
        connection.commit()
    with closing(open_sqlite_source(DatabaseUrl.parse(path))) as source:
        return source.make_plan(silent).tables[0].columns[0]


def _refused(path: Path, codec: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        rows = connection.execute(
            "SELECT v, typeof(v) FROM t WHERE v IS NOT NULL"
        ).fetchall()
    return sum(not _takes(codec, *row) for row in rows)


def _takes(codec: str, value: Any, kind: bytes) -> bool:
    try:
        codec_of(codec).encode(text_of(value) if kind == b"text" else value)
    except (CellRefused, ValueError):
        return False
    return True


@settings(deadline=None, max_examples=60)
@given(
    usual=st.sampled_from(USUAL),
    declared=st.sampled_from(
        ["", "INTEGER", "REAL", "TEXT", "DATE", "DECIMAL", "BOOL"]
    ),
    odd=st.lists(ODD, max_size=2),
    broken=st.integers(0, 1),
    data=st.data(),
)
def test_as_many_rows_stay_behind_as_it_says(
    tmp_path_factory: Any,
    usual: Any,
    declared: str,
    odd: list[Any],
    broken: int,
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.getbasetemp() / "instead.db"
    values = data.draw(st.lists(usual, min_size=20, max_size=60)) + odd
    column = _planned(path, declared, values, broken)
    assert _refused(path, column.codec) == 0
    if column.instead is not None:
        assert _refused(path, column.instead.codec) == column.instead.rows > 0


def test_the_mapping_file_offers_it_as_a_line(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE t (id INTEGER PRIMARY KEY, active BOOLEAN DEFAULT 1);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 40)
            INSERT INTO t SELECT i, i % 2 FROM n;
            UPDATE t SET active = 'yes' WHERE id = 7;
        """)
    url = make_database("postgresql").url.unmasked()
    lines = plan_to_toml(Mover(path, url).plan()).splitlines()
    (offered,) = [number for number, line in enumerate(lines) if "# instead" in line]
    assert "boolean but for 1 row" in lines[offered - 1]
    lines[offered - 1] = lines[offered].removeprefix("# ")
    aside = tmp_path / "aside.jsonl"
    result = Mover(path, url, plan="\n".join(lines), quarantine=aside).move()
    assert result.quarantined == 1
    assert result.verification.is_same
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "INSERT INTO t DEFAULT VALUES RETURNING id, active, pg_typeof(active)::text"
        ).fetchone()
        assert found == (41, True, "boolean")
