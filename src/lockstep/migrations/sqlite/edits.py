"""Changes of a table's definition, as edits of its text.

Owns what each operation does to columns and clauses of a ``Rebuild``. Nothing
here touches the database; ``Rebuild.run`` does. Must not know: Alembic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from lockstep.errors import MigrationError
from lockstep.migrations.ddl import column_ddl, lone_column, make_dialect, own_checks
from lockstep.migrations.sqlite.rebuild import Rebuild
from lockstep.migrations.sqlite.table_text import Clause, ColumnText, parse_table
from lockstep.migrations.sqlite.tokens import canonical, fold, quote

_SQLITE = make_dialect("sqlite")


def position(rebuild: Rebuild, name: str) -> int:
    """Return where a column stands.

    Raises:
        MigrationError: The table has no such column.
    """
    try:
        return rebuild.table.position(name)
    except KeyError:
        raise MigrationError(
            f"table {rebuild.name!r} has no column {name!r}",
            hint=f"name one of: {', '.join(c.name for c in rebuild.table.columns)}",
        ) from None


def set_nullable(column: ColumnText, nullable: bool) -> ColumnText:
    """Return the column with or without NOT NULL."""
    plain = column.without("null", "not null")
    if nullable:
        return plain
    return plain.with_clause(Clause("not null", None, "NOT NULL"))


def set_default(
    rebuild: Rebuild,
    column: ColumnText,
    default: Any,
    type_: sa.types.TypeEngine[Any],
) -> ColumnText:
    """Return the column with another default, computed expression, or none."""
    plain = column.without("default", "generated")
    if default is None or isinstance(default, sa.Identity):
        return plain
    arguments: list[Any] = [default] if isinstance(default, sa.Computed) else []
    options: dict[str, Any] = {} if arguments else {"server_default": default}
    lone = lone_column(rebuild.name, column.name, type_, *arguments, **options)
    shape, _ = column_ddl(_SQLITE, lone, column.name, strict=rebuild.table.is_strict)
    for kind in ("default", "generated"):
        clause = shape.clause(kind)
        if clause is not None:
            return plain.with_clause(clause)
    return plain


def set_type(
    rebuild: Rebuild,
    column: ColumnText,
    type_: sa.types.TypeEngine[Any],
    metadata: sa.MetaData | None,
) -> ColumnText:
    """Return the column with the words and collation of another type."""
    lone = lone_column(rebuild.name, column.name, type_, metadata=metadata)
    shape, _ = column_ddl(_SQLITE, lone, column.name, strict=rebuild.table.is_strict)
    changed = ColumnText(column.name, shape.type, column.without("collate").clauses)
    collate = shape.clause("collate")
    return changed if collate is None else changed.with_clause(collate)


def swap_own_checks(
    rebuild: Rebuild,
    column: str,
    old: sa.types.TypeEngine[Any] | None,
    new: sa.types.TypeEngine[Any] | None,
    metadata: sa.MetaData | None,
) -> None:
    """Take out the checks that the old type brought, put in the new one's."""
    strict = rebuild.table.is_strict
    if old is not None:
        lone = lone_column(rebuild.name, column, old, metadata=metadata)
        for check in own_checks(_SQLITE, lone, strict=strict):
            drop_clause(rebuild, check)
    if new is not None:
        lone = lone_column(rebuild.name, column, new, metadata=metadata)
        for check in own_checks(_SQLITE, lone, strict=strict):
            drop_clause(rebuild, check)
            at = position(rebuild, column)
            changed = rebuild.table.columns[at].with_clause(check)
            rebuild.table.columns[at] = changed


def insert_column(
    rebuild: Rebuild,
    shape: ColumnText,
    constraints: Sequence[Clause],
    *,
    before: str | None,
    after: str | None,
) -> None:
    """Put a column in, at the end unless a place is given."""
    if any(fold(c.name) == fold(shape.name) for c in rebuild.table.columns):
        raise MigrationError(
            f"table {rebuild.name!r} already has a column {shape.name!r}",
            hint="drop the line from the revision, or pass if_not_exists=True",
        )
    at = len(rebuild.table.columns)
    if before is not None:
        at = position(rebuild, before)
    elif after is not None:
        at = position(rebuild, after) + 1
    rebuild.table.columns.insert(at, shape)
    rebuild.table.constraints += constraints
    rebuild.is_changed = True


def remove_column(rebuild: Rebuild, name: str) -> None:
    """Take a column out, with every constraint that speaks of it."""
    table = rebuild.table
    at = position(rebuild, name)
    own_name = table.columns[at].name
    del table.columns[at]
    table.constraints = [c for c in table.constraints if not c.names(own_name)]
    for index, other in enumerate(table.columns):
        kept = tuple(
            clause
            for clause in other.clauses
            if clause.kind != "check" or not clause.names(own_name)
        )
        table.columns[index] = ColumnText(other.name, other.type, kept)
    rebuild.dropped_columns.add(own_name)
    rebuild.is_changed = True


def add_clause(rebuild: Rebuild, clause: Clause) -> None:
    """Put a table constraint in.

    Raises:
        MigrationError: There is one of that name.
    """
    if clause.name is not None and named(rebuild, clause.name) is not None:
        raise MigrationError(
            f"table {rebuild.name!r} already has a constraint {clause.name!r}",
            hint="drop the line from the revision, or choose another name",
        )
    table = rebuild.table
    if clause.kind == "primary key":
        table.constraints = [c for c in table.constraints if c.kind != clause.kind]
        table.columns = [column.without("primary key") for column in table.columns]
    table.constraints.append(clause)
    rebuild.is_changed = True


def drop_clause(rebuild: Rebuild, clause: Clause) -> None:
    """Take a constraint out, wherever it stands: by name, else by meaning."""

    def same(item: Clause) -> bool:
        if item.kind != clause.kind:
            return False
        if clause.name is not None:
            return item.name is not None and fold(item.name) == fold(clause.name)
        return item.name is None and canonical(item.text) == canonical(clause.text)

    table = rebuild.table
    table.constraints = [item for item in table.constraints if not same(item)]
    for index, column in enumerate(table.columns):
        kept = tuple(item for item in column.clauses if not same(item))
        table.columns[index] = ColumnText(column.name, column.type, kept)
    rebuild.is_changed = True


def rename_clause(rebuild: Rebuild, clause: Clause, name: str) -> None:
    """Give a constraint another name where it stands."""
    table = rebuild.table
    table.constraints = [
        item.renamed(name) if item is clause else item for item in table.constraints
    ]
    for index, column in enumerate(table.columns):
        clauses = tuple(
            item.renamed(name) if item is clause else item for item in column.clauses
        )
        table.columns[index] = ColumnText(column.name, column.type, clauses)
    rebuild.is_changed = True


def set_options(rebuild: Rebuild, options: Mapping[str, bool]) -> None:
    """Change STRICT, WITHOUT ROWID and AUTOINCREMENT."""
    table = rebuild.table
    strict = options.get("strict", table.is_strict)
    without = options.get("without_rowid", table.is_without_rowid)
    words = ["STRICT"] * strict + ["WITHOUT ROWID"] * without
    table.options = ", ".join(words)
    if "autoincrement" in options:
        _set_autoincrement(rebuild, on=options["autoincrement"])
    rebuild.is_changed = True


def _set_autoincrement(rebuild: Rebuild, *, on: bool) -> None:
    table = rebuild.table
    alias = table.rowid_alias()
    if alias is None:
        raise MigrationError(
            f"table {rebuild.name!r} has no INTEGER PRIMARY KEY to increment",
            hint="make one INTEGER column its only key",
        )
    table.constraints = [c for c in table.constraints if c.kind != "primary key"]
    at = table.position(alias)
    text = "PRIMARY KEY AUTOINCREMENT" if on else "PRIMARY KEY"
    plain = table.columns[at].without("primary key")
    table.columns[at] = plain.with_clause(Clause("primary key", None, text))


def named(rebuild: Rebuild, name: str) -> Clause | None:
    """Return the constraint of a name."""
    for _, clause in rebuild.table.clauses():
        if clause.name is not None and fold(clause.name) == fold(name):
            return clause
    return None


def unnamed_but_called(
    rebuild: Rebuild, name: str, conventions: Sequence[sa.MetaData]
) -> Clause | None:
    """Return the unnamed constraint that a naming convention would call so."""
    for column, clause in rebuild.table.clauses():
        columns = clause.columns if column is None else (column.name,)
        if clause.name is None and any(
            name in _names_by(metadata, rebuild.name, columns, clause)
            for metadata in conventions
        ):
            return clause
    return None


def _names_by(
    metadata: sa.MetaData, table: str, columns: Sequence[str], clause: Clause
) -> list[str]:
    """Return what a convention calls a constraint, from SQLAlchemy itself."""
    own = sa.MetaData(naming_convention=metadata.naming_convention)
    made = sa.Table(table, own, *(sa.Column(name, sa.Integer()) for name in columns))
    constraint: sa.Constraint
    if clause.kind == "unique":
        constraint = sa.UniqueConstraint(*columns)
    elif clause.kind == "primary key":
        constraint = sa.PrimaryKeyConstraint(*columns)
    elif clause.kind in ("foreign key", "references") and clause.target is not None:
        remote = [f"{clause.target}.r{index}" for index in range(len(columns))]
        if clause.target != table:
            sa.Table(
                clause.target,
                own,
                *(sa.Column(f"r{index}", sa.Integer()) for index in range(len(remote))),
            )
        constraint = sa.ForeignKeyConstraint(list(columns), remote)
    else:
        return []
    made.append_constraint(constraint)
    if clause.target == table:
        for index in range(len(columns)):
            made.append_column(sa.Column(f"r{index}", sa.Integer()))
    text = parse_table(str(sa.schema.CreateTable(made).compile(dialect=_SQLITE)))
    return [item.name for item in text.constraints if item.name is not None]


def inlined(shape: ColumnText, constraints: Sequence[Clause]) -> ColumnText:
    """Return a column with its table constraints written behind it.

    ADD COLUMN takes constraints of the column only; a foreign key or check of one
    column means the same there.
    """
    for clause in constraints:
        if clause.kind == "foreign key" and len(clause.columns) == 1:
            at = clause.text.upper().index("REFERENCES")
            head = "" if clause.name is None else f"CONSTRAINT {quote(clause.name)} "
            clause = Clause("references", clause.name, head + clause.text[at:])
        shape = shape.with_clause(clause)
    return shape


def fits_add_column(column: ColumnText) -> bool:
    """Whether SQLite's own ADD COLUMN takes this column.

    See: https://www.sqlite.org/lang_altertable.html#altertabaddcol
    """
    kinds = {clause.kind for clause in column.clauses}
    if kinds & {"primary key", "unique", "foreign key"}:
        return False
    default = column.clause("default")
    spelled = "null" if default is None else canonical(default.expression)
    constant = default is None or not default.expression.startswith("(")
    if not constant or spelled.startswith("current_"):
        return False
    generated = column.clause("generated")
    if generated is not None and "STORED" in generated.text.upper():
        return False
    if "not null" in kinds and spelled == "null" and generated is None:
        return False
    return not ("references" in kinds and spelled != "null")


def table_clause(constraint: sa.Constraint, dialect: Dialect) -> Clause:
    """Return a constraint of SQLAlchemy's as the text of a table constraint."""
    statement = str(sa.schema.AddConstraint(constraint).compile(dialect=dialect))
    body = statement.partition(" ADD ")[2]
    clauses = parse_table(f"CREATE TABLE x (y, {body})").constraints
    assert len(clauses) == 1, "one constraint was written"
    return clauses[0]
