"""Rows of PostgreSQL that a file's own statements would refuse, found before a copy.

Owns the way back's questions about NULL, uniqueness, checks and strict tables. The
server held what the move there could build: what it could not, what was dropped
since, and what SQLite takes for equal and PostgreSQL does not is looked for. One
query per index finds rows that may be equal; SQLite, in a table of the same
statement, says which of them it refuses.

    keys ── held by an index of the server, compared as strictly? ──► nothing to ask
      └── rows that may be equal, by a query ──► SQLite ──► a loss of the plan

Invariant: a row that SQLite refuses in the copy was counted by a loss of the plan,
unless its value does not fit its codec, which ``fitting`` names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final

from lockstep.migrations.sqlite.tokens import fold, quote
from lockstep.mover.model.plan import ColumnPlan, Loss, Plan, Statement, TablePlan
from lockstep.mover.model.postgresql import PgKey, PgTable
from lockstep.mover.model.sqlite import Column, Index, Table
from lockstep.mover.plan.constraints import left_of
from lockstep.mover.postgresql.cells import (
    TEXTS,
    TO_QUARANTINE,
    Server,
    name_cells,
    read_of,
)
from lockstep.mover.sqlite.catalog import read_schema
from lockstep.mover.sqlite.writing import RowWriter
from lockstep.mover.translate.scratch import scratch_of, stand_in_for_collations
from lockstep.schema.affinity import is_for_numbers
from lockstep.wording import counted

ROW_BYTES_MAX = 1_000_000_000
"""Of a row, and of a cell, in every usual build of SQLite."""

SHRINKS_AT_MOST = 300
"""Times: what PostgreSQL compresses is never shorter than that."""

_ALL_ROWS = "true"
_LONG_TYPES: Final = ("text", "character varying", "bytea")
_AS_BYTES: Final = ("text_bytes", "mixed_bytes")


@dataclass
class _Suspicion:
    """Something of a file's table that the server may not have held.

    Attributes:
        where: Which rows could be refused, for the server.
        columns: Whose rows are quarantined when the table is made with it.
        statement: The index that is left out instead; None for a constraint.
    """

    kind: str
    name: str
    where: str
    columns: list[ColumnPlan] = field(default_factory=list[ColumnPlan])
    statement: Statement | None = None


def name_contradictions(plan: Plan, forward: Plan, server: Server) -> None:
    """Add what a file's statements refuse to the losses of a way back.

    Rows that a table's own statement refuses go to the quarantine file; an index
    that is not unique any more is left out.

    Args:
        plan: The way back; changed in place.
        forward: The move from SQLite.
        server: The database.
    """
    origins = {table.target: table for table in forward.carried()}
    by_table = _made_by_own_statements(plan)
    planned = {fold(table.target): table for table in plan.carried()}
    # One that is left out is none of a later table's.
    indexes = {index.name: index for index in _unique_indexes(plan)}
    for made in plan.carried():
        table = by_table.get(fold(made.target))
        origin = origins.get(made.source)
        if origin is None or table is None or not made.create:
            continue
        found = server.found(made)
        name_cells(plan, made, table, server)
        _name_orphans(plan, made, planned, by_table, server)
        for suspicion in _suspicions(forward, made, table, found, indexes):
            _judge(plan, made, suspicion, server)


def _unique_indexes(plan: Plan) -> Iterator[Statement]:
    for table in plan.carried():
        for statement in table.statements:
            words = statement.sql.split(maxsplit=2)
            if statement.purpose == "index" and words[1].upper() == "UNIQUE":
                yield statement


def name_unchecked(plan: Plan, server: Server) -> None:
    """Add what the server has never checked, and rows contradict, to a plan's losses.

    Such a constraint is carried: it holds for new rows on both sides.
    """
    lost = {loss.name for loss in plan.losses}
    for made in plan.carried():
        found = server.found(made)
        for key in found.keys:
            where = f"{found.full_name}: {key.definition}"
            if not key.definition.endswith(" NOT VALID") or where in lost:
                continue
            count = server.rows_where(made, _contradicting(key))
            if count:
                kind = "check" if key.kind == "c" else "foreign key"
                rows = counted(count, "row")
                why = f"{rows} against it; it holds for new rows only, as there"
                plan.losses.append(Loss(kind, where, why))


def name_oversized(plan: Plan, server: Server) -> None:
    """Quarantine rows that are longer than any that SQLite holds, and name them."""
    for made in plan.carried():
        kinds = {column.name: column.type for column in server.found(made).columns}
        long = [c for c in made.columns if kinds.get(c.source) in _LONG_TYPES]
        aside = server.bytes_aside(made)
        is_small = aside is not None and aside * SHRINKS_AT_MOST < ROW_BYTES_MAX
        if is_small or not long:
            continue
        # The server knows how long a value is without unpacking it.
        lengths = (f"coalesce(octet_length({quote(c.source)}), 0)" for c in long)
        total = " + ".join(f"{length}::bigint" for length in lengths)
        count = server.rows_where(made, f"{total} > {ROW_BYTES_MAX}")
        if count:
            long[0].on_dirt = "quarantine"
            rows = counted(count, "row")
            why = f"{rows} of more than {ROW_BYTES_MAX:,} bytes, which SQLite does not "
            why += f"hold; {TO_QUARANTINE}"
            plan.losses.append(Loss("type", made.source, why, is_data=True))


def measure_rows(plan: Plan, server: Server) -> None:
    """Say how long each table's longest row is, for a target that refuses long ones.

    A row of which nothing lies aside is short.
    """
    for made in plan.carried():
        if server.bytes_aside(made) == 0:
            continue
        kinds = {column.name: column.type for column in server.found(made).columns}
        lengths: list[str] = []
        for column in made.columns:
            if column.codec in ("text", "bytes"):
                cell = quote(column.source)
                is_long = kinds.get(column.source) in _LONG_TYPES
                cell += "" if is_long else "::text"
                lengths.append(f"coalesce(octet_length({cell}), 0)::bigint")
        if lengths:
            made.row_bytes_max = server.greatest(made, " + ".join(lengths))


def _contradicting(key: PgKey) -> str:
    if key.kind == "c":
        stated = key.definition.removeprefix("CHECK ").removesuffix(" NOT VALID")
        return f"({stated.removesuffix(' NO INHERIT')}) IS FALSE"
    parent = f"{quote(key.parent_schema)}.{quote(key.parent)}"
    return _lacking(map(quote, key.columns), parent, map(quote, key.referred))


def _lacking(own: Iterable[str], parent: str, theirs: Iterable[str]) -> str:
    """Return which rows have a key that no row of another table has.

    Not by NOT IN: PostgreSQL goes along the whole list for each row where it outgrows
    the working memory, and one NULL in it hides every row.

    Args:
        own: The values of a row's key.
        parent: What the other rows are read from.
        theirs: The values of their key.
    """
    pairs = [
        (f'"key {place}"', *values)
        for place, values in enumerate(zip(own, theirs, strict=True), start=1)
    ]
    present = " AND ".join(f"({value}) IS NOT NULL" for _, value, _ in pairs)
    listed = ", ".join(f"{value} AS {name}" for name, _, value in pairs)
    same = " AND ".join(f"{name} = {value}" for name, value, _ in pairs)
    return (
        f"{present} AND NOT EXISTS "
        f"(SELECT 1 FROM (SELECT {listed} FROM {parent}) AS parent WHERE {same})"
    )


def _name_orphans(
    plan: Plan,
    made: TablePlan,
    planned: Mapping[str, TablePlan],
    by_table: Mapping[str, Table],
    server: Server,
) -> None:
    """Name rows that point at nothing, where the server does not keep them away.

    They come along: SQLite asks new rows only.
    """
    held = [
        (key.columns, key.parent, key.referred)
        for key in server.found(made).keys
        if key.kind == "f" and not key.definition.endswith(" NOT VALID")
    ]
    for key in by_table[fold(made.target)].foreign_keys:
        above, parent = planned.get(fold(key.parent)), by_table.get(fold(key.parent))
        if above is None or parent is None:
            continue
        referred = key.referred or parent.key
        if len(referred) != len(key.columns):
            continue
        if left_of(made, key.columns) or left_of(above, referred):
            continue  # what its default refers to is nobody's row
        found, beside = server.found(made), server.found(above)
        own = [_planned(made, name) for name in key.columns]
        theirs = [_planned(above, name) for name in referred]
        names = ([c.source for c in own], beside.name, [c.source for c in theirs])
        if names in held:
            continue
        where = _points_at_nothing(
            [(column, found.column(column.source).type) for column in own],
            [(column, beside.column(column.source).type) for column in theirs],
            parent,
            beside.place,
        )
        count = server.rows_where(made, where)
        if count:
            point = "points" if count == 1 else "point"
            why = f"{counted(count, 'row')} {point} at nothing; they come along"
            where = f"{made.source} ({', '.join(names[0])}) → {above.source}"
            plan.losses.append(Loss("foreign key", where, why))


def _points_at_nothing(
    own: list[tuple[ColumnPlan, str]],
    theirs: list[tuple[ColumnPlan, str]],
    parent: Table,
    place: str,
) -> str:
    """Return which rows have a key that no row of the parent has.

    Args:
        own: Columns and their types on the server.
        theirs: The same of the parent.
        parent: Compares as the file's own statement says.
        place: What to read the parent's rows from.
    """
    mine: list[str] = []
    other: list[str] = []
    for (child, kind), (column, kind_above) in zip(own, theirs, strict=True):
        declared = parent.column(column.target)
        collation = "BINARY" if declared is None else declared.collation
        is_text = kind != kind_above or collation in ("NOCASE", "RTRIM")
        for listed, each in ((mine, child), (other, column)):
            name = f"({read_of(each)})::text" if is_text else read_of(each)
            if collation == "NOCASE":
                name = f'lower({name} COLLATE "C")'
            listed.append(f"rtrim({name}, ' ')" if collation == "RTRIM" else name)
    return _lacking(mine, place, other)


def _made_by_own_statements(plan: Plan) -> dict[str, Table]:
    """Return what SQLite says of the tables and unique indexes that it will have."""
    statements = [table.create for table in plan.carried()]
    statements += [index.sql for index in _unique_indexes(plan)]
    with scratch_of(statements) as scratch:
        return {fold(table.name): table for table in read_schema(scratch).tables}


def _suspicions(
    forward: Plan,
    made: TablePlan,
    table: Table,
    found: PgTable,
    indexes: dict[str, Statement],
) -> Iterator[_Suspicion]:
    for index in (index for index in table.indexes if index.unique):
        where = _repeated(made, table, index, found)
        if where:
            columns = [
                _planned(made, part.column)
                for part in index.parts
                if part.column is not None and not left_of(made, [part.column])
            ]
            columns = columns or made.columns[:1]
            shown = index.name
            if index.sql is None:
                shown = f"{made.source} ({', '.join(c.source for c in columns)})"
            yield _Suspicion("unique", shown, where, columns, indexes.get(index.name))
    if table.rowid_alias is not None:
        column = _planned(made, table.rowid_alias)
        if not _is_held(found, [column.source]):
            where = _equal_somewhere(made, found, [read_of(column)])
            yield _Suspicion(
                "unique", f"{made.source} ({column.source})", where, [column]
            )
    if table.strict:
        reals = [column for column in made.columns if column.codec == "real"]
        where = " OR ".join(f"{read_of(column)} = 'NaN'" for column in reals)
        if where:
            yield _Suspicion("type", made.source, where, reals)
    if table.module.startswith("rtree"):
        yield _Suspicion("check", made.source, _ALL_ROWS, made.columns)
    if table.checks and _has_lost_checks(forward, made, found):
        yield _Suspicion("check", made.source, _ALL_ROWS)


def _planned(made: TablePlan, name: str) -> ColumnPlan:
    return next(c for c in made.columns if fold(c.target) == fold(name))


def _repeated(made: TablePlan, table: Table, index: Index, found: PgTable) -> str:
    """Return which rows may repeat a key of the file; empty where none can."""
    names = [part.column for part in index.parts if part.column is not None]
    if left_of(made, names):
        return _ALL_ROWS
    columns = [_planned(made, name) for name in names]
    declared = [next(c for c in table.columns if c.name == name) for name in names]
    is_plain = len(names) == len(index.parts) and not index.partial
    values = [
        _as_compared(column, one, part.collation)
        for column, one, part in zip(columns, declared, index.parts, strict=False)
    ]
    is_strict = values == [read_of(column) for column in columns]
    if not is_plain:
        there = next((i for i in found.indexes if i.name == index.name), None)
        is_there = there is not None and there.unique and there.is_valid
        return "" if is_there and is_strict else _ALL_ROWS
    if is_strict and _is_held(found, [column.source for column in columns]):
        return ""
    known = [value for value in values if value]
    if len(known) < len(values):
        return _ALL_ROWS
    return _equal_somewhere(made, found, known)


def _is_held(found: PgTable, columns: list[str]) -> bool:
    """Whether the server itself lets no two rows have the same in these columns."""
    held = [key.columns for key in found.keys if key.kind in ("p", "u")]
    held += [
        [name or "" for name in index.columns]
        for index in found.indexes
        if index.unique and index.is_valid and index.condition is None
    ]
    return any(set(names) <= set(columns) for names in held)


def _as_compared(column: ColumnPlan, declared: Column, collation: str) -> str:
    """Return what is equal for PostgreSQL where SQLite takes cells for equal.

    It may be equal for some more; empty where that cannot be said in SQL.
    """
    value, word = read_of(column), column.codec.partition(":")[0]
    if word in _AS_BYTES:
        is_exact = collation == "BINARY" and not is_for_numbers(declared.affinity)
        return value if is_exact and word == "text_bytes" else ""
    if word not in TEXTS:
        return value
    if collation == "NOCASE":
        return f'lower({value}::text COLLATE "C")'
    if collation == "RTRIM":
        return f"rtrim({value}::text, ' ')"
    return value


def _equal_somewhere(made: TablePlan, found: PgTable, values: list[str]) -> str:
    listed = ", ".join(values)
    present = " AND ".join(f"({value}) IS NOT NULL" for value in values)
    numbers = ", ".join(str(place + 1) for place in range(len(values)))
    return (
        f"({listed}) IN (SELECT {listed} FROM {found.place} WHERE {present} "
        f"GROUP BY {numbers} HAVING count(*) > 1)"
    )


def _has_lost_checks(forward: Plan, made: TablePlan, found: PgTable) -> bool:
    for loss in forward.losses:
        is_its_own = f"{loss.name}:".startswith(f"{made.target}:")
        if loss.kind == "check" and is_its_own:
            return True
    there = {key.name for key in found.keys if key.kind == "c"}
    built = forward.table(made.target).statements
    return any(s.purpose == "check" and s.name not in there for s in built)


def _judge(plan: Plan, made: TablePlan, suspicion: _Suspicion, server: Server) -> None:
    """Let SQLite itself say which of the rows in question it refuses."""
    count, first, reason = _refused(made, suspicion, server)
    if not count:
        return
    rows = counted(count, "row")
    if suspicion.statement is not None:
        for table in plan.carried():
            if suspicion.statement in table.statements:
                table.statements.remove(suspicion.statement)
        why = f"rows repeat a key as SQLite compares ({reason}); it is not built"
        plan.losses.append(Loss("unique", suspicion.name, why))
        return
    if suspicion.kind == "check" and not suspicion.columns:
        why = f"{rows} against it, such as {first} ({reason}); they come along"
        plan.losses.append(Loss("check", suspicion.name, why))
        return
    for column in suspicion.columns:
        column.on_dirt = "quarantine"
    why = f"{rows} such as {first}, refused: {reason}; {TO_QUARANTINE}"
    plan.losses.append(Loss(suspicion.kind, suspicion.name, why, is_data=True))


def _refused(
    made: TablePlan, suspicion: _Suspicion, server: Server
) -> tuple[int, str, str]:
    """Return how many rows SQLite refuses, the key of one, and why it does.

    Of an index it is one, whichever.
    """
    tried = replace(made, columns=[replace(c) for c in made.columns])
    for column in tried.columns:
        column.on_dirt = "quarantine"
    statement = suspicion.statement
    statements = [made.create, *([] if statement is None else [statement.sql])]
    count, first, reason = 0, "", ""
    # Its pages go to a file of its own when they get many.
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:
        stand_in_for_collations(scratch, statements)
        checks = "OFF" if suspicion.kind == "check" else "ON"
        scratch.execute(f"PRAGMA ignore_check_constraints = {checks}")
        scratch.execute("BEGIN")
        scratch.execute(made.create)
        with closing(RowWriter(tried)) as writer:
            for block in server.fitting_rows(tried, suspicion.where):
                before = len(block.rejected)
                writer.write(scratch, block)
                refused = block.rejected[before:]
                if refused and not count:
                    first, reason = refused[0].key, refused[0].reason
                count += len(refused)
        if statement is None:
            return count, first, reason
        # What the table itself refuses is in nobody's way here.
        try:
            scratch.execute(statement.sql)
        except sqlite3.Error as error:
            return 1, "", str(error)
        return 0, "", ""
