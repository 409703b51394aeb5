"""PostgreSQL's own spelling of expressions as a tree.

Owns what the server's deparser writes and SQLite's grammar lacks: casts with ``::``,
``~~`` for LIKE, ``= ANY (ARRAY[…])`` for IN, functions with words between their
arguments. It knows no table.

See https://www.postgresql.org/docs/current/functions-info.html (``pg_get_expr``)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lockstep.migrations.sqlite.tokens import Token, meaningful, tokens
from lockstep.mover.translate.syntax import Parser
from lockstep.mover.translate.tree import (
    Binary,
    Call,
    Cast,
    Literal,
    Node,
    Untranslatable,
)

_ANY: Final = re.compile(
    r"(= ANY|<> ALL) (?:\(ARRAY\[([^\[\]]*)\]\)"
    r"|\(\(ARRAY\[([^\[\]]*)\]\)::[a-z ]+\[\]\))",
    re.DOTALL,
)
_TYPE_WORDS: Final = frozenset(
    {"varying", "precision", "with", "without", "time", "zone"}
)


def parsed(text: str) -> Node:
    """Return the tree of an expression of the server's.

    Raises:
        Untranslatable: It is none that this grammar has.
    """
    return PostgresqlParser(parts_of(text)).whole()


def parts_of(text: str) -> list[Token]:
    """Return the tokens of an expression or a query, without blanks."""
    return merged(meaningful(tokens(_ANY.sub(_membership, text))))


def _membership(found: re.Match[str]) -> str:
    return f"{'IN' if found[1] == '= ANY' else 'NOT IN'} ({found[2] or found[3]})"


def merged(parts: Sequence[Token]) -> list[Token]:
    """Return the tokens with PostgreSQL's own operators as words and symbols."""
    made: list[Token] = []
    place = 0
    while place < len(parts):
        following = "".join(part.text for part in parts[place : place + 3])
        if following.startswith("::"):
            made.append(Token("symbol", "::"))
            place += 2
        elif following == "!~~":
            made += [Token("word", "NOT"), Token("word", "LIKE")]
            place += 3
        elif following.startswith("~~") and following != "~~*":
            made.append(Token("word", "LIKE"))
            place += 2
        else:
            made.append(parts[place])
            place += 1
    return made


class PostgresqlParser(Parser):
    """SQLite's grammar and the casts of PostgreSQL."""

    def _collated(self) -> Node:
        return self._casts(super()._collated())

    def _primary(self) -> Node:
        part = self.peek()
        found = None if part is None else self._primary_of_quoted(part)
        return self._casts(found or super()._primary())

    def _casts(self, found: Node) -> Node:
        while self.take_symbol("::"):
            found = Cast(found, self._type())
        return found

    def _is(self, left: Node) -> Node:
        ahead = [self.peek(), self.peek(1)]
        is_not = ahead[0] is not None and ahead[0].is_word("NOT")
        word = ahead[1] if is_not else ahead[0]
        if word is not None and word.is_word("UNKNOWN"):
            self.place += 2 if is_not else 1
            return Binary("IS NOT" if is_not else "IS", left, Literal(None))
        return super()._is(left)

    def _call(self, name: str) -> Node:
        if name == "trim":
            return self._trim()
        if name == "position":
            # ``a IN (b)``, both in brackets.
            self.expect("(")
            sought = self.expression()
            self.expect(")")
            self.expect("IN")
            within = self._primary()
            self.expect(")")
            return Call("strpos", (within, sought))
        if name != "substring":
            return super()._call(name)
        parts = [self.expression()]
        while self.take_symbol(",") or self.take_word("FROM", "FOR"):
            parts.append(self.expression())
        self.expect(")")
        return Call("substr", tuple(parts))

    def _trim(self) -> Node:
        name = "btrim"
        if self.take_word("LEADING"):
            name = "ltrim"
        elif self.take_word("TRAILING"):
            name = "rtrim"
        else:
            self.take_word("BOTH")
        letters: tuple[Node, ...] = ()
        if not self.take_word("FROM"):
            letters = (self.expression(),)
            self.expect("FROM")
        of = self.expression()
        self.expect(")")
        return Call(name, (of, *letters))

    def _primary_of_quoted(self, part: Token) -> Node | None:
        """Return a call of a function whose name the server has to quote."""
        after = self.peek(1)
        is_call = after is not None and after.is_symbol("(")
        if part.kind != "quoted" or not is_call or part.name is None:
            return None
        self.place += 2
        return self._call(part.name)

    def _name(self, part: Token) -> Node:
        if part.is_word("TRUE", "FALSE"):
            return Cast(Literal(int(part.is_word("TRUE"))), "boolean")
        return super()._name(part)

    def _type(self) -> str:
        words: list[str] = []
        while (part := self.peek()) is not None and part.kind in ("word", "quoted"):
            is_first = not words
            if not is_first and part.text.lower() not in _TYPE_WORDS:
                break
            if part.text.startswith("["):
                raise Untranslatable("an array")
            words.append(part.text.lower())
            self.place += 1
            if is_first and words[0] == "public" and self.take_symbol("."):
                words.clear()  # what a path finds by its name alone
        name = " ".join(words)
        if self.take_symbol("("):
            # A cast to some length cuts a text, and rounds a number.
            inside = ""
            while not self.take_symbol(")"):
                part = self.peek()
                if part is None:
                    raise Untranslatable("a type that does not end")
                inside += part.text
                self.place += 1
            name += f"({inside})"
        return name
