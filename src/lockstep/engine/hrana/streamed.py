"""A statement's answer that is still arriving: rows in pieces, no I/O.

Owns the way from the bytes of a cursor's answer to rows, and what its end means: an
answer that ends before the server said that the statement did is a lost connection,
never a shorter result.

    head · step_begin (columns) · row · row · … · step_end

Invariant: no more than one piece from the network and the rows in it are held,
unless ``keep`` is asked for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.effects import Incoming, Leave, Read, Talk
from lockstep.engine.hrana.errors import (
    ConnectionFailed,
    DataError,
    Error,
    InterfaceError,
    ProgrammingError,
    TransactionLost,
    from_server,
)

KEPT_ROWS_MAX = 100_000
"""Rows that are taken into memory when another statement needs the stream."""

PIECE_BYTES_MAX = 256 * 1024 * 1024
"""More than one row of SQLite takes in any encoding of a server's own limits."""


class RowStream:
    """The rows of one step of a cursor's batch.

    Args:
        codec: How the answer is spelled.
        incoming: The answer.
        step: Which step's rows are wanted; an earlier one that fails is an error.
        on_head: Told the baton and the base URL.
        on_lost: Told the error with which the stream was lost.

    Attributes:
        columns: Of the statement, from ``begin`` on.
        given: How many rows were taken.
        is_ended: No more comes from the network.
    """

    def __init__(
        self,
        codec: Any,
        incoming: Incoming,
        step: int,
        on_head: Callable[[str | None, str | None], None],
        on_lost: Callable[[Error], Any],
    ) -> None:
        self._codec = codec
        self._incoming = incoming
        self._step = step
        self._on_head = on_head
        self._on_lost = on_lost
        self._received = b""
        self._pieces: list[bytes] = []
        self._rows: list[m.Row] = []
        self._failure: Error | None = None
        self._has_head = self._has_begun = self._is_complete = False
        self._is_waiting = False
        self.columns: tuple[m.Column, ...] = ()
        self.given = 0
        self.is_ended = False

    def begin(self) -> Talk[None]:
        """Read up to the columns.

        Raises:
            Error: The statement, or one before it, failed.
        """
        while not (self._has_begun or self.is_ended):
            yield from self._read()
        if self._failure is not None:
            raise self._failure
        if not self._has_begun:
            lost = TransactionLost("the server has ended the transaction meanwhile")
            self._on_lost(lost)
            raise lost

    def take(self, count: int) -> Talk[list[m.Row]]:
        """Return the next ``count`` rows, or fewer at the end.

        Raises:
            DataError: A value cannot be carried in this encoding.
            Error: The statement failed, or the answer was cut; rows before that
                were given.
        """
        while len(self._rows) < count and not self.is_ended:
            yield from self._read()
        found, self._rows = self._rows[:count], self._rows[count:]
        self.given += len(found)
        if not found and self._failure is not None:
            raise self._failure
        return found

    def keep(self) -> Talk[None]:
        """Read the rest into memory, so that the stream is free for others.

        More than ``KEPT_ROWS_MAX`` are not kept: who reads on is told so there.
        """
        while not self.is_ended:
            yield from self._read()
            if len(self._rows) > KEPT_ROWS_MAX and not self.is_ended:
                self._failure = ProgrammingError(
                    "the connection was used for another statement while more rows "
                    "were to come than are kept in memory: read to the end, or use "
                    "a second connection"
                )
                self.is_ended = True
                yield Leave(self._incoming)

    def leave(self) -> Talk[None]:
        """Want no more rows; the server is told by the closed connection."""
        self._rows = []
        if not self.is_ended:
            self.is_ended = True
            yield Leave(self._incoming)

    def drop(self) -> None:
        """Leave where nothing can be waited for."""
        self._rows, self.is_ended = [], True
        self._incoming.close()

    def _read(self) -> Talk[None]:
        try:
            piece: bytes = yield Read(self._incoming, goes_on=self._is_waiting)
            self._understand(piece)
        except Error as error:
            yield from self._fail(error)
        except BaseException:
            self.is_ended = True
            self._on_lost(TransactionLost("a call was interrupted"))
            self._incoming.close()
            raise

    def _fail(self, error: Error) -> Talk[None]:
        self._failure, self.is_ended = error, True
        if not isinstance(error, DataError):
            self._on_lost(error)
        yield Leave(self._incoming)

    def _understand(self, received: bytes) -> None:
        if not received:
            self.is_ended = True
            if not self._is_complete and (self._has_begun or not self._has_head):
                raise ConnectionFailed("the server's answer ended in the middle")
            return
        pieces, self._received = self._codec.split_pieces(self._received + received)
        if len(self._received) > PIECE_BYTES_MAX:
            raise InterfaceError("a row has no end")
        if pieces and not self._has_head:
            self._has_head = True
            self._on_head(*self._codec.decode_head(pieces.pop(0)))
        entries = self._codec.decode_entries(pieces)
        self._is_waiting = not any(entry is not None for entry in entries)
        for entry in entries:
            self._take_in(entry)

    def _take_in(self, entry: m.Entry) -> None:
        is_ours = self._has_begun and not self._is_complete
        if isinstance(entry, tuple):
            if is_ours:
                if len(entry) != len(self.columns):
                    raise InterfaceError("a row has other columns than its statement")
                self._rows.append(entry)
        elif isinstance(entry, m.StepBegin):
            if entry.step == self._step:
                self._has_begun, self.columns = True, entry.columns
        elif isinstance(entry, m.StepEnd):
            self._is_complete = self._is_complete or is_ours
        elif isinstance(entry, m.StepError):
            self._has_begun = self._is_complete = True
            error = from_server(entry.failure.message, entry.failure.code)
            self._failure = self._failure or error
            if entry.step != self._step or error.disconnected:
                self._on_lost(error)
