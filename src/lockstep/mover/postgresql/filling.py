"""One table of PostgreSQL that is being filled.

Owns the chunks: COPY of some blocks together with how far the journal says that the
table is, and which lines are left out of them because the server refuses their values.

    BEGIN  COPY … FROM STDIN  progress  COMMIT      a kill loses the last chunk only
       └── refused: line 17, column made_at ──► the chunk again, without that line

Invariant: at every instant the journal says exactly what the table holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from lockstep.errors import Unmappable
from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.ahead import Reading
from lockstep.mover.blocks.encoding import Blocks, LineBlock, Rejected
from lockstep.mover.codecs.lines import ChosenCells
from lockstep.mover.journal import TableProgress
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.model.values import shown
from lockstep.mover.postgresql.journal import PostgresqlJournal

if TYPE_CHECKING:
    import psycopg

CHUNK_BYTES = 32 * 1024 * 1024
"""Written in one transaction; what a kill can cost."""

REJECTS_BY_SERVER_MAX: Final = 1_000
"""In one chunk, which is written again for each of them."""

_COPY_LINE: Final = re.compile(
    r"COPY .*, line (\d+)(?:, column (.+?): (.*))?", re.DOTALL
)


class Filling:
    """A table, from where its journal says that it is.

    Args:
        connection: In autocommit, with the settings of a move.
        journal: Keeps the progress, in the transactions of the rows.
        table: What is filled.
        on_dirt: ``fail``, or a value that the server refuses is left out.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        journal: PostgresqlJournal,
        table: TablePlan,
        on_dirt: str,
    ) -> None:
        self._connection = connection
        self._journal = journal
        self._table = table
        self._on_dirt = on_dirt
        self._sent = [at for at, c in enumerate(table.columns) if not c.computed]

    def run(self, blocks: Blocks, on_progress: Callable[[int], None]) -> TableProgress:
        """Copy what is not there yet.

        Raises:
            Unmappable: The server refuses a value and the plan says ``fail``.
        """
        progress = self._journal.progress(self._table.source)
        if progress.is_done:
            return progress
        with closing(Reading(blocks, progress.position)) as reading:
            while not progress.is_done:
                progress = self._chunk(reading, progress)
                on_progress(progress.read)
        return progress

    def _chunk(self, reading: Reading, progress: TableProgress) -> TableProgress:
        """Write rows until the chunk is full; leave out what the server refuses."""
        import psycopg

        source = self._table.source
        refused: dict[int, Rejected] = {}
        while True:
            try:
                with self._connection.transaction():
                    written, is_done = self._copy(iter(reading), refused)
                    if refused and written:
                        written[-1].rejected += list(refused.values())
                    return self._journal.advance(source, written, is_done=is_done)
            except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:
                number, rejected = self._refused(error)
                if self._on_dirt == "fail" or len(refused) >= REJECTS_BY_SERVER_MAX:
                    raise _unmappable(rejected) from error
                # Lines are counted without those that were left out before.
                for earlier in sorted(refused):
                    number += earlier <= number
                refused[number] = rejected
                reading.restart(progress.position)

    def _copy(
        self, stream: Iterator[LineBlock], refused: dict[int, Rejected]
    ) -> tuple[list[LineBlock], bool]:
        """Return the blocks that were written, and whether they were the last."""
        written: list[LineBlock] = []
        chosen = ChosenCells(self._sent)
        size = first = 0
        head = next(stream, None)
        if head is None:
            return written, True
        with self._connection.cursor().copy(self._statement().encode()) as copy:
            for block in chain([head], stream):
                if refused:
                    _leave_out(block, first, refused)
                if len(self._sent) < len(self._table.columns):
                    block.data = chosen.of(block.data)
                copy.write(block.data)
                size += block.size
                first += block.read
                block.data = b""
                written.append(block)
                if size >= CHUNK_BYTES and not block.is_open:
                    return written, False
        return written, True

    def _statement(self) -> str:
        names = ", ".join(quote(self._table.columns[at].target) for at in self._sent)
        listed = f" ({names})" if names else ""
        return f"COPY {quote(self._table.target)}{listed} FROM STDIN"

    def _refused(self, error: Any) -> tuple[int, Rejected]:
        """Return which line the server refuses, from 0, and what of it."""
        found = _COPY_LINE.search(error.diag.context or "")
        line, column, value = found.groups(default="") if found else ("1", "", "")
        return int(line) - 1, Rejected(
            *(self._table.source, "", column.strip('"')),
            *(shown(value), reason_of(error)),
        )


def _unmappable(rejected: Rejected) -> Unmappable:
    return Unmappable(
        f"PostgreSQL refuses a value of {rejected.table}.{rejected.column}: "
        f"{rejected.reason}",
        detail=asdict(rejected),
    )


def _leave_out(block: LineBlock, first: int, refused: dict[int, Rejected]) -> None:
    """Take the refused lines, numbered from the chunk's first, out of a block."""
    mine = {number - first for number in refused}
    if block.is_open:
        if 0 in mine:
            block.data = b""
        return
    lines = block.data.split(b"\n")[:-1]
    kept = [line for place, line in enumerate(lines) if place not in mine]
    block.data = b"".join(line + b"\n" for line in kept)
    block.count = len(kept)


def reason_of(error: Any) -> str:
    """Return what the server says of an error, without the statement."""
    diag = error.diag
    text = diag.message_primary or str(error)
    return f"{text}: {diag.message_detail}" if diag.message_detail else text
