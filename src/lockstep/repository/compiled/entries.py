"""Audit entries of compiled writes: the same contents, in the same transaction.

Owns the images that a compiled write reads before and after itself, and the one
compiled INSERT into the audit table. What an entry holds is decided by
``audit.images.Change``, as for every other write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from lockstep.repository.audit.images import Change, Image, Shape, shape_of
from lockstep.repository.audit.trail import entries_of, trail_of
from lockstep.repository.audit.values import encode
from lockstep.repository.compiled.inserts import (
    ACTOR,
    NOW,
    Declined,
    Fill,
    Recipe,
    plain_recipe_of,
)
from lockstep.repository.compiled.lookup import Lookup
from lockstep.repository.compiled.plan import Plan, plan_of
from lockstep.repository.compiled.statement import Statement
from lockstep.repository.compiled.updates import Updates, updates_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lockstep.repository.compiled.place import InSession, InUnit
    from lockstep.repository.keys import Identity
    from lockstep.schema import AuditTrail

#: What an entry says; when it was written and by whom, its recipe adds.
_NAMES: Final = ("action", "table_name", "row_key", "before", "after")
_STAMPS: Final[Mapping[str, Fill]] = {"at": NOW, "actor": ACTOR}


@dataclass(frozen=True, eq=False)
class Journal:
    """How the changes of one recorded model are written down.

    Attributes:
        lookup: Finds all values of rows by key.
        locked: Finds the row that is about to be changed, and locks it.
        stored: Finds it afterwards.
        recipe: Inserts any entries.
        updates: Writes down updates that mark nothing; None if they are as others.
        mark: Where the soft-delete mark stands in a row, if there is one.
        places: Where each attribute stands in a row.
    """

    plan: Plan[Any]
    trail: type[AuditTrail]
    shape: Shape
    recipe: Recipe
    updates: Updates | None
    lookup: Lookup
    locked: Statement
    stored: Statement
    mark: int | None
    places: dict[str, int]

    def values_of(self, row: Sequence[Any], names: Sequence[str]) -> Sequence[Any]:
        """Return the values of some attributes."""
        if names == self.shape.attributes:
            return row
        return [row[self.places[name]] for name in names]

    def image(self, values: Sequence[Any]) -> Image:
        """Return a row's image."""
        return dict(zip(self.shape.names, map(encode, values), strict=True))

    def change(
        self,
        identity: Identity,
        before: Sequence[Any] | None,
        after: Sequence[Any] | None,
    ) -> Change:
        """Return the change from one row's values to another's."""
        old = None if before is None else self.image(before)
        new = None if after is None else self.image(after)
        return Change(self.shape, identity, old, new)

    def update(
        self,
        driver: Any,
        place: InSession | InUnit,
        identity: Identity,
        before: Sequence[Any],
        after: Sequence[Any],
    ) -> None:
        """Insert the entry of a row that was changed, if anything in it was.

        Args:
            driver: The driver's connection.
            place: Where it is written.
            identity: The row's key.
            before: The row as ``locked`` found it stored.
            after: The row as ``stored`` found it.
        """
        is_marked = self.mark is not None and before[self.mark] != after[self.mark]
        if self.updates is not None and not is_marked:
            rows = before, after
            self.updates.insert(driver, place, identity, self.stored, rows)
        else:
            old, new = self.locked.shown(before), self.stored.shown(after)
            self.write(driver, place, [self.change(identity, old, new)])

    def write(
        self, driver: Any, place: InSession | InUnit, changes: Iterable[Change]
    ) -> None:
        """Insert one entry per change that changed something."""
        rows = entries_of(changes)
        if rows:
            self.recipe.insert(driver, rows, place)


def journal_of(plan: Plan[Any]) -> Journal | None:
    """Return how a model's changes are recorded; None if they are not."""
    trail = trail_of(plan.facts.mapper)
    if trail is None:
        return None
    return plan.kept.of(("journal", trail), lambda: _journal(plan, trail))


def _journal(plan: Plan[Any], trail: type[AuditTrail]) -> Journal:
    shape = shape_of(plan.facts.mapper)
    mark = None if shape.deleted is None else shape.names.index(shape.deleted)
    trail_plan = plan_of(trail, plan.dialect)
    if trail_plan.reason_writes:
        raise Declined("the audit model's columns are not plain")
    entry = sa.insert(trail_plan.table)
    lookup = Lookup(plan, "images", shape.columns)
    places = {name: place for place, name in enumerate(shape.attributes)}
    return Journal(
        plan=plan,
        trail=trail,
        shape=shape,
        recipe=plain_recipe_of(trail_plan, _NAMES, _STAMPS, entry.values),
        updates=updates_of(shape, trail_plan),
        lookup=lookup,
        locked=lookup.by_key(lock=True),
        stored=lookup.by_key(lock=False),
        mark=mark,
        places=places,
    )
