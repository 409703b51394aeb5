"""What of a file's own schema no longer fits where tables of it have changed.

Owns one question of the way back: which views and triggers worked in the file as it
was, and do not in the file as it will be. SQLite takes a view over a column that is
not there, and a trigger that then makes every INSERT fail, so both are tried on empty
tables, before and after.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from lockstep.migrations.sqlite.tokens import fold, meaningful, quote, tokens
from lockstep.mover.model.plan import Plan
from lockstep.mover.translate.scratch import scratch_of

Object = tuple[str, str]
"""Type and name."""


def table_of(sql: str) -> str:
    """Return whose index or trigger a statement makes, in lower case.

    Example:
        >>> table_of('CREATE UNIQUE INDEX "on" ON "T" (a)')
        't'
    """
    parts = meaningful(tokens(sql))
    for place, part in enumerate(parts[:-1]):
        if part.is_word("ON") and parts[place + 1].name is not None:
            return fold(parts[place + 1].name or "")
    return ""


def broken_objects(plan: Plan, forward: Plan) -> dict[Object, str]:
    """Return the views and triggers that would fail now, and why.

    Args:
        plan: The way back, with its tables.
        forward: The move from the file.
    """
    own = [sql for kind, _, sql in forward.way_back if kind == "table"]
    before = dict(_failing(own, forward))
    after = dict(_failing([table.create for table in plan.carried()], forward))
    return {found: why for found, why in after.items() if found not in before}


def _failing(created: list[str], forward: Plan) -> Iterator[tuple[Object, str]]:
    with scratch_of(created) as scratch:
        for kind, name, sql in forward.way_back:
            if kind not in ("view", "trigger"):
                continue
            try:
                scratch.execute(sql)
                if kind == "view":
                    scratch.execute(f"SELECT * FROM {quote(name)} LIMIT 0")
                else:
                    _fire(scratch, table_of(sql))
                    scratch.execute(f"DROP TRIGGER {quote(name)}")
            except sqlite3.Error as error:
                yield (kind, name), str(error)
                scratch.execute(f"DROP {kind} IF EXISTS {quote(name)}")


def _fire(scratch: sqlite3.Connection, table: str) -> None:
    """Let SQLite compile what the trigger would do, without doing it."""
    rows = scratch.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,))
    names = [quote(name) for name, hidden in rows if not hidden]
    place = quote(table)
    scratch.execute(f"EXPLAIN INSERT INTO {place} DEFAULT VALUES")
    scratch.execute(f"EXPLAIN DELETE FROM {place}")
    if names:
        same = ", ".join(f"{name} = {name}" for name in names)
        scratch.execute(f"EXPLAIN UPDATE {place} SET {same}")
