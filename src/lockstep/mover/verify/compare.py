"""Compare the lines of one table on both sides, and name every cell that differs.

Owns three ways. In key order both streams run side by side: blocks of the same
bytes need no second look, other lines are merged row by row by their keys. Without
a key both may still come in the same order. If not, each line becomes a digest,
counted up for the source and down for the target in a temporary file; what does not
end at zero differs.

Invariants: every cell takes part, none is sampled; memory is bounded; a line that
is written differently is equal only if both texts decode to the same value.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain

from lockstep.mover.blocks.digests import row_digest
from lockstep.mover.blocks.encoding import STRANGE
from lockstep.mover.blocks.refusals import Refusals
from lockstep.mover.blocks.set_sum import SetSum
from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.codecs.lines import unescape
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.model.results import DIFFERENCES_KEPT_MAX, Difference, VerifyReport
from lockstep.mover.model.values import Value, is_same, shown
from lockstep.mover.verify.account import Account
from lockstep.mover.verify.streams import LineReader, in_pieces, pass_equal

PIECE_LINES = 2_000
_COUNTED_LINES = 50_000
"""Lines whose digests go to the temporary file in one transaction."""

Pieces = Callable[[], Iterable[bytes]]


class TableComparison:
    """One table's two streams.

    Args:
        plan: Names and codecs.
        report: Where differences are added.
        codecs: What the source's cells mean; None for the plan's.
        others: What the target's mean; None where they mean the same.
        account: What was noted of the source's rows; None for nothing.

    Attributes:
        noted: How many rows the target lacks that were noted: no differences.
    """

    def __init__(
        self,
        plan: TablePlan,
        report: VerifyReport,
        codecs: Sequence[Codec] | None = None,
        others: Sequence[Codec] | None = None,
        account: Account | None = None,
    ) -> None:
        self._plan = plan
        self._report = report
        self._account = account or Account()
        self._has_notes = not self._account.is_empty
        self.noted = 0
        self._is_all_named = True
        self._anew = {
            place: (SetSum(), VerifyReport())
            for place, column in enumerate(plan.columns)
            if column.recomputed
        }
        self._codecs = list(codecs or [codec_of(c.codec) for c in plan.columns])
        self._others = list(others or self._codecs)
        if self._anew or self._has_notes:
            self._refusals = Refusals(plan)
        self._names = [column.source for column in plan.columns]
        self._key = [self._names.index(name) for name in plan.order_key]

    def ordered(self, source: Iterable[bytes], target: Iterable[bytes]) -> int:
        """Compare streams that are sorted by the key; return the source's rows."""
        ours, theirs = LineReader(source), LineReader(target)
        rows, is_alike = 0, True
        while True:
            if is_alike:
                rows += pass_equal(ours, theirs)
            mine = ours.take(PIECE_LINES)
            other = theirs.take(PIECE_LINES)
            if not mine and not other:
                return rows
            # Where numbers are written in two ways few pieces are the same bytes.
            is_alike = mine == other
            if is_alike:
                rows += len(mine)
                continue
            used, left = self._merge(mine, other, bool(mine), bool(other))
            rows += used
            ours.give_back(mine[used:])
            theirs.give_back(other[left:])

    def _merge(
        self, mine: list[str], other: list[str], has_mine: bool, has_other: bool
    ) -> tuple[int, int]:
        """Merge two pieces; return how many lines of each were consumed.

        What is behind the other's last line stays for the next piece: its
        partner may come with it.
        """
        i = j = 0
        while i < len(mine) and j < len(other):
            if mine[i] == other[j]:
                i, j = i + 1, j + 1
                continue
            # What does not fit a key is sorted somewhere else.
            if self._has_odd_key(mine[i]):
                self._missing(mine[i])
                i += 1
                continue
            if self._has_odd_key(other[j]):
                self._row("extra row", other[j])
                j += 1
                continue
            one, two = self._sort_key(mine[i]), self._sort_key(other[j])
            if one == two:
                self._compare_cells(mine[i], other[j])
                i, j = i + 1, j + 1
            elif one < two:  # type: ignore[operator]
                self._missing(mine[i])
                i += 1
            else:
                self._row("extra row", other[j])
                j += 1
        if not has_other:
            for line in mine[i:]:
                self._missing(line)
            i = len(mine)
        if not has_mine:
            for line in other[j:]:
                self._row("extra row", line)
            j = len(other)
        return i, j

    def _has_odd_key(self, line: str) -> bool:
        if STRANGE not in line:
            return False
        fields = line.split("\t")
        return any(fields[place].startswith(STRANGE) for place in self._key)

    def _key_of(self, line: str) -> tuple[Value, ...]:
        fields = line.split("\t")
        return tuple(self._decoded(place, fields[place]) for place in self._key)

    def _sort_key(self, line: str) -> tuple[tuple[bool, Value], ...]:
        """Return what both streams are sorted by: of a rekeyed table its UUIDs.

        NULL, which no key of a source has, comes last on PostgreSQL.
        """
        fields = line.split("\t")
        values = (
            fields[place]
            if self._plan.columns[place].codec.startswith("uuid7")
            else self._decoded(place, fields[place])
            for place in self._key
        )
        return tuple((value is None, value) for value in values)

    def _decoded(self, place: int, field: str) -> Value:
        text = unescape(field)
        if text is None or text.startswith(STRANGE):
            return text
        return self._codecs[place].decode(text)

    def _compare_cells(self, mine: str, other: str) -> None:
        one, two = mine.split("\t"), other.split("\t")
        reports = dict[int, VerifyReport]()
        if self._anew:
            reports = self._reports_of_computed(one, two)
        for place, name in enumerate(self._names):
            if self._is_same_cell(place, one[place], two[place]):
                continue
            source = _safely_decoded(self._codecs[place], one[place])
            target = _safely_decoded(self._others[place], two[place])
            if is_same(source, target):
                # What tells them apart is beyond what SQLite would hold.
                source, target = unescape(one[place]), unescape(two[place])
            reports.get(place, self._report).add(
                Difference(
                    "cell",
                    self._plan.source,
                    self._shown_key(mine),
                    name,
                    _as_shown(source),
                    _as_shown(target),
                )
            )

    def _reports_of_computed(
        self, one: list[str], two: list[str]
    ) -> dict[int, VerifyReport]:
        """Add cells that are computed anew; return where a difference of each goes.

        What is computed of other cells than the source's is a difference by itself.
        """
        mark = self._refusals.mark_of(one)
        if mark != self._refusals.mark_of(two):
            return {}
        for place, (cells, _) in self._anew.items():
            if not self._is_same_cell(place, one[place], two[place]):
                became = f"{one[place]}\t{two[place]}"
                cells.add(mark + became.encode("utf-8", "surrogatepass"))
        return {place: report for place, (_, report) in self._anew.items()}

    def settle(self) -> dict[str, str]:
        """Account for the cells that were computed anew, as far as the plan named them.

        Returns:
            Which they are (``SetSum``), by column.
        """
        found: dict[str, str] = {}
        for place, (cells, report) in self._anew.items():
            column = self._plan.columns[place]
            count, _, is_known = column.recomputed.partition(" ")
            is_named = cells.count <= int(count)
            if is_known:
                # Whoever changed the source since may have changed such a cell, too.
                is_named = str(cells) == column.recomputed
            if is_named and self._is_all_named:
                self._report.recomputed += cells.count
                found[column.source] = str(cells)
            else:
                self._report.take(report)
        return found

    def _is_same_cell(self, place: int, one: str, two: str) -> bool:
        if one == two:
            return True
        if one.startswith(STRANGE) or two.startswith(STRANGE):
            return False
        mine, other = unescape(one), unescape(two)
        if mine is None or other is None:
            return False
        codec, theirs = self._codecs[place], self._others[place]
        try:
            return codec.respelled(mine) == theirs.respelled(other)
        except (ValueError, TypeError, ArithmeticError):
            return False

    def _missing(self, line: str) -> None:
        if not self._is_noted(line):
            self._row("missing row", line)

    def _is_noted(self, line: str) -> bool:
        """Whether a row that the target lacks was noted when it was copied."""
        if not self._has_notes:
            return False
        is_noted = self._account.take(self._refusals.mark_of(line.split("\t")))
        self.noted += is_noted
        return is_noted

    def _row(self, kind: str, line: str) -> None:
        is_missing = kind == "missing row"
        text = shown(line.replace("\t", " | "))
        self._report.add(
            Difference(
                kind,
                self._plan.source,
                self._shown_key(line),
                source=text if is_missing else "",
                target="" if is_missing else text,
            )
        )

    def _shown_key(self, line: str) -> str:
        if not self._key:
            return shown(line.replace("\t", " | "))
        return ", ".join(map(_as_shown, self._key_of(line)))

    def in_step(self, source: Iterable[bytes], target: Iterable[bytes]) -> int | None:
        """Return the rows of streams that are the same bytes throughout, else None.

        A fresh copy has its rows in the order in which they were read.
        """
        ours, theirs = LineReader(source), LineReader(target)
        rows = pass_equal(ours, theirs)
        return None if ours.piece() or theirs.piece() else rows

    def as_sets(self, source: Pieces, target: Pieces) -> int:
        """Compare streams in any order; each may be read twice.

        Returns:
            How many rows the source has.
        """
        with closing(sqlite3.connect("", isolation_level=None)) as scratch:
            scratch.execute("PRAGMA cache_size = -8192")
            scratch.execute(
                "CREATE TABLE d (h BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID"
            )
            rows = self._count(scratch, source(), +1)
            self._count(scratch, target(), -1)
            left = scratch.execute("SELECT count(*) FROM d WHERE n <> 0").fetchone()[0]
            if left:
                self._name_rows(scratch, source(), target())
        return rows

    def _count(
        self, scratch: sqlite3.Connection, texts: Iterable[bytes], step: int
    ) -> int:
        rows = 0
        for piece in in_pieces(LineReader(texts), _COUNTED_LINES):
            rows += len(piece)
            scratch.execute("BEGIN")
            scratch.executemany(
                "INSERT INTO d VALUES (?, ?) "
                "ON CONFLICT (h) DO UPDATE SET n = n + excluded.n",
                ((self._digest(line, step), step) for line in piece),
            )
            scratch.execute("COMMIT")
        return rows

    def _digest(self, line: str, step: int) -> bytes:
        return row_digest(line, self._codecs if step > 0 else self._others)

    def _name_rows(
        self,
        scratch: sqlite3.Connection,
        source: Iterable[bytes],
        target: Iterable[bytes],
    ) -> None:
        """Say which rows are on one side only; pair those that nearly agree."""
        mine, other = scratch.execute(
            "SELECT sum(max(n, 0)), sum(max(-n, 0)) FROM d"
        ).fetchone()
        missing = list(self._left_over(scratch, source, +1))
        extra = list(self._left_over(scratch, target, -1))
        # Of the others at best each row of one side is a changed one of the other.
        unnamed = max(mine - self.noted - len(missing), other - len(extra))
        self._report.add_unnamed_rows(self._plan.source, unnamed)
        self._is_all_named = not unnamed
        if self._anew:
            missing, extra = self._paired(missing, extra)
        for place, one in enumerate(missing):
            is_shown = place < DIFFERENCES_KEPT_MAX
            partner = self._nearest(one, extra) if is_shown else None
            if partner is None:
                self._row("missing row", one)
            else:
                extra.remove(partner)
                self._compare_cells(one, partner)
        for line in extra:
            self._row("extra row", line)

    def _paired(
        self, missing: list[str], extra: list[str]
    ) -> tuple[list[str], list[str]]:
        """Compare rows that differ in what is computed only; return the others."""
        waiting = defaultdict[bytes, list[str]](list)
        for line in extra:
            waiting[self._refusals.mark_of(line.split("\t"))].append(line)
        alone: list[str] = []
        for line in missing:
            partners = waiting[self._refusals.mark_of(line.split("\t"))]
            if partners:
                self._compare_cells(line, partners.pop())
            else:
                alone.append(line)
        return alone, list(chain.from_iterable(waiting.values()))

    def _nearest(self, line: str, others: list[str]) -> str | None:
        """Return the line that shares most cells with ``line``, if it shares half."""
        fields = line.split("\t")
        best, score = None, 0
        for other in others:
            pairs = zip(fields, other.split("\t"), strict=True)
            same = sum(self._is_same_cell(at, a, b) for at, (a, b) in enumerate(pairs))
            if same > score:
                best, score = other, same
        return best if score * 2 >= len(fields) else None

    def _left_over(
        self, scratch: sqlite3.Connection, texts: Iterable[bytes], sign: int
    ) -> Iterator[str]:
        """Yield the rows that only one side has, as many as are shown.

        All of a source's are read where some were noted, so that those are known.
        """
        # Rows whose computed cells a plan has named are no differences to be shown.
        named, named_max = 0, PIECE_LINES if self._anew else DIFFERENCES_KEPT_MAX
        reads_all = sign > 0 and self._has_notes
        for piece in in_pieces(LineReader(texts), PIECE_LINES):
            for line in piece:
                taken = scratch.execute(
                    "UPDATE d SET n = n - ?1 WHERE h = ?2 AND n * ?1 > 0",
                    (sign, self._digest(line, sign)),
                )
                if not taken.rowcount or (reads_all and self._is_noted(line)):
                    continue
                named += 1
                if named <= named_max:
                    yield line
                elif not reads_all:
                    return


def _safely_decoded(codec: Codec, field: str) -> Value:
    text = unescape(field)
    if text is None or text.startswith(STRANGE):
        return text
    try:
        return codec.decode(text)
    except (ValueError, IndexError, ArithmeticError):
        return text


def _as_shown(value: Value) -> str:
    if isinstance(value, str) and value.startswith(STRANGE):
        return value.removeprefix(STRANGE)
    return shown(value)
