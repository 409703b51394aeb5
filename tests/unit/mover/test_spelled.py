"""Where both databases spell a cell alike, it is the same value."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.mover.codecs import codec_of
from lockstep.mover.model.profile import ColumnProfile
from lockstep.mover.model.values import RawText, real_text
from lockstep.mover.verify.canonical import Foreign
from lockstep.mover.verify.spelled import FileColumn, codec_for

WITH_ZONE, PLAIN = "timestamp with time zone", "timestamp without time zone"
TIME = "time without time zone"
KINDS = (
    *("text", "character varying", "character", "smallint", "integer", "bigint"),
    *("numeric", "real", "double precision", "boolean", "bytea", "uuid", "json"),
    *("jsonb", "date", TIME, WITH_ZONE, PLAIN, "integer[]", "inet"),
)
OWN_TEXTS = {
    **dict.fromkeys(("smallint", "integer", "bigint"), r"0|-?[1-9]\d*"),
    "numeric": r"NaN|-?Infinity|-?(?:0|[1-9]\d*)(?:\.\d*[1-9])?",
    "boolean": r"[tf]",
    "bytea": r"\\x(?:[0-9a-f]{2})*",
    "uuid": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "date": r"\d{4}-\d\d-\d\d",
    TIME: r"\d\d:\d\d:\d\d(?:\.\d{0,5}[1-9])?",
    PLAIN: r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{0,5}[1-9])?",
    WITH_ZONE: r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{0,5}[1-9])?\+00",
    "character": r"(?:|.*[^ ])",
    "integer[]": r"\{.*\}",
}
"""What PostgreSQL can show for a type, where it is not any text."""

HARD_NUMBERS = st.sampled_from(
    [0.0, -0.0, 1.5, 0.1, 89.99, 1e15, 1e23, 5e-324, 2.0**53, 2.0**63, float("inf")]
)
INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [0, 1, 2**53, 2**53 + 1, 10**15, 1_700_000_000, 1_700_000_000_007]
)
DIGITS = st.integers(0, 999_999).map("{:06d}".format)
MOMENTS = st.builds(
    "{}{}{}{}{}".format,
    st.dates().map(str),
    st.sampled_from(" T"),
    st.times().map(lambda at: f"{at:%H:%M:%S}"),
    st.just("") | DIGITS.map(".{}".format) | DIGITS.map(lambda d: f".{d[:3]}"),
    st.sampled_from(["", "Z", "+00:00", " +00:00", "+02:00", "1"]),
)
WORDS = st.sampled_from(
    [
        *("", "x ", "7", "07", "1.5", "1.50", "t", "true", "NaN", "inf", "\\x00ff"),
        *("00ff", "0190a5f0-0000-7000-8000-00000000abcd", "{1,2}", "\t\\N\n", "é"),
        *("0190A5F000007000800000000000ABCD", "[1, 2.0]", '{"a": 1}', "10:00", "a\0"),
    ]
)
COLUMNS = st.one_of(
    *(
        st.lists(st.none() | some, min_size=1, max_size=4)
        for some in (
            *(INTEGERS, st.sampled_from([0, 1]), st.floats(allow_nan=False)),
            *(HARD_NUMBERS, INTEGERS | st.floats(allow_nan=False), WORDS, MOMENTS),
            *(MOMENTS.map(lambda text: text[:19]), st.dates().map(str)),
            *(st.text(max_size=5), st.binary(max_size=3), WORDS | INTEGERS),
            *(st.just(b"\0" * 16), st.just(RawText(b"\xff")) | WORDS),
        )
    )
)


def can_show(kind: str, text: str) -> bool:
    """Whether PostgreSQL can show this text of a column of a type."""
    if kind in ("real", "double precision"):
        try:
            return text in ("NaN", real_text(float(text)))
        except ValueError:
            return False
    if kind in ("json", "jsonb"):
        try:
            return json.loads(text, parse_float=Decimal) is not ...
        except (ValueError, InvalidOperation):
            return False
    is_own = re.fullmatch(OWN_TEXTS.get(kind, "(?s:.*)"), text, re.ASCII)
    return is_own is not None and "\0" not in text


@given(COLUMNS, st.sampled_from(KINDS))
def test_what_is_spelled_alike_is_the_same_value(
    values: Sequence[Any], kind: str
) -> None:
    stored, foreign = ColumnProfile("c"), Foreign(kind)
    stored.watches_forms = True
    stored.add(values)
    word = codec_for(stored, kind)
    column = FileColumn(word, foreign, kind)
    encoder = codec_of(word) if word else foreign
    for value in values:
        if value is None:
            continue
        text, meant = encoder.encode(value), foreign.encode(value)
        assert column.respelled(text) == meant
        assert not column.has_one_spelling or text == meant
        if can_show(kind, text):
            assert foreign.decode(text) == meant


@pytest.mark.parametrize(
    ("values", "kind", "word"),
    [
        ([1, None], "bigint", "integer"),
        ([1, 0], "boolean", "boolean"),
        ([2], "boolean", ""),
        ([1.5], "double precision", "real"),
        ([1, 1.5], "double precision", "number"),
        ([1, 2**53 + 1, 1.5], "numeric", "numeric"),
        (["a"], "jsonb", "text"),
        (["a\0"], "text", ""),
        ([b"a"], "bytea", "bytes"),
        (["\\x00"], "bytea", ""),
        ([b"a"], "text", ""),
        ([1.0], "text", ""),
        ([1], WITH_ZONE, ""),
        (["2024-02-29 10:00:00"], PLAIN, "text"),
        (
            ["2024-02-29 10:00:00"],
            WITH_ZONE,
            "moment:YYYY-MM-DD HH:MM:SS[.f] UTC",
        ),
        (["2024-02-29T10:00:00.500Z"], WITH_ZONE, "moment:YYYY-MM-DDTHH:MM:SS.fffZ"),
        ([None], "bytea", "bytes"),
    ],
)
def test_a_column_is_spelled_as_postgresql_spells_it(
    values: Sequence[Any], kind: str, word: str
) -> None:
    stored = ColumnProfile("c")
    stored.watches_forms = True
    stored.add(values)
    assert codec_for(stored, kind) == word
