"""``Repository``: typed access to one model's rows within a session.

Owns the public methods and their contract; the work is done by the modules beside
it. A repository holds a model and a session and nothing else: make one where it is
needed. It neither commits nor rolls back; the session's owner does.

    session ── Repository(Part, session) ──┬── reads, pages     keys, filters,
                                           ├── writes, removal  ordering, cursor,
                                           ├── adjust, upsert   loading, versions
                                           └── audit
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import sqlalchemy as sa
from sqlalchemy import orm

from lockstep.errors import InvalidValue
from lockstep.repository import adjust as adjusting
from lockstep.repository import reads, removal, upsert, writes
from lockstep.repository.audit.recorder import watch
from lockstep.repository.audit.trail import history_query, refuse_change
from lockstep.repository.facts import facts_of
from lockstep.repository.keys import identity_of
from lockstep.repository.ordering import ordering_of
from lockstep.repository.pages import Page, QuerySource, batches_of, page_of
from lockstep.repository.refreshing import not_found

if TYPE_CHECKING:
    from lockstep.repository.adjust import Number
    from lockstep.repository.filters import Where
    from lockstep.repository.keys import Key
    from lockstep.repository.loading import Load
    from lockstep.repository.ordering import OrderBy
    from lockstep.repository.upsert import MatchOn
    from lockstep.schema import AuditTrail

M = TypeVar("M")


class Repository(Generic[M]):
    """Read and write the rows of one model.

    Args:
        model: Any mapped class.
        session: Whose transaction to work in. A session of
            ``Database.write_session()`` or ``read_session()``; a plain SQLAlchemy
            session works too, with the system's clock and no actor.

    Instances it returns stay readable after the session is closed. A relationship
    that was not named in ``load`` raises ``NotLoaded`` when it is read. Every read
    shows the database's row: an instance that the session knew is refreshed.

    A write that fails raises an error of ``lockstep.errors``, changes nothing, and
    leaves the transaction usable, on SQLite and PostgreSQL alike. Errors in a
    *read* (an expression the database refuses) end the transaction on PostgreSQL.

    Not thread-safe, as its session is not.

    Example:
        with db.write_session(actor="ann") as session:
            parts = Repository(Part, session)
            bolt = parts.add(Part(name="Bolt", quantity=5))
            parts.update(bolt.id, {"name": "Bolt M8"}, expected_version=1)
    """

    def __init__(self, model: type[M], session: orm.Session) -> None:
        self.model = model
        self.session = session
        self._facts = facts_of(model)
        if not isinstance(session, orm.Session):  # pyright: ignore[reportUnnecessaryIsInstance] - an AsyncSession is a likely mistake
            raise InvalidValue(
                f"Repository works in a Session, not in {type(session).__name__}",
                hint="AsyncRepository works in an AsyncSession",
            )
        watch(session)

    def __repr__(self) -> str:
        return f"Repository({self.model.__name__})"

    def get(
        self, key: Key, *, load: Iterable[Load] = (), with_deleted: bool = False
    ) -> M:
        """Return the row with this key.

        Args:
            key: A value; for composite keys a tuple in the key's order or a
                mapping of attribute names to values.
            load: Relationships and deferred columns to load with it, for example
                ``(Order.lines, Line.part)``.
            with_deleted: Whether to find soft-deleted rows too.

        Raises:
            NotFound: No row has the key, or it is soft-deleted.
            InvalidValue: The key's type or number of parts is wrong.
        """
        asked = reads.reading(self._facts, load=load, with_deleted=with_deleted)
        found = reads.find_by_key(self.session, asked, key)
        if found is None:
            raise not_found(self._facts, identity_of(self._facts, key))
        return found

    def find(
        self,
        *where: Where | Key,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> M | None:
        """Return the one row with a key, or that matches conditions; or None.

        Args:
            where: Conditions as for ``list``; or a single key as for ``get``.
            load: As for ``get``.
            with_deleted: Whether to find soft-deleted rows too.
            equal: As for ``list``.

        Raises:
            LimitExceeded: More than one row matches.
        """
        if len(where) == 1 and not equal and not is_condition(where[0]):
            asked = reads.reading(self._facts, load=load, with_deleted=with_deleted)
            return reads.find_by_key(self.session, asked, where[0])
        asked = reads.reading(
            self._facts, where, equal, load=load, with_deleted=with_deleted
        )
        return reads.find_one(self.session, asked)

    def get_many(
        self,
        keys: Iterable[Key],
        *,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
    ) -> builtins.list[M]:
        """Return the rows with these keys, in the keys' order.

        Keys that no row has are left out. Any number of keys: one statement and
        one snapshot on PostgreSQL; on SQLite as many statements as its limit of
        bound values asks for, in the session's one snapshot.
        """
        asked = reads.reading(self._facts, load=load, with_deleted=with_deleted)
        return reads.find_by_keys(self.session, asked, keys)

    def list(
        self,
        *where: Where,
        order_by: OrderBy | Sequence[OrderBy] | None = None,
        limit: int | None = None,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> builtins.list[M]:
        """Return the rows that match, in order.

        Args:
            where: SQL conditions, or mappings of attribute names to values.
            order_by: Columns, expressions or names (``"-name"`` descends). NULL
                sorts as the largest value, on every engine, unless
                ``nulls_first()`` or ``nulls_last()`` says otherwise; the primary
                key decides between equals, and alone by default.
            limit: The most rows to return. Without it, more than
                ``LIST_ROWS_MAX`` rows are refused, so that a list cannot outgrow
                the memory as its table grows.
            load: As for ``get``.
            with_deleted: Whether to include soft-deleted rows.
            equal: Attributes and the values they must equal; None is IS NULL.

        Raises:
            LimitExceeded: No ``limit`` and too many rows.
            UnknownAttribute: A name is no attribute of the model.
        """
        asked = reads.reading(
            self._facts, where, equal, load=load, with_deleted=with_deleted
        )
        order = ordering_of(self._facts, order_by).clauses()
        return reads.list_rows(self.session, asked, order, limit)

    def count(self, *where: Where, with_deleted: bool = False, **equal: Any) -> int:
        """Return how many rows match."""
        asked = reads.reading(self._facts, where, equal, with_deleted=with_deleted)
        return reads.count_rows(self.session, asked)

    def exists(self, *where: Where, with_deleted: bool = False, **equal: Any) -> bool:
        """Return whether a row matches."""
        asked = reads.reading(self._facts, where, equal, with_deleted=with_deleted)
        return reads.is_any(self.session, asked)

    def page(
        self,
        *where: Where,
        order_by: OrderBy | Sequence[OrderBy] | None = None,
        size: int = 50,
        after: str | None = None,
        before: str | None = None,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> Page[M]:
        """Return one page, starting after or ending before a cursor.

        Rows that are inserted or deleted meanwhile neither repeat a row nor hide
        one. Reads one row more than a page, and asks once whether a row lies on
        the other side.

        Args:
            where: As for ``list``. A cursor does not remember conditions: give
                the same ones for every page.
            order_by: As for ``list``.
            size: Rows per page, 1 to ``PAGE_SIZE_MAX``.
            after: ``next_cursor`` of the page before.
            before: ``previous_cursor`` of the page after.
            load: As for ``get``.
            with_deleted: Whether to include soft-deleted rows.
            equal: As for ``list``.

        Raises:
            InvalidCursor: The cursor is damaged, forged, or of another model,
                order or engine.
        """
        asked = reads.reading(
            self._facts, where, equal, load=load, with_deleted=with_deleted
        )
        ordering = ordering_of(self._facts, order_by)
        dialect = self.session.get_bind().dialect
        return page_of(
            QuerySource(self.session, asked, ordering),
            ordering,
            ordering.signature(self._facts, dialect),
            dialect,
            size=size,
            after=after,
            before=before,
        )

    def stream(
        self,
        *where: Where,
        order_by: OrderBy | Sequence[OrderBy] | None = None,
        batch_size: int = 1_000,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> Iterator[M]:
        """Yield all rows that match, in order, holding one batch in memory.

        Rows may be changed, through this repository too, while the stream runs:
        each row comes at most once, provided that its sort key stays. In a read
        session all rows are of one snapshot; in PostgreSQL's write sessions each
        batch sees what was committed before it.
        """
        for batch in self.batches(
            *where,
            order_by=order_by,
            batch_size=batch_size,
            load=load,
            with_deleted=with_deleted,
            **equal,
        ):
            # Each row is let go of as it is handed out.
            batch.reverse()
            while batch:
                yield batch.pop()

    def batches(
        self,
        *where: Where,
        order_by: OrderBy | Sequence[OrderBy] | None = None,
        batch_size: int = 1_000,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> Iterator[builtins.list[M]]:
        """Yield all rows that match as lists of ``batch_size``. See ``stream``."""
        asked = reads.reading(
            self._facts, where, equal, load=load, with_deleted=with_deleted
        )
        ordering = ordering_of(self._facts, order_by)
        return batches_of(self.session, asked, ordering, batch_size)

    def add(self, item: M | Mapping[str, Any]) -> M:
        """Store a new row; return it as the database holds it.

        Args:
            item: An instance, or a mapping that the model is constructed from.

        Raises:
            Duplicate: A unique value is taken.
            ForeignKeyMissing: It points at a row that is not there.
            CheckFailed: A CHECK or NOT NULL refuses it.
            UnknownAttribute: The mapping names what the model does not have.
        """
        return writes.add(self.session, self._facts, item)

    @overload
    def add_many(
        self,
        items: Iterable[M | Mapping[str, Any]],
        *,
        returning: Literal[True] = True,
    ) -> builtins.list[M]: ...

    @overload
    def add_many(
        self, items: Iterable[M | Mapping[str, Any]], *, returning: Literal[False]
    ) -> int: ...

    def add_many(
        self, items: Iterable[M | Mapping[str, Any]], *, returning: bool = True
    ) -> builtins.list[M] | int:
        """Store new rows, all of them or none.

        Args:
            items: Instances or mappings; any iterable, read as it is stored.
            returning: Whether to return the rows. With False only their number is
                returned and memory stays at one batch however many there are.

        Raises:
            Duplicate, ForeignKeyMissing, CheckFailed: As for ``add``; no row of
                the call was stored.
        """
        if returning:
            return writes.add_all(self.session, self._facts, items)
        return writes.add_counted(self.session, self._facts, items)

    def update(
        self,
        key: Key,
        values: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        any_version: bool = False,
    ) -> M:
        """Change a row, if nobody changed it since its version was read.

        One UPDATE whose WHERE clause holds key and version; version, ``updated_at``
        and ``updated_by`` follow by themselves. A successful call raises the
        version by exactly one, also when the values are the same as before; an
        empty mapping only checks and writes nothing.

        Args:
            key: As for ``get``.
            values: New values by attribute name. Key, version and ``deleted_at``
                are refused.
            expected_version: The version the caller had read. Required for a
                versioned model, unless ``any_version``.
            any_version: Overwrite whatever is there.

        Raises:
            StaleVersion: The row is at another version; nothing was written.
            NotFound: The row is gone, or soft-deleted.
            UnknownAttribute: A name is no attribute of the model.
        """
        refuse_change(self._facts, "update()")
        return writes.update(
            self.session,
            self._facts,
            key,
            values,
            expected_version=expected_version,
            any_version=any_version,
        )

    def upsert_many(
        self,
        rows: Iterable[Mapping[str, Any] | M],
        *,
        match_on: MatchOn = None,
    ) -> int:
        """Insert rows, and update those that are there already; all or none.

        Equal to writing the rows one by one in order: of rows with the same match
        the later values win. A row that was there keeps ``created_at`` and
        ``created_by`` and gets the next version; a soft-deleted one comes back.
        Validators and mapper events do not run.

        Args:
            rows: Mappings of attribute names to values, or instances; any
                iterable, read in batches.
            match_on: The columns of a unique constraint or unique index; the
                primary key by default. Every row needs a value for each.

        Returns:
            How many rows were written.

        Raises:
            InvalidValue: ``match_on`` is not unique, or a row lacks a match value.
        """
        refuse_change(self._facts, "upsert_many()")
        return upsert.upsert_many(self.session, self._facts, rows, match_on)

    def delete(
        self, key: Key, *, expected_version: int | None = None, hard: bool = False
    ) -> None:
        """Remove a row, or mark it as deleted if the model is ``SoftDelete``.

        What the mapping declares with a delete cascade goes too, and lines in
        association tables. A marked row still holds its unique values; make such
        an index partial (``WHERE deleted_at IS NULL``) to free them.

        Args:
            key: As for ``get``.
            expected_version: The version the caller had read; not required.
            hard: Remove a ``SoftDelete`` row for good, marked or not.

        Raises:
            NotFound: No such row, or it is marked already.
            StaleVersion: The row is at another version.
            ForeignKeyMissing: Other rows point at it.
        """
        refuse_change(self._facts, "delete()")
        removal.delete(
            self.session,
            self._facts,
            key,
            expected_version=expected_version,
            hard=hard,
        )

    def restore(self, key: Key) -> M:
        """Take the deletion mark off a row; one without a mark is left as it is.

        Raises:
            NotFound: No such row.
            Duplicate: A partial unique index has given its value to another row.
        """
        refuse_change(self._facts, "restore()")
        return removal.restore(self.session, self._facts, key)

    def adjust(
        self,
        key: Key,
        column: orm.InstrumentedAttribute[Any] | str,
        by: Number,
        *,
        floor: Number | None = 0,
    ) -> Any:
        """Add to a number in one atomic step; return the new value.

        ``SET q = q + by WHERE q + by >= floor``: of two writers who want the last
        one, exactly one gets it. Any version is accepted, the next one written.

        Args:
            key: As for ``get``.
            column: The attribute to change.
            by: What to add; negative takes away.
            floor: A subtraction that would go below it is refused; None for no
                floor. An addition is never refused by it.

        Raises:
            NotEnough: Less than that is there; nothing was taken.
            NotFound: No such row, or it is soft-deleted.
            InvalidValue: The column is NULL or holds no number.
        """
        refuse_change(self._facts, "adjust()")
        name = column if isinstance(column, str) else column.key
        return adjusting.adjust(self.session, self._facts, key, name, by, floor=floor)

    def history(self, key: Key) -> builtins.list[AuditTrail]:
        """Return the audit entries of one row, oldest first.

        Also of a row that is gone. At most ``LIST_ROWS_MAX``; page through the
        audit model's own repository for more.

        Raises:
            UnsupportedCapability: No audit model covers this model.
        """
        trail, conditions = history_query(self._facts, key)
        asked = Repository(trail, self.session)
        return asked.list(*conditions, order_by=("at", "id"))


def is_condition(item: object) -> bool:
    """Return whether ``find`` takes a single argument for a condition, not a key."""
    return (
        isinstance(item, sa.ClauseElement | Mapping)
        or hasattr(item, "__clause_element__")
        or isinstance(item, bool)
    )
