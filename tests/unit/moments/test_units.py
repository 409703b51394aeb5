"""In which numbers moments are counted."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lockstep.moments.units import UNIT_OF_WORD, UNITS, unit_of_range


def test_no_number_has_two_units() -> None:
    assert all(unit.low < unit.high for unit in UNITS)
    ranges = [(unit.low, unit.high) for unit in UNITS]
    assert all(one[1] < other[0] for one, other in pairwise(ranges))


@pytest.mark.parametrize("word", UNIT_OF_WORD)
def test_a_count_becomes_a_moment_and_the_same_count(word: str) -> None:
    unit = UNIT_OF_WORD[word]
    middle = (unit.low + unit.high) // 2
    for number in (unit.low, middle, unit.high, 0, -1):
        assert unit.number(unit.moment(number)) == number
    assert unit_of_range(unit.low, middle) is unit
    assert unit_of_range(unit.low - 1, middle) is None
