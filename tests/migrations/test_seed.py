"""A seed may run any number of times; only the first one changes something."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from tests.migrations.histories import History, ask, run_sql

import lockstep.schema as ls
from lockstep.engine import Database
from lockstep.errors import InvalidValue, LockstepError, MigrationError
from lockstep.migrations import run_seed, upsert_seed


class Base(ls.Portable, DeclarativeBase):
    pass


class Part(ls.UuidKey, ls.Versioned, ls.Timestamped, Base):
    __tablename__ = "part"
    name: Mapped[str] = mapped_column(ls.Text(40), unique=True)
    price: Mapped[decimal.Decimal] = mapped_column(ls.Money())
    kind: Mapped[str] = mapped_column(ls.Enum("bolt", "nut"))
    facts: Mapped[dict[str, Any] | None] = mapped_column(ls.Json())
    since: Mapped[datetime.datetime | None] = mapped_column(ls.UtcDateTime())


class Stock(Base):
    __tablename__ = "stock"
    part_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("part.id"), primary_key=True
    )
    place: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[int]


KEYS = [uuid.UUID(int=(7 << 76) | (2 << 62) | number) for number in range(700)]


def parts(price: str = "1.5") -> list[dict[str, Any]]:
    return [
        {
            "id": KEYS[number],
            "name": f"part {number}",
            "price": decimal.Decimal(price),
            "kind": "nut",
            "facts": {"n": [number, None]},
            "since": datetime.datetime(
                2026, 1, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2))
            ),
        }
        for number in range(3)
    ]


def seed(session: Session) -> None:
    upsert_seed(session, Part, parts())
    upsert_seed(session, Stock, [{"part_id": KEYS[0], "place": "A", "amount": 5}])


@pytest.fixture
def made(db: Database) -> Database:
    Base.metadata.create_all(db.engine)
    return db


def versions(db: Database) -> list[tuple[object, ...]]:
    return ask(db, "SELECT id, version, updated_at FROM part ORDER BY id")


def test_the_second_run_changes_nothing(made: Database) -> None:
    first = run_seed(made, seed)
    assert (first.inserted, first.updated, first.unchanged) == (4, 0, 0)
    assert first.tables == (("part", 3, 0, 0), ("stock", 1, 0, 0))
    before = versions(made)
    second = run_seed(made, seed)
    assert (second.inserted, second.updated, second.unchanged) == (0, 0, 4)
    assert versions(made) == before


def test_only_what_differs_is_updated(made: Database) -> None:
    run_seed(made, seed)
    run_sql(made, "UPDATE stock SET amount = 2")
    with made.write_session() as session:
        part = session.get(Part, KEYS[1])
        assert part is not None
        part.kind = "bolt"
    before = {row[0]: row[1] for row in versions(made)}

    report = run_seed(made, seed)

    assert (report.inserted, report.updated, report.unchanged) == (0, 2, 2)
    after = {row[0]: row[1] for row in versions(made)}
    changed = {key for key in before if before[key] != after[key]}
    assert {str(key) for key in changed} == {str(KEYS[1])}
    assert ask(made, "SELECT amount FROM stock") == [(5,)]


def test_what_is_not_declared_stays(made: Database) -> None:
    run_seed(made, seed)

    def less(session: Session) -> None:
        upsert_seed(session, Part, [{"id": KEYS[0], "name": "renamed"}])

    report = run_seed(made, less)
    assert (report.updated, report.unchanged) == (1, 0)
    with made.read_session() as session:
        part = session.get(Part, KEYS[0])
        assert part is not None
        assert (part.name, part.price) == ("renamed", decimal.Decimal("1.50"))
        assert session.scalar(sa.select(sa.func.count()).select_from(Part)) == 3


def test_more_rows_than_one_lookup_takes(made: Database) -> None:
    def many(session: Session) -> None:
        rows = [parts()[0] | {"id": key, "name": str(key)} for key in KEYS]
        upsert_seed(session, Part, rows)

    assert run_seed(made, many).inserted == 700
    assert run_seed(made, many).unchanged == 700


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"name": "x"}], "row 1 of Part has no id"),
        ([parts()[0], parts()[0]], "row 2 of Part has the key of an earlier one"),
        ([parts()[0] | {"colour": "red"}], "names no column: colour"),
        ([parts()[0] | {"kind": "screw"}], "screw"),
    ],
)
def test_a_faulty_row_is_named_and_nothing_is_kept(
    made: Database, rows: list[dict[str, Any]], message: str
) -> None:
    def faulty(session: Session) -> None:
        upsert_seed(session, Part, [parts()[2]])
        upsert_seed(session, Part, rows)

    with pytest.raises(InvalidValue, match=message):
        run_seed(made, faulty)
    assert ask(made, "SELECT count(*) FROM part") == [(0,)]


def test_a_conflict_with_a_row_of_the_users_takes_all_back(made: Database) -> None:
    def own(session: Session) -> None:
        session.add(Part(**(parts()[0] | {"id": KEYS[9], "name": "part 1"})))

    run_seed(made, own)
    with pytest.raises(LockstepError):
        run_seed(made, seed)
    assert ask(made, "SELECT count(*) FROM part") == [(1,)]


def test_a_database_behind_its_history_is_refused(
    db: Database, history: History
) -> None:
    history.on(db, Base.metadata).revision("first")
    with pytest.raises(MigrationError, match="not at the head"):
        run_seed(db, seed, directory=history.directory)
    history.on(db, Base.metadata).upgrade()
    assert run_seed(db, seed, directory=history.directory).inserted == 4
