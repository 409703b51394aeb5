"""Which tables of an interrupted move may stay when its source has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lockstep.mover import renewing
from lockstep.mover.journal import State, TableProgress
from lockstep.mover.model.plan import ColumnPlan, Plan, TablePlan
from lockstep.mover.model.results import Difference, VerifyReport, silent
from lockstep.mover.renewing import can_renew, renew


def made() -> Plan:
    tables = [
        TablePlan(name, name, [ColumnPlan("n", "n", "bigint", "integer")])
        for name in ("same", "changed", "half", "fresh", "cleaned")
    ]
    tables[-1].columns[0].on_dirt = "quarantine"
    return Plan("sqlite", "postgresql", tables)


def retyped(plan: Plan) -> None:
    plan.tables[0].columns[0].type = "text"


def renamed(plan: Plan) -> None:
    plan.tables[0].target = "other"


def reordered(plan: Plan) -> None:
    plan.tables[0].order_key = ["n"]


def adopted(plan: Plan) -> None:
    plan.creates_tables = False


def noted(plan: Plan) -> None:
    plan.tables[0].columns[0].note = "said otherwise"


@pytest.mark.parametrize(
    ("change", "expected"),
    [(noted, True), (retyped, False), (renamed, False), (reordered, False)],
)
def test_only_the_same_tables_are_gone_on_with(
    change: Callable[[Plan], None], expected: bool
) -> None:
    plan = made()
    change(plan)
    state = State("copying", "a.db", "f", "d", made())
    assert can_renew(state, plan, target_with(steps={})) is expected


def test_what_is_built_or_made_by_a_history_is_not_emptied() -> None:
    state = State("copying", "a.db", "f", "d", made())
    assert can_renew(state, made(), target_with(steps={}))
    assert not can_renew(state, made(), target_with(steps={"index by_n": ""}))
    assert not can_renew(replace(state, status="copied"), made(), target_with(steps={}))
    plan = made()
    adopted(plan)
    assert not can_renew(replace(state, plan=plan), plan, target_with(steps={}))


def target_with(*, steps: dict[str, str]) -> Any:
    return SimpleNamespace(journal=SimpleNamespace(steps=lambda: steps))


def test_a_table_stays_only_when_it_is_whole_and_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    progress = {
        "fresh": TableProgress(),
        "half": TableProgress("7", 7, 7, is_done=False),
    }
    whole = TableProgress("9", 9, 9, is_done=True)

    class Target:
        def renew(self, _: Plan, fingerprint: str) -> None:
            done.append(fingerprint)

        def progress(self, table: str) -> TableProgress:
            return progress.get(table, whole)

        def empty(self, table: TablePlan) -> None:
            done.append(table.source)

    target: Any = Target()
    target.journal = target

    def verify(plan: Plan, source: Any, target: Any, on_progress: Any) -> VerifyReport:
        (table,) = plan.carried()
        report = VerifyReport()
        if table.source == "changed":
            report.add(Difference("cell", table.source))
        return report

    monkeypatch.setattr(renewing, "verify_tables", verify)
    renew(made(), "now", target, target, silent)
    # A kill in between leaves the fingerprint of no source.
    assert done == ["", "changed", "half", "cleaned", "now"]
