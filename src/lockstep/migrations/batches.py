"""Data migrations: many rows, little memory, inside the revision's transaction.

Owns reading a table in the order of its key, batch by batch, and writing back
what a function returns. Must not know: Alembic, models. A revision declares the
columns it touches itself (``light_table``), because models change later and the
revision must not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from lockstep.errors import MigrationError
from lockstep.migrations.kinds import kind_of
from lockstep.migrations.pace import Pace
from lockstep.migrations.results import ProgressCallback, silent
from lockstep.schema.types.portable import quoted

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

# Large enough that the round trip does not count, small enough to fit anywhere.
BATCH_ROWS = 1000

Change = Callable[[Sequence[Any]], Iterable[Mapping[str, Any]] | None]


def light_table(name: str, /, **columns: Any) -> sa.TableClause:
    r"""Declare what a revision needs of a table: a name and typed columns.

    Args:
        name: The table.
        columns: Column name to type, such as ``id=ls.Uuid()``.

    Example:
        >>> ticket = light_table("ticket", id=sa.Integer(), title=sa.Text())
        >>> str(sa.select(ticket.c.title))
        'SELECT ticket.title \nFROM ticket'
    """
    return sa.table(name, *(sa.column(key, kind) for key, kind in columns.items()))


def run_batches(
    connection: Connection,
    table: sa.TableClause,
    change: Change,
    *,
    key: Sequence[str] = ("id",),
    where: sa.ColumnElement[bool] | None = None,
    batch_size: int = BATCH_ROWS,
    on_progress: ProgressCallback = silent,
) -> int:
    """Read rows in the order of their key and write back what ``change`` returns.

    Each row that matches ``where`` when its batch is read is seen once, also when
    ``change`` makes it no longer match.

    Args:
        connection: In the transaction that all batches belong to.
        table: Made with :func:`light_table`.
        change: Takes rows, returns dicts with the key and the columns to set.
        key: Columns that identify a row, NOT NULL.
        where: Which rows to read.
        batch_size: Rows per batch.
        on_progress: Told along the way.

    Returns:
        How many rows were read.

    Raises:
        MigrationError: A dict lacks the key, or names a row that is not there.
    """
    if batch_size < 1:
        raise MigrationError(
            f"a batch has at least one row, not {batch_size}",
            hint="leave batch_size out for the default",
        )
    keys = [_column(table, name) for name in key]
    condition = sa.true() if where is None else where
    total = connection.execute(
        sa.select(sa.func.count()).select_from(table).where(condition)
    ).scalar_one()
    pace = Pace(f"change {table.name}", total, on_progress)
    last: Row[Any] | None = None
    while True:
        query = sa.select(table).where(condition).order_by(*keys).limit(batch_size)
        if last is not None:
            query = query.where(_after(keys, [getattr(last, k.name) for k in keys]))
        rows = connection.execute(query).all()
        if not rows:
            return pace.done
        last = rows[-1]
        _write(connection, table, keys, change(rows))
        pace.advance(len(rows))


def _column(table: sa.TableClause, name: str) -> sa.ColumnClause[Any]:
    try:
        return table.c[name]
    except KeyError:
        raise MigrationError(
            f"table {table.name!r} was declared without its key column {name!r}",
            hint=f"light_table({table.name!r}, {name}=<type>, …), or key=(…)",
        ) from None


def _after(
    keys: Sequence[sa.ColumnClause[Any]], values: Sequence[Any]
) -> sa.ColumnElement[bool]:
    # (a, b) > (x, y) spelled out: both engines take row values, but only this
    # form binds each value with its column's type.
    steps: list[sa.ColumnElement[bool]] = []
    for index, (column, value) in enumerate(zip(keys, values, strict=True)):
        same = [k == v for k, v in zip(keys[:index], values[:index], strict=True)]
        steps.append(sa.and_(*same, column > value))
    return sa.or_(*steps)


def _write(
    connection: Connection,
    table: sa.TableClause,
    keys: Sequence[sa.ColumnClause[Any]],
    changes: Iterable[Mapping[str, Any]] | None,
) -> None:
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for item in changes or ():
        missing = [column.name for column in keys if column.name not in item]
        if missing:
            raise MigrationError(
                f"a change of {table.name!r} lacks its key {', '.join(missing)}",
                hint="return every key column in each dict",
            )
        sets = tuple(name for name in item if name not in {k.name for k in keys})
        if sets:
            values = {f"k_{column.name}": item[column.name] for column in keys}
            values |= {f"v_{name}": item[name] for name in sets}
            by_columns.setdefault(sets, []).append(values)
    for sets, parameters in by_columns.items():
        matching = [c == sa.bindparam(f"k_{c.name}", type_=c.type) for c in keys]
        assigned = {
            name: sa.bindparam(f"v_{name}", type_=_column(table, name).type)
            for name in sets
        }
        done = connection.execute(
            sa.update(table).where(*matching).values(assigned), parameters
        )
        if done.rowcount not in (-1, len(parameters)):
            raise MigrationError(
                f"{len(parameters)} changes of {table.name!r} matched "
                f"{done.rowcount} rows",
                hint="return only keys of the rows that the change was given",
            )


def fill_column(
    connection: Connection,
    table_name: str,
    column: sa.Column[Any],
    value: Any,
    *,
    key: Sequence[str] = (),
    on_progress: ProgressCallback = silent,
) -> int:
    """Give every row whose column is NULL a value; return how many there were.

    Args:
        connection: In the revision's transaction.
        table_name: The table.
        column: Name and type.
        value: A value, an SQL expression, or a function called for each row.
        key: The table's primary key; looked up when empty.
        on_progress: Told along the way of a function.
    """
    target = sa.table(table_name, sa.column(column.name, column.type))
    own = target.c[column.name]
    if not callable(value) or isinstance(value, sa.sql.ClauseElement):
        done = connection.execute(
            sa.update(target).where(own.is_(None)).values({column.name: value})
        )
        return done.rowcount
    found = sa.inspect(connection)
    names = list(key) or found.get_pk_constraint(table_name)["constrained_columns"]
    if not names:
        raise MigrationError(
            f"rows of {table_name!r} cannot be told apart: it has no primary key",
            hint="give one value for all rows instead of a function",
        )
    types = {item["name"]: item["type"] for item in found.get_columns(table_name)}
    keyed = light_table(
        table_name,
        **{name: types[name] for name in names},
        **{column.name: column.type},
    )

    def give(rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [
            {name: row._mapping[name] for name in names} | {column.name: value()}
            for row in rows
        ]

    return run_batches(
        connection,
        keyed,
        give,
        key=names,
        where=keyed.c[column.name].is_(None),
        on_progress=on_progress,
    )


def written_out(
    column: sa.Column[Any], value: Any, dialect: sa.Dialect
) -> sa.TextClause:
    """Return a value as SQL text, for a script that runs without this library.

    Raises:
        MigrationError: Values of this type cannot be written as text.
    """
    kind = column.type.dialect_impl(dialect)
    literal = kind.literal_processor(dialect)
    if literal is not None:
        return sa.text(literal(value).replace(":", "\\:"))
    if kind_of(column.type) == "json":
        return sa.text(quoted(json.dumps(value)).replace(":", "\\:"))
    bind = kind.bind_processor(dialect)
    stored = value if bind is None else bind(value)
    if isinstance(stored, str):
        return sa.text(quoted(stored).replace(":", "\\:"))
    if isinstance(stored, bytes):
        return sa.text(f"'\\\\x{stored.hex()}'")
    raise MigrationError(
        f"a value of {column.name!r} cannot be written into an SQL text",
        hint="run the upgrade on the database itself",
    )
