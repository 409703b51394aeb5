"""What a typed value must look like, without a database."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixit import validation
from fixit.errors import Invalid
from fixit.models import Priority


@given(st.text(max_size=300))
def test_text_is_clean_or_refused(value: str) -> None:
    try:
        kept = validation.text(value, "problem", most=200)
    except Invalid:
        return
    assert 1 <= len(kept) <= 200
    assert kept == kept.strip()
    assert not {unicodedata.category(c) for c in kept if c not in "\n\t"} & {"Cc", "Cs"}
    kept.encode()
    assert validation.text(kept, "problem", most=200) == kept


def test_a_refusal_names_its_field() -> None:
    with pytest.raises(Invalid) as refused:
        validation.text("x" * 11, "problem", most=10)
    assert refused.value.fields == {"problem": "At most 10 characters."}


@pytest.mark.parametrize("value", ["", "   ", "\x00", "\n\n", "\ud83d"])
def test_nothing_is_not_a_text(value: str) -> None:
    with pytest.raises(Invalid):
        validation.text(value, "problem", most=10)
    assert validation.text(value, "problem", most=10, least=0) == ""


def test_a_code_is_upper_case_and_plain() -> None:
    assert validation.code(" im-001 ", "code") == "IM-001"
    for value in ("IM 001", "İM", "../x", "a/b", "<b>", "", "X" * 41):
        with pytest.raises(Invalid):
            validation.code(value, "code")


@pytest.mark.parametrize("value", [0, -1, 1_000_001, 2**70])
def test_a_number_outside_its_range_is_refused(value: int) -> None:
    with pytest.raises(Invalid):
        validation.whole(value, "quantity")


def test_a_choice_is_one_of_the_members() -> None:
    assert validation.choice(Priority, "low", "priority") is Priority.LOW
    with pytest.raises(Invalid, match="critical, high, medium, low"):
        validation.choice(Priority, "LOW", "priority")


def test_a_request_key_is_optional_and_short() -> None:
    assert validation.request_key(None) is None
    assert validation.request_key("  ") is None
    assert validation.request_key(" a1 ") == "a1"
    with pytest.raises(Invalid):
        validation.request_key("x" * 65)


def test_search_folds_more_than_ascii() -> None:
    assert validation.folded("JOSÉ Straße") == validation.folded("josé STRASSE")
    assert validation.folded(("Ⅳ", "ﬁx")) == "iv fix"
