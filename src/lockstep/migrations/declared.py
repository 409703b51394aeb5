"""What a schema would be on PostgreSQL, told from declarations alone.

Owns the view of a metadata through PostgreSQL's compiler. From SQLite nobody can
see that a text became a timestamp, because SQLite stores both as TEXT; the
declared types of history and models show it. Must not know: databases.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from lockstep.migrations.ddl import expression_sql, make_dialect, type_sql
from lockstep.migrations.portable_default import portable_default
from lockstep.migrations.sqlite.tokens import canonical
from lockstep.migrations.state import ColumnState, IndexState, SchemaState, UniqueState
from lockstep.schema.types.portable import quoted

_POSTGRESQL = make_dialect("postgresql")


def declared_state(metadata: sa.MetaData) -> SchemaState:
    """Return the part of the schema that SQLite cannot show."""
    state = SchemaState()
    for table in metadata.tables.values():
        made = state.table(table.name)
        made.comment = table.comment
        for column in table.columns:
            made.columns[column.name] = _column(column)
        for index in table.indexes:
            options = _options(index)
            if options:
                name = str(index.name)
                made.indexes.append(IndexState(name, False, (), None, options))
        for constraint in table.constraints:
            options = _options(constraint)
            if isinstance(constraint, sa.UniqueConstraint) and options:
                name = str(constraint.name) if constraint.name is not None else None
                columns = tuple(column.name for column in constraint.columns)
                made.uniques.append(UniqueState(name, columns, options))
    return state


def _column(column: sa.Column[Any]) -> ColumnState:
    words = type_sql(_POSTGRESQL, column.type)
    labels = getattr(column.type, "enums", None)
    if labels:
        words = f"{words} ({', '.join(labels)})"
    default = portable_default(column)
    return ColumnState(
        name=column.name,
        type=words,
        nullable=bool(column.nullable),
        default=_default(default),
        generated=(
            canonical(expression_sql(_POSTGRESQL, default.sqltext))
            if isinstance(default, sa.Computed)
            else None
        ),
        identity=_identity(default) if isinstance(default, sa.Identity) else None,
        comment=column.comment,
    )


def _default(default: Any) -> str | None:
    if default is None or isinstance(default, sa.Computed | sa.Identity):
        return None
    argument = default.arg if isinstance(default, sa.DefaultClause) else default
    if isinstance(argument, str):
        return quoted(argument)
    return canonical(expression_sql(_POSTGRESQL, argument))


def _identity(identity: sa.Identity) -> str:
    names = ("always", "start", "increment", "minvalue", "maxvalue", "cycle", "cache")
    given = {name: getattr(identity, name, None) for name in names}
    return ", ".join(f"{name} {value}" for name, value in given.items() if value)


def _options(item: Any) -> str:
    """Return what only PostgreSQL is told about an index or constraint."""
    found = {
        key: value
        for key, value in item.dialect_kwargs.items()
        if key.startswith("postgresql_") and key != "postgresql_where" and value
    }
    return ", ".join(f"{key}={value!r}" for key, value in sorted(found.items()))
