"""Verify a pair of databases between which no plan stands.

Owns the choice of how they are read: whichever side is SQLite is encoded by the
types that the other side's columns have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from lockstep.mover.codecs import Codec
from lockstep.mover.inventory import name_extra
from lockstep.mover.model.plan import ColumnPlan, Plan, TablePlan
from lockstep.mover.model.results import Difference, ProgressCallback, VerifyReport
from lockstep.mover.postgresql.source import PostgresqlSource
from lockstep.mover.postgresql.target import PostgresqlTarget
from lockstep.mover.sides import MoveSource, MoveTarget
from lockstep.mover.sqlite.source import SqliteSource
from lockstep.mover.sqlite.target import SqliteTarget
from lockstep.mover.verify.canonical import (
    DAYS,
    Canonical,
    Foreign,
    as_eight_bytes,
    counted_unit,
)
from lockstep.mover.verify.foreign import ForeignPair
from lockstep.mover.verify.tables import Strangers, verify_tables


def verify_foreign(
    source: MoveSource, target: MoveTarget, on_progress: ProgressCallback
) -> VerifyReport:
    """Compare every cell of two databases that something else made alike."""
    report = VerifyReport()
    if isinstance(source, SqliteSource):
        source.profiles(on_progress)  # more than a plan of our own must know
    plan = source.make_plan(on_progress)
    for loss in plan.losses:
        if loss.is_data and loss.kind == "table":
            # What cannot be read, or has no place there, is not the same.
            report.add(Difference("unreadable table", loss.name, source=loss.why))
    if plan.is_way_back and target.is_made(plan):
        name_extra(plan, source.inventory(), target.inventory(), report)
        # A file that a move led back keeps no journal; its plan can be made again.
        return verify_tables(plan, source, target, on_progress, report)
    strangers = None
    if plan.is_copy:
        _find_copies(cast(SqliteTarget, target), plan, report)
    elif isinstance(source, SqliteSource):
        assert isinstance(target, PostgresqlTarget), "one of each engine"
        pair = ForeignPair(target.schema(), report)
        plan = pair.adapt(plan, source.bounds())
        strangers = Strangers(pair.tables)
        source.use_codecs(_columns(pair.tables))
    else:
        assert isinstance(source, PostgresqlSource), "one of each engine"
        found = _from_postgresql(source, cast(SqliteTarget, target), plan, report)
        strangers = Strangers(found, is_source=True)
    name_extra(plan, source.inventory(), target.inventory(), report)
    return verify_tables(plan, source, target, on_progress, report, strangers)


def _columns(tables: Mapping[str, Canonical]) -> dict[str, Sequence[Codec]]:
    return {name: table.columns for name, table in tables.items()}


def _find_copies(target: SqliteTarget, plan: Plan, report: VerifyReport) -> None:
    """Leave out, and report, what a database of the same dialect does not have."""
    schema = target.schema()
    for table in plan.carried():
        theirs = schema.table(table.target)
        if theirs is None:
            table.carry = False
            report.add(Difference("missing table", table.source))
            continue
        kept = [
            column
            for column in table.columns
            if theirs.column(column.target) is not None
            or column.target == theirs.rowid_name
        ]
        _keep_columns(table, kept, report)
        if not {column.source for column in kept}.issuperset(table.order_key):
            table.order_key = []


def _from_postgresql(
    source: PostgresqlSource, target: SqliteTarget, plan: Plan, report: VerifyReport
) -> dict[str, Canonical]:
    """Find the tables and columns of a SQLite file that a plan names."""
    schema = target.schema()
    found: dict[str, Canonical] = {}
    for table in plan.carried():
        theirs = schema.table(table.target) or schema.table(table.source)
        if theirs is None:
            table.carry = False
            report.add(Difference("missing table", table.source))
            continue
        table.target = theirs.name
        kept = [c for c in table.columns if theirs.column(c.target) is not None]
        _keep_columns(table, kept, report)
        # Only integers surely sort alike in a file of somebody else's making.
        if any(table.column(name).codec != "integer" for name in table.order_key):
            table.order_key = []
        read = [_read_as(source, target, table, column) for column in kept]
        found[table.source] = Canonical(table, read)
    target.use_codecs(_columns(found))
    return found


def _read_as(
    source: PostgresqlSource, target: SqliteTarget, table: TablePlan, column: ColumnPlan
) -> Foreign:
    """Say how a column is read, and let PostgreSQL show all its digits."""
    kind = source.type_of(table.source, column.source)
    if kind == "real":
        column.read_as = as_eight_bytes(column.source)
    is_day = kind in DAYS
    bounds = target.integer_bounds(table.target, column.target) if is_day else (0, 0)
    return Foreign(kind, counted_unit(*bounds))


def _keep_columns(
    table: TablePlan, kept: list[ColumnPlan], report: VerifyReport
) -> None:
    for column in table.columns:
        if column not in kept:
            report.add(Difference("missing column", table.source, column=column.source))
    table.columns = kept
