"""Views of SQLite as views of PostgreSQL, where they show the same rows.

Owns the part of SELECT that both engines read alike: columns and expressions, inner
and left joins, WHERE, GROUP BY with ``count``, ``sum`` of integers, ``min`` and
``max``, HAVING, ORDER BY and LIMIT. Texts are ordered by their bytes and NULL comes
first, as in SQLite. Where rows are equal in an order, neither engine says which of
them a LIMIT shows.

See: https://www.sqlite.org/lang_select.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from lockstep.migrations.sqlite.tokens import Token, fold, meaningful, quote, tokens
from lockstep.mover.translate.expressions import Meaning, Translator
from lockstep.mover.translate.pieces import (
    Piece,
    as_condition,
    as_number,
    folded,
    literal,
)
from lockstep.mover.translate.syntax import (
    Call,
    Literal,
    Name,
    Node,
    Parser,
    Untranslatable,
    within_depth,
)

_CLAUSES: Final = (
    *("FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT"),
    *(
        "INTERSECT",
        "WINDOW",
        "ON",
        "USING",
        "JOIN",
        "LEFT",
        "INNER",
        "CROSS",
        "NATURAL",
    ),
    *(
        "RIGHT",
        "FULL",
        "OUTER",
        "AS",
        "INDEXED",
        "NOT",
        "OFFSET",
        "ASC",
        "DESC",
        "NULLS",
    ),
)
_AGGREGATES: Final = frozenset({"count", "sum", "min", "max"})


@dataclass(frozen=True)
class Relation:
    """A table that a view may read: its target's name and its columns in order."""

    target: str
    columns: Mapping[str, Meaning]


@dataclass
class _Source:
    alias: str
    relation: Relation
    joined: str = ""
    on: Node | None = None


@dataclass
class _Term:
    node: Node
    direction: str = ""
    nulls: str = ""


@dataclass
class _Select:
    """The parts of a query; an item without a node is ``*`` or ``alias.*``."""

    items: list[tuple[Node | None, str]] = field(
        default_factory=list[tuple[Node | None, str]]
    )
    sources: list[_Source] = field(default_factory=list[_Source])
    is_distinct: bool = False
    where: Node | None = None
    groups: list[Node] = field(default_factory=list[Node])
    having: Node | None = None
    order: list[_Term] = field(default_factory=list[_Term])
    limit: int | None = None
    offset: int | None = None


def translate_view(
    sql: str, target: str, names: list[str], relations: Mapping[str, Relation]
) -> str:
    """Return CREATE VIEW for PostgreSQL.

    Args:
        sql: The statement of SQLite.
        target: The view's name there.
        names: Its columns as SQLite calls them.
        relations: Tables that move, by name in lower case.

    Raises:
        Untranslatable: It has a part that PostgreSQL might understand differently.
    """
    parts = meaningful(tokens(sql))
    start = next((i for i, part in enumerate(parts) if part.is_word("AS")), None)
    if start is None:
        raise Untranslatable("a view without AS")
    if parts and parts[-1].is_symbol(";"):
        parts.pop()
    with within_depth():
        select = _SelectParser(parts[start + 1 :], relations).select()
        return _ViewWriter(select).sql(target, names)


class _SelectParser(Parser):
    def __init__(self, parts: list[Token], relations: Mapping[str, Relation]) -> None:
        super().__init__(parts)
        self._relations = relations

    def select(self) -> _Select:
        """Return the query that the tokens are."""
        self.expect("SELECT")
        made = _Select()
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
        self._ordered(made)
        if (rest := self.peek()) is not None:
            raise Untranslatable(f"what begins with {rest.text}")
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

    def _sources(self, made: _Select) -> None:
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

    def _source(self, joined: str) -> _Source:
        part = self.peek()
        if part is None or part.name is None:
            raise Untranslatable("a query inside of it")
        self.place += 1
        relation = self._relations.get(fold(part.name))
        if relation is None:
            raise Untranslatable(f"{part.name}, which is no table that moves")
        return _Source(self._alias() or fold(part.name), relation, joined)

    def _ordered(self, made: _Select) -> None:
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

    def _term(self) -> _Term:
        term = _Term(self.expression())
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


class _QueryTranslator(Translator):
    """Expressions of a query, with its aggregates."""

    def _call(self, node: Call) -> Piece:
        is_one = node.is_star or len(node.arguments) == 1
        if node.name not in _AGGREGATES or not is_one:
            return super()._call(node)
        if node.is_star:
            return Piece("count(*)", "integer")
        (of,) = [as_number(self.piece(part)) for part in node.arguments]
        if of.kind == "text" and of.collation not in ("", "BINARY"):
            raise Untranslatable(f"{node.name}() of texts in {of.collation}")
        distinct = "DISTINCT " if node.is_distinct else ""
        if node.name == "count":
            return Piece(f"count({distinct}{of.sql})", "integer")
        if node.name == "sum":
            if of.kind != "integer":
                raise Untranslatable(f"sum() of {of.kind}, which depends on the order")
            return Piece(f"sum({distinct}{of.sql})::bigint", "integer")
        if of.kind not in ("integer", "real", "numeric", "text"):
            raise Untranslatable(f"{node.name}() of {of.kind}")
        sorted_by = f'{of.sql} COLLATE "C"' if of.kind == "text" else of.sql
        return Piece(f"{node.name}({sorted_by})", of.kind)


class _ViewWriter:
    def __init__(self, select: _Select) -> None:
        self._select = select
        self._columns: dict[str, Meaning] = {}
        self._stars: dict[str, list[Node]] = {}
        for source in select.sources:
            if source.alias in self._stars:
                raise Untranslatable("two tables of one name")
            self._stars[source.alias] = []
            for name, meaning in source.relation.columns.items():
                inside = f"{quote(source.alias)}.{meaning.target}"
                self._columns[f"{source.alias}.{name}"] = replace(
                    meaning, target=inside
                )
                self._columns[name] = self._columns[f"{source.alias}.{name}"]
                self._stars[source.alias].append(Name(name, source.alias))
        self._translator = _QueryTranslator(self._columns)
        self._items = self._expanded()
        self._aliases = {alias: node for node, alias in select.items if alias and node}

    def _expanded(self) -> list[Node]:
        found: list[Node] = []
        for node, alias in self._select.items:
            if node is not None:
                found.append(node)
            elif alias and alias not in self._stars:
                raise Untranslatable(f"{alias}.*")
            else:
                for source in [alias] if alias else list(self._stars):
                    found += self._stars[source]
        return found

    def sql(self, target: str, names: list[str]) -> str:
        """Return the statement."""
        if len(names) != len(self._items):
            raise Untranslatable("other columns than it seems to have")
        select = self._select
        shown = ", ".join(self._shown(item) for item in self._items)
        words = [
            f"CREATE VIEW {quote(target)} ({', '.join(map(quote, names))}) AS SELECT",
            f"{'DISTINCT ' if select.is_distinct else ''}{shown} FROM",
            " ".join(map(self._source, select.sources)),
        ]
        if select.where is not None:
            words.append(f"WHERE {self._condition(select.where)}")
        if select.groups:
            groups = ", ".join(map(self._grouped, select.groups))
            words.append(f"GROUP BY {groups}")
        if select.having is not None:
            words.append(f"HAVING {self._condition(select.having)}")
        if select.order:
            words.append("ORDER BY " + ", ".join(map(self._sorted, select.order)))
        for word, count in (("LIMIT", select.limit), ("OFFSET", select.offset)):
            if count is not None:
                words.append(f"{word} {count}")
        return " ".join(words)

    def _shown(self, node: Node) -> str:
        piece = as_number(self._translator.piece(node))
        if self._select.is_distinct:
            self._refuse_folding(piece)
            if piece.kind == "text":
                # ORDER BY may name only what is shown, and names it so.
                return f'{piece.sql} COLLATE "C"'
        return "NULL::text" if piece.kind == "null" else piece.sql

    def _refuse_folding(self, piece: Piece) -> None:
        if piece.kind == "text" and piece.collation not in ("", "BINARY"):
            raise Untranslatable(f"texts that are one in {piece.collation}")

    def _source(self, source: _Source) -> str:
        table = f"{quote(source.relation.target)} AS {quote(source.alias)}"
        if not source.joined:
            return table
        if source.on is None:
            if source.joined == "LEFT JOIN":
                return f"LEFT JOIN {table} ON true"
            return f"CROSS JOIN {table}"
        joined = source.joined.replace("CROSS ", "")
        return f"{joined} {table} ON {self._condition(source.on)}"

    def _condition(self, node: Node) -> str:
        return as_condition(self._translator.piece(node))

    def _meant(self, node: Node) -> Node:
        """Return the expression that an alias or a number in a list stands for."""
        if isinstance(node, Literal):
            if isinstance(node.value, int) and 0 < node.value <= len(self._items):
                return self._items[node.value - 1]
            raise Untranslatable("a constant in GROUP BY or ORDER BY")
        if isinstance(node, Name) and not node.table:
            return self._aliases.get(fold(node.name), node)
        return node

    def _grouped(self, node: Node) -> str:
        # A column wins over an alias here, and an alias over a column in an order.
        if not isinstance(node, Name) or fold(node.name) not in self._columns:
            node = self._meant(node)
        piece = as_number(self._translator.piece(node))
        self._refuse_folding(piece)
        return piece.sql

    def _sorted(self, term: _Term) -> str:
        piece = as_number(self._translator.piece(self._meant(term.node)))
        sql = piece.sql
        if piece.kind == "written":
            raise Untranslatable("moments in another form, in an order")
        if piece.kind == "text" and piece.collation == "NOCASE":
            sql = folded(piece)
        elif piece.kind == "text":
            self._refuse_folding(piece)
            sql = f'{sql} COLLATE "C"'
        elif piece.kind == "null":
            sql = literal(None).sql
        nulls = term.nulls or ("LAST" if term.direction else "FIRST")
        return f"{sql}{term.direction} NULLS {nulls}"
