"""Statements that the target refuses on empty tables become losses of the plan.

Owns what a plan says instead of them, before the first byte moves.
"""

from __future__ import annotations

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.model.plan import Loss, Plan, Statement


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
