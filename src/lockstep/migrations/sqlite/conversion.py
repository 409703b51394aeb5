"""Values of a column carried into another type while a table is rebuilt.

Owns an SQL function, written in Python, that reads a stored value as the old type
does and stores it as the new type does. So a scaled decimal, a UUID's text or a
moment changes exactly, or the rebuild fails and says why.
Must not know: the rebuild.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.types import TypeEngine

from lockstep.errors import LockstepError, MigrationError
from lockstep.migrations.ddl import type_sql
from lockstep.migrations.kinds import Kind, bridge, can_change, kind_of

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Dialect

_numbers = itertools.count(1)
# Declared types that hold the same storage class and need no look at a value.
_AFFINE: tuple[Kind, ...] = ("text", "blob", "float", "integer", "boolean", "time")


@dataclass
class Conversion:
    """A change of type for one column of one rebuild.

    Attributes:
        sql: The function's name, to be called with the old column.
        failure: What went wrong inside the function, if it did.
    """

    table: str
    column: str
    old: TypeEngine[Any] | None
    new: TypeEngine[Any]
    dialect: Dialect
    sql: str = field(init=False)
    failure: Exception | None = None

    def __post_init__(self) -> None:
        self.sql = f"lockstep_convert_{next(_numbers)}"
        self._kind: Kind = kind_of(self.new)
        self._read = _reader(self.old, self.dialect)
        self._write = _writer(self.new, self.dialect)

    def install(self, connection: Connection) -> None:
        """Make the function known to the connection."""
        driver = cast("Any", connection.connection.driver_connection)
        driver.create_function(self.sql, 1, self.convert)

    def remove(self, connection: Connection) -> None:
        """Take the function away again."""
        driver = cast("Any", connection.connection.driver_connection)
        driver.create_function(self.sql, 1, None)

    def convert(self, stored: Any) -> Any:
        """Return a stored value as the new type stores it."""
        if stored is None:
            return None
        try:
            return self._write(bridge(self._read(stored), self._kind))
        except Exception as exc:
            self.failure = exc
            raise

    def explain(self) -> MigrationError:
        """Return the error for a value that did not fit."""
        cause = self.failure
        why = cause.message if isinstance(cause, LockstepError) else str(cause)
        old = "what is there" if self.old is None else repr(self.old)
        return MigrationError(
            f"a value of {self.table}.{self.column} cannot be carried from {old} to "
            f"{self.new!r}: {type(cause).__name__} ({_without_values(why)})",
            hint="correct those rows first, or add a new column and fill it with "
            "op.run_batches",
            detail={"table": self.table, "column": self.column},
        )


def conversion_for(
    table: str,
    column: str,
    old: TypeEngine[Any] | None,
    new: TypeEngine[Any],
    dialect: Dialect,
) -> Conversion | None:
    """Return how values change; None when they are stored alike.

    Raises:
        MigrationError: No value of the old type means the same in the new one.
    """
    if old is not None:
        one, two = kind_of(old), kind_of(new)
        alike = type_sql(dialect, old) == type_sql(dialect, new)
        if one == two and (repr(old) == repr(new) or one in _AFFINE):
            return None
        if one == two == "other" and alike:
            return None
        if {one, two} == {"integer", "boolean"} and two == "integer":
            return None
    return Conversion(table, column, old, new, dialect)


def refuse_change(
    table: str, column: str, old: TypeEngine[Any], new: TypeEngine[Any], rows: int
) -> None:
    """Refuse a change of family that has no exact way, if any row has a value.

    Args:
        table: For the message.
        column: For the message.
        old: The type so far.
        new: The type to be.
        rows: How many rows have a value.
    """
    one, two = kind_of(old), kind_of(new)
    if not rows or is_exact(old, new):
        return
    raise MigrationError(
        f"{table}.{column} cannot be changed from {old!r} to {new!r}: {one} has no "
        f"exact {two}, and {rows} rows have a value",
        hint="add a new column, fill it with op.run_batches, drop the old one; or "
        "give both postgresql_using= and sqlite_using=",
        detail={"table": table, "column": column, "rows": rows},
    )


def is_exact(old: TypeEngine[Any], new: TypeEngine[Any]) -> bool:
    """Whether values of one type can be tried in another."""
    one, two = kind_of(old), kind_of(new)
    return "other" in (one, two) or can_change(one, two)


def _reader(old: TypeEngine[Any] | None, dialect: Dialect) -> Callable[[Any], Any]:
    if old is None:
        return lambda stored: stored
    processor = old.dialect_impl(dialect).result_processor(dialect, None)
    return processor if processor is not None else (lambda stored: stored)


def _writer(new: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any]:
    processor = new.dialect_impl(dialect).bind_processor(dialect)
    return processor if processor is not None else (lambda value: value)


def _without_values(message: str) -> str:
    # Rows may hold secrets; a type's refusal begins with the value in quotes.
    return message.partition(" does not fit ")[2] or message.partition(":")[0]
