"""Atomic arithmetic: what is added, what is refused, what it leaves behind."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Mapped as M
from sqlalchemy.orm import mapped_column as column
from tests.engines.repository_models import Base, Part, create, statements

from lockstep.engine import Database
from lockstep.errors import (
    CheckFailed,
    InvalidValue,
    NotEnough,
    UnknownAttribute,
)
from lockstep.repository import Repository
from lockstep.schema import Decimal, Portable, Timestamped, Versioned

pytestmark = pytest.mark.usefixtures("both_ways")


class OwnBase(Portable, DeclarativeBase):
    """Models of this test."""


class Stock(Versioned, Timestamped, OwnBase):
    __tablename__ = "stock"

    id: M[int] = column(primary_key=True)
    count: M[int | None]
    weight: M[float | None] = column(default=1.5)
    price: M[D | None] = column(Decimal(18, 4), default=D("2.5"))
    large: M[D] = column(Decimal(30, 6), default=D("1.000001"))
    small: M[int] = column(sa.SmallInteger, default=1)
    name: M[str] = column(default="x")
    flag: M[bool] = column(default=True)


@pytest.fixture
def stock(db: Database) -> Database:
    create(db, OwnBase)
    with db.write_session() as session:
        Repository(Stock, session).add_many([{"count": 5}, {"count": None}])
    return db


@pytest.mark.parametrize(
    ("name", "by", "expected"),
    [
        ("count", -5, 0),
        ("count", 3, 8),
        ("count", 0, 5),
        ("count", 2**63 - 6, 2**63 - 1),
        ("weight", -0.5, 1.0),
        ("weight", 2, 3.5),
        ("price", D("-2.4999"), D("0.0001")),
        ("price", D("0.0001"), D("2.5001")),
        ("price", 3, D("5.5")),
        (
            "large",
            D("123456789012345678901234.5"),
            D("123456789012345678901235.500001"),
        ),
        ("large", D("-1.000001"), D(0)),
        ("small", -1, 0),
    ],
)
def test_a_number_is_added(stock: Database, name: str, by: Any, expected: Any) -> None:
    with stock.write_session() as session:
        rows = Repository(Stock, session)
        assert rows.adjust(1, name, by) == expected
        assert rows.adjust(1, getattr(Stock, name), 0) == expected
    with stock.read_session() as session:
        row = Repository(Stock, session).get(1)
    assert (getattr(row, name), row.version) == (expected, 3)
    assert row.updated_at > row.created_at


@pytest.mark.parametrize(
    ("name", "by", "floor", "available"),
    [
        ("count", -6, 0, 5),
        ("count", -3, 3, 2),
        ("count", -1, 9, 0),
        ("weight", -1.6, 0, 1.5),
        ("price", D("-2.5001"), 0, D("2.5")),
        ("price", D("-1"), D("2"), D("0.5")),
        ("large", D("-1.000002"), 0, D("1.000001")),
    ],
)
def test_what_is_not_there_is_not_taken(
    stock: Database, name: str, by: Any, floor: Any, available: Any
) -> None:
    with stock.write_session() as session:
        rows = Repository(Stock, session)
        before = rows.get(1)
        value = getattr(before, name)
        with pytest.raises(NotEnough) as caught:
            rows.adjust(1, name, by, floor=floor)
        assert (caught.value.wanted, caught.value.available) == (-by, available)
        assert (getattr(rows.get(1), name), rows.get(1).version) == (value, 1)
        assert rows.adjust(1, name, by, floor=None) == value + by


@pytest.mark.parametrize(
    ("name", "by", "error"),
    [
        ("count", 1.5, InvalidValue),
        ("count", D(1), InvalidValue),
        ("count", True, InvalidValue),
        ("count", "1", InvalidValue),
        ("count", None, InvalidValue),
        ("count", 2**63, InvalidValue),
        ("count", 2**63 - 5, InvalidValue),
        ("price", 0.5, InvalidValue),
        ("price", D("0.00001"), InvalidValue),
        ("price", D("NaN"), InvalidValue),
        ("price", D("1e30"), InvalidValue),
        ("name", 1, InvalidValue),
        ("flag", 1, InvalidValue),
        ("version", 1, InvalidValue),
        ("id", 1, InvalidValue),
        ("cuont", 1, UnknownAttribute),
    ],
)
def test_what_cannot_be_added_is_refused_and_the_session_goes_on(
    stock: Database, name: str, by: Any, error: type[Exception]
) -> None:
    with stock.write_session() as session:
        rows = Repository(Stock, session)
        with pytest.raises(error):
            rows.adjust(1, name, by)
        assert (rows.get(1).count, rows.get(1).version) == (5, 1)
        with pytest.raises(InvalidValue, match="NULL"):
            rows.adjust(2, "count", 1)
        assert rows.adjust(1, "count", 1) == 6


@pytest.mark.parametrize("name", ["count", "price", "weight"])
@pytest.mark.parametrize("by", [2, -2])
def test_nothing_is_added_to_what_is_not_there(
    stock: Database, name: str, by: int
) -> None:
    with stock.write_session() as session:
        session.execute(sa.text(f"UPDATE stock SET {name} = NULL"))
        rows = Repository(Stock, session)
        with pytest.raises(InvalidValue, match="NULL"):
            rows.adjust(1, name, by)
        assert rows.get(1).version == 1


def test_an_addition_is_not_refused_for_lying_below_the_floor(stock: Database) -> None:
    with stock.write_session() as session:
        rows = Repository(Stock, session)
        assert rows.adjust(1, "count", -8, floor=None) == -3
        assert rows.adjust(1, "count", 1) == -2
        with pytest.raises(NotEnough) as caught:
            rows.adjust(1, "count", -1)
        assert caught.value.available == 0


def test_a_constraint_has_the_last_word(db: Database) -> None:
    create(db, Base)
    with db.write_session() as session:
        parts = Repository(Part, session)
        part = parts.add({"name": "Bolt", "quantity": 999_999})
        with pytest.raises(CheckFailed):
            parts.adjust(part.id, "quantity", 1)
        assert (part.quantity, part.version) == (999_999, 1)
        assert parts.adjust(part.id, "quantity", -1) == part.quantity == 999_998


@pytest.mark.ordinary
def test_it_is_one_statement(stock: Database) -> None:
    with stock.write_session() as session, statements(stock) as seen:
        Repository(Stock, session).adjust(1, Stock.count, -2)
    assert len(seen) == 1
    assert seen[0].startswith("UPDATE stock SET ")
    assert ">=" in seen[0]
