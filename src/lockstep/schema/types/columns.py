"""A whole column of values at once: a short way beside the one for each value.

Owns how a processor, which translates one value on its way to or from the driver,
carries a way for many. Reading a thousand rows and storing ten thousand is mostly
translating, and a loop in C takes a fraction of as many calls in Python.

Invariant: a column's short way takes columns of usual values only, and gives for them
what the processor gives for each. It gives up on every other column, by returning None
or by raising, and then the processor sees each value and refuses what is to be refused.
So there is one meaning, and one place where errors are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, TypeVar, cast

Processor = TypeVar("Processor", bound=Callable[[Any], Any])
ShortWay: TypeAlias = Callable[[Sequence[Any]], "Sequence[Any] | None"]

COLUMN_MIN: Final = 8
"""A column of fewer values is done sooner one by one."""


def with_short_way(process: Processor, short_way: ShortWay) -> Processor:
    """Return ``process``, which takes a whole column in this way from now on."""
    cast("Any", process).of_column = short_way
    return process


def converted(process: Callable[[Any], Any], column: Sequence[Any]) -> Iterable[Any]:
    """Return what ``process`` gives for each value of a column, in order."""
    short_way: ShortWay | None = getattr(process, "of_column", None)
    if short_way is not None and len(column) >= COLUMN_MIN:
        try:
            found = short_way(column)
        except (ValueError, TypeError, ArithmeticError):
            found = None  # a value is unusual: processed below, or refused there
        if found is not None:
            return found
    return map(process, column)


def are_all(kind: type[Any], column: Iterable[Any]) -> bool:
    """Return whether every value is of exactly this type."""
    return set(map(type, column)) == {kind}


def with_same(process: Processor, kind: type[Any]) -> Processor:
    """Return ``process``, which gives values of exactly this type back as they are.

    Whoever asks ``same_kind`` first may spare the call.
    """
    cast("Any", process).same_kind = kind
    return with_short_way(
        process, lambda column: column if are_all(kind, column) else None
    )


def same_kind(process: Callable[[Any], Any]) -> type[Any] | None:
    """Return the type whose values ``process`` gives back as they are, if known."""
    return getattr(process, "same_kind", None)
