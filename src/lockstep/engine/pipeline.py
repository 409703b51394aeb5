"""Many statements to PostgreSQL in one round trip, through libpq's pipeline mode.

Owns the conversation and nothing of transactions: statements go out together, their
results come back together, and the first error ends the rest (the server skips
what follows it, up to the end of the pipeline).

    Parse (texts that repeat) ──► Bind, Execute × n ──► Sync
    ◄────────────────────────── n results ───────────────┘

psycopg's own pipeline makes a cursor per statement; this needs a fraction of its time.
``run`` gives up the rows: whether a statement succeeded is all that comes back.
``together`` gives answers to statements that SQLAlchemy has compiled.

See https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

Statement = tuple[str, Mapping[str, Any] | None]
"""SQL with ``:name`` parameters, and their values."""

PREPARED_FROM = 3
"""A text that comes this often in one pipeline is parsed once for all."""
PREPARED_MAX = 100
"""Statements that stay prepared on one connection."""
_TEXTS_REMEMBERED_MAX = 1_000
_UNKNOWN_STATEMENT = "26000"

_PARAMETER = re.compile(r"%\((\w+)\)s|%%")
"""What SQLAlchemy writes for a parameter, and for a percent sign."""

_Encoded = tuple[bytes, Sequence[Any], tuple[int, ...], Sequence[Any]]
"""Text, values, their types and formats."""
_Text = tuple[bytes, tuple[str, ...]]
"""A text with numbered parameters, and their names in this order."""
_Names = dict[tuple[bytes, tuple[int, ...]], bytes]
"""Text and types of what is prepared on a connection, and its name there."""


_prepared: WeakKeyDictionary[Any, _Names] = WeakKeyDictionary()
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
        self._names = _prepared.setdefault(driver, {}) if prepares else None
        self._soon: list[_Encoded] = []

    def run(
        self, statements: Sequence[Statement], *, prepared: bool = False
    ) -> Exception | None:
        """Run all, or up to the first that fails; return its error.

        After an error the transaction is in the failed state, as after any other.

        Args:
            statements: In their order.
            prepared: Whether texts that repeat stay prepared. psycopg drops every
                prepared statement of a connection after a rollback, ours too, so
                whoever says True must be able to run the statements again.

        Raises:
            psycopg.OperationalError: The connection is lost.
        """
        encoded = [self._encode(*statement) for statement in statements]
        names = self._names if prepared else None
        return self._send_all(encoded, names, PREPARED_FROM, [])

    def run_soon(self, sql: str) -> None:
        """Run a savepoint's statement with the next ones that are sent here."""
        self._soon.append((sql.encode(), (), (), ()))

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
        results: list[Any] = []
        error = self._send_all(encoded, self._names, 1, results)
        if error is not None:
            raise error
        answers = results[-len(encoded) :]
        for (_, _, answer), result in zip(collected.statements, answers, strict=True):
            answer.fill(result, self._adapter)

    def _send_all(
        self,
        encoded: Sequence[_Encoded],
        names: _Names | None,
        prepared_from: int,
        results: list[Any],
    ) -> Exception | None:
        soon, self._soon = self._soon, []
        error: Exception | None = self._driver.wait(
            self._exchange(soon, encoded, names, prepared_from, results)
        )
        if names and getattr(error, "sqlstate", None) == _UNKNOWN_STATEMENT:
            names.clear()
        return error

    def _encode(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None,
        numbered: Callable[[str], _Text] = _numbered,
    ) -> _Encoded:
        if not parameters:
            return sql.encode(), (), (), ()
        from psycopg.adapt import PyFormat

        text, order = numbered(sql)
        values = [parameters[name] for name in order]
        dumped = self._adapter.dump_sequence(values, [PyFormat.AUTO] * len(values))
        return text, dumped, self._adapter.types, self._adapter.formats

    def _exchange(
        self,
        soon: Sequence[_Encoded],
        encoded: Sequence[_Encoded],
        names: _Names | None,
        prepared_from: int,
        results: list[Any],
    ) -> Generator[Any, Any, Exception | None]:
        """Send and receive; a generator that yields what it waits for."""
        from psycopg.waiting import Wait

        connection: Any = self._driver.pgconn
        connection.enter_pipeline_mode()
        try:
            for text, *_ in soon:  # a savepoint is set before anything may fail
                connection.send_query_params(text, None)
            new = _send(connection, encoded, names, prepared_from)
            connection.pipeline_sync()
            while connection.flush():
                yield Wait.RW
                connection.consume_input()
            return (yield from _receive(connection, len(soon), names, new, results))
        finally:
            connection.exit_pipeline_mode()


def _send(
    connection: Any,
    encoded: Sequence[_Encoded],
    names: _Names | None,
    prepared_from: int,
) -> _Names:
    """Queue everything; return what is prepared on the way, in its order."""
    new: _Names = {}
    if names is not None:
        repeated = Counter((text, types) for text, _, types, _ in encoded)
        for key, count in repeated.items():
            room = len(names) + len(new) < PREPARED_MAX
            if count >= prepared_from and key not in names and room:
                new[key] = b"lockstep_%d" % (len(names) + len(new))
                connection.send_prepare(new[key], key[0], key[1])
    known = {**names, **new} if names is not None else {}
    for text, values, types, formats in encoded:
        name = known.get((text, types))
        if name is None:
            connection.send_query_params(text, values, types, formats)
        else:
            connection.send_query_prepared(name, values, formats)
    return new


def _receive(
    connection: Any, soon: int, names: _Names | None, new: _Names, results: list[Any]
) -> Generator[Any, Any, Exception | None]:
    """Take the results; return the first error; note what is prepared now.

    Args:
        connection: libpq's.
        soon: How many results come first that nobody asks for.
        names: What is prepared on it.
        new: What is prepared in this pipeline, before anything runs that is asked for.
        results: Gets the statements' results, if there is an error or not.
    """
    from psycopg import errors, pq
    from psycopg.waiting import Wait

    status = pq.ExecStatus
    error: Exception | None = None
    preparing = iter(new.items())
    while True:
        while connection.is_busy():
            yield Wait.R
            connection.consume_input()
        result = connection.get_result()
        if result is None:  # the end of one statement's results
            continue
        if result.status == status.PIPELINE_SYNC:
            return error
        if result.status == status.FATAL_ERROR and error is None:
            error = errors.error_from_result(result)
        if soon:
            soon -= 1
            continue
        prepared = next(preparing, None)
        if prepared is None:
            results.append(result)
        elif names is not None and error is None:
            names[prepared[0]] = prepared[1]
