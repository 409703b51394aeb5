"""Portable types in everyday ORM code, on every engine."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import Any, Literal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    aliased,
    column_property,
    mapped_column,
    relationship,
)

import lockstep as ls

D = decimal.Decimal


class Status(enum.Enum):
    OPEN = "open"
    DONE = "done"


class Rank(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Base(ls.Portable, DeclarativeBase):
    pass


class Order(ls.UuidKey, Base):
    __tablename__ = "order"

    status: Mapped[Status] = mapped_column(default=Status.OPEN)
    rank: Mapped[Rank | None]
    size: Mapped[Literal["s", "m", "l"] | None]
    start: Mapped[dt.time | None]
    data: Mapped[dict[str, Any] | None] = mapped_column(
        MutableDict.as_mutable(ls.Json())
    )
    tags: Mapped[list[str] | None] = mapped_column(
        MutableList.as_mutable(ls.Array(ls.Text()))
    )
    lines: Mapped[list[Line]] = relationship(back_populates="order")


class Line(Base):
    __tablename__ = "line"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("order.id"))
    price: Mapped[D] = mapped_column(ls.Money())
    quantity: Mapped[int] = mapped_column()
    order: Mapped[Order] = relationship(back_populates="lines")
    amount = column_property(price * quantity)

    @hybrid_property
    def gross(self) -> D:
        return self.price * D("1.19")


Order.total = column_property(
    sa.select(sa.func.coalesce(sa.func.sum(Line.price * Line.quantity), 0))
    .where(Line.order_id == Order.id)
    .correlate_except(Line)
    .scalar_subquery()
)


@pytest.fixture
def session(db: ls.Database) -> Any:
    Base.metadata.create_all(db.engine)
    with Session(db.engine) as session:
        yield session


def make_order(session: Session, **values: Any) -> Order:
    order = Order(**values)
    order.lines = [
        Line(price=D("1.25"), quantity=2),
        Line(price=D("0.10"), quantity=3),
    ]
    session.add(order)
    session.commit()
    return order


def test_computed_attributes_are_exact(session: Session) -> None:
    order = make_order(session)
    assert order.total == D("2.80")
    assert sorted(line.amount for line in order.lines) == [D("0.30"), D("2.50")]
    query = sa.select(Line.gross).order_by(Line.id)
    assert session.scalars(query).all() == [D("1.4875"), D("0.1190")]
    assert [line.gross for line in order.lines] == [D("1.4875"), D("0.1190")]
    empty = Order()
    session.add(empty)
    session.commit()
    assert empty.total == 0


def test_annotations_alone_make_checked_enums(session: Session) -> None:
    order = make_order(session, rank=Rank.HIGH, size="m", start=dt.time(7, 30, 0, 1))
    session.expire_all()
    assert (order.status, order.rank, order.size) == (Status.OPEN, Rank.HIGH, "m")
    assert order.start == dt.time(7, 30, 0, 1)
    query = sa.select(Order.id).where(
        Order.status == Status.OPEN, Order.rank == Rank.HIGH
    )
    assert session.scalars(query).all() == [order.id]
    assert session.scalars(sa.select(Order.status).where(Order.size == "m")).all() == [
        Status.OPEN
    ]
    order.size = "xl"  # type: ignore[assignment]
    with pytest.raises(sa.exc.StatementError, match="not one of s, m, l"):
        session.commit()


def test_changes_inside_documents_and_lists_are_seen(session: Session) -> None:
    order = make_order(session, data={"a": 1}, tags=["x"])
    assert order.data is not None
    assert order.tags is not None
    order.data["b"] = 1e23
    order.tags.append("y")
    session.commit()
    session.expire_all()
    assert (order.data, order.tags) == ({"a": 1, "b": 1e23}, ["x", "y"])
    assert isinstance(order.data["b"], float)


def test_none_is_sql_null(session: Session) -> None:
    order = make_order(session, data=None, tags=None)
    for column in (Order.data, Order.tags):
        query = sa.select(Order.id).where(column.is_(None))
        assert session.scalars(query).all() == [order.id]
    order.data = {"a": None}
    session.commit()
    order.data = None
    session.commit()
    assert session.scalars(sa.select(Order.data)).all() == [None]


def test_aliases_paths_and_membership(session: Session) -> None:
    order = make_order(session, data={"a": {"b": [1, "two"]}}, tags=["x", "y"])
    other = aliased(Order)
    query = (
        sa.select(other.id, Order.data["a"]["b"][1].as_string())
        .join(Order, other.id == Order.id)
        .where(other.data["a"]["b"][0].as_integer() == 1, other.tags.contains("y"))
    )
    assert session.execute(query).all() == [(order.id, "two")]
    inner = sa.select(Order.data.label("doc"), Order.tags).subquery()
    query = sa.select(inner.c.doc["a"]["b"][1].as_string()).where(inner.c.tags.has("x"))
    assert session.scalars(query).all() == ["two"]


def test_bulk_statements_return_portable_values(session: Session) -> None:
    order = make_order(session)
    rows = [{"order_id": order.id, "price": D(n), "quantity": n} for n in range(3)]
    back = session.scalars(sa.insert(Line).returning(Line), rows).all()
    assert [line.price for line in back] == [D(0), D(1), D(2)]
    changed = session.execute(
        sa.update(Line)
        .where(Line.price >= D("0.5"))
        .values(price=Line.price * 2 + D("0.05"))
        .returning(Line.price, Line.order_id)
    ).all()
    assert sorted(changed) == [
        (D("2.05"), order.id),
        (D("2.55"), order.id),
        (D("4.05"), order.id),
    ]
    session.commit()
    gone = session.scalars(
        sa.delete(Line).where(Line.price.in_([D("2.05"), D("9")])).returning(Line.price)
    ).all()
    assert gone == [D("2.05")]


def test_the_session_evaluates_conditions_as_the_database_does(
    session: Session,
) -> None:
    order = make_order(session)
    statement = sa.update(Line).where(Line.price > D("1"), Line.order_id == order.id)
    session.execute(
        statement.values(quantity=7),
        execution_options={"synchronize_session": "evaluate"},
    )
    assert sorted(line.quantity for line in order.lines) == [3, 7]


def test_upserts_keep_the_scale(session: Session, db: ls.Database) -> None:
    from sqlalchemy.dialects import postgresql, sqlite

    insert = (sqlite if db.dialect_name == "sqlite" else postgresql).insert
    order = make_order(session)
    first = session.scalars(sa.select(Line).order_by(Line.id)).first()
    assert first is not None
    statement = insert(Line).values(
        id=first.id, order_id=order.id, price=D("9.99"), quantity=1
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={"price": Line.price + statement.excluded.price, "quantity": 5},
        )
    )
    session.expire_all()
    assert (first.price, first.quantity) == (D("11.24"), 5)


def test_dataclass_models_work(db: ls.Database) -> None:
    class Own(MappedAsDataclass, ls.Portable, DeclarativeBase):
        pass

    class Point(Own):
        __tablename__ = "point"
        id: Mapped[int] = mapped_column(primary_key=True, init=False)
        price: Mapped[D] = mapped_column(ls.Money())
        data: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)

    Own.metadata.create_all(db.engine)
    with Session(db.engine) as session:
        session.add(Point(price=D(1)))
        session.commit()
        point = session.scalars(sa.select(Point)).one()
        assert (point.id, point.price, point.data) == (1, D("1.00"), {})


def test_a_base_of_ones_own_keeps_what_it_defines() -> None:
    metadata = sa.MetaData()

    class Own(ls.Portable, DeclarativeBase):
        type_annotation_map = {str: ls.Text(5)}

    class Foreign(ls.Portable, DeclarativeBase):
        pass

    Foreign.metadata = metadata

    class Named(Own):
        __tablename__ = "named"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    assert repr(Named.__table__.c.name.type) == "Text(5)"
    assert repr(Named.__table__.c.id.type) == "BigInteger()"
    assert Own.metadata is not Base.metadata
