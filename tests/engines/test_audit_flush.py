"""The audit trail of ordinary ORM work in our sessions: each change exactly once."""

from __future__ import annotations

import subprocess
import sys
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Session, relationship
from sqlalchemy.orm import Mapped as M
from sqlalchemy.orm import mapped_column as column
from tests.engines.repository_models import (
    AuditedBase,
    Box,
    Entry,
    Tool,
    create,
    statements,
)

from lockstep.engine import Database
from lockstep.errors import SchemaError
from lockstep.repository import Repository
from lockstep.schema import SECRET, AuditTrail, Portable, UuidKey


class OwnBase(Portable, DeclarativeBase):
    """Models of this test."""


class Log(AuditTrail, OwnBase):
    """An audit table with another name and a column of the application's own."""

    __tablename__ = "change"

    host: M[str] = column(default="here")


class Animal(UuidKey, OwnBase):
    __tablename__ = "animal"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}

    kind: M[str]
    name: M[str] = column("full name")
    owner_id: M[uuid.UUID | None] = column(sa.ForeignKey("owner.id"))


class Dog(Animal):
    __tablename__ = "dog"
    __mapper_args__ = {"polymorphic_identity": "dog"}

    id: M[uuid.UUID] = column(sa.ForeignKey("animal.id"), primary_key=True)
    tricks: M[int] = column(default=0)


class Owner(UuidKey, OwnBase):
    __tablename__ = "owner"

    name: M[str]
    animals: M[list[Animal]] = relationship()


class Pass(OwnBase):
    """A key that is a secret, and one that may change."""

    __tablename__ = "pass"

    token: M[str] = column(primary_key=True, info=SECRET)
    uses: M[int] = column(default=0)


@pytest.fixture
def shop(db: Database) -> Database:
    return create(create(db, AuditedBase), OwnBase)


def entries(db: Database, model: type[Any] = Entry) -> list[Any]:
    with db.read_session() as session:
        return Repository(model, session).list(order_by="id")


def actions(db: Database, model: type[Any] = Entry) -> list[tuple[str, str]]:
    return [(one.table_name, one.action) for one in entries(db, model)]


def test_flushes_are_recorded(shop: Database) -> None:
    with shop.write_session(actor="ann") as session:
        box = Box(label="A", tools=[Tool(name="Saw", quantity=1)])
        session.add(box)
        session.flush()
        box.tools[0].quantity = 5
        session.flush()
        box.tools[0].quantity = 6
    with shop.write_session(actor="bob") as session:
        session.delete(session.get_one(Box, box.id))
    found = entries(shop)
    assert actions(shop) == [
        ("box", "insert"),
        ("tool", "insert"),
        ("tool", "update"),
        ("tool", "update"),
        ("tool", "delete"),
        ("box", "delete"),
    ]
    assert [one.actor for one in found] == ["ann"] * 4 + ["bob"] * 2
    assert found[3].before["quantity"] == 5
    assert found[3].after["quantity"] == 6
    assert found[4].before["version"] == 3
    assert found[5].after is None


def test_repository_and_flush_do_not_record_twice(shop: Database) -> None:
    with shop.write_session() as session:
        tools = Repository(Tool, session)
        saw = tools.add({"name": "Saw"})
        saw.quantity = 2
        axe = Tool(name="Axe")
        session.add(axe)
        # Flushes what is pending, then writes: three entries more.
        tools.update(saw.id, {"quantity": 3}, expected_version=saw.version + 1)
        tools.add(Tool(name="Pin", box=Box(label="A")))
    assert sorted(actions(shop)) == [
        ("box", "insert"),
        *[("tool", "insert")] * 3,
        *[("tool", "update")] * 2,
    ]


def test_what_the_row_held_is_told_and_not_what_was_believed(shop: Database) -> None:
    with shop.write_session() as session:
        saw = Repository(Tool, session).add({"name": "Saw", "quantity": 1})
        session.execute(sa.text("UPDATE tool SET quantity = 70"))
        saw.name = "Axe"
        session.flush()
        saw.quantity = 71
        session.flush()
    last = entries(shop)[-1]
    assert (last.before["quantity"], last.after["quantity"]) == (70, 71)


def test_marks_set_by_hand_are_deletions(shop: Database) -> None:
    with shop.write_session() as session:
        saw = Tool(name="Saw")
        session.add(saw)
        session.flush()
        saw.deleted_at = saw.created_at
        session.flush()
        saw.deleted_at = None
    assert [action for _, action in actions(shop)] == ["insert", "delete", "restore"]


def test_a_savepoint_that_is_rolled_back_takes_its_entries_along(
    shop: Database,
) -> None:
    with shop.write_session() as session:
        session.add(Tool(name="Saw"))
        savepoint = session.begin_nested()
        session.add(Tool(name="Axe"))
        session.flush()
        savepoint.rollback()
        session.add(Tool(name="Pin"))
    assert [one.after["name"] for one in entries(shop)] == ["Saw", "Pin"]


def test_rows_that_the_unit_of_work_touches_by_itself_are_recorded(
    shop: Database,
) -> None:
    with shop.write_session() as session:
        owner = Owner(name="Ann", animals=[Dog(name="Rex"), Animal(name="Cat")])
        session.add(owner)
    with shop.write_session() as session:
        # Without a cascade the children lose their owner in the same flush.
        session.delete(session.get_one(Owner, owner.id))
    told = actions(shop, Log)
    assert told.count(("animal", "update")) == 2
    assert told[-1] == ("owner", "delete")
    for one in entries(shop, Log):
        if one.action == "update":
            assert one.before == {"owner_id": str(owner.id)}
            assert one.after == {"owner_id": None}
        assert one.host == "here"


def test_inherited_rows_are_told_whole_by_column_names(shop: Database) -> None:
    with shop.write_session() as session:
        rex = Dog(name="Rex", tricks=1)
        session.add(rex)
        session.flush()
        rex.tricks = 2
    with shop.read_session() as session:
        as_dog = Repository(Dog, session).history(rex.id)
        assert as_dog == Repository(Animal, session).history(rex.id)
    insert, change = as_dog
    assert insert.after == {
        "id": str(rex.id),
        "kind": "dog",
        "full name": "Rex",
        "owner_id": None,
        "tricks": 1,
    }
    assert (change.before, change.after) == ({"tricks": 1}, {"tricks": 2})


def test_a_secret_key_is_found_by_its_hash(shop: Database) -> None:
    with shop.write_session() as session:
        session.add(Pass(token="hunter2"))
        session.flush()
        Repository(Pass, session).adjust("hunter2", "uses", 1)
        life = Repository(Pass, session).history("hunter2")
        assert [one.action for one in life] == ["insert", "update"]
        assert Repository(Pass, session).history("other") == []
    assert "hunter2" not in str([one.row_key for one in entries(shop, Log)])


def test_a_key_that_changes_is_told_under_the_old_one(shop: Database) -> None:
    with shop.write_session() as session:
        one = Pass(token="old")
        session.add(one)
        session.flush()
        one.token = "new"
        one.uses = 4
        session.flush()
        life = Repository(Pass, session).history("old")
    assert [entry.action for entry in life] == ["insert", "update"]
    assert life[1].after == {"token": "***", "uses": 4}


def test_sessions_that_are_not_ours_are_left_alone(shop: Database) -> None:
    with Session(shop.engine) as session:
        session.add(Tool(name="Saw"))
        session.commit()
        assert Repository(Entry, session).count() == 0
        # From here on a repository works in it.
        session.add(Tool(name="Axe"))
        session.commit()
        assert Repository(Entry, session).count() == 1


def test_a_flush_costs_two_queries_and_one_insert_per_class(shop: Database) -> None:
    with shop.write_session() as session:
        tools = [Tool(name=f"t{number}") for number in range(50)]
        session.add_all(tools)
        session.flush()
        for tool in tools:
            tool.quantity = 9
        with statements(shop) as seen:
            session.flush()
    selects = [statement for statement in seen if statement.startswith("SELECT")]
    assert len(selects) == 2
    assert len([one for one in seen if one.startswith("INSERT")]) == 1


def test_two_audit_models_in_one_base_are_refused(db: Database) -> None:
    class Torn(Portable, DeclarativeBase):
        pass

    class First(AuditTrail, Torn):
        __tablename__ = "first"

    class Second(AuditTrail, Torn):
        __tablename__ = "second"

    class Row(UuidKey, Torn):
        __tablename__ = "row"

    create(db, Torn)
    with pytest.raises(SchemaError, match="Second"), db.write_session() as session:
        Repository(Row, session).add({})


SCRIPT = """
import sys
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from lockstep import AuditTrail, Database, Portable, UuidKey

class Base(Portable, DeclarativeBase):
    pass

class Entry(AuditTrail, Base):
    pass

class Row(UuidKey, Base):
    __tablename__ = "row"
    name: Mapped[str]

with Database(sys.stdin.readline().strip()) as db:
    Base.metadata.create_all(db.engine)
    with db.write_session() as session:
        session.add(Row(name="x"))
    with db.read_session() as session:
        print(session.query(Entry).count())
"""


def test_a_program_that_never_names_a_repository_is_recorded(db_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=f"{db_url}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
