"""Models of every kind SQLAlchemy knows, through one repository."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel
from tests.engines.repository_models import create, statements
from tests.engines.repository_zoo import (
    Account,
    Base,
    Board,
    Cook,
    Driver,
    Eager,
    Line,
    Node,
    Note,
    Odd,
    Person,
    Point,
    Song,
    Staff,
    Stamped,
    Tag,
    Verse,
)

from lockstep.engine import Database
from lockstep.errors import (
    Duplicate,
    ForeignKeyMissing,
    InvalidValue,
    NotFound,
    NotLoaded,
    StaleVersion,
    UnknownAttribute,
)
from lockstep.repository import Repository

pytestmark = pytest.mark.usefixtures("both_ways")


class Hero(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    age: int = 0


@pytest.fixture
def zoo(db: Database) -> Database:
    return create(db, Base)


def test_composite_keys(zoo: Database) -> None:
    with zoo.write_session() as session:
        lines, notes = Repository(Line, session), Repository(Note, session)
        lines.add_many(
            {"order_no": number, "position": place}
            for number in (1, 2)
            for place in ("a", "b")
        )
        assert lines.get((1, "b")) is lines.get({"position": "b", "order_no": 1})
        for wrong in (1, (1,), ("b", 1), (1, "b", 2), {"order_no": 1}):
            with pytest.raises(InvalidValue):
                lines.get(wrong)
        wanted = [(2, "a"), (9, "z"), (1, "b"), (1, "z")]
        assert [(line.order_no, line.position) for line in lines.get_many(wanted)] == [
            (2, "a"),
            (1, "b"),
        ]
        notes.add({"order_no": 1, "position": "a"})
        with pytest.raises(ForeignKeyMissing):
            notes.add({"order_no": 1, "position": "z"})
        with pytest.raises(ForeignKeyMissing):
            lines.delete((1, "a"))
        lines.delete((2, "b"))
        assert lines.update((1, "b"), {"text": "x"}).text == "x"
        assert lines.upsert_many([{"order_no": 1, "position": "b", "text": "y"}]) == 1
        assert lines.get((1, "b")).text == "y"
        seen = [(line.order_no, line.position) for line in lines.stream(batch_size=1)]
        assert seen == [(1, "a"), (1, "b"), (2, "a")]
        loaded = notes.list(load=(Note.line, Line.notes))
        assert loaded[0].line.notes == loaded


def test_self_references_load_and_delete_as_deep_as_asked(zoo: Database) -> None:
    with zoo.write_session() as session:
        nodes = Repository(Node, session)
        root = nodes.add(
            Node(name="1", children=[Node(name="2", children=[Node(name="3")])])
        )
    with zoo.read_session() as session:
        path = (Node.children, Node.children)
        root = Repository(Node, session).get(root.id, load=(path,))
        leaf = root.children[0].children[0]
        assert leaf.name == "3"
        with pytest.raises(NotLoaded):
            _ = leaf.children
        everybody = Repository(Node, session).list(load=(Node.children, Node.parent))
        assert sorted(len(node.children) for node in everybody) == [0, 1, 1]
    with zoo.write_session() as session:
        nodes = Repository(Node, session)
        nodes.delete(root.id)
        assert nodes.count() == 0


def test_cycles(zoo: Database) -> None:
    with zoo.write_session() as session:
        people, boards = Repository(Person, session), Repository(Board, session)
        ann = people.add({})
        board = boards.add({"owner_id": ann.id})
        people.update(ann.id, {"board_id": board.id})
        with pytest.raises(ForeignKeyMissing):
            people.delete(ann.id)
        loaded = boards.get(board.id, load=(Board.owner, Person.board))
        assert loaded.owner.board is loaded
        people.update(ann.id, {"board": None})
        boards.delete(board.id)
        people.delete(ann.id)
        # What comes into the session along with an instance is sealed like it.
        other = boards.add(Board(owner=Person()))
        with pytest.raises(NotLoaded):
            _ = other.owner.board


def test_joined_and_single_table_inheritance(zoo: Database) -> None:
    with zoo.write_session() as session:
        staff, drivers = Repository(Staff, session), Repository(Driver, session)
        bob = drivers.add({"name": "Bob", "licence": "C"})
        Repository(Cook, session).add({"name": "Cid", "dish": "stew"})
        staff.add({"name": "Ann"})
        assert drivers.update(bob.id, {"licence": "D"}, expected_version=1).version == 2
        with pytest.raises(StaleVersion):
            drivers.update(bob.id, {"licence": "E"}, expected_version=1)
        assert staff.update(bob.id, {"name": "Rob"}, expected_version=2) is bob
        assert drivers.adjust(bob.id, Driver.tours, 5) == 5
        assert (bob.name, bob.tours, bob.version) == ("Rob", 5, 4)
        rows = [{"id": bob.id, "name": "Bob", "licence": "C"}]
        new = uuid.uuid4()
        assert drivers.upsert_many([*rows, {**rows[0], "id": new}]) == 2
        assert (bob.name, bob.licence, bob.version) == ("Bob", "C", 5)
        assert type(staff.get(new)) is Driver
        drivers.delete(new, hard=True)
    with zoo.read_session() as session, statements(zoo) as seen:
        everybody = Repository(Staff, session).list(order_by="name")
        assert len(seen) <= 3
    assert [type(one) for one in everybody] == [Staff, Driver, Cook]
    assert (everybody[1].licence, everybody[2].dish) == ("C", "stew")  # type: ignore[attr-defined]
    with zoo.write_session() as session:
        cooks = Repository(Cook, session)
        with pytest.raises(NotFound):
            cooks.get(bob.id)
        with pytest.raises(NotFound):
            cooks.update(bob.id, {"dish": "none"}, any_version=True)
        Repository(Staff, session).delete(bob.id)
        with pytest.raises(NotFound):
            Repository(Driver, session).adjust(bob.id, Driver.tours, 1)
        assert Repository(Driver, session).restore(bob.id).version == 7
        pages = Repository(Staff, session).page(order_by="-name", size=2)
        assert [one.name for one in pages] == ["Cid", "Bob"]


def test_names_expressions_and_values_that_are_not_what_they_seem(
    zoo: Database,
) -> None:
    with zoo.write_session() as session:
        odds = Repository(Odd, session)
        odd = odds.add({"first": "Ada", "last": "Low", "tags": {"a": 1}})
        assert (odd.key, odd.length, odd.state, odd.full) == (1, 3, "new", "Ada Low")
        assert odds.find(full="Ada Low", given="Ada") is odd
        changed = odds.update(1, {"full": "Grace Hop", "point": Point(7, 8)})
        assert (changed.first, changed.length, changed.y) == ("Grace", 5, 8)
        assert changed.point == Point(7, 8)
        assert odds.update(1, {"x": 3}).point == Point(3, 8)
        assert odds.update(1, {"given": "Eve"}).first == "Eve"
        with pytest.raises(InvalidValue, match="not for update"):
            odds.update(1, {"number": 7})
        with pytest.raises(ValueError, match="not empty"):
            odds.update(1, {"first": "Al", "last": ""})
        assert (odd.first, odd.full) == ("Eve", "Eve Hop")
        assert odd.tags is not None
        odd.tags["b"] = 2
        assert odds.get(1).tags == {"a": 1, "b": 2}
        assert odds.adjust(1, "x", 4) == odd.x == 7
        assert odds.upsert_many([{"key": 1, "first": "Max", "last": "P"}]) == 1
        assert (odd.first, odd.length) == ("Max", 3)
        with pytest.raises(UnknownAttribute):
            odds.upsert_many([{"pk": 1}])
        assert [each.key for each in odds.page(order_by=Odd.full)] == [1]
        assert [each.key for each in odds.page(order_by="-length", size=1)] == [1]


def test_collections_of_every_kind(zoo: Database) -> None:
    with zoo.write_session() as session:
        songs = Repository(Song, session)
        song = Song(tags=[Tag(name="folk")], verses={"1": Verse(name="1")})
        songs.add(song)
        assert song.tag_names == ["folk"]
        with pytest.raises(ForeignKeyMissing):
            songs.delete(song.id)
        # A refused delete leaves the association lines where they were.
        assert songs.get(song.id, load=(Song.tags,)).tag_names == ["folk"]
        found = songs.get(song.id, load=(Song.tags, Song.verses))
        Repository(Verse, session).delete(found.verses["1"].id)
        songs.delete(song.id)
        assert Repository(Tag, session).count() == 1
    with zoo.write_session() as session:
        song = Repository(Song, session).add({})
        song = Repository(Song, session).list()[0]
        assert session.scalars(song.plays.select()).all() == []
    with pytest.raises(NotLoaded):
        _ = song.tag_names


def test_relationships_that_the_mapping_loads(zoo: Database) -> None:
    with zoo.write_session() as session:
        rows = Repository(Eager, session)
        last = rows.add({})
        first = rows.add({"next_id": last.id})
        assert rows.update(first.id, {"next_id": last.id}) is first
    with zoo.read_session() as session:
        rows = Repository(Eager, session)
        again = rows.get(first.id)
        assert rows.get_many([first.id, last.id])[0] is again
    assert again.next is not None
    assert (again.next.id, again.next.next, again.songs) == (last.id, None, [])


def test_dataclasses_are_made_by_their_constructor(zoo: Database) -> None:
    with zoo.write_session() as session:
        accounts = Repository(Account, session)
        assert accounts.add({"name": "Ann"}).id == 1
        assert accounts.add(Account("Bob")).token == "none"
        with pytest.raises(InvalidValue, match="token"):
            accounts.add({"name": "Cid", "token": "x"})
        assert accounts.upsert_many([{"id": 1, "name": "Amy", "token": "t"}]) == 1
        assert accounts.get(1).name == "Amy"


def test_versions_of_the_models_own_making(zoo: Database) -> None:
    with zoo.write_session() as session:
        rows = Repository(Stamped, session)
        row = rows.add({"name": "a"})
        etags = [row.etag]
        etags.append(rows.update(row.id, {"name": "b"}, any_version=True).etag)
        rows.upsert_many([{"id": row.id, "name": "c"}])
        etags.append(row.etag)
        assert len(set(etags)) == 3


def test_plain_models_of_every_making(db: Database) -> None:
    plain = registry()
    table = sa.Table(
        "thing",
        plain.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(20), unique=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("touched", sa.Integer, default=0, onupdate=9),
    )

    class Thing:
        id: int
        name: str
        version: int
        touched: int

    plain.map_imperatively(Thing, table, version_id_col=table.c.version)
    plain.metadata.create_all(db.engine)
    with db.write_session() as session:
        things = Repository(Thing, session)
        thing = things.add({"name": "a"})
        assert (thing.id, thing.version, thing.touched) == (1, 1, 0)
        assert things.update(1, {"name": "b"}, expected_version=1).touched == 9
        with pytest.raises(StaleVersion):
            things.update(1, {"name": "c"}, expected_version=1)
        with pytest.raises(Duplicate):
            things.add({"name": "b"})
        with pytest.raises(NotFound):
            things.get(2**40)
        with pytest.raises(InvalidValue, match="64 bits"):
            things.get(2**64)
        things.upsert_many([{"name": "b"}, {"name": "z"}], match_on=["name"])
        assert [(each.version, each.name) for each in things.list()] == [
            (3, "b"),
            (1, "z"),
        ]
        assert things.adjust(1, "touched", -9) == 0


def test_sqlmodel(db: Database) -> None:
    SQLModel.metadata.create_all(db.engine)
    with db.write_session() as session:
        heroes = Repository(Hero, session)
        hero = heroes.add({"name": "Ann"})
        assert heroes.add(Hero(name="Bob", age=3)).id == 2
        assert heroes.update(1, {"age": 40}).age == 40
        assert heroes.adjust(1, "age", 2) == 42
        with pytest.raises(UnknownAttribute, match="'name'"):
            heroes.add({"nme": "Cid"})
        assert heroes.upsert_many([{"id": 1, "name": "Amy"}, {"id": 5, "name": "x"}])
        assert [each.name for each in heroes.page(order_by="-name", size=2)] == [
            "x",
            "Bob",
        ]
        heroes.delete(2)
    assert hero.model_dump() == {"id": 1, "name": "Amy", "age": 42}
