"""Verify a pair of databases between which no plan stands.

Owns the choice of how they are read: whichever side is SQLite is written by the
types that the other side's columns have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from lockstep.migrations.sqlite.tokens import fold
from lockstep.mover.inventory import name_extra
from lockstep.mover.model.plan import ColumnPlan, Plan, TablePlan
from lockstep.mover.model.postgresql import PgColumn, PgTable
from lockstep.mover.model.results import Difference, ProgressCallback, VerifyReport
from lockstep.mover.model.sqlite import Schema, Table
from lockstep.mover.postgresql.source import PostgresqlSource
from lockstep.mover.postgresql.target import PostgresqlTarget
from lockstep.mover.sides import MoveSource, MoveTarget
from lockstep.mover.sqlite.source import SqliteSource
from lockstep.mover.sqlite.target import SqliteTarget
from lockstep.mover.verify.foreign import ServerNames, column_in, spell
from lockstep.mover.verify.server import ServerTables
from lockstep.mover.verify.spelled import SpelledTable
from lockstep.mover.verify.tables import Strangers, verify_tables


def verify_foreign(
    source: MoveSource, target: MoveTarget, on_progress: ProgressCallback
) -> VerifyReport:
    """Compare every cell of two databases that something else made alike."""
    report = VerifyReport()
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
        strangers = _to_postgresql(source, target, plan, report)
    else:
        assert isinstance(source, PostgresqlSource), "one of each engine"
        strangers = _from_postgresql(source, cast(SqliteTarget, target), plan, report)
    name_extra(plan, source.inventory(), target.inventory(), report)
    return verify_tables(plan, source, target, on_progress, report, strangers)


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


def _to_postgresql(
    source: SqliteSource, target: PostgresqlTarget, plan: Plan, report: VerifyReport
) -> Strangers:
    """Find the tables and columns of PostgreSQL that stand for a file's."""
    path = target.search_path()
    names = ServerNames(target.schema(), path)
    profiles = source.surveys()
    tables: dict[str, PgTable] = {}
    columns: dict[str, list[PgColumn]] = {}
    spelled: dict[str, SpelledTable] = {}
    for table in plan.carried():
        found = names.find(table)
        if len(found) != 1:
            table.carry = False
            report.add(Difference("missing table", table.source))
            if found:
                shown = ", ".join(theirs.full_name for theirs in found)
                report.notices.append(f"{table.source} may be any of {shown}")
            continue
        (theirs,) = found
        table.target = theirs.full_name
        if theirs.schema not in path:
            told = f"{table.source} is compared with {theirs.full_name}"
            report.notices.append(told)
        pairs = [(column, column_in(theirs, column)) for column in table.columns]
        _keep_columns(table, [column for column, there in pairs if there], report)
        columns[table.source] = [there for _, there in pairs if there]
        for column, there in zip(table.columns, columns[table.source], strict=True):
            column.target, column.type = there.name, there.type
        tables[table.source] = theirs
        spelled[table.source] = spell(
            table,
            columns[table.source],
            profiles[table.source],
            source.integer_bounds,
            is_source=False,
            is_utf8=source.schema.encoding == "UTF-8",
        )
    source.use_codecs({n: s.encoders for n, s in spelled.items() if s.encoders})
    return Strangers(spelled, ServerTables(target.connection, tables, columns))


def _from_postgresql(
    source: PostgresqlSource, target: SqliteTarget, plan: Plan, report: VerifyReport
) -> Strangers:
    """Find the tables and columns of a SQLite file that a plan names."""
    schema = target.schema()
    tables: dict[str, PgTable] = {}
    columns: dict[str, list[PgColumn]] = {}
    spelled: dict[str, SpelledTable] = {}
    taken: set[str] = set()
    for table in plan.carried():
        found = source.found(table)
        theirs = _file_table(schema, table, found, taken)
        if theirs is None:
            table.carry = False
            # What a mover took for data are SQLite's own statistics.
            if not fold(found.name).startswith("sqlite_"):
                report.add(Difference("missing table", table.source))
            continue
        taken.add(theirs.name)
        table.target = theirs.name
        kept: list[ColumnPlan] = []
        for column in table.columns:
            there = theirs.column(column.target) or theirs.column(column.source)
            if there is not None:
                column.target = there.name
                kept.append(column)
        _keep_columns(table, kept, report)
        tables[table.source] = found
        columns[table.source] = [found.column(column.source) for column in kept]
        spelled[table.source] = spell(
            table,
            columns[table.source],
            target.profile(theirs),
            target.integer_bounds,
            is_source=True,
            is_utf8=schema.encoding == "UTF-8",
        )
    target.use_codecs({n: s.encoders for n, s in spelled.items() if s.encoders})
    server = ServerTables(source.connection, tables, columns)
    return Strangers(spelled, server, is_source=True)


def _file_table(
    schema: Schema, table: TablePlan, found: PgTable, taken: set[str]
) -> Table | None:
    """Return what a file calls a table of PostgreSQL, unless another one has it."""
    for name in (table.target, table.source, found.name):
        there = schema.table(name)
        if there is not None and there.name not in taken:
            return there
    return None


def _keep_columns(
    table: TablePlan, kept: Sequence[ColumnPlan], report: VerifyReport
) -> None:
    for column in table.columns:
        if column not in kept:
            report.add(Difference("missing column", table.source, column=column.source))
    table.columns = list(kept)
