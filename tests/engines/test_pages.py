"""Keyset pages: stable, in both directions, whatever is sorted by."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from enum import Enum as PyEnum
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.engines.repository_models import Base, Bin, Part, create, statements

from lockstep.engine import Database
from lockstep.errors import InvalidCursor, InvalidValue
from lockstep.repository import PAGE_SIZE_MAX, Page, Repository
from lockstep.schema import Blob, Date, Decimal, Enum, Portable

pytestmark = pytest.mark.usefixtures("both_ways")


class OwnBase(Portable, DeclarativeBase):
    """Models of this test."""


class Grade(PyEnum):
    HIGH = "high"
    LOW = "low"


class Sample(OwnBase):
    """One nullable column of every type that has an order."""

    __tablename__ = "sample"

    id: Mapped[int] = mapped_column(primary_key=True)
    flag: Mapped[bool | None]
    number: Mapped[int | None]
    real: Mapped[float | None]
    text: Mapped[str | None]
    blob: Mapped[bytes | None] = mapped_column(Blob())
    key: Mapped[uuid.UUID | None]
    at: Mapped[datetime | None]
    day: Mapped[date | None] = mapped_column(Date())
    price: Mapped[D | None]
    large: Mapped[D | None] = mapped_column(Decimal(30, 10))
    grade: Mapped[Grade | None] = mapped_column(Enum(Grade))


class Legacy(OwnBase):
    """SQLAlchemy's own types, as a model that was not made for us has them."""

    __tablename__ = "legacy"
    __table_args__ = {"sqlite_strict": False}

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    number: Mapped[D | None] = mapped_column(sa.Numeric(20, 12))
    small: Mapped[float | None] = mapped_column(sa.REAL)
    at: Mapped[datetime | None] = mapped_column(sa.DateTime)
    span: Mapped[timedelta | None] = mapped_column(sa.Interval)
    code: Mapped[str | None] = mapped_column(sa.CHAR(8))
    is_on: Mapped[bool | None] = mapped_column(sa.Boolean)


def pages_of(
    rows: Repository[Any], size: int, **query: Any
) -> tuple[list[Page[Any]], list[Page[Any]]]:
    """Walk to the end and back; return the pages of both ways."""
    there = [rows.page(size=size, **query)]
    while there[-1].has_next:
        cursor = there[-1].next_cursor
        there.append(rows.page(size=size, after=cursor, **query))
        assert len(there) < 200, "the walk goes in circles"
    back = [there[-1]]
    while back[-1].has_previous:
        cursor = back[-1].previous_cursor
        back.append(rows.page(size=size, before=cursor, **query))
        assert len(back) < 200, "the walk goes in circles"
    return there, back


def check_walk(rows: Repository[Any], size: int, **query: Any) -> list[int]:
    """Check that a walk shows the list, in both directions; return its keys."""
    wanted = [row.id for row in rows.list(**query)]
    there, back = pages_of(rows, size, **query)
    assert [row.id for page in there for row in page] == wanted
    assert [row.id for page in reversed(back) for row in page] == wanted
    assert not there[0].has_previous
    assert not back[-1].has_previous
    for page in there[1:]:
        assert page.has_previous
    for page in back[1:]:
        assert page.has_next
    return wanted


def sample(number: int) -> dict[str, Any]:
    return {
        "flag": bool(number % 2),
        "number": (number % 4) * 2**60 - 2**61,
        "real": (number % 5) / 3 - 0.7,
        "text": ["", "a", "é", "Z", "z\U0001f600", "a b"][number % 6],
        "blob": bytes([number % 3, 255]),
        "key": uuid.UUID(int=number % 7 << 120),
        "at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=number % 3),
        "day": date(1969, 12, 31) + timedelta(days=number % 4),
        "price": D(number % 5) / 8 - D("0.25"),
        "large": (D(number % 4) - 2) * D("12345678901234567.0123456789"),
        "grade": [Grade.HIGH, Grade.LOW][number % 2],
    }


@pytest.fixture
def samples(db: Database) -> Database:
    create(db, OwnBase)
    with db.write_session() as session:
        rows = [sample(number) for number in range(23)]
        for number, row in enumerate(rows):
            names = list(row)
            row[names[number % len(names)]] = None
            row[names[(number * 3) % len(names)]] = None
        Repository(Sample, session).add_many([*rows, {}, {}])
    return db


@pytest.mark.parametrize("name", sorted(sample(0)))
def test_every_type_can_be_sorted_by(samples: Database, name: str) -> None:
    column = getattr(Sample, name)
    with samples.read_session() as session:
        rows = Repository(Sample, session)
        for order in (
            name,
            f"-{name}",
            column.nulls_first(),
            column.desc().nulls_last(),
            (column, Sample.id.desc()),
            (column.desc(), "text", "-real"),
        ):
            wanted = check_walk(rows, 3, order_by=order)
            assert sorted(wanted) == list(range(1, 26))


def test_engines_agree_on_every_order(samples: Database) -> None:
    with samples.read_session() as session:
        rows = Repository(Sample, session)
        by_id = {row.id: row for row in rows.list()}
        for name in sample(0):

            def place(key: int, name: str = name) -> tuple[bool, Any, int]:
                value = getattr(by_id[key], name)
                if isinstance(value, Grade):
                    value = value.value
                return value is None, value, key

            wanted = sorted(
                (key for key in by_id if not place(key)[0]), key=place
            ) + sorted(key for key in by_id if place(key)[0])
            assert [row.id for row in rows.list(order_by=name)] == wanted
            assert [row.id for row in rows.list(order_by=f"-{name}")] == wanted[::-1]


@pytest.mark.parametrize("name", ["number", "small", "at", "span", "code", "is_on"])
def test_plain_types_do_not_make_a_walk_go_in_circles(db: Database, name: str) -> None:
    create(db, OwnBase)
    with db.write_session() as session:
        rows = Repository(Legacy, session)
        rows.add_many(
            {
                "number": D(n % 4) / 3 if n % 5 else None,
                "small": n % 4 / 10 if n % 6 else None,
                "at": datetime(2026, 1, 1, microsecond=n % 3) if n % 5 else None,  # noqa: DTZ001
                "span": timedelta(days=n % 3, microseconds=n % 2) if n % 5 else None,
                "code": f"c{n % 3}" if n % 5 else None,
                "is_on": bool(n % 2) if n % 3 else None,
            }
            for n in range(1, 21)
        )
        session.execute(
            sa.text(
                "UPDATE legacy SET number = 1.00000000000125 WHERE number IS NOT NULL"
            )
        )
    with db.read_session() as session:
        rows = Repository(Legacy, session)
        assert len(check_walk(rows, 3, order_by=name)) == 20
        assert len(check_walk(rows, 3, order_by=(f"-{name}", "id"))) == 20


def test_expressions_can_be_sorted_by(samples: Database) -> None:
    with samples.read_session() as session:
        rows = Repository(Sample, session)
        for order in (
            sa.func.length(Sample.text),
            sa.func.coalesce(Sample.number, 0).desc(),
            sa.case((Sample.flag.is_(None), 2), (Sample.flag, 1), else_=0),
            Sample.number % 7,
            Sample.number.is_(None),
        ):
            check_walk(rows, 4, order_by=(order, "-id"))


@pytest.mark.ordinary
def test_a_page_costs_one_query_and_one_question(samples: Database) -> None:
    with samples.read_session() as session:
        rows = Repository(Sample, session)
        with statements(samples) as seen:
            first = rows.page(size=5, order_by="text")
        assert len(seen) == 1
        with statements(samples) as seen:
            rows.page(size=5, order_by="text", after=first.next_cursor)
        assert len(seen) == 2


@pytest.mark.ordinary
def test_an_index_serves_the_next_page(samples: Database) -> None:
    with samples.write_session() as session:
        session.execute(sa.text("CREATE INDEX i ON sample (number, id)"))
        if samples.dialect_name == "postgresql":
            session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        rows = Repository(Sample, session)
        first = rows.page(Sample.number.is_not(None), size=5, order_by="number")
        seen: list[str] = []

        def explain(c: Any, cursor: Any, text: str, values: Any, *_: Any) -> None:
            if "ORDER BY" in text and "EXPLAIN" not in text:
                plan = (
                    "EXPLAIN "
                    if c.dialect.name == "postgresql"
                    else ("EXPLAIN QUERY PLAN ")
                )
                seen.append(str(c.exec_driver_sql(plan + text, values).all()))

        sa.event.listen(samples.engine, "before_cursor_execute", explain)
        rows.page(size=5, order_by="number", after=first.next_cursor)
        sa.event.remove(samples.engine, "before_cursor_execute", explain)
    assert len(seen) == 1
    if samples.dialect_name == "postgresql":
        assert "Index Scan using i" in seen[0]
        assert "Index Cond" in seen[0]
        assert "Sort" not in seen[0]
    else:
        assert "USING INDEX i" in seen[0]
        assert "USING TEMP B-TREE" not in seen[0]


def test_rows_that_come_and_go_neither_repeat_nor_hide_others(db: Database) -> None:
    create(db, Base)
    with db.write_session() as session:
        parts = Repository(Part, session)
        added = parts.add_many(
            {"name": f"n{n:02}", "quantity": n % 3} for n in range(12)
        )
        kept = {part.id for part in added}
        order = ("-quantity", Part.note)
        page = parts.page(size=3, order_by=order)
        seen = [part.id for part in page]
        turn = 0
        while page.has_next:
            turn += 1
            parts.add({"name": f"new{turn}", "quantity": turn % 3})
            # The very row that the cursor points at is removed.
            parts.delete(seen[-1], hard=True)
            page = parts.page(size=3, order_by=order, after=page.next_cursor)
            seen += [part.id for part in page]
        assert len(seen) == len(set(seen))
        assert kept <= set(seen)


def test_an_empty_page_leads_back(db: Database) -> None:
    create(db, Base)
    with db.write_session() as session:
        bins = Repository(Bin, session)
        assert bins.page() == Page([], None, None, False, False)
        a, b, c = bins.add_many([{"label": "a"}, {"label": "b"}, {"label": "c"}])
        first = bins.page(size=2, order_by="label")
        bins.delete(c.id)
        empty = bins.page(size=2, order_by="label", after=first.next_cursor)
        assert (list(empty), empty.has_next, empty.has_previous) == ([], False, True)
        assert empty.next_cursor is None
        back = bins.page(size=2, order_by="label", before=empty.previous_cursor)
        assert list(back) == [a, b]
        assert (back.has_next, back.has_previous) == (False, False)
        bins.add({"label": "d"})
        assert bins.page(
            size=2, order_by="label", before=empty.previous_cursor
        ).has_next
        last = bins.page(size=1, order_by="-label")
        second = bins.page(size=1, order_by="-label", after=last.next_cursor)
        bins.delete(last.items[0].id)
        gone = bins.page(size=1, order_by="-label", before=second.previous_cursor)
        assert (list(gone), gone.has_next, gone.has_previous) == ([], True, False)
        again = bins.page(size=1, order_by="-label", after=gone.next_cursor)
        assert list(again) == [b]


def test_a_cursor_belongs_to_its_query(samples: Database) -> None:
    create(samples, Base)
    with samples.read_session() as session:
        rows = Repository(Sample, session)
        cursor = rows.page(size=2, order_by="number").next_cursor
        assert cursor is not None
        for other in ("-number", "text", ("number", "text"), None, Sample.number + 1):
            with pytest.raises(InvalidCursor):
                rows.page(size=2, order_by=other, after=cursor)
        with pytest.raises(InvalidCursor):
            Repository(Part, session).page(after=cursor)
        # Another size or condition is another window on the same order.
        assert (
            len(rows.page(Sample.id > 3, size=4, order_by="number", after=cursor)) == 4
        )


@pytest.mark.parametrize("size", [0, -1, PAGE_SIZE_MAX + 1, True, "5", 2.0, None])
def test_a_page_size_out_of_range_is_refused(samples: Database, size: Any) -> None:
    with samples.read_session() as session:
        rows = Repository(Sample, session)
        with pytest.raises(InvalidValue, match="size"):
            rows.page(size=size)
        cursor = rows.page(size=2).next_cursor
        with pytest.raises(InvalidValue, match="not both"):
            rows.page(size=2, after=cursor, before=cursor)


def test_a_sort_key_too_long_for_a_cursor_says_so(db: Database) -> None:
    create(db, Base)
    with db.write_session() as session:
        parts = Repository(Part, session)
        parts.add_many({"name": str(n), "note": "x" * 9_000} for n in range(3))
        with pytest.raises(InvalidValue, match="too long"):
            parts.page(size=1, order_by="note")
        assert len(parts.page(size=3, order_by="note")) == 3
        assert len(list(parts.stream(order_by="note", batch_size=1))) == 3
