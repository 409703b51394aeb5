"""What an upgrade or downgrade would do, and what would be lost.

Owns the steps to a target in words, with the rows that each drop would take. The
revisions run on a scratch database; the real one is only counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations import ops

from lockstep.errors import MigrationError
from lockstep.migrations.describe import describe_all
from lockstep.migrations.history import History
from lockstep.migrations.reading import reading
from lockstep.migrations.replay import Replay, replaying, upwards
from lockstep.migrations.results import Direction, Loss, Plan, PlannedStep

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

_NAME = r"""["`\[]?(?P<table>[\w$]+)["`\]]?"""
# Statements written by hand that take rows away, as far as their text tells.
_DESTRUCTIVE = [
    re.compile(rf"\bdrop\s+table\s+(?:if\s+exists\s+)?{_NAME}", re.IGNORECASE),
    re.compile(rf"\btruncate\s+(?:table\s+)?{_NAME}", re.IGNORECASE),
    re.compile(rf"\bdelete\s+from\s+{_NAME}", re.IGNORECASE),
    re.compile(
        rf"\balter\s+table\s+{_NAME}\s+drop\s+(?:column\s+)?"
        r"(?!constraint\b)[\"`\[]?(?P<column>[\w$]+)",
        re.IGNORECASE,
    ),
]


def make_plan(history: History, target: str, direction: Direction) -> Plan:
    """Return the steps from where the database is to ``target``."""
    scripts = history.scripts()
    before = history.current_heads()
    steps = _steps(scripts, before, target, direction)
    if not steps:
        return Plan(before, ())
    planned: list[PlannedStep] = []
    with replaying(history.metadata) as replay:
        replay.follow(upwards(scripts, upto=before))
        planned.extend(_planned(history, replay, step) for step in steps)
    return Plan(before, tuple(planned))


def _steps(
    scripts: ScriptDirectory,
    before: tuple[str, ...],
    target: str,
    direction: Direction,
) -> Sequence[Any]:
    if direction == "upgrade":
        return scripts._upgrade_revs(target, before)  # pyright: ignore[reportPrivateUsage, reportArgumentType]
    if direction == "downgrade":
        return scripts._downgrade_revs(target, before)  # pyright: ignore[reportPrivateUsage, reportArgumentType]
    raise MigrationError(f"there is no plan for a {direction}")


def _planned(history: History, replay: Replay, step: Any) -> PlannedStep:
    complete = replay.failure is None
    if complete:
        try:
            replay.apply(step.revision, upgrade=step.is_upgrade)
        except Exception as exc:
            # It may need rows that only the real database has; what it did until
            # then is shown, and marked as incomplete.
            replay.failure = exc
            complete = False
    return PlannedStep(
        revision=str(step.revision.revision),
        message=str(step.revision.doc or ""),
        direction="upgrade" if step.is_upgrade else "downgrade",
        operations=tuple(describe_all(replay.operations)),
        losses=tuple(_losses(history, replay.operations)),
        complete=complete,
    )


def _losses(
    history: History, operations: Sequence[ops.MigrateOperation]
) -> Iterator[Loss]:
    found: list[tuple[str, str | None]] = []
    for operation in operations:
        if isinstance(operation, ops.DropTableOp):
            found.append((str(operation.table_name), None))
        elif isinstance(operation, ops.DropColumnOp):
            found.append((str(operation.table_name), str(operation.column_name)))
        elif isinstance(operation, ops.ExecuteSQLOp):
            for pattern in _DESTRUCTIVE:
                for match in pattern.finditer(str(operation.sqltext)):
                    names = match.groupdict()
                    found.append((names["table"], names.get("column")))
    with reading(history.db.engine) as connection:
        for table, column in dict.fromkeys(found):
            yield Loss(table, column, _rows(connection, table, column))


def _rows(connection: sa.Connection, table: str, column: str | None) -> int | None:
    inspector = sa.inspect(connection)
    if not inspector.has_table(table):
        return None
    target = sa.table(table)
    query = sa.select(sa.func.count()).select_from(target)
    if column is not None:
        if column not in {item["name"] for item in inspector.get_columns(table)}:
            return None
        query = query.where(sa.column(column).is_not(None))
    return connection.execute(query).scalar_one()
