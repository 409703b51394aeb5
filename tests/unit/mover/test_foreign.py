"""Which cells of two databases that somebody else moved are the same value."""

from __future__ import annotations

from typing import Any

import pytest

from lockstep.moments.units import UNIT_OF_WORD
from lockstep.mover.values import RawText
from lockstep.mover.verify.foreign import Foreign

WITH_ZONE, PLAIN = "timestamp with time zone", "timestamp without time zone"
UUID = "0190a5f0-0000-7000-8000-00000000abcd"
PAGE = '{"b": 1.50, "a": [1, "é"]}'
SAME: list[tuple[str, Any, str]] = [
    ("boolean", 1, "t"),
    ("boolean", "false", "f"),
    ("boolean", "t", "t"),
    ("integer", 7, "7"),
    ("integer", "7", "7"),
    ("numeric", 1.5, "1.50"),
    ("numeric", "-0.00", "0"),
    ("numeric", 1e20, "100000000000000000000"),
    ("double precision", 0.1, "0.1"),
    ("double precision", 10**23, "1e+23"),
    ("double precision", float("inf"), "Infinity"),
    ("bytea", b"\0\xff", "\\x00ff"),
    ("bytea", "é", "\\xc3a9"),
    ("bytea", RawText(b"\xff"), "\\xff"),
    ("bytea", 5, "\\x35"),
    ("uuid", UUID.upper(), UUID),
    ("uuid", UUID.replace("-", ""), UUID),
    ("uuid", bytes.fromhex(UUID.replace("-", "")), UUID),
    ("jsonb", PAGE, '{"a": [1, "\\u00e9"], "b": 1.50}'),
    ("json", "no document", "no document"),
    ("text", "7", "7"),
    ("text", 7, "7"),
    ("text", 7.0, "7.0"),
    ("text", b"\xff", "\\xff"),
    ("text", RawText(b"\xff"), "\\xff"),
    (WITH_ZONE, "2024-02-29 12:00:00+02:00", "2024-02-29 10:00:00+00"),
    (WITH_ZONE, "2024-02-29T10:00:00Z", "2024-02-29 10:00:00+00"),
    (PLAIN, "2024-02-29", "2024-02-29 00:00:00"),
    (PLAIN, "0000-00-00", "0000-00-00"),
    (PLAIN, 2460369.75, "2024-02-29 06:00:00"),
    (WITH_ZONE, -1, "1969-12-31 23:59:59+00"),
]
OTHER: list[tuple[str, Any, str]] = [
    ("boolean", 1, "f"),
    ("boolean", 2, "t"),
    ("numeric", 1.5, "1.51"),
    ("numeric", "x", "0"),
    ("double precision", 0.1, "0.10000000000000002"),
    ("double precision", 89.99, "89.98999786376953"),
    ("real", 16777217, "16777216"),
    ("bytea", b"\0\xff", "\\x00fe"),
    ("uuid", RawText(bytes(16)), "00000000-0000-0000-0000-000000000000"),
    ("uuid", UUID[:-1] + "e", UUID),
    ("jsonb", PAGE, '{"a": [1, "é"], "b": 1.51}'),
    ("jsonb", '{"a": 1}', '{"a": "1"}'),
    ("text", "7 ", "7"),
    (WITH_ZONE, "2024-02-29 12:00:00", "2024-02-29 13:00:00+00"),
    (PLAIN, 2460369.75, "2024-02-29 06:00:00.000002"),
]
BY_UNIT = [
    ("s", 1_700_000_000, "2023-11-14 22:13:20+00"),
    ("ms", 1_700_000_000_007, "2023-11-14 22:13:20.007+00"),
    ("us", 1_700_000_000_000_007, "2023-11-14 22:13:20.000007+00"),
]


def shown(column: Foreign, value: Any) -> str:
    """Return the cell as a line of the comparison says it."""
    return column.respelled(column.encode(value))


@pytest.mark.parametrize(("type_", "stored", "theirs"), SAME)
def test_the_same_value_is_the_same(type_: str, stored: Any, theirs: str) -> None:
    column = Foreign(type_)
    assert column.encode(stored) == column.respelled(theirs)
    assert shown(column, stored) == column.respelled(theirs)


@pytest.mark.parametrize(("type_", "stored", "theirs"), OTHER)
def test_another_value_is_another(type_: str, stored: Any, theirs: str) -> None:
    column = Foreign(type_)
    assert column.encode(stored) != column.respelled(theirs)
    assert shown(column, stored) != column.respelled(theirs)


@pytest.mark.parametrize(("unit", "stored", "theirs"), BY_UNIT)
def test_integers_count_in_the_unit_of_the_column(
    unit: str, stored: int, theirs: str
) -> None:
    column = Foreign(WITH_ZONE, UNIT_OF_WORD[unit])
    assert column.encode(stored) == Foreign(WITH_ZONE).decode(theirs)
