"""One table of PostgreSQL that is being filled.

Owns the chunks: COPY of some blocks together with how far the journal says that the
table is, and which rows are left out of them because the server refuses them.

    BEGIN  COPY … FROM STDIN  progress  COMMIT      a kill loses the last chunk only
       └── refused ──► the chunk again, in runs of lines with a savepoint for each:
                       1,000 lines  ✗   ──►  17 lines ✓  1 line ✗ noted  1 ✓  2 ✓  4 ✓ …

Invariant: at every instant the journal says exactly what the table holds, and every
row that was read is in the table or noted, exactly once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from lockstep.errors import Unmappable
from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.ahead import Reading
from lockstep.mover.blocks.encoding import Blocks, LineBlock
from lockstep.mover.blocks.refusals import LineInPieces, Refusals
from lockstep.mover.codecs.lines import ChosenCells
from lockstep.mover.journal import TableProgress
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.postgresql.journal import PostgresqlJournal

if TYPE_CHECKING:
    import psycopg

CHUNK_BYTES = 32 * 1024 * 1024
"""Written in one transaction; what a kill can cost."""

_OF_A_ROW: Final = frozenset({"22", "23", "54", "P0"})
"""Classes of what a server says of a row: its values, constraints on it, limits that it
is beyond, and what a function in a check or a computed column raises.

See https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

_TOLD_WITH_THE_ROW: Final = ("23502", "23514")
"""NOT NULL and checks."""

_COLUMNS_OF: Final = (
    "SELECT attname::text FROM (SELECT conname, conrelid, conkey FROM pg_constraint "
    "UNION SELECT relname, indrelid, indkey::int2[] FROM pg_index "
    "JOIN pg_class ON pg_class.oid = indexrelid) about (name, owner, places) "
    "JOIN pg_attribute ON attrelid = owner AND attnum = ANY (places) "
    "WHERE name = %s AND owner = to_regclass(%s) GROUP BY attname"
)

_COPY_LINE: Final = re.compile(r"COPY .*, line (\d+)(?:, column (.+?): .*)?", re.DOTALL)


class Filling:
    """A table, from where its journal says that it is.

    Args:
        connection: In autocommit, with the settings of a move.
        journal: Keeps the progress, in the transactions of the rows.
        table: What is filled.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        journal: PostgresqlJournal,
        table: TablePlan,
    ) -> None:
        self._connection = connection
        self._journal = journal
        self._table = table
        self._refusals = Refusals(table)
        self._constraints: dict[str, list[str]] = {}
        self._sent = [at for at, c in enumerate(table.columns) if not c.computed]

    def run(
        self, blocks: Blocks, exact: Blocks, on_progress: Callable[[int], None]
    ) -> TableProgress:
        """Copy what is not there yet.

        Args:
            blocks: What is copied.
            exact: The same as a comparison has it, for what is refused.
            on_progress: Told how many rows were read.

        Raises:
            Unmappable: The server refuses a row and the plan says ``fail``.
        """
        progress = self._journal.progress(self._table.source)
        if progress.is_done:
            return progress
        with closing(Reading(blocks, progress.position)) as reading:
            while not progress.is_done:
                progress = self._chunk(reading, exact, progress)
                on_progress(progress.read)
        return progress

    def _chunk(
        self, reading: Reading, exact: Blocks, progress: TableProgress
    ) -> TableProgress:
        """Write rows until the chunk is full; leave out what the server refuses."""
        import psycopg

        try:
            return self._written(self._copy, reading)
        except psycopg.Error as error:
            if not _is_of_a_row(error):
                raise
        reading.restart(exact, progress.position)
        return self._written(self._copy_in_runs, reading)

    def _written(
        self,
        write: Callable[[Iterator[LineBlock]], tuple[list[LineBlock], bool]],
        reading: Reading,
    ) -> TableProgress:
        with self._connection.transaction():
            written, is_done = write(iter(reading))
            return self._journal.advance(self._table.source, written, is_done=is_done)

    def _copy(self, stream: Iterator[LineBlock]) -> tuple[list[LineBlock], bool]:
        """Return the blocks that were written, and whether they were the last."""
        written: list[LineBlock] = []
        size = 0
        head = next(stream, None)
        if head is None:
            return written, True
        sent = self._sent_of()
        with self._connection.cursor().copy(self._statement().encode()) as copy:
            for block in chain([head], stream):
                size += block.size
                copy.write(sent(block.taken()))
                written.append(block)
                if size >= CHUNK_BYTES and not block.is_open:
                    return written, False
        return written, True

    def _copy_in_runs(
        self, stream: Iterator[LineBlock]
    ) -> tuple[list[LineBlock], bool]:
        """Do the same, and leave out the rows that the server refuses."""
        # What waits for the end of the transaction would refuse all of the chunk.
        self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        written: list[LineBlock] = []
        size = 0
        for block in stream:
            if block.is_open:
                block, length = self._copy_long(chain([block], stream))
            else:
                length = len(block.data)
                self._copy_lines(block)
            size += length + block.size
            written.append(block)
            if size >= CHUNK_BYTES:
                return written, False
        return written, True

    def _copy_lines(self, block: LineBlock) -> None:
        """Write a block's lines, as many at once as were taken before.

        The line that the server names is where to look: up to there it took them
        all. Only where it names the last one may that be any of them, because rows
        are put on a page some together.
        """
        lines = block.taken().split(b"\n")[:-1]
        first, end, clean_from, is_suspect = 0, len(lines), 0, False
        while first < len(lines):
            some, count = lines[first:end], end - first
            error = self._refused([b"".join(line + b"\n" for line in some)])
            if error is not None and count > 1:
                at = _line_of(error)
                at = at if at < count - 1 else count // 2
                end, is_suspect = first + max(at, 1), at > 0
                continue
            run = 1 if is_suspect else 2 * count
            if error is not None:
                self._note(block, some[0].decode("utf-8").split("\t"), error)
                run, clean_from = max(1, first - clean_from), end
            first, end, is_suspect = end, min(len(lines), end + run), False

    def _copy_long(self, stream: Iterator[LineBlock]) -> tuple[LineBlock, int]:
        """Write one row that comes in pieces; return the last, and all their bytes."""
        row, length = LineInPieces(self._table), 0
        last: LineBlock | None = None

        def pieces() -> Iterator[bytes]:
            nonlocal last, length
            while last is None or last.is_open:
                last = next(stream)
                data = last.taken()
                length += len(data)
                row.add(data)
                yield data

        rest = pieces()
        error = self._refused(rest)
        for _ in rest:  # what the server did not wait for
            pass
        assert last is not None, "an open block is followed by one that closes it"
        if error is not None:
            self._note(last, row.fields(), error)
        return last, length

    def _refused(self, data: Iterable[bytes]) -> psycopg.Error | None:
        """Write lines behind a savepoint; return why the server takes none of them."""
        import psycopg

        sent = self._sent_of()
        try:
            with (
                self._connection.transaction(),
                self._connection.cursor().copy(self._statement().encode()) as copy,
            ):
                for some in data:
                    copy.write(sent(some))
        except psycopg.Error as error:
            if not _is_of_a_row(error):
                raise
            return error
        return None

    def _note(self, block: LineBlock, fields: list[str], error: psycopg.Error) -> None:
        """Note a row, or raise where the plan says ``fail``."""
        places = self._places_of(error)
        found = self._refusals.rejected(fields, reason_of(error), places)
        try:
            found.raise_if(self._refusals.policy(places), "is refused by PostgreSQL")
        except Unmappable as unmappable:
            raise unmappable from error
        block.rejected.append(found)
        block.count -= 1

    def _places_of(self, error: psycopg.Error) -> list[int]:
        """Return which cells the server refuses; none where it does not say."""
        diag = error.diag
        found = _COPY_LINE.search(diag.context or "")
        told = (found and found[2]) or diag.column_name
        names = [told] if told else self._constrained(diag.constraint_name or "")
        targets = [column.target for column in self._table.columns]
        return [targets.index(name) for name in names if name in targets]

    def _constrained(self, constraint: str) -> list[str]:
        """Return the columns that a constraint or a unique index is about."""
        if constraint and constraint not in self._constraints:
            rows = self._connection.execute(
                _COLUMNS_OF.encode(), (constraint, quote(self._table.target))
            ).fetchall()
            self._constraints[constraint] = [name for (name,) in rows]
        return self._constraints.get(constraint, [])

    def _sent_of(self) -> Callable[[bytes], bytes]:
        """Return what takes the cells that are sent out of lines, or pieces of one."""
        if len(self._sent) == len(self._table.columns):
            return _as_it_is
        return ChosenCells(self._sent).of

    def _statement(self) -> str:
        names = ", ".join(quote(self._table.columns[at].target) for at in self._sent)
        listed = f" ({names})" if names else ""
        return f"COPY {quote(self._table.target)}{listed} FROM STDIN"


def _as_it_is(data: bytes) -> bytes:
    return data


def _is_of_a_row(error: psycopg.Error) -> bool:
    return (error.sqlstate or "")[:2] in _OF_A_ROW


def _line_of(error: psycopg.Error) -> int:
    """Return how many lines come before the one that the server names; 0 for none."""
    found = _COPY_LINE.search(error.diag.context or "")
    return int(found[1]) - 1 if found else 0


def reason_of(error: Any) -> str:
    """Return what the server says of an error, without the statement."""
    diag = error.diag
    text = diag.message_primary or str(error)
    # Of a row it is the row itself, which stands beside the reason anyway.
    is_row = error.sqlstate in _TOLD_WITH_THE_ROW
    return (
        text if is_row or not diag.message_detail else f"{text}: {diag.message_detail}"
    )
