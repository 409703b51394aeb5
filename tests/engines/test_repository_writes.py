"""Adding, changing, deleting and restoring: what is promised of every write."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from tests.engines.repository_models import Base, Bin, Part, create, statements

from lockstep.clock import ManualClock
from lockstep.engine import Database
from lockstep.errors import (
    CheckFailed,
    Duplicate,
    ForeignKeyMissing,
    InvalidValue,
    LockstepError,
    NotFound,
    NotLoaded,
    ReadOnlySession,
    StaleVersion,
    UnknownAttribute,
)
from lockstep.repository import Repository

pytestmark = pytest.mark.usefixtures("both_ways")


@pytest.fixture
def shop(db: Database) -> Database:
    return create(db, Base)


def add_bolt(db: Database, **values: Any) -> Part:
    with db.write_session(actor="ann") as session:
        return Repository(Part, session).add({"name": "Bolt", **values})


def test_a_new_row_comes_back_as_the_database_holds_it(shop: Database) -> None:
    bolt = add_bolt(shop, price=D("1.5"), quantity=5)
    assert (bolt.version, bolt.created_by, bolt.updated_by) == (1, "ann", "ann")
    assert str(bolt.price) == "1.50"
    assert bolt.created_at == bolt.updated_at
    assert bolt.created_at.tzinfo is not None
    assert bolt.deleted_at is None
    with shop.read_session() as session:
        assert Repository(Part, session).get(bolt.id).created_at == bolt.created_at
    with pytest.raises(NotLoaded):
        _ = bolt.bin


def test_an_instance_with_its_relations_is_stored(shop: Database) -> None:
    with shop.write_session() as session:
        part = Part(name="Nut", bin=Bin(label="A"))
        assert Repository(Part, session).add(part) is part
        assert part.bin is not None
        assert part.bin_id == part.bin.id


@pytest.mark.parametrize(
    ("item", "error"),
    [
        ({"name": "Bolt"}, Duplicate),
        ({"name": "Nut", "bin_id": uuid.uuid4()}, ForeignKeyMissing),
        ({"name": "Nut", "quantity": 1_000_000}, CheckFailed),
        ({"name": None}, CheckFailed),
        ({"name": "x" * 41}, InvalidValue),
        ({"name": "Nut", "price": 1.5}, InvalidValue),
        ({"name": "Nut", "quantity": 2**63}, InvalidValue),
        ({"name": "nul \x00"}, InvalidValue),
        ({"nme": "Nut"}, UnknownAttribute),
        (Bin(label="A"), InvalidValue),
        (7, InvalidValue),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_refused_row_leaves_the_transaction_usable(
    shop: Database, item: Any, error: type[LockstepError]
) -> None:
    add_bolt(shop)
    with shop.write_session() as session:
        parts = Repository(Part, session)
        parts.add({"name": "before"})
        with pytest.raises(error):
            parts.add(item)
        with pytest.raises(error):
            parts.add_many([{"name": "with it"}, item])
        parts.add({"name": "after"})
    with shop.read_session() as session:
        stored = Repository(Part, session).list(order_by="name")
    assert [part.name for part in stored] == ["Bolt", "after", "before"]


def test_an_instance_that_is_stored_is_not_added_again(shop: Database) -> None:
    bolt = add_bolt(shop)
    with shop.write_session() as session:
        parts = Repository(Part, session)
        known = parts.get(bolt.id)
        for again in (bolt, known, Part(id=bolt.id, name="other")):
            with pytest.raises(Duplicate):
                parts.add(again)
        assert parts.count() == 1


def test_a_refused_instance_can_be_mended_and_added(shop: Database) -> None:
    add_bolt(shop)
    with shop.write_session() as session:
        parts = Repository(Part, session)
        nut = Part(name="Bolt")
        with pytest.raises(Duplicate):
            parts.add(nut)
        nut.name = "Nut"
        assert parts.add(nut).version == 1
        assert parts.count() == 2


def test_an_update_counts_the_version_and_names_time_and_actor(db: Database) -> None:
    clock = ManualClock()
    shop = create(Database(db.url.unmasked(), clock=clock), Base)
    bolt = add_bolt(shop)
    clock.advance(60)
    with shop.write_session(actor="bob") as session:
        changed = Repository(Part, session).update(
            bolt.id, {"quantity": 7, "note": "new"}, expected_version=1
        )
    assert (changed.quantity, changed.note, changed.version) == (7, "new", 2)
    assert (changed.created_by, changed.updated_by) == ("ann", "bob")
    assert changed.updated_at - changed.created_at == timedelta(seconds=60)
    shop.close()


@pytest.mark.ordinary
def test_the_version_stands_in_the_where_clause(shop: Database) -> None:
    bolt = add_bolt(shop)
    with shop.write_session() as session, statements(shop) as seen:
        Repository(Part, session).update(bolt.id, {"quantity": 7}, expected_version=1)
    updates = [statement for statement in seen if statement.startswith("UPDATE")]
    assert len(updates) == 1
    assert "part.version = " in updates[0].split("WHERE")[1]
    assert len(seen) <= 3


def test_an_update_with_the_same_values_counts_and_an_empty_one_does_not(
    shop: Database,
) -> None:
    bolt = add_bolt(shop, quantity=5)
    with shop.write_session() as session:
        parts = Repository(Part, session)
        assert parts.update(bolt.id, {"quantity": 5}, expected_version=1).version == 2
        assert parts.update(bolt.id, {}, expected_version=2).version == 2
        with pytest.raises(StaleVersion):
            parts.update(bolt.id, {}, expected_version=1)


def test_a_stale_update_writes_nothing(shop: Database) -> None:
    bolt = add_bolt(shop, quantity=5)
    with shop.write_session() as session:
        Repository(Part, session).update(bolt.id, {"quantity": 6}, expected_version=1)
    for expected in (1, 3, 0, -1, 2**62):
        with shop.write_session() as session:
            parts = Repository(Part, session)
            with pytest.raises(StaleVersion) as caught:
                parts.update(bolt.id, {"quantity": 99}, expected_version=expected)
            assert (caught.value.expected, caught.value.actual) == (expected, 2)
            now = parts.get(bolt.id)
            assert (now.quantity, now.version) == (6, 2)
    with shop.read_session() as session:
        assert Repository(Part, session).get(bolt.id).version == 2


def test_a_versioned_row_is_not_overwritten_by_forgetting_the_version(
    shop: Database,
) -> None:
    bolt = add_bolt(shop)
    with shop.write_session() as session:
        parts = Repository(Part, session)
        with pytest.raises(InvalidValue, match="expected_version"):
            parts.update(bolt.id, {"quantity": 6})
        for wrong in ("1", 1.0, True):
            with pytest.raises(InvalidValue):
                parts.update(bolt.id, {"quantity": 6}, expected_version=wrong)  # type: ignore[arg-type]
        assert parts.update(bolt.id, {"quantity": 6}, any_version=True).version == 2
        bins = Repository(Bin, session)
        bin_ = bins.add({"label": "A"})
        with pytest.raises(InvalidValue, match="no version"):
            bins.update(bin_.id, {"label": "B"}, expected_version=1)
        assert bins.update(bin_.id, {"label": "B"}).label == "B"


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"version": 9}, InvalidValue),
        ({"id": uuid.uuid4()}, InvalidValue),
        ({"deleted_at": None}, InvalidValue),
        ({"quantity": 6, "version": 1}, InvalidValue),
        ({"quantitty": 6}, UnknownAttribute),
        ({"quantity": "6"}, InvalidValue),
        ({"quantity": 1_000_000}, CheckFailed),
        ({"name": None}, CheckFailed),
        ({"name": "Nut"}, Duplicate),
        ({"bin_id": uuid.uuid4()}, ForeignKeyMissing),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_refused_update_changes_nothing_anywhere(
    shop: Database, values: dict[str, Any], error: type[LockstepError]
) -> None:
    bolt = add_bolt(shop, quantity=5)
    with shop.write_session() as session:
        parts = Repository(Part, session)
        parts.add({"name": "Nut"})
        held = parts.get(bolt.id)
        with pytest.raises(error):
            parts.update(bolt.id, values, expected_version=1)
        with statements(shop) as seen:
            assert (held.name, held.quantity, held.version) == ("Bolt", 5, 1)
        assert seen == []
    assert (held.name, held.quantity, held.version) == ("Bolt", 5, 1)
    with shop.read_session() as session:
        now = Repository(Part, session).get(bolt.id)
        assert (now.name, now.quantity, now.version) == ("Bolt", 5, 1)
        assert Repository(Part, session).count() == 2


def test_an_update_can_compute_in_the_database(shop: Database) -> None:
    bolt = add_bolt(shop, quantity=5)
    with shop.write_session() as session:
        changed = Repository(Part, session).update(
            bolt.id, {"quantity": Part.quantity * 2}, expected_version=1
        )
    assert (changed.quantity, changed.version) == (10, 2)


def test_a_related_row_can_be_set_and_stays_in_step(shop: Database) -> None:
    with shop.write_session() as session:
        a, b = Repository(Bin, session).add_many([{"label": "A"}, {"label": "B"}])
        parts = Repository(Part, session)
        bolt = parts.add(Part(name="Bolt", bin=a))
        assert parts.update(bolt.id, {"bin": b}, expected_version=1).bin_id == b.id
        assert bolt.bin is b
        parts.update(bolt.id, {"note": "x"}, expected_version=2)
        assert bolt.bin is b
        parts.update(bolt.id, {"bin_id": a.id}, expected_version=3)
        with pytest.raises(NotLoaded):
            _ = bolt.bin
        with pytest.raises(InvalidValue, match="collection"):
            Repository(Bin, session).update(a.id, {"parts": []})


def test_an_absent_row_cannot_be_written(shop: Database) -> None:
    nobody = uuid.uuid4()
    with shop.write_session() as session:
        parts = Repository(Part, session)
        with pytest.raises(NotFound):
            parts.update(nobody, {"quantity": 1}, expected_version=1)
        with pytest.raises(NotFound):
            parts.delete(nobody)
        with pytest.raises(NotFound):
            parts.restore(nobody)
        with pytest.raises(NotFound):
            parts.adjust(nobody, Part.quantity, 1)


def test_a_deleted_row_is_hidden_until_it_is_restored(shop: Database) -> None:
    with shop.write_session() as session:
        home = Repository(Bin, session).add({"label": "A"})
    bolt = add_bolt(shop, bin_id=home.id)
    with shop.write_session(actor="bob") as session:
        parts = Repository(Part, session)
        parts.delete(bolt.id, expected_version=1)
        assert parts.find(bolt.id) is None
        assert parts.find(name="Bolt") is None
        assert parts.list() == [] == parts.get_many([bolt.id])
        assert list(parts.stream()) == []
        assert (parts.count(), parts.exists(), len(parts.page())) == (0, False, 0)
        assert Repository(Bin, session).count(Bin.parts.any()) == 0
        assert Repository(Bin, session).get(home.id, load=(Bin.parts,)).parts == []
        for hidden in (
            lambda: parts.get(bolt.id),
            lambda: parts.update(bolt.id, {"quantity": 1}, any_version=True),
            lambda: parts.adjust(bolt.id, Part.quantity, 1),
            lambda: parts.delete(bolt.id),
        ):
            with pytest.raises(NotFound):
                hidden()
        shown = parts.get(bolt.id, with_deleted=True)
        assert shown.deleted_at is not None
        assert (shown.version, shown.updated_by) == (2, "bob")
        assert parts.count(with_deleted=True) == len(parts.list(with_deleted=True))
        restored = parts.restore(bolt.id)
        assert (restored.deleted_at, restored.version) == (None, 3)
        assert parts.restore(bolt.id).version == 3
        assert parts.get(bolt.id).name == "Bolt"


def test_a_marked_row_holds_its_unique_values_until_it_is_removed(
    shop: Database,
) -> None:
    bolt = add_bolt(shop)
    with shop.write_session() as session:
        parts = Repository(Part, session)
        parts.delete(bolt.id)
        with pytest.raises(Duplicate):
            parts.add({"name": "Bolt"})
        parts.delete(bolt.id, hard=True)
        assert parts.add({"name": "Bolt"}).version == 1
        assert parts.count(with_deleted=True) == 1


def test_a_stale_delete_removes_nothing(shop: Database) -> None:
    bolt = add_bolt(shop)
    with shop.write_session() as session:
        parts = Repository(Part, session)
        for hard in (False, True):
            with pytest.raises(StaleVersion):
                parts.delete(bolt.id, expected_version=2, hard=hard)
        assert parts.get(bolt.id).version == 1
        parts.delete(bolt.id, expected_version=1, hard=True)
        assert parts.count(with_deleted=True) == 0


def test_a_parent_with_children_is_not_deleted(shop: Database) -> None:
    with shop.write_session() as session:
        home = Repository(Bin, session).add({"label": "A"})
        part = Repository(Part, session).add({"name": "Bolt", "bin_id": home.id})
        bins = Repository(Bin, session)
        with pytest.raises(ForeignKeyMissing):
            bins.delete(home.id)
        assert bins.get(home.id, load=(Bin.parts,)).parts == [part]
        with pytest.raises(ForeignKeyMissing):
            bins.delete(home.id)
        with pytest.raises(InvalidValue, match="SoftDelete"):
            bins.restore(home.id)
    with shop.read_session() as session:
        assert Repository(Part, session).get(part.id).bin_id == home.id


def test_a_read_session_refuses_every_write(shop: Database) -> None:
    bolt = add_bolt(shop)
    for write in (
        lambda parts: parts.add({"name": "Nut"}),
        lambda parts: parts.update(bolt.id, {"quantity": 1}, expected_version=1),
        lambda parts: parts.adjust(bolt.id, Part.quantity, 1),
        lambda parts: parts.delete(bolt.id),
        lambda parts: parts.upsert_many([{"id": bolt.id, "name": "x"}]),
    ):
        with pytest.raises(ReadOnlySession), shop.read_session() as session:
            write(Repository(Part, session))


def test_a_row_changed_behind_the_session_is_not_overwritten(shop: Database) -> None:
    bolt = add_bolt(shop)
    with shop.write_session() as session:
        parts = Repository(Part, session)
        held = parts.get(bolt.id)
        session.execute(sa.text("UPDATE part SET version = 5, quantity = 50"))
        with pytest.raises(StaleVersion) as caught:
            parts.update(bolt.id, {"quantity": 1}, expected_version=held.version)
        assert caught.value.actual == 5
        assert (held.version, held.quantity) == (5, 50)


def test_what_was_read_stays_readable_after_a_session_that_failed(
    shop: Database,
) -> None:
    bolt = add_bolt(shop, quantity=5)
    with pytest.raises(StaleVersion), shop.write_session() as session:
        parts = Repository(Part, session)
        held = parts.get(bolt.id)
        parts.update(bolt.id, {"quantity": 1}, expected_version=9)
    assert (held.name, held.quantity, held.version) == ("Bolt", 5, 1)
    with pytest.raises(NotLoaded):
        _ = held.bin


def test_a_transaction_that_failed_can_be_tried_again_with_its_instances(
    shop: Database,
) -> None:
    nut = Part(name="Nut")
    for is_last in (False, True):
        try:
            with shop.write_session() as session:
                Repository(Part, session).add(nut)
                if not is_last:
                    raise ConnectionAbortedError
        except ConnectionAbortedError:
            continue
    with shop.read_session() as session:
        assert Repository(Part, session).get(nut.id).version == 1
