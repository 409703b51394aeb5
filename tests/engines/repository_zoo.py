"""Models of every kind SQLAlchemy knows, for one repository to cope with."""

from __future__ import annotations

import uuid
from decimal import Decimal as D
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    WriteOnlyMapped,
    attribute_keyed_dict,
    column_property,
    composite,
    mapped_column,
    query_expression,
    relationship,
    synonym,
    validates,
)

from lockstep.schema import Decimal, Json, Portable, SoftDelete, UuidKey, Versioned


class Base(Portable, DeclarativeBase):
    """Unusual models over portable types."""


class Line(Base):
    """A composite key, and a foreign key of two columns to it."""

    __tablename__ = "line"

    order_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str | None]
    notes: Mapped[list[Note]] = relationship(back_populates="line")


class Note(UuidKey, Base):
    __tablename__ = "note"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["order_no", "position"], ["line.order_no", "line.position"]
        ),
    )

    order_no: Mapped[int]
    position: Mapped[str]
    line: Mapped[Line] = relationship(back_populates="notes")


class Node(UuidKey, Base):
    """A self reference with a delete cascade."""

    __tablename__ = "node"

    name: Mapped[str]
    parent_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("node.id"))
    parent: Mapped[Node | None] = relationship(
        back_populates="children", remote_side="Node.id"
    )
    children: Mapped[list[Node]] = relationship(
        back_populates="parent", cascade="all, delete-orphan", order_by="Node.name"
    )


class Person(UuidKey, Base):
    """One half of a cycle."""

    __tablename__ = "person"

    board_id: Mapped[uuid.UUID | None] = mapped_column(
        sa.ForeignKey("board.id", use_alter=True)
    )
    board: Mapped[Board | None] = relationship(foreign_keys=[board_id])


class Board(UuidKey, Base):
    __tablename__ = "board"

    owner_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("person.id"))
    owner: Mapped[Person] = relationship(foreign_keys=[owner_id])


class Staff(UuidKey, Versioned, SoftDelete, Base):
    """The root of a joined inheritance."""

    __tablename__ = "staff"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "staff"}

    kind: Mapped[str]
    name: Mapped[str]


class Driver(Staff):
    __tablename__ = "driver"
    __mapper_args__ = {"polymorphic_identity": "driver"}

    id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("staff.id"), primary_key=True)
    licence: Mapped[str]
    tours: Mapped[int] = mapped_column(default=0)


class Cook(Staff):
    """Shares the table of the root."""

    __mapper_args__ = {"polymorphic_identity": "cook"}

    dish: Mapped[str | None]


class Point:
    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __composite_values__(self) -> tuple[int, int]:
        return self.x, self.y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    def __hash__(self) -> int:
        return hash((self.x, self.y))


class OddlyNamed(Base):
    """Columns whose names SQLAlchemy cannot give to parameters."""

    __tablename__ = "oddly named"

    key: Mapped[int] = mapped_column("key (1)", primary_key=True)
    price: Mapped[D] = mapped_column("the price: 50%", Decimal(20, 4))
    about: Mapped[dict[str, Any]] = mapped_column("a.b", Json())
    at: Mapped[uuid.UUID] = mapped_column("[at]", index=True)


class Odd(Base):
    """Names, expressions and values that are not what they seem."""

    __tablename__ = "odd"

    key: Mapped[int] = mapped_column("pk", primary_key=True)
    first: Mapped[str] = mapped_column("given name")
    last: Mapped[str] = mapped_column("order")
    x: Mapped[int] = mapped_column(default=1)
    y: Mapped[int] = mapped_column(default=2)
    point: Mapped[Point] = composite("x", "y")
    state: Mapped[str] = mapped_column(server_default="new")
    tags: Mapped[dict[str, Any] | None] = mapped_column(
        MutableDict.as_mutable(sa.JSON())
    )
    length: Mapped[int] = column_property(sa.func.length(first))
    total: Mapped[int | None] = query_expression()
    given = synonym("first")
    number = synonym("key")

    @hybrid_property
    def full(self) -> str:
        return f"{self.first} {self.last}"

    @full.inplace.setter
    def _set_full(self, value: str) -> None:
        self.first, self.last = value.split(" ", 1)

    @full.inplace.expression
    @classmethod
    def _full_sql(cls) -> sa.ColumnElement[str]:
        return cls.first + " " + cls.last

    @validates("last")
    def _check_last(self, _: str, value: str) -> str:
        if not value:
            raise ValueError("a last name is not empty")
        return value


tag_of_song = sa.Table(
    "tag_of_song",
    Base.metadata,
    sa.Column("song_id", sa.ForeignKey("song.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tag.id"), primary_key=True),
)


class Song(UuidKey, Base):
    """Many to many, a keyed collection, one that is only written."""

    __tablename__ = "song"

    tags: Mapped[list[Tag]] = relationship(secondary=tag_of_song, backref="songs")
    verses: Mapped[dict[str, Verse]] = relationship(
        collection_class=attribute_keyed_dict("name")
    )
    plays: WriteOnlyMapped[Play] = relationship()
    tag_names: AssociationProxy[list[str]] = association_proxy("tags", "name")


class Tag(UuidKey, Base):
    __tablename__ = "tag"
    name: Mapped[str] = mapped_column(unique=True)


class Verse(UuidKey, Base):
    __tablename__ = "verse"
    name: Mapped[str]
    song_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("song.id"))


class Play(UuidKey, Base):
    __tablename__ = "play"
    song_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("song.id"))


class Eager(UuidKey, Base):
    """Loads its neighbour by the mapping itself."""

    __tablename__ = "eager"
    next_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("eager.id"))
    next: Mapped[Eager | None] = relationship(
        remote_side="Eager.id", lazy="joined", join_depth=2
    )
    songs: Mapped[list[Song]] = relationship(
        primaryjoin="foreign(Song.id) == Eager.id", viewonly=True, lazy="selectin"
    )


class Account(MappedAsDataclass, Base):
    """A dataclass whose key is not for its constructor."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str]
    token: Mapped[str] = mapped_column(init=False, default="none")


class Stamped(Base):
    """A version that is a text of the model's own making."""

    __tablename__ = "stamped"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    etag: Mapped[str] = mapped_column()
    __mapper_args__ = {
        "version_id_col": etag,
        "version_id_generator": lambda _: uuid.uuid4().hex,
    }
