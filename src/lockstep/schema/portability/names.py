"""Names that one engine cuts, confuses or keeps for itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from lockstep.schema.names import IDENTIFIER_BYTES_MAX
from lockstep.schema.portability.registry import (
    Finding,
    Findings,
    metadata_check,
    place,
    table_check,
)

_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def _cut(name: str) -> str:
    """Return what PostgreSQL keeps of a name."""
    kept = name.encode("utf-8")[:IDENTIFIER_BYTES_MAX]
    return kept.decode("utf-8", errors="ignore")


def _clashes(where: str, names: Iterable[str]) -> Findings:
    """Yield names of one scope that an engine takes for the same."""
    folded: dict[str, set[str]] = defaultdict(set)
    cut: dict[str, set[str]] = defaultdict(set)
    for name in names:
        folded[name.lower()].add(name)
        cut[_cut(name)].add(name)
    for group in folded.values():
        if len(group) > 1:
            yield Finding(
                "names-alike",
                where,
                f"{' and '.join(sorted(group))} differ only in case",
                "They are one name to SQLite and several to PostgreSQL.",
                "Rename all but one.",
            )
    for group in cut.values():
        if len(group) > 1:
            yield Finding(
                "names-cut-alike",
                where,
                f"{' and '.join(sorted(group))} differ only after 63 bytes",
                "PostgreSQL cuts names at 63 bytes: they become one.",
                "Shorten them.",
            )


def _named(table: sa.Table) -> Iterator[tuple[str, str]]:
    """Yield every name a table brings, and where."""
    yield table.fullname, table.name
    for column in table.columns:
        yield place(column), column.name
    for constraint in table.constraints:
        if isinstance(constraint.name, str):
            yield place(constraint), constraint.name
    for index in table.indexes:
        if isinstance(index.name, str):
            yield place(index), index.name


@table_check
def check_length(table: sa.Table) -> Findings:
    """Find names of more than 63 bytes."""
    for where, name in _named(table):
        size = len(name.encode("utf-8"))
        if size > IDENTIFIER_BYTES_MAX:
            yield Finding(
                "name-too-long",
                where,
                f"the name has {size} bytes",
                f"PostgreSQL cuts it to {_cut(name)} and says so only in a notice.",
                f"Use at most {IDENTIFIER_BYTES_MAX} bytes; the naming convention "
                "shortens constraints and indexes by itself.",
            )


@table_check
def check_columns(table: sa.Table) -> Findings:
    """Find columns that one engine cannot tell apart, or keeps for itself."""
    yield from _clashes(table.fullname, (column.name for column in table.columns))
    for column in table.columns:
        if column.name.lower() in _SYSTEM_COLUMNS:
            yield _reserved(place(column), "a system column of PostgreSQL")


@metadata_check
def check_tables(metadata: sa.MetaData) -> Findings:
    """Find tables and indexes that share a name in one scope."""
    by_schema: dict[str | None, list[sa.Table]] = defaultdict(list)
    for table in metadata.tables.values():
        by_schema[table.schema].append(table)
        if table.name.lower().startswith("sqlite_"):
            yield _reserved(table.fullname, "a name that SQLite keeps for itself")
    for tables in by_schema.values():
        yield from _clashes("metadata", (table.name for table in tables))
        yield from _shared(tables)


def _shared(tables: list[sa.Table]) -> Findings:
    """Yield names that two relations of one schema would have."""
    owners: dict[str, list[str]] = defaultdict(list)
    for table in tables:
        owners[table.name.lower()].append(table.fullname)
        for item in (*table.indexes, *_indexed_constraints(table)):
            if isinstance(item.name, str):
                owners[item.name.lower()].append(place(item))
    for name, places in owners.items():
        if len(places) > 1:
            yield Finding(
                "name-taken",
                places[0],
                f"{name} is also {', '.join(places[1:])}",
                "Tables and indexes share one space of names on both engines; "
                "PostgreSQL's unique and primary keys do too.",
                "Rename one of them.",
            )


def _indexed_constraints(table: sa.Table) -> Iterator[sa.Constraint]:
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint | sa.PrimaryKeyConstraint):
            yield constraint


def _reserved(where: str, what: str) -> Finding:
    return Finding(
        "reserved-name",
        where,
        f"the name is {what}",
        "That engine refuses to create it.",
        "Rename it.",
    )
