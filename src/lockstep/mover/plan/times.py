"""Which integers of a column are moments, and what they count.

Owns the detection. It never decides alone: an inspection shows the unit, a plan
made with ``clean`` declares it, and the mapping file can change it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lockstep.moments.units import Unit, unit_of_range
from lockstep.mover.model.declared import may_be_moment
from lockstep.mover.model.profile import ColumnProfile
from lockstep.mover.model.sqlite import Column


@dataclass(frozen=True)
class Meant:
    """What a person says of the moments in a file.

    Attributes:
        clean: Integers that are moments become ``timestamptz``; ``clean.py`` has more.
        utc: Texts that name no zone are in UTC, and become ``timestamptz``.
    """

    clean: bool = False
    utc: bool = False


NOTHING_MEANT = Meant()


def unit_of(column: Column, profile: ColumnProfile) -> Unit | None:
    """Return the unit in which every value is a moment, if there is one.

    Zero counts as a moment in any unit.
    """
    if profile.classes != {"integer"} or not may_be_moment(column):
        return None
    low, high = profile.integer_positive_min, profile.integer_max
    if low is None or high is None or (profile.integer_min or 0) < 0:
        return None
    return unit_of_range(low, high)
