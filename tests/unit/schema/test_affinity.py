"""The rules of affinity against their only judge: what SQLite itself stores."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.schema.affinity import (
    INTEGER_MAX,
    INTEGER_MIN,
    affinity_of,
    is_for_numbers,
    kept_of_number,
    kept_of_text,
    looks_like_number,
)

DECLARED = {"integer": "BIGINT", "numeric": "DECIMAL(9, 2)", "real": "DOUBLE"}
"""An affinity for numbers, and a type that has it."""

INTEGERS = st.integers(INTEGER_MIN, INTEGER_MAX)
REALS = st.floats(allow_nan=False) | INTEGERS.map(float)
PIECES = st.sampled_from(
    [*"0123456789", "", " ", "\t", "\n", "\v", "\f", "\r", *"+-.eEx_", "inf", "\x85"]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join) | st.one_of(
    INTEGERS.map(str), REALS.map(repr), st.integers(-(10**25), 10**25).map(str)
)


@pytest.fixture(scope="module")
def scratch() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in DECLARED.items())
        connection.execute(f"CREATE TABLE t ({columns})")
        yield connection


def stored(scratch: sqlite3.Connection, value: float | str) -> dict[str, str]:
    """Return what each column made of a value, so that classes and signs differ."""
    scratch.execute("DELETE FROM t")
    scratch.execute(
        f"INSERT INTO t VALUES ({', '.join('?' * len(DECLARED))})", [value] * 3
    )
    (row,) = scratch.execute("SELECT * FROM t")
    return dict(zip(DECLARED, map(repr, row), strict=True))


@example(0.0)
@example(-0.0)
@example(math.inf)
@example(-math.inf)
@example(float(INTEGER_MIN))
@example(float(INTEGER_MAX))
@example(math.nextafter(INTEGER_MIN, 0))
@example(math.nextafter(INTEGER_MAX, 0))
@example(2.0**53)
@example(INTEGER_MIN)
@example(INTEGER_MAX)
@given(INTEGERS | REALS)
def test_a_number_is_kept_as_sqlite_keeps_it(
    scratch: sqlite3.Connection, number: float
) -> None:
    kept = {affinity: repr(kept_of_number(number, affinity)) for affinity in DECLARED}
    assert kept == stored(scratch, number)


@example("-9223372036854775808")
@example("-9223372036854775808.0")
@example("9223372036854775807")
@example("9223372036854775808")
@example("9007199254740993")
@example("9007199254740993.0")
@example("-0.0")
@example(" \t7.50\r\n")
@example("1e400")
@example("1_0")
@example("٣")
@example("0x10")
@given(TEXTS)
def test_a_text_is_kept_as_sqlite_keeps_it(
    scratch: sqlite3.Connection, text: str
) -> None:
    digits = re.sub(r"[eE].*|\D", "", text).lstrip("0")
    found = stored(scratch, text)
    for affinity, kept in found.items():
        expected = kept_of_text(text, affinity)
        if len(digits) <= 15 or not isinstance(expected, float):
            assert repr(expected) == kept
        else:
            assert math.isclose(expected, float(kept), rel_tol=1e-15)
    assert looks_like_number(text) == (found["numeric"] != repr(text))


WORDS = st.sampled_from(
    [*"INT CHAR CLOB TEXT BLOB REAL FLOA DOUB int nUM (1) IN T BLO B Ä".split(), " "]
)


@given(st.lists(WORDS, max_size=4).map("".join))
def test_a_declared_type_has_the_affinity_that_sqlite_gives_it(declared: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        # In quotation marks, so that no word means anything else to SQLite.
        written = f'"{declared}"' if declared.strip() else declared
        connection.execute(f"CREATE TABLE t (c {written})")
        connection.execute("INSERT INTO t VALUES (5.0), (5), ('5.0')")
        kept = [repr(value) for (value,) in connection.execute("SELECT c FROM t")]
    assert (
        kept
        == {
            "integer": ["5", "5", "5"],
            "numeric": ["5", "5", "5"],
            "real": ["5.0", "5.0", "5.0"],
            "text": ["'5.0'", "'5'", "'5.0'"],
            "blob": ["5.0", "5", "'5.0'"],
        }[affinity_of(declared)]
    )
    assert is_for_numbers(affinity_of(declared)) == ("'5.0'" not in kept)
