"""``Mover``: one source, one target, and everything between them.

Owns the order of a move and the decision whether an earlier one is continued.

    plan ──► what the target refuses on empty tables becomes a loss, named now
    move ──► create | continue ──► fill ──► build ──► verify ──► status

Invariant: nothing is written to the target before the plan is complete, and
nothing is written to the source at all.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.clock import SYSTEM_CLOCK
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import InvalidPlan, SourceUnfinished, TargetInUse
from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.long_values import LongCells
from lockstep.mover.connecting import open_move_source, open_move_target
from lockstep.mover.failures import check_place, told, write_whole
from lockstep.mover.inventory import name_added, name_extra
from lockstep.mover.journal import State
from lockstep.mover.model.plan import Loss, Plan, Statement, TablePlan
from lockstep.mover.model.results import (
    MoveResult,
    Progress,
    ProgressCallback,
    TableMoved,
    VerifyReport,
    silent,
)
from lockstep.mover.plan.from_models import plan_from_models
from lockstep.mover.plan.rekey import Rekey, rekeyed
from lockstep.mover.plan.times import Meant
from lockstep.mover.plan.toml import apply_toml
from lockstep.mover.renewing import can_renew, renew
from lockstep.mover.verify.alike import verify_alike
from lockstep.mover.verify.strangers import verify_foreign
from lockstep.mover.verify.tables import verify_tables
from lockstep.mover.verify.views import compare_views

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from lockstep.mover.sides import MoveSource, MoveTarget


FINISHED = "finished"
"""The target was complete before this run did anything."""

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
        clean: Turn integers that are moments into ``timestamptz``, where every
            value of a column counts in one unit.
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
        self.source_url = DatabaseUrl.parse(source)
        self.target_url = DatabaseUrl.parse(target)
        self._refuse_idle_wishes(
            {
                "--clean": clean,
                "--utc": utc,
                "--rekey": rekey is not None,
                "--plan": isinstance(plan, str),
                "--models": metadata is not None,
            }
        )
        self._given = plan
        self._meant = Meant(clean, utc)
        self._rekey = rekey
        if (metadata is None) != (migrations is None):
            raise InvalidPlan(
                "models and their history go together: name both",
                hint="pass metadata= and migrations= together",
            )
        self._metadata = metadata
        self._migrations = None if migrations is None else Path(migrations)
        self._quarantine = Path(quarantine)
        self._on_progress = on_progress

    def _refuse_idle_wishes(self, wishes: dict[str, bool]) -> None:
        """Raise ``InvalidPlan`` for what is asked for and would not be done."""
        reason, idle = "", ()
        if self._is_copy:
            reason = "between SQLite and libSQL everything stays as it is"
            idle = ("--clean", "--utc", "--rekey", "--models")
        elif wishes["--models"]:
            reason = "the models say what each column holds and becomes"
            idle = ("--clean", "--utc", "--rekey", "--plan")
        elif self.source_url.dialect_name == "postgresql":
            reason = "the columns of PostgreSQL say themselves what is a moment"
            idle = ("--clean", "--utc")
        if asked := [wish for wish in idle if wishes[wish]]:
            raise InvalidPlan(
                f"{reason}: {' and '.join(asked)} would do nothing",
                hint=f"leave {' and '.join(asked)} out",
            )

    @property
    def _is_copy(self) -> bool:
        return self.source_url.dialect_name == self.target_url.dialect_name == "sqlite"

    def plan(self) -> Plan:
        """Inspect the source and return the plan; the target gets nothing.

        Constraints are tried on empty tables of the target in a transaction that
        is taken back, so that what it refuses is a loss of the plan.
        """
        with told(GO_ON), ExitStack() as stack:
            source = self._open_source(stack)
            target = self._open_target(stack)
            return self._plan(source, target)

    def _open_source(self, stack: ExitStack) -> MoveSource:
        source = open_move_source(self.source_url, self.target_url, meant=self._meant)
        stack.callback(source.close)
        return source

    def _open_target(self, stack: ExitStack) -> MoveTarget:
        target = open_move_target(self.target_url)
        stack.callback(target.close)
        return target

    def _plan(self, source: MoveSource, target: MoveTarget) -> Plan:
        filled = source.state()
        if filled is not None and filled.status in ("copying", "copied"):
            raise SourceUnfinished(
                f"the move from {filled.source} into {self.source_url} has not ended"
            )
        if isinstance(self._given, Plan):
            return self._given
        if self._metadata is not None:
            return plan_from_models(
                self._metadata,
                self.source_url.dialect_name,
                self.target_url.dialect_name,
                source.table_names(),
            )
        plan = source.make_plan(self._on_progress)
        if self._given is not None:
            plan = apply_toml(self._given, plan, source.rebuild)
        if self._rekey is not None:
            plan = rekeyed(
                plan,
                keep_as=self._rekey.keep_as,
                now_ms=int(SYSTEM_CLOCK.now().timestamp() * 1000),
                polymorphic=self._rekey.polymorphic,
            )
        if not target.taken(plan):
            leave_out(plan, target.refusals(plan))
        return plan

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
            plan, resumed = self._begin(source, target, accept)
            if resumed == FINISHED:
                return self._finished(plan, source, target, started)
            phases.end("inspect")
            tables = [self._fill(source, target, table) for table in plan.carried()]
            source.check_unchanged()
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
            quarantined = self._write_quarantine(target)
            # Who works on a target that was complete makes it differ, no less complete.
            is_complete = report.is_same or resumed == "verified"
            target.journal.set_status("verified" if is_complete else "differs")
            return MoveResult(
                plan,
                tables,
                [Loss(s.purpose, s.name, problem) for s, problem in refused],
                quarantined,
                str(self._quarantine) if quarantined else None,
                report,
                resumed != "",
                notices,
                time.perf_counter() - started,
                phases.seconds,
            )

    def _begin(
        self,
        source: MoveSource,
        target: MoveTarget,
        accept: Callable[[Plan], None],
    ) -> tuple[Plan, str]:
        """Return the plan, and the status of the run that is continued."""
        fingerprint = source.fingerprint()
        state = target.journal.state()
        is_begun = state is not None and state.is_begun
        if state is not None:
            is_asked_again = not is_begun and self._continues(state, fingerprint)
            if is_asked_again and _is_whole(state.plan, target):
                target.journal.claim()
                return state.plan, state.status
            self._refuse_ended(state)
        plan = self._plan(source, target)
        if plan.needs_models and self._given is None:
            raise InvalidPlan(
                f"{self.source_url} was filled by its models: without them a file "
                "would hold values in another form than the application's",
                hint="add --models (metadata= and migrations=); for a plain copy write "
                "a plan (--write-plan FILE) and give it (--plan FILE)",
            )
        if state is not None:
            target.journal.claim()
        if state is not None and not is_begun:
            is_asked = state.digest == self._request()
            is_whole = _is_whole(state.plan, target)
            if is_asked and is_whole and can_renew(state, plan, target):
                accept(plan)
                renew(plan, fingerprint, source, target, self._on_progress)
                return plan, state.status
            target.journal.drop(state.plan)
            plan = self._plan(source, target)
        accept(plan)
        _check_plan(plan, self.target_url)
        taken = target.taken(plan)
        if plan.leaves_no_trace and taken and target.is_made(plan):
            return plan, FINISHED
        if taken and plan.creates_tables:
            raise TargetInUse(
                f"the target already has {', '.join(taken[:5])}",
                detail={"tables": taken},
            )
        name_of_move = (str(self.source_url), fingerprint, self._request())
        if not plan.creates_tables:
            if not is_begun:
                self._refuse_rows(plan, target)
                # What a revision inserts is known for the history's after a kill.
                target.create(replace(plan, tables=[]), *name_of_move)
            self._upgrade(plan)
            target.adopt(plan)
        target.create(plan, *name_of_move)
        return plan, ""

    def _refuse_ended(self, state: State) -> None:
        """Raise ``TargetInUse`` where a move has ended that this one cannot renew.

        People may work there by now, also where a comparison found differences.
        """
        is_ended = state.status in ("verified", "differs")
        if is_ended or state.source != str(self.source_url):
            raise TargetInUse(
                f"{self.target_url} was filled by a move from {state.source}"
            )

    def _refuse_rows(self, plan: Plan, target: MoveTarget) -> None:
        """Raise ``TargetInUse`` where rows of somebody would have to go."""
        if held := target.filled(plan):
            raise TargetInUse(
                f"the target already has rows in {', '.join(held[:5])}",
                hint="name an empty database: the history makes the tables by itself",
                detail={"tables": held},
            )

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

    def _upgrade(self, plan: Plan) -> None:
        """Let the history make the target's tables."""
        from lockstep.engine import Database
        from lockstep.engine.idempotency import WRITE_KEYS_TABLE, make_keys_table
        from lockstep.migrations import Migrations

        assert self._migrations is not None, "given together with the models"
        with Database(self.target_url.unmasked()) as database:
            Migrations(
                database, metadata=self._metadata, directory=self._migrations
            ).upgrade("head")
            if any(table.source == WRITE_KEYS_TABLE for table in plan.tables):
                database.write(make_keys_table)

    def _continues(self, state: State, fingerprint: str) -> bool:
        return (
            state.source == str(self.source_url)
            and state.fingerprint == fingerprint
            and state.digest == self._request()
        )

    def _request(self) -> str:
        """Return what is another text when another move is asked for."""
        given = self._given
        if isinstance(given, Plan):
            return given.digest()
        text = f"{given or 'made from the inspection'} {self._meant} "
        text += f"models={self._metadata is not None} rekey={self._rekey}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _fill(
        self, source: MoveSource, target: MoveTarget, table: TablePlan
    ) -> TableMoved:
        def tell(done: int) -> None:
            self._on_progress(Progress("copy", table.source, done, table.rows or None))

        policies = {column.on_dirt for column in table.columns}
        long = LongCells(target.takes_in_pieces(table), in_pieces=True)
        progress = target.fill(
            table,
            lambda after: source.own_order(table, after, for_copy=True, long=long),
            tell,
            "quarantine" if policies - {"fail"} else "fail",
        )
        return TableMoved(
            table.source,
            table.target,
            progress.rows,
            progress.read - progress.rows,
            target.journal.odd_count(table.source),
        )

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
                yield f"{json.dumps(asdict(row), ensure_ascii=False)}\n"

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
            target = self._open_target(stack)
            state = target.journal.state()
            if state is not None:
                report = VerifyReport()
                mine, theirs = source.inventory(), target.inventory()
                name_added(state.plan, mine, theirs, report)
                name_extra(state.plan, mine, theirs, report)
                return verify_tables(
                    state.plan, source, target, self._on_progress, report
                )
            return verify_foreign(source, target, self._on_progress)


def _is_whole(plan: Plan, target: MoveTarget) -> bool:
    """Whether all tables that an earlier run made are still there."""
    return len(target.taken(plan)) == len(list(plan.carried()))


def leave_out(plan: Plan, refusals: dict[str, str]) -> None:
    """Turn statements that the target refuses into losses of the plan."""
    for table in plan.carried():
        for column in table.columns:
            where = f"{table.source}.{column.source}"
            if column.computed and where in refusals:
                column.computed = ""
                plan.losses.append(Loss("generated column", where, refusals[where]))
        for statement in list(table.statements):
            reason = refusals.get(statement.step)
            if reason is None:
                continue
            table.statements.remove(statement)
            if statement.purpose == "primary key":
                table.primary_key = []
            name, sql = f"{table.source}: {statement.sql}", ""
            if statement.purpose == "view":
                name = statement.name
                sql = _as_it_was(plan, statement)
            plan.losses.append(Loss(statement.purpose, name, reason, sql=sql))


def _as_it_was(plan: Plan, statement: Statement) -> str:
    """Return what the source says of a view that the target refuses."""
    origin = plan.views.pop(statement.name, "")
    for kind, name, sql in plan.way_back:
        if kind == "view" and quote(name) == origin:
            return sql
    return statement.sql


def _check_plan(plan: Plan, target: DatabaseUrl) -> None:
    if plan.target != target.dialect_name:
        raise InvalidPlan(
            f"the plan leads to {plan.target}, the target is {target.dialect_name}",
            hint="write a plan for this target: --write-plan FILE",
        )
