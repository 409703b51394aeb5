"""SQLite's grammar of expressions: from tokens to a tree.

Owns what may follow what, and which operator binds closer. It knows no other engine and
no table.

See: https://www.sqlite.org/lang_expr.html
"""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.migrations.sqlite.tokens import Token, meaningful, tokens
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
)

_WORDS_OF_VALUES = {"NULL": None, "TRUE": 1, "FALSE": 0}
_MOMENTS = ("CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME")
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"<", "<=", ">", ">="}),
    frozenset({"&", "|", "<<", ">>"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
    frozenset({"||"}),
)
_EQUAL = {"=": "=", "==": "=", "<>": "<>", "!=": "<>"}


def parse(sql: str) -> Node:
    """Return the tree of an expression.

    Raises:
        Untranslatable: It is none that this grammar has.

    Example:
        >>> parse("a >= 1 AND NOT b")
        Binary(operator='AND', left=Binary(operator='>=', left=Name(name='a', \
table='', is_text_too=False), right=Literal(value=1)), right=Unary(operator='NOT', \
of=Name(name='b', table='', is_text_too=False)))
    """
    return Parser(meaningful(tokens(sql))).whole()


class Parser:
    """Reads expressions from tokens without blanks."""

    def __init__(self, parts: Sequence[Token]) -> None:
        self._parts = parts
        self.place = 0

    def whole(self) -> Node:
        """Return the one expression that the tokens are."""
        found = self.expression()
        if self.place < len(self._parts):
            raise Untranslatable(f"what begins with {self._parts[self.place].text}")
        return found

    def peek(self, ahead: int = 0) -> Token | None:
        """Return a token that was not taken yet; None behind the last."""
        place = self.place + ahead
        return self._parts[place] if place < len(self._parts) else None

    def take_word(self, *words: str) -> bool:
        """Take a keyword if it is the next token."""
        part = self.peek()
        if part is None or not part.is_word(*words):
            return False
        self.place += 1
        return True

    def take_symbol(self, symbol: str) -> bool:
        """Take a symbol if it is the next token."""
        part = self.peek()
        if part is None or not part.is_symbol(symbol):
            return False
        self.place += 1
        return True

    def expect(self, text: str) -> None:
        """Take a symbol or keyword that has to be there."""
        if not (self.take_symbol(text) or self.take_word(text)):
            raise Untranslatable(f"an expression without {text}")

    def expression(self) -> Node:
        """Return the next expression."""
        found = self._conjunction()
        while self.take_word("OR"):
            found = Binary("OR", found, self._conjunction())
        return found

    def _conjunction(self) -> Node:
        found = self._negation()
        while self.take_word("AND"):
            found = Binary("AND", found, self._negation())
        return found

    def _negation(self) -> Node:
        if self.take_word("NOT"):
            return Unary("NOT", self._negation())
        return self._equality()

    def _equality(self) -> Node:
        found = self._level(0)
        while (part := self.peek()) is not None:
            if part.kind == "symbol" and part.text in _EQUAL:
                self.place += 1
                found = Binary(_EQUAL[part.text], found, self._level(0))
            elif part.is_word("ISNULL", "NOTNULL"):
                self.place += 1
                operator = "IS" if part.is_word("ISNULL") else "IS NOT"
                found = Binary(operator, found, Literal(None))
            elif self.take_word("IS"):
                found = self._is(found)
            elif (following := self._predicate(found)) is not None:
                found = following
            else:
                break
        return found

    def _is(self, left: Node) -> Node:
        operator = "IS NOT" if self.take_word("NOT") else "IS"
        if self.take_word("DISTINCT"):
            self.expect("FROM")
            operator = "IS NOT" if operator == "IS" else "IS"
        part = self.peek()
        if part is not None and part.is_word("TRUE", "FALSE"):
            self.place += 1
            return Binary(f"{operator} {part.text.upper()}", left, Literal(None))
        return Binary(operator, left, self._level(0))

    def _predicate(self, left: Node) -> Node | None:
        """Return ``[NOT] BETWEEN, IN, LIKE, GLOB, NULL``; None for anything else."""
        ahead = self.peek()
        negated = ahead is not None and ahead.is_word("NOT")
        word = self.peek(1) if negated else ahead
        if word is None or not word.is_word("BETWEEN", "IN", "LIKE", "GLOB", "NULL"):
            return None
        if word.is_word("NULL") and not negated:
            return None
        self.place += 2 if negated else 1
        found: Node
        if word.is_word("NULL"):
            return Binary("IS NOT", left, Literal(None))
        if word.is_word("BETWEEN"):
            low = self._level(0)
            self.expect("AND")
            found = Between(left, low, self._level(0))
        elif word.is_word("IN"):
            self.expect("(")
            found = Among(left, tuple(self._list()))
        else:
            pattern = self._level(0)
            escape = self._level(0) if self.take_word("ESCAPE") else None
            found = Like(word.text.upper(), left, pattern, escape)
        return Unary("NOT", found) if negated else found

    def _list(self) -> list[Node]:
        """Return the expressions up to the bracket, and take that."""
        if self.take_symbol(")"):
            return []
        found = [self.expression()]
        while self.take_symbol(","):
            found.append(self.expression())
        self.expect(")")
        return found

    def _level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._collated()
        found = self._level(level + 1)
        while (part := self.peek()) is not None:
            if part.kind != "symbol" or part.text not in _LEVELS[level]:
                break
            self.place += 1
            found = Binary(part.text, found, self._level(level + 1))
        return found

    def _collated(self) -> Node:
        found = self._unary()
        while self.take_word("COLLATE"):
            part = self.peek()
            if part is None or part.name is None:
                raise Untranslatable("COLLATE without a name")
            self.place += 1
            found = Collate(found, part.name.upper())
        return found

    def _unary(self) -> Node:
        for sign in ("-", "+", "~"):
            if self.take_symbol(sign):
                return Unary(sign, self._unary())
        return self._primary()

    def _primary(self) -> Node:
        part = self.peek()
        if part is None:
            raise Untranslatable("an expression that ends too early")
        self.place += 1
        if part.kind == "number":
            return Literal(number_of(part.text))
        if part.kind == "string":
            return Literal(string_of(part.text))
        if part.is_symbol("("):
            return self._bracket()
        if part.is_word("CASE"):
            return self._case()
        if part.is_word("CAST"):
            return self._cast()
        after = self.peek()
        if part.kind == "word" and after is not None and after.is_symbol("("):
            self.place += 1
            return self._call(part.text.lower())
        return self._name(part)

    def _bracket(self) -> Node:
        if (part := self.peek()) is not None and part.is_word("SELECT", "WITH"):
            raise Untranslatable("a query inside of it")
        found = self.expression()
        if not self.take_symbol(")"):
            behind = self.peek()
            if behind is None or behind.is_symbol(","):
                raise Untranslatable("a row of values")
            raise Untranslatable(f"an expression with {behind.text}")
        return found

    def _case(self) -> Node:
        ahead = self.peek()
        base = None
        if ahead is not None and not ahead.is_word("WHEN"):
            base = self.expression()
        whens: list[tuple[Node, Node]] = []
        while self.take_word("WHEN"):
            condition = self.expression()
            self.expect("THEN")
            whens.append((condition, self.expression()))
        otherwise = self.expression() if self.take_word("ELSE") else None
        self.expect("END")
        return Case(base, tuple(whens), otherwise)

    def _cast(self) -> Node:
        self.expect("(")
        of = self.expression()
        self.expect("AS")
        words: list[str] = []
        while (part := self.peek()) is not None and not part.is_symbol(")"):
            words.append(part.text)
            self.place += 1
        self.expect(")")
        return Cast(of, " ".join(words).upper())

    def _call(self, name: str) -> Node:
        if self.take_symbol("*"):
            self.expect(")")
            found = Call(name, (), is_star=True)
        else:
            is_distinct = self.take_word("DISTINCT")
            found = Call(name, tuple(self._list()), is_distinct=is_distinct)
        ahead = self.peek()
        if ahead is not None and ahead.is_word("OVER", "FILTER"):
            raise Untranslatable(f"{name}() with {ahead.text.upper()}")
        return found

    def _name(self, part: Token) -> Node:
        word = part.text.upper()
        if part.kind == "word" and word in _WORDS_OF_VALUES:
            return Literal(_WORDS_OF_VALUES[word])
        if part.kind == "word" and word in _MOMENTS:
            return Call(word.lower(), ())
        if part.name is None:
            raise Untranslatable(f"the word {part.text}")
        table, name = "", part
        if self.take_symbol("."):
            following = self.peek()
            if following is None or following.name is None:
                raise Untranslatable(f"{part.text} and a dot")
            self.place += 1
            table, name = part.name, following
        is_text_too = not table and part.kind == "quoted" and part.text[0] == '"'
        return Name(name.name or "", table, is_text_too)


def number_of(text: str) -> int | float:
    """Return the number of a token as SQLite reads it.

    Example:
        >>> number_of("0x10"), number_of("9223372036854775808"), number_of("1e3")
        (16, 9.223372036854776e+18, 1000.0)
    """
    if text.lower().startswith("0x"):
        number = int(text, 16)
        return number - 2**64 if number >= 2**63 else number
    plain = text.replace("_", "")
    if plain.isdigit():
        number = int(plain)
        return number if number < 2**63 else float(plain)
    return float(plain)


def string_of(text: str) -> str | bytes:
    """Return the text, or the bytes, of a literal."""
    if text[0] in "xX":
        try:
            return bytes.fromhex(text[2:-1])
        except ValueError as error:
            raise Untranslatable(text) from error
    return text[1:-1].replace("''", "'")
