"""Compiled upserts: one text per set of attributes, run for many rows.

Owns the statement; what makes two rows the same and which of equal rows wins is
``upsert``'s. Models that are recorded go to ``Repository``: their rows are read
before and after anyway, which is what takes the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from lockstep.repository.audit.trail import trail_of
from lockstep.repository.compiled.inserts import (
    Recipe,
    now_and_actor,
    plain_recipe_of,
)
from lockstep.repository.compiled.writes import attempt
from lockstep.repository.stamps import next_version
from lockstep.repository.upsert import (
    Match,
    MatchOn,
    RowValues,
    match_of,
    merged_rows,
    refresh_known,
)
from lockstep.repository.writes import batches
from lockstep.schema import Audited, Timestamped

if TYPE_CHECKING:
    from lockstep.repository.compiled.place import InSession, InUnit
    from lockstep.repository.compiled.plan import Plan


@dataclass(frozen=True, slots=True)
class Upserter:
    """Upserts rows of one model in one place."""

    plan: Plan[Any]
    place: InSession | InUnit

    def is_possible(self) -> bool:
        """Return whether the model's upserts are compiled."""
        facts = self.plan.facts
        has_onupdate = any(
            column.onupdate is not None
            for name, column in self.plan.columns.items()
            if not (name == "updated_at" and issubclass(facts.model, Timestamped))
        )
        return trail_of(facts.mapper) is None and not has_onupdate

    def upsert_many(
        self,
        rows: Iterable[Mapping[str, Any] | object],
        match_on: MatchOn,
        ordinary: Callable[[Sequence[Any]], int],
    ) -> int:
        """Insert or update rows, all or none; return how many were written.

        Args:
            rows: Mappings or instances.
            match_on: What makes two rows the same.
            ordinary: Upserts a batch in the ordinary way.
        """
        plan, place = self.plan, self.place
        match = match_of(plan.facts, match_on, plan.dialect.name)
        count = 0
        with place.atomic():
            for batch in batches(rows):
                merged = merged_rows(match, batch)
                store = partial(self._store, match, merged)
                if attempt(place, store) is None:
                    ordinary(batch)
                count += len(merged)
            if place.held is not None:
                refresh_known(place.held, plan.facts)
        return count

    def _store(self, match: Match, rows: Sequence[RowValues], driver: Any) -> bool:
        groups: dict[tuple[str, ...], list[RowValues]] = {}
        for row in rows:
            groups.setdefault(tuple(sorted(row)), []).append(row)
        for names, members in groups.items():
            self._recipe(match, names).insert(driver, members, self.place)
        return True

    def _recipe(self, match: Match, names: tuple[str, ...]) -> Recipe:
        plan, with_actor = self.plan, self.place.actor is not None
        return plan.kept.of(
            ("upsert", match.names, names, with_actor),
            lambda: plain_recipe_of(
                plan,
                names,
                now_and_actor(plan),
                lambda slots: _statement(plan, match, names, slots, with_actor),
            ),
        )


def _statement(
    plan: Plan[Any],
    match: Match,
    names: Sequence[str],
    slots: dict[sa.Column[Any], Any],
    with_actor: bool,
) -> Any:
    engine = postgresql if plan.dialect.name == "postgresql" else sqlite
    statement = engine.insert(plan.table).values(slots)
    changed = _changed(plan, match, names, statement.excluded, with_actor)
    where: Any = {"index_elements": match.columns, "index_where": match.index_where}
    if changed:
        return statement.on_conflict_do_update(**where, set_=changed)
    return statement.on_conflict_do_nothing(**where)


def _changed(
    plan: Plan[Any],
    match: Match,
    names: Sequence[str],
    excluded: Any,
    with_actor: bool,
) -> dict[str, Any]:
    """Return what an existing row's columns are set to, by column key."""
    model, columns = plan.facts.model, plan.columns
    taken = [name for name in names if name not in match.kept]
    # The row that would be new carries them, given or not.
    if issubclass(model, Timestamped):
        taken.append("updated_at")
    if issubclass(model, Audited) and with_actor:
        taken.append("updated_by")
    found = {columns[name].key: excluded[columns[name].key] for name in taken}
    found |= {column.key: value for column, value in next_version(plan.facts).items()}
    deleted = plan.facts.deleted_name
    if deleted is not None and deleted not in names:
        found[columns[deleted].key] = None
    return found
