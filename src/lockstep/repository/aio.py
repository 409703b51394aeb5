"""``AsyncRepository``: the same repository, awaited.

Owns nothing but the typing: every method runs its namesake of ``Repository`` on
the session's own connection through ``AsyncSession.run_sync``. What is promised
there is promised here, so the contract is written once.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from sqlalchemy import orm

from lockstep.errors import InvalidValue
from lockstep.repository.repository import Repository

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from lockstep.repository.adjust import Number
    from lockstep.repository.filters import Where
    from lockstep.repository.keys import Key
    from lockstep.repository.loading import Load
    from lockstep.repository.ordering import OrderBy
    from lockstep.repository.pages import Page
    from lockstep.repository.upsert import MatchOn
    from lockstep.schema import AuditTrail

M = TypeVar("M")
R = TypeVar("R")


class AsyncRepository(Generic[M]):
    """Read and write the rows of one model under asyncio. See ``Repository``.

    Args:
        model: Any mapped class.
        session: An ``AsyncSession``, of ``Database.async_write_session()`` or
            ``async_read_session()``.
    """

    def __init__(self, model: type[M], session: AsyncSession) -> None:
        if not hasattr(session, "run_sync"):
            raise InvalidValue(
                f"AsyncRepository works in an AsyncSession, "
                f"not in {type(session).__name__}",
                hint="use Repository, or db.async_write_session()",
            )
        self.model = model
        self.session = session
        self._sync = Repository(model, session.sync_session)

    def __repr__(self) -> str:
        return f"AsyncRepository({self.model.__name__})"

    async def _run(self, call: Callable[[Repository[M]], R]) -> R:
        return await self.session.run_sync(lambda _: call(self._sync))

    async def get(
        self, key: Key, *, load: Iterable[Load] = (), with_deleted: bool = False
    ) -> M:
        """Return the row with this key. See ``Repository.get``."""
        return await self._run(
            lambda rows: rows.get(key, load=load, with_deleted=with_deleted)
        )

    async def find(
        self,
        *where: Where | Key,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> M | None:
        """Return the one row that matches, or None. See ``Repository.find``."""
        return await self._run(
            lambda rows: rows.find(
                *where, load=load, with_deleted=with_deleted, **equal
            )
        )

    async def get_many(
        self,
        keys: Iterable[Key],
        *,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
    ) -> builtins.list[M]:
        """Return the rows with these keys. See ``Repository.get_many``."""
        return await self._run(
            lambda rows: rows.get_many(keys, load=load, with_deleted=with_deleted)
        )

    async def list(
        self,
        *where: Where,
        order_by: OrderBy | Sequence[OrderBy] | None = None,
        limit: int | None = None,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> builtins.list[M]:
        """Return the rows that match, in order. See ``Repository.list``."""
        return await self._run(
            lambda rows: rows.list(
                *where,
                order_by=order_by,
                limit=limit,
                load=load,
                with_deleted=with_deleted,
                **equal,
            )
        )

    async def count(
        self, *where: Where, with_deleted: bool = False, **equal: Any
    ) -> int:
        """Return how many rows match. See ``Repository.count``."""
        return await self._run(
            lambda rows: rows.count(*where, with_deleted=with_deleted, **equal)
        )

    async def exists(
        self, *where: Where, with_deleted: bool = False, **equal: Any
    ) -> bool:
        """Return whether a row matches. See ``Repository.exists``."""
        return await self._run(
            lambda rows: rows.exists(*where, with_deleted=with_deleted, **equal)
        )

    async def page(
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
        """Return one page. See ``Repository.page``."""
        return await self._run(
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

    async def stream(
        self,
        *where: Where,
        order_by: OrderBy | Sequence[OrderBy] | None = None,
        batch_size: int = 1_000,
        load: Iterable[Load] = (),
        with_deleted: bool = False,
        **equal: Any,
    ) -> AsyncIterator[M]:
        """Yield all rows that match, one batch in memory. See ``Repository.stream``."""
        batches = self._sync.batches(
            *where,
            order_by=order_by,
            batch_size=batch_size,
            load=load,
            with_deleted=with_deleted,
            **equal,
        )
        while batch := await self._run(lambda _: next(batches, None)):
            batch.reverse()
            while batch:
                yield batch.pop()

    async def add(self, item: M | Mapping[str, Any]) -> M:
        """Store a new row. See ``Repository.add``."""
        return await self._run(lambda rows: rows.add(item))

    @overload
    async def add_many(
        self,
        items: Iterable[M | Mapping[str, Any]],
        *,
        returning: Literal[True] = True,
    ) -> builtins.list[M]: ...

    @overload
    async def add_many(
        self, items: Iterable[M | Mapping[str, Any]], *, returning: Literal[False]
    ) -> int: ...

    async def add_many(
        self, items: Iterable[M | Mapping[str, Any]], *, returning: bool = True
    ) -> builtins.list[M] | int:
        """Store new rows, all of them or none. See ``Repository.add_many``."""
        if returning:
            return await self._run(lambda rows: rows.add_many(items))
        return await self._run(lambda rows: rows.add_many(items, returning=False))

    async def update(
        self,
        key: Key,
        values: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        any_version: bool = False,
    ) -> M:
        """Change a row at its expected version. See ``Repository.update``."""
        return await self._run(
            lambda rows: rows.update(
                key,
                values,
                expected_version=expected_version,
                any_version=any_version,
            )
        )

    async def upsert_many(
        self,
        rows: Iterable[Mapping[str, Any] | M],
        *,
        match_on: MatchOn = None,
    ) -> int:
        """Insert or update rows, all or none. See ``Repository.upsert_many``."""
        return await self._run(
            lambda repository: repository.upsert_many(rows, match_on=match_on)
        )

    async def delete(
        self, key: Key, *, expected_version: int | None = None, hard: bool = False
    ) -> None:
        """Remove or mark a row. See ``Repository.delete``."""
        await self._run(
            lambda rows: rows.delete(key, expected_version=expected_version, hard=hard)
        )

    async def restore(self, key: Key) -> M:
        """Take the deletion mark off a row. See ``Repository.restore``."""
        return await self._run(lambda rows: rows.restore(key))

    async def adjust(
        self,
        key: Key,
        column: orm.InstrumentedAttribute[Any] | str,
        by: Number,
        *,
        floor: Number | None = 0,
    ) -> Any:
        """Add to a number in one atomic step. See ``Repository.adjust``."""
        return await self._run(lambda rows: rows.adjust(key, column, by, floor=floor))

    async def history(self, key: Key) -> builtins.list[AuditTrail]:
        """Return the audit entries of one row. See ``Repository.history``."""
        return await self._run(lambda rows: rows.history(key))
