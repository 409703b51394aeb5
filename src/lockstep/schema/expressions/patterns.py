"""LIKE that means on SQLite what it means on PostgreSQL.

SQLite's LIKE ignores the case of ASCII letters, PostgreSQL's does not; and
PostgreSQL takes a backslash for an escape unless told otherwise. Over portable
text both become: case matters in LIKE, not (for ASCII letters) in ILIKE, ``%``
and ``_`` are the only wildcards, and nothing escapes them but ``escape=``.

SQLite has that operator under the name GLOB, with other wildcards: a bound
pattern is translated on its way to the driver, any other one by ``replace()``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BinaryExpression, BindParameter
from sqlalchemy.types import TypeEngine

from lockstep.schema.expressions.operands import (
    bound_as,
    copy_of,
    family_of,
    not_portable,
    portable,
    unwrapped,
)
from lockstep.schema.types.portable import PortableType
from lockstep.schema.types.text import Text, text_fault

_LIKE = {operators.like_op: False, operators.not_like_op: True}
_ILIKE = {operators.ilike_op: False, operators.not_ilike_op: True}
_AROUND = {
    operators.contains_op: ("%", "%", False, False),
    operators.not_contains_op: ("%", "%", True, False),
    operators.startswith_op: ("", "%", False, False),
    operators.not_startswith_op: ("", "%", True, False),
    operators.endswith_op: ("%", "", False, False),
    operators.not_endswith_op: ("%", "", True, False),
    operators.icontains_op: ("%", "%", False, True),
    operators.not_icontains_op: ("%", "%", True, True),
    operators.istartswith_op: ("", "%", False, True),
    operators.not_istartswith_op: ("", "%", True, True),
    operators.iendswith_op: ("%", "", False, True),
    operators.not_iendswith_op: ("%", "", True, True),
}
_SHAPES: dict[Any, tuple[str, str, bool, bool]] = {
    **{op: ("", "", negated, False) for op, negated in _LIKE.items()},
    **{op: ("", "", negated, True) for op, negated in _ILIKE.items()},
    **_AROUND,
}
"""Per operator: text before and after the pattern, negated, case ignored."""

_GLOB_SPECIAL = {"*": "[*]", "?": "[?]", "[": "[[]"}
_WILDCARD = {"%": "*", "_": "?"}
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def is_pattern_match(element: BinaryExpression[Any]) -> bool:
    """Tell whether this is LIKE, ILIKE or a relative over portable text."""
    if element.operator not in _SHAPES:
        return False
    sides = (element.left, element.right)
    return any(portable(side) and family_of(side) == "text" for side in sides)


def glob_of(pattern: str, escape: str | None) -> str:
    """Return the GLOB pattern that means what a LIKE pattern means.

    Example:
        >>> glob_of("50/% [a]_", "/")
        '50% [[]a]?'
    """
    parts: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            literal = next(characters, "")
            parts.append(_GLOB_SPECIAL.get(literal, literal))
        else:
            special = _GLOB_SPECIAL.get(character, character)
            parts.append(_WILDCARD.get(character, special))
    return "".join(parts)


class Pattern(PortableType[str]):
    """A bound LIKE pattern; SQLite is given the GLOB pattern. Never stored.

    Args:
        before: Put before the pattern, ``%`` or nothing.
        after: Put after the pattern, ``%`` or nothing.
        escape: The character that makes the next one literal.
        fold: Whether ASCII letters are made lower case.
    """

    impl = sa.Text
    family: ClassVar[str] = "text"

    def __init__(self, before: str, after: str, escape: str | None, fold: bool) -> None:
        super().__init__()
        self.before = before
        self.after = after
        self.escape = escape
        self.fold = fold

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``text``."""
        return sa.Text()

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return TEXT."""
        return sa.TEXT()

    def checked(self, value: Any) -> str:
        """Refuse what is no storable string; nothing could match it."""
        if not isinstance(value, str):
            self.refuse(value, "not a str")
        fault = text_fault(value)
        if fault is not None:
            self.refuse(value, fault)
        return value

    def to_sqlite(self, value: str) -> str:
        """Return the GLOB pattern."""
        glob = glob_of(self.before + value + self.after, self.escape)
        return glob.translate(_ASCII_LOWER) if self.fold else glob


def postgresql(element: BinaryExpression[Any]) -> BinaryExpression[Any]:
    """Return the match without PostgreSQL's silent escape character."""
    modifiers = dict(element.modifiers)
    if modifiers.get("escape") is None:
        modifiers["escape"] = ""
    right = element.right
    if isinstance(unwrapped(right), BindParameter):
        # A pattern is any text, also where the column allows only some.
        right = bound_as(unwrapped(right), Text())
    return copy_of(element, right=right, modifiers=modifiers)


def sqlite(element: BinaryExpression[Any], compiler: SQLCompiler, **kw: Any) -> str:
    """Write the match as GLOB."""
    _check_text(element)
    before, after, negated, fold = _SHAPES[element.operator]
    escape = element.modifiers.get("escape")
    process: Callable[[Any], str] = lambda part: compiler.process(part, **kw)  # noqa: E731
    subject = process(element.left)
    if fold:
        subject = f"lower({subject})"
    if isinstance(unwrapped(element.right), BindParameter):
        bare = unwrapped(element.right)
        pattern = process(bound_as(bare, Pattern(before, after, escape, fold)))
    elif escape is not None:
        not_portable(
            "LIKE with an escape character and a pattern from the database",
            "bind the pattern as a Python string",
        )
    else:
        pattern = _translated(process(element.right), before, after, fold=fold)
    return f"{subject} {'NOT GLOB' if negated else 'GLOB'} {pattern}"


def _translated(pattern: str, before: str, after: str, *, fold: bool) -> str:
    # "[" first: the brackets that the other replacements add stay as they are.
    for old, new in (("[", "[[]"), ("*", "[*]"), ("?", "[?]"), ("%", "*"), ("_", "?")):
        pattern = f"replace({pattern}, '{old}', '{new}')"
    if fold:
        pattern = f"lower({pattern})"
    prefix = "'*' || " if before else ""
    suffix = " || '*'" if after else ""
    return f"({prefix}{pattern}{suffix})"


def _check_text(element: BinaryExpression[Any]) -> None:
    for side in (element.left, element.right):
        if family_of(side) not in ("text", None):
            not_portable(f"LIKE on {side.type!r}", "match text with text")
