"""Compare two databases of one engine, whoever made the second.

Owns which tables and columns are put side by side: those of the same name. Two
files are compared by what they store, class and value; two PostgreSQL databases by
the values' texts, and by their meaning where the types differ. Both are only read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TypeVar

from lockstep.engine.urls import DatabaseUrl
from lockstep.migrations.sqlite.tokens import fold, quote
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.connecting import open_sqlite_source
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.model.postgresql import PgColumn, PgTable
from lockstep.mover.model.results import (
    Difference,
    Progress,
    ProgressCallback,
    VerifyReport,
)
from lockstep.mover.model.sqlite import Column, Schema, Table, owns_nothing
from lockstep.mover.postgresql.lines import PostgresqlLines
from lockstep.mover.postgresql.source import PostgresqlSource
from lockstep.mover.sqlite.lines import SqliteLines
from lockstep.mover.verify.canonical import Foreign
from lockstep.mover.verify.compare import TableComparison
from lockstep.mover.verify.spelled import INTEGERS, TEXTS, ServerColumn, as_read

T = TypeVar("T")
Read = Callable[[TablePlan], Iterable[LineBlock]]
_SORTED = INTEGERS | TEXTS | {"uuid"}


def verify_alike(
    source: DatabaseUrl, target: DatabaseUrl, on_progress: ProgressCallback
) -> VerifyReport:
    """Compare every cell of two SQLite files, or of two PostgreSQL databases."""
    report = VerifyReport()
    with ExitStack() as stack:
        if source.dialect_name == "sqlite":
            _verify_files(source, target, report, on_progress, stack)
        else:
            _verify_servers(source, target, report, on_progress, stack)
    return report


def _verify_files(
    source: DatabaseUrl,
    target: DatabaseUrl,
    report: VerifyReport,
    on_progress: ProgressCallback,
    stack: ExitStack,
) -> None:
    one, two = open_sqlite_source(source), open_sqlite_source(target)
    for opened in (one, two):
        stack.callback(opened.close)
        report.notices += opened.notices
    mine = SqliteLines(one.connection, one.schema, {})
    other = SqliteLines(two.connection, two.schema, {}, is_target=True)
    ours, theirs = _by_name(one.schema, report), _by_name(two.schema, report)
    for table, partner in _pairs(ours, theirs, "table", "", report):
        columns = _pairs(
            {fold(c.name): c for c in table.columns},
            {fold(c.name): c for c in partner.columns},
            "column",
            table.name,
            report,
        )
        plan = _file_plan(table, partner, columns)
        if plan.order_key:
            _compare(plan, mine.in_key_order, other.in_key_order, report, on_progress)
        else:
            _compare(plan, _all(mine), _all(other), report, on_progress)
    _say_what_else_differs(one.schema, two.schema, report)
    one.check_unchanged()
    two.check_unchanged()


def _all(lines: SqliteLines) -> Read:
    return lambda plan: lines.in_own_order(plan, None)


def _by_name(schema: Schema, report: VerifyReport) -> dict[str, Table]:
    found: dict[str, Table] = {}
    contentless = tuple(f"{t.name}_" for t in schema.tables if t.is_contentless)
    for table in schema.tables:
        if table.kind == "shadow" and not table.name.startswith(contentless):
            continue
        if table.kind == "virtual" and owns_nothing(table):
            continue
        if table.kind == "virtual" and table.problem:
            # Its rows are those of tables that are compared.
            report.notices.append(f"{table.name} cannot be read here: {table.problem}")
            continue
        if table.problem and not table.columns:
            report.add(Difference("unreadable table", table.name, source=table.problem))
            continue
        found[fold(table.name)] = table
    return found


def _file_plan(
    table: Table, partner: Table, columns: list[tuple[Column, Column]]
) -> TablePlan:
    plan = TablePlan(table.name, partner.name, [])
    plan.columns = [
        ColumnPlan(one.name, two.name, "", "stored:raw") for one, two in columns
    ]
    alias, other = table.rowid_alias, partner.rowid_alias
    if alias is not None and other is not None and fold(alias) == fold(other):
        plan.order_key = [alias]
    return plan


def _say_what_else_differs(one: Schema, two: Schema, report: VerifyReport) -> None:
    """Name what is no table and not the same word for word."""
    mine, other = set(one.objects), set(two.objects)
    hidden = {table.name for table in (*one.tables, *two.tables) if table.problem}
    for kind, name, _ in sorted(mine ^ other):
        if kind != "table" or name in hidden:
            report.notices.append(f"the {kind} {name} is not the same in both")


def _verify_servers(
    source: DatabaseUrl,
    target: DatabaseUrl,
    report: VerifyReport,
    on_progress: ProgressCallback,
    stack: ExitStack,
) -> None:
    one, two = PostgresqlSource(source), PostgresqlSource(target)
    stack.callback(one.close)
    stack.callback(two.close)
    ours = {table.full_name: table for table in one.schema.tables}
    theirs = {table.full_name: table for table in two.schema.tables}
    for table, partner in _pairs(ours, theirs, "table", "", report):
        columns = _pairs(
            {c.name: c for c in table.columns},
            {c.name: c for c in partner.columns},
            "column",
            table.full_name,
            report,
        )
        plan = _server_plan(table, partner, columns)
        shown = [_shown(mine, other) for mine, other in columns]
        _compare(
            plan,
            _read(one, table, [expressions[0] for expressions, _ in shown]),
            _read(two, partner, [expressions[1] for expressions, _ in shown]),
            report,
            on_progress,
            [_meant(plan, place, found[0]) for place, (_, found) in enumerate(shown)],
            [_meant(plan, place, found[1]) for place, (_, found) in enumerate(shown)],
        )


def _read(opened: PostgresqlSource, table: PgTable, shown: list[str]) -> Read:
    lines = PostgresqlLines(opened.connection)
    return lambda plan: lines.read(table.place, shown, order=_order(plan))


def _shown(
    mine: PgColumn, other: PgColumn
) -> tuple[tuple[str, str], tuple[Codec, Codec]]:
    """Return what each server is asked for, and what its texts mean."""
    asked = as_read(mine.name, mine.type), as_read(other.name, other.type)
    if mine.full_type == other.full_type:
        # Only the zeros behind a point are no part of the value, and are not asked for.
        same = ServerColumn(Foreign("text"))
        return asked, (same, same)
    one, one_means = _beside(mine, other)
    two, two_means = _beside(other, mine)
    return (one or asked[0], two or asked[1]), (one_means, two_means)


def _beside(column: PgColumn, other: PgColumn) -> tuple[str, Codec]:
    """Return what is asked for a column if it is not itself, and what its texts mean.

    A text is a value of the other column's type, as SQLite's would be.
    """
    if column.type not in TEXTS or other.type in TEXTS:
        return "", ServerColumn(Foreign(column.type))
    if other.type == "bytea":
        bytes_of = f"convert_to({quote(column.name)}, 'UTF8')"
        return bytes_of, ServerColumn(Foreign("bytea"))
    return "", ServerColumn(Foreign(other.type), is_value=True)


def _meant(plan: TablePlan, place: int, codec: Codec) -> Codec:
    """Return what a column's texts mean; a key of integers sorts as such."""
    column = plan.columns[place]
    is_number = column.source in plan.order_key and column.codec == "integer"
    return codec_of("integer") if is_number else codec


def _server_plan(
    table: PgTable, partner: PgTable, columns: list[tuple[PgColumn, PgColumn]]
) -> TablePlan:
    plan = TablePlan(table.full_name, partner.full_name, [])
    for mine, _ in columns:
        codec = "integer" if mine.type in INTEGERS else "text"
        plan.columns.append(ColumnPlan(mine.name, mine.name, mine.type, codec))
    kinds = {c.name: c.type for c, other in columns if c.type == other.type}
    key = table.primary_key
    if key == partner.primary_key and all(kinds.get(name) in _SORTED for name in key):
        plan.order_key = key
    return plan


def _order(plan: TablePlan) -> str:
    words: list[str] = []
    for name in plan.order_key:
        is_text = plan.column(name).codec == "text"
        words.append(f'{quote(name)}::text COLLATE "C"' if is_text else quote(name))
    return ", ".join(words)


def _pairs(
    ours: Mapping[str, T],
    theirs: Mapping[str, T],
    what: str,
    table: str,
    report: VerifyReport,
) -> list[tuple[T, T]]:
    """Return what both have; report what one of them lacks."""
    for kind, names in (
        ("missing", ours.keys() - theirs.keys()),
        ("extra", theirs.keys() - ours.keys()),
    ):
        for name in sorted(names):
            lacking = Difference(f"{kind} {what}", table or name)
            if table:
                lacking = Difference(f"{kind} {what}", table, column=name)
            report.add(lacking)
    return [(found, theirs[name]) for name, found in ours.items() if name in theirs]


def _compare(
    plan: TablePlan,
    mine: Read,
    other: Read,
    report: VerifyReport,
    on_progress: ProgressCallback,
    codecs: list[Codec] | None = None,
    others: list[Codec] | None = None,
) -> None:
    comparison = TableComparison(plan, report, codecs, others)
    done = 0

    def told(blocks: Iterable[LineBlock]) -> Iterator[bytes]:
        nonlocal done
        for block in blocks:
            done += block.count
            on_progress(Progress("verify", plan.source, done, None))
            yield block.data

    def silently(blocks: Iterable[LineBlock]) -> Iterator[bytes]:
        return (block.data for block in blocks)

    if plan.order_key:
        rows = comparison.ordered(told(mine(plan)), silently(other(plan)))
    else:
        rows = comparison.as_sets(
            lambda: told(mine(plan)), lambda: silently(other(plan))
        )
    report.tables += 1
    report.rows += rows
    report.cells += rows * len(plan.columns)
