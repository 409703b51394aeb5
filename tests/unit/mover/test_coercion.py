"""What a value plainly means, and what has no plain meaning."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.mover.blocks.coercion import coerced, coerced_field
from lockstep.mover.codecs import codec_of
from lockstep.mover.model.plan import ColumnPlan
from lockstep.mover.model.values import RawText

NO_NUMBERS = ["inf", "-Infinity", "nan", "1_000", "١٢", "0x10", "1e400", "-1e999", "1e"]


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize("codec", ["integer", "real", "number", "numeric", "epoch:s"])
def test_what_only_python_reads_as_a_number_is_none(text: str, codec: str) -> None:
    assert coerced(text, codec) == text
    column = ColumnPlan("a", "a", "", codec)
    given = coerced_field(text, column, codec_of(codec))
    assert given == text


@pytest.mark.parametrize(
    ("value", "codec", "means"),
    [
        (" 42 ", "integer", 42),
        ("42.0", "integer", 42),
        ("42.5", "integer", 42.5),
        ("42", "real", 42.0),
        (2**53, "real", 2.0**53),
        (2**53 + 1, "real", 2**53 + 1),
        ("9007199254740993", "real", 2**53 + 1),
        (2.0, "epoch:s", 2),
        (2.0, "text", "2.0"),
        (1e300, "text", "1e+300"),
        ("Yes", "boolean", 1),
        ("off", "boolean", 0),
        ("2", "boolean", 2),
        ("", "text", ""),
        (" ", "bytes", None),
        (b"ab", "text", "ab"),
        (b"\xff", "text", b"\xff"),
        (RawText(b"\xff"), "text", RawText(b"\xff")),
    ],
)
def test_a_value_is_taken_for_what_it_says(value: Any, codec: str, means: Any) -> None:
    found = coerced(value, codec)
    assert (type(found), found) == (type(means), means)


@given(st.integers() | st.floats(allow_nan=False), st.sampled_from(["real", "numeric"]))
def test_a_number_that_is_coerced_is_the_same_number(number: float, codec: str) -> None:
    found = coerced(str(number) if math.isfinite(number) else number, codec)
    assert found == number or found == str(number)
