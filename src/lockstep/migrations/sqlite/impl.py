"""Alembic's operations on SQLite, carried out without losing anything.

Owns the choice between SQLite's own ALTER TABLE, where it can do the job, and a
rebuild. One ``batch_alter_table`` block is at most one rebuild.
Must not know: transactions (the runner's), autogenerate.

    op.alter_column ─┐                     ┌─ ALTER TABLE … ADD / RENAME COLUMN
    op.drop_column  ─┼─► SafeSqliteImpl ───┤
    batch_op.…      ─┘                     └─ Rebuild (edits of the CREATE TABLE text)
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import sqlalchemy as sa
from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy.schema import AddConstraint

from lockstep.errors import MigrationError
from lockstep.migrations.ddl import column_ddl
from lockstep.migrations.postgresql.impl import enum_mapping
from lockstep.migrations.results import ProgressCallback, silent
from lockstep.migrations.sqlite import edits
from lockstep.migrations.sqlite.catalog import Catalog
from lockstep.migrations.sqlite.conversion import (
    conversion_for,
    is_exact,
    refuse_change,
)
from lockstep.migrations.sqlite.rebuild import Rebuild
from lockstep.migrations.sqlite.table_text import ColumnText, parse_table
from lockstep.migrations.sqlite.tokens import canonical, fold, quote


class NeedsForeignKeysOff(BaseException):
    """A revision must start again with ``foreign_keys`` off.

    Not an ``Exception``: a revision that catches everything must not swallow it.
    """


class SafeSqliteImpl(SQLiteImpl):
    """The operations of a revision on SQLite.

    Attributes:
        on_progress: Told about rows while a table is rebuilt.
        may_restart: Whether the caller starts the revision again with foreign
            keys off when ``NeedsForeignKeysOff`` asks for it.
        renamed_tables: Old name to new name, of this revision.
    """

    transactional_ddl = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_progress: ProgressCallback = silent
        self.may_restart = False
        self.renamed_tables: dict[str, str] = {}
        self._open: Rebuild | None = None
        self._absorbed: sa.Table | None = None
        self._batch_naming: sa.MetaData | None = None

    @property
    def _metadata(self) -> sa.MetaData | None:
        """Whose naming convention counts for constraints without a name."""
        found = self.context_opts.get("target_metadata")
        return found if isinstance(found, sa.MetaData) else None

    @property
    def _catalog(self) -> Catalog:
        assert self.connection is not None, "operations on SQLite need a connection"
        return Catalog(self.connection)

    def _require_foreign_keys_off(self) -> None:
        # Dropping a table with foreign keys on deletes its rows one by one, and
        # ON DELETE takes the rows of other tables with them.
        if self.may_restart and self._catalog.pragma("foreign_keys"):
            raise NeedsForeignKeysOff

    def _refuse_offline(self, table_name: str) -> None:
        if self.as_sql:
            raise MigrationError(
                f"changing table {table_name!r} on SQLite needs the database itself",
                hint="--sql is for PostgreSQL; SQLite rebuilds the table it finds",
            )

    @contextmanager
    def editing(self, table_name: str) -> Generator[Rebuild]:
        """Yield the rebuild of a table; it runs at the end of the outermost block."""
        if self._open is not None and fold(self._open.name) == fold(table_name):
            yield self._open
            return
        self._refuse_offline(table_name)
        self._require_foreign_keys_off()
        assert self.connection is not None
        rebuild = Rebuild(self.connection, table_name, self.on_progress)
        previous, self._open = self._open, rebuild
        try:
            yield rebuild
        finally:
            rebuild, self._open = self._open, previous
        rebuild.run()

    def run_batch(self, batch: Any) -> None:
        """Carry out a ``batch_alter_table`` block, as one rebuild if it needs one."""
        convention = batch.naming_convention
        self._batch_naming = (
            None if convention is None else sa.MetaData(naming_convention=convention)
        )
        items = list(batch.batch)
        always = batch.recreate == "always" or bool(batch.table_args)
        try:
            if not always and not any(self._needs_rebuild(item) for item in items):
                self._run_items(items)
                return
            with self.editing(batch.table_name):
                self._run_items(items)
                for argument in batch.table_args:
                    self._add_table_argument(batch.table_name, argument)
                self._reorder(batch.partial_reordering)
                if self._open is not None and batch.recreate == "always":
                    self._open.is_changed = True
        finally:
            self._batch_naming = None

    def _run_items(self, items: list[tuple[str, Any, Any]]) -> None:
        for name, arguments, options in items:
            getattr(self, name)(*arguments, **options)

    def _needs_rebuild(self, item: tuple[str, Any, Any]) -> bool:
        name, arguments, options = item
        if name == "alter_column":
            keys = ("type_", "nullable", "server_default")
            return any(options.get(key) not in (None, False) for key in keys) or (
                options.get("nullable") is False
                or options.get("server_default", False) is None
            )
        if name == "add_column":
            return not self._can_add_natively(arguments[0], arguments[1], options)
        return name not in (
            "create_index",
            "drop_index",
            "create_column_comment",
            "create_table_comment",
            "drop_table_comment",
        )

    def _add_table_argument(self, table_name: str, argument: Any) -> None:
        table = sa.Table(table_name, sa.MetaData(), argument)
        if isinstance(argument, sa.Constraint):
            assert argument.table is table, "constraints are bound to their table"
            self.add_constraint(argument)

    def _reorder(self, groups: Any) -> None:
        if not groups or self._open is None:
            return
        columns = self._open.table.columns
        for group in groups:
            wanted = [columns[edits.position(self._open, name)] for name in group]
            places = sorted(columns.index(column) for column in wanted)
            for place, column in zip(places, wanted, strict=True):
                columns[place] = column
        self._open.is_changed = True

    def alter_column(self, table_name: str, column_name: str, **options: Any) -> None:
        """Change a column: type, default, NULL, name; a rename comes last."""
        if self._needs_rebuild(("alter_column", (), options)):
            with self.editing(table_name) as rebuild:
                self._alter(rebuild, column_name, options)
        new_name = options.get("name")
        if new_name is not None and new_name != column_name:
            self._rename_column(table_name, column_name, new_name)

    def _alter(self, rebuild: Rebuild, name: str, options: dict[str, Any]) -> None:
        at = edits.position(rebuild, name)
        column = rebuild.table.columns[at]
        type_, old = options.get("type_"), options.get("existing_type")
        new = None if type_ is None else sa.types.to_instance(type_)
        old = None if old is None else sa.types.to_instance(old)
        if new is not None:
            edits.swap_own_checks(rebuild, name, old, new, self._metadata)
            column = edits.set_type(
                rebuild, rebuild.table.columns[at], new, self._metadata
            )
            self._convert(rebuild, column.name, old, new, options.get("sqlite_using"))
        if options.get("nullable") is not None:
            column = edits.set_nullable(column, bool(options["nullable"]))
            if not options["nullable"]:
                self._refuse_nulls(rebuild, column.name)
        default = options.get("server_default", False)
        if default is not False:
            kind = new or old or sa.Text()
            column = edits.set_default(rebuild, column, default, kind)
        rebuild.table.columns[at] = column
        rebuild.is_changed = True

    def _convert(
        self,
        rebuild: Rebuild,
        column: str,
        old: sa.types.TypeEngine[Any] | None,
        new: sa.types.TypeEngine[Any],
        using: str | None,
    ) -> None:
        if using is not None:
            rebuild.expressions[fold(column)] = using
            return
        if old is not None and not is_exact(old, new):
            refuse_change(rebuild.name, column, old, new, self._values(rebuild, column))
            rebuild.expressions[fold(column)] = "NULL"
            return
        conversion = conversion_for(rebuild.name, column, old, new, self.dialect)
        if conversion is not None:
            rebuild.conversions[fold(column)] = conversion

    def _values(self, rebuild: Rebuild, column: str) -> int:
        """Count the rows that have a value in a column."""
        if fold(column) not in rebuild.old_columns():
            return 0
        query = f"SELECT count({quote(column)}) FROM {quote(rebuild.name)}"  # noqa: S608 - quoted
        return int(self._catalog.scalar(query))

    def _refuse_nulls(self, rebuild: Rebuild, column: str) -> None:
        if fold(column) not in rebuild.old_columns():
            return
        nulls = self._catalog.scalar(
            f"SELECT count(*) FROM {quote(rebuild.name)} "  # noqa: S608 - quoted
            f"WHERE {quote(column)} IS NULL"
        )
        if nulls:
            raise MigrationError(
                f"{rebuild.name}.{column} cannot become NOT NULL: {nulls} rows "
                "have no value",
                hint="fill them first: op.fill_column(table, column, value)",
                detail={"table": rebuild.name, "column": column, "rows": nulls},
            )

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
        with self.editing(table_name) as rebuild:
            edits.swap_own_checks(
                rebuild, column_name, existing_type, type_, self._metadata
            )
            at = edits.position(rebuild, column_name)
            column = rebuild.table.columns[at]
            rebuild.table.columns[at] = edits.set_type(
                rebuild, column, type_, self._metadata
            )
            if rename:
                rebuild.expressions[fold(column_name)] = enum_mapping(
                    quote(column_name), rename
                )
            rebuild.is_changed = True

    def _rename_column(self, table_name: str, old: str, new: str) -> None:
        # SQLite's own RENAME COLUMN also mends indexes, triggers, views and the
        # foreign keys of other tables. Edits so far must be in the file before.
        opened = self._open
        if opened is not None:
            opened.run()
        self._run(
            f"ALTER TABLE {quote(table_name)} "
            f"RENAME COLUMN {quote(old)} TO {quote(new)}"
        )
        if opened is not None:
            self._open = Rebuild(opened.connection, table_name, self.on_progress)

    def _run(self, statement: str) -> None:
        assert self.connection is not None
        self.connection.exec_driver_sql(statement)

    def add_column(
        self,
        table_name: str,
        column: sa.Column[Any],
        *,
        insert_before: str | None = None,
        insert_after: str | None = None,
        **options: Any,
    ) -> None:
        """Add a column with everything its type and arguments bring along."""
        self._refuse_offline(table_name)
        existing = {fold(name) for name in self._column_names(table_name)}
        if options.get("if_not_exists") and fold(column.name) in existing:
            return
        table = self._table_of(table_name, column)
        self._absorbed = table
        if self._open is None and self._can_add_natively(
            table_name, column, {"insert_before": insert_before or insert_after}
        ):
            shape, constraints = self._shape(table, column)
            inline = edits.inlined(shape, constraints)
            self._run(f"ALTER TABLE {quote(table_name)} ADD COLUMN {inline.sql}")
            return
        with self.editing(table_name) as rebuild:
            shape, constraints = self._shape(table, column)
            self._refuse_unfilled(rebuild, shape)
            edits.insert_column(
                rebuild, shape, constraints, before=insert_before, after=insert_after
            )

    def _can_add_natively(
        self, table_name: str, column: sa.Column[Any], options: Mapping[str, Any]
    ) -> bool:
        if options.get("insert_before") or options.get("insert_after"):
            return False
        table = self._table_of(table_name, column)
        shape, constraints = self._shape(table, column)
        return edits.fits_add_column(edits.inlined(shape, constraints))

    def _shape(
        self, table: sa.Table, column: sa.Column[Any]
    ) -> tuple[ColumnText, list[Any]]:
        strict = parse_table(self._catalog.table(table.name).sql).is_strict
        return column_ddl(self.dialect, table, column.name, strict=strict)

    def _table_of(self, table_name: str, column: sa.Column[Any]) -> sa.Table:
        found = cast("sa.Table | None", column.table)
        if found is not None:
            return found
        convention = self._metadata and self._metadata.naming_convention
        own = sa.MetaData(naming_convention=convention or None)
        return sa.Table(table_name, own, column)

    def _column_names(self, table: str) -> list[str]:
        rows = self._catalog.rows(f"PRAGMA table_xinfo({quote(table)})")
        return [row[1] for row in rows]

    def _refuse_unfilled(self, rebuild: Rebuild, column: ColumnText) -> None:
        required = column.clause("not null") is not None
        default = column.clause("default")
        empty = default is None or canonical(default.expression) == "null"
        alias = rebuild.table.rowid_alias() or column.clause("primary key")
        if not required or not empty or column.is_generated or alias == column.name:
            return
        rows = self._catalog.count(rebuild.name)
        if rows:
            raise MigrationError(
                f"column {column.name!r} cannot be added to {rebuild.name!r}: it is "
                f"NOT NULL without a default, and the table has {rows} rows",
                hint="add it nullable, op.fill_column(…), then make it NOT NULL",
                detail={"table": rebuild.name, "column": column.name, "rows": rows},
            )

    def drop_column(self, table_name: str, column: Any, **options: Any) -> None:
        """Drop a column with the constraints and indexes that speak of it."""
        name = str(column.name)
        existing = {fold(item) for item in self._column_names(table_name)}
        if options.get("if_exists") and fold(name) not in existing:
            return
        with self.editing(table_name) as rebuild:
            self._refuse_pointed_at(rebuild.name, name)
            edits.remove_column(rebuild, name)

    def _refuse_pointed_at(self, table: str, column: str) -> None:
        for child in self._catalog.tables_pointing_at(table):
            for row in self._catalog.rows(f"PRAGMA foreign_key_list({quote(child)})"):
                same = fold(row[2]) == fold(table)
                if same and fold(row[4] or "") == fold(column):
                    raise MigrationError(
                        f"{table}.{column} cannot be dropped: {child}.{row[3]} "
                        "points at it",
                        hint="drop that foreign key first",
                    )

    def add_constraint(self, const: Any, **_: Any) -> None:
        """Add a constraint to a table that is there already."""
        came_with_column = self._absorbed is not None and const.table is self._absorbed
        if came_with_column or not self._applies(const):
            return
        with self.editing(const.table.name) as rebuild:
            edits.add_clause(rebuild, edits.table_clause(const, self.dialect))

    def _applies(self, const: Any) -> bool:
        rule = const._create_rule
        if rule is not None and not rule(self):
            return False
        condition = getattr(const, "_ddl_if", None)
        return condition is None or condition._should_execute(
            AddConstraint(const), const, None, dialect=self.dialect
        )

    def drop_constraint(self, const: Any, **options: Any) -> None:
        """Drop a constraint by name; an unnamed one by its conventional name."""
        with self.editing(const.table.name) as rebuild:
            found = self._find(rebuild, str(const.name))
            if found is None:
                if options.get("if_exists"):
                    return
                raise MigrationError(
                    f"table {rebuild.name!r} has no constraint {const.name!r}",
                    hint="correct the name in the revision, or pass if_exists=True",
                )
            edits.drop_clause(rebuild, found)

    def _find(self, rebuild: Rebuild, name: str) -> Any:
        conventions = [m for m in (self._batch_naming, self._metadata) if m is not None]
        return edits.named(rebuild, name) or edits.unnamed_but_called(
            rebuild, name, conventions
        )

    def rename_constraint(
        self, table_name: str, old: str, new: str, *, if_exists: bool
    ) -> None:
        """Give a constraint another name."""
        with self.editing(table_name) as rebuild:
            found = edits.named(rebuild, old)
            if found is not None:
                edits.rename_clause(rebuild, found, new)
            elif not if_exists:
                raise MigrationError(
                    f"table {table_name!r} has no constraint {old!r}",
                    hint="correct the name in the revision, or pass if_exists=True",
                )

    def alter_sqlite_options(self, table_name: str, **options: bool) -> None:
        """Change STRICT, WITHOUT ROWID or AUTOINCREMENT."""
        with self.editing(table_name) as rebuild:
            edits.set_options(rebuild, options)

    def rename_table(
        self, old_table_name: str, new_table_name: Any, schema: Any = None
    ) -> None:
        """Rename a table; the foreign keys of other tables follow."""
        super().rename_table(old_table_name, new_table_name, schema)
        self.renamed_tables[str(old_table_name)] = str(new_table_name)

    def drop_table(self, table: sa.Table, **kw: Any) -> None:
        """Drop a table without touching the rows of another one."""
        if not self.as_sql:
            self._require_foreign_keys_off()
        super().drop_table(table, **kw)

    def create_index(self, index: sa.Index, **kw: Any) -> None:
        """Create an index, after the rebuild when one is open."""
        create = super().create_index
        if self._open is None:
            create(index, **kw)
        else:
            self._open.afterwards.append(lambda: create(index, **kw))

    def create_table_comment(self, table: sa.Table) -> None:
        """Do nothing: SQLite keeps no comments."""

    def drop_table_comment(self, table: sa.Table) -> None:
        """Do nothing: SQLite keeps no comments."""

    def create_column_comment(self, column: sa.Column[Any]) -> None:
        """Do nothing: SQLite keeps no comments."""
