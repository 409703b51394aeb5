"""Pages against the database's own ORDER BY, with random rows and orders."""

from __future__ import annotations

import random
from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped
from sqlalchemy.orm import mapped_column as column
from tests.engines.repository_models import create

from lockstep.engine import Database
from lockstep.repository import Repository
from lockstep.schema import Portable


class Base(Portable, DeclarativeBase):
    """Models of this test."""


class Point(Base):
    __tablename__ = "point"

    a: Mapped[int] = column(primary_key=True, autoincrement=False)
    b: Mapped[str] = column(primary_key=True)
    number: Mapped[int | None]
    text: Mapped[str | None]
    price: Mapped[D | None]
    solid: Mapped[int]


NAMES = ("a", "b", "number", "text", "price", "solid")
TEXT = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=2)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.integers(-3, 3),
            "b": st.sampled_from(["", "x", "é", "X"]),
            "number": st.none() | st.integers(-1, 1),
            "text": st.none() | TEXT,
            "price": st.none() | st.decimals(-1, 1, places=2),
            "solid": st.integers(0, 2),
        }
    ),
    max_size=18,
    unique_by=lambda row: (row["a"], row["b"]),
)
ORDERS = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.booleans(), st.sampled_from(["", "first", "last"])
    ),
    max_size=3,
    unique_by=lambda term: term[0],
)
THOROUGH = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def expression_of(term: tuple[str, bool, str]) -> Any:
    name, is_descending, nulls = term
    expression = getattr(Point, name)
    expression = expression.desc() if is_descending else expression.asc()
    if nulls:
        expression = getattr(expression, f"nulls_{nulls}")()
    return expression


def oracle(order: list[tuple[str, bool, str]]) -> sa.Select[Any]:
    """Sort by the plainest means: a flag for NULL, then the value, then the key."""
    clauses: list[Any] = []
    for name, is_descending, nulls in order:
        value = getattr(Point, name)
        nulls_first = {"first": True, "last": False}.get(nulls, is_descending)
        flag = sa.case((value.is_(None), 0 if nulls_first else 2), else_=1)
        clauses += [flag, value.desc() if is_descending else value.asc()]
    is_descending = order[-1][1] if order else False
    for name in ("a", "b"):
        value = getattr(Point, name)
        clauses.append(value.desc() if is_descending else value.asc())
    return sa.select(Point.a, Point.b).order_by(*clauses)


@pytest.fixture
def points(db: Database) -> Database:
    return create(db, Base)


def stored(rows: list[dict[str, Any]], session: Any) -> Repository[Point]:
    points = Repository(Point, session)
    session.execute(sa.delete(Point))
    points.add_many(rows, returning=False)
    session.expunge_all()
    return points


@THOROUGH
@given(rows=ROWS, order=ORDERS, size=st.integers(1, 7))
def test_walking_both_ways_shows_what_the_database_sorts(
    points: Database, rows: Any, order: Any, size: int
) -> None:
    with points.write_session() as session:
        repository = stored(rows, session)
        wanted = [tuple(row) for row in session.execute(oracle(order))]
        by = [expression_of(term) for term in order]
        page = repository.page(order_by=by, size=size)
        seen = [(row.a, row.b) for row in page]
        assert not page.has_previous
        while page.has_next:
            page = repository.page(order_by=by, size=size, after=page.next_cursor)
            seen += [(row.a, row.b) for row in page]
            assert page.has_previous
            assert len(seen) <= len(wanted)
        assert seen == wanted
        back = [(row.a, row.b) for row in page]
        while page.has_previous:
            page = repository.page(order_by=by, size=size, before=page.previous_cursor)
            back = [(row.a, row.b) for row in page] + back
            assert page.has_next
            assert len(back) <= len(wanted)
        assert back == wanted
        assert [
            (row.a, row.b) for row in repository.stream(order_by=by, batch_size=size)
        ] == wanted


@THOROUGH
@given(
    rows=ROWS, more=ROWS, order=ORDERS, size=st.integers(1, 4), seed=st.integers(0, 99)
)
def test_rows_that_stay_are_seen_once_while_others_come_and_go(
    points: Database, rows: Any, more: Any, order: Any, size: int, seed: int
) -> None:
    chance = random.Random(seed)
    keys = {(row["a"], row["b"]) for row in rows}
    new = [row for row in more if (row["a"], row["b"]) not in keys]
    with points.write_session() as session:
        repository = stored(rows, session)
        by = [expression_of(term) for term in order]
        staying = set(keys)
        page = repository.page(order_by=by, size=size)
        if seed % 2:
            while page.has_next:
                page = repository.page(order_by=by, size=size, after=page.next_cursor)
        seen = [(row.a, row.b) for row in page]
        while page.previous_cursor if seed % 2 else page.next_cursor:
            if new:
                repository.add(new.pop())
            if keys and chance.random() < 0.5:
                key = keys.pop()
                staying.discard(key)
                repository.delete(key)
            if seed % 2:
                cursor = {"before": page.previous_cursor}
            else:
                cursor = {"after": page.next_cursor}
            page = repository.page(order_by=by, size=size, **cursor)
            seen += [(row.a, row.b) for row in page]
        assert len(seen) == len(set(seen))
        assert staying <= set(seen)
