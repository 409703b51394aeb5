"""The mixins on every engine: versions, actors, stamps, inheritance, keys."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.exc import StaleDataError

import lockstep as ls


class Base(ls.Portable, DeclarativeBase):
    pass


class Part(ls.UuidKey, ls.Versioned, ls.Timestamped, ls.Audited, ls.SoftDelete, Base):
    __tablename__ = "part"

    name: Mapped[str]


class Shelf(ls.Versioned, Base):
    """A composite key beside mapper arguments of its own."""

    __tablename__ = "shelf"
    __mapper_args__ = {"eager_defaults": True}

    hall: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    label: Mapped[str | None]


class Machine(ls.UuidKey, ls.Versioned, Base):
    __tablename__ = "machine"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "machine"}

    kind: Mapped[str]
    name: Mapped[str]


class Press(Machine):
    """Joined-table inheritance: its own table has no version."""

    __tablename__ = "press"
    __mapper_args__ = {"polymorphic_identity": "press"}

    id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("machine.id"), primary_key=True)
    force: Mapped[int]


class Lathe(Machine):
    """Single-table inheritance."""

    __mapper_args__ = {"polymorphic_identity": "lathe"}

    speed: Mapped[int | None]


class Late(Base, ls.Versioned):
    """The mixin after the base."""

    __tablename__ = "late"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Counted(ls.Versioned, Base):
    """Its version column has another name in the database."""

    __tablename__ = "counted"

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column("row_version", ls.BigInteger(), default=1)
    name: Mapped[str]


@pytest.fixture
def models(db: ls.Database) -> ls.Database:
    Base.metadata.create_all(db.engine)
    return db


MODELS: dict[str, Any] = {
    "part": lambda: Part(name="a"),
    "composite key": lambda: Shelf(hall="A", number=1, label="a"),
    "base of a hierarchy": lambda: Machine(name="a"),
    "joined table": lambda: Press(name="a", force=1),
    "single table": lambda: Lathe(name="a", speed=1),
    "mixin after base": lambda: Late(name="a"),
    "renamed column": lambda: Counted(name="a"),
}


def change(row: Any) -> None:
    setattr(row, "label" if isinstance(row, Shelf) else "name", "b")


@pytest.mark.parametrize("name", list(MODELS))
def test_a_stale_write_never_wins(models: ls.Database, name: str) -> None:
    def session() -> Session:
        return Session(models.engine, expire_on_commit=False)

    with session() as first:
        row = MODELS[name]()
        first.add(row)
        first.commit()
    model, key = type(row), sa.inspect(row).identity

    def detached() -> Any:
        with session() as reader:
            return reader.get_one(model, key)

    to_change, to_delete = detached(), detached()
    with session() as second:
        current = second.get_one(model, key)
        change(current)
        second.commit()
        assert current.version == 2
    with session() as third:
        third.add(to_change)
        change(to_change)
        with pytest.raises(StaleDataError):
            third.commit()
    with session() as fourth:
        fourth.add(to_delete)
        fourth.delete(to_delete)
        with pytest.raises(StaleDataError):
            fourth.commit()
    assert detached().version == 2


def test_only_the_childs_column_changes_and_the_version_moves(
    models: ls.Database,
) -> None:
    with Session(models.engine) as session:
        press = Press(name="a", force=1)
        session.add(press)
        session.commit()
        press.force = 2
        session.commit()
        assert press.version == 2


def test_what_did_not_change_keeps_its_version(models: ls.Database) -> None:
    with Session(models.engine) as session:
        part = Part(name="a")
        session.add(part)
        session.commit()
        before = part.updated_at
        part.name = "a"
        session.commit()
        assert (part.version, part.updated_at) == (1, before)


def test_raw_sql_may_leave_the_mixins_columns_out(models: ls.Database) -> None:
    key = uuid.uuid4()
    with models.engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO part (id, name) VALUES ('{key}', 'a')")
    with Session(models.engine) as session:
        part = session.get_one(Part, key)
        assert part.version == 1
        assert part.created_at.tzinfo is dt.UTC


def test_the_actor_signs_what_changes(models: ls.Database) -> None:
    with Session(models.engine, info={"lockstep.actor": "ann"}) as session:
        part = Part(name="a")
        session.add(part)
        session.commit()
        assert (part.created_by, part.updated_by) == ("ann", "ann")
        session.info["lockstep.actor"] = "bob"
        part.name = "b"
        session.commit()
        assert (part.created_by, part.updated_by) == ("ann", "bob")
        session.info["lockstep.actor"] = "eve"
        session.commit()
        assert part.updated_by == "bob"


def test_keys_are_made_in_order_and_come_first() -> None:
    names = [column.name for column in Part.__table__.columns]
    assert names == [
        "id", "name", "version", "created_at", "updated_at",
        "created_by", "updated_by", "deleted_at",
    ]  # fmt: skip
    keys = [ls.uuid7() for _ in range(1000)]
    assert keys == sorted(keys)


def test_integer_keys_number_themselves(db: ls.Database) -> None:
    class Own(ls.Portable, DeclarativeBase):
        pass

    class Ticket(Own):
        __tablename__ = "ticket"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]

    class Identified(Own):
        __tablename__ = "identified"
        id: Mapped[int] = mapped_column(
            ls.BigInteger(), sa.Identity(), primary_key=True
        )
        text: Mapped[str]

    class Plain(Own):
        __tablename__ = "plain"
        id: Mapped[int] = mapped_column(sa.BigInteger(), primary_key=True)
        text: Mapped[str]

    Own.metadata.create_all(db.engine)
    for model in (Ticket, Identified, Plain):
        with Session(db.engine) as session:
            rows = [model(text=str(n)) for n in range(5)]
            session.add_all(rows)
            session.commit()
            assert [row.id for row in rows] == [1, 2, 3, 4, 5]
            session.execute(sa.insert(model), [{"text": "x"}, {"text": "y"}])
            assert session.scalars(sa.select(sa.func.max(model.id))).one() == 7
            session.commit()


def test_the_audit_table_takes_its_rows(db: ls.Database) -> None:
    class Own(ls.Portable, DeclarativeBase):
        pass

    class AuditEntry(ls.AuditTrail, Own):
        pass

    class NamedEntry(ls.AuditTrail, Own):
        __tablename__ = "trail"

    Own.metadata.create_all(db.engine)
    assert (AuditEntry.__tablename__, NamedEntry.__tablename__) == (
        "audit_log",
        "trail",
    )
    with Session(db.engine) as session:
        entry = AuditEntry(
            action="update", table_name="part", row_key={"id": 1}, after={"n": 1.5}
        )
        session.add(entry)
        session.commit()
        session.expire_all()
        assert (entry.row_key, entry.before, entry.after) == (
            {"id": 1},
            None,
            {"n": 1.5},
        )
        session.add(AuditEntry(action="steal", table_name="part", row_key=1))
        with pytest.raises(sa.exc.StatementError, match="not one of insert"):
            session.commit()
