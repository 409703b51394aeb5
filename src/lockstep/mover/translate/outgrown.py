"""Which integers of an expression may outgrow 64 bits, to be asked of SQLite.

Owns the question, in SQLite's own words: where an operation of two integers has no
room SQLite goes on with a rounded real, and PostgreSQL refuses the row.

See https://www.sqlite.org/lang_expr.html#operators_and_parse_affecting_attributes
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, cast

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.translate.syntax import parse
from lockstep.mover.translate.to_sqlite import sqlite_literal
from lockstep.mover.translate.tree import (
    Among,
    Between,
    Binary,
    Call,
    Case,
    Cast,
    Collate,
    Like,
    Literal,
    Name,
    Node,
    Unary,
    Untranslatable,
    within_depth,
)

_GROWS = frozenset({"+", "-", "*", "/"})


def outgrowing(sql: str) -> str:
    """Return a condition that holds for rows where an integer becomes a real.

    Returns:
        SQL of SQLite; empty where nothing is computed.

    Raises:
        Untranslatable: The expression cannot be read.

    Example:
        >>> outgrowing("qty > 0")
        ''
        >>> print(outgrowing("abs(a * 2)"))
        (typeof("a" * 2) = 'real' AND typeof("a") = 'integer' AND typeof(2) = 'integer')
    """
    with within_depth():
        return " OR ".join(_conditions(parse(sql)))


def _conditions(node: Node) -> Iterator[str]:
    if isinstance(node, Binary) and node.operator in _GROWS:
        left, right = _written(node.left), _written(node.right)
        yield (
            f"(typeof({left} {node.operator} {right}) = 'real' "
            f"AND typeof({left}) = 'integer' AND typeof({right}) = 'integer')"
        )
    elif isinstance(node, Unary) and node.operator == "-":
        of = _written(node.of)
        yield f"(typeof(- {of}) = 'real' AND typeof({of}) = 'integer')"
    for part in _parts(node):
        yield from _conditions(part)


def _parts(value: Any) -> Iterator[Node]:
    """Yield the nodes right below one, wherever they stand in it."""
    for item in fields(value):
        waiting = [getattr(value, item.name)]
        while waiting:
            found = waiting.pop()
            if isinstance(found, tuple):
                waiting += cast("tuple[Any, ...]", found)
            elif is_dataclass(found):
                yield cast("Node", found)


def _written(node: Node) -> str:
    """Return an expression again, in brackets where it has parts."""
    match node:
        case Literal(value):
            return sqlite_literal(value)
        case Name(name, table):
            return f"{quote(table)}.{quote(name)}" if table else quote(name)
        case Unary(operator, of):
            return f"({operator} {_written(of)})"
        case Binary(operator, left, right):
            return f"({_written(left)} {operator} {_written(right)})"
        case Like(operator, left, pattern, None):
            return f"({_written(left)} {operator} {_written(pattern)})"
        case Among(of, items):
            return f"({_written(of)} IN ({', '.join(map(_written, items))}))"
        case Between(of, low, high):
            return f"({_written(of)} BETWEEN {_written(low)} AND {_written(high)})"
        case Case(base, whens, otherwise):
            words = [] if base is None else [_written(base)]
            words += [f"WHEN {_written(a)} THEN {_written(b)}" for a, b in whens]
            words += [] if otherwise is None else [f"ELSE {_written(otherwise)}"]
            return f"(CASE {' '.join(words)} END)"
        case Call(name, arguments, False, False):
            return f"{name}({', '.join(map(_written, arguments))})"
        case Cast(of, declared):
            return f"CAST({_written(of)} AS {declared})"
        case Collate(of, collation):
            return f"({_written(of)} COLLATE {collation})"
        case _:
            raise Untranslatable("an expression that cannot be written again")
