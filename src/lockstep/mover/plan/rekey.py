"""Integer keys become UUIDs on the way, and every reference with them.

Owns what they become; which they are says ``key_holders``. A key's UUID is computed
from its table and its number, so a reference needs no look-up, an orphan stays the
orphan it was, a killed move gives the same keys again, and a comparison reads the
number back.

    0190a5f0-0000-7ttt-8nnn-nnnnnnnnnnnn    the instant of the plan, a table's tag,
                                            the number; sorted as the numbers were
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from lockstep.errors import InvalidPlan
from lockstep.mover.model.plan import ColumnPlan, Loss, Plan, Statement, TablePlan
from lockstep.mover.plan.key_holders import Place, key_holders, key_place, undirected
from lockstep.mover.plan.names import SYSTEM_COLUMNS, Names
from lockstep.schema.names import constraint_name, quote_identifier

UUID_DEFAULT = "gen_random_uuid()"
TAGS = 2**10
"""As many tables the ten bits of a tag tell apart."""


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
    holders = key_holders(plan) if plan.target == "postgresql" else {}
    if not holders:
        raise InvalidPlan(
            "there is no integer key that could become a UUID", hint="leave --rekey out"
        )
    codecs = {
        table: f"{now_ms},{tag}" for table, tag in _tags(set(holders.values())).items()
    }
    for where, (directing, parents) in (polymorphic or {}).items():
        _direct(plan, where, directing, parents, holders, codecs)
    for name, column_name in undirected(plan, holders):
        plan.notices.append(
            f"{name}.{column_name} keeps its numbers: no foreign key says whose they "
            "are; --rekey-by does"
        )
    for (name, column_name), owner in holders.items():
        table = plan.table(name)
        column = table.column(column_name)
        _make_uuid(plan, name, column, f"uuid7:{codecs[owner]}")
        column.note = f"the key of {owner}"
        if name == owner and [column.target] == table.primary_key:
            column.default, column.identity = UUID_DEFAULT, False
            if keep_as:
                _keep_number(table, column, keep_as)
    plan.notices.append(
        f"{len(codecs)} integer keys became UUIDs, references with them"
    )
    return plan


def _tags(tables: set[str]) -> dict[str, int]:
    """Return ten bits for each table that tell it from the others.

    The same tables get the same bits.
    """
    if len(tables) > TAGS:
        raise InvalidPlan(
            f"--rekey tells {TAGS:,} integer keys apart, and there are {len(tables):,}",
            hint="leave --rekey out",
        )
    taken: dict[int, str] = {}
    for table in sorted(tables):
        tag = int.from_bytes(hashlib.sha256(table.encode()).digest()[:2]) % TAGS
        while tag in taken:
            tag = (tag + 1) % TAGS
        taken[tag] = table
    return {table: tag for tag, table in taken.items()}


def _make_uuid(plan: Plan, table: str, column: ColumnPlan, codec: str) -> None:
    where = f"{table}.{column.source}"
    if column.codec != "integer":
        raise InvalidPlan(
            f"{where} holds keys and is no integer, but {column.codec}",
            hint='give it codec = "integer" in the plan: --write-plan FILE',
        )
    column.type, column.codec, column.identity = "uuid", codec, False
    if column.default is not None:
        why = f"{column.default} is no UUID"
        plan.losses.append(Loss("default", where, why))
        column.default = None


def _direct(
    plan: Plan,
    where: str,
    directing: str,
    parents: Mapping[str, str],
    holders: Mapping[Place, str],
    codecs: Mapping[str, str],
) -> None:
    name, _, column_name = where.rpartition(".")
    try:
        column = plan.table(name).column(column_name)
        plan.table(name).column(directing)
        places = {value: key_place(plan, parent) for value, parent in parents.items()}
    except KeyError as error:
        raise InvalidPlan(
            f"{where}: there is no {error}",
            hint="lockstep inspect lists tables and columns",
        ) from error
    tags: list[str] = []
    for value, place in places.items():
        if place is None or place not in holders:
            raise InvalidPlan(
                f"{where}: the key of {parents[value]} does not become a UUID",
                hint="name tables that have an integer key",
            )
        tags.append(f"{value}={codecs[holders[place]].partition(',')[2]}")
    now_ms = next(iter(codecs.values())).partition(",")[0]
    _make_uuid(plan, name, column, ",".join([f"uuid7_by:{now_ms}", directing, *tags]))
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
