"""Names of the target: free, and never longer than PostgreSQL keeps them."""

from __future__ import annotations

import pytest

from lockstep.mover.plan.names import Names, clean
from lockstep.schema import IDENTIFIER_BYTES_MAX


@pytest.mark.parametrize(
    "wanted", ["parts", "ä" * 31, "p" * 63, "😀" * 15, "long " * 20]
)
def test_a_name_that_is_taken_again_and_again_stays_short(wanted: str) -> None:
    first = Names()
    given = [first.give(wanted), first.give(wanted)]
    # Somebody's tables are called like what would be made of the name.
    names = Names(frozenset(given))
    more = [names.give(wanted) for _ in range(12)]
    assert given[0] == clean(wanted)
    assert len({*given, *more}) == 14
    assert all(len(name.encode()) <= IDENTIFIER_BYTES_MAX for name in more)
