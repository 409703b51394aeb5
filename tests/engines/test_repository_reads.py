"""Reading through a repository: keys, conditions, order, and what comes along."""

from __future__ import annotations

import pickle
import uuid
from decimal import Decimal as D

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload
from tests.engines.repository_models import Base, Bin, Part, create, statements

from lockstep.engine import Database
from lockstep.errors import (
    InvalidValue,
    LimitExceeded,
    NotFound,
    NotLoaded,
    SchemaError,
    UnknownAttribute,
)
from lockstep.repository import LIST_ROWS_MAX, Repository

pytestmark = pytest.mark.usefixtures("both_ways")


@pytest.fixture
def shop(db: Database) -> Database:
    create(db, Base)
    with db.write_session() as session:
        bins = Repository(Bin, session).add_many([{"label": "A"}, {"label": "B"}])
        Repository(Part, session).add_many(
            {
                "name": f"part {number}",
                "quantity": number,
                "price": D(number) / 4,
                "note": None if number % 2 else "even",
                "photo": b"jpg",
                "bin_id": bins[number % 2].id,
            }
            for number in range(6)
        )
    return db


def key_of(db: Database, name: str) -> uuid.UUID:
    with db.read_session() as session:
        found = Repository(Part, session).find(name=name)
        assert found is not None
        return found.id


def test_a_row_is_found_by_its_key(shop: Database) -> None:
    key = key_of(shop, "part 3")
    with shop.read_session() as session:
        parts = Repository(Part, session)
        by_value, by_name = parts.get(key), parts.get({"id": key})
        assert by_value is by_name is parts.get((key,)) is parts.find(key)
        assert by_value.price == D("0.75")


def test_an_absent_row_is_not_found(shop: Database) -> None:
    nobody = uuid.uuid4()
    with shop.read_session() as session:
        parts = Repository(Part, session)
        assert parts.find(nobody) is None
        with pytest.raises(NotFound, match=str(nobody)):
            parts.get(nobody)


@pytest.mark.parametrize(
    "key",
    ["text", 7, None, True, b"x", (1, 2), (), {"id": 1}, [None], 1.5, object()],
    ids=lambda value: type(value).__name__,
)
def test_a_key_of_the_wrong_kind_is_refused(shop: Database, key: object) -> None:
    with shop.read_session() as session:
        parts = Repository(Part, session)
        with pytest.raises(InvalidValue, match="Part's key"):
            parts.get(key)
        # The session goes on working: nothing was asked of the database.
        assert parts.count() == 6


def test_a_key_of_unknown_parts_names_the_right_one(shop: Database) -> None:
    with shop.read_session() as session, pytest.raises(UnknownAttribute, match="'id'"):
        Repository(Part, session).get({"idd": uuid.uuid4()})


def test_text_is_not_taken_for_a_uuid_but_the_hint_says_how(shop: Database) -> None:
    key = str(key_of(shop, "part 1"))
    with shop.read_session() as session:
        parts = Repository(Part, session)
        with pytest.raises(InvalidValue, match=r"uuid\.UUID\(text\)"):
            parts.get(key)


def test_many_rows_come_in_the_order_of_their_keys(shop: Database) -> None:
    keys = [key_of(shop, f"part {number}") for number in (4, 1, 5)]
    with shop.read_session() as session:
        found = Repository(Part, session).get_many([*keys, uuid.uuid4(), keys[0]])
        assert [part.name for part in found] == ["part 4", "part 1", "part 5", "part 4"]
        assert Repository(Part, session).get_many([]) == []


def test_conditions_are_expressions_mappings_and_keywords(shop: Database) -> None:
    with shop.read_session() as session:
        parts = Repository(Part, session)
        assert parts.count(Part.quantity > 2, note="even") == 1
        assert parts.count({"note": None}) == 3
        assert parts.count(Part.quantity > 2, {"note": "even"}, quantity=4) == 1
        assert parts.count(Part.bin.has(Bin.label == "A")) == 3
        assert parts.exists(quantity=5)
        assert not parts.exists(quantity=6)
        found = parts.find(Part.quantity == 2)
        assert found is not None
        assert parts.list(bin=parts.get(found.id, load=(Part.bin,)).bin)


@pytest.mark.parametrize("condition", [True, "name = 'x'", 7, None])
def test_what_is_no_condition_is_refused(shop: Database, condition: object) -> None:
    with shop.read_session() as session:
        parts = Repository(Part, session)
        with pytest.raises(InvalidValue, match="condition"):
            parts.list(condition)  # type: ignore[arg-type]


def test_a_misspelt_attribute_is_named(shop: Database) -> None:
    with shop.read_session() as session:
        parts = Repository(Part, session)
        with pytest.raises(UnknownAttribute, match="'quantity'"):
            parts.list(quantty=1)
        with pytest.raises(UnknownAttribute, match="'name'"):
            parts.list(order_by="nme")
        for wrong in ("name; DROP TABLE part", "metadata", "__class__", "", "--id"):
            with pytest.raises(UnknownAttribute):
                parts.list(order_by=wrong)
        for sort in ("bin", Part.bin, Part):
            with pytest.raises(InvalidValue):
                parts.list(order_by=sort)  # type: ignore[arg-type]
        with pytest.raises(InvalidValue, match="compared"):
            parts.list(bin="A")


def test_finding_one_of_several_is_refused(shop: Database) -> None:
    with shop.read_session() as session, pytest.raises(LimitExceeded):
        Repository(Part, session).find(note=None)


def test_order_by_names_columns_and_expressions(shop: Database) -> None:
    with shop.read_session() as session:
        parts = Repository(Part, session)

        def numbers(*order: object) -> list[int]:
            return [part.quantity for part in parts.list(order_by=order)]  # type: ignore[arg-type]

        assert numbers("-quantity") == [5, 4, 3, 2, 1, 0]
        assert numbers(Part.quantity.desc()) == numbers(sa.desc(Part.quantity))
        assert numbers("note", "-quantity") == [4, 2, 0, 5, 3, 1]
        assert numbers(Part.note.nulls_first(), Part.quantity) == [1, 3, 5, 0, 2, 4]
        assert numbers("-note", "quantity") == [1, 3, 5, 0, 2, 4]
        assert numbers(Part.quantity % 3, Part.quantity) == [0, 3, 1, 4, 2, 5]
        with pytest.raises(InvalidValue, match="no order"):
            numbers(Part.data)
        with pytest.raises(InvalidValue, match="order_by"):
            numbers(7)


def test_a_list_is_bounded_unless_its_length_is_named(db: Database) -> None:
    create(db, Base)
    with db.write_session() as session:
        bins = Repository(Bin, session)
        bins.add_many(
            ({"label": str(number)} for number in range(LIST_ROWS_MAX)),
            returning=False,
        )
        assert len(bins.list()) == LIST_ROWS_MAX
        bins.add({"label": "one more"})
        with pytest.raises(LimitExceeded, match="stream"):
            bins.list()
        assert len(bins.list(limit=3)) == 3
        assert len(bins.list(limit=LIST_ROWS_MAX + 5)) == LIST_ROWS_MAX + 1
        assert bins.list(limit=0) == []
        for wrong in (-1, True):
            with pytest.raises(InvalidValue, match="limit"):
                bins.list(limit=wrong)


def test_instances_can_be_read_after_their_session(shop: Database) -> None:
    with shop.read_session() as session:
        parts = Repository(Part, session).list(order_by="quantity", load=(Part.bin,))
    assert [part.name for part in parts][:2] == ["part 0", "part 1"]
    assert [part.bin.label for part in parts if part.bin] == ["A", "B"] * 3
    copy = pickle.loads(pickle.dumps(parts[0]))
    assert copy.name == "part 0"
    with pytest.raises(NotLoaded):
        _ = copy.photo


@pytest.mark.parametrize("is_open", [True, False])
def test_what_was_not_loaded_says_so(shop: Database, is_open: bool) -> None:
    with shop.read_session() as session:
        part = Repository(Part, session).list(limit=1)[0]
        bin_ = Repository(Bin, session).list(limit=1)[0]
        if is_open:
            with statements(shop) as seen:
                _refuses(part, bin_)
            assert seen == []
    if not is_open:
        _refuses(part, bin_)


def _refuses(part: Part, bin_: Bin) -> None:
    with pytest.raises(NotLoaded, match=r"load=\(Part\.bin,\)"):
        _ = part.bin
    with pytest.raises(NotLoaded, match=r"Part\.photo"):
        _ = part.photo
    with pytest.raises(NotLoaded, match=r"Bin\.parts"):
        _ = bin_.parts


def test_loads_nest_and_cost_one_query_each(shop: Database) -> None:
    with shop.read_session() as session, statements(shop) as seen:
        parts = Repository(Part, session).list(load=(Part.bin, Bin.parts, Part.photo))
        assert len(seen) == 3
    for part in parts:
        assert part.photo == b"jpg"
        assert part.bin is not None
        assert part in part.bin.parts


def test_a_load_that_leads_nowhere_is_refused(shop: Database) -> None:
    with shop.read_session() as session:
        parts = Repository(Part, session)
        for wrong in (Bin.parts, "bin", 7, Part):
            with pytest.raises(InvalidValue, match="load="):
                parts.list(load=(wrong,))  # type: ignore[arg-type]


def test_sqlalchemys_own_loader_options_work(shop: Database) -> None:
    with shop.read_session() as session:
        bins = Repository(Bin, session).list(load=(joinedload(Bin.parts),))
    assert sorted(len(bin_.parts) for bin_ in bins) == [3, 3]
    with pytest.raises(NotLoaded):
        _ = bins[0].parts[0].photo


def test_a_read_shows_the_row_as_it_is_now(shop: Database) -> None:
    key = key_of(shop, "part 3")
    with shop.write_session() as session:
        parts = Repository(Part, session)
        part = parts.get(key)
        session.execute(sa.text("UPDATE part SET quantity = 77 WHERE name = 'part 3'"))
        assert part.quantity == 3
        assert parts.get(key) is part
        assert part.quantity == 77


def test_a_read_keeps_what_was_changed_and_not_yet_written(shop: Database) -> None:
    key = key_of(shop, "part 3")
    with Session(shop.engine, autoflush=False) as session:
        part = Repository(Part, session).get(key)
        part.quantity = 55
        assert Repository(Part, session).get(key).quantity == 55
    with shop.write_session() as session:
        part = Repository(Part, session).get(key)
        part.quantity = 56
        assert Repository(Part, session).count(quantity=56) == 1


def test_only_models_and_sessions_make_a_repository(shop: Database) -> None:
    with shop.read_session() as session:
        for wrong in (int, object(), "part", sa.Table("x", sa.MetaData())):
            with pytest.raises(SchemaError, match="mapped class"):
                Repository(wrong, session)  # type: ignore[arg-type,type-var]
    with pytest.raises(InvalidValue, match="Session"):
        Repository(Part, shop.async_engine)  # type: ignore[arg-type]
