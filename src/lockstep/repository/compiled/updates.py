"""The entry of one update: what differs, written as JSON at once.

Owns the way from a row's stored values, before and after, to the texts of its
entry. ``audit.images`` says the same with documents. Nearly every entry is of this
one kind, so here no document is made, and keys are put in order once per model.

    before, after ──► what is stored otherwise ──► converted, encoded ──► texts
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lockstep.repository.audit.values import (
    encode,
    fingerprint,
    is_same_json,
    masked,
)
from lockstep.repository.compiled.inserts import (
    Fixed,
    Recipe,
    Stamp,
    plain_recipe_of,
)
from lockstep.repository.compiled.statement import slot
from lockstep.schema import Json
from lockstep.schema.types.json_text import jsonb_order, labelled, storable_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lockstep.repository.audit.images import Shape
    from lockstep.repository.compiled.place import InSession, InUnit
    from lockstep.repository.compiled.plan import Plan
    from lockstep.repository.compiled.statement import Statement
    from lockstep.repository.keys import Identity

#: What an entry is given beside its time and actor; they are documents.
_DOCUMENTS = ("row_key", "before", "after")
#: What may be equal and yet be written in another way: ``1.0`` and ``1.00``, and
#: documents with ``1`` and ``true``.
_WRITTEN_IN_WAYS = frozenset({decimal.Decimal, dict, list})


class _WrittenJson(Json):
    """A document that is given as its canonical text."""

    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> None:
        """Do nothing: it is written already."""


@dataclass(frozen=True, eq=False)
class Part:
    """One value of a document.

    Attributes:
        place: Where the value stands in the row, or in the key.
        label: The key of the document, as it is written.
        is_secret: Whether the value is not shown.
    """

    place: int
    label: str
    is_secret: bool


@dataclass(frozen=True, eq=False)
class Updates:
    """How the updates of one recorded model are written down.

    Attributes:
        recipe: Inserts an entry.
        columns: The row's values, in the order of a document's keys.
        keys: The key's values, in this order.
        expands_floats: See ``canonical_json``.
    """

    recipe: Recipe
    columns: tuple[Part, ...]
    keys: tuple[Part, ...]
    expands_floats: bool

    def insert(
        self,
        driver: Any,
        place: InSession | InUnit,
        identity: Identity,
        read: Statement,
        rows: tuple[Sequence[Any], Sequence[Any]],
    ) -> None:
        """Insert the entry of an update, if anything in the row differs.

        Args:
            driver: The driver's connection.
            place: Where it is written.
            identity: The row's key.
            read: What read the rows.
            rows: The row as it was stored before, and after.
        """
        before: list[str] = []
        after: list[str] = []
        write, expands_floats = storable_json, self.expands_floats
        old, new = rows
        for part in self.columns:
            was, became = old[part.place], new[part.place]
            # What is stored alike has one image, so only the rest is converted.
            if was is became or (
                was == became
                and type(was) is type(became)
                and type(was) not in _WRITTEN_IN_WAYS
            ):
                continue
            was = encode(read.value(part.place, was))
            became = encode(read.value(part.place, became))
            if not is_same_json(was, became):
                if part.is_secret:
                    was, became = masked(was), masked(became)
                before.append(part.label + write(was, expands_floats))
                after.append(part.label + write(became, expands_floats))
        if after:
            stamp = Stamp(place.now(), place.actor)
            texts = self._key(identity), _document(before), _document(after)
            self.recipe.insert_one(driver, (*stamp, *texts), stamp)

    def _key(self, identity: Identity) -> str:
        found: list[str] = []
        for part in self.keys:
            value = encode(identity[part.place])
            if part.is_secret:
                value = fingerprint(value)
            found.append(part.label + storable_json(value, self.expands_floats))
        return _document(found)


def _document(parts: list[str]) -> str:
    return f"{{{','.join(parts)}}}"


def updates_of(shape: Shape, trail_plan: Plan[Any]) -> Updates | None:
    """Return how a model's updates are written down.

    Returns:
        None if the audit model stores its documents in a way of its own.
    """
    documents = {trail_plan.columns[name] for name in _DOCUMENTS}
    if any(type(column.type) is not Json for column in documents):
        return None

    def statement(slots: dict[sa.Column[Any], Any]) -> sa.Insert:
        written = {
            column: slot(slots[column].value.number, _WrittenJson())
            for column in documents
        }
        return sa.insert(trail_plan.table).values({**slots, **written})

    fixed = {"action": Fixed("update"), "table_name": Fixed(shape.table_name)}
    names = ("at", "actor", *_DOCUMENTS)
    secrets = shape.secrets
    return Updates(
        plain_recipe_of(trail_plan, names, fixed, statement),
        _ordered((name, name in secrets) for name in shape.names),
        _ordered(shape.keys),
        trail_plan.dialect.name == "postgresql",
    )


def _ordered(names: Iterable[tuple[str, bool]]) -> tuple[Part, ...]:
    parts = [
        (jsonb_order(name), Part(place, labelled(name), is_secret))
        for place, (name, is_secret) in enumerate(names)
    ]
    return tuple(part for _, part in sorted(parts, key=lambda each: each[0]))
