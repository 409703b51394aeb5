"""Canonical JSON: one text per document, read back exactly."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.schema.types import json_text
from lockstep.schema.types.json_text import (
    JSON_DEPTH_MAX,
    NotJson,
    canonical_json,
)

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"))
DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


def shuffled(document: Any) -> Any:
    if isinstance(document, dict):
        keys = list(document)
        random.Random(1).shuffle(keys)
        return {key: shuffled(document[key]) for key in keys}
    return [shuffled(d) for d in document] if isinstance(document, list) else document


@given(DOCUMENTS, st.booleans())
def test_a_document_is_read_back_exactly(document: Any, expand: bool) -> None:
    text = canonical_json(document, expand_floats=expand)
    assert json.loads(text) == document
    assert canonical_json(json.loads(text), expand_floats=expand) == text


@given(DOCUMENTS)
def test_the_order_of_keys_does_not_matter(document: Any) -> None:
    assert canonical_json(shuffled(document)) == canonical_json(document)


ASCII = st.text(st.characters(max_codepoint=127, exclude_characters="\x00"))
SIMPLE = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | ASCII | TEXT


@given(st.dictionaries(ASCII | TEXT, SIMPLE))
def test_the_short_way_writes_what_the_long_one_writes(document: Any) -> None:
    # Inside a list a document takes the long way.
    assert canonical_json([document]) == f"[{canonical_json(document)}]"


@pytest.mark.parametrize("document", [{"a": "\x00"}, {"\x00": 1}, {1: "a"}])
def test_the_short_way_refuses_nothing_less(document: Any) -> None:
    with pytest.raises(NotJson):
        canonical_json(document)


def test_what_is_remembered_of_keys_is_bounded() -> None:
    for number in range(json_text._FORMS_MAX + 2):
        canonical_json({f"key {number}": 1})
    assert len(json_text._forms) <= json_text._FORMS_MAX
    long = "k" * (json_text._ORDER_LENGTH_MAX + 1)
    assert canonical_json({long: 1, "a": 2}) == f'{{"a":2,"{long}":1}}'
    assert not any(long in names for names in json_text._forms)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_an_expanded_float_has_a_point_and_no_exponent(number: float) -> None:
    text = canonical_json(number, expand_floats=True)
    assert "." in text
    assert "e" not in text.lower()
    assert json.loads(text) == number


def test_keys_stand_in_jsonbs_order() -> None:
    assert canonical_json({"b": 1, "aa": 2, "": 3, "é": 4, "c": 5}) == (
        '{"":3,"b":1,"c":5,"aa":2,"é":4}'
    )


def test_only_what_must_be_escaped_is_escaped() -> None:
    assert canonical_json('é"\\\n/\x7f\u2028') == '"é\\"\\\\\\n/\x7f\u2028"'


def nested(levels: int) -> Any:
    document: Any = {}
    for _ in range(levels - 1):
        document = {"a": document}
    return document


def test_the_depth_is_limited() -> None:
    assert canonical_json(nested(JSON_DEPTH_MAX))
    with pytest.raises(NotJson, match="nested"):
        canonical_json(nested(JSON_DEPTH_MAX + 1))
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(NotJson, match="nested"):
        canonical_json(circle)
