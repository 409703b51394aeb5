"""SQLite's lexical rules, exactly as far as DDL needs them.

Owns the split of a statement into tokens that, joined again, give the statement
back byte for byte, and the canonical form in which two expressions are compared.
Must not know: what a statement means.

Invariant: ``"".join(token.text for token in tokens(sql)) == sql``.

See: https://www.sqlite.org/lang_keywords.html for the four ways to quote a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Literal

Kind = Literal["blank", "word", "quoted", "string", "number", "symbol"]

_PATTERN = re.compile(
    r"""
    (?P<blank>(?:[\x20\t\n\r\f\ufeff]|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))+)
  | (?P<string>[xX]?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
  | (?P<number>0[xX][0-9a-fA-F]+
        |(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)
  | (?P<word>(?:[A-Za-z_]|[^\x00-\x7f])(?:[A-Za-z0-9_$]|[^\x00-\x7f])*)
  | (?P<symbol>->>|->|\|\||<<|>>|<=|>=|==|!=|<>|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SAME = {"==": "=", "!=": "<>"}
_FOLDED = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a statement, with the exact text it had there."""

    kind: Kind
    text: str

    @property
    def name(self) -> str | None:
        """The identifier without its quotes; None when the token is none."""
        if self.kind == "word":
            return self.text
        if self.kind != "quoted":
            return None
        if self.text[0] == "[":
            return self.text[1:-1]
        quote = self.text[0]
        return self.text[1:-1].replace(quote * 2, quote)

    def is_word(self, *words: str) -> bool:
        """Whether this is one of the keywords (given in upper case)."""
        return self.kind == "word" and self.text.upper() in words

    def is_symbol(self, symbol: str) -> bool:
        """Whether this is the given operator or bracket."""
        return self.kind == "symbol" and self.text == symbol


def tokens(sql: str) -> list[Token]:
    """Split a statement; joining the texts gives the statement back."""
    found: list[Token] = []
    for match in _PATTERN.finditer(sql):
        kind: Kind = match.lastgroup  # pyright: ignore[reportAssignmentType]
        found.append(Token(kind, match.group()))
    return found


def joined(parts: Sequence[Token]) -> str:
    """Return the exact text, without the blanks and comments at both ends.

    A comment at the end would swallow the comma that is put behind it.
    """
    solid = [index for index, part in enumerate(parts) if part.kind != "blank"]
    if not solid:
        return ""
    return "".join(part.text for part in parts[solid[0] : solid[-1] + 1])


def meaningful(parts: Iterable[Token]) -> list[Token]:
    """Return the tokens without blanks and comments."""
    return [part for part in parts if part.kind != "blank"]


def closing(parts: Sequence[Token], start: int) -> int:
    """Return the index of the bracket that closes the one at ``start``."""
    depth = 0
    for index in range(start, len(parts)):
        if parts[index].is_symbol("("):
            depth += 1
        elif parts[index].is_symbol(")"):
            depth -= 1
            if depth == 0:
                return index
    raise ValueError("a bracket is not closed")


def split_top(parts: Sequence[Token], separator: str) -> list[list[Token]]:
    """Split at a symbol that stands outside of all brackets."""
    groups: list[list[Token]] = [[]]
    depth = 0
    for part in parts:
        depth += part.is_symbol("(") - part.is_symbol(")")
        if depth == 0 and part.is_symbol(separator):
            groups.append([])
        else:
            groups[-1].append(part)
    return groups


def canonical(sql: str) -> str:
    """Return an expression without the freedom of spelling.

    Blanks, comments, the case of names and keywords, quotes around names and
    brackets around the whole do not make two expressions different.
    """
    parts = meaningful(tokens(sql))
    while (
        len(parts) > 2
        and parts[0].is_symbol("(")
        and closing(parts, 0) == len(parts) - 1
    ):
        parts = parts[1:-1]
    spelled: list[str] = []
    for part in parts:
        if part.name is not None:
            spelled.append(fold(part.name))
        else:
            spelled.append(_SAME.get(part.text, part.text))
    return " ".join(spelled)


def names_in(sql: str) -> set[str]:
    """Return every identifier of an expression, in lower case."""
    return {
        fold(part.name) for part in meaningful(tokens(sql)) if part.name is not None
    }


def fold(name: str) -> str:
    """Return a name as SQLite compares it: A to Z do not count, ``É`` and ``é`` do.

    Example:
        >>> fold("ÉCOLE"), fold("école")
        ('École', 'école')
    """
    return name.translate(_FOLDED)


def quote(name: str) -> str:
    """Return a name in double quotes, as SQLite and PostgreSQL read it."""
    return '"' + name.replace('"', '""') + '"'
