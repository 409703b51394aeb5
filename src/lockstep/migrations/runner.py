"""Revisions applied one by one, each entirely or not at all.

Owns the loop from where the database stands to the target: take the turn, look
again, begin, run the revision's function, write the version row, commit. On
SQLite a revision that drops or rebuilds a table starts again with foreign keys
off, because only then SQLite leaves the rows of other tables alone, and what it
leaves is checked before the commit. Must not know: autogenerate, printing.

    turn ► heads ► steps ► for each step: BEGIN ► heads still the same? ► upgrade()
                                          ► foreign keys whole? ► version ► COMMIT

Invariant: after an exception, or kill -9, the database is as the last committed
revision left it, or ``PartialMigration`` says what else is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import HeadMaintainer, MigrationContext, RevisionStep
from alembic.util import CommandError

from lockstep.errors import (
    Busy,
    ForeignKeyViolationAfterRebuild,
    LockstepError,
    MigrationError,
    MigrationLocked,
    PartialMigration,
)
from lockstep.migrations.describe import describe
from lockstep.migrations.lock import advisory_key, migrators_turn
from lockstep.migrations.portable import PortableOperations
from lockstep.migrations.reading import reading
from lockstep.migrations.request import MigrationRequest
from lockstep.migrations.results import (
    AppliedRevision,
    Direction,
    RevisionFinished,
    RevisionStarted,
)
from lockstep.migrations.sqlite.catalog import Catalog
from lockstep.migrations.sqlite.impl import NeedsForeignKeysOff, SafeSqliteImpl

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation
    from sqlalchemy import Connection


class Runner:
    """Applies what Alembic decided to apply.

    Args:
        context: Configured with an open connection outside of a transaction.
        request: Where events go and results are kept.
    """

    def __init__(self, context: MigrationContext, request: MigrationRequest) -> None:
        assert context.connection is not None, "the runner is for a real database"
        self._context = context
        self._request = request
        self._connection: Connection = context.connection
        self._trail: list[str] = []
        self._kept = 0

    def run(self, **arguments: Any) -> None:
        """Apply the steps of Alembic's current command.

        Args:
            arguments: Handed to ``upgrade()`` and ``downgrade()``.

        Raises:
            MigrationError: A revision failed; nothing of it was kept.
            PartialMigration: It failed after it had committed a part of itself.
            MigrationLocked: Another migrator was not done in time.
        """
        with self._looking():
            heads = self._heads()
            steps = list(self._steps(heads))
        self._request.before = self._request.after = heads
        if not steps and not self._context.purge:
            return
        with migrators_turn(
            self._connection.engine,
            path=self._request.database.url.path,
            wait_s=self._request.lock_wait_s,
            on_progress=self._request.on_progress,
        ) as waited_s:
            self._request.waited_s = waited_s
            with self._looking():
                heads = self._heads()
                steps = list(self._steps(heads))
            self._request.before = self._request.after = heads
            self._apply(steps, heads, arguments)

    def _apply(
        self,
        steps: list[Any],
        heads: tuple[str, ...],
        arguments: dict[str, Any],
    ) -> None:
        operations = PortableOperations(self._context, listeners=[self._note])
        with operations.installed():
            for position, step in enumerate(steps, start=1):
                self._announce(step, position, len(steps))
                started_s = time.monotonic()
                with self._explained(step):
                    heads = self._apply_one(step, heads, arguments)
                self._request.after = heads
                elapsed_s = time.monotonic() - started_s
                self._record(step, position, len(steps), elapsed_s)

    def _steps(self, heads: tuple[str, ...]) -> Iterable[Any]:
        function = self._context._migrations_fn  # pyright: ignore[reportPrivateUsage]
        assert function is not None, "Alembic's command set the function"
        return function(() if self._context.purge else heads, self._context)

    def _heads(self) -> tuple[str, ...]:
        return tuple(self._context.get_current_heads())

    def _note(self, operation: MigrateOperation) -> None:
        self._trail.append(describe(operation))

    def _apply_one(
        self, step: Any, expected: tuple[str, ...], arguments: dict[str, Any]
    ) -> tuple[str, ...]:
        """Apply a step in a transaction and return the heads after it."""
        impl = self._context.impl
        if not isinstance(impl, SafeSqliteImpl):
            return self._attempt(step, expected, arguments, check=_nothing)
        impl.on_progress = self._request.on_progress
        try:
            with self._foreign_keys(impl, on=True):
                return self._attempt(step, expected, arguments, check=_nothing)
        except NeedsForeignKeysOff:
            with self._foreign_keys(impl, on=False):
                before: dict[tuple[str, str], int] = {}
                dangling: set[tuple[str, str]] = set()

                def remember() -> None:
                    catalog = Catalog(self._connection)
                    before.update(catalog.foreign_key_violations())
                    dangling.update(catalog.dangling_references())

                def check() -> None:
                    _refuse_orphans(self._connection, impl, before, dangling)

                return self._attempt(
                    step, expected, arguments, first=remember, check=check
                )

    def _attempt(
        self,
        step: Any,
        expected: tuple[str, ...],
        arguments: dict[str, Any],
        *,
        check: Callable[[], None],
        first: Callable[[], None] | None = None,
    ) -> tuple[str, ...]:
        self._trail.clear()
        self._kept = 0
        with self._transaction(write=True):
            self._take_write_lock()
            heads = () if self._purges() else self._heads()
            self._refuse_moved(heads, expected)
            if first is not None:
                first()
            if not heads:
                self._context._ensure_version_table(purge=self._purges())  # pyright: ignore[reportPrivateUsage]
            maintainer = HeadMaintainer(self._context, heads)
            step.migration_fn(**arguments)
            maintainer.update_to_step(step)
            for callback in self._context.on_version_apply_callbacks:
                callback(
                    ctx=self._context,
                    step=step.info,
                    heads=set(maintainer.heads),
                    run_args=arguments,
                )
            check()
            self._context.purge = False
            return tuple(sorted(maintainer.heads))

    def _purges(self) -> bool:
        return bool(self._context.purge)

    def _refuse_moved(self, heads: tuple[str, ...], expected: tuple[str, ...]) -> None:
        if not self._purges() and set(heads) != set(expected):
            raise MigrationLocked(
                "somebody else moved the history from "
                f"{_names(expected)} to {_names(heads)} meanwhile",
                hint="look at `lockstep migrate current` and try again",
                detail={"expected": list(expected), "actual": list(heads)},
            )

    def _take_write_lock(self) -> None:
        """Let no other migrator write until this transaction ends."""
        if self._connection.dialect.name != "postgresql":
            return  # BEGIN IMMEDIATE took SQLite's
        run = self._connection.exec_driver_sql
        # A revision takes as long as it takes; a lock it waits for still counts,
        # because everybody else queues behind it.
        run("SET LOCAL statement_timeout = 0")
        run("SET LOCAL idle_in_transaction_session_timeout = 0")
        schema = run("SELECT current_schema()").scalar()
        run("SELECT pg_advisory_xact_lock(%s)", (advisory_key(f"step {schema}"),))

    @contextmanager
    def _looking(self) -> Generator[None]:
        """Let the context look without writing; SQLite's writers need not wait."""
        if self._connection.dialect.name != "sqlite":
            with self._transaction():
                yield
            return
        context, own = self._context, self._connection
        with reading(own.engine) as looking, looking.begin():
            context.connection = context.impl.connection = looking
            try:
                yield
            finally:
                context.connection = context.impl.connection = own

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Generator[None]:
        """Begin and commit; Alembic's autocommit block may change it inside."""
        context = self._context
        assert not self._connection.in_transaction(), "one transaction at a time"
        transaction = self._connection.begin()
        context._transaction = transaction  # pyright: ignore[reportPrivateUsage]
        context._in_external_transaction = False  # pyright: ignore[reportPrivateUsage]
        if write:
            self._watch_autocommit()
        try:
            yield
        except BaseException:
            self._end(commit=False)
            raise
        self._end(commit=write)

    def _end(self, *, commit: bool) -> None:
        current = self._context._transaction  # pyright: ignore[reportPrivateUsage]
        self._context._transaction = None  # pyright: ignore[reportPrivateUsage]
        self._context.__dict__.pop("autocommit_block", None)
        if current is None or not current.is_active:
            if self._connection.in_transaction():
                self._connection.rollback()
            return
        if commit:
            current.commit()
        else:
            current.rollback()

    def _watch_autocommit(self) -> None:
        original = type(self._context).autocommit_block

        @contextmanager
        def watched() -> Generator[None]:
            with original(self._context):
                self._kept = len(self._trail)
                try:
                    yield
                finally:
                    self._kept = len(self._trail)

        self._context.autocommit_block = watched

    @contextmanager
    def _foreign_keys(self, impl: SafeSqliteImpl, *, on: bool) -> Generator[None]:
        """Set the PRAGMA outside of a transaction, where alone it works."""
        driver: Any = self._connection.connection.driver_connection
        before = driver.execute("PRAGMA foreign_keys").fetchone()[0]
        driver.execute(f"PRAGMA foreign_keys = {int(on)}")
        impl.may_restart = on
        impl.renamed_tables.clear()
        try:
            yield
        finally:
            driver.execute(f"PRAGMA foreign_keys = {before}")

    @contextmanager
    def _explained(self, step: Any) -> Generator[None]:
        """Say which revision failed, and that nothing of it was kept."""
        try:
            yield
        except (Busy, MigrationLocked):
            raise
        except Exception as exc:
            failure = self._failure(step, exc)
            if failure is exc:
                raise
            raise failure from exc

    def _failure(self, step: Any, exc: Exception) -> Exception:
        from lockstep.engine import classify

        name = _revision_of(step)
        known = exc if isinstance(exc, LockstepError) else classify(exc)
        if isinstance(known, Busy):
            return known
        cause = str(exc) if known is None else known.message
        if not isinstance(exc, LockstepError) and known is None:
            cause = f"{type(exc).__name__}: {exc}"
        detail = dict(known.detail) if known is not None else {}
        detail["revision"] = name
        if self._kept:
            done, left = self._trail[: self._kept], self._trail[self._kept :]
            detail["invalid_indexes"] = self._invalid_indexes()
            return PartialMigration(
                f"revision {name} failed after a part of it was committed: {cause}",
                hint="committed: "
                + "; ".join(done)
                + (f". Not committed: {'; '.join(left)}" if left else "")
                + ". Undo or finish it by hand, then upgrade or stamp",
                detail=detail | {"committed": done, "not_committed": left},
            )
        message = f"revision {name} failed, nothing of it was kept: {cause}"
        kind = type(exc) if isinstance(exc, MigrationError) else MigrationError
        hint = known.hint if known is not None else ""
        return kind(message, hint=hint, detail=detail)

    def _invalid_indexes(self) -> list[str]:
        """Return what a failed CREATE INDEX CONCURRENTLY left behind."""
        if self._connection.dialect.name != "postgresql":
            return []
        with self._transaction():
            rows = self._connection.exec_driver_sql(
                "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
            )
            return [str(row[0]) for row in rows.all()]

    def _announce(self, step: Any, position: int, total: int) -> None:
        name, message, direction = _revision_of(step), _message(step), _direction(step)
        self._request.on_progress(
            RevisionStarted(name, message, direction, position, total)
        )

    def _record(self, step: Any, position: int, total: int, elapsed_s: float) -> None:
        name, message, direction = _revision_of(step), _message(step), _direction(step)
        self._request.applied.append(
            AppliedRevision(name, message, direction, elapsed_s)
        )
        self._request.on_progress(
            RevisionFinished(name, message, direction, position, total, elapsed_s)
        )


def _nothing() -> None:
    """Check nothing: foreign keys were on all the time."""


def _names(heads: Iterable[str]) -> str:
    return ", ".join(heads) or "base"


def _revision_of(step: Any) -> str:
    if isinstance(step, RevisionStep):
        return str(step.revision.revision)
    return _names(step.info.up_revision_ids)


def _message(step: Any) -> str:
    return str(step.revision.doc or "") if isinstance(step, RevisionStep) else "stamp"


def _direction(step: Any) -> Direction:
    if not isinstance(step, RevisionStep):
        return "stamp"
    return "upgrade" if step.is_upgrade else "downgrade"


def _refuse_orphans(
    connection: Connection,
    impl: SafeSqliteImpl,
    before: dict[tuple[str, str], int],
    dangling: set[tuple[str, str]],
) -> None:
    """Compare with the state before, so that old orphans are nobody's fault."""
    catalog = Catalog(connection)
    known = {
        tuple(impl.renamed_tables.get(name, name) for name in pair): rows
        for pair, rows in before.items()
    }
    for (table, parent), rows in catalog.foreign_key_violations().items():
        earlier = known.get((table, parent), 0)
        if rows > earlier:
            raise ForeignKeyViolationAfterRebuild(
                f"{rows - earlier} rows of {table!r} would point at rows of "
                f"{parent!r} that are not there",
                hint="delete or change those rows first; a revision that changes "
                "tables on SQLite runs without ON DELETE actions",
                detail={"table": table, "parent": parent, "rows": rows - earlier},
            )
    for table, parent in sorted(catalog.dangling_references() - dangling):
        raise MigrationError(
            f"table {table!r} would point at table {parent!r}, which is gone",
            hint="drop the foreign key, or the table, first",
            detail={"table": table, "parent": parent},
        )


__all__ = ["CommandError", "Runner"]
