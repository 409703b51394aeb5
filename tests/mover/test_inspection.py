"""What an inspection says of a file: each kind of dirt once, nothing of a clean one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from lockstep.doctor import examine
from lockstep.engine import Database
from lockstep.moments.spellings import SPELLING_NAMES
from lockstep.moments.units import UNIT_NAMES
from lockstep.mover import Inspection, Mover, inspect_database


def _inspected(tmp_path: Path, *statements: str) -> Inspection:
    path = tmp_path / "seen.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return inspect_database(path)


@pytest.mark.parametrize(
    ("declared", "values", "expected"),
    [
        (
            "n INTEGER",
            ["1", "2", "'three'"],
            ("mixed types", "n", "2 integer, 1 text", 1, ("row 3: 'three'",)),
        ),
        (
            "t TEXT",
            ["'whole'", "CAST(x'c328' AS TEXT)"],
            ("invalid text", "t", "not valid UTF-8", 1, ("row 2: text x'c328'",)),
        ),
        (
            "t TEXT",
            ["x'00'", "CAST(x'610062' AS TEXT)"],
            ("NUL in text", "t", "cannot hold", 1, (r"row 2: 'a\x00b'",)),
        ),
        (
            "r REAL",
            ["1.5", "'nan'"],
            ("placeholder", "r", "wrote for nothing", 1, ("row 2: 'nan'",)),
        ),
        (
            "d DATE",
            ["'2024-02-28'", "NULL", "'0000-00-00'", "'99999-01-01'"],
            (
                "dates",
                "d",
                "form: 1 as zero dates, 1 as ISO dates",
                0,
                ("row 3: '0000-00-00'", "row 4: '99999-01-01'"),
            ),
        ),
        (
            "made_at INTEGER",
            ["1600000000", "1700000000"],
            (
                "epoch",
                "made_at",
                "moments in seconds since 1970, 2020-09-13 to 2023-11-14",
                2,
                (),
            ),
        ),
        (
            "made_at INTEGER",
            ["1600000000", "1700000000000", "0"],
            (
                "mixed epochs",
                "made_at",
                "1 in seconds since 1970, 1 in milliseconds since 1970",
                0,
                (),
            ),
        ),
        (
            "made_at",
            ["2460000.5", "'2024-01-01 10:00:00'", "1600000000000000"],
            (
                "mixed epochs",
                "made_at",
                "1 in Julian days, 1 in microseconds since 1970, 1 as ISO text with a",
                0,
                (),
            ),
        ),
        (
            "made_at REAL",
            ["2460000.5", "NULL"],
            ("epoch", "made_at", "moments in Julian days", 1, ()),
        ),
        (
            "made TIMESTAMP",
            ["'2024-01-01T10:00:00+02:00'", "'2024-01-01'"],
            ("dates", "made", "1 as ISO dates, 1 as ISO text with an offset", 0, ()),
        ),
        (
            "gemacht_am TEXT, geändert TEXT",
            ["'2024-01-01 10:00', '2024-01-01 10:00'", "NULL, '2024-01-01T10:00'"],
            ("mixed epochs", "geändert", "1 as ISO text with T, 1 as ISO text", 0, ()),
        ),
        (
            "made DATETIME",
            ["5", "'soon'"],
            ("mixed epochs", "made", "numbers and texts", 0, ()),
        ),
    ],
)
def test_each_kind_of_dirt_is_named(
    declared: str,
    values: Sequence[str],
    expected: tuple[str, str, str, int, tuple[str, ...]],
    tmp_path: Path,
) -> None:
    rows = ", ".join(f"({value})" for value in values)
    seen = _inspected(
        tmp_path, f"CREATE TABLE t ({declared})", f"INSERT INTO t VALUES {rows}"
    )
    kind, column, words, count, examples = expected
    (found,) = [f for f in seen.findings if f.kind == kind]
    assert (found.where, found.count) == (f"t.{column}", count)
    assert words in found.message
    assert found.examples == examples


MOMENTS = [
    *("20240131", "2460000", "1700000000", "1700000000000", "1700000000000000"),
    *("13350000000000000", "133500000000000000", "638000000000000000"),
    *("1700000000000000000", "'0000-00-00'", "'2024-01-31'", "'2024-01-31T10:00Z'"),
    *("'2024-01-31T10:00'", "'2024-01-31 10:00'", "'31.1.2024'", "'1/31/2024'"),
    *("'20240131T100000'", "'Wed, 31 Jan 2024 10:00:00 GMT'", "'1700000000'"),
]
"""One for each unit and each spelling."""


def test_it_names_the_units_that_the_doctor_names(tmp_path: Path) -> None:
    pairs = [*zip(MOMENTS, [*MOMENTS[1:], MOMENTS[0]], strict=True)]
    listed = ", ".join(f"n{number}_at" for number in range(len(pairs)))
    rows = [", ".join(values) for values in zip(*pairs, strict=True)]
    seen = _inspected(
        tmp_path,
        f"CREATE TABLE t ({listed})",
        f"INSERT INTO t VALUES ({rows[0]}), ({rows[1]})",
    )
    told = {
        finding.subject: finding.what.partition(": ")[2]
        for finding in examine(tmp_path / "seen.db").findings
        if finding.check == "mixed-epochs" and finding.subject != "moments"
    }
    named = {
        finding.where: finding.message.partition(": ")[2]
        for finding in seen.findings
        if finding.kind == "mixed epochs"
    }
    assert named == told
    # Dates among ISO texts are no other kind of clock.
    assert len(named) == len(pairs) - 1
    kinds = {kind for words in named.values() for kind in words.split(", ")}
    known = {*UNIT_NAMES, *SPELLING_NAMES}
    assert {kind.split(" ", 2)[2] for kind in kinds} == known


def test_clean_reads_what_counts_since_1601(
    tmp_path: Path, make_database: Callable[..., Database]
) -> None:
    path, back = tmp_path / "seen.db", tmp_path / "back.db"
    seen = _inspected(
        tmp_path,
        "CREATE TABLE visits (visit_time INTEGER, due INTEGER, no_day INTEGER)",
        "INSERT INTO visits VALUES (13350000000000001, 1700000000, 20240131), "
        "(0, 0, 20240229), (NULL, NULL, NULL)",
    )
    assert [(f.where, f.message) for f in seen.findings] == [
        ("visits.visit_time", "moments in microseconds since 1601, 2024-01-17"),
        ("visits.due", "moments in seconds since 1970, 2023-11-14"),
        ("visits.no_day", "moments in days like 20240131"),
    ]
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url, clean=True).move()
    assert result.is_exact
    types = {column.source: column.type for column in result.plan.tables[0].columns}
    assert types == {"visit_time": "timestamptz", "due": "timestamptz"} | {
        "no_day": "bigint"
    }
    with psycopg.connect(url) as there:
        there.execute("SET TimeZone = 'UTC'")
        found = there.execute("SELECT visit_time::text, due::text FROM visits")
        assert found.fetchall()[:2] == [
            ("2024-01-17 21:20:00.000001+00", "2023-11-14 22:13:20+00"),
            ("1601-01-01 00:00:00+00", "1970-01-01 00:00:00+00"),
        ]
    assert Mover(url, back).move().is_exact
    with closing(sqlite3.connect(back)) as there:
        assert there.execute("SELECT * FROM visits").fetchone()[0] == 13350000000000001


def test_null_where_the_table_forbids_it_is_named(tmp_path: Path) -> None:
    seen = _inspected(
        tmp_path,
        "CREATE TABLE t (n INTEGER)",
        "INSERT INTO t VALUES (NULL), (1)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE TABLE t (n INTEGER NOT NULL)'",
    )
    assert {(f.kind, f.where, f.count) for f in seen.findings} == {
        ("null", "t.n", 1),
        ("not carried: not null", "t.n", 0),
    }


def test_what_a_target_cannot_keep_is_named(tmp_path: Path) -> None:
    seen = _inspected(
        tmp_path,
        "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
        "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INT REFERENCES parent)",
        "INSERT INTO child VALUES (1, 99)",
        "CREATE TABLE pairs (k PRIMARY KEY)",
        "INSERT INTO pairs VALUES (1), ('1')",
        "CREATE TRIGGER noted AFTER INSERT ON child BEGIN SELECT 1; END",
    )
    lost = {(f.kind, f.where) for f in seen.findings}
    assert lost >= {
        ("not carried: foreign key", "child (parent) → parent"),
        ("not carried: primary key", "pairs"),
        ("not carried: trigger", "noted"),
    }


def test_nothing_is_said_of_a_clean_file(tmp_path: Path) -> None:
    seen = _inspected(
        tmp_path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, r REAL,"
        " made DATETIME DEFAULT CURRENT_TIMESTAMP, flag BOOLEAN, blob BLOB)",
        "INSERT INTO t VALUES (1, 'Öl', 1.5, '2024-01-01 10:00:00', 1, x'00ff'),"
        " (2, '', NULL, NULL, 0, NULL)",
        "CREATE INDEX by_name ON t (name)",
    )
    assert seen.findings == []


def test_a_row_without_a_rowid_is_known_by_its_key(tmp_path: Path) -> None:
    inspection = _inspected(
        tmp_path,
        "CREATE TABLE t (k TEXT, n INTEGER, v, PRIMARY KEY (n, k)) WITHOUT ROWID",
        "INSERT INTO t VALUES ('a', 1, 1), ('a', 2, 2), ('it''s', 3, 'three')",
    )
    (mixed,) = inspection.findings
    assert mixed.examples == ("row 3, 'it''s': 'three'",)
