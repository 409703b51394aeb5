"""Which constraint it was, where a server says only that it was one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from lockstep.engine import Database
from lockstep.errors import CheckFailed, Duplicate, ForeignKeyMissing, InvalidValue

pytestmark = pytest.mark.engines("sqlite", "libsql")

SCHEMA = """
CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n TEXT NOT NULL DEFAULT '',
  c INT CHECK (c > 0), a INT, b INT)
CREATE UNIQUE INDEX both_of_p ON p (a, b)
CREATE UNIQUE INDEX folded ON p (lower(u))
CREATE TABLE k (p INT REFERENCES p (id))
CREATE TABLE w (k TEXT PRIMARY KEY) WITHOUT ROWID
CREATE TABLE s (i INTEGER) STRICT
CREATE TABLE "odd. name" ("a, b" TEXT UNIQUE, "x.y" TEXT NOT NULL)
CREATE TABLE m (t TEXT)
CREATE TRIGGER hostile BEFORE INSERT ON m BEGIN SELECT RAISE(ABORT, '{}'); END
"""
SEEN = [
    ("INSERT INTO p (id) VALUES (1)", Duplicate),
    ("INSERT INTO p (u) VALUES ('u')", Duplicate),
    ("INSERT INTO p (u) VALUES ('U')", Duplicate),
    ("INSERT INTO p (a, b) VALUES (1, 1)", Duplicate),
    ("INSERT INTO w VALUES ('k')", Duplicate),
    ("""INSERT INTO "odd. name" VALUES ('q', 'r')""", Duplicate),
    ("INSERT INTO p (n) VALUES (NULL)", CheckFailed),
    ("INSERT INTO p (c) VALUES (-1)", CheckFailed),
    ("INSERT INTO w VALUES (NULL)", CheckFailed),
    ("""INSERT INTO "odd. name" VALUES ('z', NULL)""", CheckFailed),
    ("INSERT INTO k VALUES (5)", ForeignKeyMissing),
    ("INSERT INTO s VALUES ('x')", InvalidValue),
]
HOSTILE = [
    *("UNIQUE constraint failed: x", "UNIQUE constraint failed", "no parts left"),
    *("FOREIGN KEY constraint failed: p", "NOT NULL constraint failed: name"),
    *("cannot store it", "CHECK constraint failed: anything", "a UNIQUE one"),
]


def made(db: Database, words: str = "no") -> Database:
    with db.write_session() as session:
        for statement in SCHEMA.format(words).replace(",\n", ",").strip().split("\n"):
            session.execute(sa.text(statement))
        session.execute(sa.text("INSERT INTO p (id, u, a, b) VALUES (1, 'u', 1, 1)"))
        session.execute(sa.text("INSERT INTO w VALUES ('k')"))
        session.execute(sa.text("""INSERT INTO "odd. name" VALUES ('q', 'r')"""))
    return db


def refusal(db: Database, statement: str) -> Exception:
    with pytest.raises(Exception) as caught, db.write_session() as session:  # noqa: PT011
        session.execute(sa.text(statement))
    return caught.value


def test_every_constraint_has_its_class(db: Database) -> None:
    made(db)
    assert [type(refusal(db, statement)) for statement, _ in SEEN] == [
        kind for _, kind in SEEN
    ]


@pytest.mark.parametrize("words", HOSTILE)
def test_a_trigger_is_no_constraint_whatever_it_says(db: Database, words: str) -> None:
    error = refusal(made(db, words), "INSERT INTO m VALUES ('')")
    assert type(error) is CheckFailed
    assert words.rpartition(": ")[2] in str(error)
