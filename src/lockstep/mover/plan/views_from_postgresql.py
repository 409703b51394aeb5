"""The views of a PostgreSQL database in the plan for a SQLite file.

Owns which view gets a statement, and why another one stays behind. SQLite takes any
CREATE VIEW and finds what is wrong with it when somebody asks it: each is asked on
empty tables of the plan first.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from lockstep.migrations.sqlite.tokens import fold, quote
from lockstep.mover.model.plan import Loss, Plan, Statement
from lockstep.mover.model.postgresql import PgSchema, PgView
from lockstep.mover.plan.names import SqliteNames, sqlite_column_names
from lockstep.mover.translate.tree import Untranslatable
from lockstep.mover.translate.views_to_sqlite import (
    Readable,
    View,
    readable_table,
    view_to_sqlite,
)


def plan_views(plan: Plan, schema: PgSchema, names: SqliteNames) -> dict[str, str]:
    """Plan the views that SQLite can have.

    Args:
        plan: Its tables are complete; changed in place.
        schema: What the server says.
        names: Given to tables and indexes already.

    Returns:
        Why a view is not carried, by the name that people read; empty where it is.
    """
    reasons: dict[str, str] = {}
    plan.views.clear()
    labelled = {c.type for t in schema.tables for c in t.columns if c.labels}
    relations = _tables(plan, schema)
    carried = list(plan.carried())
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        for table in carried if schema.views else ():
            scratch.execute(table.create)
        for view in schema.views:
            try:
                made = _view(view, relations, labelled, names)
                _try(scratch, made)
            except (Untranslatable, sqlite3.Error) as reason:
                reasons[view.shown] = str(reason)
                continue
            reasons[view.shown] = ""
            relations[_key(view.schema, view.name)] = made.readable
            target = made.readable.target
            carried[-1].statements.append(Statement("view", target, made.sql))
            plan.views[target] = f"{quote(view.schema)}.{quote(view.name)}"
            if target != view.name:
                plan.notices.append(f"{view.shown!r} becomes {target!r}")
            for difference in made.differences:
                plan.losses.append(Loss("expression", view.shown, difference))
    return reasons


def _key(schema: str, name: str) -> str:
    return fold(f"{schema}.{name}")


def _tables(plan: Plan, schema: PgSchema) -> dict[str, Readable]:
    found: dict[str, Readable] = {}
    made = {table.source: table for table in plan.carried()}
    seen: set[str] = set()
    for table in schema.tables:
        key, planned = _key(table.schema, table.name), made.get(table.full_name)
        if planned is None or key in seen or table.has_heirs:
            found.pop(key, None)
        else:
            types = {column.name: column.type for column in table.columns}
            folded = {column.name for column in table.columns if column.is_folded}
            found[key] = readable_table(planned, types, folded)
        seen.add(key)
    return found


def _view(
    view: PgView,
    relations: dict[str, Readable],
    labelled: set[str],
    names: SqliteNames,
) -> View:
    given = sqlite_column_names([name for name, _ in view.columns])
    columns = [
        (*column, called) for column, called in zip(view.columns, given, strict=True)
    ]
    # A name is given away only where the view is one.
    view_to_sqlite(view.sql, "", columns, relations, labelled)
    wanted = view.name if view.schema == "public" else f"{view.schema}_{view.name}"
    target = names.give(wanted)
    return view_to_sqlite(view.sql, target, columns, relations, labelled)


def _try(scratch: sqlite3.Connection, made: View) -> None:
    scratch.execute(made.sql)
    name = quote(made.readable.target)
    try:
        scratch.execute(f"SELECT * FROM {name}").fetchone()
    except sqlite3.Error:
        scratch.execute(f"DROP VIEW {name}")
        raise
