"""Medians, percentiles and ratios."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.bench.statistics import Ratio, median, percentile, ratio

POSITIVE = st.floats(min_value=1e-6, max_value=1e6)


@given(st.lists(POSITIVE, min_size=1), st.floats(min_value=0.01, max_value=1.0))
def test_a_percentile_is_a_value_that_enough_others_do_not_exceed(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    below = [value for value in values if value < found]
    assert len(below) < share * len(values) + 1e-9


@given(st.lists(POSITIVE, min_size=1))
def test_one_slow_round_does_not_move_a_median_beyond_its_neighbours(
    values: list[float],
) -> None:
    middle = median(values)
    assert min(values) <= middle <= max(values)
    assert median([*values, *values]) == pytest.approx(middle)
    assert median([*values, *values, 1e9]) <= max(values)


@given(st.lists(POSITIVE, min_size=1, max_size=20), POSITIVE)
def test_a_side_that_is_twice_as_much_is_two(values: list[float], by: float) -> None:
    found = ratio([value * by for value in values], values)
    assert found.value == pytest.approx(by)
    assert found.low == pytest.approx(by)
    assert found.high == pytest.approx(by)


def test_the_range_is_of_rounds_that_followed_each_other() -> None:
    assert ratio([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == Ratio(2.0, 1.0, 3.0)


def test_nothing_is_divided_by_nothing() -> None:
    assert ratio([1.0], [0.0]).value == float("inf")
