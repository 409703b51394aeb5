"""What an SQL text is, as far as a driver must know: does it read, begin, end?

Owns a small lexer that skips comments, strings and quoted names. It never parses
SQL: where it is not sure, the answer is the one that is safe ("may write", "is not
the end of a transaction").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from lockstep.engine.reading_pragmas import only_reads

TEXTS_REMEMBERED = 2048
REMEMBERED_LENGTH_MAX = 20_000
"""A longer text is looked at each time: 2,048 of those would fill the memory."""


class Kind(Enum):
    """What a statement does to a transaction, and to rows."""

    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    SAVEPOINT = auto()
    """Also RELEASE and ROLLBACK TO: they stay inside of the transaction."""
    READ = auto()
    """Changes nothing, whatever the server does with it."""
    CHANGE = auto()
    """INSERT, UPDATE, DELETE, REPLACE: has a number of rows."""
    OTHER = auto()
    """Everything else: DDL, a PRAGMA that sets something, what is not understood."""


@dataclass(frozen=True, slots=True)
class Nature:
    """What an SQL text is.

    Attributes:
        kind: See ``Kind``.
        locks: A BEGIN that takes the write lock at once.
        setting: A connection's setting that is set or asked: ``foreign_keys``.
        is_on: The value it is set to.
        returns_rows: A change that may give rows (RETURNING).
    """

    kind: Kind
    locks: bool = False
    setting: str | None = None
    is_on: bool = False
    returns_rows: bool = False


_TOKEN = re.compile(
    r"""
    (?P<space>   \s+ | --[^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<quoted>  '[^']*(?:''[^']*)*(?:'|\Z) | "[^"]*(?:""[^"]*)*(?:"|\Z)
               | `[^`]*(?:``[^`]*)*(?:`|\Z) | \[[^\]]*(?:\]|\Z) )
  | (?P<word>    [^\W\d][\w$]* )
  | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_CHANGES = {"INSERT", "UPDATE", "DELETE", "REPLACE"}
_ON = {"ON", "1", "TRUE", "YES"}
_SETTING = "foreign_keys"

_READ = Nature(Kind.READ)
_OTHER = Nature(Kind.OTHER)


def nature_of(sql: str) -> Nature:
    """Return what ``sql`` is; ``OTHER`` where that is not certain."""
    return _remembered(sql) if len(sql) <= REMEMBERED_LENGTH_MAX else _nature(sql)


def _nature(sql: str) -> Nature:
    tokens = _tokens(sql)
    while tokens and tokens[-1] == ";":
        tokens.pop()
    if not tokens:
        return _OTHER
    several = ";" in tokens
    first = tokens[0]
    if several:
        # A trigger's body has semicolons too; only the first word counts for it.
        return _OTHER
    if first in ("SELECT", "VALUES", "EXPLAIN"):
        return _READ
    if first in _CHANGES:
        return _change(tokens)
    if first == "WITH":
        return _nature_of_with(tokens)
    if first == "PRAGMA":
        return _nature_of_pragma(tokens[1:])
    if first == "BEGIN":
        return Nature(Kind.BEGIN, locks=bool({"IMMEDIATE", "EXCLUSIVE"} & {*tokens}))
    if first in ("COMMIT", "END"):
        return Nature(Kind.COMMIT)
    if first in ("SAVEPOINT", "RELEASE") or (first == "ROLLBACK" and "TO" in tokens):
        return Nature(Kind.SAVEPOINT)
    if first == "ROLLBACK":
        return Nature(Kind.ROLLBACK)
    return _OTHER


_remembered = lru_cache(maxsize=TEXTS_REMEMBERED)(_nature)


def _tokens(sql: str) -> list[str]:
    """Return the words in capitals and the signs; what is quoted as ``'``."""
    found: list[str] = []
    for token in _TOKEN.finditer(sql):
        if token.lastgroup == "word" or token.lastgroup == "other":
            found.append(token[0].upper())
        elif token.lastgroup == "quoted":
            found.append("'")
    return found


def _nature_of_with(tokens: list[str]) -> Nature:
    depth = 0
    for word in tokens[1:]:
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
        elif depth == 0 and word in ("SELECT", "VALUES"):
            return _READ
        elif depth == 0 and word in _CHANGES:
            return _change(tokens)
    return _OTHER


def _change(tokens: list[str]) -> Nature:
    return Nature(Kind.CHANGE, returns_rows="RETURNING" in tokens)


def _nature_of_pragma(tokens: list[str]) -> Nature:
    if len(tokens) > 2 and tokens[1] == ".":
        tokens = tokens[2:]  # of one schema
    if not tokens:
        return _OTHER
    name, argument = tokens[0].lower(), tokens[1:]
    if only_reads(name, has_argument=bool(argument)):
        return Nature(Kind.READ, setting=_SETTING) if name == _SETTING else _READ
    if name == _SETTING and len(argument) >= 2:
        return Nature(Kind.OTHER, setting=_SETTING, is_on=argument[1] in _ON)
    return _OTHER
