"""The DDL that SQLAlchemy would write for a column, without a database.

Owns the question "what does this type, default or check become on that engine",
answered by SQLAlchemy's own compiler, so that a rebuilt table is what
``create_all`` would have made. Must not know: connections.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable

from lockstep.migrations.sqlite.table_text import Clause, ColumnText, parse_table


def make_dialect(name: str) -> Dialect:
    """Return a dialect that compiles and is never connected."""
    if name == "sqlite":
        from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

        return SQLiteDialect_pysqlite()
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

    # With named parameters a percent sign stays one; what is compiled here is
    # written into a file, or doubled later on the way to the driver.
    return PGDialect_psycopg(paramstyle="named")


def column_ddl(
    dialect: Dialect, table: sa.Table, name: str, *, strict: bool = False
) -> tuple[ColumnText, list[Clause]]:
    """Return a column as SQLite text, and the table's constraints beside it.

    Args:
        dialect: SQLite's.
        table: Holds the column and whatever came with it; is not changed but for
            its STRICT option.
        name: The column.
        strict: Whether the table it goes to is STRICT.
    """
    table.dialect_options["sqlite"]["strict"] = strict
    text = parse_table(str(CreateTable(table).compile(dialect=dialect)))
    return text.column(name), text.constraints


def lone_column(
    table_name: str,
    name: str,
    type_: sa.types.TypeEngine[Any],
    *arguments: Any,
    metadata: sa.MetaData | None = None,
    **options: Any,
) -> sa.Table:
    """Return a table of that name that has only this column.

    Its constraints are those that the column's type brings along.

    Args:
        table_name: Constraints are named after it.
        name: The column.
        type_: Its type; it is copied.
        arguments: Such as ``sa.Computed``.
        metadata: Whose naming convention counts.
        options: Further arguments of ``sa.Column``.
    """
    naming = None if metadata is None else metadata.naming_convention
    own = sa.MetaData(naming_convention=naming)
    column: sa.Column[Any] = sa.Column(name, type_.copy(), *arguments, **options)
    return sa.Table(table_name, own, column)


def own_checks(
    dialect: Dialect, table: sa.Table, *, strict: bool = False
) -> list[Clause]:
    """Return the checks that a table's column types bring along."""
    table.dialect_options["sqlite"]["strict"] = strict
    statement = str(CreateTable(table).compile(dialect=dialect))
    return [
        clause
        for _, clause in parse_table(statement).clauses()
        if clause.kind == "check"
    ]


def raw(sql: str) -> sa.TextClause:
    """Return a query whose colons and percent signs mean only themselves."""
    return sa.text(sql.replace(":", "\\:"))


def type_sql(dialect: Dialect, type_: sa.types.TypeEngine[Any]) -> str:
    """Return the words of a type on an engine."""
    return type_.compile(dialect=dialect)


def expression_sql(dialect: Dialect, expression: Any, **compile_kwargs: Any) -> str:
    """Return an expression with its values written out, without table names."""
    options = {"literal_binds": True, "include_table": False, **compile_kwargs}
    return str(expression.compile(dialect=dialect, compile_kwargs=options))
