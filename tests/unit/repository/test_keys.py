"""Keys, orders and facts that need no database to be judged."""

from __future__ import annotations

import datetime as dt
import enum
import re
import uuid
from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, column_property, relationship
from sqlalchemy.orm import Mapped as M
from sqlalchemy.orm import mapped_column as column

from lockstep.errors import InvalidValue, SchemaError, UnknownAttribute
from lockstep.repository.facts import facts_of
from lockstep.repository.keys import check_value, identity_of
from lockstep.repository.ordering import ordering_of
from lockstep.schema import (
    BigInteger,
    Blob,
    Boolean,
    Date,
    Decimal,
    Enum,
    Float,
    Portable,
    SoftDelete,
    Text,
    UtcDateTime,
    Uuid,
    Versioned,
)


class Base(Portable, DeclarativeBase):
    """Models of this test."""


class Color(enum.Enum):
    RED = "red"


class Row(Versioned, SoftDelete, Base):
    __tablename__ = "row"

    a: M[int] = column("first", primary_key=True)
    b: M[str] = column(primary_key=True)
    name: M[str | None] = column()
    size: M[int]
    photo: M[bytes | None] = column(deferred=True)
    length: M[int] = column_property(sa.func.length(name))
    parent_a: M[int | None]
    parent_b: M[str | None]
    parent: M[Row | None] = relationship(remote_side=[a, b])
    __table_args__ = (
        sa.ForeignKeyConstraint(["parent_a", "parent_b"], ["row.first", "row.b"]),
    )


class Upper(sa.TypeDecorator[str]):
    impl = sa.Text
    cache_ok = True


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Uuid(), [uuid.uuid4()], ["x", 1, b"0" * 16]),
        (sa.Uuid(), [uuid.uuid4()], ["x", 1]),
        (sa.Uuid(as_uuid=False), ["x"], [uuid.uuid4()]),
        (BigInteger(), [0, -(2**63), 2**63 - 1], [True, 1.0, "1", 2**63, D(1)]),
        (sa.Integer(), [0, 2**40], [True, "1", 2**63]),
        (Text(3), ["x", "longer"], [1, b"x", "\x00", "\ud800"]),
        (sa.String(), ["x"], [1, "a\x00"]),
        (Boolean(), [True], [1, 0, "true"]),
        (Date(), [dt.date(2026, 1, 1)], [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "x"]),
        (UtcDateTime(), [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)], [dt.date.min, 1]),
        (Decimal(), [D(1), 1], ["1", True]),
        (Float(), [1.5, 1], ["1", True]),
        (Blob(), [b"", memoryview(b"")], ["x", 1]),
        (Enum(Color), [Color.RED, "red"], [1, b"red"]),
        (Enum("a", "b"), ["a"], [1]),
        (Upper(), ["x", 1, object()], [None]),
    ],
)
def test_a_key_has_the_type_of_its_column(kind: Any, good: Any, bad: Any) -> None:
    for value in good:
        check_value("the key", kind, value)
    for value in (*bad, None):
        with pytest.raises(InvalidValue, match="the key"):
            check_value("the key", kind, value)


def test_a_composite_key_is_written_in_three_ways() -> None:
    facts = facts_of(Row)
    assert facts.key_names == ("a", "b")
    for key in ((1, "x"), [1, "x"], {"b": "x", "a": 1}):
        assert identity_of(facts, key) == (1, "x")
    for key in (1, ("x", 1), (1,), (1, "x", 2), {"a": 1}, {}, None, "x"):
        with pytest.raises(InvalidValue):
            identity_of(facts, key)
    with pytest.raises(UnknownAttribute, match="'a'"):
        identity_of(facts, {"aa": 1, "b": "x"})


def test_facts_are_read_from_the_mapper() -> None:
    facts = facts_of(Row)
    assert facts is facts_of(Row)
    assert (facts.version_name, facts.deleted_name) == ("version", "deleted_at")
    assert facts.deferred_names == ("photo",)
    assert {"a", "length"} <= set(facts.column_names)
    assert facts.column_of("a").name == "first"
    for name in ("first", "parent", "length", "metadata", "__table__", ""):
        with pytest.raises(UnknownAttribute):
            facts.column_of(name)
    for wrong in (object, Base, Row(), None, "row"):
        with pytest.raises(SchemaError):
            facts_of(wrong)  # type: ignore[arg-type,type-var]


def order(*by: Any, dialect: Any = None) -> str:
    clauses = ordering_of(facts_of(Row), by or None).clauses()
    return ", ".join(str(clause.compile(dialect=dialect)) for clause in clauses)


def test_orders_are_total_and_say_where_nulls_stand() -> None:
    assert order() == "row.first ASC, row.b ASC"
    assert order("-size") == "row.size DESC, row.first DESC, row.b DESC"
    assert order("name").startswith("row.name ASC NULLS LAST, row.first")
    assert order(Row.name.desc()).startswith("row.name DESC NULLS FIRST, ")
    assert order(Row.name.desc().nulls_last()).startswith("row.name DESC NULLS LAST")
    assert order(Row.b, Row.a.desc(), Row.b.desc()) == "row.b ASC, row.first DESC"


def after(position: tuple[Any, ...], *by: Any) -> list[str]:
    segments = ordering_of(facts_of(Row), by or None).after(position)
    return [re.sub(r":\w+", "?", str(segment.condition)) for segment in segments]


def test_positions_are_compared_in_a_form_that_an_index_serves() -> None:
    assert after((1, "x")) == ["(row.first, row.b) > (?, ?)"]
    assert after((5, 1, "x"), "-size") == ["(row.size, row.first, row.b) < (?, ?, ?)"]
    mixed = after((5, 1, "x"), "-size", "a", "b")
    assert mixed[0].startswith("row.size <= ? AND (row.size < ? OR row.size = ? AND ")
    values, nulls = after(("m", 1, "x"), "name")
    assert values == "(row.name, row.first, row.b) > (?, ?, ?)"
    assert nulls == "row.name IS NULL"
    assert after((None, 1, "x"), "name") == [
        "row.name IS NULL AND (row.first, row.b) > (?, ?)"
    ]
    assert len(after((None, 1, "x"), "-name")) == 2
    assert len(after(("m", 1, "x"), "-name")) == 1


def test_a_signature_tells_queries_and_engines_apart() -> None:
    facts = facts_of(Row)
    found = {
        ordering_of(facts, by).signature(facts, dialect)
        for by in (
            None,
            Row.size + 7,
            "-size",
            "name",
            Row.name.nulls_first(),
            ("size", "b"),
            Row.size + 8,
        )
        for dialect in (sqlite.dialect(), postgresql.dialect())
    }
    assert len(found) == 14
