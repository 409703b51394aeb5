"""Alembic's operations on SQLite, carried out without losing anything.

Owns the choice between SQLite's own ALTER TABLE, where it can do the job, and a
rebuild. One ``batch_alter_table`` block is at most one rebuild.
Must not know: transactions (the runner's), autogenerate.

    op.alter_column ─┐                     ┌─ ALTER TABLE … ADD / RENAME COLUMN
    op.drop_column  ─┼─► SqliteOperations ─┤
    batch_op.…      ─┘                     └─ Rebuild (edits of the CREATE TABLE text)
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import sqlalchemy as sa
from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy.schema import AddConstraint, CreateTable

from lockstep.errors import MigrationError
from lockstep.migrations.conversions import sqlite_conversion
from lockstep.migrations.ddl import column_ddl, lone_column, own_checks
from lockstep.migrations.results import ProgressCallback, silent
from lockstep.migrations.sqlite.catalog import Catalog
from lockstep.migrations.sqlite.rebuild import Rebuild
from lockstep.migrations.sqlite.table_text import Clause, ColumnText, parse_table
from lockstep.migrations.sqlite.tokens import canonical, names_in, quote


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
    on_progress: ProgressCallback = staticmethod(silent)
    may_restart = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open: Rebuild | None = None
        self._absorbed: sa.Table | None = None
        self.renamed_tables: dict[str, str] = {}

    # What the model's metadata calls constraints that have no name of their own.
    @property
    def _metadata(self) -> sa.MetaData | None:
        found = self.context_opts.get("target_metadata")
        return found if isinstance(found, sa.MetaData) else None

    @property
    def _catalog(self) -> Catalog:
        assert self.connection is not None, "operations on SQLite need a connection"
        return Catalog(self.connection)

    def require_foreign_keys_off(self) -> None:
        """Make sure that dropping a table cannot touch another table's rows.

        Raises:
            NeedsForeignKeysOff: The revision must start again.
        """
        if self.may_restart and self._catalog.pragma("foreign_keys"):
            raise NeedsForeignKeysOff

    @contextmanager
    def editing(self, table_name: str) -> Generator[Rebuild]:
        """Yield the rebuild of a table; it runs at the end of the outermost block."""
        if self._open is not None and self._open.name.lower() == table_name.lower():
            yield self._open
            return
        self._refuse_offline(table_name)
        assert self.connection is not None
        self.require_foreign_keys_off()
        rebuild = Rebuild(self.connection, table_name, self.on_progress)
        self._open = rebuild
        try:
            yield rebuild
        finally:
            self._open = None
        rebuild.run()

    def _refuse_offline(self, table_name: str) -> None:
        if self.as_sql:
            raise MigrationError(
                f"changing table {table_name!r} on SQLite needs the database itself",
                hint="--sql is for PostgreSQL; SQLite rebuilds the table it finds",
            )

    def _strict(self, table_name: str) -> bool:
        if self._open is not None:
            return self._open.table.is_strict
        return parse_table(self._catalog.table(table_name).sql).is_strict

    def alter_column(self, table_name: str, column_name: str, **options: Any) -> None:
        """Change a column: type, default, NULL, name; a rename comes last."""
        wanted = ("type_", "nullable", "server_default")
        neutral = (None, None, False)
        changes = {
            key: options[key]
            for key, nothing in zip(wanted, neutral, strict=True)
            if options.get(key, nothing) is not nothing
        }
        if changes:
            with self.editing(table_name) as rebuild:
                self._alter(rebuild, column_name, changes, options)
        new_name = options.get("name")
        if new_name is not None and new_name != column_name:
            self._rename_column(table_name, column_name, new_name)

    def _alter(
        self,
        rebuild: Rebuild,
        name: str,
        changes: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        at = self._position(rebuild, name)
        column = rebuild.table.columns[at]
        if "type_" in changes:
            column = self._with_type(rebuild, column, changes["type_"], options)
        if "nullable" in changes:
            column = column.without("null", "not null")
            if not changes["nullable"]:
                column = column.with_clause(Clause("not null", None, "NOT NULL"))
                self._refuse_nulls(rebuild, column.name)
        if "server_default" in changes:
            column = self._with_default(
                rebuild, column, changes["server_default"], options
            )
        rebuild.table.columns[at] = column
        rebuild.is_changed = True

    def _position(self, rebuild: Rebuild, name: str) -> int:
        try:
            return rebuild.table.position(name)
        except KeyError:
            raise MigrationError(
                f"table {rebuild.name!r} has no column {name!r}"
            ) from None

    def _refuse_nulls(self, rebuild: Rebuild, column: str) -> None:
        if column.lower() in rebuild.expressions:
            return
        if column.lower() not in {
            name.lower() for name in _column_names(self._catalog, rebuild.name)
        }:
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

    def _with_type(
        self,
        rebuild: Rebuild,
        column: ColumnText,
        type_: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]],
        options: dict[str, Any],
    ) -> ColumnText:
        new = sa.types.to_instance(type_)
        old = options.get("existing_type")
        old = None if old is None else sa.types.to_instance(old)
        strict = rebuild.table.is_strict
        if old is not None:
            self._remove_own_checks(rebuild, column.name, old)
        shape, _ = column_ddl(
            self.dialect,
            lone_column(rebuild.name, column.name, new, metadata=self._metadata),
            column.name,
            strict=strict,
        )
        changed = ColumnText(
            column.name, shape.type, column.without("collate").clauses
        )
        collate = shape.clause("collate")
        if collate is not None:
            changed = changed.with_clause(collate)
        self._add_own_checks(rebuild, column.name, new)
        conversion = options.get("sqlite_using") or sqlite_conversion(
            self._catalog, rebuild.name, column.name, old, new, self.dialect
        )
        if conversion is not None:
            rebuild.expressions[column.name.lower()] = conversion
        return changed

    def _own_checks(
        self, rebuild: Rebuild, column: str, type_: sa.types.TypeEngine[Any]
    ) -> list[Clause]:
        table = lone_column(rebuild.name, column, type_, metadata=self._metadata)
        return own_checks(self.dialect, table, strict=rebuild.table.is_strict)

    def _remove_own_checks(
        self, rebuild: Rebuild, column: str, type_: sa.types.TypeEngine[Any]
    ) -> None:
        for check in self._own_checks(rebuild, column, type_):
            _drop_clause(rebuild, check)

    def _add_own_checks(
        self, rebuild: Rebuild, column: str, type_: sa.types.TypeEngine[Any]
    ) -> None:
        for check in self._own_checks(rebuild, column, type_):
            _drop_clause(rebuild, check)
            rebuild.table.constraints.append(check)

    def _with_default(
        self,
        rebuild: Rebuild,
        column: ColumnText,
        default: Any,
        options: dict[str, Any],
    ) -> ColumnText:
        plain = column.without("default", "generated")
        if default is None:
            return plain
        type_ = options.get("type_") or options.get("existing_type") or sa.Text()
        lone = lone_column(
            rebuild.name,
            column.name,
            sa.types.to_instance(type_),
            server_default=default,
        )
        shape, _ = column_ddl(
            self.dialect, lone, column.name, strict=rebuild.table.is_strict
        )
        for kind in ("default", "generated"):
            clause = shape.clause(kind)
            if clause is not None:
                return plain.with_clause(clause)
        return plain

    def _rename_column(self, table_name: str, old: str, new: str) -> None:
        # SQLite's own RENAME COLUMN also mends indexes, triggers, views and the
        # foreign keys of other tables; open edits must be in the file before.
        self._flush()
        self._exec_sql(
            f"ALTER TABLE {quote(table_name)} "
            f"RENAME COLUMN {quote(old)} TO {quote(new)}"
        )
        self._reopen(table_name)

    def _flush(self) -> None:
        if self._open is not None:
            self._open.run()

    def _reopen(self, table_name: str) -> None:
        if self._open is not None:
            self._open.__init__(self._open.connection, table_name, self.on_progress)

    def _exec_sql(self, statement: str) -> None:
        assert self.connection is not None
        self.connection.exec_driver_sql(statement)

    def add_column(
        self,
        table_name: str,
        column: sa.Column[Any],
        *,
        if_not_exists: bool | None = None,
        insert_before: str | None = None,
        insert_after: str | None = None,
        **_: Any,
    ) -> None:
        """Add a column with everything its type and arguments bring along."""
        self._refuse_offline(table_name)
        existing = {n.lower() for n in _column_names(self._catalog, table_name)}
        if if_not_exists and column.name.lower() in existing:
            return
        table = self._table_of(table_name, column)
        self._absorbed = column.table if column.table is not None else table
        shape, constraints = column_ddl(
            self.dialect, table, column.name, strict=self._strict(table_name)
        )
        placed = insert_before is not None or insert_after is not None
        inline = _inlined(shape, constraints)
        if self._open is None and not placed and _fits_add_column(inline):
            self._exec_sql(f"ALTER TABLE {quote(table_name)} ADD COLUMN {inline.sql}")
            return
        with self.editing(table_name) as rebuild:
            self._refuse_unfilled(rebuild, shape)
            at = len(rebuild.table.columns)
            if insert_before is not None:
                at = self._position(rebuild, insert_before)
            elif insert_after is not None:
                at = self._position(rebuild, insert_after) + 1
            rebuild.table.columns.insert(at, shape)
            rebuild.table.constraints += constraints
            rebuild.is_changed = True

    def _table_of(self, table_name: str, column: sa.Column[Any]) -> sa.Table:
        if column.table is not None:
            return cast("sa.Table", column.table)
        own = sa.MetaData(
            naming_convention=None
            if self._metadata is None
            else self._metadata.naming_convention
        )
        return sa.Table(table_name, own, column)

    def _refuse_unfilled(self, rebuild: Rebuild, column: ColumnText) -> None:
        required = column.clause("not null") is not None
        default = column.clause("default")
        empty = default is None or canonical(default.expression) == "null"
        if not required or not empty or column.is_generated:
            return
        rows = self._catalog.count(rebuild.name)
        if rows:
            raise MigrationError(
                f"column {column.name!r} cannot be added to {rebuild.name!r}: it is "
                f"NOT NULL without a default, and the table has {rows} rows",
                hint="add it nullable, op.fill_column(…), then make it NOT NULL",
                detail={"table": rebuild.name, "column": column.name, "rows": rows},
            )

    def drop_column(
        self,
        table_name: str,
        column: Any,
        *,
        if_exists: bool | None = None,
        **_: Any,
    ) -> None:
        """Drop a column with the constraints and indexes that speak of it."""
        existing = {n.lower() for n in _column_names(self._catalog, table_name)}
        if if_exists and column.name.lower() not in existing:
            return
        with self.editing(table_name) as rebuild:
            self._refuse_pointed_at(rebuild.name, column.name)
            at = self._position(rebuild, column.name)
            name = rebuild.table.columns[at].name
            del rebuild.table.columns[at]
            rebuild.table.constraints = [
                clause for clause in rebuild.table.constraints if not clause.names(name)
            ]
            for index, other in enumerate(rebuild.table.columns):
                kept = tuple(
                    clause
                    for clause in other.clauses
                    if clause.kind != "check" or not clause.names(name)
                )
                rebuild.table.columns[index] = ColumnText(other.name, other.type, kept)
            rebuild.dropped_columns.add(name)
            rebuild.is_changed = True

    def _refuse_pointed_at(self, table: str, column: str) -> None:
        for child in self._catalog.tables_pointing_at(table):
            for row in self._catalog.rows(f"PRAGMA foreign_key_list({quote(child)})"):
                same = row[2].lower() == table.lower()
                if same and (row[4] or "").lower() == column.lower():
                    raise MigrationError(
                        f"{table}.{column} cannot be dropped: {child}.{row[3]} "
                        "points at it",
                        hint="drop that foreign key first",
                    )

    def add_constraint(self, const: Any, **_: Any) -> None:
        """Add a constraint to a table that is there already."""
        if self._absorbed is not None and const.table is self._absorbed:
            return  # came with its column
        if not _applies(const, self):
            return
        with self.editing(const.table.name) as rebuild:
            statement = CreateTable(const.table)
            text = parse_table(str(statement.compile(dialect=self.dialect)))
            wanted = str(AddConstraint(const).compile(dialect=self.dialect))
            clause = _matching(text.constraints, const, wanted)
            if const.name is not None and self._find(rebuild, str(const.name)):
                raise MigrationError(
                    f"table {rebuild.name!r} already has a constraint {const.name!r}"
                )
            if clause.kind == "primary key":
                _remove_primary_key(rebuild)
            rebuild.table.constraints.append(clause)
            rebuild.is_changed = True

    def drop_constraint(self, const: Any, *, if_exists: bool = False, **_: Any) -> None:
        """Drop a constraint by name; an unnamed one by its conventional name."""
        with self.editing(const.table.name) as rebuild:
            found = self._find(rebuild, str(const.name))
            if found is None:
                if if_exists:
                    return
                raise MigrationError(
                    f"table {rebuild.name!r} has no constraint {const.name!r}"
                )
            _drop_clause(rebuild, found)
            rebuild.is_changed = True

    def _find(self, rebuild: Rebuild, name: str) -> Clause | None:
        clauses = list(rebuild.table.clauses())
        for _, clause in clauses:
            if clause.name is not None and clause.name.lower() == name.lower():
                return clause
        for column, clause in clauses:
            if clause.name is None and name in self._conventional(
                rebuild.name, column, clause
            ):
                return clause
        return None

    def _conventional(
        self, table: str, column: ColumnText | None, clause: Clause
    ) -> Sequence[str]:
        """Return what naming conventions would call an unnamed constraint."""
        columns = clause.columns if column is None else (column.name,)
        found: list[str] = []
        for metadata in (self._metadata, *self.batch_conventions):
            if metadata is not None:
                found += _named_by(metadata, table, columns, clause)
        return found

    batch_conventions: tuple[sa.MetaData, ...] = ()

    def rename_table(
        self, old_table_name: str, new_table_name: Any, schema: Any = None
    ) -> None:
        """Rename a table; references of other tables follow."""
        # With foreign keys off SQLite leaves the references of other tables alone
        # only in legacy mode, which is never on here.
        super().rename_table(old_table_name, new_table_name, schema)
        self.renamed_tables[str(old_table_name)] = str(new_table_name)

    def drop_table(self, table: sa.Table, **kw: Any) -> None:
        """Drop a table without touching the rows of another one."""
        if not self.as_sql:
            self.require_foreign_keys_off()
        super().drop_table(table, **kw)

    def create_index(self, index: sa.Index, **kw: Any) -> None:
        """Create an index, after the rebuild when one is open."""
        if self._absorbed is not None and index.table is self._absorbed:
            # It came with a column; the table it was compiled with has no other.
            index = _detached(index)
        if self._open is None:
            super().create_index(index, **kw)
            return
        parent = super()
        self._open.afterwards.append(lambda: parent.create_index(index, **kw))

    def drop_index(self, index: sa.Index, **kw: Any) -> None:
        """Drop an index."""
        super().drop_index(index, **kw)

    def create_table_comment(self, table: sa.Table) -> None:
        """Do nothing: SQLite keeps no comments."""

    def drop_table_comment(self, table: sa.Table) -> None:
        """Do nothing: SQLite keeps no comments."""

    def create_column_comment(self, column: sa.Column[Any]) -> None:
        """Do nothing: SQLite keeps no comments."""


def _detached(index: sa.Index) -> sa.Index:
    return index


def _column_names(catalog: Catalog, table: str) -> list[str]:
    return [row[1] for row in catalog.rows(f"PRAGMA table_xinfo({quote(table)})")]


def _inlined(shape: ColumnText, constraints: Sequence[Clause]) -> ColumnText:
    """Return the column with its table constraints written behind it.

    ADD COLUMN takes constraints of the column only; a foreign key or check of one
    column means the same there.
    """
    for clause in constraints:
        if clause.kind == "check":
            shape = shape.with_clause(clause)
        elif clause.kind == "foreign key" and len(clause.columns) == 1:
            at = clause.text.upper().index("REFERENCES")
            named = "" if clause.name is None else f"CONSTRAINT {quote(clause.name)} "
            text = named + clause.text[at:]
            shape = shape.with_clause(Clause("references", clause.name, text))
        else:
            shape = shape.with_clause(clause)
    return shape


def _fits_add_column(column: ColumnText) -> bool:
    """Whether SQLite's own ADD COLUMN takes this column.

    See: https://www.sqlite.org/lang_altertable.html#altertabaddcol
    """
    kinds = {clause.kind for clause in column.clauses}
    if kinds & {"primary key", "unique", "foreign key"}:
        return False
    default = column.clause("default")
    spelled = "null" if default is None else canonical(default.expression)
    constant = not default or not default.expression.lstrip().startswith("(")
    if not constant or spelled.startswith("current_"):
        return False
    generated = column.clause("generated")
    if generated is not None and "STORED" in generated.text.upper():
        return False
    if "not null" in kinds and spelled == "null" and generated is None:
        return False
    return not ("references" in kinds and spelled != "null")


def _applies(const: Any, impl: SafeSqliteImpl) -> bool:
    rule = const._create_rule
    if rule is not None and not rule(impl):
        return False
    when = getattr(const, "_ddl_if", None)
    return when is None or when._should_execute(
        AddConstraint(const), const, None, dialect=impl.dialect
    )


def _matching(clauses: Sequence[Clause], const: Any, wanted: str) -> Clause:
    if const.name is not None:
        for clause in clauses:
            if clause.name == str(const.name):
                return clause
    flat = canonical(wanted)
    for clause in clauses:
        if canonical(clause.text) in flat:
            return clause
    raise MigrationError(f"SQLite cannot state this constraint: {wanted}")


def _drop_clause(rebuild: Rebuild, clause: Clause) -> None:
    """Take a constraint out, wherever it stands: by name, else by meaning."""

    def same(item: Clause) -> bool:
        if item.kind != clause.kind:
            return False
        if clause.name is not None:
            return item.name is not None and item.name.lower() == clause.name.lower()
        return item.name is None and canonical(item.text) == canonical(clause.text)

    table = rebuild.table
    table.constraints = [item for item in table.constraints if not same(item)]
    for index, column in enumerate(table.columns):
        kept = tuple(item for item in column.clauses if not same(item))
        table.columns[index] = ColumnText(column.name, column.type, kept)


def _remove_primary_key(rebuild: Rebuild) -> None:
    table = rebuild.table
    table.constraints = [c for c in table.constraints if c.kind != "primary key"]
    table.columns = [column.without("primary key") for column in table.columns]


_CONVENTION_KINDS = {
    "unique": sa.UniqueConstraint,
    "primary key": sa.PrimaryKeyConstraint,
}


def _named_by(
    metadata: sa.MetaData, table: str, columns: Sequence[str], clause: Clause
) -> list[str]:
    own = sa.MetaData(naming_convention=metadata.naming_convention)
    made = sa.Table(table, own, *(sa.Column(name, sa.Integer()) for name in columns))
    constraint: sa.Constraint
    if clause.kind in _CONVENTION_KINDS:
        constraint = _CONVENTION_KINDS[clause.kind](*(made.c[name] for name in columns))
    elif clause.kind in ("foreign key", "references") and clause.target is not None:
        remote = [sa.Column(f"r{i}", sa.Integer()) for i in range(len(columns))]
        target = made if clause.target == table else sa.Table(clause.target, own)
        for item in remote:
            target.append_column(item)
        constraint = sa.ForeignKeyConstraint(list(columns), remote)
    else:
        return []
    made.append_constraint(constraint)
    names = sa.schema.CreateTable(made).compile(dialect=_NAMING_DIALECT)
    text = parse_table(str(names))
    return [
        item.name
        for item in text.constraints
        if item.name is not None and item.kind in (clause.kind, "foreign key")
    ]


from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite  # noqa: E402

_NAMING_DIALECT = SQLiteDialect_pysqlite()
_ = names_in
