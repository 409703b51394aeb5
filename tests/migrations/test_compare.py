"""The comparison: silent after an upgrade, loud about every real difference."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Field, SQLModel
from tests.migrations.histories import History, run_sql

import lockstep.schema as ls
from lockstep.engine import Database


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


def plain() -> sa.MetaData:
    """Plain SQLAlchemy, no conventions, most of what it can say."""
    metadata = sa.MetaData()
    sa.Table(
        "author",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False, unique=True),
        sa.Column("born", sa.Date),
        sa.Column("seen", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("rating", sa.Numeric(5, 2), server_default="1.5"),
        sa.Column("active", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("colour", sa.Enum(Colour)),
        sa.Column("shade", sa.Enum("light", "dark", name="shade", native_enum=False)),
        sa.Column("meta", sa.JSON),
        sa.Column("raw", sa.LargeBinary),
        sa.Column("size", sa.Float, index=True),
        sa.Column("note", sa.Text, comment="anything"),
        sa.Column("big", sa.BigInteger, server_default=sa.text("5")),
        sa.Column("small", sa.SmallInteger, sa.CheckConstraint("small > 0")),
        sa.Column("key", sa.Uuid),
        sa.Column("at", sa.Time),
        sa.Column("pause", sa.Interval),
        sa.Column("doubled", sa.Integer, sa.Computed("big * 2")),
        sa.CheckConstraint("length(name) > 1"),
        sa.UniqueConstraint("born", "size"),
        comment="people who write",
    )
    sa.Table(
        "book",
        metadata,
        sa.Column(
            "author_id",
            sa.ForeignKey("author.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("title", sa.Unicode(100, collation=None), nullable=False),
        sa.Column("sequel_author", sa.Integer),
        sa.Column("sequel_number", sa.Integer),
        sa.ForeignKeyConstraint(
            ["sequel_author", "sequel_number"],
            ["book.author_id", "book.number"],
            onupdate="CASCADE",
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.Index("ix_book_title", sa.text("lower(title)"), unique=True),
    )
    book = metadata.tables["book"]
    sa.Index("ix_book_order", book.c.number.desc(), book.c.title)
    where = book.c.sequel_number.is_not(None)
    sa.Index(
        "ix_book_sequel",
        book.c.sequel_number,
        sqlite_where=where,
        postgresql_where=where,
    )
    return metadata


def identity() -> sa.MetaData:
    metadata = ls.portable_metadata()
    sa.Table(
        "counter",
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(start=100), primary_key=True),
        sa.Column("serial", sa.Integer, sa.Identity(always=True)),
        sa.Column(
            "label",
            sa.String(10, collation="NOCASE").with_variant(sa.String(10), "postgresql"),
        ),
        sqlite_strict=False,
    )
    return metadata


def portable() -> sa.MetaData:
    metadata = ls.portable_metadata()
    sa.Table(
        "kind",
        metadata,
        sa.Column("id", ls.Uuid(), primary_key=True),
        sa.Column("a", ls.Text(5), server_default="x%y"),
        sa.Column("b", ls.Boolean(), server_default="true"),
        sa.Column("c", ls.Money(), server_default="1.50"),
        sa.Column("d", ls.Decimal(30, 5), server_default="2"),
        sa.Column("e", ls.UtcDateTime(), server_default=ls.utc_now()),
        sa.Column("f", ls.Json(), server_default='{"a": "%"}'),
        sa.Column("g", ls.Array(ls.Uuid())),
        sa.Column("h", ls.Enum("it's", 'a "b"', "100%")),
        sa.Column("i", ls.Date(), server_default="2026-01-01"),
        sa.Column("j", ls.Float(), server_default="0.5"),
        sa.Column("k", ls.Blob()),
        sa.Column("order", ls.BigInteger(), server_default="7"),
        sa.Column("Select", ls.Text()),
        sa.CheckConstraint("a LIKE 'x%'", name="like"),
        sa.CheckConstraint('"order" > 1 AND "Select" <> \'y\'', name="words"),
        sa.Index("ix_kind_words", "order", "Select"),
    )
    return metadata


def sqlmodels() -> sa.MetaData:
    class Base(SQLModel):
        metadata = sa.MetaData()

    class Hero(Base, table=True):
        id: int | None = Field(default=None, primary_key=True)
        name: str = Field(index=True)
        nick: str | None = Field(default=None, max_length=20, unique=True)
        age: int | None = None

    return Base.metadata


MODELS: list[Callable[[], sa.MetaData]] = [plain, identity, portable, sqlmodels]
ENGINES = ["sqlite", "postgresql"]


@pytest.mark.parametrize("models", MODELS)
@pytest.mark.parametrize("author", ENGINES)
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_after_an_upgrade_there_is_no_difference(
    make_database: Any, history: History, models: Callable[[], sa.MetaData], author: str
) -> None:
    databases = {name: make_database(name) for name in ENGINES}
    first = history.on(databases[author], models()).revision("first")
    assert first.path is not None
    for name, db in databases.items():
        verbs = history.on(db, models())
        verbs.upgrade()
        found = [f for f in verbs.check() if f.code == "drift"]
        assert found == [], (name, first.path.read_text())
        assert verbs.revision("again").is_empty, name
        verbs.downgrade("base")
        verbs.upgrade()


def changed(change: Callable[[sa.MetaData], None]) -> sa.MetaData:
    metadata = base()
    change(metadata)
    return metadata


def base() -> sa.MetaData:
    metadata = ls.portable_metadata()
    sa.Table("one", metadata, sa.Column("id", ls.Uuid(), primary_key=True))
    sa.Table(
        "two",
        metadata,
        sa.Column("id", ls.Uuid(), primary_key=True),
        sa.Column("one_id", ls.Uuid(), sa.ForeignKey("one.id", ondelete="CASCADE")),
        sa.Column("text", ls.Text(10), nullable=False, server_default="x"),
        sa.Column("number", ls.BigInteger(), unique=True),
        sa.Column("price", ls.Decimal(10, 2), index=True),
        sa.Column("state", ls.Enum("a", "b")),
        sa.Column("touched", ls.UtcDateTime(), info={"lockstep.touch": True}),
        sa.CheckConstraint("number > 0", name="positive"),
    )
    return metadata


# What is done to the database behind the history's back, and what is said.
DRIFT: list[tuple[str, str, str]] = [
    ("CREATE TABLE extra (id int)", "", "table extra is not in the models"),
    ("DROP TABLE two", "", "table two is missing"),
    ("ALTER TABLE one ADD COLUMN x int", "", "column one.x is not in the models"),
    ("DROP INDEX ix_two_price", "", "index two.ix_two_price is missing"),
    (
        "CREATE INDEX ix_new ON two (text)",
        "",
        "index two.ix_new is not in the models",
    ),
    (
        "DROP TRIGGER tr_two_touch",
        "DROP TRIGGER tr_two_touch ON two",
        "trigger two.tr_two_touch is missing",
    ),
]


@pytest.mark.parametrize(("sqlite", "postgresql", "sentence"), DRIFT)
def test_what_somebody_did_by_hand_is_found(
    db: Database, history: History, sqlite: str, postgresql: str, sentence: str
) -> None:
    history.on(db, base()).revision("first")
    history.on(db, base()).upgrade()
    done = sqlite if db.dialect_name == "sqlite" else postgresql or sqlite
    run_sql(db, done)
    found = history.on(db, base()).check()
    assert sentence in [f.message for f in found if f.severity == "error"]


# A dump writes the server's own text, and a restore makes the object from it.
RESTORED = """
DO $$ DECLARE it record; BEGIN
  FOR it IN SELECT conname, conrelid::regclass AS place, pg_get_constraintdef(oid) AS d
            FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0 LOOP
    EXECUTE 'ALTER TABLE ' || it.place || ' DROP CONSTRAINT ' || it.conname;
    EXECUTE 'ALTER TABLE ' || it.place || ' ADD CONSTRAINT ' || it.conname || ' ' || it.d;
  END LOOP;
  FOR it IN SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS d
            FROM pg_index WHERE indpred IS NOT NULL LOOP
    EXECUTE 'DROP INDEX ' || it.name;
    EXECUTE it.d;
  END LOOP;
END $$
"""


@pytest.mark.engines("postgresql")
def test_what_a_dump_brought_back_has_not_drifted(
    db: Database, history: History
) -> None:
    def models(*more: str) -> sa.MetaData:
        metadata = ls.portable_metadata()
        state = sa.Column("state", ls.Enum("a", "it's", "c]::text[], ", *more))
        table = sa.Table("t", metadata, sa.Column("id", ls.Uuid(), primary_key=True))
        table.append_column(state)
        table.append_column(sa.Column("shade", sa.String(9)))
        table.append_constraint(
            sa.CheckConstraint("shade NOT IN ('x', 'y')", name="shades")
        )
        where = table.c.shade.in_(["u", "v"])
        sa.Index("ix_t", state, postgresql_where=where, sqlite_where=where)
        return metadata

    history.on(db, models()).revision("first")
    history.on(db, models()).upgrade()
    run_sql(db, RESTORED)
    found = history.on(db, models()).check()
    assert [f.message for f in found if f.code == "drift"] == []
    found = history.on(db, models("d")).check()
    assert "check t.ck_t_state_values is missing" in [f.message for f in found]


def redefine(name: str, *items: Any) -> Callable[[sa.MetaData], None]:
    def change(metadata: sa.MetaData) -> None:
        for item in items:
            metadata.tables[name].append_column(item._copy(), replace_existing=True)

    return change


def unchecked(metadata: sa.MetaData) -> None:
    table = metadata.tables["two"]
    for constraint in list(table.constraints):
        if str(constraint.name) == "ck_two_positive":
            table.constraints.remove(constraint)


def rechecked(metadata: sa.MetaData) -> None:
    unchecked(metadata)
    check = sa.CheckConstraint("number > 1", name="positive")
    metadata.tables["two"].append_constraint(check)


def rekeyed(action: str) -> Callable[[sa.MetaData], None]:
    def change(metadata: sa.MetaData) -> None:
        table = metadata.tables["two"]
        for constraint in list(table.foreign_key_constraints):
            constraint.ondelete = action

    return change


def lax(metadata: sa.MetaData) -> None:
    metadata.tables["two"].dialect_kwargs["sqlite_strict"] = False


def comment(metadata: sa.MetaData) -> None:
    metadata.tables["two"].comment = "new"


CHANGES: list[tuple[str, Callable[[sa.MetaData], None], str]] = [
    (
        "length",
        redefine(
            "two", sa.Column("text", ls.Text(11), nullable=False, server_default="x")
        ),
        "alter two.text: type",
    ),
    (
        "nullable",
        redefine("two", sa.Column("text", ls.Text(10), server_default="x")),
        "alter two.text: NULL allowed",
    ),
    (
        "default",
        redefine(
            "two", sa.Column("text", ls.Text(10), nullable=False, server_default="y")
        ),
        "alter two.text: another default",
    ),
    (
        "no default",
        redefine("two", sa.Column("text", ls.Text(10), nullable=False)),
        "alter two.text: no default",
    ),
    (
        "scale",
        redefine("two", sa.Column("price", ls.Decimal(10, 3))),
        "alter two.price: type",
    ),
    (
        "same storage",
        redefine("two", sa.Column("text", ls.Json(), nullable=False)),
        "alter two.text: type Json",
    ),
    (
        "hidden storage",
        redefine("two", sa.Column("touched", ls.Text())),
        "alter two.touched: type Text",
    ),
    (
        "labels",
        redefine("two", sa.Column("state", ls.Enum("a", "b", "c"))),
        "change the values of two.state",
    ),
    ("check gone", unchecked, "drop constraint ck_two_positive"),
    ("check text", rechecked, "add check ck_two_positive"),
    ("action", rekeyed("SET NULL"), "add foreign key two(one_id) to one"),
    ("comment", comment, "comment table two"),
    ("strict", lax, "AlterSqliteOptionsOp"),
]


@pytest.mark.parametrize(
    ("change", "line"), [pytest.param(c, w, id=i) for i, c, w in CHANGES]
)
@pytest.mark.parametrize("author", ENGINES)
def test_every_change_of_the_models_is_found_from_every_engine(
    make_database: Any,
    history: History,
    author: str,
    change: Callable[[sa.MetaData], None],
    line: str,
) -> None:
    databases = {name: make_database(name) for name in ENGINES}
    history.on(databases[author], base()).revision("first")
    for db in databases.values():
        history.on(db, base()).upgrade()
    models = changed(change)
    written = history.on(databases[author], models).revision("second")
    assert any(line in operation for operation in written.operations), written
    for name, db in databases.items():
        verbs = history.on(db, models)
        verbs.upgrade()
        assert [f for f in verbs.check() if f.code == "drift"] == [], name
        verbs.downgrade("-1")
