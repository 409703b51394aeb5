"""The tree of errors: codes, texts, and that they survive a trip."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from lockstep import errors
from lockstep.errors import (
    LockstepError,
    MissingExtraError,
    NotEnough,
    StaleVersion,
    all_errors,
)


def example_of(kind: type[LockstepError]) -> LockstepError:
    if issubclass(kind, MissingExtraError):
        return kind("PostgreSQL", extra="pg")
    if issubclass(kind, StaleVersion):
        return kind("stale", expected=3, actual=4)
    if issubclass(kind, NotEnough):
        return kind("too few", wanted=5, available=2)
    return kind("it failed", hint="try this", detail={"table": "part"})


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_survives_pickle_and_copy(kind: type[LockstepError]) -> None:
    error = example_of(kind)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert str(again) == str(error)
        assert again.to_json() == error.to_json()
        assert vars(again) == vars(error)


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_says_itself_in_one_way(kind: type[LockstepError]) -> None:
    error = example_of(kind)
    assert str(error).startswith(f"[{kind.code}] {error.message}")
    assert error.hint in str(error)
    json.dumps(error.to_json())
    assert error.to_json()["retryable"] is kind.retryable


def test_codes_are_unique_and_ordered() -> None:
    codes = [kind.code for kind in all_errors()]
    assert codes == sorted(set(codes))
    assert len(codes) > 30


def test_each_class_is_part_of_the_tree() -> None:
    public = [
        value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and name[0] != "_"
    ]
    assert set(public) == set(all_errors())


def test_an_error_is_also_what_python_calls_it() -> None:
    assert issubclass(MissingExtraError, ImportError)
    assert issubclass(errors.InvalidValue, ValueError)


def test_a_missing_extra_says_how_to_get_it() -> None:
    assert "pip install 'lockstep-db[pg]'" in str(MissingExtraError("X", extra="pg"))


def test_a_hint_can_be_left_out_or_replaced() -> None:
    assert str(errors.Busy("held")) == (
        "[LS-2002] held (try the whole transaction again)"
    )
    assert str(errors.Busy("held", hint="")) == "[LS-2002] held"
