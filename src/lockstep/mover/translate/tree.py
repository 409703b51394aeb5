"""An expression as a tree, whichever engine wrote it.

Owns the kinds of nodes, and the error for what has no safe form on the other engine.
Grammars make trees (``syntax``, ``postgresql_syntax``), translators read them.

Invariant: a node is a value; it knows no table, and nothing changes it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias


class Untranslatable(ValueError):
    """The expression has no safe form on the other engine; says which part."""


@dataclass(frozen=True)
class Literal:
    """NULL, an int, a float, a str or bytes."""

    value: int | float | str | bytes | None


@dataclass(frozen=True)
class Name:
    """A column, of ``table`` where one is named.

    ``is_text_too``: it stands in double quotes, which SQLite takes for a text
    where no column has the name.
    """

    name: str
    table: str = ""
    is_text_too: bool = False


@dataclass(frozen=True)
class Unary:
    """``-``, ``+``, ``~`` or ``NOT`` before an expression."""

    operator: str
    of: Node


@dataclass(frozen=True)
class Binary:
    """Two expressions and what stands between them, in upper case."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Like:
    """``LIKE`` and ``GLOB``; ``escape`` is None where nothing escapes."""

    operator: str
    left: Node
    pattern: Node
    escape: Node | None


@dataclass(frozen=True)
class Among:
    """``IN`` a list of expressions."""

    of: Node
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Between:
    """``BETWEEN low AND high``."""

    of: Node
    low: Node
    high: Node


@dataclass(frozen=True)
class Case:
    """``CASE [base] WHEN … THEN … ELSE … END``."""

    base: Node | None
    whens: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True)
class Call:
    """A function, its name in lower case; ``count(*)`` has ``is_star``."""

    name: str
    arguments: tuple[Node, ...]
    is_star: bool = False
    is_distinct: bool = False


@dataclass(frozen=True)
class Cast:
    """``CAST(of AS declared)``."""

    of: Node
    declared: str


@dataclass(frozen=True)
class Collate:
    """``of COLLATE name``, the name in upper case."""

    of: Node
    collation: str


@dataclass(frozen=True)
class Subquery:
    """A query in brackets; ``is_list`` behind IN and EXISTS, else one value."""

    query: Any
    is_list: bool = False


Node: TypeAlias = (
    Literal
    | Name
    | Unary
    | Binary
    | Like
    | Among
    | Between
    | Case
    | Call
    | Cast
    | Collate
    | Subquery
)


@contextmanager
def within_depth() -> Generator[None]:
    """Refuse what is nested deeper than this interpreter goes.

    SQLite takes a thousand levels, and a chain of ``OR`` is one for each.
    """
    try:
        yield
    except RecursionError:
        raise Untranslatable("an expression that is nested too deep") from None
