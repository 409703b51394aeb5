"""What a program says on a connection: one statement, many, a stream of rows.

Owns the verbs. Which stream and which transaction carry them is ``transaction``'s;
nothing here does I/O: the methods are generators that yield effects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.batches import (
    BATCH_BYTES_MAX,
    STEPS_MAX,
    STORED_BYTES_MAX,
    batches_of,
    size_of,
)
from lockstep.engine.hrana.effects import Talk
from lockstep.engine.hrana.errors import (
    DataError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    ProgrammingError,
)
from lockstep.engine.hrana.statements import Kind, Nature, nature_of
from lockstep.engine.hrana.streamed import RowStream
from lockstep.engine.hrana.transaction import (
    BEGIN,
    CLOSE,
    NOTHING,
    UNCLEAR,
    Phase,
    Transaction,
    exact_only,
    outcome_unknown,
    raise_failure,
)

ROWS_SKIPPED = 1_000
"""How many rows at once are passed over when an answer is asked for again."""


class Conversation(Transaction):
    """One connection's side of Hrana. Not thread safe; see ``transaction``.

    Args:
        facts: Shared by the connections to one server.
        give_turn: Called when the turn, once taken, is not needed any more.
    """

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
            if not begins and self._wire.is_old:
                raise NotSupportedError("begin a transaction before its savepoint")
            # Asked for in words, it has happened when the words return.
            self._open_with(sql, locks=nature.locks)
            statement, nature = NOTHING, Nature(Kind.READ)
        self._refuse_writing(nature)
        if self.phase is Phase.IDLE:
            if nature.setting is not None and nature.kind is not Kind.READ:
                self.enforces_foreign_keys = nature.is_on
            return (yield from self._execute_alone(statement, nature))
        results = yield from self._run_inside([statement], nature)
        if results[0].holds_lost_numbers:
            # The same snapshot, asked again in the encoding that has the numbers.
            results = yield from self._run_inside([statement], nature, exactly=True)
        return exact_only(results[0])

    def stream(self, statement: m.Statement) -> Talk[RowStream | m.ResultSet]:
        """Run a statement whose rows are read as they arrive.

        What does not certainly read, and a server that has no cursors, gives a
        whole answer. Until all rows are taken, or ``leave`` was called, the next
        statement of this connection first takes the rest into memory.
        """
        nature = nature_of(statement.sql or "")
        facts = self._wire.facts
        plain = nature.kind is Kind.READ and nature.setting is None
        if not plain or self._wire.is_old or facts.has_cursor is False:
            return (yield from self.execute(statement))
        self._refuse_lost()
        if self.phase is not Phase.IDLE:
            yield from self._look_before(statement)
        try:
            rows = yield from self._open_rows(statement, exactly=False)
            if rows is not None:
                return rows
        except (InternalError, DataError):
            # libsql-server tells what is wrong with a text only in a whole answer.
            if self.phase is not Phase.IDLE:
                raise
        return (yield from self.execute(statement))

    def stream_again(self, statement: m.Statement, skip: int) -> Talk[RowStream | None]:
        """Ask again in the encoding that has every number, behind ``skip`` rows.

        They are the same rows, because both answers are of one transaction.
        """
        self._rows = None
        if not (yield from self._wire.has_protobuf()):
            yield from self._close_alone()
            return None
        rows = yield from self._open_rows(statement, exactly=True)
        while rows is not None and rows.given < skip:
            if not (yield from rows.take(min(ROWS_SKIPPED, skip - rows.given))):
                break
        return rows

    def leave(self, rows: RowStream) -> Talk[None]:
        """Want no more of ``rows``; the transaction goes on."""
        yield from rows.leave()
        if self._rows is rows:
            self._rows = None
            yield from self._close_alone()

    def _open_rows(
        self, statement: m.Statement, *, exactly: bool
    ) -> Talk[RowStream | None]:
        yield from self._settle()
        steps = self._guarded([statement])
        if self._wire.baton is None:
            # A transaction of its own, so that it can be asked twice.
            steps = [m.Step(BEGIN), m.Step(statement, m.StepOk(0))]
        opened = yield from self._wire.open_cursor(tuple(steps), exactly=exactly)
        if opened is None:
            return None
        codec, incoming = opened
        rows = RowStream(
            codec, incoming, len(steps) - 1, self._wire.greeted, self._lose_stream
        )
        self._rows = rows
        yield from rows.begin()
        return rows

    def _look_before(self, statement: m.Statement) -> Talk[None]:
        """Let the server judge the text: a cursor that fails ends a transaction."""
        if self.phase is Phase.PENDING or self._ahead:
            yield from self._run_inside([NOTHING], Nature(Kind.READ))
        yield from self.describe(statement.sql or "")

    def execute_later(self, sql: str) -> None:
        """Run a statement of the open transaction before the next one.

        For statements that give nothing and are not expected to fail (SAVEPOINT,
        RELEASE); one that does fail fails the next. A rollback drops it.
        """
        self._refuse_lost()
        self._refuse_writing(nature_of(sql))
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
        self._refuse_writing(nature)
        alone = self.phase is Phase.IDLE
        if alone:
            self.begin("IMMEDIATE")
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
                found += [exact_only(result) for result in results]
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
        self._refuse_writing(Nature(Kind.OTHER))
        self.begin(mode)
        try:
            results = yield from self._run_inside(
                list(statements), Nature(Kind.OTHER), commits=True
            )
        except BaseException:
            yield from self.rollback()
            raise
        return [exact_only(result) for result in results]

    def execute_together(self, statements: Sequence[m.Statement]) -> Talk[None]:
        """Run statements of the open transaction in one round trip, without rows.

        The first that fails ends it, and what came before is the transaction's.
        """
        self._refuse_writing(Nature(Kind.OTHER))
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
        self._refuse_writing(Nature(Kind.OTHER))
        if self.phase is Phase.PENDING:
            yield from self._run_inside([NOTHING], Nature(Kind.OTHER))
        self._refuse_lost()
        yield from self.take_turn()
        alone = self.phase is Phase.IDLE

        def requests() -> list[m.Request]:
            script = m.Sequence(sql)
            return [m.Execute(self._prologue()), script, CLOSE] if alone else [script]

        try:
            results = yield from self._exchange(requests, may_repeat=False)
        except UNCLEAR as error:
            raise outcome_unknown(error) if alone else error from error.__cause__
        finally:
            if alone:
                self._end()
        for result in results:
            raise_failure(result)

    def describe(self, sql: str) -> Talk[m.Description]:
        """Ask what a statement is, without running it."""
        self._refuse_lost()
        alone = self.phase is not Phase.OPEN

        def requests() -> list[m.Request]:
            return [m.Describe(sql), CLOSE] if alone else [m.Describe(sql)]

        result = (yield from self._exchange(requests, may_repeat=True))[0]
        raise_failure(result)
        if not isinstance(result, m.Description):
            raise InterfaceError("the server answered another request")
        return result
