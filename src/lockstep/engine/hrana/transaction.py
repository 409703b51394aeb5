"""A connection's transaction: where it is, and what goes to the server for it.

Owns the state of a transaction and every decision about it. The methods are
generators: they yield what must be done outside (``effects``) and are sent what
came of it, so that one implementation serves threads and asyncio.

    idle ──begin()──► pending ──first statement──► open ──commit, rollback──► idle
     │                                              └──stolen, expired, failed──► lost
     └──statement──► one stream of its own, closed in the same round trip

Invariants:
- BEGIN travels with the first statement and COMMIT with the end of the stream:
  a transaction costs one round trip per statement and one to end it, and a stream
  lives no longer than its transaction.
- A statement of a transaction carries the condition "only inside of it", so that
  a transaction that the server took away is never continued in autocommit.
- Whoever writes has the process's turn, from before BEGIN until after COMMIT.
- A call says whether it may be sent again: only when it cannot have committed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import Enum, auto

from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.batches import STORED_ID, largest_of, meaning_of
from lockstep.engine.hrana.effects import Call, TakeTurn, Talk
from lockstep.engine.hrana.errors import (
    ConnectionFailed,
    DataError,
    Error,
    InterfaceError,
    InternalError,
    OutcomeUnknown,
    ProgrammingError,
    RolledBack,
    TransactionLost,
    TurnTimeout,
    UnsafeRedirect,
    WriteRefused,
    from_server,
)
from lockstep.engine.hrana.statements import Kind, Nature
from lockstep.engine.hrana.streamed import RowStream
from lockstep.engine.hrana.wire import Requests, ServerFacts, Wire


class Phase(Enum):
    """Where a connection's transaction is."""

    IDLE = auto()
    PENDING = auto()
    OPEN = auto()
    LOST = auto()


# A COMMIT ends a transaction that has the turn already, if it ever needed it.
_TURNLESS = (Kind.READ, Kind.SAVEPOINT, Kind.COMMIT)
UNCLEAR = (ConnectionFailed, InterfaceError, InternalError)
"""After these nobody knows whether the server did what it was asked."""

_GET_AUTOCOMMIT = m.GetAutocommit()
CLOSE = m.Close()
_IN_TRANSACTION = m.Not(m.IsAutocommit())
NOTHING = m.Statement("SELECT 1", want_rows=False)
BEGIN = m.Statement("BEGIN", want_rows=False)
_COMMIT = m.Statement("COMMIT", want_rows=False)
_ROLLBACK = m.Statement("ROLLBACK", want_rows=False)


class Transaction:
    """A connection's transaction, and the stream that carries it.

    Args:
        facts: Shared by the connections to one server.
        give_turn: Called when the turn, once taken, is not needed any more.

    Attributes:
        only_reads: Whatever may write is refused, in any transaction and outside.
    """

    def __init__(self, facts: ServerFacts, give_turn: Callable[[], None]) -> None:
        self._wire = Wire(facts, self._lose)
        self._pass_turn_on = give_turn
        self._has_turn = False
        self._rows: RowStream | None = None
        self._opening_sql = ""
        self._locks = False
        self._reads_only = False
        self.only_reads = False
        self.lost_because: Error | None = None
        self._ahead: list[m.Statement] = []
        self.phase = Phase.IDLE
        self.enforces_foreign_keys = True

    def begin(self, mode: str = "DEFERRED", *, reads_only: bool = False) -> None:
        """Begin a transaction; the server hears of it with the first statement.

        Args:
            mode: ``DEFERRED``, ``IMMEDIATE`` or ``EXCLUSIVE``.
            reads_only: Refuse every statement that may write.
        """
        self._open_with(f"BEGIN {mode}", locks=mode != "DEFERRED")
        self._reads_only = reads_only

    @property
    def refuses_writes(self) -> bool:
        """Whether only what certainly reads is sent."""
        return self._reads_only or self.only_reads

    def _refuse_writing(self, nature: Nature) -> None:
        if self.refuses_writes and nature.kind not in (Kind.READ, Kind.SAVEPOINT):
            raise WriteRefused("a transaction that only reads was asked to write")

    def _settle(self) -> Talk[None]:
        """Make the stream free: what still arrives on it is taken into memory."""
        rows, self._rows = self._rows, None
        if rows is None:
            return
        yield from rows.keep()
        yield from self._close_alone()

    def _close_alone(self) -> Talk[None]:
        """Close the stream that was opened for an answer alone."""
        if self.phase in (Phase.IDLE, Phase.PENDING) and self._wire.baton is not None:
            yield from self._close_quietly([CLOSE])

    def _close_quietly(self, requests: list[m.Request]) -> Talk[None]:
        """Close the stream; a server that cannot be told does it by itself."""
        try:
            yield from self._wire.exchange(lambda: requests, may_repeat=False)
        except Error:
            pass  # nothing of it can have been kept: COMMIT was not sent
        finally:
            self._wire.forget()

    def commit(self) -> Talk[None]:
        """End the transaction and keep it; does nothing when there is none.

        A COMMIT that fails (a deferred foreign key) takes the transaction back.

        Raises:
            TransactionLost: The server had ended it; nothing was kept.
            OutcomeUnknown: No answer came, so it was kept or it was not.
        """
        if self.phase is Phase.LOST:
            error = self._lost()
            yield from self.rollback()
            raise error
        if self.phase is Phase.OPEN:
            yield from self._run_inside([], Nature(Kind.COMMIT), commits=True)
        else:
            yield from self.rollback()  # nothing was begun

    def rollback(self) -> Talk[None]:
        """End the transaction and keep nothing of it; never fails for the network.

        A server that cannot be told rolls back by itself when the stream expires.
        """
        rows, self._rows = self._rows, None
        try:
            if rows is not None:
                yield from rows.leave()
            if self._wire.baton is not None:
                yield from self._close_quietly([m.Batch((m.Step(_ROLLBACK),)), CLOSE])
        finally:
            self._end()

    def farewell(self) -> Call | None:
        """Forget the stream; return the call that closes it, if one is open."""
        rows, self._rows = self._rows, None
        if rows is not None:
            rows.drop()
        call = self._wire.farewell()
        self._end()
        return call

    def _execute_alone(
        self, statement: m.Statement, nature: Nature, exactly: bool = False
    ) -> Talk[m.ResultSet]:
        reads = nature.kind is Kind.READ
        # A token that allows only reading does not allow this pragma either.
        yield from self._refuse_too_large([statement])
        bare = reads and nature.setting is None
        prologue: list[m.Request] = [] if bare else [m.Execute(self._prologue())]
        if not reads:
            yield from self.take_turn()
        try:
            answers = yield from self._exchange(
                lambda: [*prologue, m.Execute(statement), CLOSE],
                may_repeat=reads,
                exactly=exactly or nature.returns_rows,
            )
            for answer in answers:
                raise_failure(answer)
            result = answers[len(prologue)]
            if not isinstance(result, m.ResultSet):
                raise InterfaceError("the server answered another request")
        except UNCLEAR as error:
            raise error if reads else outcome_unknown(error) from error.__cause__
        except (ProgrammingError, DataError) as error:
            raise meaning_of(error, [statement]) from error.__cause__
        finally:
            self._end()
        if result.holds_lost_numbers and reads and not exactly:
            return (yield from self._execute_alone(statement, nature, exactly=True))
        return exact_only(result)

    def _run_inside(
        self,
        statements: list[m.Statement],
        nature: Nature,
        *,
        stored: str | None = None,
        commits: bool = False,
        exactly: bool = False,
    ) -> Talk[list[m.ResultSet]]:
        """Run ``statements`` of the open or pending transaction in one round trip.

        Each runs if the one before it succeeded. ``commits`` ends the transaction
        and the stream: with COMMIT if all succeeded, else by closing alone.
        """
        yield from self._refuse_too_large(statements)
        try:
            return (
                yield from self._run_steps(statements, nature, stored, commits, exactly)
            )
        except UNCLEAR as error:
            raise outcome_unknown(error) if commits else error from error.__cause__
        except (ProgrammingError, DataError) as error:
            raise meaning_of(error, statements) from error.__cause__

    def _refuse_too_large(self, statements: list[m.Statement]) -> Talk[None]:
        """Refuse what the server would not take before megabytes are sent for it.

        It tells nobody its limit, but whether it could make a value of that size.

        Raises:
            DataError: A value is too large; the transaction goes on.
        """
        largest = largest_of(statements)
        facts = self._wire.facts
        if largest is None or largest.size_bytes <= facts.taken_bytes:
            return
        refused = facts.refused_bytes
        if refused is None or largest.size_bytes < refused:
            question = m.Statement("SELECT length(zeroblob(?))", (largest.size_bytes,))
            try:
                if self.phase is Phase.IDLE:
                    yield from self._execute_alone(question, Nature(Kind.READ))
                else:
                    yield from self._run_inside([question], Nature(Kind.READ))
            except DataError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_TOOBIG:
                    raise
                facts.refused_bytes = largest.size_bytes
            else:
                facts.taken_bytes = largest.size_bytes
                return
        raise largest.too_large("SQLITE_TOOBIG")

    def _run_steps(
        self,
        statements: list[m.Statement],
        nature: Nature,
        stored: str | None,
        commits: bool,
        exactly: bool,
    ) -> Talk[list[m.ResultSet]]:
        self._refuse_lost()
        opens = self.phase is Phase.PENDING
        if (opens and self._locks) or nature.kind not in _TURNLESS:
            yield from self.take_turn()
        ahead, self._ahead = self._ahead, []
        wanted = [*ahead, *statements, *([_COMMIT] if commits else [])]

        def requests() -> list[m.Request]:
            steps = self._opening(wanted) if opens else self._guarded(wanted)
            made: list[m.Request] = [m.Batch(tuple(steps))]
            if stored is not None:
                made = [m.StoreSql(STORED_ID, stored), *made, m.CloseSql(STORED_ID)]
            if commits:
                return [*made, CLOSE]
            return made if self._wire.is_old else [*made, _GET_AUTOCOMMIT]

        before, self.phase = self.phase, Phase.OPEN
        try:
            answers = yield from self._exchange(
                requests,
                may_repeat=opens and not commits,
                exactly=exactly or nature.returns_rows,
            )
        except BaseException as error:
            if isinstance(error, DataError) and self.phase is Phase.OPEN:
                # It cannot be spelled, so nothing was sent: not the savepoints
                # either that were to go ahead of it.
                self.phase, self._ahead = before, [*ahead, *self._ahead]
            elif commits:
                self._end()
            raise
        if commits:
            self._end()
        batch = answers[0 if stored is None else 1]
        if isinstance(batch, m.Failure):
            # Not one step was run (a text that does not parse), also not BEGIN.
            self._ahead = [*ahead, *self._ahead]
            if opens and not commits:
                self.phase = Phase.PENDING
            raise self._failed(batch)
        yield from self._notice_end(answers[-1], nature)
        count = len(self._opening([])) if opens else len(self._guarded([]))
        results = self._results_of(batch, count, len(wanted))
        return results[len(ahead) : len(ahead) + len(statements)]

    def _opening(self, statements: list[m.Statement]) -> list[m.Step]:
        """Return steps that begin the transaction and run in it."""
        begin = m.Statement(self._opening_sql, want_rows=False)
        first = begin if self.refuses_writes else self._prologue()
        steps = [m.Step(first)]
        for statement in (*([] if self.refuses_writes else [begin]), *statements):
            steps.append(m.Step(statement, m.StepOk(len(steps) - 1)))
        return steps

    def _guarded(self, statements: list[m.Statement]) -> list[m.Step]:
        """Return steps that run only inside of a transaction.

        Hrana 2 cannot ask for that; there a BEGIN, which fails inside of one, is
        the question.
        """
        steps: list[m.Step] = []
        condition: m.Condition = _IN_TRANSACTION
        if self._wire.is_old:
            steps = [m.Step(BEGIN), m.Step(_ROLLBACK, m.StepOk(0))]
            condition = m.StepFailed(0)
        for statement in statements:
            steps.append(m.Step(statement, condition))
            condition = m.StepOk(len(steps) - 1)
        return steps

    def _results_of(
        self, batch: m.Result, before: int, count: int
    ) -> list[m.ResultSet]:
        """Return the results of the ``count`` steps that come after ``before``.

        Raises the first failure.
        """
        if not isinstance(batch, m.BatchResult) or len(batch.steps) > before + count:
            raise self._lose(InterfaceError("the server answered another request"))
        # Protobuf does not name the steps at the end that were skipped.
        missing = before + count - len(batch.steps)
        own = (*batch.steps, *[None] * missing)[before:]
        if own[0] is None:
            # Hrana 2's question may fail, that is its answer; then own[0] has run.
            for step in batch.steps[:before]:
                if isinstance(step, m.Failure):
                    raise self._lose(from_server(step.message, step.code))
        results: list[m.ResultSet] = []
        for step in own:
            if isinstance(step, m.Failure):
                raise self._failed(step)
            if step is None:
                raise self._lose(
                    TransactionLost("the server has ended the transaction meanwhile")
                )
            results.append(step)
        return results

    def _notice_end(self, answer: m.Result, nature: Nature) -> Talk[None]:
        """Note it when the server says that no transaction is open."""
        if not isinstance(answer, m.Autocommit) or not answer.is_autocommit:
            return
        if nature.kind is Kind.SAVEPOINT:
            # The RELEASE of a savepoint that began the transaction has kept it.
            yield from self._exchange(lambda: [CLOSE], may_repeat=False)
            self._end()
        else:
            self._lose(RolledBack("a statement rolled it back"))

    def _exchange(
        self, requests: Requests, *, may_repeat: bool, exactly: bool = False
    ) -> Talk[tuple[m.Result, ...]]:
        yield from self._settle()
        return (
            yield from self._wire.exchange(
                requests, may_repeat=may_repeat, exactly=exactly
            )
        )

    def _prologue(self) -> m.Statement:
        on = "ON" if self.enforces_foreign_keys else "OFF"
        return m.Statement(f"PRAGMA foreign_keys = {on}", want_rows=False)

    def _open_with(self, sql: str, *, locks: bool) -> None:
        if self.phase is not Phase.IDLE:
            raise ProgrammingError("a transaction is open already")
        self._opening_sql, self._locks = sql, locks
        self._reads_only = False
        self.phase = Phase.PENDING

    def _lose(self, error: Error) -> Error:
        """Note that the transaction is over; return the error to raise."""
        if self.phase in (Phase.OPEN, Phase.PENDING):
            self.phase = Phase.LOST
            self.lost_because = error
        return error

    def _lose_stream(self, error: Error) -> None:
        self._wire.forget()
        self._lose(error)

    def _failed(self, failure: m.Failure) -> Error:
        """Return the error of a statement; a few of them end the transaction."""
        error = from_server(failure.message, failure.code)
        return self._lose(error) if error.disconnected else error

    def _lost(self) -> Error:
        because = self.lost_because
        return TransactionLost(
            f"the transaction is over: {because}",
            server_code=because.server_code if because else None,
        )

    def _refuse_lost(self) -> None:
        if self.phase is Phase.LOST:
            raise self._lost()

    def _end(self) -> None:
        self.phase = Phase.IDLE
        self._wire.forget()
        self.lost_because = None
        self._reads_only = False
        self._ahead = []
        if self._has_turn:
            self._has_turn = False
            self._pass_turn_on()

    def take_turn(self) -> Talk[None]:
        """Wait for the turn to write; it is kept until the transaction ends.

        Raises:
            TurnTimeout: It did not come in time.
        """
        if self._has_turn:
            return
        if not (yield TakeTurn()):
            raise TurnTimeout("other writers of this process did not end in time")
        self._has_turn = True


def raise_failure(result: m.Result) -> None:
    """Raise the server's error, if that is the result."""
    if isinstance(result, m.Failure):
        raise from_server(result.message, result.code)


def exact_only(result: m.ResultSet) -> m.ResultSet:
    """Return a result that holds every value exactly.

    Raises:
        DataError: It does not.
    """
    if result.holds_lost_numbers:
        raise DataError("the answer holds an infinite number, which JSON cannot carry")
    return result


def outcome_unknown(error: Error) -> Error:
    """Return the error of a call that may have committed."""
    if isinstance(error, ConnectionFailed) and not error.sent:
        return error
    if isinstance(error, UnsafeRedirect):
        return error
    return OutcomeUnknown(
        f"no clear answer came, so it was written or it was not: {error}",
        timed_out=isinstance(error, ConnectionFailed) and error.timed_out,
    )
