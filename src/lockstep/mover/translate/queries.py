"""SQLite's queries as a tree.

Owns the grammar of SELECT: joins, grouping, sets, queries in brackets, WITH. It knows
no other engine and no table; expressions are ``syntax.py``'s.

See https://www.sqlite.org/lang_select.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lockstep.migrations.sqlite.tokens import Token, fold
from lockstep.mover.translate.syntax import Parser
from lockstep.mover.translate.tree import (
    Literal,
    Node,
    Subquery,
    Untranslatable,
)

_CLAUSES: Final = (
    *("FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT"),
    *("INTERSECT", "WINDOW", "ON", "USING", "JOIN", "LEFT", "INNER", "CROSS"),
    *("NATURAL", "RIGHT", "FULL", "OUTER", "AS", "INDEXED", "NOT", "OFFSET"),
    *("ASC", "DESC", "NULLS"),
)


@dataclass
class Source:
    """What a SELECT reads: a name, or a query of its own."""

    name: str
    alias: str
    query: Query | None = None
    joined: str = ""
    on: Node | None = None


@dataclass
class Term:
    """What rows are ordered by."""

    node: Node
    direction: str = ""
    nulls: str = ""


@dataclass
class Select:
    """One SELECT; an item without a node is ``*`` or ``alias.*``."""

    items: list[tuple[Node | None, str]] = field(
        default_factory=list[tuple[Node | None, str]]
    )
    sources: list[Source] = field(default_factory=list[Source])
    is_distinct: bool = False
    where: Node | None = None
    groups: list[Node] = field(default_factory=list[Node])
    having: Node | None = None


@dataclass
class Named:
    """A query of a WITH clause."""

    name: str
    columns: list[str]
    query: Query


@dataclass
class Query:
    """One or several SELECTs, with what stands before and behind them.

    Attributes:
        operators: Between the selects: ``UNION``, ``UNION ALL``, ``INTERSECT``,
            ``EXCEPT``; SQLite takes them from left to right.
    """

    selects: list[Select] = field(default_factory=list[Select])
    operators: list[str] = field(default_factory=list[str])
    named: list[Named] = field(default_factory=list[Named])
    order: list[Term] = field(default_factory=list[Term])
    limit: int | None = None
    offset: int | None = None


class QueryParser(Parser):
    """Reads a query from tokens without blanks."""

    def whole_query(self) -> Query:
        """Return the one query that the tokens are."""
        found = self._query()
        if (rest := self.peek()) is not None:
            raise Untranslatable(f"what begins with {rest.text}")
        return found

    def _query(self) -> Query:
        made = Query()
        if self.take_word("WITH"):
            if self.take_word("RECURSIVE"):
                raise Untranslatable("a recursive query")
            made.named.append(self._named())
            while self.take_symbol(","):
                made.named.append(self._named())
        made.selects.append(self._select())
        while True:
            if self.take_word("UNION"):
                made.operators.append("UNION ALL" if self.take_word("ALL") else "UNION")
            elif self.take_word("INTERSECT"):
                made.operators.append("INTERSECT")
            elif self.take_word("EXCEPT"):
                made.operators.append("EXCEPT")
            else:
                break
            made.selects.append(self._select())
        self._ordered(made)
        return made

    def _named(self) -> Named:
        name, columns = self._word(), list[str]()
        if self.take_symbol("("):
            columns.append(self._word())
            while self.take_symbol(","):
                columns.append(self._word())
            self.expect(")")
        self.expect("AS")
        if self.take_word("NOT"):
            self.expect("MATERIALIZED")
        else:
            self.take_word("MATERIALIZED")
        self.expect("(")
        query = self._query()
        self.expect(")")
        return Named(name, columns, query)

    def _word(self) -> str:
        part = self.peek()
        if part is None or part.name is None:
            raise Untranslatable("a name that is none")
        self.place += 1
        return fold(part.name)

    def _select(self) -> Select:
        self.expect("SELECT")
        made = Select()
        made.is_distinct = self.take_word("DISTINCT")
        self.take_word("ALL")
        made.items.append(self._item())
        while self.take_symbol(","):
            made.items.append(self._item())
        self.expect("FROM")
        self._sources(made)
        if self.take_word("WHERE"):
            made.where = self.expression()
        if self.take_word("GROUP"):
            self.expect("BY")
            made.groups.append(self.expression())
            while self.take_symbol(","):
                made.groups.append(self.expression())
        if self.take_word("HAVING"):
            made.having = self.expression()
        return made

    def _item(self) -> tuple[Node | None, str]:
        if self.take_symbol("*"):
            return None, ""
        part = self.peek()
        following = [self.peek(1), self.peek(2)]
        if [token.text for token in following if token] == [".", "*"]:
            if part is None or part.name is None:
                raise Untranslatable("a star of no table")
            self.place += 3
            return None, fold(part.name)
        return self.expression(), self._alias()

    def _alias(self) -> str:
        """Take ``[AS] name``; return it in lower case, or nothing."""
        is_said = self.take_word("AS")
        part = self.peek()
        if part is None or part.name is None or part.is_word(*_CLAUSES):
            if is_said:
                raise Untranslatable("an alias that is no name")
            return ""
        self.place += 1
        return fold(part.name)

    def _sources(self, made: Select) -> None:
        made.sources.append(self._source(""))
        while True:
            if self.take_symbol(","):
                joined = "CROSS JOIN"
            elif self.take_word("LEFT"):
                self.take_word("OUTER")
                self.expect("JOIN")
                joined = "LEFT JOIN"
            elif self.take_word("INNER", "CROSS"):
                self.expect("JOIN")
                joined = "JOIN"
            elif self.take_word("JOIN"):
                joined = "JOIN"
            else:
                return
            source = self._source(joined)
            if self.take_word("ON"):
                source.on = self.expression()
            made.sources.append(source)

    def _source(self, joined: str) -> Source:
        if self._is_query_next(1) and self.take_symbol("("):
            query = self._query()
            self.expect(")")
            return Source("", self._alias(), query, joined)
        name = self._word()
        return Source(name, self._alias() or name, None, joined)

    def _is_query_next(self, ahead: int = 0) -> bool:
        part: Token | None = self.peek(ahead)
        return part is not None and part.is_word("SELECT", "WITH")

    def _bracket(self) -> Node:
        if not self._is_query_next():
            return super()._bracket()
        query = self._query()
        self.expect(")")
        return Subquery(query)

    def _list(self) -> list[Node]:
        if not self._is_query_next():
            return super()._list()
        query = self._query()
        self.expect(")")
        return [Subquery(query, is_list=True)]

    def _ordered(self, made: Query) -> None:
        if self.take_word("ORDER"):
            self.expect("BY")
            made.order.append(self._term())
            while self.take_symbol(","):
                made.order.append(self._term())
        if self.take_word("LIMIT"):
            made.limit = self._count()
            if self.take_word("OFFSET"):
                made.offset = self._count()
            elif self.take_symbol(","):
                made.offset, made.limit = made.limit, self._count()

    def _term(self) -> Term:
        term = Term(self.expression())
        if self.take_word("DESC"):
            term.direction = " DESC"
        else:
            self.take_word("ASC")
        if self.take_word("NULLS"):
            term.nulls = "FIRST" if self.take_word("FIRST") else "LAST"
            if term.nulls == "LAST":
                self.expect("LAST")
        return term

    def _count(self) -> int:
        node = self.expression()
        if not isinstance(node, Literal) or not isinstance(node.value, int):
            raise Untranslatable("a LIMIT that is no number")
        return node.value
