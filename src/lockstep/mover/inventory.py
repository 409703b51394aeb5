"""Which tables and columns a database has: what a comparison has to account for.

Owns what counts as data of somebody's. A table that a full-text index keeps for
itself, that an extension brought or that the history and this library write on each
database is none.

Invariant: what one side has and the plan does not compare is a difference or, in
another schema of PostgreSQL, at least told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lockstep.engine.idempotency import WRITE_KEYS_TABLE
from lockstep.migrations.sqlite.tokens import fold
from lockstep.mover.model.plan import Plan, TablePlan
from lockstep.mover.model.postgresql import PgSchema
from lockstep.mover.model.results import Difference, VerifyReport
from lockstep.mover.model.sqlite import Schema, owns_nothing
from lockstep.schema.names import KEPT_BY_EACH

_OWN: Final = KEPT_BY_EACH | {WRITE_KEYS_TABLE}
SHOWN_MAX = 20
"""Tables of other schemas in one notice; a hosted server has dozens of its own."""


@dataclass
class Inventory:
    """What is there.

    Attributes:
        tables: The columns of each, by the names that plans give them.
        schemas: Those that tables lie in which no name alone finds, by their names.
    """

    tables: dict[str, list[str]]
    schemas: dict[str, str] = field(default_factory=dict[str, str])


def of_file(schema: Schema) -> Inventory:
    """Return what a SQLite database has."""
    contentless = tuple(f"{t.name}_" for t in schema.tables if t.is_contentless)
    return Inventory(
        {
            table.name: [column.name for column in table.columns]
            for table in schema.tables
            if not (table.kind == "virtual" and (table.problem or owns_nothing(table)))
            and (table.kind != "shadow" or table.name.startswith(contentless))
        }
    )


def of_server(schema: PgSchema) -> Inventory:
    """Return what a PostgreSQL database has."""
    found = Inventory({})
    for table in schema.tables:
        found.tables[table.full_name] = [column.name for column in table.columns]
        if table.schema != schema.home:
            found.schemas[table.full_name] = table.schema
    return found


def name_extra(
    plan: Plan, source: Inventory, target: Inventory, report: VerifyReport
) -> None:
    """Add what only the target has to a report.

    Args:
        plan: What is compared.
        source: What is there.
        target: The same of the other side.
        report: Is given a difference for each.
    """
    ours = {fold(name) for name in source.tables} | _told(plan)
    planned = {table.target: table for table in plan.carried()}
    used = {target.schemas[name] for name in planned if name in target.schemas}
    elsewhere: list[str] = []
    for name, columns in target.tables.items():
        table = planned.get(name)
        if table is None and target.schemas.get(name, "") not in {"", *used}:
            elsewhere.append(name)
            continue
        if table is None:
            # SQLite has no other tables of such names than its own, which pgloader
            # carries along with the rest.
            is_own = _is_own(name) or fold(name).startswith("sqlite_")
            if fold(name) not in ours and not is_own:
                report.add(Difference("extra table", name))
            continue
        known = {fold(column.target) for column in table.columns}
        known |= set(map(fold, table.left))
        known |= {fold(column) for column in source.tables.get(table.source, ())}
        for column in columns:
            if fold(column) not in known:
                report.add(Difference("extra column", table.source, column=column))
    if elsewhere:
        shown = ", ".join(elsewhere[:SHOWN_MAX])
        more = len(elsewhere) - SHOWN_MAX
        also = f" and {more} more" if more > 0 else ""
        report.notices.append(f"not compared: tables of other schemas: {shown}{also}")


def name_added(
    plan: Plan, source: Inventory, target: Inventory, report: VerifyReport
) -> None:
    """Add what came to the source after a move was planned to a report."""
    theirs = {fold(name) for name in target.tables} | _told(plan)
    planned = {table.source: table for table in plan.tables}
    used = {source.schemas[name] for name in planned if name in source.schemas}
    for name, columns in source.tables.items():
        table = planned.get(name)
        if table is None and source.schemas.get(name, "") not in {"", *used}:
            continue  # nobody has asked for this schema
        if table is None:
            if fold(name) not in theirs and not _is_own(name):
                report.add(Difference("missing table", name))
            continue
        for column in _added(table, columns, target) if table.carry else ():
            report.add(Difference("missing column", name, column=column))


def _added(table: TablePlan, columns: list[str], target: Inventory) -> list[str]:
    known = {fold(column.source) for column in table.columns}
    known |= set(map(fold, table.left))
    known |= {fold(column) for column in target.tables.get(table.target, ())}
    return [column for column in columns if fold(column) not in known]


def _is_own(name: str) -> bool:
    """Whether a history, a move or the engine keeps the table, on each database."""
    return name in _OWN


def _told(plan: Plan) -> set[str]:
    """Return what the plan says is no table there: virtual, left out, built later."""
    found = {fold(loss.name) for loss in plan.losses}
    for table in plan.tables:
        found |= {fold(table.source)}
        found |= {fold(statement.name) for statement in table.statements}
    return found
