"""Which Python values may be bound to a statement.

Owns the one rule: exactly what the stdlib's sqlite3 takes (None, int, float, str,
bytes; bool is an int), everything else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.errors import ProgrammingError

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]


def bind(sql: str | None, parameters: Parameters) -> m.Statement:
    """Return the statement with its values, each of a type that SQLite has."""
    if not (sql is None or isinstance(cast("object", sql), str)):
        raise ProgrammingError(f"a statement is a str, not {type(sql).__name__}")
    if isinstance(parameters, Mapping):
        named = tuple((name, _value(v, name)) for name, v in parameters.items())
        return m.Statement(sql, named_args=named)
    if isinstance(parameters, str | bytes):
        raise ProgrammingError("parameters are a sequence or a mapping")
    args = [_value(value, number) for number, value in enumerate(parameters, start=1)]
    return m.Statement(sql, tuple(args))


def _value(value: Any, where: object) -> m.Value:
    if value is None or type(value) in (str, float, bytes):
        return cast("m.Value", value)
    if isinstance(value, int):
        number = int(value)
        if not m.INTEGER_MIN <= number <= m.INTEGER_MAX:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        return number
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(cast("bytes", value))
    raise ProgrammingError(
        f"parameter {where}: SQLite has no type for a {type(value).__name__}"
    )
