"""Views of SQLite as views of PostgreSQL, where they show the same rows.

Owns the part of a query that both engines read alike: columns and expressions, inner
and left joins, WHERE, GROUP BY with ``count``, ``sum`` and ``avg`` of integers, ``min``
and ``max``, HAVING, sets of one kind of values, queries within, WITH, ORDER BY and
LIMIT. Texts are ordered by their bytes and NULL comes first, as in SQLite. Where rows
are equal in an order, neither engine says which of them a LIMIT shows.

An average of integers is their exact sum, as a double, by their count: SQLite's own,
unless the sum passes 2**53 on the way, where SQLite rounds in the order of the rows.

See: https://www.sqlite.org/lang_select.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from lockstep.migrations.sqlite.tokens import fold, meaningful, quote, tokens
from lockstep.mover.translate.expressions import Meaning, Translator
from lockstep.mover.translate.pieces import (
    Kind,
    Piece,
    as_condition,
    as_number,
    comparable,
    folded,
    literal,
)
from lockstep.mover.translate.queries import Query, QueryParser, Select, Source, Term
from lockstep.mover.translate.tree import (
    Among,
    Call,
    Literal,
    Name,
    Node,
    Subquery,
    Untranslatable,
    within_depth,
)

_AGGREGATES: Final = frozenset({"count", "sum", "min", "max", "avg"})
_HELD_AS: Final[dict[Kind, tuple[str, str]]] = {
    "integer": ("bigint", "integer"),
    "real": ("double precision", "real"),
    "number": ("double precision", "number"),
    "numeric": ("numeric", "numeric"),
    "text": ("text", "text"),
    "blob": ("bytea", "bytes"),
    "day": ("date", "text"),
    "moment": ("timestamp", "text"),
    "clock": ("time", "text"),
    "document": ("json", "text"),
}
"""Type and codec by which a query's column is known to the one around it."""


@dataclass(frozen=True)
class Relation:
    """What a view may read: its target's name and its columns in order."""

    target: str
    columns: Mapping[str, Meaning]


@dataclass(frozen=True)
class _Shown:
    """A query's SQL and its columns; one without a name cannot be referred to."""

    sql: str
    names: list[str]
    pieces: list[Piece]

    def relation(self, target: str, names: list[str]) -> tuple[Relation, list[str]]:
        """Return it as something to read from, and what its columns are called."""
        called = [f"c{place + 1}" for place in range(len(self.pieces))]
        columns: dict[str, Meaning] = {}
        for name, given, piece in zip(names, called, self.pieces, strict=True):
            held = _HELD_AS.get(piece.kind, ("", piece.kind))
            meaning = Meaning(quote(given), *held, piece.affinity, piece.collation)
            # A name that is given twice is nobody's.
            is_taken = name in columns or not name
            columns[f" {given}" if is_taken else name] = meaning
        return Relation(target, columns), called


def translate_view(
    sql: str, target: str, names: list[str], relations: Mapping[str, Relation]
) -> tuple[str, Relation]:
    """Return CREATE VIEW for PostgreSQL, and the view as other views read it.

    Args:
        sql: The statement of SQLite.
        target: The view's name there.
        names: Its columns as SQLite calls them.
        relations: Tables that move, and views, by name in lower case.

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
        query = QueryParser(parts[start + 1 :]).whole_query()
        shown = _QueryWriter(relations, {}).shown(query)
    if len(names) != len(shown.pieces):
        raise Untranslatable("other columns than it seems to have")
    listed = ", ".join(map(quote, names))
    made, _ = shown.relation(target, [fold(name) for name in names])
    columns = {
        name: replace(meaning, target=quote(given))
        for (name, meaning), given in zip(made.columns.items(), names, strict=True)
    }
    statement = f"CREATE VIEW {quote(target)} ({listed}) AS {shown.sql}"
    return statement, Relation(target, columns)


class _QueryWriter:
    """Writes a query and those within it.

    Args:
        relations: What can be read, by name in lower case.
        outer: Columns of the queries around it.
        numbers: For the queries of WITH, whose own names could be a table's.
    """

    def __init__(
        self,
        relations: Mapping[str, Relation],
        outer: Mapping[str, Meaning],
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._relations = dict(relations)
        self._outer = outer
        self._numbers = numbers or count(1)

    def shown(self, query: Query) -> _Shown:
        """Return a query's SQL and columns."""
        named = [
            self._named(part.name, part.columns, part.query) for part in query.named
        ]
        head = f"WITH {', '.join(named)} " if named else ""
        writers = [_SelectWriter(part, self) for part in query.selects]
        if len(writers) > 1:
            made = self._set_of(query, [writer.shown() for writer in writers])
            return replace(made, sql=head + made.sql)
        (writer,) = writers
        made = writer.shown()
        order = ", ".join(map(writer.sorted_by, query.order))
        return replace(made, sql=f"{head}{made.sql}{_tail(query, order)}")

    def _named(self, name: str, columns: list[str], query: Query) -> str:
        made = self.shown(query)
        if columns and len(columns) != len(made.pieces):
            raise Untranslatable(f"other columns of {name} than it seems to have")
        target = f"with {next(self._numbers)}"
        relation, called = made.relation(target, columns or made.names)
        self._relations[name] = relation
        return f"{quote(target)} ({', '.join(called)}) AS ({made.sql})"

    def _set_of(self, query: Query, parts: list[_Shown]) -> _Shown:
        """Return a UNION and the like; SQLite takes several from left to right."""
        made = parts[0]
        for operator, part in zip(query.operators, parts[1:], strict=True):
            if len(part.pieces) != len(made.pieces):
                raise Untranslatable(f"{operator} of different columns")
            pairs = zip(made.pieces, part.pieces, strict=True)
            pieces = [_either(*pair, operator) for pair in pairs]
            sql = f"({made.sql}) {operator} ({part.sql})"
            made = _Shown(sql, made.names, pieces)
        called = [f"c{place + 1}" for place in range(len(made.pieces))]
        terms: list[str] = []
        for term in query.order:
            place = _place_of(term.node, made.names)
            piece = replace(made.pieces[place], sql=called[place])
            terms.append(_sorted(piece, term))
        if not terms:
            return replace(made, sql=made.sql + _tail(query, ""))
        # The order of a set may name nothing but its columns.
        listed = ", ".join(called)
        sql = f"SELECT * FROM ({made.sql}) AS united ({listed})"
        return replace(made, sql=sql + _tail(query, ", ".join(terms)))

    def source(self, source: Source) -> tuple[str, Relation]:
        """Return what stands behind FROM, with its alias, and its columns."""
        # A query in brackets need not have a name in SQLite.
        alias = quote(source.alias or "within")
        if source.query is None:
            relation = self._relations.get(source.name)
            if relation is None:
                raise Untranslatable(f"{source.name}, which is no table that moves")
            return f"{quote(relation.target)} AS {alias}", relation
        made = self.within({}).shown(source.query)
        relation, called = made.relation("", made.names)
        return f"({made.sql}) AS {alias} ({', '.join(called)})", relation

    def within(self, columns: Mapping[str, Meaning]) -> _QueryWriter:
        """Return the writer of a query that may name these columns, too."""
        outer = {**self._outer, **columns}
        return _QueryWriter(self._relations, outer, self._numbers)

    @property
    def outer(self) -> Mapping[str, Meaning]:
        """Columns of the queries around this one."""
        return self._outer


class _QueryTranslator(Translator):
    """Expressions of a query, with its aggregates and the queries within."""

    def __init__(self, columns: Mapping[str, Meaning], writer: _QueryWriter) -> None:
        super().__init__(columns)
        self._writer = writer
        self._ways[Subquery] = self._value_of

    def _inside(self, node: Subquery) -> _Shown:
        query: Query = node.query
        return self._writer.within(self._columns).shown(query)

    def _value_of(self, node: Subquery) -> Piece:
        """Return a query that gives one row: PostgreSQL refuses several."""
        query: Query = node.query
        (select, *others) = query.selects
        calls = [item for item, _ in select.items if isinstance(item, Call)]
        is_total = bool(calls) and calls[0].name in _AGGREGATES and not select.groups
        if others or len(select.items) != 1 or not (is_total or query.limit == 1):
            raise Untranslatable("a query in brackets that may give several rows")
        made = self._inside(node)
        # Around it SQLite knows the column's affinity, and not its collation.
        _refuse_folding(made.pieces[0])
        piece = replace(made.pieces[0], is_literal=False, value=None)
        return replace(piece, sql=f"({made.sql})", is_constant=False)

    def _among(self, node: Among) -> Piece:
        within = node.items[0] if node.items else None
        if not isinstance(within, Subquery) or not within.is_list:
            return super()._among(node)
        of, made = as_number(self.piece(node.of)), self._inside(within)
        if len(made.pieces) != 1:
            raise Untranslatable("IN with several columns")
        other = replace(made.pieces[0], sql="x", is_literal=False, value=None)
        one, two = comparable(of, other, is_ordering=False)
        if (one, two) != (of.sql, "x") or "null" in (of.kind, other.kind):
            raise Untranslatable(f"IN of a {of.kind} and a query of {other.kind}")
        return self._made(f"({of.sql} IN ({made.sql}))", "boolean", of)

    def _call(self, node: Call) -> Piece:
        if node.name == "exists" and len(node.arguments) == 1:
            (within,) = node.arguments
            if not isinstance(within, Subquery):
                raise Untranslatable("EXISTS without a query")
            return Piece(f"(EXISTS ({self._inside(within).sql}))", "boolean")
        is_one = node.is_star or len(node.arguments) == 1
        if node.name not in _AGGREGATES or not is_one:
            return super()._call(node)
        if node.is_star:
            return Piece("count(*)", "integer")
        (of,) = [as_number(self.piece(part)) for part in node.arguments]
        return self._aggregate(node, of)

    def _aggregate(self, node: Call, of: Piece) -> Piece:
        if of.kind == "text" and of.collation not in ("", "BINARY"):
            raise Untranslatable(f"{node.name}() of texts in {of.collation}")
        given = f"{'DISTINCT ' if node.is_distinct else ''}{of.sql}"
        if node.name == "count":
            return Piece(f"count({given})", "integer")
        if node.name in ("sum", "avg"):
            if of.kind != "integer":
                why = f"{node.name}() of {of.kind}, which depends on the order"
                raise Untranslatable(why)
            if node.name == "sum":
                return Piece(f"sum({given})::bigint", "integer")
            total = f"sum({given})::double precision"
            return Piece(f"({total} / nullif(count({given}), 0))", "real")
        if of.kind not in ("integer", "real", "numeric", "text"):
            raise Untranslatable(f"{node.name}() of {of.kind}")
        sorted_by = f'{of.sql} COLLATE "C"' if of.kind == "text" else of.sql
        return Piece(f"{node.name}({sorted_by})", of.kind)


class _SelectWriter:
    def __init__(self, select: Select, around: _QueryWriter) -> None:
        self._select = select
        aliases = [alias for node, alias in select.items if alias and node]
        # SQLite takes an alias everywhere, before a column of a query around it.
        named = {
            alias: Meaning("", f"the alias {alias}", "a value") for alias in aliases
        }
        self._columns: dict[str, Meaning] = {**around.outer, **named}
        self._own: set[str] = set()
        self._stars: dict[str, list[Name]] = {}
        self._read: list[str] = []
        for source in select.sources:
            alias = source.alias
            if alias in self._stars:
                raise Untranslatable("two tables of one name")
            self._stars[alias] = []
            read, relation = around.source(source)
            self._read.append(read)
            for name, meaning in relation.columns.items():
                target = f"{quote(alias or 'within')}.{meaning.target}"
                inside = replace(meaning, target=target)
                self._columns[f"{alias}.{name}"] = self._columns[name] = inside
                self._own.add(name)
                self._stars[alias].append(Name(name, alias))
        self._translator = _QueryTranslator(self._columns, around)
        self._items, self._names = self._expanded()
        self._aliases = {alias: node for node, alias in select.items if alias and node}

    def _expanded(self) -> tuple[list[Node], list[str]]:
        """Return what is shown, and the names by which a query around it can ask."""
        found: list[Node] = []
        names: list[str] = []
        for node, alias in self._select.items:
            if node is not None:
                found.append(node)
                own = fold(node.name) if isinstance(node, Name) else ""
                names.append(alias or own)
                continue
            if alias and alias not in self._stars:
                raise Untranslatable(f"{alias}.*")
            for source in [alias] if alias else list(self._stars):
                for column in self._stars[source]:
                    found.append(column)
                    names.append(column.name)
        return found, names

    def shown(self) -> _Shown:
        """Return the SELECT without its order."""
        select = self._select
        pieces = [as_number(self._translator.piece(node)) for node in self._items]
        words = [
            f"SELECT {'DISTINCT ' if select.is_distinct else ''}"
            + ", ".join(map(self._item, pieces)),
            f"FROM {' '.join(map(self._joined, select.sources, self._read))}",
        ]
        if select.where is not None:
            words.append(f"WHERE {self._condition(select.where)}")
        if select.groups:
            words.append(f"GROUP BY {', '.join(map(self._grouped, select.groups))}")
        if select.having is not None:
            words.append(f"HAVING {self._condition(select.having)}")
        return _Shown(" ".join(words), self._names, pieces)

    def _item(self, piece: Piece) -> str:
        if self._select.is_distinct:
            _refuse_folding(piece)
            if piece.kind == "text":
                # ORDER BY may name only what is shown, and names it so.
                return f'{piece.sql} COLLATE "C"'
        return "NULL::text" if piece.kind == "null" else piece.sql

    def _joined(self, source: Source, read: str) -> str:
        if not source.joined:
            return read
        if source.on is None:
            if source.joined == "LEFT JOIN":
                return f"LEFT JOIN {read} ON true"
            return f"CROSS JOIN {read}"
        joined = source.joined.replace("CROSS ", "")
        return f"{joined} {read} ON {self._condition(source.on)}"

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
        if not isinstance(node, Name) or fold(node.name) not in self._own:
            node = self._meant(node)
        piece = as_number(self._translator.piece(node))
        _refuse_folding(piece)
        return piece.sql

    def sorted_by(self, term: Term) -> str:
        """Return a term of ORDER BY."""
        piece = as_number(self._translator.piece(self._meant(term.node)))
        return _sorted(piece, term)


def _tail(query: Query, order: str) -> str:
    tail = f" ORDER BY {order}" if order else ""
    for word, number in (("LIMIT", query.limit), ("OFFSET", query.offset)):
        if number is not None:
            tail += f" {word} {number}"
    return tail


def _either(one: Piece, two: Piece, operator: str) -> Piece:
    """Return a column of a set, where both sides hold one kind of value."""
    if one.kind != two.kind or one.kind not in _HELD_AS:
        raise Untranslatable(f"{operator} of {one.kind} and {two.kind}")
    _refuse_folding(one)
    _refuse_folding(two)
    affinity = one.affinity if one.affinity == two.affinity else ""
    return Piece("", one.kind, affinity=affinity)


def _place_of(node: Node, names: list[str]) -> int:
    """Return which column of a set an order names."""
    if isinstance(node, Literal) and isinstance(node.value, int):
        if 0 < node.value <= len(names):
            return node.value - 1
    elif isinstance(node, Name) and not node.table and fold(node.name) in names:
        return names.index(fold(node.name))
    raise Untranslatable("the order of a set by no column of it")


def _refuse_folding(piece: Piece) -> None:
    if piece.kind == "text" and piece.collation not in ("", "BINARY"):
        raise Untranslatable(f"texts that are one in {piece.collation}")


def _sorted(piece: Piece, term: Term) -> str:
    sql = piece.sql
    if piece.kind == "written":
        raise Untranslatable("moments in another form, in an order")
    if piece.kind == "text" and piece.collation == "NOCASE":
        sql = folded(piece)
    elif piece.kind == "text":
        _refuse_folding(piece)
        sql = f'{sql} COLLATE "C"'
    elif piece.kind == "null":
        sql = literal(None).sql
    nulls = term.nulls or ("LAST" if term.direction else "FIRST")
    return f"{sql}{term.direction} NULLS {nulls}"
