"""Adding rows: one, or any number, in batches.

Owns which items are inserted by a compiled text (mappings of attribute names to
values) and which go to ``Repository`` (instances, which may bring others along).
A batch that is refused is taken back and given to ``Repository``, which says why;
a savepoint around all of them makes it all or none.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from lockstep.repository.compiled.entries import journal_of
from lockstep.repository.compiled.inserts import Declined, Recipe, Row, recipe_of
from lockstep.repository.compiled.writes import are_values, attempt, kinds_of
from lockstep.repository.writes import batches

if TYPE_CHECKING:
    from lockstep.repository.compiled.place import InSession, InUnit
    from lockstep.repository.compiled.plan import Plan
    from lockstep.repository.compiled.reads import Reader
    from lockstep.repository.compiled.rows import Target
    from lockstep.repository.keys import Identity

R = TypeVar("R")

#: Rows stored within one savepoint, which costs as much for one row as for many.
#: Bounds memory, as ``BATCH_ROWS`` does, of rows that are no instances.
COMPILED_BATCH_ROWS: Final = 5_000


def are_mappings(items: Iterable[Any]) -> bool:
    """Return whether all items are mappings."""
    return all(issubclass(kind, Mapping) for kind in kinds_of(items))


@dataclass(frozen=True, slots=True)
class Adder(Generic[R]):
    """Adds rows of one model in one place."""

    reader: Reader[R]

    @property
    def plan(self) -> Plan[Any]:
        """What is worked out of the model."""
        return self.reader.plan

    @property
    def place(self) -> InSession | InUnit:
        """Where the rows are written."""
        return self.reader.place

    @property
    def target(self) -> Target[R]:
        """What rows become."""
        return self.reader.target

    def add(self, item: Any) -> R | None:
        """Store one row and return it; None if that did not succeed."""
        found = self._store([item], is_read=True)
        return None if found is None else self._new(found)[0]

    def add_all(
        self, items: Iterable[Any], ordinary: Callable[[Sequence[Any]], list[R]]
    ) -> list[R]:
        """Store rows, all or none, and return them.

        Args:
            items: Mappings or instances.
            ordinary: Stores a batch in the ordinary way.
        """
        added: list[Sequence[Any] | R] = []
        with self.place.atomic():
            for batch in batches(items, COMPILED_BATCH_ROWS):
                found = self._store(batch, is_read=True)
                added += ordinary(batch) if found is None else map(_Read, found)
        return [
            self._new([each])[0] if isinstance(each, _Read) else cast("R", each)
            for each in added
        ]

    def add_counted(
        self, items: Iterable[Any], ordinary: Callable[[Sequence[Any]], int]
    ) -> int:
        """Store rows, all or none, one batch in memory; return how many."""
        count = 0
        with self.place.atomic():
            for batch in batches(items, COMPILED_BATCH_ROWS):
                if self._store(batch, is_read=False) is None:
                    ordinary(batch)
                count += len(batch)
        return count

    def _new(self, rows: Sequence[Sequence[Any]]) -> list[R]:
        return [self.target.new(values) for values in rows]

    def _store(
        self, items: Sequence[Any], *, is_read: bool
    ) -> Sequence[Sequence[Any]] | None:
        """Insert a batch; return its rows, or None if nothing was stored.

        Args:
            items: What is given.
            is_read: Whether the rows are wanted; without, the result is empty.
        """
        if not self.plan.is_made_plainly():
            return None
        groups = self._groups(items)
        if groups is None:
            return None
        if is_read and any(self.target.shows_more(rows[0]) for _, rows in groups):
            return None

        def work(driver: Any) -> list[Sequence[Any]]:
            found: list[Sequence[Any]] = []
            for recipe, rows in groups:
                found += self._insert(driver, recipe, rows, is_read)
            return found

        return attempt(self.place, work)

    def _insert(
        self, driver: Any, recipe: Recipe, rows: Sequence[Row], is_read: bool
    ) -> Iterable[Sequence[Any]]:
        identities = recipe.insert(driver, rows, self.place)
        if self._is_known(identities):
            raise Declined("the session holds a row with this key")
        journal = journal_of(self.plan)
        if journal is None and not is_read:
            return ()
        lookup = self.reader.lookup if journal is None else journal.lookup
        by_key = lookup.many(driver, identities)
        if len(by_key) != len(rows):
            raise Declined("not all rows are found by the keys they were given")
        found = [by_key[identity] for identity in identities]
        if journal is None:
            return found
        entries = [
            journal.change(identity, None, image) for identity, image in by_key.items()
        ]
        journal.write(driver, self.place, entries)
        return [journal.values_of(image, self.target.names) for image in found]

    def _is_known(self, identities: Iterable[Identity]) -> bool:
        held = self.place.held
        return held is not None and any(
            held.identity_map.get(self.plan.identity_key(identity)) is not None
            for identity in identities
        )

    def _groups(self, items: Sequence[Any]) -> list[tuple[Recipe, list[Row]]] | None:
        """Return the items in their order, those together that are given alike.

        None if one of them is for ``Repository`` to store.
        """
        if not are_mappings(items):
            return None
        given = cast("Sequence[Row]", items)
        kinds = kinds_of(chain.from_iterable(map(_values, given)))
        if not are_values(kinds):
            return None
        groups: list[tuple[Recipe, list[Row]]] = []
        for names, alike in groupby(given, tuple):
            recipe = self._recipe(names)
            if recipe is None:
                return None
            if not recipe.touchy or type(None) not in kinds:
                groups.append((recipe, list(alike)))
                continue
            for row in alike:
                other = self._without_nothing(recipe, row)
                if other is None:
                    return None
                if groups and groups[-1][0] is other[0]:
                    groups[-1][1].extend(other[1])
                else:
                    groups.append(other)
        return groups

    def _without_nothing(
        self, recipe: Recipe, row: Row
    ) -> tuple[Recipe, list[Row]] | None:
        """Return a row without what None leaves to a default, and its recipe."""
        nothing = {name for name in recipe.touchy if row[name] is None}
        if not nothing:
            return recipe, [row]
        rest = {name: row[name] for name in row if name not in nothing}
        other = self._recipe(tuple(rest))
        return None if other is None else (other, [rest])

    def _recipe(self, names: tuple[str, ...]) -> Recipe | None:
        if not all(map(self.plan.is_plain, names)):
            return None
        return self.plan.kept.of(("insert", names), lambda: recipe_of(self.plan, names))


_values = operator.methodcaller("values")


class _Read(tuple[Any, ...]):
    """The values of a row that is to become what the caller wants."""
