"""Rows by key: one, or any number, whatever columns are wanted of them.

Owns the texts that find rows by their primary key. PostgreSQL takes any number of
keys as one array per column; SQLite a list of bounded length, filled up with its
last key to a power of two, so that ten texts serve every length. A key of several
columns is asked for row by row on SQLite.
"""

from __future__ import annotations

import sqlite3
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa

from lockstep.repository.compiled.statement import Slot, Statement, slot
from lockstep.repository.keys import in_arrays, lookup_type, matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lockstep.repository.compiled.plan import Plan
    from lockstep.repository.keys import Identity

#: Keys that one text asks for on SQLite.
KEYS_PER_TEXT_MAX: Final = 512


def lookup_of(plan: Plan[Any], kind: type[Any] | None, names: Sequence[str]) -> Lookup:
    """Return the lookup of these attributes; ``kind`` tells it from the plan's others.

    An attribute without a column is left out: the plan has a reason then.
    """
    columns = plan.columns
    return plan.kept.of(
        ("lookup", kind),
        lambda: Lookup(
            plan, kind, [columns[name] for name in names if name in columns]
        ),
    )


class Lookup:
    """Finds rows of one model by key.

    Args:
        plan: The model's.
        kind: Tells what is looked up apart from the plan's other lookups.
        columns: What is read of a row, in this order.

    """

    __slots__ = ("_shown", "columns", "kind", "plan")

    def __init__(
        self, plan: Plan[Any], kind: Any, columns: Sequence[sa.ColumnElement[Any]]
    ) -> None:
        self.plan = plan
        self.kind = kind
        self.columns = columns
        self._shown: Statement | None = None

    def find(self, driver: Any, identity: Identity) -> Sequence[Any] | None:
        """Return the values of the row with this key, if it is not soft-deleted."""
        # By far the most asked for: not even a dictionary is asked on the way.
        statement = self._shown
        if statement is None:
            statement = self._shown = Statement(
                self._by_key(with_deleted=False, lock=False), self.plan.dialect
            )
        return statement.row(driver, identity)

    def one(
        self, driver: Any, identity: Identity, *, lock: bool = False
    ) -> Sequence[Any] | None:
        """Return the values of the row with this key, soft-deleted or not, or None.

        Args:
            driver: The driver's connection.
            identity: The checked key.
            lock: Lock the row on PostgreSQL against other changes. SQLite's write
                transaction holds the only write lock anyway.
        """
        return self.by_key(lock=lock).row(driver, identity)

    def by_key(self, *, lock: bool) -> Statement:
        """Return the statement that ``one`` runs with a key's values."""
        return self.plan.statement(
            ("key", self.kind, lock), lambda: self._by_key(with_deleted=True, lock=lock)
        )

    def many(
        self, driver: Any, identities: Sequence[Identity], *, with_deleted: bool = True
    ) -> dict[Identity, Sequence[Any]]:
        """Return the values of the rows with these keys, by key."""
        plan, width = self.plan, len(self.columns)
        distinct = list(dict.fromkeys(identities))
        found: dict[Identity, Sequence[Any]] = {}
        if len(distinct) == 1 or (plan.dialect.name == "sqlite" and len(plan.keys) > 1):
            find = self.one if with_deleted else self.find
            for identity in distinct:
                row = find(driver, identity)
                if row is not None:
                    found[identity] = row
        elif distinct:
            for statement, values in self._texts(driver, distinct, with_deleted):
                for row in statement.rows(driver, values):
                    found[tuple(row[width:])] = row[:width]
        return found

    def _texts(
        self, driver: Any, identities: Sequence[Identity], with_deleted: bool
    ) -> Iterator[tuple[Statement, Sequence[Any]]]:
        plan, kind = self.plan, self.kind
        if plan.dialect.name == "postgresql":
            yield (
                plan.statement(
                    ("keys", kind, with_deleted), lambda: self._by_arrays(with_deleted)
                ),
                [list(each) for each in zip(*identities, strict=True)],
            )
            return
        limit = driver.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        most = max(1, min(KEYS_PER_TEXT_MAX, limit))
        for start in range(0, len(identities), most):
            values = [key for (key,) in identities[start : start + most]]
            length = min(most, 1 << (len(values) - 1).bit_length())
            values += repeat(values[-1], length - len(values))
            yield (
                plan.statement(
                    ("keys", kind, with_deleted, length),
                    lambda length=length: self._by_list(length, with_deleted),
                ),
                values,
            )

    def _by_key(self, *, with_deleted: bool, lock: bool) -> sa.Select[Any]:
        plan = self.plan
        slots = [cast("Any", Slot(number)) for number, _ in enumerate(plan.keys)]
        found = sa.select(*self.columns).where(
            matches(plan.keys, slots), *plan.hiding(with_deleted=with_deleted)
        )
        if lock:
            found = found.with_for_update(of=plan.table, key_share=True)
        return found

    def _by_arrays(self, with_deleted: bool) -> sa.Select[Any]:
        plan = self.plan
        slots = [Slot(number) for number, _ in enumerate(plan.keys)]
        return sa.select(*self.columns, *plan.keys).where(
            in_arrays(plan.keys, slots), *plan.hiding(with_deleted=with_deleted)
        )

    def _by_list(self, length: int, with_deleted: bool) -> sa.Select[Any]:
        (column,) = self.plan.keys
        kind = lookup_type(column)
        condition = column.in_([slot(number, kind) for number in range(length)])
        return sa.select(*self.columns, column).where(
            condition, *self.plan.hiding(with_deleted=with_deleted)
        )
