"""Go on with a move whose source was written to since it was killed.

Owns which tables of the target may stay: those that are complete and, compared
cell by cell with the source as it is now, the same. All others are emptied and
copied again. It reads what a new start would have to write.

Invariant: the journal's fingerprint is the source's only while every table that
the journal calls done was compared with it; a kill in between means asking again.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lockstep.mover.journal import State, TableProgress
from lockstep.mover.model.plan import Plan, TablePlan
from lockstep.mover.model.results import ProgressCallback
from lockstep.mover.sides import MoveSource, MoveTarget
from lockstep.mover.verify.tables import verify_tables

UNKNOWN = ""
"""The fingerprint of no source."""


def can_renew(state: State, plan: Plan, target: MoveTarget) -> bool:
    """Whether the target's tables are those that the new plan would make.

    Once something is built behind the rows, emptying a table would have to undo
    it; and what a history made is its own.
    """
    if state.status != "copying" or target.journal.steps():
        return False
    return plan.creates_tables and _shape(state.plan) == _shape(plan)


def renew(
    plan: Plan,
    fingerprint: str,
    source: MoveSource,
    target: MoveTarget,
    on_progress: ProgressCallback,
) -> None:
    """Keep the tables that are still the same, empty the others."""
    journal = target.journal
    journal.renew(plan, UNKNOWN)
    for table in plan.carried():
        progress = journal.progress(table.source)
        if progress == TableProgress():
            continue
        if progress.is_done and _is_same(plan, table, source, target, on_progress):
            continue
        target.empty(table)
    journal.renew(plan, fingerprint)


def _is_same(
    plan: Plan,
    table: TablePlan,
    source: MoveSource,
    target: MoveTarget,
    on_progress: ProgressCallback,
) -> bool:
    if any(column.on_dirt != "fail" for column in table.columns):
        return False  # a comparison says nothing about rows that were left out
    alone = Plan(plan.source, plan.target, [table])
    return verify_tables(alone, source, target, on_progress).is_same


def _shape(plan: Plan) -> list[Any]:
    """Return everything that decides how tables are made and filled."""
    tables: list[Any] = []
    for table in plan.carried():
        columns = [
            {**asdict(column), "note": "", "instead": None} for column in table.columns
        ]
        tables.append((table.source, table.target, table.create, columns))
        tables.append((table.order_key, table.comment))
    return [tables, plan.before, plan.pragmas]
