"""Expressions of SQLite in PostgreSQL's words, where they mean the same.

Owns the list of operators and functions whose meaning is the same on both, and
refuses everything else: a check that silently means something different is worse
than one that is named as not carried over.

Invariant: what is returned gives for every row what SQLite gives, NULL included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lockstep.migrations.sqlite.tokens import Token, closing, meaningful, quote, tokens
from lockstep.schema.types.portable import quoted


class Untranslatable(ValueError):
    """The expression has no safe form on the other engine; says which part."""


_FUNCTIONS: Final = {
    "length": "length",
    "abs": "abs",
    "coalesce": "coalesce",
    "ifnull": "coalesce",
    "nullif": "nullif",
    "trim": "btrim",
    "ltrim": "ltrim",
    "rtrim": "rtrim",
    "replace": "replace",
    "instr": "strpos",
    "lower": "lower",
    "upper": "upper",
}
_WORDS: Final = frozenset(
    {
        *("AND", "OR", "NOT", "NULL", "IN", "BETWEEN", "ISNULL", "NOTNULL"),
        *("CASE", "WHEN", "THEN", "ELSE", "END"),
    }
)
_SYMBOLS: Final = frozenset(
    ["=", "<", ">", "<=", ">=", "<>", "+", "-", "*", "||", "(", ")", ","]
)
_SAME: Final = {"==": "=", "!=": "<>"}


def translate(sql: str, columns: Mapping[str, tuple[str, str]]) -> str:
    r"""Return an expression of SQLite as PostgreSQL reads it.

    Args:
        sql: The expression.
        columns: ``{name in lower case: (target's name, target's type)}``.

    Raises:
        Untranslatable: A part of it has no form that surely means the same.

    Example:
        >>> translate("qty>=0 AND kind IN ('a','b')", {"qty": ("qty", "bigint"),
        ...     "kind": ("kind", "text")})
        '"qty" >= 0 AND "kind" IN ( \'a\' , \'b\' )'
    """
    parts = meaningful(tokens(sql))
    words: list[str] = []
    position = 0
    folds_until: set[int] = set()
    while position < len(parts):
        following = parts[position + 1 : position + 2]
        is_call = bool(following) and following[0].is_symbol("(")
        if is_call and parts[position].is_word("LOWER", "UPPER"):
            folds_until.add(closing(parts, position))
        if position in folds_until:
            words.append('COLLATE "C"')  # SQLite folds the ASCII letters only
        text, used = _part(parts, position, columns)
        words.append(text)
        position += used
    return " ".join(words)


def _part(
    parts: list[Token], position: int, columns: Mapping[str, tuple[str, str]]
) -> tuple[str, int]:
    part = parts[position]
    after = parts[position + 1] if position + 1 < len(parts) else None
    if part.kind == "number":
        if part.text.lower().startswith("0x") or "_" in part.text:
            return str(int(part.text, 0)), 1
        return part.text, 1
    if part.kind == "string":
        if part.text[0] in "xX":
            raise Untranslatable("a blob literal")
        return part.text, 1
    if part.kind == "symbol":
        text = _SAME.get(part.text, part.text)
        if text not in _SYMBOLS:
            raise Untranslatable(f"the operator {part.text}")
        return text, 1
    if part.is_word("IS"):
        return _is(parts, position)
    if part.is_word(*_WORDS):
        return part.text.upper(), 1
    if part.kind == "word" and after is not None and after.is_symbol("("):
        return _function(part), 1
    return _name(part, columns), 1


def _is(parts: list[Token], position: int) -> tuple[str, int]:
    rest = parts[position + 1 : position + 3]
    if rest and rest[0].is_word("NULL"):
        return "IS NULL", 2
    if len(rest) == 2 and rest[0].is_word("NOT"):
        if rest[1].is_word("NULL"):
            return "IS NOT NULL", 3
        return "IS DISTINCT FROM", 2
    return "IS NOT DISTINCT FROM", 1


def _function(part: Token) -> str:
    name = _FUNCTIONS.get(part.text.lower())
    if name is None:
        raise Untranslatable(f"the function {part.text}()")
    return name


def _name(part: Token, columns: Mapping[str, tuple[str, str]]) -> str:
    name = part.name
    if name is None:
        raise Untranslatable(part.text)
    if name.lower() in columns:
        target, kind = columns[name.lower()]
        if kind == "boolean":
            return f"({quote(target)}::int)"
        if kind == "bytea":
            raise Untranslatable(f"{name} holds bytes")
        return quote(target)
    if part.kind == "quoted" and part.text[0] == '"':
        return quoted(name)  # SQLite takes an unknown name in "…" for a text
    raise Untranslatable(f"the word {part.text}")
