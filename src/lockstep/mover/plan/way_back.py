"""The way back: a database that came from SQLite becomes that file again.

Owns the undoing of a plan. Tables that are as the move made them get their own
CREATE TABLE statement, their codecs and afterwards their indexes, triggers and
views, word for word; tables that came later are planned like any other's.
"""

from __future__ import annotations

import sqlite3

from lockstep.migrations.sqlite.tokens import fold
from lockstep.mover.model.plan import BROKEN_TEXT, Loss, Plan, Statement, TablePlan
from lockstep.mover.model.sqlite import is_contentless
from lockstep.mover.plan.rekey_back import columns_back
from lockstep.mover.plan.renewed import Object, broken_objects, table_of
from lockstep.mover.translate.scratch import stand_in_for_collations

_LATER = frozenset(
    {
        *("view", "materialized view", "foreign table", "trigger", "rule", "policy"),
        *("function", "sequence", "inheritance", "large objects", "table"),
    }
)
"""Losses that are not about how a table was made, but about what came beside it."""

_VIRTUAL = 2
"""What ``table_xinfo`` says of a column that is computed when it is read."""


def plan_way_back(forward: Plan, general: Plan) -> Plan:
    """Return the plan that leads back.

    Args:
        forward: What the journal says about the move from SQLite.
        general: The plan that any database would get.
    """
    plan = Plan("postgresql", "sqlite", [], is_way_back=True)
    plan.pragmas = _pragmas(plan, forward)
    plan.notices.append("this database came from SQLite; the file becomes as it was")
    made_from = {table.target: table for table in forward.carried()}
    created = {name: sql for kind, name, sql in forward.way_back if kind == "table"}
    for table in general.tables:
        if not table.carry:
            made_from.pop(table.source, None)
            plan.tables.append(table)
            continue
        origin = made_from.pop(table.source, None)
        reason = _differs(origin, table)
        not_null = frozenset[str]()
        if origin is not None and not reason:
            reason, not_null = _tried(origin, created.get(origin.source, ""))
            if reason:
                why = f"it cannot be as it was: {reason}"
                plan.losses.append(Loss("statement", origin.source, why))
        if origin is None or reason or origin.source not in created:
            plan.tables.append(table)
            if reason:
                plan.notices.append(f"{table.source} is planned anew: {reason}")
            continue
        made = _undone(forward, origin, table, created[origin.source])
        for column in made.columns:
            column.not_null = column.target in not_null
        for name in made.left:
            why = "it was not carried before; its statement gives it its default"
            plan.losses.append(Loss("column", f"{origin.source}.{name}", why))
        plan.tables.append(made)
    for gone in made_from.values():
        plan.notices.append(f"{gone.source} is not there any more")
    own = {fold(sql) for kind, _, sql in forward.way_back if kind == "table"}
    anew = {fold(t.target) for t in plan.carried() if fold(t.create) not in own}
    broken = broken_objects(plan, forward) if anew or made_from else {}
    _objects(plan, forward, anew, broken)
    kept = {(loss.kind, loss.name) for loss in forward.losses}
    kept |= {(s.purpose, s.name) for t in forward.tables for s in t.statements}
    plan.losses += [
        loss
        for loss in general.losses
        if (loss.kind, loss.name) not in kept and loss.kind in _LATER
    ]
    return plan


def _pragmas(plan: Plan, forward: Plan) -> dict[str, str]:
    """Return the file's pragmas; UTF-16 cannot hold what was no UTF-16."""
    pragmas = dict(forward.pragmas)
    if any(loss.kind == BROKEN_TEXT for loss in forward.losses):
        name = f"encoding {pragmas['encoding']}"
        why = "half a character of a text can be written in UTF-8 only"
        plan.losses.append(Loss("pragma", name, why))
        pragmas["encoding"] = "UTF-8"
    return pragmas


def _tried(origin: TablePlan, create: str) -> tuple[str, frozenset[str]]:
    """Make a table by its own statement, in a database in memory.

    Returns:
        Why it cannot be made and filled again, else empty; its columns that take no
        NULL.
    """
    scratch = sqlite3.connect(":memory:", isolation_level=None)
    try:
        stand_in_for_collations(scratch, [create])
        scratch.execute(create)
        columns = scratch.execute(
            'SELECT name, hidden, "notnull", dflt_value FROM pragma_table_xinfo(?)',
            (origin.source,),
        ).fetchall()
    except sqlite3.DatabaseError as error:
        return str(error), frozenset()
    finally:
        scratch.close()
    known = {column.source for column in origin.columns} | set(origin.left)
    for name, hidden, takes_none, default in columns:
        if hidden == _VIRTUAL and name not in known:
            return f"SQLite could not compute {name}", frozenset()
        if name in origin.left and takes_none and not hidden and default is None:
            return f"{name} was left behind, and takes no NULL", frozenset()
    return "", frozenset(name for name, _, takes_none, _ in columns if takes_none)


def _differs(origin: TablePlan | None, table: TablePlan) -> str:
    if origin is None:
        return ""
    before = [column.target for column in origin.columns]
    now = [column.source for column in table.columns]
    return "" if before == now else "its columns have changed"


def _undone(
    forward: Plan, origin: TablePlan, table: TablePlan, create: str
) -> TablePlan:
    columns = columns_back(forward, origin)
    names = {column.source: column.target for column in origin.columns}
    order = [names[name] for name in origin.order_key]
    if any(column.read_as for column in columns if column.source in order):
        order = []  # a key given later does not sort as its number does
    return TablePlan(
        origin.target,
        origin.source,
        columns,
        primary_key=list(table.primary_key),
        order_key=order,
        create=create,
        sequence=_sequence(origin, table),
        counts_exactly=_is_as_left(origin, table),
        rows=table.rows,
        left=list(origin.left),
    )


def _sequence(origin: TablePlan, table: TablePlan) -> int | None:
    if origin.sequence is None or _is_as_left(origin, table):
        return origin.sequence
    return max(origin.sequence, table.sequence or 0)


def _is_as_left(origin: TablePlan, table: TablePlan) -> bool:
    """Whether PostgreSQL has given no number since the move.

    It counted on behind the greatest number in use, which a file's own counter need
    not have reached: SQLite looks at both.
    """
    if origin.greatest_key is None:
        return False
    return table.sequence == max(origin.sequence or 0, origin.greatest_key, 0)


def _objects(
    plan: Plan, forward: Plan, anew: set[str], broken: dict[Object, str]
) -> None:
    """Plan the indexes, triggers and views of the file, in its own order.

    Args:
        plan: The way back; changed in place.
        forward: The move from SQLite.
        anew: Tables that are not made by their own statement, in lower case.
        broken: Views and triggers that would fail, and why.
    """
    if not plan.tables:
        return
    back = {table.target for table in plan.tables}
    last = plan.tables[-1]
    for kind, name, sql in forward.way_back:
        if kind == "table" and name in back:
            continue
        if kind == "table" and not _is_virtual(sql):
            if not _is_shadow(name, forward):
                plan.losses.append(Loss("table", name, "it was not carried before"))
            continue
        if (kind, name) in broken:
            why = f"its tables have changed: {broken[kind, name]}"
            plan.losses.append(Loss(kind, name, why, sql=sql))
        elif kind == "index" and table_of(sql) in anew:
            continue  # such a table has the server's indexes
        elif kind == "index":
            last.statements.append(Statement("index", name, sql))
        else:
            # A trigger that fired while rows arrive would change them.
            last.statements.append(Statement("view", name, sql))
            is_index = _is_virtual(sql) and "content=" in "".join(sql.split()).lower()
            if is_index and not is_contentless(sql):
                quoted = '"' + name.replace('"', '""') + '"'
                rebuild = f"INSERT INTO {quoted}({quoted}) VALUES ('rebuild')"
                last.statements.append(Statement("view", f"{name} rebuilt", rebuild))


def _is_virtual(sql: str) -> bool:
    return sql.lstrip().upper().startswith("CREATE VIRTUAL")


def _is_shadow(name: str, forward: Plan) -> bool:
    return any(
        name.startswith(f"{owner}_")
        for kind, owner, sql in forward.way_back
        if kind == "table" and _is_virtual(sql)
    )
