"""Group commit: many functions in one transaction, each acknowledged when durable.

Owns the batch: how functions share a transaction without sharing their failures,
and what is said to whom when the transaction itself is lost.

    begin ──► [ fence: function ] × n ──► COMMIT ──► answer all
                     └─ error: back to its savepoint, this one fails alone

A commit costs what the disk takes to say "written"; n functions share that cost.
While one batch commits, the next callers queue, so batches grow as load does and
a single caller waits for nobody.

Invariants: nobody is told of success before the commit is durable; an error of one
function undoes that function and no other; when it cannot be known whether a commit
happened, everybody concerned is told exactly that.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

from lockstep.engine.classify import classified, for_one_more
from lockstep.engine.fence import Fence
from lockstep.engine.idempotency import WriteKeys
from lockstep.engine.job import State
from lockstep.engine.sessions import FAILED_EARLIER, FAILED_EARLIER_HINT
from lockstep.engine.unit import Owner, Unit, refuse_unfinished
from lockstep.errors import (
    AccessDenied,
    Busy,
    ConfigError,
    ConnectionLost,
    DataError,
    EngineError,
    OutcomeUnknown,
)

if TYPE_CHECKING:
    from lockstep.config import WriteSettings
    from lockstep.engine.job import Job
    from lockstep.engine.lane import Lane


RETRY_S = 0.005


class TransactionFacts(Protocol):
    """What a batch asks the dialect about its raw connection."""

    def fence(self, driver: Any) -> Fence:
        """Return what keeps functions apart on this connection."""
        ...

    def in_transaction(self, driver: Any) -> bool:
        """Say whether a transaction is open."""
        ...

    def has_failed(self, driver: Any) -> bool:
        """Say whether the transaction is open and can only be taken back."""
        ...

    def is_broken(self, driver: Any) -> bool:
        """Say whether the server is gone, and so whatever was not committed."""
        ...

    def rolled_back_by(self, driver: Any, error: BaseException) -> bool:
        """Say whether the engine itself rolled back when this error came.

        No where a function may have committed before: what was written would be
        written again.
        """
        ...

    def dooms(self, error: BaseException) -> bool:
        """Say whether nothing can succeed after this error, savepoint or not."""
        ...


@dataclass(slots=True)
class Batch:
    """The functions of one transaction.

    Attributes:
        done: Those that ran to their end; acknowledged when the commit is durable.
        failed: Those that raised; their error stands, whatever the commit does.
    """

    done: list[Job] = field(default_factory=list["Job"])
    failed: list[Job] = field(default_factory=list["Job"])

    def __len__(self) -> int:
        return len(self.done) + len(self.failed)

    def fail_done(self, error: BaseException) -> None:
        """Let those that ran fail with ``error``: the transaction is lost."""
        for job in self.done:
            job.value, job.error = None, for_one_more(error)
        self.failed += self.done
        self.done = []


class _TransactionLost(Exception):
    """The transaction that a batch shares is gone."""

    def __init__(self, culprit: Job) -> None:
        super().__init__()
        self.culprit = culprit


class GroupCommit:
    """The work of a ``Lane``: one thread at a time uses it.

    Attributes:
        batches: How many transactions were committed.
        writes: How many functions they held.
    """

    def __init__(
        self, database: Owner, backend: TransactionFacts, settings: WriteSettings
    ) -> None:
        self._database = database
        self._backend = backend
        self._settings = settings
        self._keys = WriteKeys(settings.key_retention_s)
        self._alone: set[Job] = set()
        self.batches = 0
        self.writes = 0

    def __call__(self, lane: Lane) -> None:
        """Commit one batch of what waits in the lane."""
        try:
            connection = self._database.engine.connect()
        except BaseException as error:
            lane.fail_all(classified(error))
            return
        batch = Batch()
        try:
            with connection:
                self._work(batch, connection, lane)
        finally:
            # Whatever happens to the connection, nobody who was claimed is forgotten.
            lane.answer(batch.failed)

    def _work(self, batch: Batch, connection: sa.Connection, lane: Lane) -> None:
        """Begin, fill the batch and commit it."""
        try:
            transaction = connection.begin()
        except BaseException as error:
            meaning = classified(error)
            if isinstance(meaning, Busy):
                # Another process writes. Whoever waits still has time, or
                # withdraws: a deadline is the caller's, not ours. The pause is
                # for a busy timeout of 0.
                time.sleep(RETRY_S)
            else:
                lane.fail_all(meaning)
            return
        # Once the server is lost, the connection does not tell its driver.
        driver: Any = connection.connection.dbapi_connection
        try:
            fence = self._backend.fence(driver)
        except BaseException as error:
            connection.invalidate()  # its rollback would fail too
            lane.fail_all(classified(error))
            return
        try:
            self._fill(batch, connection, driver, fence, lane)
        except _TransactionLost as loss:
            self._lose(batch, loss.culprit, driver, lane)
            connection.invalidate()
        else:
            self._commit(batch, transaction, lane)

    def _fill(
        self,
        batch: Batch,
        connection: sa.Connection,
        driver: Any,
        fence: Fence,
        lane: Lane,
    ) -> None:
        """Run functions until nobody waits or the batch is full."""
        settings = self._settings
        until = time.monotonic() + settings.batch_s_max
        while len(batch) < settings.batch_max:
            job = lane.claim()
            if job is None:
                break
            if job in self._alone and len(batch):
                lane.put_back([job])
                break
            unit = Unit(connection, self._database, actor=job.actor, driver=driver)
            self._run(job, unit, driver, fence, batch)
            if job in self._alone or time.monotonic() > until:
                break
        self._settle(fence, batch)

    def _run(
        self, job: Job, unit: Unit, driver: Any, fence: Fence, batch: Batch
    ) -> None:
        """Run one function inside the fence."""
        try:
            fence.enter(unit)
            if job.key is None:
                job.value = job.function(unit)
            else:
                job.value = self._keys.once(unit, job.key, job.function)
            refuse_unfinished(job.value)
            unit.finish()
            self._check_open(driver, job)
            fence.leave(unit, job)
        except _TransactionLost:
            raise
        except BaseException as error:
            job.value, job.error = None, error
            try:
                unit.abandon()
                self._check_open(driver, job)
                self._check_not_doomed(job, error)
                fence.undo(unit)
            except _TransactionLost:
                raise
            except BaseException as raised:
                raise _TransactionLost(job) from raised
            job.error = classified(error)
            batch.failed.append(job)
        else:
            batch.done.append(job)

    def _check_open(self, driver: Any, job: Job) -> None:
        if not self._backend.in_transaction(driver):
            raise _TransactionLost(job)
        if job.error is None and self._backend.has_failed(driver):
            # Its COMMIT would be a rollback, of everybody's work and without a word.
            raise EngineError(FAILED_EARLIER, hint=FAILED_EARLIER_HINT)

    def _check_not_doomed(self, job: Job, error: BaseException) -> None:
        if self._backend.dooms(error):
            raise _TransactionLost(job) from error

    def _settle(self, fence: Fence, batch: Batch) -> None:
        """Learn which functions failed after they had returned."""
        try:
            failures = fence.settle()
        except Exception as error:
            if not batch.done:
                raise
            culprit = batch.done.pop()
            culprit.error = error
            raise _TransactionLost(culprit) from error
        for job, error in failures:
            batch.done.remove(job)
            job.value, job.error = None, error
            self._check_not_doomed(job, error)
            batch.failed.append(job)

    def _commit(
        self, batch: Batch, transaction: sa.RootTransaction, lane: Lane
    ) -> None:
        try:
            transaction.commit()
        except BaseException as error:
            with suppress(sa_exc.SQLAlchemyError, OSError):
                transaction.rollback()
            self._commit_failed(batch, error, lane)
            return
        self.batches += 1
        self.writes += len(batch.done)
        if any(job.key for job in batch.done):
            self._keys.believe()
        self._alone.difference_update(batch.done)
        lane.answer(batch.done)

    def _commit_failed(self, batch: Batch, error: BaseException, lane: Lane) -> None:
        meaning = classified(error)
        if isinstance(meaning, ConnectionLost | OutcomeUnknown):
            unknown = _unknown("the connection was lost while it committed")
            unknown.__cause__ = error
            batch.fail_done(unknown)
        elif isinstance(meaning, DataError | Busy) and len(batch.done) > 1:
            # A constraint that is checked at the commit, or a conflict of isolation
            # with somebody else: alone, each shows whether it is the one.
            left = {job for job in self._alone if job.state is State.WITHDRAWN}
            self._alone = (self._alone - left).union(batch.done)
            lane.put_back(batch.done)
            batch.done = []
        else:
            batch.fail_done(meaning)
        self._alone.difference_update(batch.failed)

    def _lose(self, batch: Batch, culprit: Job, driver: Any, lane: Lane) -> None:
        """Say what became of a batch whose transaction ended under it."""
        error = culprit.error
        if self._backend.is_broken(driver):
            batch.done.append(culprit)
            batch.fail_done(_lost_by(error))
        elif error is None or not (
            self._backend.rolled_back_by(driver, error) or self._backend.dooms(error)
        ):
            batch.done.append(culprit)
            batch.fail_done(
                _unknown("a function ended the transaction that it shared with others")
            )
        else:
            # The engine rolled back by itself (a full disk, RAISE(ROLLBACK)), or
            # would let nobody commit: nothing of the others is written, so they may
            # run again.
            culprit.error = classified(error)
            batch.failed.append(culprit)
            lane.put_back(batch.done)
            batch.done = []


def _lost_by(error: BaseException | None) -> BaseException:
    """Return what those are told whose server is gone with their transaction."""
    meaning = None if error is None else classified(error)
    if isinstance(meaning, AccessDenied | ConfigError):
        return meaning  # the token has expired: trying again would not help
    lost = ConnectionLost(
        "the connection was lost before the commit; nothing was written",
        hint="try again",
    )
    lost.__cause__ = error
    return lost


def _unknown(what: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{what}; it may or may not be written",
        hint="give db.write an idempotency_key, then it is safe to try again",
    )
