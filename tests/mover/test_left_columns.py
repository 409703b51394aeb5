"""A column that a mapping file leaves behind, and what needs it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.mover.checker import made

from lockstep.engine import Database
from lockstep.errors import InvalidPlan
from lockstep.mover import Mover, Rekey, plan_to_toml

MakeDatabase = Callable[..., Database]
Rows = list[tuple[object, ...]]

SOURCE = """
CREATE TABLE parents (id INTEGER PRIMARY KEY, secret TEXT UNIQUE, name TEXT);
CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents,
  secret TEXT REFERENCES parents (secret), word TEXT DEFAULT 'none' UNIQUE,
  qty INTEGER CHECK (qty > 0 AND secret <> ''), twice TEXT AS (secret || secret) STORED,
  CHECK (qty < 100));
CREATE INDEX by_secret ON children (qty, secret);
CREATE INDEX by_part ON children (qty) WHERE secret > 'a';
CREATE INDEX by_qty ON children (qty);
CREATE VIEW shown AS SELECT id, secret FROM children;
CREATE VIEW plain AS SELECT id, qty FROM children;
CREATE TRIGGER told AFTER INSERT ON parents BEGIN SELECT new.secret; END;
INSERT INTO parents VALUES (1, 'x', 'one'), (2, 'y', 'two');
INSERT INTO children (id, parent, secret, word, qty) VALUES (1, 1, 'x', 'a', 5), (2, 2, 'y', 'b', 6);
"""
MAPPING = """
[tables.parents.columns]
secret = { carry = false }
[tables.children.columns]
secret = { carry = false }
word = { carry = false }
"""
LEFT = {
    ("column", "parents.secret"),
    ("column", "children.secret"),
    ("column", "children.word"),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return made(tmp_path / "a.db", SOURCE)


@pytest.fixture
def url(make_database: MakeDatabase) -> str:
    return make_database("postgresql").url.unmasked()


def rows(path: Path, sql: str) -> Rows:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_a_column_is_left_behind_with_all_that_needs_it_and_comes_back_empty(
    source: Path, url: str, tmp_path: Path
) -> None:
    mover = Mover(source, url, plan=MAPPING)
    result = mover.move()
    needing = {(loss.kind, loss.name) for loss in result.plan.losses}
    assert needing == LEFT | {
        ("unique", "parents.sqlite_autoindex_parents_1"),
        ("unique", "children.sqlite_autoindex_children_1"),
        ("foreign key", "children (secret) → parents"),
        ("check", "children"),
        ("generated column", "children.twice"),
        ("index", "children.by_secret"),
        ("index", "children.by_part"),
        ("view", "shown"),
        ("trigger", "told"),
    }
    for loss in result.plan.losses:
        assert loss.kind in ("column", "trigger") or "left behind" in loss.why
    # It is as wished, and the comparison knows.
    assert result.is_exact
    assert result.not_built == []
    report = mover.verify()
    assert report.is_exact, report.differences
    with psycopg.connect(url, autocommit=True) as there:
        found = there.execute("SELECT * FROM children ORDER BY id").fetchall()
        assert found == [(1, 1, 5, "xx"), (2, 2, 6, "yy")]
        there.execute("SELECT * FROM plain")
        there.execute("INSERT INTO parents VALUES (3, 'three')")

    back = tmp_path / "back.db"
    way_back = Mover(url, back, quarantine=tmp_path / "q")
    again = way_back.move()
    told = {(loss.kind, loss.name) for loss in again.plan.losses}
    assert {(kind, name) for kind, name in told if kind == "column"} == LEFT
    # Of what is left behind the file computes: it is named, and no difference.
    assert ("generated column", "children.twice") in told
    # A default that is unique is given to one row only.
    assert again.quarantined == 1
    assert again.verification is not None
    assert again.verification.is_same
    assert way_back.verify().is_same
    assert rows(back, "SELECT * FROM parents") == [
        (1, None, "one"),
        (2, None, "two"),
        (3, None, "three"),
    ]
    assert rows(back, "SELECT * FROM children") == [(1, 1, None, "none", 5, None)]


def test_a_column_of_postgresql_is_left_behind(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url, autocommit=True) as there:
        there.execute(
            b"CREATE TABLE parents (id int PRIMARY KEY, secret text UNIQUE, name text);"
            b"CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents,"
            b" secret text REFERENCES parents (secret), qty int CHECK (qty > 0),"
            b" CHECK (secret <> ''),"
            b" twice text GENERATED ALWAYS AS (secret || secret) STORED);"
            b"CREATE INDEX by_secret ON children (qty, secret);"
            b"CREATE INDEX by_part ON children (qty) WHERE secret > 'a';"
            b"CREATE INDEX by_qty ON children (qty);"
            b"CREATE VIEW shown AS SELECT id, secret FROM children;"
            b"INSERT INTO parents VALUES (1, 'x', 'one');"
            b"INSERT INTO children VALUES (1, 1, 'x', 5)"
        )
    path, plan = tmp_path / "b.db", MAPPING.partition("word")[0]
    mover = Mover(url, path, plan=plan)
    result = mover.move()
    assert {(loss.kind, loss.name) for loss in result.plan.losses} == {
        *(("column", f"{table}.secret") for table in ("parents", "children")),
        ("unique", "parents: UNIQUE (secret)"),
        ("foreign key", "children: FOREIGN KEY (secret) REFERENCES parents(secret)"),
        ("check", "children: CHECK ((secret <> ''::text))"),
        ("generated column", "children.twice"),
        ("index", "children.by_secret"),
        ("index", "children.by_part"),
        ("view", "shown"),
    }
    assert all("left behind" in loss.why for loss in result.plan.losses[2:])
    assert result.is_exact, (result.left_behind, result.verification)
    assert mover.verify().is_exact
    assert rows(path, "SELECT * FROM children") == [(1, 1, 5, "xx")]
    with psycopg.connect(url, autocommit=True) as there:
        there.execute("DROP TABLE parents, children CASCADE")
    again = Mover(path, url).plan()
    named = {loss.name for loss in again.losses if loss.kind == "column"}
    assert named == {"parents.secret", "children.secret"}


def test_a_column_that_takes_no_null_is_not_made_empty(
    tmp_path: Path, url: str
) -> None:
    path = made(
        tmp_path / "a.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT);"
        "INSERT INTO t VALUES (1, 'x', 'y')",
    )
    plan = "[tables.t.columns]\na = { carry = false }"
    assert Mover(path, url, plan=plan).move().is_exact
    back = Mover(url, tmp_path / "back.db").move()
    assert back.is_exact
    (loss,) = back.plan.losses
    assert (loss.kind, loss.name) == ("statement", "t")
    assert "a was left behind" in loss.why
    assert rows(tmp_path / "back.db", "SELECT * FROM t") == [(1, "y")]


def test_keys_become_uuids_beside_a_column_that_is_left(source: Path, url: str) -> None:
    result = Mover(source, url, plan=MAPPING, rekey=Rekey("number")).move()
    assert result.is_exact
    with psycopg.connect(url) as there:
        found = there.execute(
            "SELECT c.number, p.name, c.qty FROM children c "
            "JOIN parents p ON p.id = c.parent ORDER BY 1"
        ).fetchall()
    assert found == [(1, "one", 5), (2, "two", 6)]
    directed = Rekey("", {"children.qty": ("word", {"a": "parents"})})
    with pytest.raises(InvalidPlan, match="there is no 'word'"):
        Mover(source, url, plan=MAPPING, rekey=directed).plan()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id = { carry = false }", r"parents\.id is of the primary key.*\(line 2\)"),
        ("name = { carry = 1 }", "carry is true or false"),
        (
            "secret = { carry = false }\nname = { carry = false, type = 'x' }",
            None,
        ),
    ],
)
def test_a_key_stays(source: Path, url: str, text: str, said: str | None) -> None:
    mover = Mover(source, url, plan=f"[tables.parents.columns]\n{text}")
    if said is None:
        assert [c.source for c in mover.plan().table("parents").columns] == ["id"]
        return
    with pytest.raises(InvalidPlan, match=said):
        mover.plan()


@pytest.mark.parametrize(
    "wish",
    [
        "[tables.parents]\ntarget = 'others'",
        "[tables.parents.columns]\nname = { target = 'other' }",
        "[tables.parents.columns]\nname = { type = 'INTEGER' }",
        "[tables.parents.columns]\nname = { not_null = true }",
        "[tables.parents.columns]\nname = { carry = false }",
    ],
)
def test_a_copy_refuses_what_its_statements_would_not_do(
    source: Path, make_database: MakeDatabase, wish: str
) -> None:
    server = make_database("libsql").url.unmasked()
    with pytest.raises(InvalidPlan, match="made by the statement that it had"):
        Mover(source, server, plan=wish).plan()


def test_a_copy_takes_its_own_mapping_file_and_may_leave_a_table(
    source: Path, make_database: MakeDatabase
) -> None:
    server = make_database("libsql").url.unmasked()
    text = plan_to_toml(Mover(source, server).plan())
    assert Mover(source, server, plan=text).plan() == Mover(source, server).plan()
    assert 'carry = true\n\n[tables."children"' in text
    left = text.replace(
        '[tables."children"]', '[tables."children"]\ncarry = false\n#'
    ).replace('target = "children"\ncarry = true', 'target = "children"')
    mover = Mover(source, server, plan=left)
    result = mover.move()
    assert result.is_exact
    assert mover.verify().is_exact
