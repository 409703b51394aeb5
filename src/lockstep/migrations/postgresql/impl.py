"""Alembic's operations on PostgreSQL, with exact type changes.

Owns what plain ALTER statements leave to the author: the USING of a type change,
the default that stands in its way, the checks a type brings along, enum values,
and native enum types that nothing uses any more.
Must not know: transactions (the runner's), autogenerate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import sqlalchemy as sa
from alembic.ddl.postgresql import PostgresqlImpl

from lockstep.errors import MigrationError
from lockstep.migrations.ddl import lone_column, make_dialect, own_checks, raw, type_sql
from lockstep.migrations.postgresql.conversion import is_native_enum, using_for
from lockstep.migrations.sqlite.conversion import is_exact, refuse_change
from lockstep.migrations.sqlite.table_text import Clause
from lockstep.migrations.sqlite.tokens import quote
from lockstep.schema.types.portable import quoted

_PLAIN = make_dialect("postgresql")

_ENUMS_OF_TABLE = """
SELECT t.oid::bigint, quote_ident(n.nspname) || '.' || quote_ident(t.typname)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid AND t.typtype = 'e'
JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE a.attrelid = to_regclass(:table) AND NOT a.attisdropped
  AND (CAST(:column AS text) IS NULL OR a.attname = :column)
"""
_ENUM_IS_USED = (
    "SELECT EXISTS (SELECT FROM pg_attribute WHERE atttypid = :oid "
    "AND NOT attisdropped)"
)


class SafePostgresqlImpl(PostgresqlImpl):
    """The operations of a revision on PostgreSQL."""

    @property
    def _metadata(self) -> sa.MetaData | None:
        found = self.context_opts.get("target_metadata")
        return found if isinstance(found, sa.MetaData) else None

    def alter_column(self, table_name: str, column_name: str, **options: Any) -> None:
        """Change a column; a new type carries its values over exactly.

        ``autoincrement`` gives the column a sequence of its own, or takes it away.
        """
        type_ = options.get("type_")
        options.pop("sqlite_using", None)
        counts = options.pop("autoincrement", None)
        default = options.get("server_default", False)
        known = type_ or options.get("existing_type")
        if isinstance(default, str) and known is not None:
            options["server_default"] = stored_default(known, default)
        if counts is False:
            self._drop_sequence(table_name, column_name)
        if type_ is None:
            super().alter_column(  # pyright: ignore[reportUnknownMemberType] - Alembic's
                table_name, column_name, **options
            )
        else:
            self._alter_type(table_name, column_name, type_, options)
        if counts is True:
            name = options.get("name") or column_name
            self._create_sequence(table_name, name)

    def _create_sequence(self, table: str, column: str) -> None:
        name = quote(f"{table}_{column}_seq"[:63])
        place, own = quote(table), quote(column)
        self._sql(f"CREATE SEQUENCE {name} OWNED BY {place}.{own}")
        self._sql(
            # All three are quoted identifiers.
            f"SELECT setval({quoted(name)}::regclass, "  # noqa: S608
            f"coalesce((SELECT max({own}) FROM {place}), 0) + 1, false)"
        )
        self._sql(
            f"ALTER TABLE {place} ALTER COLUMN {own} "
            f"SET DEFAULT nextval({quoted(name)}::regclass)"
        )

    def _drop_sequence(self, table: str, column: str) -> None:
        self._sql(
            f"ALTER TABLE {quote(table)} ALTER COLUMN {quote(column)} DROP DEFAULT"
        )
        owned = self._owned_sequence(table, column)
        if owned is not None:
            self._sql(f"DROP SEQUENCE {owned}")

    def _alter_type(
        self, table_name: str, column_name: str, type_: Any, options: dict[str, Any]
    ) -> None:
        new = sa.types.to_instance(type_)
        self._ensure_enum(new)
        old = options.get("existing_type")
        old = None if old is None else sa.types.to_instance(old)
        given = options.pop("postgresql_using", None)
        if old is not None:
            if given is None and not is_exact(old, new) and not self.as_sql:
                given = self._nothing_to_carry(table_name, column_name, old, new)
            self._drop_own_checks(table_name, column_name, old)
        using = using_for(quote(column_name), old, new, self.dialect)
        if given is None and using.condition is not None:
            self._refuse_inexact(table_name, column_name, using.condition, new)
        default = options.get("server_default", False)
        if default is not False:
            self._sql(
                f"ALTER TABLE {quote(table_name)} ALTER COLUMN {quote(column_name)} "
                "DROP DEFAULT"
            )
        super().alter_column(  # pyright: ignore[reportUnknownMemberType] - Alembic's
            table_name,
            column_name,
            postgresql_using=given or using.expression,
            **options,
        )
        name = options.get("name") or column_name
        self._add_own_checks(table_name, name, new)
        self._widen_sequence(table_name, name, new)

    def add_column(self, table_name: str, column: sa.Column[Any], **kw: Any) -> None:
        """Add a column, and its native enum type if that is new."""
        self._ensure_enum(column.type)
        super().add_column(table_name, column, **kw)

    def create_table(self, table: sa.Table, **kw: Any) -> None:
        """Create a table; native enum types that exist already are used."""
        for column in table.columns:
            self._ensure_enum(column.type)
        super().create_table(table, **kw)

    def _ensure_enum(self, type_: sa.types.TypeEngine[Any]) -> None:
        named: Any = type_.dialect_impl(self.dialect)
        if not is_native_enum(type_, self.dialect):
            return
        # SQLAlchemy would create it with each table that has such a column.
        named.create_type = False
        if self.connection is not None and not self.as_sql:
            query = sa.text("SELECT to_regtype(:name) IS NOT NULL")
            name = {"name": quote(str(named.name))}
            if self.connection.execute(query, name).scalar():
                return
        labels = ", ".join(quoted(label) for label in named.enums)
        self._sql(f"CREATE TYPE {quote(str(named.name))} AS ENUM ({labels})")

    def _nothing_to_carry(
        self,
        table: str,
        column: str,
        old: sa.types.TypeEngine[Any],
        new: sa.types.TypeEngine[Any],
    ) -> str:
        """Return the USING for a column without values; refuse one with some."""
        assert self.connection is not None, "only SQL texts have none"
        query = f"SELECT count({quote(column)}) FROM {quote(table)}"  # noqa: S608 - quoted
        rows = self.connection.execute(raw(query)).scalar()
        refuse_change(table, column, old, new, int(rows or 0))
        return "NULL"

    def _refuse_inexact(
        self,
        table: str,
        column: str,
        condition: str,
        new: sa.types.TypeEngine[Any],
    ) -> None:
        if self.as_sql or self.connection is None:
            return
        query = (
            f"SELECT count(*) FROM {quote(table)} "  # noqa: S608 - quoted
            f"WHERE {quote(column)} IS NOT NULL AND NOT ({condition})"
        )
        rows = self.connection.execute(raw(query)).scalar()
        if rows:
            raise MigrationError(
                f"{rows} rows of {table}.{column} cannot be carried to {new!r} "
                "without losing something",
                hint="correct those rows first, or give postgresql_using=",
                detail={"table": table, "column": column, "rows": rows},
            )

    def _widen_sequence(
        self, table: str, column: str, type_: sa.types.TypeEngine[Any]
    ) -> None:
        """Let a column's own sequence count as far as the column can."""
        owned = self._owned_sequence(table, column)
        if owned is not None and type_sql(self.dialect, type_) == "BIGINT":
            self._sql(f"ALTER SEQUENCE {owned} AS bigint")

    def _owned_sequence(self, table: str, column: str) -> str | None:
        if self.connection is None or self.as_sql:
            return None
        query = sa.text("SELECT pg_get_serial_sequence(:table, :column)")
        values = {"table": quote(table), "column": column}
        return self.connection.execute(query, values).scalar()

    def _own_checks(
        self, table: str, column: str, type_: sa.types.TypeEngine[Any]
    ) -> list[Clause]:
        lone = lone_column(table, column, type_, metadata=self._metadata)
        return own_checks(_PLAIN, lone)

    def _drop_own_checks(
        self, table: str, column: str, type_: sa.types.TypeEngine[Any]
    ) -> None:
        for check in self._own_checks(table, column, type_):
            if check.name is not None:
                self._sql(
                    f"ALTER TABLE {quote(table)} "
                    f"DROP CONSTRAINT IF EXISTS {quote(check.name)}"
                )

    def _add_own_checks(
        self, table: str, column: str, type_: sa.types.TypeEngine[Any]
    ) -> None:
        for check in self._own_checks(table, column, type_):
            self._sql(f"ALTER TABLE {quote(table)} ADD {check.text}")

    def _sql(self, statement: str) -> None:
        run = cast("Any", self)._exec
        run(sa.DDL(statement.replace("%", "%%")))

    def alter_enum(
        self,
        table_name: str,
        column_name: str,
        type_: sa.types.TypeEngine[Any],
        *,
        existing_type: sa.types.TypeEngine[Any],
        rename: Mapping[str, str | None],
    ) -> None:
        """Change the values an enum column may hold."""
        column = quote(column_name)
        using = enum_mapping(f"{column}::text", rename)
        if isinstance(type_, sa.Enum) and type_.native_enum:
            self._replace_native_enum(table_name, column_name, type_, using)
            return
        self._drop_own_checks(table_name, column_name, existing_type)
        words = type_sql(_PLAIN, type_)
        self._sql(
            f"ALTER TABLE {quote(table_name)} ALTER COLUMN {column} TYPE {words} "
            f"USING {using}"
        )
        self._add_own_checks(table_name, column_name, type_)

    def _replace_native_enum(
        self, table: str, column: str, type_: sa.Enum, using: str
    ) -> None:
        """Make the type anew.

        A value cannot be taken out of one, nor used in the transaction that added it.
        """
        name = str(type_.name)
        old = f"{name[:54]}_replaced"
        self._sql(f"ALTER TYPE {quote(name)} RENAME TO {quote(old)}")
        labels = ", ".join(quoted(label) for label in type_.enums)
        self._sql(f"CREATE TYPE {quote(name)} AS ENUM ({labels})")
        self._move_to_enum(table, column, name, using)
        self._move_other_columns(name, old)
        self._sql(f"DROP TYPE {quote(old)}")

    def _move_to_enum(self, table: str, column: str, name: str, using: str) -> None:
        """Give a column the new type; its default goes along as text."""
        default = self._default_text(table, column)
        prefix = f"ALTER TABLE {quote(table)} ALTER COLUMN {quote(column)}"
        if default is not None:
            self._sql(f"{prefix} DROP DEFAULT")
        self._sql(f"{prefix} TYPE {quote(name)} USING ({using})::{quote(name)}")
        if default is not None:
            literal = default.rpartition("::")[0] or default
            self._sql(f"{prefix} SET DEFAULT {literal}::{quote(name)}")

    def _default_text(self, table: str, column: str) -> str | None:
        if self.as_sql or self.connection is None:
            return None
        query = sa.text(
            "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d "
            "JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum "
            "WHERE d.adrelid = to_regclass(:table) AND a.attname = :column"
        )
        found = self.connection.execute(
            query, {"table": quote(table), "column": column}
        )
        return found.scalar()

    def _move_other_columns(self, name: str, old: str) -> None:
        """Let every other column that uses the type follow."""
        if self.as_sql or self.connection is None:
            return
        query = sa.text(
            "SELECT c.relname, a.attname FROM pg_attribute a "
            "JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') "
            "WHERE a.atttypid = to_regtype(:old) AND NOT a.attisdropped"
        )
        for table, column in self.connection.execute(query, {"old": quote(old)}).all():
            self._move_to_enum(table, column, name, f"{quote(column)}::text")

    def rename_constraint(
        self, table_name: str, old: str, new: str, *, if_exists: bool
    ) -> None:
        """Give a constraint another name."""
        if if_exists and not self._has_constraint(table_name, old):
            return
        self._sql(
            f"ALTER TABLE {quote(table_name)} "
            f"RENAME CONSTRAINT {quote(old)} TO {quote(new)}"
        )

    def _has_constraint(self, table: str, name: str) -> bool:
        if self.as_sql or self.connection is None:
            return True
        query = sa.text(
            "SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = :name "
            "AND conrelid = to_regclass(:table))"
        )
        found = self.connection.execute(query, {"table": quote(table), "name": name})
        return bool(found.scalar())

    def alter_sqlite_options(self, table_name: str, **_: bool) -> None:
        """Do nothing: these are SQLite's."""

    def drop_table(self, table: sa.Table, **kw: Any) -> None:
        """Drop a table, and the enum types that only it used."""
        enums = self._enums(table.name, None)
        super().drop_table(table, **kw)
        self._drop_unused(enums)

    def drop_column(self, table_name: str, column: Any, **kw: Any) -> None:
        """Drop a column, and the enum type that only it used."""
        enums = self._enums(table_name, str(column.name))
        super().drop_column(  # pyright: ignore[reportUnknownMemberType] - Alembic's
            table_name, column, **kw
        )
        self._drop_unused(enums)

    def _enums(self, table: str, column: str | None) -> list[tuple[int, str]]:
        if self.as_sql or self.connection is None:
            return []
        values = {"table": quote(table), "column": column}
        found = self.connection.execute(sa.text(_ENUMS_OF_TABLE), values)
        return [(int(oid), str(name)) for oid, name in found.all()]

    def _drop_unused(self, enums: list[tuple[int, str]]) -> None:
        for oid, name in dict(enums).items():
            assert self.connection is not None, "enums were read from it"
            used = self.connection.execute(sa.text(_ENUM_IS_USED), {"oid": oid})
            if not used.scalar():
                self._sql(f"DROP TYPE {name}")


def enum_mapping(column: str, rename: Mapping[str, str | None]) -> str:
    """Return SQL that gives each old value its new one."""
    if not rename:
        return column
    cases = " ".join(
        f"WHEN {quoted(old)} THEN {'NULL' if new is None else quoted(new)}"
        for old, new in rename.items()
    )
    return f"CASE {column} {cases} ELSE {column} END"


def stored_default(type_: Any, default: str) -> Any:
    """Return a default given as text, as a column of that type would keep it."""
    kind = sa.types.to_instance(type_)
    lone = lone_column("t", "c", kind, server_default=default)
    kept: Any = lone.c.c.server_default
    return kept.arg
