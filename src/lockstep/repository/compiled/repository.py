"""``CompiledRepository``: what ``Repository`` does, for the hot path.

Owns the public methods. Each one asks whether the model and the call can be
compiled exactly; if not, ``Repository`` does the work in the same transaction, so
there is one semantics and two speeds.

    CompiledRepository(Part, unit) ──┬── plan   one text, one set of processors
                                     │   └───── the raw driver's connection
                                     └── else   Repository(Part, a session)
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload

from lockstep.repository.audit.trail import refuse_change
from lockstep.repository.compiled.additions import Adder, are_mappings
from lockstep.repository.compiled.place import place_of
from lockstep.repository.compiled.plan import plan_of
from lockstep.repository.compiled.questions import order_of, question_of
from lockstep.repository.compiled.reads import Reader
from lockstep.repository.compiled.rows import Instances, records_of
from lockstep.repository.compiled.upserts import Upserter
from lockstep.repository.compiled.writes import Writer
from lockstep.repository.pages import Page
from lockstep.repository.refreshing import not_found
from lockstep.repository.repository import Repository, is_condition

if TYPE_CHECKING:
    from sqlalchemy import orm

    from lockstep.engine.unit import Unit
    from lockstep.repository.adjust import Number
    from lockstep.repository.compiled.plan import Plan
    from lockstep.repository.compiled.rows import Target
    from lockstep.repository.filters import Where
    from lockstep.repository.keys import Key
    from lockstep.repository.loading import Load
    from lockstep.repository.ordering import OrderBy
    from lockstep.repository.upsert import MatchOn
    from lockstep.schema import AuditTrail

M = TypeVar("M")
R = TypeVar("R")
S = TypeVar("S")


class CompiledRepository(Generic[R]):
    """Read and write the rows of one model on the raw driver connection.

    Args:
        model: Any mapped class.
        where: A ``Unit`` of ``Database.write`` or ``read``, or a ``Session``.
        into: A NamedTuple, dataclass or ``msgspec.Struct`` whose fields are column
            attributes of the model. Rows are read into it and only its columns are
            selected. None: rows are instances of the model.

    Methods, arguments, results and errors are those of ``Repository``. Instances
    belong to a Session as usual; in a Unit they are detached, as they are after a
    session is closed. ``explain()`` tells what is compiled and what is not.

    SQLAlchemy's engine events (``before_cursor_execute``, ``echo``) do not see
    what runs on the raw driver.

    Example:
        def rename(unit: Unit) -> Part:
            parts = CompiledRepository(Part, unit)
            return parts.update(key, {"name": "Bolt"}, expected_version=3)

        part = db.write(rename, actor="ann")
    """

    @overload
    def __init__(
        self: CompiledRepository[M],
        model: type[M],
        where: orm.Session | Unit,
        *,
        into: None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: CompiledRepository[S],
        model: type[Any],
        where: orm.Session | Unit,
        *,
        into: type[S],
    ) -> None: ...

    def __init__(
        self,
        model: type[Any],
        where: orm.Session | Unit,
        *,
        into: type[Any] | None = None,
    ) -> None:
        self.model = model
        self._place = place_of(where, model)
        self._plan = plan_of(model, self._place.dialect)
        self._target: Target[R] = cast(
            "Any",
            _instances(self._plan, self._place.session)
            if into is None
            else self._plan.kept.of(
                ("into", into), lambda: records_of(self._plan, into)
            ),
        )
        why = self._plan.reason_objects if into is None else self._plan.reason
        self._reads = not (self._place.reason or why)
        self._reader = Reader(self._plan, self._place, self._target)

    def __repr__(self) -> str:
        return f"CompiledRepository({self.model.__name__})"

    def explain(self) -> dict[str, str]:
        """Return what is not compiled here, and why; empty when everything is."""
        plan = self._plan
        reads = plan.reason_objects if self._target.kind is None else plan.reason
        writes = plan.reason_writes
        for verb in ("insert", "update"):
            if not plan.is_unheard(verb):
                writes = writes or f"something listens to a flush's {verb}"
        if not plan.is_made_plainly():
            writes = writes or "its constructor is of its own making"
        found = {"reads": reads, "writes": writes, "removal": plan.reason_removal}
        return {
            name: why
            for name, reason in found.items()
            if (why := self._place.reason or reason)
        }

    def _ordinary(self, call: Callable[[Repository[Any]], Any]) -> Any:
        with self._place.ordinary() as session:
            return call(Repository(self.model, session))

    def _one(self, call: Callable[[Repository[Any]], Any]) -> R:
        return self._target.of(self._ordinary(call))

    def _many(self, call: Callable[[Repository[Any]], Any]) -> builtins.list[R]:
        return [self._target.of(each) for each in self._ordinary(call)]

    def get(
        self, key: Key, *, load: Iterable[Load] = (), with_deleted: bool = False
    ) -> R:
        """Return the row with this key. See ``Repository.get``."""
        if load or not self._reads:
            return self._one(
                lambda rows: rows.get(key, load=load, with_deleted=with_deleted)
            )
        identity = self._plan.identity(key)
        found = self._reader.by_key(identity, with_deleted=with_deleted)
        if found is None:
            raise not_found(self._plan.facts, identity)
        return found

    def find(
        self,
        *where: Where | Key,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> R | None:
        """Return the one row with a key or these values. See ``Repository.find``."""
        if not load and self._reads:
            if len(where) == 1 and not equal and not is_condition(where[0]):
                identity = self._plan.identity(where[0])
                return self._reader.by_key(identity, with_deleted=with_deleted)
            asked = question_of(self._plan, where, equal, with_deleted=with_deleted)
            if asked is not None:
                return self._reader.one_of(asked)
        found = self._ordinary(
            lambda rows: rows.find(
                *where, load=load, with_deleted=with_deleted, **equal
            )
        )
        return None if found is None else self._target.of(found)

    def get_many(
        self,
        keys: Iterable[Key],
        *,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
    ) -> builtins.list[R]:
        """Return the rows with these keys. See ``Repository.get_many``."""
        if not load and self._reads:
            identities = [self._plan.identity(key) for key in keys]
            return self._reader.by_keys(identities, with_deleted=with_deleted)
        return self._many(
            lambda rows: rows.get_many(keys, load=load, with_deleted=with_deleted)
        )

    def list(
        self,
        *where: Where,
        order_by: OrderBy | Sequence[OrderBy] | None = None,
        limit: int | None = None,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> builtins.list[R]:
        """Return the rows that match, in order. See ``Repository.list``."""
        if not load and self._reads:
            asked = question_of(self._plan, where, equal, with_deleted=with_deleted)
            order = asked and order_of(self._plan, order_by)
            if asked and order:
                return self._reader.listed(asked, order, limit)
        return self._many(
            lambda rows: rows.list(
                *where,
                order_by=order_by,
                limit=limit,
                load=load,
                with_deleted=with_deleted,
                **equal,
            )
        )

    def count(self, *where: Where, with_deleted: bool = False, **equal: Any) -> int:
        """Return how many rows match. See ``Repository.count``."""
        if self._asks:
            asked = question_of(self._plan, where, equal, with_deleted=with_deleted)
            if asked is not None:
                return self._reader.count(asked)
        return self._ordinary(
            lambda rows: rows.count(*where, with_deleted=with_deleted, **equal)
        )

    def exists(self, *where: Where, with_deleted: bool = False, **equal: Any) -> bool:
        """Return whether a row matches. See ``Repository.exists``."""
        if self._asks:
            asked = question_of(self._plan, where, equal, with_deleted=with_deleted)
            if asked is not None:
                return self._reader.is_any(asked)
        return self._ordinary(
            lambda rows: rows.exists(*where, with_deleted=with_deleted, **equal)
        )

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
    ) -> Page[R]:
        """Return one page; its cursors are ``Repository``'s. See there."""
        if not load and self._reads:
            asked = question_of(self._plan, where, equal, with_deleted=with_deleted)
            order = asked and order_of(self._plan, order_by)
            if asked and order and not order.may_be_refused:
                return self._reader.page(
                    asked, order, size=size, after=after, before=before
                )
        found: Page[Any] = self._ordinary(
            lambda rows: rows.page(
                *where,
                order_by=order_by,
                size=size,
                after=after,
                before=before,
                load=load,
                with_deleted=with_deleted,
                **equal,
            )
        )
        return replace(found, items=[self._target.of(each) for each in found])

    def add(self, item: Any) -> R:
        """Store a new row; return it as it is then. See ``Repository.add``."""
        if self._writes("insert"):
            done = self._adder.add(item)
            if done is not None:
                return done
        return self._one(lambda rows: rows.add(item))

    @overload
    def add_many(
        self, items: Iterable[Any], *, returning: Literal[True] = True
    ) -> builtins.list[R]: ...

    @overload
    def add_many(self, items: Iterable[Any], *, returning: Literal[False]) -> int: ...

    def add_many(
        self, items: Iterable[Any], *, returning: bool = True
    ) -> builtins.list[R] | int:
        """Store new rows, all of them or none. See ``Repository.add_many``."""
        # Instances may bring others along, some of them linked to stored rows.
        is_mixed = isinstance(items, list | tuple) and not are_mappings(items)
        if self._writes("insert") and not is_mixed:
            if returning:
                return self._adder.add_all(items, self._add_batch)
            return self._adder.add_counted(items, self._count_batch)
        return self._add_batch(items) if returning else self._count_batch(items)

    def _add_batch(self, items: Iterable[Any]) -> builtins.list[R]:
        return self._many(lambda rows: rows.add_many(items))

    def _count_batch(self, items: Iterable[Any]) -> int:
        return self._ordinary(lambda rows: rows.add_many(items, returning=False))

    def update(
        self,
        key: Key,
        values: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        any_version: bool = False,
    ) -> R:
        """Change a row at its expected version. See ``Repository.update``."""
        refuse_change(self._plan.facts, "update()")
        if self._writes("update"):
            done = self._writer.update(
                key, values, expected_version, is_any=any_version
            )
            if done is not None:
                return done
        return self._one(
            lambda rows: rows.update(
                key,
                values,
                expected_version=expected_version,
                any_version=any_version,
            )
        )

    def delete(
        self, key: Key, *, expected_version: int | None = None, hard: bool = False
    ) -> None:
        """Remove or mark a row. See ``Repository.delete``."""
        refuse_change(self._plan.facts, "delete()")
        is_soft = self._plan.facts.deleted_name is not None and not hard
        if is_soft and self._writes("update"):
            if self._writer.mark(key, expected_version):
                return
        elif (
            not is_soft and self._removes and self._writer.remove(key, expected_version)
        ):
            return
        self._ordinary(
            lambda rows: rows.delete(key, expected_version=expected_version, hard=hard)
        )

    def restore(self, key: Key) -> R:
        """Take the deletion mark off a row. See ``Repository.restore``."""
        return self._one(lambda rows: rows.restore(key))

    def adjust(
        self,
        key: Key,
        column: orm.InstrumentedAttribute[Any] | str,
        by: Number,
        *,
        floor: Number | None = 0,
    ) -> Any:
        """Add to a number in one atomic step. See ``Repository.adjust``."""
        refuse_change(self._plan.facts, "adjust()")
        name = column if isinstance(column, str) else column.key
        if self._writes(None):
            done = self._writer.adjust(key, name, by, floor)
            if done is not None:
                return done
        return self._ordinary(lambda rows: rows.adjust(key, name, by, floor=floor))

    def upsert_many(self, rows: Iterable[Any], *, match_on: MatchOn = None) -> int:
        """Insert or update rows, all or none. See ``Repository.upsert_many``."""
        refuse_change(self._plan.facts, "upsert_many()")

        def ordinary(rows: Iterable[Any]) -> int:
            return self._ordinary(
                lambda repository: repository.upsert_many(rows, match_on=match_on)
            )

        upserter = Upserter(self._plan, self._place)
        if self._writes(None) and upserter.is_possible():
            return upserter.upsert_many(rows, match_on, ordinary)
        return ordinary(rows)

    def history(self, key: Key) -> builtins.list[AuditTrail]:
        """Return the audit entries of one row. See ``Repository.history``."""
        return self._ordinary(lambda rows: rows.history(key))

    def stream(
        self,
        *where: Where,
        order_by: OrderBy | Sequence[OrderBy] | None = None,
        batch_size: int = 1_000,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> Iterator[R]:
        """Yield all rows that match, one batch in memory. See ``Repository.stream``."""
        if not load and self._reads:
            asked = question_of(self._plan, where, equal, with_deleted=with_deleted)
            order = asked and order_of(self._plan, order_by)
            if asked and order:
                for batch in self._reader.batches(asked, order, batch_size):
                    batch.reverse()
                    while batch:
                        yield batch.pop()
                return
        with self._place.ordinary() as session:
            for row in Repository(self.model, session).stream(
                *where,
                order_by=order_by,
                batch_size=batch_size,
                load=load,
                with_deleted=with_deleted,
                **equal,
            ):
                yield self._target.of(row)

    @property
    def _asks(self) -> bool:
        return not (self._place.reason or self._plan.reason)

    def _writes(self, verb: str | None) -> bool:
        return not (self._place.reason or self._plan.reason_writes) and (
            verb is None or self._plan.is_unheard(verb)
        )

    @property
    def _removes(self) -> bool:
        return not (self._place.reason or self._plan.reason_removal)

    @property
    def _adder(self) -> Adder[R]:
        return Adder(self._reader)

    @property
    def _writer(self) -> Writer[R]:
        return Writer(self._reader)


def _instances(plan: Plan[M], session: orm.Session | None) -> Instances[M]:
    if session is None:  # it holds no instances, so one serves all
        return plan.kept.of("instances", lambda: Instances(plan, None))
    return Instances(plan, session)
