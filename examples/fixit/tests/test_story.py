"""The day in the factory, on every engine."""

from __future__ import annotations

import story
from lockstep import Database


def test_every_promise_of_the_day_is_kept(blank: Database) -> None:
    broken = [
        f"{promise}: {type(error).__name__}: {error}"
        for promise, error in story.tell(blank.url.unmasked())
        if error is not None
    ]
    assert broken == []


def test_every_step_says_what_it_promises() -> None:
    for step in story.STEPS:
        assert step.__doc__, step.__name__
        assert "\n" not in step.__doc__.strip()
