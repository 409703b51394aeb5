"""Compiled reads: by key, by many keys, lists, counts, pages, streams.

Owns how a question becomes one text and its values, run on the driver. Every
method answers like its namesake of ``Repository``; a question that is not made of
attributes never comes here. An error in a read is classified and ends the
transaction on PostgreSQL, as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import sqlalchemy as sa

from lockstep.errors import InvalidValue, LimitExceeded
from lockstep.repository.compiled.questions import Order, Question, slots_of
from lockstep.repository.compiled.statement import Statement, slot
from lockstep.repository.ordering import Segment
from lockstep.repository.pages import (
    STREAM_BATCH_MAX,
    Edge,
    Page,
    check_size,
    page_of,
)
from lockstep.repository.reads import LIST_ROWS_MAX
from lockstep.repository.transaction import raise_translated

if TYPE_CHECKING:
    from lockstep.repository.compiled.place import InSession, InUnit
    from lockstep.repository.compiled.plan import Plan
    from lockstep.repository.compiled.rows import Target
    from lockstep.repository.keys import Identity

R = TypeVar("R")


class Reader(Generic[R]):
    """Reads one model's rows in one place."""

    __slots__ = ("lookup", "place", "plan", "target")

    def __init__(
        self, plan: Plan[Any], place: InSession | InUnit, target: Target[R]
    ) -> None:
        self.plan = plan
        self.place = place
        self.target = target
        self.lookup = target.lookup

    def by_key(self, identity: Identity, *, with_deleted: bool) -> R | None:
        """Return the row with this key, or None."""
        find = self.lookup.one if with_deleted else self.lookup.find
        driver = self.place.reading()
        try:
            found = find(driver, identity)
        except Exception as exc:
            raise_translated(exc)
        return None if found is None else self.target.one(found)

    def by_keys(self, identities: Sequence[Identity], *, with_deleted: bool) -> list[R]:
        """Return the rows with these keys, in the keys' order."""
        driver = self.place.reading()
        try:
            found = self.lookup.many(driver, identities, with_deleted=with_deleted)
        except Exception as exc:
            raise_translated(exc)
        items = dict(zip(found, self.target.many(found.values()), strict=True))
        return [items[identity] for identity in identities if identity in items]

    def listed(self, asked: Question, order: Order, limit: int | None) -> list[R]:
        """Return the matching rows in order.

        Raises:
            LimitExceeded: No ``limit`` was given and more than ``LIST_ROWS_MAX``
                match.
            InvalidValue: ``limit`` is no count.
        """
        if limit is not None and (isinstance(limit, bool) or limit < 0):
            raise InvalidValue(
                f"limit must be a number of rows, not {limit!r}",
                hint="leave limit out, or pass an int",
            )
        length = LIST_ROWS_MAX + 1 if limit is None else limit
        rows = self._some(asked, order, length)
        if limit is None and len(rows) > LIST_ROWS_MAX:
            raise LimitExceeded(
                f"more than {LIST_ROWS_MAX} rows of {self.plan.facts.name} match",
                detail={"rows_max": LIST_ROWS_MAX},
            )
        return rows

    def one_of(self, asked: Question) -> R | None:
        """Return the one row that matches, or None.

        Raises:
            LimitExceeded: More than one row matches.
        """
        found = self._some(asked, None, 2)
        if len(found) > 1:
            raise LimitExceeded(
                f"more than one row of {self.plan.facts.name} matches",
                hint="narrow the conditions, or use list()",
            )
        return found[0] if found else None

    def _some(self, asked: Question, order: Order | None, length: int) -> list[R]:
        clauses = () if order is None else order.forward.clauses()
        statement = self.plan.statement(
            ("list", self.target.kind, asked.key, order and order.key),
            lambda: (
                self.select()
                .where(*asked.conditions())
                .order_by(*clauses)
                .limit(slot(len(asked.values), sa.Integer()))
            ),
        )
        driver = self.place.reading()
        try:
            return self.target.many(statement.rows(driver, [*asked.values, length]))
        except Exception as exc:
            raise_translated(exc)

    def count(self, asked: Question) -> int:
        """Return how many rows match."""
        statement = self.plan.statement(
            ("count", asked.key),
            lambda: (
                sa.select(sa.func.count())
                .select_from(self.plan.table)
                .where(*asked.conditions())
            ),
        )
        return self.first(statement, asked.values)[0]

    def is_any(self, asked: Question) -> bool:
        """Return whether a row matches."""
        statement = self.plan.statement(
            ("exists", asked.key),
            lambda: (
                self.select_one()
                .where(*asked.conditions())
                .limit(slot(len(asked.values), sa.Integer()))
            ),
        )
        return self.first(statement, [*asked.values, 1]) is not None

    def select_one(self) -> sa.Select[Any]:
        """Return the SELECT of a constant, for whether there is a row."""
        one: sa.ColumnClause[int] = sa.literal_column("1")
        return sa.select(one).select_from(self.plan.table)

    def first(self, statement: Statement, values: Sequence[Any]) -> Any:
        """Return the first row as the driver gives it, or None."""
        driver = self.place.reading()
        try:
            return statement.run(driver, values).fetchone()
        except Exception as exc:
            raise_translated(exc)

    def select(self, *more: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """Return the SELECT of what the target needs, and of more."""
        columns = self.plan.columns
        return sa.select(*(columns[name] for name in self.target.names), *more)

    def page(
        self,
        asked: Question,
        order: Order,
        *,
        size: int,
        after: str | None,
        before: str | None,
    ) -> Page[R]:
        """Return one page."""
        return page_of(
            _Pages(self, asked, order),
            order.forward,
            order.signature,
            self.plan.dialect,
            size=size,
            after=after,
            before=before,
        )

    def batches(self, asked: Question, order: Order, size: int) -> Iterator[list[R]]:
        """Yield all matching rows in order, ``size`` at a time, nothing held between.

        Raises:
            InvalidValue: ``size`` is no number of rows that is read at once.
        """
        check_size("batch_size", size, STREAM_BATCH_MAX)
        pages = _Pages(self, asked, order)
        rows = pages.rows(None, size)
        while rows:
            count, position = len(rows), tuple(rows[-1][1:])
            items: list[R] = [row[0] for row in rows]
            # Nothing here may keep the rows alive while the caller works.
            del rows
            yield items
            del items
            if count < size:
                return
            rows = pages.rows(Edge(position, inclusive=False, backward=False), size)


@dataclass(frozen=True, slots=True)
class _Pages(Generic[R]):
    """Reads the rows of a page with compiled texts."""

    reader: Reader[R]
    asked: Question
    order: Order

    def rows(self, edge: Edge | None, length: int) -> Sequence[Sequence[Any]]:
        """Return rows from the edge on, in the edge's direction."""
        reader = self.reader
        width = len(reader.target.names)
        driver = reader.place.reading()
        position = () if edge is None else edge.position
        found: list[Sequence[Any]] = []
        try:
            for statement in self._statements(edge, is_question=False):
                values = [*self.asked.values, *position, length - len(found)]
                found += statement.rows(driver, values)
                if len(found) == length:
                    break
        except Exception as exc:
            raise_translated(exc)
        items = reader.target.many(row[:width] for row in found)
        return [(item, *row[width:]) for item, row in zip(items, found, strict=True)]

    def is_any(self, edge: Edge) -> bool:
        """Return whether a row lies beyond the edge."""
        values = [*self.asked.values, *edge.position, 1]
        return any(
            self.reader.first(statement, values) is not None
            for statement in self._statements(edge, is_question=True)
        )

    def _statements(
        self, edge: Edge | None, *, is_question: bool
    ) -> Sequence[Statement]:
        """Return one text per segment of the order; see ``Ordering.after``."""
        plan, order = self.reader.plan, self.order
        number = len(self.asked.values)
        if edge is None:
            shape, slots, facts = (), (), None
        else:
            shape, slots = slots_of(edge.position, number)
            facts = (edge.backward, edge.inclusive, shape)
        kind = True if is_question else self.reader.target.kind

        def make() -> list[Statement]:
            if edge is None:
                segments = [Segment(sa.true(), order.forward.clauses())]
            else:
                way = order.backward if edge.backward else order.forward
                segments = way.after(slots, inclusive=edge.inclusive)
            limit = slot(number + len(slots), sa.Integer())
            return [
                Statement(self._in(segment, is_question).limit(limit), plan.dialect)
                for segment in segments
            ]

        return plan.kept.of(("page", kind, self.asked.key, order.key, facts), make)

    def _in(self, segment: Segment, is_question: bool) -> sa.Select[Any]:
        where = (*self.asked.conditions(), segment.condition)
        if is_question:
            return self.reader.select_one().where(*where)
        columns = self.order.forward.raw_columns()
        found = self.reader.select(*columns).where(*where)
        return found.order_by(*segment.clauses)
