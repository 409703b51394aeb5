"""The version a writer expects, and what it means when it is another.

Owns the checks around optimistic locking: whether a version must be named, what a
stale one is answered with. The comparison that decides is the database's, in the
UPDATE itself; the check here only says so before anything is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lockstep.errors import InvalidValue, StaleVersion

if TYPE_CHECKING:
    from lockstep.repository.facts import ModelFacts


def check_expected(
    facts: ModelFacts[Any], expected: int | None, *, is_required: bool
) -> None:
    """Refuse an expected version where there is none, or none where one is due.

    Raises:
        InvalidValue: See the message; nothing was asked of the database.
    """
    if facts.version_name is None:
        if expected is not None:
            raise InvalidValue(
                f"{facts.name} has no version to expect",
                hint="add the Versioned mixin, or set version_id_col",
            )
        return
    if expected is None and is_required:
        raise InvalidValue(
            f"{facts.name} is versioned: say which version was read",
            hint="expected_version=row.version, or any_version=True to overwrite",
        )
    if isinstance(expected, bool) or not isinstance(expected, int | None):  # pyright: ignore[reportUnnecessaryIsInstance] - it may come from a form
        raise InvalidValue(
            f"expected_version must be int, not {type(expected).__name__}",
            hint="pass row.version as it was read",
        )


def check_version(
    facts: ModelFacts[Any], instance: object, expected: int | None
) -> None:
    """Compare the row, as it was read and locked, with the expected version.

    Raises:
        StaleVersion: They differ.
    """
    if expected is None or facts.version_name is None:
        return
    actual = getattr(instance, facts.version_name)
    if actual != expected:
        raise stale(facts, expected, actual)


def stale(
    facts: ModelFacts[Any], expected: int | None, actual: int | None
) -> StaleVersion:
    """Return the error of a writer that read another version."""
    return StaleVersion(
        f"{facts.name} is at version {actual}, not {expected}",
        expected=expected,
        actual=actual,
        detail={"model": facts.name},
    )
