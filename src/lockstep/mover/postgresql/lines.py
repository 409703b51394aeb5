"""A PostgreSQL database as a source of lines.

Owns the reading of tables through COPY, in the order of the key, or in the
server's own order where there is none. The snapshot is the connection's: whoever
calls has begun a REPEATABLE READ transaction.
"""

from __future__ import annotations

import re
import selectors
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.blocks.long_values import LONG_BYTES, form_of
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.postgresql.long_rows import LongColumn, blocks_of, in_pieces

if TYPE_CHECKING:
    import psycopg

BLOCK_BYTES = 256 * 1024
GIVE_UP_S = 4.0
"""For an answer to a cancelled read, before its connection is closed."""

_LONG_TYPE = re.compile(
    r"(?:text|bytea|varchar|character varying)\b(?!.*\[)", re.IGNORECASE
)
"""None of them in an array, which has no length in bytes."""


class PostgresqlLines:
    """The rows of a PostgreSQL database."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def read(
        self,
        table: str,
        columns: list[str],
        *,
        order: str = "",
        where: str = "",
        limit: int | None = None,
        long: Sequence[LongColumn] = (),
    ) -> Generator[LineBlock]:
        """Return a table's lines, read while they are asked for.

        Args:
            table: The table, quoted.
            columns: Its columns, quoted, or expressions over them.
            order: What stands behind ORDER BY; empty for the server's order.
            where: What stands behind WHERE.
            limit: How many lines at most; None for all.
            long: Columns whose long cells come in pieces.
        """
        rest = f"FROM {table}"
        if where:
            rest += f" WHERE {where}"
        if order:
            rest += f" ORDER BY {order}"
        if limit is not None:
            rest += f" LIMIT {limit}"
        if long:
            query = in_pieces(columns, long, rest)
            return self._long_blocks(f"COPY ({query}) TO STDOUT", long)
        return self._blocks(f"COPY (SELECT {', '.join(columns)} {rest}) TO STDOUT")

    def _long_blocks(
        self, statement: str, long: Sequence[LongColumn]
    ) -> Generator[LineBlock]:
        with closing(self.messages(statement)) as messages:
            yield from blocks_of(messages, long)

    def messages(self, statement: str) -> Generator[bytes]:
        """Yield what a COPY sends, a message for each row."""
        with closing(self._parts(statement, 0)) as found:
            for parts in found:
                yield from parts

    def _blocks(self, statement: str) -> Generator[LineBlock]:
        """Collect the rows that arrive one by one into blocks of whole lines."""
        with closing(self._parts(statement, BLOCK_BYTES)) as found:
            for parts in found:
                # A row arrives alone, with its newline.
                yield LineBlock(None, b"".join(parts), len(parts), len(parts))

    def _parts(self, statement: str, at_least: int) -> Generator[list[bytes]]:
        """Yield the messages of a COPY, so many together that they have some bytes.

        libpq is asked directly: the driver's own loop costs more for each row
        than everything else that is done with it.
        """
        from psycopg import pq

        pgconn = self._connection.pgconn
        # What cancels a read that stops early would end the snapshot with it.
        is_snapshot = pgconn.transaction_status == pq.TransactionStatus.INTRANS
        if is_snapshot:
            _check(pgconn.exec_(b"SAVEPOINT lockstep_read"), "COMMAND_OK")
        _check(pgconn.exec_(statement.encode()), "COPY_OUT")
        is_drained = False
        # Waiting inside libpq would hold the interpreter's lock.
        waiting = selectors.DefaultSelector()
        waiting.register(pgconn.socket, selectors.EVENT_READ)
        try:
            parts: list[bytes] = []
            size, is_dry = 0, False
            while True:
                count, data = pgconn.get_copy_data(1)
                if count == 0:
                    # What has come already is taken without letting others run.
                    if is_dry:
                        waiting.select()
                    pgconn.consume_input()
                    is_dry = True
                    continue
                is_dry = False
                if count < 0:
                    break
                part = bytes(data)
                parts.append(part)
                size += count
                if size >= at_least:
                    yield parts
                    parts, size = [], 0
            is_drained = True
            _finish(pgconn)
            if is_snapshot:
                _check(pgconn.exec_(b"RELEASE lockstep_read"), "COMMAND_OK")
            if parts:
                yield parts
        finally:
            if not is_drained:
                # The reader stopped early; what is left must not answer the next.
                if not self._drained(waiting):
                    self._connection.close()
                elif is_snapshot:
                    pgconn.exec_(b"ROLLBACK TO lockstep_read; RELEASE lockstep_read")
            waiting.close()

    def _drained(self, waiting: selectors.BaseSelector) -> bool:
        """Cancel a COPY and pass over its rest; return whether the server let it end.

        One that does not answer must not keep an interrupt waiting inside libpq.
        """
        import psycopg

        pgconn = self._connection.pgconn
        try:
            self._connection.cancel_safe(timeout=GIVE_UP_S)
            is_copying = True
            while is_copying or pgconn.is_busy():
                count = pgconn.get_copy_data(1)[0] if is_copying else 0
                is_copying = is_copying and count >= 0
                if count == 0:
                    if not waiting.select(GIVE_UP_S):
                        return False
                    pgconn.consume_input()
            while pgconn.get_result() is not None:
                pass
        except psycopg.Error:
            return False
        return True


def _check(result: Any, wanted: str) -> None:
    from psycopg import OperationalError, errors, pq

    if result.status == pq.ExecStatus[wanted]:
        return
    if not result.error_field(pq.DiagnosticField.SQLSTATE):
        # No answer of the server: what libpq says of a connection that is lost.
        raise OperationalError(result.get_error_message())
    raise errors.error_from_result(result, encoding="utf-8")


def _finish(pgconn: Any) -> None:
    """Take the results behind the last row, one of which may be an error."""
    while (result := pgconn.get_result()) is not None:
        _check(result, "COMMAND_OK")


def long_columns(plan: TablePlan, types: Sequence[str]) -> frozenset[str]:
    """Return the source's names of columns whose long cells can have stand-ins.

    Args:
        plan: Whose columns.
        types: PostgreSQL's type of each.
    """
    return frozenset(
        column.source
        for column, kind in zip(plan.columns, types, strict=True)
        if form_of(column.codec)
        and _LONG_TYPE.match(kind)
        and not column.read_as
        and column.source not in plan.order_key
    )


def with_stand_in(name: str, codec: str) -> str:
    """Return a column's cells, its long ones by their stand-ins."""
    raw = name if form_of(codec) == "bytes" else f"convert_to({name}, 'UTF8')"
    length = f"octet_length({name})"
    digest = f"encode(sha256({raw}), 'hex')"
    return (
        f"CASE WHEN {length} > {LONG_BYTES} THEN {length} || ' bytes, sha256 ' || "
        f"{digest} ELSE {name}::text END"
    )


def order_of(columns: list[ColumnPlan], side: str) -> str:
    """Return an ORDER BY that sorts as SQLite does: texts by their bytes."""
    words: list[str] = []
    for column in columns:
        name = quote(column.target if side == "target" else column.source)
        if column.codec in ("text", "mixed_text"):
            name = f'{name}::text COLLATE "C"'
        words.append(name)
    return ", ".join(words)
