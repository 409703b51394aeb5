"""What a connection says to its server: one stream at a time, no I/O.

Owns the state of a transaction and every decision about it. The methods are
generators: they yield what must be done outside (a ``Call``, a ``TakeTurn``) and
are sent what came of it, so that one implementation serves threads and asyncio.

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

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, TypeAlias, TypeVar

from lockstep.engine.hrana import json_codec, protobuf_codec
from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.batches import (
    BATCH_BYTES_MAX,
    STEPS_MAX,
    STORED_BYTES_MAX,
    STORED_ID,
    batches_of,
    size_of,
)
from lockstep.engine.hrana.errors import (
    ConnectionFailed,
    DataError,
    Error,
    InterfaceError,
    NotSupportedError,
    OutcomeUnknown,
    ProgrammingError,
    RolledBack,
    TransactionLost,
    TurnTimeout,
    WriteRefused,
    from_server,
    from_status,
)
from lockstep.engine.hrana.statements import Kind, Nature, nature_of

NEWEST, OLDEST = "v3", "v2"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request to ``path`` below ``base_url`` (None: the server's own).

    A POST of ``body``, or a GET where that is None.
    """

    path: str
    body: bytes | None = field(repr=False)
    content_type: str
    base_url: str | None
    may_repeat: bool
    baton: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a ``Call``, whatever its status."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class TakeTurn:
    """Wait for the turn to write; answered with whether it came in time."""


Effect: TypeAlias = Call | TakeTurn
Talk: TypeAlias = Generator[Effect, Any, T]
Requests: TypeAlias = Callable[[], list[m.Request]]


class Phase(Enum):
    """Where a connection's transaction is."""

    IDLE = auto()
    PENDING = auto()
    OPEN = auto()
    LOST = auto()


@dataclass(slots=True)
class ServerFacts:
    """What was learnt of a server; shared by its connections.

    Attributes:
        version: Which Hrana is spoken, as it stands in the path.
        is_confirmed: The server answered in it.
        has_protobuf: Whether it has the second encoding; None until it was asked.
    """

    version: str = NEWEST
    is_confirmed: bool = False
    has_protobuf: bool | None = None


# A COMMIT ends a transaction that has the turn already, if it ever needed it.
_TURNLESS = (Kind.READ, Kind.SAVEPOINT, Kind.COMMIT)
_GET_AUTOCOMMIT = m.GetAutocommit()
_CLOSE = m.Close()
_IN_TRANSACTION = m.Not(m.IsAutocommit())
_NOTHING = m.Statement("SELECT 1", want_rows=False)
_PROBE = m.Statement("BEGIN", want_rows=False)
_COMMIT = m.Statement("COMMIT", want_rows=False)
_ROLLBACK = m.Statement("ROLLBACK", want_rows=False)


class Conversation:
    """One connection's side of Hrana. Not thread safe; see the module.

    Args:
        facts: Shared by the connections to one server.
        give_turn: Called when the turn, once taken, is not needed any more.
    """

    def __init__(self, facts: ServerFacts, give_turn: Callable[[], None]) -> None:
        self._facts = facts
        self._pass_turn_on = give_turn
        self._has_turn = False
        self._baton: str | None = None
        self._base_url: str | None = None
        self._opening_sql = ""
        self._locks = False
        self._reads_only = False
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

    def execute(self, statement: m.Statement) -> Talk[m.ResultSet]:
        """Run one statement, in the transaction or in a stream of its own."""
        sql = statement.sql or ""
        nature = nature_of(sql)
        if nature.kind is Kind.COMMIT:
            yield from self.commit()
            return m.ResultSet()
        if nature.kind is Kind.ROLLBACK:
            yield from self.rollback()
            return m.ResultSet()
        begins = nature.kind is Kind.BEGIN
        if begins or (self.phase is Phase.IDLE and nature.kind is Kind.SAVEPOINT):
            if not begins and self._facts.version == OLDEST:
                raise NotSupportedError("begin a transaction before its savepoint")
            # Asked for in words, it has happened when the words return.
            self._open_with(sql, locks=nature.locks)
            statement, nature = _NOTHING, Nature(Kind.READ)
        if self.phase is Phase.IDLE:
            if nature.setting is not None and nature.kind is not Kind.READ:
                self.enforces_foreign_keys = nature.is_on
            return (yield from self._execute_alone(statement, nature))
        if self._reads_only and nature.kind not in (Kind.READ, Kind.SAVEPOINT):
            raise WriteRefused("a transaction that only reads was asked to write")
        results = yield from self._run_inside([statement], nature)
        if results[0].holds_lost_numbers:
            # The same snapshot, asked again in the encoding that has the numbers.
            results = yield from self._run_inside([statement], nature, exactly=True)
        return _exact(results[0])

    def execute_later(self, sql: str) -> None:
        """Run a statement of the open transaction before the next one.

        For statements that give nothing and are not expected to fail (SAVEPOINT,
        RELEASE); one that does fail fails the next. A rollback drops it.
        """
        self._refuse_lost()
        if self.phase is Phase.IDLE:
            raise ProgrammingError("no transaction is open")
        self._ahead.append(m.Statement(sql, want_rows=False))

    def execute_many(
        self, sql: str, rows: Iterable[m.Statement], *, want_rows: bool = False
    ) -> Talk[list[m.ResultSet]]:
        """Run ``sql`` once per statement of ``rows``, which have only values.

        Returns a result for each. Inside of a transaction: one round trip per batch;
        the first failure ends it, and what came before is the transaction's. Outside:
        a transaction of its own, all or none, one round trip if one batch is enough.
        """
        nature = nature_of(sql)
        alone = self.phase is Phase.IDLE
        if alone:
            self.begin("IMMEDIATE")
        elif self._reads_only and nature.kind is not Kind.READ:
            raise WriteRefused("a transaction that only reads was asked to write")
        found: list[m.ResultSet] = []
        try:
            stored = sql if len(sql.encode()) <= STORED_BYTES_MAX else None
            batches = batches_of(sql, rows, stored is not None, want_rows)
            current = next(batches, None)
            while current is not None:
                following = next(batches, None)
                results = yield from self._run_inside(
                    current, nature, stored=stored, commits=alone and following is None
                )
                found += [_exact(result) for result in results]
                current = following
        except BaseException:
            if alone:
                yield from self.rollback()
            raise
        if alone and self.phase is not Phase.IDLE:
            yield from self.commit()
        return found

    def transaction(
        self, statements: Sequence[m.Statement], *, mode: str = "IMMEDIATE"
    ) -> Talk[list[m.ResultSet]]:
        """Run a whole transaction, BEGIN to COMMIT, in one round trip.

        All or nothing: the error raised is that of the first statement that failed.
        """
        self.begin(mode)
        try:
            results = yield from self._run_inside(
                list(statements), Nature(Kind.OTHER), commits=True
            )
        except BaseException:
            yield from self.rollback()
            raise
        return [_exact(result) for result in results]

    def execute_together(self, statements: Sequence[m.Statement]) -> Talk[None]:
        """Run statements of the open transaction in one round trip, without rows.

        The first that fails ends it, and what came before is the transaction's.
        """
        batch: list[m.Statement] = []
        size = 0
        for statement in statements:
            batch.append(statement)
            size += len(statement.sql or "") + size_of(statement)
            if len(batch) >= STEPS_MAX or size >= BATCH_BYTES_MAX:
                yield from self._run_inside(batch, Nature(Kind.OTHER))
                batch, size = [], 0
        if batch:
            yield from self._run_inside(batch, Nature(Kind.OTHER))

    def execute_script(self, sql: str) -> Talk[None]:
        """Run statements that are separated by semicolons; rows are dropped."""
        if self._reads_only:
            raise WriteRefused("a script may write")
        if self.phase is Phase.PENDING:
            yield from self._run_inside([_NOTHING], Nature(Kind.OTHER))
        self._refuse_lost()
        yield from self.take_turn()
        alone = self.phase is Phase.IDLE

        def requests() -> list[m.Request]:
            script = m.Sequence(sql)
            return [m.Execute(self._prologue()), script, _CLOSE] if alone else [script]

        try:
            results = yield from self._exchange(requests, may_repeat=False)
        finally:
            if alone:
                self._end()
        for result in results:
            _raise_failure(result)

    def describe(self, sql: str) -> Talk[m.Description]:
        """Ask what a statement is, without running it."""
        self._refuse_lost()
        alone = self.phase is not Phase.OPEN

        def requests() -> list[m.Request]:
            return [m.Describe(sql), _CLOSE] if alone else [m.Describe(sql)]

        result = (yield from self._exchange(requests, may_repeat=True))[0]
        _raise_failure(result)
        if not isinstance(result, m.Description):
            raise InterfaceError("the server answered another request")
        return result

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
        try:
            if self._baton is not None:
                steps = (m.Step(_ROLLBACK),)
                yield from self._exchange(
                    lambda: [m.Batch(steps), _CLOSE], may_repeat=False
                )
        except Error:
            pass  # nothing of it can have been kept: COMMIT was not sent
        finally:
            self._end()

    def farewell(self) -> Call | None:
        """Forget the stream; return the call that closes it, if one is open."""
        call = None
        if self._baton is not None:
            call = self._spelled(json_codec, [_CLOSE])
        self._end()
        return call

    def _execute_alone(
        self, statement: m.Statement, nature: Nature, exactly: bool = False
    ) -> Talk[m.ResultSet]:
        reads = nature.kind is Kind.READ
        # A token that allows only reading does not allow this pragma either.
        bare = reads and nature.setting is None
        prologue: list[m.Request] = [] if bare else [m.Execute(self._prologue())]
        if not reads:
            yield from self.take_turn()
        try:
            answers = yield from self._exchange(
                lambda: [*prologue, m.Execute(statement), _CLOSE],
                may_repeat=reads,
                exactly=exactly or nature.returns_rows,
            )
        except ConnectionFailed as error:
            raise error if reads else _unknown(error) from error.__cause__
        finally:
            self._end()
        for answer in answers:
            _raise_failure(answer)
        result = answers[len(prologue)]
        if not isinstance(result, m.ResultSet):
            raise InterfaceError("the server answered another request")
        if result.holds_lost_numbers and reads and not exactly:
            return (yield from self._execute_alone(statement, nature, exactly=True))
        return _exact(result)

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
                return [*made, _CLOSE]
            return made if self._is_old else [*made, _GET_AUTOCOMMIT]

        self.phase = Phase.OPEN
        try:
            answers = yield from self._exchange(
                requests,
                may_repeat=opens and not commits,
                exactly=exactly or nature.returns_rows,
            )
        except ConnectionFailed as error:
            raise _unknown(error) if commits else error from error.__cause__
        finally:
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
        first = begin if self._reads_only else self._prologue()
        steps = [m.Step(first)]
        for statement in (*([] if self._reads_only else [begin]), *statements):
            steps.append(m.Step(statement, m.StepOk(len(steps) - 1)))
        return steps

    def _guarded(self, statements: list[m.Statement]) -> list[m.Step]:
        """Return steps that run only inside of a transaction.

        Hrana 2 cannot ask for that; there a BEGIN, which fails inside of one, is
        the question.
        """
        steps: list[m.Step] = []
        condition: m.Condition = _IN_TRANSACTION
        if self._is_old:
            steps = [m.Step(_PROBE), m.Step(_ROLLBACK, m.StepOk(0))]
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
            yield from self._exchange(lambda: [_CLOSE], may_repeat=False)
            self._end()
        else:
            self._lose(RolledBack("a statement rolled it back"))

    def _exchange(
        self, requests: Requests, *, may_repeat: bool, exactly: bool = False
    ) -> Talk[tuple[m.Result, ...]]:
        """Send a pipeline, keep the baton; a call that fails loses the stream."""
        while True:
            asked = requests()
            call = yield from self._call(asked, may_repeat, exactly)
            reply = yield from self._ask(call)
            if reply.status != 404 or not self._spoke_too_new():
                break
        codec = _codec_of(call)
        if reply.status != 200:
            self._baton = None
            failure = json_codec.decode_failure(reply.body)
            text = failure.message if failure else reply.body.decode(errors="replace")
            code = failure.code if failure else None
            had_stream = call.baton is not None
            error = from_status(reply.status, text, code, had_stream=had_stream)
            raise self._lose(error)
        self._facts.is_confirmed = True
        try:
            answer = codec.decode_pipeline(reply.body)
        except InterfaceError as error:
            self._baton = None
            self._lose(error)
            raise
        self._baton = answer.baton
        self._base_url = answer.base_url or self._base_url
        if len(answer.results) != len(asked):
            raise self._lose(InterfaceError("the server left out answers"))
        return answer.results

    def _ask(self, call: Call) -> Talk[Reply]:
        """Make a call; without an answer the stream is lost."""
        try:
            return (yield call)
        except BaseException as error:
            self._baton = None
            lost = TransactionLost("a call was interrupted")
            self._lose(error if isinstance(error, Error) else lost)
            raise

    def _call(
        self, requests: list[m.Request], may_repeat: bool, exactly: bool
    ) -> Talk[Call]:
        """Spell ``requests``: in JSON, unless it cannot carry a value exactly."""
        if not exactly:
            try:
                return self._spelled(json_codec, requests, may_repeat)
            except DataError:
                if not (yield from self._has_protobuf()):
                    raise
        codec = protobuf_codec if (yield from self._has_protobuf()) else json_codec
        return self._spelled(codec, requests, may_repeat)

    def _spelled(
        self, codec: Any, requests: list[m.Request], may_repeat: bool = False
    ) -> Call:
        return Call(
            path=f"{self._facts.version}{codec.FOLDER_SUFFIX}/pipeline",
            body=codec.encode_pipeline(self._baton, requests),
            content_type=codec.CONTENT_TYPE,
            base_url=self._base_url if self._baton is not None else None,
            may_repeat=may_repeat,
            baton=self._baton,
        )

    def _has_protobuf(self) -> Talk[bool]:
        """Ask the server once, in the way the specification has for it."""
        facts = self._facts
        if facts.has_protobuf is None:
            path = NEWEST + protobuf_codec.FOLDER_SUFFIX
            question = Call(path, None, "", self._base_url, may_repeat=True)
            facts.has_protobuf = (yield from self._ask(question)).status // 100 == 2
        return facts.has_protobuf and not self._is_old

    def _spoke_too_new(self) -> bool:
        """Say whether something older may be understood; nothing was executed."""
        facts = self._facts
        if facts.is_confirmed:
            return False
        newest = facts.version == NEWEST
        facts.version = OLDEST if newest else NEWEST  # then it was not the version
        return newest

    @property
    def _is_old(self) -> bool:
        return self._facts.version == OLDEST

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
        self._baton = self._base_url = self.lost_because = None
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


def farewell_to(call: Call, reply: Reply | None) -> Call | None:
    """Return the call that closes the stream which ``call`` left open, if any.

    ``reply`` is None when the call was never made.
    """
    codec = _codec_of(call)
    baton = call.baton
    if reply is not None:
        try:
            baton = codec.decode_pipeline(reply.body).baton
        except InterfaceError:
            return None
    if baton is None:
        return None
    return Call(
        path=call.path,
        body=codec.encode_pipeline(baton, [_CLOSE]),
        content_type=call.content_type,
        base_url=call.base_url,
        may_repeat=False,
    )


def _codec_of(call: Call) -> Any:
    is_json = call.content_type == json_codec.CONTENT_TYPE
    return json_codec if is_json else protobuf_codec


def _raise_failure(result: m.Result) -> None:
    if isinstance(result, m.Failure):
        raise from_server(result.message, result.code)


def _exact(result: m.ResultSet) -> m.ResultSet:
    if result.holds_lost_numbers:
        raise DataError("the answer holds an infinite number, which JSON cannot carry")
    return result


def _unknown(error: ConnectionFailed) -> ConnectionFailed:
    """Return the error of a call that may have committed."""
    if not error.sent:
        return error
    return OutcomeUnknown(
        f"no answer came, so it was written or it was not: {error}",
        timed_out=error.timed_out,
    )
