"""Column values as the audit trail writes them."""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.repository.audit.values import encode, fingerprint, masked
from lockstep.schema.types.json_text import canonical_json


class Text(enum.Enum):
    ONE = "uno"


class Number(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**63, 2**63),
        (0.1, 0.1),
        (float("inf"), {"float": "inf"}),
        ("é", "é"),
        ("a\x00b", {"text": "a\\x00b"}),
        ("\ud800", {"text": "\\ud800"}),
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+3"), "1E+3"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (
            dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC),
            "2026-01-02T03:04:05.000006+00:00",
        ),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.time(1, 2), "01:02:00"),
        (dt.timedelta(days=1, microseconds=5), {"seconds": 86_400, "microseconds": 5}),
        (b"\x00", {"base64": "AA=="}),
        (memoryview(b"\x00"), {"base64": "AA=="}),
        (Text.ONE, "uno"),
        (Number.ONE, "ONE"),
        ([Decimal(1), [b""]], ["1", [{"base64": ""}]]),
        ((1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        ({"a": {1: Decimal("0.5")}}, {"a": {"1": "0.5"}}),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
    ],
)
def test_a_value_is_written_exactly(value: Any, expected: Any) -> None:
    assert encode(value) == expected
    assert type(encode(value)) is type(expected)


def test_a_large_value_is_told_by_hash_and_length() -> None:
    assert set(encode(b"x" * 1_025)) == {"sha256", "size_bytes"}
    assert encode(b"x" * 1_025) != encode(b"y" * 1_025)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(ANYTHING)
def test_whatever_a_column_held_the_trail_can_hold(value: Any) -> None:
    written = canonical_json({"after": {"column": encode(value)}})
    assert json.loads(written)["after"]["column"] == encode(value)


def test_a_document_as_deep_as_a_column_allows_can_be_recorded() -> None:
    deep: Any = "leaf"
    for _ in range(199):
        deep = [deep]
    canonical_json(deep)
    written = canonical_json({"column": encode(deep)})
    assert "leaf" in written


def test_a_secret_is_neither_shown_nor_guessed_from_its_mask() -> None:
    assert masked("1234") == masked("x" * 99) == "***"
    assert masked(None) is None
    assert fingerprint("1234") == fingerprint("1234") != fingerprint("1235")
    assert "1234" not in fingerprint("1234")
