"""A whole column is translated as its values are, one by one: or refused alike."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

import lockstep as ls
from lockstep.schema.types.columns import COLUMN_MIN, converted

DIALECTS: dict[str, Any] = {
    "sqlite": sqlite.dialect(),
    "postgresql": postgresql.dialect(),
}
TYPES: tuple[Any, ...] = (
    *(ls.Uuid(), ls.UtcDateTime(), ls.BigInteger(), ls.Text(), ls.Text(5)),
    *(ls.Money(), ls.Decimal(18, 18), ls.Decimal(5, 0), ls.Decimal(30, 4)),
    *(ls.Boolean(), ls.Float(), ls.Date()),
)
KEY = "018f4d5e-0000-7000-8000-00000000abcd"
MOMENT = "2026-11-20T22:14:00.000000Z"
MOMENTS = st.datetimes(timezones=st.sampled_from([dt.UTC, dt.timezone.max]))
USUAL = st.one_of(
    st.lists(st.uuids(), min_size=COLUMN_MIN),
    st.lists(st.uuids().map(str), min_size=COLUMN_MIN),
    st.lists(MOMENTS, min_size=COLUMN_MIN),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=COLUMN_MIN),
    st.lists(st.text(max_size=6), min_size=COLUMN_MIN),
    st.lists(st.decimals(places=2), min_size=COLUMN_MIN),
)
ODD: tuple[Any, ...] = (
    *(None, True, 1.5, b"x", "", "\x00", "é", "\ud800", "123456", 2**63, -(2**63) - 1),
    # Of the right length, and with the parts of a neighbour in them.
    *(KEY[:-1], f"{KEY}0", KEY.replace("0", " "), KEY.upper(), f"{{{KEY[:-2]}}}"),
    *(KEY.replace("-", ""), f"{KEY[:8]}0{KEY[9:]}", f"-{KEY[1:]}", f"٣{KEY[1:]}"),
    *(MOMENT[:-1], f"{MOMENT}Z", MOMENT.replace("T", " "), MOMENT.replace("Z", "z")),
    *("2026-13-20T22:14:00.000000Z", "2026-11-20T22:14:00,000000Z", "9" * 27),
    *(dt.datetime(2026, 1, 1), dt.datetime.max.replace(tzinfo=dt.UTC)),  # noqa: DTZ001
    *map(decimal.Decimal, ("NaN", "-sNaN", "Infinity", "1E+999999", "0.001", "-0")),
    *(decimal.Decimal(10**16), uuid.UUID(KEY), dt.date(2026, 1, 1)),
)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@given(
    kind=st.sampled_from(TYPES), column=USUAL, odd=st.sampled_from(ODD), data=st.data()
)
def test_a_column_is_translated_as_each_of_its_values(
    dialect: Any, kind: Any, column: list[Any], odd: Any, data: st.DataObject
) -> None:
    if data.draw(st.booleans(), label="with an odd value"):
        column.insert(data.draw(st.integers(0, len(column)), label="at"), odd)
    processors = (kind.bind_processor(dialect), kind.result_processor(dialect, None))
    for process in filter(None, processors):
        assert outcome(converted, process, column) == outcome(map, process, column)


def outcome(
    convert: Callable[..., Any], process: Callable[[Any], Any], column: Sequence[Any]
) -> Any:
    """Return the values with their types, or the error, of a column."""
    try:
        found = list(convert(process, column))
    except Exception as error:
        return type(error), str(error)
    return [(type(value), repr(value)) for value in found]


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        (ls.Uuid(), [KEY] * COLUMN_MIN),
        (ls.UtcDateTime(), [MOMENT] * COLUMN_MIN),
        (ls.Money(), [1234] * COLUMN_MIN),
        (ls.BigInteger(), [1234] * COLUMN_MIN),
    ],
    ids=repr,
)
def test_usual_columns_take_the_short_way_in_both_directions(
    kind: Any, stored: list[Any]
) -> None:
    read = kind.result_processor(DIALECTS["sqlite"], None)
    values = read.of_column(stored)
    assert values == [read(value) for value in stored]
    if not isinstance(kind, ls.UtcDateTime):  # formatting takes the time there
        assert kind.bind_processor(DIALECTS["sqlite"]).of_column(values) == stored


def test_a_uuid_of_a_column_is_a_whole_uuid() -> None:
    read: Any = ls.Uuid().result_processor(DIALECTS["sqlite"], None)
    first, *_ = read.of_column([KEY] * COLUMN_MIN)
    assert first.is_safe is uuid.SafeUUID.unknown
    assert hash(first) == hash(uuid.UUID(KEY))


def test_a_subclass_that_checks_more_is_asked_for_each_value() -> None:
    class Sku(ls.Text):
        def checked(self, value: Any) -> str:
            if not value.startswith("P-"):
                self.refuse(value, "no SKU")
            return super().checked(value)

    write: Any = Sku().bind_processor(DIALECTS["sqlite"])
    with pytest.raises(ls.errors.InvalidValue, match="no SKU"):
        list(converted(write, ["P-1"] * COLUMN_MIN + ["1"]))
