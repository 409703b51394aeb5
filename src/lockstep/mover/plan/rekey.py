"""Integer keys become UUIDs on the way, and every reference with them.

Owns which columns are rewritten. A key's UUID is computed from its table and its
number, so a reference needs no look-up, an orphan stays the orphan it was, a
killed move gives the same keys again, and a comparison reads the number back.

    0190a5f0-0000-7ttt-8nnn-nnnnnnnnnnnn    the instant of the plan, a table's tag,
                                            the number; sorted as the numbers were
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from lockstep.errors import InvalidPlan
from lockstep.mover.plan.model import ColumnPlan, Plan, Statement, TablePlan
from lockstep.mover.plan.names import SYSTEM_COLUMNS, Names
from lockstep.schema.names import constraint_name, quote_identifier

UUID_DEFAULT = "gen_random_uuid()"


@dataclass(frozen=True)
class Rekey:
    """What a move is asked to do with integer keys.

    Attributes:
        keep_as: The column that keeps the number; empty to drop the numbers.
        polymorphic: ``{"table.column": ("type column", {value: table})}``.
    """

    keep_as: str = ""
    polymorphic: Mapping[str, tuple[str, Mapping[str, str]]] = field(
        default_factory=dict[str, tuple[str, Mapping[str, str]]]
    )


def rekeyed(
    plan: Plan,
    *,
    keep_as: str,
    now_ms: int,
    polymorphic: Mapping[str, tuple[str, Mapping[str, str]]] | None = None,
) -> Plan:
    """Rewrite integer keys and all references to UUIDs, in place.

    Args:
        plan: From SQLite to PostgreSQL.
        keep_as: The column that keeps the number and goes on counting; empty to
            drop the numbers.
        now_ms: The instant in the keys, milliseconds since 1970.
        polymorphic: ``{"table.column": ("type column", {value: table})}`` for
            references that another column of the row directs.

    Raises:
        InvalidPlan: Something named is not there, or no key can be rewritten.
    """
    keys = {
        table.source: column
        for table in plan.carried()
        if (column := _own_key(table)) is not None
    }
    if plan.target != "postgresql" or not keys:
        raise InvalidPlan(
            "there is no integer key that could become a UUID", hint="leave --rekey out"
        )
    for table in plan.carried():
        for name, parent in table.references.items():
            if parent in keys:
                _make_uuid(table.column(name), parent, now_ms)
    for where, (directing, parents) in (polymorphic or {}).items():
        _direct(plan, where, directing, parents, now_ms)
    for table in plan.carried():
        column = keys.get(table.source)
        if column is None:
            continue
        _make_uuid(column, table.source, now_ms)
        column.default, column.identity = UUID_DEFAULT, False
        if keep_as:
            _keep_number(table, column, keep_as)
    plan.notices.append(f"{len(keys)} integer keys became UUIDs, references with them")
    return plan


def _own_key(table: TablePlan) -> ColumnPlan | None:
    """Return a table's key, if it is one integer that no reference is made of."""
    if len(table.primary_key) != 1:
        return None
    for column in table.columns:
        is_key = column.target == table.primary_key[0]
        if is_key and column.codec == "integer":
            return None if column.source in table.references else column
    return None


def tag_of(table: str) -> int:
    """Return ten bits that tell tables apart."""
    digest = hashlib.sha256(table.encode()).digest()
    return int.from_bytes(digest[:2]) & 0x3FF


def _make_uuid(column: ColumnPlan, parent: str, now_ms: int) -> None:
    if column.codec != "integer":
        raise InvalidPlan(
            f"{column.source} refers to {parent} and is no integer",
            hint='give it codec = "integer" in the plan: --write-plan FILE',
        )
    column.type, column.codec = "uuid", f"uuid7:{now_ms},{tag_of(parent)}"
    column.default, column.note = None, f"the key of {parent}"


def _direct(
    plan: Plan, where: str, directing: str, parents: Mapping[str, str], now_ms: int
) -> None:
    name, _, column_name = where.rpartition(".")
    try:
        table = plan.table(name)
        column = table.column(column_name)
        table.column(directing)
        for parent in parents.values():
            plan.table(parent)
    except KeyError as error:
        raise InvalidPlan(
            f"{where}: there is no {error}",
            hint="lockstep inspect lists tables and columns",
        ) from error
    _make_uuid(column, "", now_ms)
    tags = ",".join(f"{value}={tag_of(parent)}" for value, parent in parents.items())
    column.codec = f"uuid7_by:{now_ms},{directing},{tags}"
    column.note = f"a key that {directing} directs"


def _keep_number(table: TablePlan, key: ColumnPlan, keep_as: str) -> None:
    taken = frozenset(column.target for column in table.columns) | SYSTEM_COLUMNS
    name = Names(taken).give(keep_as)
    number = ColumnPlan(
        key.source, name, "bigint", "integer", not_null=True, identity=True
    )
    number.note = f"the number that was {key.source}"
    table.columns.append(number)
    unique = constraint_name("uq", table.target, name)
    table.statements.append(
        Statement(
            "unique",
            unique,
            f"ALTER TABLE {quote_identifier(table.target)} "
            f"ADD CONSTRAINT {quote_identifier(unique)} "
            f"UNIQUE ({quote_identifier(name)})",
        )
    )
