"""Moments that name no zone become what their framework has on PostgreSQL."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lockstep.engine import Database
from lockstep.mover import Mover, inspect_database

MakeDatabase = Callable[..., Database]


def made(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def rows_of(path: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def types_of(url: str, table: str) -> dict[str, str]:
    with psycopg.connect(url) as there:
        found = there.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_name = %s",
            (table,),
        )
        return dict(found.fetchall())


@pytest.mark.parametrize("use_tz", [True, False])
def test_django_reads_its_moments_on_postgresql(
    use_tz: bool, tmp_path: Path, make_database: MakeDatabase
) -> None:
    path, back = tmp_path / "django.db", tmp_path / "back.db"
    url = make_database("postgresql").url.unmasked()
    command = [sys.executable, "-m", "tests.mover.django_moments", path, url]
    done = subprocess.run(
        [*command, str(use_tz)], check=True, capture_output=True, text=True
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    notice = seen.pop("notices")[-2]
    assert ("because --utc says" if use_tz else "Django made this file") in notice
    assert seen == {
        "is_exact": True,
        "is_same": True,
        "has_tickets": True,
        "at_home": 3,
        "found": 2,
    } | {
        "of_the_day": 3,
        "in_order": [3, 1],
    }
    kind = f"timestamp {'with' if use_tz else 'without'} time zone"
    assert types_of(url, "games_match")["began"] == kind
    assert types_of(url, "games_match")["ticket"] == "uuid"
    before = rows_of(path, "games_match")
    assert Mover(url, back).move().is_exact
    *same, new = rows_of(back, "games_match")
    assert same == before
    assert new[1:3] == ("2026-07-01 23:30:00.120000", "2027-01-17 23:30:00.12")


RAILS = """
CREATE TABLE "schema_migrations" ("version" varchar NOT NULL PRIMARY KEY);
CREATE TABLE "ar_internal_metadata" ("key" varchar NOT NULL PRIMARY KEY, "value" varchar,
  "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL);
CREATE TABLE "posts" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  "created_at" datetime(6) NOT NULL);
INSERT INTO posts VALUES (1, '2026-01-02 03:04:05.123456'), (2, '2026-01-02 03:04:05.000000')
"""
PRISMA = """
CREATE TABLE "_prisma_migrations" ("id" TEXT PRIMARY KEY NOT NULL,
  "checksum" TEXT NOT NULL, "finished_at" DATETIME, "migration_name" TEXT NOT NULL,
  "logs" TEXT, "rolled_back_at" DATETIME,
  "started_at" DATETIME NOT NULL DEFAULT current_timestamp,
  "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0);
CREATE TABLE "User" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "born" DATETIME,
  "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "due" INTEGER);
INSERT INTO "User" VALUES (1, -315619200000, 1767323045123, 1767323045),
  (2, NULL, 1767323045000, 0)
"""
SEQUELIZE = """
CREATE TABLE `Users` (`id` INTEGER PRIMARY KEY AUTOINCREMENT,
  `createdAt` DATETIME NOT NULL, `seen` DATETIME);
INSERT INTO Users VALUES (1, '2026-01-02 03:04:05.120 +00:00', NULL),
  (2, '2026-01-02 03:04:05.000 +00:00', '2026-01-02 03:04:05.123 +00:00')
"""
STAMP, ZONED = "timestamp without time zone", "timestamp with time zone"


@pytest.mark.parametrize(
    ("script", "utc", "table", "types", "texts", "notice"),
    [
        pytest.param(
            *(RAILS, False, "posts", {"created_at": STAMP}),
            ["2026-01-02 03:04:05.123456"],
            "Rails made this file (ar_internal_metadata): 3 columns of moments that "
            "name no zone, such as ar_internal_metadata.created_at, become timestamp, "
            "as Rails has them on PostgreSQL",
            id="rails",
        ),
        pytest.param(
            *(PRISMA, False, "User"),
            {"born": STAMP, "createdAt": STAMP, "due": "bigint"},
            ["1960-01-01 00:00:00", "2026-01-02 03:04:05.123", "1767323045"],
            "Prisma made this file (_prisma_migrations): 5 columns of moments",
            id="prisma",
        ),
        pytest.param(
            *(PRISMA, True, "User"),
            {"born": ZONED, "createdAt": ZONED, "due": "bigint"},
            ["1960-01-01 00:00:00+00", "2026-01-02 03:04:05.123+00", "1767323045"],
            "",
            id="prisma in UTC",
        ),
        pytest.param(
            *(SEQUELIZE, False, "Users", {"createdAt": ZONED, "seen": ZONED}),
            ["2026-01-02 03:04:05.12+00", None],
            "",
            id="sequelize",
        ),
        pytest.param(
            RAILS.replace("ar_internal_metadata", "made_by_hand"),
            *(True, "posts", {"created_at": ZONED}),
            ["2026-01-02 03:04:05.123456+00"],
            "3 columns of moments that name no zone, such as made_by_hand.created_at, "
            "become timestamptz, because --utc says what they mean",
            id="by hand, in UTC",
        ),
    ],
)
def test_moments_become_what_their_framework_has(
    script: str,
    utc: bool,
    table: str,
    types: dict[str, str],
    texts: list[str | None],
    notice: str,
    tmp_path: Path,
    make_database: MakeDatabase,
) -> None:
    path, back = made(tmp_path / "a.db", script), tmp_path / "back.db"
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url, utc=utc).move()
    assert result.is_exact
    told = [text for text in result.plan.notices if "no zone" in text]
    assert [text.startswith(notice) for text in told] == ([True] if notice else [])
    assert types_of(url, table).items() >= types.items()
    with psycopg.connect(url) as there:
        there.execute("SET TimeZone = 'UTC'")
        listed = ", ".join(f'"{name}"::text' for name in types)
        found = there.execute(f'SELECT {listed} FROM "{table}" ORDER BY id'.encode())
        assert found.fetchone() == tuple(texts)
    assert Mover(url, back).move().is_exact
    assert rows_of(back, f'"{table}"') == rows_of(path, f'"{table}"')


def test_an_inspection_names_the_choice_that_a_file_leaves_open(tmp_path: Path) -> None:
    path = made(
        tmp_path / "a.db",
        "CREATE TABLE t (made DATETIME); "
        "INSERT INTO t VALUES ('2026-01-02 03:04:05'), ('2026-01-02 03:04:06')",
    )
    assert inspect_database(path).notices == [
        "1 column of moments that name no zone, t.made, becomes timestamp; where they "
        "are meant in UTC, --utc makes them timestamptz"
    ]


def test_an_empty_column_of_moments_is_like_the_others_of_its_declaration(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    # Better Auth declares its moments DATE; Sequelize writes a zone into DATETIME.
    path, back = tmp_path / "auth.db", tmp_path / "back.db"
    made(
        path,
        """
        CREATE TABLE session (id INTEGER PRIMARY KEY, made date, banned "Date",
            seen DATETIME, gone DATETIME, day TIMESTAMP, other TIMESTAMP, free TIME);
        CREATE TABLE "none" (until DATE);
        INSERT INTO session VALUES (1, '2026-11-22T09:30:12.421Z', NULL,
            '2026-11-22 09:30:12.421 +00:00', NULL, '2026-11-22', NULL, NULL),
            (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        """,
    )
    url = make_database("postgresql").url.unmasked()
    plan = Mover(path, url).move().plan
    assert set(types_of(url, "none").values()) == {"timestamp with time zone"}
    found = types_of(url, "session")
    zoned = {name for name, kind in found.items() if kind.endswith("with time zone")}
    assert zoned == {"made", "banned", "seen", "gone"}
    assert (found["day"], found["other"]) == ("date", "date")
    assert found["free"] == "time without time zone"
    told = {column.source: column.note for column in plan.tables[0].columns}
    assert told["banned"] == "empty, and like every other Date of the file"
    assert told["made"] == told["free"] == ""

    with psycopg.connect(url) as there:
        there.execute(
            "UPDATE session SET banned = made, gone = seen, other = day WHERE id = 1"
        )
    assert Mover(url, back).move().is_exact
    (_, made_at, banned, seen, gone, day, other, _), _ = rows_of(back, "session")
    assert (banned, gone, other) == (made_at, seen, day)
