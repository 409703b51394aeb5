"""Compare all tables of a plan, source against target.

Owns which comparison a table gets, and the odd cells: those whose storage class
in SQLite only the journal knows are compared as a set, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from lockstep.mover.blocks.ahead import Ahead
from lockstep.mover.blocks.encoding import LineBlock, OddRow
from lockstep.mover.blocks.long_values import LongCells
from lockstep.mover.blocks.set_sum import SetSum
from lockstep.mover.model.plan import Plan, TablePlan
from lockstep.mover.model.results import (
    Difference,
    Progress,
    ProgressCallback,
    VerifyReport,
)
from lockstep.mover.sides import MoveSource, MoveTarget
from lockstep.mover.verify.account import Account
from lockstep.mover.verify.compare import TableComparison
from lockstep.mover.verify.server import ServerTables
from lockstep.mover.verify.spelled import SpelledTable
from lockstep.wording import counted


@dataclass(frozen=True)
class Strangers:
    """Two databases that no plan connects, one of them PostgreSQL.

    Attributes:
        tables: What the cells of each mean, by the source's name.
        server: Reads those of PostgreSQL.
        is_source: Whether PostgreSQL is the source.
    """

    tables: Mapping[str, SpelledTable]
    server: ServerTables
    is_source: bool = False


@dataclass(frozen=True)
class _Notes:
    """What the journal of the target says of a table's rows."""

    account: Account
    odd_rows: Iterable[OddRow]


def verify_tables(
    plan: Plan,
    source: MoveSource,
    target: MoveTarget,
    on_progress: ProgressCallback,
    report: VerifyReport | None = None,
    strangers: Strangers | None = None,
) -> VerifyReport:
    """Compare every cell of every table that travels.

    Args:
        plan: Names, codecs and orders.
        source: The original.
        target: What is compared with it.
        on_progress: Told about every block.
        report: Where to add; None makes one.
        strangers: How the tables of two databases are read that no plan connects.
    """
    report = VerifyReport() if report is None else report
    compared = {
        f"{table.source}.{column.source}"
        for table in plan.carried()
        for column in table.columns
        if column.recomputed
    }
    report.left_behind += [
        f"{loss.kind} {loss.name}: {loss.why}"
        for loss in plan.losses
        if loss.is_data and loss.name not in compared
    ]
    report.notices += [f"not compared: {told}" for told in report.left_behind]
    journal = target.journal
    rejected, noted = journal.rejected_tables(), journal.odd_counts()
    for table in plan.carried():
        coerced = [c.source for c in table.columns if c.on_dirt == "coerce"]
        if coerced:
            names = ", ".join(coerced)
            report.notices.append(
                f"{table.source}: {names} as the plan coerces them, not as stored"
            )
        marks = journal.marks(table.source) if table.source in rejected else ()
        odd_rows = journal.odd_rows(table.source) if table.source in noted else ()
        with closing(Account(marks)) as account:
            notes = _Notes(account, odd_rows)
            rows = _compare(
                table, source, target, report, on_progress, strangers, notes
            )
        if account.taken:
            told = counted(account.taken, "row")
            report.notices.append(f"{table.source}: {told} in quarantine")
        report.quarantined += account.taken
        report.tables += 1
        report.rows += rows
        report.cells += rows * len(table.columns)
    return report


def _compare(
    table: TablePlan,
    source: MoveSource,
    target: MoveTarget,
    report: VerifyReport,
    on_progress: ProgressCallback,
    strangers: Strangers | None,
    notes: _Notes,
) -> int:
    spelled = strangers.tables[table.source] if strangers else SpelledTable()
    comparison = TableComparison(
        table, report, spelled.source, spelled.target, notes.account
    )
    left_out = VerifyReport()
    first = strangers.server if strangers and strangers.is_source else source
    second = strangers.server if strangers and not strangers.is_source else target
    ours, theirs = SetSum(), SetSum()
    done = 0

    def mine(blocks: Iterable[LineBlock], *, counts: bool = True) -> Iterator[bytes]:
        nonlocal done
        for block in blocks:
            if counts:
                _add_odd(ours, block.odd)
                _account_for(block, notes.account, left_out)
                done += block.count
                on_progress(Progress("verify", table.source, done, table.rows or None))
            yield block.taken()

    def other(blocks: Iterable[LineBlock], *, counts: bool = True) -> Iterator[bytes]:
        for block in blocks:
            if counts:
                _add_odd(theirs, block.odd)
            yield block.taken()

    in_key_order = bool(table.order_key)
    long = LongCells(first.long_columns(table) & second.long_columns(table))
    unsorted = partial(_unsorted, first, table, long)
    stream = first.key_order(table, long) if in_key_order else unsorted()
    there = second.key_order if in_key_order else second.any_order
    stored = there(table, long)
    # A read of PostgreSQL that stops early must end before the next one begins.
    with closing(Ahead(stream)) as blocks, closing(stored):
        compare = comparison.ordered if in_key_order else comparison.in_step
        rows = compare(mine(blocks), other(stored))
    if rows is None:
        ours, theirs, done, left_out = SetSum(), SetSum(), 0, VerifyReport()
        notes.account.begin_anew()
        is_first, is_its_first = _first_only(), _first_only()
        rows = comparison.as_sets(
            lambda: mine(unsorted(), counts=is_first()),
            lambda: other(second.any_order(table, long), counts=is_its_first()),
        )
    rows -= comparison.noted
    report.cells_anew[table.source] = comparison.settle()
    report.take(left_out)
    if strangers is not None:
        return rows  # the type decides what a cell says, and no class is kept
    _add_odd(theirs, notes.odd_rows)
    if ours != theirs:
        report.add(
            Difference(
                "storage class",
                table.source,
                source=f"{ours.count} rows with cells of another class",
                target=f"{theirs.count} in the journal",
            )
        )
    return rows


def _add_odd(known: SetSum, rows: Iterable[OddRow]) -> None:
    for odd in rows:
        known.add(odd.row + repr(odd.cells).encode())


def _unsorted(
    side: MoveSource | ServerTables, table: TablePlan, long: LongCells
) -> Iterator[LineBlock]:
    if isinstance(side, ServerTables):
        return side.any_order(table, long)
    return side.own_order(table, None, long=long)


def _account_for(block: LineBlock, account: Account, left_out: VerifyReport) -> None:
    """Name the rows of a block that fit no codec now, and that nobody noted."""
    for row in block.rejected:
        if not account.take(row.mark):
            left_out.add(
                Difference("missing row", row.table, row.key, row.column, row.value)
            )


def _first_only() -> Callable[[], bool]:
    state = [True]

    def ask() -> bool:
        answer, state[0] = state[0], False
        return answer

    return ask
