"""``Mover``: one source, one target, and everything between them.

Owns the order of a move. What was asked for is ``request``'s, whether an earlier run
is continued ``beginning``'s.

    plan ──► what the target refuses on empty tables becomes a loss, named now
    move ──► create | continue ──► fill ──► build ──► verify ──► status

Invariant: nothing is written to the target before the plan is complete, and
nothing is written to the source at all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import TargetInUse
from lockstep.mover.beginning import FINISHED, Beginning
from lockstep.mover.blocks.long_values import LongCells
from lockstep.mover.connecting import (
    open_compared_target,
    open_move_source,
    open_move_target,
)
from lockstep.mover.failures import check_place, told, write_whole
from lockstep.mover.inventory import name_added, name_extra
from lockstep.mover.journal import TableProgress
from lockstep.mover.model.plan import Loss, Plan, TablePlan
from lockstep.mover.model.results import (
    MoveResult,
    Progress,
    ProgressCallback,
    TableMoved,
    VerifyReport,
    silent,
)
from lockstep.mover.plan.rekey import Rekey
from lockstep.mover.plan.times import Meant
from lockstep.mover.request import Request
from lockstep.mover.verify.alike import verify_alike
from lockstep.mover.verify.strangers import verify_foreign
from lockstep.mover.verify.tables import verify_tables
from lockstep.mover.verify.views import compare_views

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from lockstep.mover.sides import MoveSource, MoveTarget


GO_ON = "make room, then give the same command again: it goes on where it stopped"

QUARANTINE_FILE = "lockstep-quarantine.jsonl"


def _agreed(_: Plan) -> None:
    """Accept every plan: its losses are in the result."""


class _Phases:
    """How long each phase of a move took."""

    def __init__(self, started: float) -> None:
        self.seconds: dict[str, float] = {}
        self._since = started

    def end(self, name: str) -> None:
        """Say that a phase has ended, and the next one begun."""
        now = time.perf_counter()
        self.seconds[name] = now - self._since
        self._since = now


class Mover:
    """Moves one database into another, empty one.

    Its memory does not grow with tables, nor with values that travel in pieces
    (``long_values``); towards SQLite it needs twice the long values of one row.

    Args:
        source: A SQLite file, or the URL of a libSQL server or of PostgreSQL; it is
            only read.
        target: Another engine; empty, or filled by an unfinished move.
        plan: What goes where: a plan, or the text of a mapping file; None makes
            one from the inspection.
        clean: Where all values of a column allow it, integers that are moments become
            ``timestamptz``, UUIDs ``uuid``, and documents ``json``.
        utc: Texts of moments that name no zone are in UTC: they become ``timestamptz``.
        rekey: Integer keys become UUIDs, and references with them.
        metadata: Models of ours: the plan comes from them.
        migrations: The folder of their history, which makes the target's tables.
        quarantine: Where rejected rows are written, as JSON lines.
        on_progress: Told about every block.

    Example::

        result = Mover("old.db", "postgresql://localhost/new").move()
        assert result.is_exact, (result.left_behind, result.verification.differences)
    """

    def __init__(
        self,
        source: str | Path,
        target: str | Path,
        *,
        plan: Plan | str | None = None,
        clean: bool = False,
        utc: bool = False,
        rekey: Rekey | None = None,
        metadata: MetaData | None = None,
        migrations: Path | str | None = None,
        quarantine: Path | str = QUARANTINE_FILE,
        on_progress: ProgressCallback = silent,
    ) -> None:
        self._request = Request(
            DatabaseUrl.parse(source),
            DatabaseUrl.parse(target),
            plan,
            Meant(clean, utc),
            rekey,
            metadata,
            None if migrations is None else Path(migrations),
        )
        self._quarantine = Path(quarantine)
        self._on_progress = on_progress

    @property
    def source_url(self) -> DatabaseUrl:
        """Where rows come from."""
        return self._request.source_url

    @property
    def target_url(self) -> DatabaseUrl:
        """Where they go."""
        return self._request.target_url

    def plan(self) -> Plan:
        """Inspect the source and return the plan; the target gets nothing.

        Constraints are tried on empty tables of the target in a transaction that
        is taken back, so that what it refuses is a loss of the plan.
        """
        with told(GO_ON), ExitStack() as stack:
            source = self._open_source(stack)
            target = self._open_target(stack)
            return self._request.plan(source, target, self._on_progress)

    def _open_source(self, stack: ExitStack) -> MoveSource:
        source = open_move_source(
            self.source_url, self.target_url, meant=self._request.meant
        )
        stack.callback(source.close)
        return source

    def _open_target(self, stack: ExitStack) -> MoveTarget:
        target = open_move_target(self.target_url)
        stack.callback(target.close)
        return target

    def move(self, *, accept: Callable[[Plan], None] = _agreed) -> MoveResult:
        """Move everything, or go on where a killed run stopped, and verify.

        Args:
            accept: Is shown the plan before anything is written; may raise.

        Raises:
            TargetInUse: The target holds tables that this move did not make.
            Unmappable: A value does not fit and the plan says ``fail``.
            SourceChanged: The source was written to meanwhile.
            SourceUnfinished: The source is the target of a move that has not ended.
            StorageFailed: There is no room, or no folder for the quarantine file.
        """
        check_place(self._quarantine)
        started = time.perf_counter()
        phases = _Phases(started)
        with told(GO_ON), ExitStack() as stack:
            source = self._open_source(stack)
            target = self._open_target(stack)
            target.lock()
            beginning = Beginning(self._request, source, target, self._on_progress)
            plan, resumed = beginning.begin(accept)
            if resumed == FINISHED:
                return self._finished(plan, source, target, started)
            phases.end("inspect")
            filled = [
                (table, self._fill(source, target, table)) for table in plan.carried()
            ]
            source.check_unchanged()
            odd = target.journal.odd_counts()
            phases.end("copy")
            refused = target.build(plan, self._building)
            notices = list(source.notices)
            if resumed != "verified":
                target.journal.set_status("copied")
                refused += compare_views(plan, source, target, notices)
            phases.end("build")
            report = verify_tables(plan, source, target, self._on_progress)
            source.check_unchanged()
            phases.end("verify")
            self._keep_cells_anew(plan, report, source, target)
            quarantined = self._write_quarantine(target)
            # Who works on a target that was complete makes it differ, no less complete.
            is_complete = report.is_same or resumed == "verified"
            target.journal.set_status("verified" if is_complete else "differs")
            return MoveResult(
                plan,
                [_moved(table, how, odd) for table, how in filled],
                [Loss(s.purpose, s.name, problem) for s, problem in refused],
                quarantined,
                str(self._quarantine) if quarantined else None,
                report,
                resumed != "",
                notices,
                time.perf_counter() - started,
                phases.seconds,
            )

    def _keep_cells_anew(
        self, plan: Plan, report: VerifyReport, source: MoveSource, target: MoveTarget
    ) -> None:
        """Let the journal know which cells are computed anew, for ``verify``."""
        found = {table: cells for table, cells in report.cells_anew.items() if cells}
        for table, cells in found.items():
            for name, cell_sum in cells.items():
                plan.table(table).column(name).recomputed = cell_sum
        if found:
            target.journal.renew(plan, source.fingerprint())

    def _finished(
        self, plan: Plan, source: MoveSource, target: MoveTarget, started: float
    ) -> MoveResult:
        """Look at a file that has all tables of a way back, and no journal.

        A run may have been killed after it had taken the journal away.

        Raises:
            TargetInUse: It is not what this move would make.
        """
        report = verify_tables(plan, source, target, self._on_progress)
        if not report.is_same:
            raise TargetInUse(f"{self.target_url} holds other rows in the same tables")
        tables = [
            TableMoved(table.source, table.target, table.rows)
            for table in plan.carried()
        ]
        notices = [*source.notices, "the target was complete already"]
        elapsed_s = time.perf_counter() - started
        return MoveResult(plan, tables, [], 0, None, report, True, notices, elapsed_s)

    def _fill(
        self, source: MoveSource, target: MoveTarget, table: TablePlan
    ) -> TableProgress:
        def tell(done: int) -> None:
            self._on_progress(Progress("copy", table.source, done, table.rows or None))

        read = partial(
            source.own_order,
            table,
            long=LongCells(target.takes_in_pieces(table), in_pieces=True),
        )
        return target.fill(table, partial(read, for_copy=True), read, tell)

    def _building(self, name: str) -> None:
        self._on_progress(Progress("build", name, 0))

    def _write_quarantine(self, target: MoveTarget) -> int:
        if not target.journal.rejected_tables():
            return 0
        count = 0

        def lines() -> Iterator[str]:
            nonlocal count
            for row in target.journal.rejected():
                count += 1
                yield f"{json.dumps(row.to_json(), ensure_ascii=False)}\n"

        write_whole(self._quarantine, lines())
        return count

    def verify(self) -> VerifyReport:
        """Compare every cell of source and target, as they are now.

        A target that this mover filled is compared by its own plan; any other
        one by the names and types that it has, and so are two files or two
        PostgreSQL databases. A table or column that only one side has is a
        difference.
        """
        if self.source_url.engine_name == self.target_url.engine_name != "libsql":
            with told(GO_ON):
                return verify_alike(self.source_url, self.target_url, self._on_progress)
        with told(GO_ON), ExitStack() as stack:
            source = self._open_source(stack)
            target = open_compared_target(self.target_url)
            stack.callback(target.close)
            report = self._compared(source, target)
            report.notices[:0] = [*source.notices, *target.notices]
            source.check_unchanged()
            target.check_unchanged()
            return report

    def _compared(self, source: MoveSource, target: MoveTarget) -> VerifyReport:
        state = target.journal.state()
        if state is None:
            return verify_foreign(source, target, self._on_progress)
        report = VerifyReport()
        mine, theirs = source.inventory(), target.inventory()
        name_added(state.plan, mine, theirs, report)
        name_extra(state.plan, mine, theirs, report)
        return verify_tables(state.plan, source, target, self._on_progress, report)


def _moved(
    table: TablePlan, progress: TableProgress, odd: Mapping[str, int]
) -> TableMoved:
    """Return what came of a table; ``odd`` counts rows by the source's names."""
    return TableMoved(
        table.source,
        table.target,
        progress.rows,
        progress.read - progress.rows,
        odd.get(table.source, 0),
    )
