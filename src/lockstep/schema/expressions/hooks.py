"""Where the rules of this package meet SQLAlchemy's compilers.

Owns the registrations, and nothing but them: each element is handed to the rule
that knows it, on the dialect that needs it, and then to SQLAlchemy's own visitor.
An expression without a portable type passes unchanged.

This is SQLAlchemy's documented way of changing the compilation of a built-in
construct (``sqlalchemy.ext.compiler``); it costs one look per element and only
when a statement is compiled, not when it is taken from the cache.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.dml import Insert, Update
from sqlalchemy.sql.elements import (
    BinaryExpression,
    Case,
    Cast,
    ExpressionClauseList,
    Over,
)
from sqlalchemy.sql.functions import Function
from sqlalchemy.sql.selectable import CompoundSelect, Select

from lockstep.schema.expressions import (
    assignments,
    families,
    functions,
    ordering,
    patterns,
    scales,
)
from lockstep.schema.expressions.operands import BETWEENS, portable


@compiles(BinaryExpression, "sqlite")
def _sqlite_binary(element: BinaryExpression[Any], compiler: Any, **kw: Any) -> str:
    if patterns.is_pattern_match(element):
        return patterns.sqlite(element, compiler, **kw)
    element = families.bind_sides(element)
    right_clauses = (
        tuple(getattr(element.right, "clauses", ()))
        if element.operator in BETWEENS
        else ()
    )
    scales.tuples(element)
    if any(portable(side) for side in (element.left, element.right, *right_clauses)):
        families.check(element)
    if scales.involves_decimal(element.left, element.right, *right_clauses):
        element = scales.binary(element)
    return compiler.visit_binary(element, **kw)


@compiles(BinaryExpression, "postgresql")
def _postgresql_binary(element: BinaryExpression[Any], compiler: Any, **kw: Any) -> str:
    if patterns.is_pattern_match(element):
        element = patterns.postgresql(element)
    return compiler.visit_binary(families.bind_sides(element), **kw)


@compiles(ExpressionClauseList, "sqlite")
def _sqlite_clause_list(
    element: ExpressionClauseList[Any], compiler: Any, **kw: Any
) -> str:
    if scales.involves_decimal(*element.clauses):
        element = scales.clause_list(element)
    return compiler.visit_expression_clauselist(element, **kw)


@compiles(Function, "sqlite", "postgresql")
def _function(element: Function[Any], compiler: Any, **kw: Any) -> str:
    element = functions.function(element, compiler.dialect.name)
    return compiler.visit_function(element, **kw)


@compiles(Case, "sqlite", "postgresql")
def _case(element: Case[Any], compiler: Any, **kw: Any) -> str:
    return compiler.visit_case(functions.case(element, compiler.dialect.name), **kw)


@compiles(Cast, "sqlite")
def _sqlite_cast(element: Cast[Any], compiler: Any, **kw: Any) -> str:
    return compiler.visit_cast(functions.cast(element), **kw)


@compiles(CompoundSelect, "sqlite")
def _sqlite_compound(element: Any, compiler: Any, **kw: Any) -> str:
    assignments.check_compound(element)
    return compiler.visit_compound_select(ordering.statement(element), **kw)


@compiles(Select, "sqlite")
def _sqlite_select(element: Any, compiler: Any, **kw: Any) -> str:
    return compiler.visit_select(ordering.statement(element), **kw)


@compiles(Over, "sqlite")
def _sqlite_over(element: Over[Any], compiler: Any, **kw: Any) -> str:
    return compiler.visit_over(ordering.window(element), **kw)


@compiles(Insert, "sqlite")
def _sqlite_insert(element: Insert, compiler: Any, **kw: Any) -> str:
    assignments.check_statement(element)
    return compiler.visit_insert(element, **kw)


@compiles(Update, "sqlite")
def _sqlite_update(element: Update, compiler: Any, **kw: Any) -> str:
    assignments.check_statement(element)
    return compiler.visit_update(element, **kw)
