"""Whether an array holds a value, asked alike on both engines."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from lockstep.schema.types.numbers import BigInteger, Boolean


class array_has(FunctionElement[bool]):
    """``array_has(array, value)``: NULL for a NULL array, else true or false."""

    name = "array_has"
    type = Boolean()
    inherit_cache = True


class array_length(FunctionElement[int]):
    """``array_length(array)``: how many items; NULL for a NULL array."""

    name = "array_length"
    type = BigInteger()
    inherit_cache = True


def _arguments(element: Any, compiler: SQLCompiler, kw: dict[str, Any]) -> list[str]:
    return [compiler.process(argument, **kw) for argument in element.clauses]


@compiles(array_has)
def _postgresql_has(element: array_has, compiler: SQLCompiler, **kw: Any) -> str:
    array, value = _arguments(element, compiler, kw)
    return f"({value} = ANY ({array}))"


@compiles(array_has, "sqlite")
def _sqlite_has(element: array_has, compiler: SQLCompiler, **kw: Any) -> str:
    array, value = _arguments(element, compiler, kw)
    return (
        f"(CASE WHEN {array} IS NOT NULL THEN EXISTS (SELECT 1 "  # noqa: S608
        f"FROM json_each({array}) AS item WHERE item.value = {value}) END)"
    )


@compiles(array_length)
def _postgresql_length(element: array_length, compiler: SQLCompiler, **kw: Any) -> str:
    return f"cardinality({_arguments(element, compiler, kw)[0]})"


@compiles(array_length, "sqlite")
def _sqlite_length(element: array_length, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_array_length({_arguments(element, compiler, kw)[0]})"
