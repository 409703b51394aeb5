"""Many statements to PostgreSQL in one round trip, through libpq's pipeline mode.

Owns the conversation and nothing of transactions: statements go out one behind the
other, their results come back together, and the first error ends the rest (the server
skips what follows it, up to the end of the pipeline).

    send ──► Parse (texts that repeat), Bind, Execute × n   the server works already
    finish ──► Sync
    ◄───────── n results

psycopg's own pipeline makes a cursor per statement; this needs a fraction of its time.
``finish`` gives up the rows: whether a statement succeeded is all that comes back.
``together`` gives answers to statements that SQLAlchemy has compiled.

See https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa

PREPARED_FROM = 3
"""A text that comes this often on one connection is parsed once for all."""
PREPARED_MAX = 100
"""Statements that stay prepared on one connection."""
FLUSH_STATEMENTS: Final = 32
"""After this many, the server gets what there is, and works while more is made."""
_TEXTS_REMEMBERED_MAX = 1_000
_UNKNOWN_STATEMENT = "26000"

_PARAMETER = re.compile(r"%\((\w+)\)s|%%")
"""What SQLAlchemy writes for a parameter, and for a percent sign."""

_Types = tuple[int, ...]
_Text = tuple[bytes, tuple[str, ...]]
"""A text with numbered parameters, and their names in this order."""
Encoded = tuple[bytes, Sequence[Any], _Types, Sequence[Any]]
"""Text, values, their types and formats."""
_Key = tuple[bytes, _Types]
_Names = dict[_Key, bytes]


@dataclass(slots=True)
class _Prepared:
    """What is prepared on a connection, by its text and types, and its name there."""

    names: _Names = field(default_factory=dict[_Key, bytes])
    seen: Counter[_Key] = field(default_factory=Counter[_Key])

    def is_due(self, key: _Key, prepared_from: int, new: int) -> bool:
        """Count a statement; return whether it is to be prepared."""
        if prepared_from > 1:
            if len(self.seen) >= _TEXTS_REMEMBERED_MAX:
                self.seen.clear()
            self.seen[key] += 1
            if self.seen[key] < prepared_from:
                return False
        return len(self.names) + new < PREPARED_MAX


_prepared: WeakKeyDictionary[Any, _Prepared] = WeakKeyDictionary()
_texts: dict[str, _Text] = {}
_compiled_texts: dict[str, _Text] = {}


def _numbered(sql: str) -> _Text:
    """Return ``sql`` with ``$1`` for each ``:name``, and the names in their order."""
    found = _texts.get(sql)
    if found is None:
        from sqlalchemy.dialects.postgresql.psycopg import dialect

        numbered = dialect(paramstyle="numeric_dollar")
        compiled: Any = sa.text(sql).compile(dialect=numbered)
        if len(_texts) >= _TEXTS_REMEMBERED_MAX:
            _texts.clear()
        found = _texts[sql] = (str(compiled).encode(), tuple(compiled.positiontup))
    return found


def _compiled(sql: str) -> _Text:
    """Return the same for what SQLAlchemy has compiled for psycopg."""
    found = _compiled_texts.get(sql)
    if found is None:
        order: dict[str, int] = {}

        def numbered(parameter: re.Match[str]) -> str:
            name = parameter[1]
            if name is None:
                return "%"
            return f"${order.setdefault(name, len(order) + 1)}"

        text = _PARAMETER.sub(numbered, sql).encode()
        if len(_compiled_texts) >= _TEXTS_REMEMBERED_MAX:
            _compiled_texts.clear()
        found = _compiled_texts[sql] = (text, tuple(order))
    return found


class Answer:
    """What a statement gave, as a cursor shows it; empty before it was sent."""

    __slots__ = ("_rows", "description", "rowcount")

    def __init__(self) -> None:
        self.rowcount = -1
        self.description: list[tuple[str | None, int]] = []
        self._rows: Iterator[Any] = iter(())

    def fill(self, result: Any, adapter: Any) -> None:
        """Take over libpq's result; the values are converted as psycopg does."""
        count = result.ntuples
        self.rowcount = result.command_tuples or 0
        self.description = [
            (None, result.ftype(place)) for place in range(result.nfields)
        ]
        if count:
            adapter.set_pgresult(result)
            self._rows = iter(adapter.load_rows(0, count, tuple))

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self._rows)


class Together:
    """Collects statements, in the place of a driver's connection."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, Mapping[str, Any], Answer]] = []

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> Answer:
        """Return where the answer will stand once all are sent."""
        answer = Answer()
        self.statements.append((sql, parameters, answer))
        return answer


class Pipeline:
    """Sends statements on one psycopg connection, inside its transaction.

    Args:
        driver: The connection, in a transaction and with nothing under way.
        prepares: Whether statements may stay prepared; not behind a pooler.
    """

    def __init__(self, driver: Any, *, prepares: bool) -> None:
        from psycopg import adapt

        self._driver = driver
        self._adapter: Any = adapt.Transformer(driver)
        self._prepared = _prepared.setdefault(driver, _Prepared()) if prepares else None
        self._soon: list[bytes] = []
        self._exchange: _Exchange | None = None

    def ready(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Encoded:
        """Return a statement with ``:name`` parameters as it is sent.

        Raises:
            psycopg.Error: A value is none that PostgreSQL can be given.
        """
        return self._encode(sql, parameters, _numbered)

    def send(self, statements: Iterable[Encoded], *, prepared: bool = False) -> None:
        """Send statements; what comes of them, ``finish`` tells.

        Args:
            statements: In their order; the first that fails ends those behind it.
            prepared: Whether texts that repeat stay prepared. psycopg drops every
                prepared statement of a connection after a rollback, ours too, so
                whoever says True must be able to run the statements again.

        Raises:
            psycopg.OperationalError: The connection is lost.
        """
        self._send(statements, PREPARED_FROM if prepared else 0)

    def finish(self) -> Exception | None:
        """Wait for what was sent; return the first error.

        After an error the transaction is in the failed state, as after any other.

        Raises:
            psycopg.OperationalError: The connection is lost.
        """
        return self._finish([])

    def run(self, statements: Iterable[Encoded]) -> Exception | None:
        """Send and finish."""
        self.send(statements)
        return self.finish()

    def run_soon(self, sql: str) -> None:
        """Run a savepoint's statement with the next ones that are sent here."""
        self._soon.append(sql.encode())

    def catch_up(self) -> None:
        """Run what ``run_soon`` left: the next statement does not come this way.

        Raises:
            psycopg.Error: It failed.
        """
        error = self.run(()) if self._soon else None
        if error is not None:
            raise error

    @contextmanager
    def together(self) -> Generator[Together]:
        """Send the statements of the block in one round trip; fill their answers.

        Their texts are the program's own, so they are prepared at once.

        Raises:
            psycopg.Error: One of them failed, and the rest was not run. Of a
                statement that psycopg has dropped meanwhile: ``26000``.
        """
        collected = Together()
        yield collected
        encoded = [
            self._encode(sql, parameters, _compiled)
            for sql, parameters, _ in collected.statements
        ]
        self._send(encoded, 1)
        results: list[Any] = []
        error = self._finish(results)
        if error is not None:
            raise error
        for (_, _, answer), result in zip(collected.statements, results, strict=True):
            answer.fill(result, self._adapter)

    def _encode(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None,
        numbered: Callable[[str], _Text],
    ) -> Encoded:
        if not parameters:
            return sql.encode(), (), (), ()
        from psycopg import ProgrammingError
        from psycopg.adapt import PyFormat

        text, order = numbered(sql)
        try:
            values = [parameters[name] for name in order]
        except KeyError as missing:
            raise ProgrammingError(f"query parameter missing: {missing}") from None
        dumped = self._adapter.dump_sequence(values, [PyFormat.AUTO] * len(values))
        return text, dumped, self._adapter.types, self._adapter.formats

    def _send(self, statements: Iterable[Encoded], prepared_from: int) -> None:
        exchange = self._exchange
        if exchange is None:
            exchange = self._exchange = _Exchange(self._driver.pgconn, self._prepared)
            soon, self._soon = self._soon, []
            exchange.begin(soon)  # a savepoint is set before anything may fail
        for statement in statements:
            exchange.send(statement, prepared_from)

    def _finish(self, results: list[Any]) -> Exception | None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return None
        error: Exception | None = self._driver.wait(exchange.finish(results))
        lost = getattr(error, "sqlstate", None) == _UNKNOWN_STATEMENT
        if lost and self._prepared is not None:
            self._prepared.names.clear()
        return error


class _Exchange:
    """What goes to the server between two Syncs, and what comes back.

    Args:
        connection: libpq's, not in pipeline mode.
        prepared: What is prepared on it; None: nothing may be.
    """

    def __init__(self, connection: Any, prepared: _Prepared | None) -> None:
        self._connection = connection
        self._prepared = prepared
        self._new: _Names = {}
        self._expected: list[_Key | bool] = []
        """Of each result: what it prepares; or whether it is asked for."""

    def begin(self, soon: Sequence[bytes]) -> None:
        """Begin, with statements whose results nobody asks for."""
        connection = self._connection
        connection.enter_pipeline_mode()
        for text in soon:
            connection.send_query_params(text, None)
            self._expected.append(False)

    def send(self, statement: Encoded, prepared_from: int) -> None:
        """Queue one statement, and let the server have it before long."""
        connection = self._connection
        text, values, types, formats = statement
        name = self._name((text, types), prepared_from) if prepared_from else None
        if name is None:
            connection.send_query_params(text, values, types, formats)
        else:
            connection.send_query_prepared(name, values, formats)
        self._expected.append(True)
        if not len(self._expected) % FLUSH_STATEMENTS:
            connection.flush()

    def _name(self, key: _Key, prepared_from: int) -> bytes | None:
        """Return what a statement is prepared as, from now on or before."""
        prepared = self._prepared
        if prepared is None:
            return None
        name = prepared.names.get(key) or self._new.get(key)
        if name is None and prepared.is_due(key, prepared_from, len(self._new)):
            name = self._new[key] = b"lockstep_%d" % (
                len(prepared.names) + len(self._new)
            )
            self._connection.send_prepare(name, key[0], key[1])
            self._expected.append(key)
        return name

    def finish(self, results: list[Any]) -> Generator[Any, Any, Exception | None]:
        """Wait for everything; a generator that yields what it waits for.

        Args:
            results: Gets those that are asked for, up to the first error and behind.

        Returns:
            The first error.
        """
        from psycopg.waiting import Wait

        connection = self._connection
        try:
            connection.pipeline_sync()
            while connection.flush():
                yield Wait.RW
                connection.consume_input()
            return (yield from self._receive(results))
        finally:
            connection.exit_pipeline_mode()

    def _receive(self, results: list[Any]) -> Generator[Any, Any, Exception | None]:
        from psycopg import errors, pq
        from psycopg.waiting import Wait

        connection = self._connection
        status = pq.ExecStatus
        failed, end = status.FATAL_ERROR, status.PIPELINE_SYNC
        copying = (status.COPY_IN, status.COPY_OUT, status.COPY_BOTH)
        error: Exception | None = None
        expected = iter(self._expected)
        while True:
            while connection.is_busy():
                yield Wait.R
                connection.consume_input()
            result = connection.get_result()
            if result is None:  # the end of one statement's results
                continue
            if result.status == end:
                return error
            if result.status in copying:
                # Neither side can leave it in a pipeline; it gives results for ever.
                connection.finish()
                raise errors.OperationalError("COPY cannot be sent in a pipeline")
            if result.status == failed and error is None:
                error = errors.error_from_result(result)
            what = next(expected)
            if what is True:
                results.append(result)
            elif what is not False and error is None and self._prepared is not None:
                self._prepared.names[what] = self._new[what]
