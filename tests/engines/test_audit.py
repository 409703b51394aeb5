"""The audit trail of repository calls: complete, exact, once, in the transaction."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.engines.repository_models import (
    AuditedBase,
    Base,
    Box,
    Entry,
    Heartbeat,
    Part,
    Tool,
    create,
    statements,
)

from lockstep.clock import ManualClock
from lockstep.engine import Database
from lockstep.errors import (
    AppendOnly,
    Duplicate,
    ForeignKeyMissing,
    InvalidValue,
    NotEnough,
    StaleVersion,
    UnsupportedCapability,
)
from lockstep.repository import Repository
from lockstep.schema import AuditTrail, Json, Portable, UuidKey, Versioned

pytestmark = pytest.mark.usefixtures("both_ways")


class PaperBase(Portable, DeclarativeBase):
    """Documents, and what happened to them."""


class PaperTrail(AuditTrail, PaperBase):
    """Their audit table."""


class Paper(UuidKey, Versioned, PaperBase):
    __tablename__ = "paper"

    page: Mapped[Any] = mapped_column(Json())


@pytest.fixture
def shop(db: Database) -> Database:
    return create(db, AuditedBase)


def entries(db: Database) -> list[Entry]:
    with db.read_session() as session:
        return Repository(Entry, session).list(order_by="id")


def told(found: Any) -> list[tuple[str, Any, Any]]:
    """Return (action, before, after) without what follows by itself."""

    def known(image: Any) -> Any:
        hidden = {"id", "updated_at", "updated_by", "created_at", "created_by"}
        if image is None:
            return None
        return {key: value for key, value in image.items() if key not in hidden}

    return [(one.action, known(one.before), known(one.after)) for one in found]


@pytest.mark.ordinary
def test_a_rows_life_is_found_by_an_index(shop: Database) -> None:
    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _u: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    with shop.write_session() as session:
        tool = Repository(Tool, session).add({"name": "Saw"})
        session.flush()
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", note)
        assert len(Repository(Tool, session).history(tool.id)) == 1
        event.remove(connection, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN"
        if shop.dialect_name == "postgresql":
            explain = "EXPLAIN"
            session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        ((statement, parameters),) = sent
        plan = connection.exec_driver_sql(f"{explain} {statement}", parameters).all()
    # Both columns are looked for in it, not only the table's name.
    found = str(plan).replace(" ", "")
    assert "ix_audit_log_table_name_row_key" in found
    assert "row_key=" in found


def test_a_rows_life_is_told_in_order(db: Database) -> None:
    clock = ManualClock()
    shop = create(Database(db.url.unmasked(), clock=clock), AuditedBase)
    start = clock.now()
    with shop.write_session(actor="ann") as session:
        tools = Repository(Tool, session)
        tool = tools.add({"name": "Saw", "price": D("12.5"), "quantity": 3})
    steps: list[Any] = [
        lambda: tools.update(tool.id, {"price": D("13.00")}, expected_version=1),
        lambda: tools.adjust(tool.id, Tool.quantity, -2),
        lambda: tools.upsert_many([{"name": "Saw", "quantity": 9}], match_on=["name"]),
        lambda: tools.delete(tool.id),
        lambda: tools.restore(tool.id),
        lambda: tools.delete(tool.id, hard=True),
    ]
    for step in steps:
        clock.advance(60)
        with shop.write_session(actor="bob") as session:
            tools = Repository(Tool, session)
            step()
    with shop.read_session() as session:
        life = Repository(Tool, session).history(tool.id)
    whole = {"name": "Saw", "price": "12.50", "quantity": 3, "version": 1}
    whole |= {"pin": None, "photo": None, "box_id": None, "deleted_at": None}
    gone = (start + timedelta(minutes=4)).isoformat()
    last = {**whole, "price": "13.00", "quantity": 9, "version": 4}
    assert told(life) == [
        ("insert", None, whole),
        ("update", {"price": "12.50", "version": 1}, {"price": "13.00", "version": 2}),
        ("update", {"quantity": 3, "version": 2}, {"quantity": 1, "version": 3}),
        ("update", {"quantity": 1, "version": 3}, {"quantity": 9, "version": 4}),
        ("delete", last, {"deleted_at": gone, "version": 5}),
        (
            "restore",
            {"deleted_at": gone, "version": 5},
            {"deleted_at": None, "version": 6},
        ),
        ("delete", {**last, "version": 6}, None),
    ]
    assert [one.at - start for one in life] == [
        timedelta(minutes=number) for number in range(7)
    ]
    assert [one.actor for one in life] == ["ann", *["bob"] * 6]
    assert {one.table_name for one in life} == {"tool"}
    assert {one.row_key["id"] for one in life} == {str(tool.id)}
    shop.close()


def test_what_only_python_calls_equal_is_a_change(db: Database) -> None:
    shop = create(db, PaperBase)
    pages = [
        {"a": [1]},
        {"a": [True]},
        {"a": [1.0]},
        {"a": True},
        True,
        1,
        [0],
        [False],
    ]
    with shop.write_session() as session:
        paper = Repository(Paper, session).add({"page": pages[0]})
    for number, page in enumerate(pages[1:], 1):
        with shop.write_session() as session:
            papers = Repository(Paper, session)
            papers.update(paper.id, {"page": page}, expected_version=number)
    with shop.read_session() as session:
        life = Repository(Paper, session).history(paper.id)
    found = [repr(one.after and one.after.get("page", "nothing")) for one in life]
    assert found == list(map(repr, pages))
    assert [repr(one.before["page"]) for one in life if one.before] == found[:-1]


def test_what_is_refused_leaves_no_entry(shop: Database) -> None:
    with shop.write_session() as session:
        tools = Repository(Tool, session)
        tool = tools.add({"name": "Saw", "quantity": 1})
        known = len(tools.history(tool.id))
        with pytest.raises(Duplicate):
            tools.add_many([{"name": "Axe"}, {"name": "Saw"}])
        with pytest.raises(Duplicate):
            tools.add({"name": "Saw"})
        with pytest.raises(StaleVersion):
            tools.update(tool.id, {"quantity": 2}, expected_version=4)
        with pytest.raises(ForeignKeyMissing):
            tools.update(tool.id, {"box_id": uuid.uuid4()}, expected_version=1)
        with pytest.raises(NotEnough):
            tools.adjust(tool.id, "quantity", -2)
        with pytest.raises(Duplicate):
            tools.upsert_many([{"id": uuid.uuid4(), "name": n} for n in ("Axe", "Saw")])
        assert len(tools.history(tool.id)) == known
    assert len(entries(shop)) == 1


def test_a_rolled_back_transaction_leaves_no_entry(shop: Database) -> None:
    with pytest.raises(RuntimeError), shop.write_session() as session:
        Repository(Tool, session).add({"name": "Saw"})
        assert Repository(Entry, session).count() == 1
        raise RuntimeError
    assert entries(shop) == []


def test_an_update_that_changes_nothing_still_tells_of_the_version(
    shop: Database,
) -> None:
    with shop.write_session() as session:
        tools, boxes = Repository(Tool, session), Repository(Box, session)
        tool = tools.add({"name": "Saw"})
        tools.update(tool.id, {"name": "Saw"}, expected_version=1)
        tools.update(tool.id, {}, expected_version=2)
        assert told(tools.history(tool.id))[1:] == [
            ("update", {"version": 1}, {"version": 2})
        ]
        box = boxes.add({"label": "A"})
        boxes.update(box.id, {"label": "A"})
        assert told(boxes.history(box.id)) == [("insert", None, {"label": "A"})]


def test_bulk_writes_are_recorded_row_by_row(shop: Database) -> None:
    with shop.write_session(actor="ann") as session:
        tools = Repository(Tool, session)
        many = [{"name": f"t{number}", "quantity": number} for number in range(1_100)]
        tools.add_many(many[:600])
        tools.add_many(iter(many[600:1_000]), returning=False)
        tools.upsert_many(
            [{"name": f"t{n}", "quantity": -n} for n in range(900, 1_100)],
            match_on=("name",),
        )
        actions = [one.action for one in Repository(Entry, session).list(limit=5_000)]
        assert actions.count("insert") == 1_100
        assert actions.count("update") == 100
        row = tools.find(name="t950")
        assert row is not None
        assert told(tools.history(row.id))[1] == (
            "update",
            {"quantity": 950, "version": 1},
            {"quantity": -950, "version": 2},
        )


@pytest.mark.ordinary
def test_bulk_writes_cost_queries_per_batch_and_not_per_row(shop: Database) -> None:
    with shop.write_session() as session:
        tools = Repository(Tool, session)
        with statements(shop) as seen:
            tools.add_many({"name": f"t{number}"} for number in range(400))
        assert len(seen) <= 6
        with statements(shop) as seen:
            rows = [{"name": f"t{number}", "quantity": 1} for number in range(400)]
            tools.upsert_many(rows, match_on=("name",))
        assert len(seen) <= 6


def test_secrets_are_masked_wherever_they_stand(shop: Database) -> None:
    with shop.write_session() as session:
        tools = Repository(Tool, session)
        tool = tools.add({"name": "Safe", "pin": "sesame"})
        tools.update(tool.id, {"pin": "mellon"}, expected_version=1)
        tools.update(tool.id, {"pin": None}, expected_version=2)
        tools.upsert_many([{"name": "Safe", "pin": "sesame"}], match_on=["name"])
        tools.delete(tool.id, hard=True)
        life = told(tools.history(tool.id))
    assert life[0][2]["pin"] == "***"
    assert life[1] == (
        "update",
        {"pin": "***", "version": 1},
        {"pin": "***", "version": 2},
    )
    assert life[2][1:] == ({"pin": "***", "version": 2}, {"pin": None, "version": 3})
    assert life[4][1]["pin"] == "***"
    with shop.engine.connect() as connection:
        text = str(connection.execute(sa.text("SELECT * FROM audit_log")).all())
    assert "sesame" not in text
    assert "mellon" not in text


def test_a_cursor_shows_no_secret(shop: Database) -> None:
    with shop.write_session() as session:
        tools = Repository(Tool, session)
        tools.add_many([{"name": "a", "pin": "1"}, {"name": "b", "pin": "2"}])
        for order in ("pin", Tool.pin.desc(), ("name", "-pin")):
            with pytest.raises(InvalidValue, match="secret"):
                tools.page(order_by=order, size=1)
        assert len(tools.list(order_by="pin")) == 2


def test_large_values_are_told_by_length_and_hash(shop: Database) -> None:
    with shop.write_session() as session:
        tools = Repository(Tool, session)
        tool = tools.add({"name": "Saw", "photo": b"\x00\xff"})
        tools.update(tool.id, {"photo": b"x" * 5_000}, expected_version=1)
        life = told(tools.history(tool.id))
    assert life[0][2]["photo"] == {"base64": "AP8="}
    assert life[1][2]["photo"]["size_bytes"] == 5_000
    assert len(life[1][2]["photo"]["sha256"]) == 64


def test_a_cascade_is_recorded_with_what_it_takes_along(shop: Database) -> None:
    with shop.write_session() as session:
        boxes = Repository(Box, session)
        box = boxes.add(Box(label="A", tools=[Tool(name="Saw"), Tool(name="Axe")]))
        tools = Repository(Tool, session)
        tools.delete(box.tools[0].id)
        # Also one that is marked, and hidden wherever the box is loaded.
        assert len(boxes.get(box.id, load=(Box.tools,)).tools) == 1
        boxes.delete(box.id)
        assert tools.count(with_deleted=True) == 0
    found = [(one.action, one.table_name) for one in entries(shop)]
    assert sorted(found[:3]) == [("insert", "box"), *[("insert", "tool")] * 2]
    assert found[3:] == [*[("delete", "tool")] * 3, ("delete", "box")]


def test_models_may_stay_out_of_the_trail(shop: Database) -> None:
    create(shop, Base)
    with shop.write_session() as session:
        beats = Repository(Heartbeat, session)
        beat = beats.add({})
        beats.adjust(beat.id, "beats", 1)
        part = Repository(Part, session).add({"name": "Bolt"})
        for repository, key in ((beats, beat.id), (Repository(Part, session), part.id)):
            with pytest.raises(UnsupportedCapability):
                repository.history(key)
    assert entries(shop) == []


def test_the_trail_cannot_be_altered(shop: Database) -> None:
    with shop.write_session() as session:
        Repository(Tool, session).add({"name": "Saw"})
        trail = Repository(Entry, session)
        entry = trail.list()[0]
        for change in (
            lambda: trail.update(entry.id, {"actor": "nobody"}),
            lambda: trail.delete(entry.id),
            lambda: trail.delete(entry.id, hard=True),
            lambda: trail.restore(entry.id),
            lambda: trail.adjust(entry.id, "at", 1),
            lambda: trail.upsert_many([{"id": entry.id, "actor": "x"}]),
        ):
            with pytest.raises(AppendOnly):
                change()
        assert trail.page(Entry.action == "insert").items == [entry]
    for tamper in ("change", "remove"):
        with pytest.raises(AppendOnly), shop.write_session() as session:
            entry = Repository(Entry, session).list()[0]
            if tamper == "change":
                entry.actor = "nobody"
            else:
                session.delete(entry)
    assert [one.actor for one in entries(shop)] == [None]


@pytest.mark.ordinary
def test_an_update_costs_one_more_statement_for_its_entry(shop: Database) -> None:
    with shop.write_session() as session:
        tools = Repository(Tool, session)
        tool = tools.add({"name": "Saw", "photo": b"x"})
        tools.update(tool.id, {"photo": b"y"}, expected_version=1)
        with statements(shop) as seen:
            tools.update(tool.id, {"quantity": 2}, expected_version=2)
    verbs = [statement.split(" ", 1)[0] for statement in seen]
    assert verbs == ["SELECT", "UPDATE", "SELECT", "INSERT"]
