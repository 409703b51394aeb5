"""Tables that live elsewhere, or check less, on one engine."""

from __future__ import annotations

import sqlalchemy as sa

from lockstep.schema.portability.registry import Finding, Findings, table_check
from lockstep.schema.strict import is_strict

_KNOWN_OPTIONS = {"sqlite_strict", "sqlite_with_rowid", "sqlite_autoincrement"}


@table_check
def check_schema(table: sa.Table) -> Findings:
    """Find tables in a schema, which SQLite has not."""
    if table.schema is not None:
        yield Finding(
            "schema",
            table.fullname,
            f"the table is in the schema {table.schema}",
            "SQLite has no schemas; the name means an attached file there, and "
            "foreign keys do not cross files.",
            "Leave the schema out; give PostgreSQL a search_path if you need one.",
        )


@table_check
def check_strict(table: sa.Table) -> Findings:
    """Find tables whose column types SQLite would not enforce."""
    if not is_strict(table):
        yield Finding(
            "not-strict",
            table.fullname,
            "the table is not STRICT on SQLite",
            "An INTEGER column then holds text and 3.14159 too.",
            "Use lockstep.portable_metadata(), or sqlite_strict=True.",
        )


@table_check
def check_options(table: sa.Table) -> Findings:
    """Find options of one engine."""
    options = set(table.dialect_kwargs) - _KNOWN_OPTIONS
    words = {str(prefix) for prefix in getattr(table, "_prefixes", ())}
    if options or words:
        yield Finding(
            "engine-option",
            table.fullname,
            f"{', '.join(sorted(options | words))} applies to one engine",
            "The other engine makes a plain table.",
            "Do it in a revision for that engine only.",
        )
