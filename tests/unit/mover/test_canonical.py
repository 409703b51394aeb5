"""Which cells of two databases that somebody else moved are the same value."""

from __future__ import annotations

from typing import Any

import pytest

from lockstep.moments.units import UNIT_OF_WORD
from lockstep.mover.model.values import RawText
from lockstep.mover.verify.canonical import Foreign

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
    ("character", "ab", "ab   "),
    ("boolean", "TRUE", "t"),
    ("boolean", 1.0, "t"),
    ("jsonb", '{"a": 1e2}', '{"a": 100}'),
    ("jsonb", "[" * 100_000, "[" * 100_000),
    ("time without time zone", "10:00", "10:00:00"),
    ("time without time zone", "10:00:00.500", "10:00:00.5"),
    ("date", "2024-02-29T00:00:00.000Z", "2024-02-29"),
    ("date", 1_709_164_800, "2024-02-29"),
    (WITH_ZONE, 1_700_000_000.5, "2023-11-14 22:13:20.5+00"),
    (WITH_ZONE, "2024-02-29 12:00:00+02:00", "2024-02-29 10:00:00+00"),
    (WITH_ZONE, "2024-02-29T10:00:00Z", "2024-02-29 10:00:00+00"),
    (WITH_ZONE, "2024-02-29 12:00:00.250 +02:00", "2024-02-29 10:00:00.25+00"),
    (WITH_ZONE, "2024-02-29 10:00:00 UTC", "2024-02-29 10:00:00+00"),
    (WITH_ZONE, "2024-02-29 10:00 -0000", "2024-02-29 10:00:00+00"),
    (PLAIN, " 2024/2/9  9:05", "2024-02-09 09:05:00"),
    ("date", "2024-2-9", "2024-02-09"),
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
    ("double precision", 2**53 + 1, "9.007199254740992e+15"),
    ("numeric", f"1.{'0' * 40}1", f"1.{'0' * 40}2"),
    ("numeric", "1e999999999", "1"),
    ("bigint", "1_000", "1000"),
    ("bytea", b"\0\xff", "\\x00fe"),
    ("uuid", RawText(bytes(16)), "00000000-0000-0000-0000-000000000000"),
    ("uuid", UUID[:-1] + "e", UUID),
    ("jsonb", PAGE, '{"a": [1, "é"], "b": 1.51}'),
    ("jsonb", '{"a": 1}', '{"a": "1"}'),
    ("jsonb", '{"a": 1.5}', '{"a": "1.5"}'),
    ("jsonb", f"[0.{'1' * 40}]", f"[0.{'1' * 39}2]"),
    ("text", "7 ", "7"),
    ("text", b"\xff", "\\xff"),
    ("text", RawText(b"\xff"), "\\xff"),
    ("character", "ab ", "ab   "),
    ("date", "2024-02-29 10:00:00", "2024-02-29"),
    ("time without time zone", "10:00:00.1234567", "10:00:00.123456"),
    (PLAIN, "2024-02-29 10:00:00.1234567", "2024-02-29 10:00:00.123456"),
    (WITH_ZONE, "2024-02-29 10:00:00 CET", "2024-02-29 10:00:00+00"),
    ("date", "2024-2-30", "2024-03-01"),
    ("date", "2024-02-09 +02", "2024-02-09"),
    ("date", "9-2-2024", "2024-02-09"),
    (WITH_ZONE, 9 * 10**18, "2024-02-29 10:00:00+00"),
    (WITH_ZONE, float("inf"), "2024-02-29 10:00:00+00"),
    (WITH_ZONE, "2024-02-29 12:00:00", "2024-02-29 13:00:00+00"),
    (PLAIN, 2460369.75, "2024-02-29 06:00:00.000002"),
]
BY_UNIT = [
    ("s", 1_700_000_000, "2023-11-14 22:13:20+00"),
    ("ms", 1_700_000_000_007, "2023-11-14 22:13:20.007+00"),
    ("us", 1_700_000_000_000_007, "2023-11-14 22:13:20.000007+00"),
]


@pytest.mark.parametrize(("type_", "stored", "theirs"), SAME)
def test_the_same_value_is_the_same(type_: str, stored: Any, theirs: str) -> None:
    column = Foreign(type_)
    assert column.encode(stored) == column.decode(theirs)


@pytest.mark.parametrize(("type_", "stored", "theirs"), OTHER)
def test_another_value_is_another(type_: str, stored: Any, theirs: str) -> None:
    column = Foreign(type_)
    assert column.encode(stored) != column.decode(theirs)


@pytest.mark.parametrize(("unit", "stored", "theirs"), BY_UNIT)
def test_integers_count_in_the_unit_of_the_column(
    unit: str, stored: int, theirs: str
) -> None:
    column = Foreign(WITH_ZONE, UNIT_OF_WORD[unit])
    assert column.encode(stored) == Foreign(WITH_ZONE).decode(theirs)
