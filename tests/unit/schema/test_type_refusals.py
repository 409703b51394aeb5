"""What a type refuses, it refuses before any driver sees it, on both engines."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import pickle
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

import lockstep as ls
from lockstep.errors import InvalidValue
from lockstep.schema import portable_metadata

D = decimal.Decimal
FIRST = dt.datetime.min.replace(tzinfo=dt.UTC)
LAST = dt.datetime.max.replace(tzinfo=dt.UTC)
NAIVE = dt.datetime(2026, 1, 1)  # noqa: DTZ001
DIALECTS: dict[str, Any] = {
    "sqlite": sqlite.dialect(),
    "postgresql": postgresql.dialect(),
}


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Text2(str):
    """A string by another name, as template engines have them."""


def deep(levels: int) -> Any:
    document: Any = 1
    for _ in range(levels):
        document = [document]
    return document


@pytest.fixture(params=list(DIALECTS))
def dialect(request: pytest.FixtureRequest) -> Any:
    return DIALECTS[request.param]


REFUSED: list[tuple[Any, Any]] = [
    (ls.BigInteger(), True),
    (ls.BigInteger(), "42"),
    (ls.BigInteger(), 1.0),
    (ls.BigInteger(), D(1)),
    (ls.BigInteger(), 2**63),
    (ls.BigInteger(), -(2**63) - 1),
    (ls.Float(), math.nan),
    (ls.Float(), True),
    (ls.Float(), "1.5"),
    (ls.Float(), D("1.5")),
    (ls.Float(), 2**53 + 1),
    (ls.Float(), 10**400),
    (ls.Boolean(), 1),
    (ls.Boolean(), 0),
    (ls.Boolean(), "true"),
    (ls.Text(), 5),
    (ls.Text(), b"x"),
    (ls.Text(), "a\x00b"),
    (ls.Text(), "\ud800"),
    (ls.Text(3), "four"),
    (ls.Enum("a", "b"), "c"),
    (ls.Enum("a", "b"), 1),
    (ls.Enum(Colour), "RED"),
    (ls.Enum(Colour), "blue"),
    (ls.Enum(Colour), ["red"]),
    (ls.Uuid(), "00000000-0000-0000-0000-000000000000"),
    (ls.Uuid(), b"0" * 16),
    (ls.UtcDateTime(), NAIVE),
    (ls.UtcDateTime(), dt.date(2026, 1, 1)),
    (ls.UtcDateTime(), "2026-01-01T00:00:00Z"),
    (ls.UtcDateTime(), 0),
    (
        ls.UtcDateTime(),
        dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))),
    ),
    (
        ls.UtcDateTime(),
        dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=1))),
    ),
    (ls.Date(), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
    (ls.Date(), "2026-01-01"),
    (ls.Blob(), "text"),
    (ls.Blob(), 5),
    (ls.Decimal(12, 2), 1.5),
    (ls.Decimal(12, 2), "1.50"),
    (ls.Decimal(12, 2), True),
    (ls.Decimal(12, 2), D("1.005")),
    (ls.Decimal(12, 2), D("NaN")),
    (ls.Decimal(12, 2), D("sNaN")),
    (ls.Decimal(12, 2), D("Infinity")),
    (ls.Decimal(12, 2), D("10000000000")),
    (ls.Decimal(12, 2), 10**10),
    (ls.Decimal(12, 2), D("1e999999")),
    (ls.Decimal(12, 2), D("1e-999999")),
    (ls.Decimal(30, 2), D("1e28")),
    (ls.Decimal(30, 2), D("0.001")),
    (ls.Json(), math.nan),
    (ls.Json(), {"a": [math.inf]}),
    (ls.Json(), {"a": "\x00"}),
    (ls.Json(), {"\x00": 1}),
    (ls.Json(), "\udfff"),
    (ls.Json(), {1: "a"}),
    (ls.Json(), {None: "a"}),
    (ls.Json(), {"a": {1, 2}}),
    (ls.Json(), D("1.5")),
    (ls.Json(), NAIVE),
    (ls.Json(), 10**5000),
    (ls.Json(), deep(201)),
    (ls.Array(ls.Text()), "text"),
    (ls.Array(ls.Text()), {"a"}),
    (ls.Array(ls.Text()), ["a", None]),
    (ls.Array(ls.Text()), ["a", 1]),
    (ls.Array(ls.BigInteger()), [True]),
    (ls.Array(ls.Uuid()), [str(uuid.UUID(int=1))]),
]


@pytest.mark.parametrize(
    ("kind", "value"), REFUSED, ids=[f"{k!r}-{n}" for n, (k, _) in enumerate(REFUSED)]
)
def test_a_value_is_refused_by_name(kind: Any, value: Any, dialect: Any) -> None:
    store = kind.dialect_impl(dialect).bind_processor(dialect)
    with pytest.raises(InvalidValue, match="does not fit") as caught:
        store(value)
    assert caught.value.detail["type"] == repr(kind)
    assert len(caught.value.message) < 400
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), InvalidValue)


ACCEPTED: list[tuple[Any, Any, Any]] = [
    (ls.BigInteger(), Level.LOW, 1),
    (ls.BigInteger(), -(2**63), -(2**63)),
    (ls.Float(), 3, 3.0),
    (ls.Float(), -0.0, 0.0),
    (ls.Text(), Text2("x"), "x"),
    (ls.Text(1), "😀", "😀"),
    (ls.Blob(), bytearray(b"x"), b"x"),
    (ls.Blob(), memoryview(b"x"), b"x"),
    (ls.Decimal(12, 2), 5, 500),
    (ls.Decimal(12, 2), D("-0"), 0),
    (ls.Decimal(12, 2), D("1.500000"), 150),
    (ls.Decimal(12, 2), D("1e3"), 100000),
    (ls.Enum(Colour), "red", "red"),
    (ls.Enum(Colour), Colour.RED, "red"),
    (ls.UtcDateTime(), FIRST, "0001-01-01T00:00:00.000000Z"),
    (ls.UtcDateTime(), LAST, "9999-12-31T23:59:59.999999Z"),
    (ls.Json(), (1, (2,)), "[1,[2]]"),
    (ls.Json(), {"b": 1, "a": None, "": True}, '{"":true,"a":null,"b":1}'),
    (ls.Json(), 1e23, "1e+23"),
    (ls.Json(), -0.0, "0.0"),
    (ls.Json(), deep(200), "[" * 200 + "1" + "]" * 200),
    (ls.Array(ls.Text()), ("a", "b"), '["a","b"]'),
    (ls.Array(ls.Boolean()), [], "[]"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    ACCEPTED,
    ids=[f"{k!r}-{n}" for n, (k, *_) in enumerate(ACCEPTED)],
)
def test_what_sqlite_stores(kind: Any, value: Any, stored: Any) -> None:
    dialect = DIALECTS["sqlite"]
    result = kind.dialect_impl(dialect).bind_processor(dialect)(value)
    assert result == stored
    assert type(result) is type(stored)


@pytest.mark.parametrize(
    "kind",
    [
        ls.Uuid(),
        ls.UtcDateTime(),
        ls.Date(),
        ls.Json(),
        ls.Array(ls.Uuid()),
        ls.Array(ls.Decimal(12, 2)),
        ls.Decimal(12, 2),
        ls.Money(),
        ls.Money(4),
        ls.BigInteger(),
        ls.Float(),
        ls.Boolean(),
        ls.Text(),
        ls.Text(20),
        ls.Text(20, collation="de-x-icu"),
        ls.Enum("it's", "b"),
        ls.Blob(),
    ],
    ids=repr,
)
def test_a_types_repr_is_python_that_makes_it(kind: Any) -> None:
    again = eval(repr(kind), vars(ls) | {n: getattr(ls, n) for n in ls.__all__})
    assert repr(again) == repr(kind)
    assert again._static_cache_key == kind._static_cache_key
    assert again._static_cache_key[0] is type(kind)
    assert repr(pickle.loads(pickle.dumps(kind))) == repr(kind)
    assert repr(kind.copy()) == repr(kind)


def test_an_enum_of_a_class_is_written_by_its_values() -> None:
    assert repr(ls.Enum(Colour)) == "Enum('red')"
    assert ls.Enum(Level).stored_values == ("LOW",)


def test_mistakes_in_a_type_are_told_at_once() -> None:
    wrong: Any
    for wrong in (
        lambda: ls.Decimal(0, 0),
        lambda: ls.Decimal(5, 6),
        lambda: ls.Decimal(1001, 0),
        lambda: ls.Text(0),
        lambda: ls.Enum(),
        lambda: ls.Enum("a", "a"),
        lambda: ls.Enum("a\x00"),
        lambda: ls.Enum(5),
    ):
        with pytest.raises(ValueError, match=r"."):
            wrong()
    for nested in (ls.Json(), ls.Array(ls.Text()), sa.Text()):
        with pytest.raises(TypeError, match="portable scalars"):
            ls.Array(nested)  # type: ignore[arg-type]


def test_a_server_default_of_another_type_is_told_at_once() -> None:
    for kind, text in (
        (ls.Money(), "many"),
        (ls.Money(), "0.001"),
        (ls.Boolean(), "maybe"),
        (ls.UtcDateTime(), "2026-01-01T00:00:00"),
        (ls.Enum("a"), "b"),
        (ls.Json(), "{"),
        (ls.Blob(), "x"),
    ):
        column = sa.Column("value", kind, server_default=text)
        with pytest.raises(InvalidValue):
            sa.Table("t", portable_metadata(), column)
