"""A mapping file that somebody edited: what hangs on a name or a type follows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.mover.checker import made

from lockstep.engine import Database
from lockstep.errors import InvalidPlan
from lockstep.mover import Mover, plan_to_toml

MakeDatabase = Callable[..., Database]
SOURCE = """
CREATE TABLE person (id INTEGER PRIMARY KEY, short TEXT, active INTEGER
  CHECK (active IN (0, 1)), price TEXT, twice TEXT AS (short || short) STORED);
CREATE TABLE team (id INTEGER PRIMARY KEY, lead INTEGER REFERENCES person);
CREATE INDEX by_short ON person (short);
CREATE INDEX by_price ON person (price);
CREATE VIEW shown AS SELECT id, short FROM person;
INSERT INTO person (id, short, active, price) VALUES (1, 'ab', 1, 'x'), (2, NULL, 0, 'y');
INSERT INTO team VALUES (5, 1);
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return made(tmp_path / "a.db", SOURCE)


def edited(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_keys_indexes_references_and_views_follow_a_new_name(
    source: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    text = edited(
        plan_to_toml(Mover(source, url).plan()),
        ('target = "person"', 'target = "people"'),
        ('target = "short"', 'target = "abbr"'),
        (
            'target = "active", type = "bigint", codec = "integer"',
            'target = "active", type = "boolean", codec = "boolean"',
        ),
        (
            'CREATE INDEX "by_price" ON "person" ("price")',
            'CREATE INDEX "by_price" ON "people" (lower("price"))',
        ),
    )
    result = Mover(source, url, plan=text).move()
    assert result.is_exact
    assert result.plan.losses == []
    assert result.not_built == []
    with psycopg.connect(url) as there:
        assert there.execute(b"SELECT * FROM shown ORDER BY 1").fetchall() == [
            (1, "ab"),
            (2, None),
        ]
        built = there.execute(
            b"SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c "
            b"ON c.oid = indexrelid WHERE relname LIKE 'by%' ORDER BY relname"
        ).fetchall()
        assert ["(lower(price))" in built[0][0], "(abbr)" in built[1][0]] == [True] * 2
        found = there.execute(
            b"SELECT contype, conrelid::regclass::text FROM pg_constraint "
            b"WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
        ).fetchall()
        assert found == [("c", "people"), ("f", "team"), ("p", "people"), ("p", "team")]
        there.execute(b"INSERT INTO people (abbr) VALUES ('c')")
        row = there.execute(b"SELECT twice FROM people WHERE abbr = 'c'").fetchone()
        assert row == ("cc",)


def test_what_was_taken_out_of_the_file_is_not_built(
    source: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    text = plan_to_toml(Mover(source, url).plan())
    at = text.index('[[tables."person".build]]\npurpose = "index"\nname = "by_short"')
    text = text[:at] + text[text.index("[[", at + 2) :]
    left = 'target = "team"\ncarry = true'
    text = edited(text, (left, left.replace("true", "false")))
    result = Mover(source, url, plan=text).move()
    assert result.is_exact
    assert [(loss.kind, loss.name) for loss in result.plan.losses] == [
        ("table", "team")
    ]
    with psycopg.connect(url) as there:
        found = there.execute(
            b"SELECT relname::text FROM pg_class WHERE relname LIKE 'by%' OR relname = 'team'"
        ).fetchall()
    assert found == [("by_price",)]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ('type = "txet"', "txet: type .txet. does not exist"),
        ('type = "text", default = "a("', "text: syntax error"),
        ('type = "text", identity = true', "text: identity column type must be"),
    ],
)
def test_a_column_that_the_server_cannot_make_is_named(
    source: Path, make_database: MakeDatabase, wish: str, said: str
) -> None:
    url = make_database("postgresql").url.unmasked()
    text = f'[tables.team.columns]\nlead = {{ {wish}, codec = "text" }}'
    with pytest.raises(InvalidPlan, match=f"team.lead cannot be {said}"):
        Mover(source, url, plan=text).move()


def test_a_table_of_which_no_row_fits_is_empty(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(
        tmp_path / "none.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, p TEXT, r REAL);"
        "INSERT INTO t VALUES (1, 'a', 1.5), (2, 'b', 2.5);",
    )
    url = make_database("postgresql").url.unmasked()
    text = 'p = { type = "numeric", codec = "numeric", on_dirt = "quarantine" }'
    result = Mover(
        path, url, plan=f"[tables.t.columns]\n{text}", quarantine=tmp_path / "q"
    ).move()
    assert result.quarantined == 2
    assert len((tmp_path / "q").read_text().splitlines()) == 2
    assert result.verification is not None
    assert result.verification.is_same


def test_four_bytes_for_eight_are_a_named_loss(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(
        tmp_path / "b.db", "CREATE TABLE t (v REAL); INSERT INTO t VALUES (89.99)"
    )
    url = make_database("postgresql").url.unmasked()
    text = '[tables.t.columns]\nv = { type = "real" }'
    result = Mover(path, url, plan=text).move()
    (loss,) = result.plan.losses
    assert (loss.kind, loss.name, loss.is_data) == ("type", "t.v", True)
    assert not result.is_exact
