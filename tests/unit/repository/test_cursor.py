"""The cursor's text: exact for every type, refused when it is not ours."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.errors import InvalidCursor, InvalidValue
from lockstep.repository.cursor import CURSOR_LENGTH_MAX, decode, encode

SIGNATURE = b"a model and an order"
ZONES = st.none() | st.timezones() | st.just(dt.UTC)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.decimals(allow_nan=False, allow_infinity=False, places=30),
    st.uuids(),
    st.datetimes(timezones=ZONES),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.binary(),
)


@given(st.lists(VALUES, min_size=1, max_size=5), st.booleans())
def test_every_value_comes_back_exactly(position: list[Any], inclusive: bool) -> None:
    cursor = encode(tuple(position), inclusive=inclusive, signature=SIGNATURE)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
    found, mode = decode(cursor, count=len(position), signature=SIGNATURE)
    assert mode is inclusive
    for before, after in zip(position, found, strict=True):
        assert type(before) is type(after)
        if isinstance(before, dt.datetime) and before.tzinfo is not None:
            assert before.utcoffset() == after.utcoffset()
        assert str(before) == str(after) or before == after


@given(VALUES, st.integers(0, 3))
def test_a_cursor_of_another_query_is_refused(value: Any, other: int) -> None:
    cursor = encode((value,), inclusive=False, signature=SIGNATURE)
    with pytest.raises(InvalidCursor):
        decode(cursor, count=1, signature=b"another order")
    if other != 1:
        with pytest.raises(InvalidCursor):
            decode(cursor, count=other, signature=SIGNATURE)


@given(st.text() | st.binary() | st.integers() | st.lists(st.text()))
def test_anything_else_is_refused(cursor: object) -> None:
    with pytest.raises(InvalidCursor):
        decode(cursor, count=1, signature=SIGNATURE)


def test_what_has_no_exact_text_cannot_stand_in_a_cursor() -> None:
    for value in ([1], {"a": 1}, object(), 1j, slice(1)):
        with pytest.raises(InvalidValue, match=type(value).__name__):
            encode((value,), inclusive=False, signature=SIGNATURE)


def test_a_cursor_fits_into_a_url() -> None:
    encode(("x" * 6_000,), inclusive=False, signature=SIGNATURE)
    with pytest.raises(InvalidValue, match="too long"):
        encode(("x" * CURSOR_LENGTH_MAX,), inclusive=False, signature=SIGNATURE)
