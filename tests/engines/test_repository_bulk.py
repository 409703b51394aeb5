"""Many rows at once: added, upserted, fetched by key, streamed."""

from __future__ import annotations

import sqlite3
import tracemalloc
import uuid
from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.orm import Mapped as M
from sqlalchemy.orm import mapped_column as column
from tests.engines.repository_models import Base, Bin, Part, create, statements

from lockstep.engine import Database
from lockstep.errors import (
    CheckFailed,
    Duplicate,
    ForeignKeyMissing,
    InvalidValue,
    UnknownAttribute,
)
from lockstep.repository import Repository
from lockstep.schema import Portable, SoftDelete, Versioned

pytestmark = pytest.mark.usefixtures("both_ways")


class OwnBase(Portable, DeclarativeBase):
    """Models of this test."""


class Row(OwnBase):
    __tablename__ = "row"

    id: M[int] = column(primary_key=True, autoincrement=False)
    text: M[str]


class Wide(OwnBase):
    """More columns times rows than a statement may bind."""

    __tablename__ = "wide"

    id: M[int] = column(primary_key=True)
    for _number in range(300):
        locals()[f"c{_number}"] = column(sa.Integer, default=_number)


class Login(Versioned, SoftDelete, OwnBase):
    """Unique among the rows that are not deleted."""

    __tablename__ = "login"
    __table_args__ = (
        sa.Index(
            "uq_login_name_live",
            "name",
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        ),
        sa.UniqueConstraint("site", "number"),
    )

    id: M[int] = column(primary_key=True)
    name: M[str]
    site: M[str | None]
    number: M[int | None]
    level: M[int] = column(default=0)


ROWS = 100_000
TRACED_ROWS = 35_000  # tracing every allocation is slow


@pytest.fixture
def many(db: Database) -> Database:
    create(db, OwnBase)
    with db.write_session() as session:
        text = "SELECT n, 'text ' || n FROM "
        if db.dialect_name == "postgresql":
            text += f"generate_series(1, {ROWS}) AS n"
        else:
            text += (
                "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
                f"WHERE n < {ROWS}) SELECT n FROM c)"
            )
        session.execute(sa.text(f"INSERT INTO row (id, text) {text}"))
    return db


@pytest.mark.ordinary
def test_a_hundred_thousand_keys_are_fetched_in_one_snapshot(many: Database) -> None:
    keys = [(number * 7919) % (2 * ROWS) for number in range(ROWS)]
    with many.read_session() as session, statements(many) as seen:
        found = Repository(Row, session).get_many(keys)
    assert [row.id for row in found] == [key for key in keys if 0 < key <= ROWS]
    assert len(seen) == (1 if many.dialect_name == "postgresql" else 10)


@pytest.mark.engines("sqlite")
def test_the_connections_own_limit_is_kept(many: Database) -> None:
    with Session(many.engine) as session:
        raw: Any = session.connection().connection.driver_connection
        raw.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 50)
        assert len(Repository(Row, session).get_many(range(1, 201))) == 200


def test_a_stream_holds_one_batch_in_memory(many: Database) -> None:
    with many.read_session() as session:
        rows = Repository(Row, session)
        for _ in rows.stream(Row.id < 3_000):
            pass
        tracemalloc.start()
        count = 0
        for row in rows.stream(Row.id <= TRACED_ROWS, order_by="-id"):
            assert row.id == TRACED_ROWS - count
            count += 1
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(session.identity_map) < 2_000
    assert count == TRACED_ROWS
    assert peak < 3_000_000  # a batch takes 1.6 MB, all rows as bare tuples take 5


def test_rows_may_be_changed_while_they_stream(db: Database) -> None:
    create(db, Base)
    with db.write_session() as session:
        parts = Repository(Part, session)
        parts.add_many(({"name": f"{n:04}"} for n in range(250)), returning=False)
        seen = 0
        for part in parts.stream(order_by="name", batch_size=40):
            parts.update(part.id, {"quantity": 1}, expected_version=part.version)
            if seen % 3 == 0:
                parts.delete(part.id)
            seen += 1
        assert seen == 250
        assert parts.count(quantity=1) == 166
        for wrong in (0, 10**9, "5"):
            with pytest.raises(InvalidValue, match="batch_size"):
                next(iter(parts.stream(batch_size=wrong)))  # type: ignore[arg-type]


def test_many_rows_are_added_in_constant_memory(db: Database) -> None:
    create(db, OwnBase)

    def rows(start: int, count: int) -> Iterator[dict[str, Any]]:
        for number in range(start, start + count):
            yield {"id": number, "text": f"text {number}"}

    with db.write_session() as session:
        repository = Repository(Row, session)
        repository.add_many(rows(0, 1_000), returning=False)
        tracemalloc.start()
        assert repository.add_many(rows(1_000, 8_000), returning=False) == 8_000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert repository.count() == 9_000
    assert peak < 8_000_000


def test_more_values_than_a_statement_may_bind(db: Database) -> None:
    create(db, OwnBase)
    with db.write_session() as session:
        wide = Repository(Wide, session)
        added = wide.add_many({} for _ in range(700))
        assert len(added) == wide.count() == 700
        assert (added[0].id, added[699].c299) == (1, 299)  # type: ignore[attr-defined]
        values = {f"c{number}": -1 for number in range(300)}
        assert wide.upsert_many({"id": n, **values} for n in range(1, 1_001)) == 1_000
        assert wide.count(c299=-1) == 1_000


def test_rows_that_are_added_come_back_complete(db: Database) -> None:
    create(db, Base)
    with db.write_session(actor="ann") as session:
        bins = Repository(Bin, session).add_many([Bin(label="A"), {"label": "B"}])
        parts = Repository(Part, session).add_many(
            [Part(name="x", bin=bins[0], price=D("1.5")), {"name": "y"}]
        )
        assert Repository(Part, session).add_many([]) == []
    assert [part.version for part in parts] == [1, 1]
    assert str(parts[0].price) == "1.50"
    assert parts[0].bin is bins[0]
    assert parts[1].created_by == "ann"


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"name": "n100"}, Duplicate),
        ({"name": "new", "bin_id": uuid.uuid4()}, ForeignKeyMissing),
        ({"name": "new", "quantity": 10**7}, CheckFailed),
        ({"name": "new", "naem": 1}, UnknownAttribute),
    ],
    ids=["duplicate", "foreign", "check", "name"],
)
@pytest.mark.parametrize("returning", [True, False])
def test_all_rows_are_added_or_none(
    db: Database, row: Any, error: type[Exception], returning: bool
) -> None:
    create(db, Base)
    with db.write_session() as session:
        parts = Repository(Part, session)
        parts.add({"name": "first"})
        with pytest.raises(error):
            parts.add_many(
                [*({"name": f"n{n}"} for n in range(1_200)), row],
                returning=returning,  # type: ignore[call-overload]
            )
        assert parts.count() == 1
        assert parts.add({"name": "n100"}).version == 1


@pytest.fixture
def logins(db: Database) -> Database:
    create(db, OwnBase)
    with db.write_session() as session:
        Repository(Login, session).add_many(
            [{"name": "ann", "level": 1, "site": "A", "number": 1}, {"name": "bob"}]
        )
    return db


def levels(session: Session) -> dict[str, tuple[int, int]]:
    rows = Repository(Login, session).list(order_by="name")
    return {row.name: (row.level, row.version) for row in rows}


def test_an_upsert_inserts_and_updates(logins: Database) -> None:
    with logins.write_session() as session:
        rows = Repository(Login, session)
        ann = rows.get(1)
        written = rows.upsert_many(
            [{"name": "ann", "level": 5}, {"name": "cid", "level": 6}],
            match_on=(Login.name,),
        )
        assert written == 2
        assert levels(session) == {"ann": (5, 2), "bob": (0, 1), "cid": (6, 1)}
        assert (ann.level, ann.version, ann.site) == (5, 2, "A")
        assert rows.upsert_many([], match_on=("name",)) == 0
        rows.upsert_many(
            [{"site": "A", "number": 1, "name": "Ann"}], match_on=("site", "number")
        )
        assert (ann.name, ann.version) == ("Ann", 3)
        rows.upsert_many([Login(id=2, name="Bob"), {"id": 9, "name": "eve"}])
        assert levels(session)["Bob"] == (0, 2)
        assert rows.upsert_many([{"id": 9, "name": "eve"}]) == 1


def test_of_equal_rows_the_later_values_win(logins: Database) -> None:
    with logins.write_session() as session:
        rows = Repository(Login, session)
        given = [
            {"name": "dan", "level": 1, "site": "S"},
            {"name": "ann", "level": 1},
            {"name": "dan", "level": 2},
            {"name": "ann", "level": 3},
            {"name": "ann", "number": 7},
        ]
        assert rows.upsert_many(given, match_on=("name",)) == 2
        assert levels(session) == {"ann": (3, 2), "bob": (0, 1), "dan": (2, 1)}
        dan = rows.find(name="dan")
        assert dan is not None
        assert dan.site == "S"
        # The same far apart: each batch writes the row once.
        far = [{"name": "dan", "level": n} for n in range(1_001)]
        assert rows.upsert_many(far, match_on=("name",)) == 3
        assert levels(session)["dan"] == (1_000, 4)


def test_an_upsert_brings_a_deleted_row_back(logins: Database) -> None:
    with logins.write_session() as session:
        rows = Repository(Login, session)
        rows.delete(1)
        rows.upsert_many([{"id": 1, "name": "ann", "level": 4}])
        assert levels(session)["ann"] == (4, 3)
        rows.delete(1)
        # By name, the row that was deleted is another one: the index says so.
        rows.upsert_many([{"name": "ann", "level": 8}], match_on=("name",))
        assert levels(session)["ann"] == (8, 1)
        assert rows.count(name="ann", with_deleted=True) == 2
        with pytest.raises(Duplicate):
            rows.restore(1)
        assert rows.get(1, with_deleted=True).deleted_at is not None


@pytest.mark.parametrize(
    ("rows", "match", "error"),
    [
        ([{"name": "x", "level": "high"}], ("name",), InvalidValue),
        ([{"name": "x", "version": 9}], ("name",), InvalidValue),
        ([{"name": "x", "lvl": 9}], ("name",), UnknownAttribute),
        ([{"level": 9}], ("name",), InvalidValue),
        ([{"name": None}], ("name",), InvalidValue),
        ([{"name": "x"}], ("nme",), UnknownAttribute),
        ([{"level": 1, "name": "x"}], ("level",), InvalidValue),
        ([{"name": "x"}], None, InvalidValue),
        ([{"name": "x", "level": Login.level + 1}], ("name",), InvalidValue),
        ([{"id": 7, "name": "ann"}], None, Duplicate),
        ([{"id": 7}], None, CheckFailed),
        ([7], None, InvalidValue),
    ],
)
def test_a_refused_upsert_writes_nothing(
    logins: Database, rows: Any, match: Any, error: type[Exception]
) -> None:
    with logins.write_session() as session:
        repository = Repository(Login, session)
        good = {name: "ok" for name in (match or ()) if name == "name"} or {"id": 50}
        with pytest.raises(error):
            repository.upsert_many([{**good, "name": "ok"}, *rows], match_on=match)
        assert levels(session) == {"ann": (1, 1), "bob": (0, 1)}
        assert repository.add({"name": "after"}).version == 1


def test_an_upsert_keeps_who_made_a_row(db: Database) -> None:
    create(db, Base)
    with db.write_session(actor="ann") as session:
        part = Repository(Part, session).add({"name": "Bolt"})
        made = part.created_at
    with db.write_session(actor="bob") as session:
        parts = Repository(Part, session)
        parts.upsert_many(
            [{"name": "Bolt", "price": D("0.5")}, {"name": "Nut"}], match_on=["name"]
        )
        bolt, nut = parts.list(order_by="name")
    assert (bolt.created_by, bolt.updated_by, bolt.version) == ("ann", "bob", 2)
    assert bolt.created_at == made < bolt.updated_at
    assert (nut.created_by, nut.version, nut.price) == ("bob", 1, D(0))
