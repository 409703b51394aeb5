"""Numbers about numbers: medians, percentiles, ratios and how far they can be trusted.

Pure functions over the raw rounds. Medians, because one slow round (another program,
a disk that is busy) must not move a result; and ranges beside them, because a median
alone hides how noisy a machine is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


def median(values: Sequence[float]) -> float:
    """Return the middle value; the mean of the two middle ones of an even number.

    Example:
        >>> median([3.0, 1.0, 2.0, 100.0])
        2.5
    """
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` (0 to 1) of ``values`` do not exceed.

    The nearest rank: always a value that was measured, never one between two.

    Example:
        >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5)
        2.0
    """
    ordered = sorted(values)
    rank = max(math.ceil(share * len(ordered)), 1)
    return ordered[rank - 1]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How one side compares with the other.

    Attributes:
        value: Ratio of the medians.
        low: The smallest ratio of two rounds that followed each other.
        high: The largest one.
    """

    value: float
    low: float
    high: float


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
    """Compare rounds that were run in turn; the n-th of each belong together.

    Example:
        >>> ratio([2.0, 4.0, 6.0], [1.0, 2.0, 2.0])
        Ratio(value=2.0, low=2.0, high=3.0)
    """
    pairs = [
        above / below
        for above, below in zip(numerator, denominator, strict=False)
        if below > 0
    ]
    below = median(denominator)
    value = median(numerator) / below if below > 0 else math.inf
    if not pairs:
        return Ratio(value, value, value)
    return Ratio(value, min(pairs), max(pairs))
