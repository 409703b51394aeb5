"""Many statements to PostgreSQL in one round trip, through libpq's pipeline mode.

Owns the conversation and nothing of transactions: statements go out together, their
results come back together, and the first error ends the rest (the server skips
what follows it, up to the end of the pipeline).

    Parse (texts that repeat) ──► Bind, Execute × n ──► Sync
    ◄────────────────────────── n results ───────────────┘

psycopg's own pipeline makes a cursor per statement; this needs a fraction of its time
and gives up the rows: whether a statement succeeded is all that comes back.

See https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
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

_Encoded = tuple[bytes, Sequence[Any], tuple[int, ...], Sequence[Any]]
"""Text, values, their types and formats."""
_Names = dict[tuple[bytes, tuple[int, ...]], bytes]
"""Text and types of what is prepared on a connection, and its name there."""


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
        error: Exception | None = self._driver.wait(self._exchange(encoded, names))
        if names and getattr(error, "sqlstate", None) == _UNKNOWN_STATEMENT:
            names.clear()
        return error

    def run_soon(self, sql: str) -> None:
        """Run a savepoint's statement, now.

        Raises:
            psycopg.Error: It failed.
        """
        error = self.run([(sql, None)])
        if error is not None:
            raise error

    def _encode(self, sql: str, parameters: Mapping[str, Any] | None) -> _Encoded:
        if not parameters:
            return sql.encode(), (), (), ()
        from psycopg.adapt import PyFormat

        text, order = _numbered(sql)
        values = [parameters[name] for name in order]
        dumped = self._adapter.dump_sequence(values, [PyFormat.AUTO] * len(values))
        return text, dumped, self._adapter.types, self._adapter.formats

    def _exchange(
        self, encoded: Sequence[_Encoded], names: _Names | None
    ) -> Generator[Any, Any, Exception | None]:
        """Send and receive; a generator that yields what it waits for."""
        from psycopg.waiting import Wait

        connection: Any = self._driver.pgconn
        connection.enter_pipeline_mode()
        try:
            new = _send(connection, encoded, names)
            connection.pipeline_sync()
            while connection.flush():
                yield Wait.RW
                connection.consume_input()
            return (yield from _receive(connection, names, new))
        finally:
            connection.exit_pipeline_mode()


def _send(connection: Any, encoded: Sequence[_Encoded], names: _Names | None) -> _Names:
    """Queue everything; return what is prepared on the way, in its order."""
    new: _Names = {}
    if names is not None:
        repeated = Counter((text, types) for text, _, types, _ in encoded)
        for key, count in repeated.items():
            room = len(names) + len(new) < PREPARED_MAX
            if count >= PREPARED_FROM and key not in names and room:
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
    connection: Any, names: _Names | None, new: _Names
) -> Generator[Any, Any, Exception | None]:
    """Take the results; return the first error; note what is prepared now."""
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
        prepared = next(preparing, None)
        if prepared is not None and names is not None and error is None:
            names[prepared[0]] = prepared[1]


_prepared: WeakKeyDictionary[Any, _Names] = WeakKeyDictionary()
_texts: dict[str, tuple[bytes, tuple[str, ...]]] = {}


def _numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
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
