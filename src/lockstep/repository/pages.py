"""Keyset pages and streams: rows after a position, never after a row number.

Owns ``Page`` and the walk over an order in either direction. A page starts where
the one before ended, by value: rows inserted or deleted meanwhile neither repeat
a row nor hide one. A stream is the same walk in larger steps, so its memory is one
step, and rows may be changed while it runs.

    after=None      [1 2 3] 4 5 6 7
    after=cur(3)     1 2 3 [4 5 6] 7        before=cur(4) -> [1 2 3]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, cast

import sqlalchemy as sa

from lockstep.errors import DataError, EngineError, InvalidCursor, InvalidValue
from lockstep.repository import cursor as cursors
from lockstep.repository.positions import check_position, may_be_refused
from lockstep.repository.transaction import atomic, translated

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from sqlalchemy.orm import Session

    from lockstep.repository.ordering import Ordering, Position, Segment
    from lockstep.repository.reads import Reading

M = TypeVar("M")

#: A page is read at once; a larger number is refused, not cut down.
PAGE_SIZE_MAX: Final = 1_000
STREAM_BATCH_MAX: Final = 10_000


@dataclass(frozen=True)
class Page(Generic[M]):
    """Some rows in order, and the way to the ones before and after.

    Attributes:
        items: The rows, in the order asked for, also when read backwards.
        next_cursor: Give it as ``after``; None when nothing follows.
        previous_cursor: Give it as ``before``; None when nothing precedes.
        has_next: Whether a row follows at the moment of reading.
        has_previous: Whether a row precedes at the moment of reading.
    """

    items: Sequence[M]
    next_cursor: str | None
    previous_cursor: str | None
    has_next: bool
    has_previous: bool

    def __iter__(self) -> Iterator[M]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Edge:
    """Where a page starts, and to which side it lies."""

    position: Position
    inclusive: bool
    backward: bool


class PageSource(Protocol):
    """Who reads the rows of a page; each row is an item and then its position."""

    def rows(self, edge: Edge | None, length: int) -> Sequence[Sequence[Any]]:
        """Return rows from the edge on, in the edge's direction."""
        ...

    def is_any(self, edge: Edge) -> bool:
        """Return whether a row lies beyond the edge."""
        ...


def page_of(
    source: PageSource,
    ordering: Ordering,
    signature: bytes,
    dialect: sa.Dialect,
    *,
    size: int,
    after: str | None,
    before: str | None,
) -> Page[Any]:
    """Read one page.

    Args:
        source: Who reads the rows.
        ordering: Their order.
        signature: What ``ordering.signature`` gives for the model and dialect.
        dialect: Whose values a position holds.
        size: Rows per page.
        after: The cursor that the page lies after, if any.
        before: The cursor that the page lies before, if any.

    Raises:
        InvalidCursor: The cursor is damaged, forged, or of another query.
        InvalidValue: ``size`` is out of range, both cursors are given, or the
            order holds a secret.
    """
    check_size("size", size, PAGE_SIZE_MAX)
    if after is not None and before is not None:
        raise InvalidValue(
            "a page lies after a cursor or before one, not both",
            hint="pass after= or before=",
        )
    if ordering.has_secret():
        raise InvalidValue(
            "a page cursor would show a secret column",
            hint="sort by something else, or read with list()",
        )
    edge: Edge | None = None
    given = before if after is None else after
    if given is not None:
        position, inclusive = cursors.decode(
            given, count=len(ordering.terms), signature=signature
        )
        check_position(dialect, ordering, position)
        edge = Edge(position, inclusive, backward=before is not None)
    return _Walk(source, signature).page(size, edge)


@dataclass(frozen=True)
class _Walk:
    source: PageSource
    signature: bytes

    def page(self, size: int, edge: Edge | None) -> Page[Any]:
        backward = edge is not None and edge.backward
        rows = list(self.source.rows(edge, size + 1))
        has_more = len(rows) > size
        rows = rows[:size]
        has_others = edge is not None and self._is_any_behind(rows, edge)
        if backward:
            rows.reverse()
        has_next, has_previous = has_more, has_others
        if backward:
            has_next, has_previous = has_others, has_more
        return Page(
            items=[row[0] for row in rows],
            next_cursor=self._end(rows, edge) if has_next else None,
            previous_cursor=self._start(rows, edge) if has_previous else None,
            has_next=has_next,
            has_previous=has_previous,
        )

    def _is_any_behind(self, rows: Sequence[Sequence[Any]], edge: Edge) -> bool:
        """Return whether rows lie on the side that the page was entered from."""
        away = not edge.backward
        if rows:
            return self.source.is_any(Edge(tuple(rows[0][1:]), False, away))
        return self.source.is_any(Edge(edge.position, not edge.inclusive, away))

    def _start(self, rows: Sequence[Sequence[Any]], edge: Edge | None) -> str | None:
        if rows:
            return self._cursor(rows[0][1:])
        return self._same(edge)

    def _end(self, rows: Sequence[Sequence[Any]], edge: Edge | None) -> str | None:
        if rows:
            return self._cursor(rows[-1][1:])
        return self._same(edge)

    def _same(self, edge: Edge | None) -> str | None:
        # An empty page lies between two rows: its own edge leads back.
        if edge is None:
            return None
        return self._cursor(edge.position, inclusive=not edge.inclusive)

    def _cursor(self, position: Sequence[Any], *, inclusive: bool = False) -> str:
        return cursors.encode(
            tuple(position), inclusive=inclusive, signature=self.signature
        )


@dataclass(frozen=True)
class QuerySource:
    """Reads the rows of a page with SQLAlchemy's queries."""

    session: Session
    asked: Reading[Any]
    ordering: Ordering

    def rows(self, edge: Edge | None, length: int) -> Sequence[sa.Row[Any]]:
        """Return rows from the edge on, in the edge's direction."""
        if edge is None:
            return _first_rows(self.session, self.asked, self.ordering, length)
        order = self._order(edge)
        segments = order.after(edge.position, inclusive=edge.inclusive)
        if not may_be_refused(self.session.get_bind().dialect, order):
            return _next_rows(self.session, self.asked, order, segments, length)
        try:
            with atomic(self.session):
                return _next_rows(self.session, self.asked, order, segments, length)
        except (DataError, EngineError) as exc:
            if exc.retryable:
                raise
            raise InvalidCursor("this page cursor belongs to another query") from exc

    def is_any(self, edge: Edge) -> bool:
        """Return whether a row lies beyond the edge."""
        segments = self._order(edge).after(edge.position, inclusive=edge.inclusive)
        with translated():
            return any(
                self.session.execute(
                    self.asked.select_only(sa.literal(1))
                    .where(segment.condition)
                    .limit(1)
                ).first()
                is not None
                for segment in segments
            )

    def _order(self, edge: Edge) -> Ordering:
        return self.ordering.reversed() if edge.backward else self.ordering


def _first_rows(
    session: Session, asked: Reading[Any], ordering: Ordering, length: int
) -> Sequence[sa.Row[Any]]:
    statement = asked.select(*ordering.raw_columns())
    return asked.rows(session, statement.order_by(*ordering.clauses()).limit(length))


def _next_rows(
    session: Session,
    asked: Reading[Any],
    ordering: Ordering,
    segments: Sequence[Segment],
    length: int,
) -> Sequence[sa.Row[Any]]:
    rows: list[sa.Row[Any]] = []
    for segment in segments:
        statement = (
            asked.select(*ordering.raw_columns())
            .where(segment.condition)
            .order_by(*segment.clauses)
            .limit(length - len(rows))
        )
        rows += asked.rows(session, statement)
        if len(rows) == length:
            break
    return rows


def batches_of(
    session: Session, asked: Reading[M], ordering: Ordering, size: int
) -> Generator[list[M]]:
    """Yield all matching rows in order, ``size`` at a time, nothing held between."""
    check_size("batch_size", size, STREAM_BATCH_MAX)
    rows = _first_rows(session, asked, ordering, size)
    while rows:
        count, position = len(rows), tuple(rows[-1][1:])
        items = [cast("M", row[0]) for row in rows]
        # Nothing here may keep the instances alive while the caller works.
        del rows
        yield items
        del items
        if count < size:
            return
        rows = _next_rows(session, asked, ordering, ordering.after(position), size)


def check_size(name: str, size: int, most: int) -> None:
    """Refuse a number of rows that is not between 1 and ``most``."""
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= most:  # pyright: ignore[reportUnnecessaryIsInstance] - it may come from a query string
        raise InvalidValue(
            f"{name} must be between 1 and {most}, not {size!r}",
            hint=f"pass 1 to {most}, and read further pages",
            detail={"least": 1, "most": most},
        )
