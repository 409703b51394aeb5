"""Views of PostgreSQL as views of SQLite, where they show the same rows.

Owns the part of a query that ``pg_get_viewdef`` writes and both engines read alike:
columns and expressions, inner and left joins, WHERE, GROUP BY with ``count``, ``sum``
of integers, ``min`` and ``max``, DISTINCT, sets, queries within, ORDER BY and LIMIT.
A column shows what the table's column holds: a decimal its text.

Invariant: what is returned shows the rows that PostgreSQL shows, where PostgreSQL
gives no error; where the order of rows is another one, ``differences`` says so.

See https://www.postgresql.org/docs/current/functions-info.html
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lockstep.migrations.sqlite.tokens import fold, quote
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.translate.from_postgresql import (
    AS_WRITTEN,
    WHOLE,
    ExpressionWriter,
    Written,
    kind_of,
)
from lockstep.mover.translate.postgresql_syntax import PostgresqlParser, parts_of
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

_AGGREGATES: Final = frozenset({"count", "sum", "min", "max"})
_SORTED_AS_TEXTS: Final = frozenset({"date", "timestamp without time zone", "zoned"})
_SAME_TEXTS: Final = AS_WRITTEN | {
    "integer",
    "boolean",
    "real",
    "blob",
    "text",
    "zoned",
}
"""Kinds whose equal values are stored as one value."""

TEXTS_SORTED = "texts are sorted by their bytes on SQLite"
MOMENTS_SORTED = "days before the year 1 and after 9999 are sorted as texts on SQLite"

Column = tuple[str, str]
"""The SQL of a column, and its kind."""


@dataclass(frozen=True)
class Readable:
    """What a view may read: its name in the file, and its columns.

    Attributes:
        columns: By the name on PostgreSQL in lower case; None where two have it.
        names: In order, as PostgreSQL calls them.
        left: Columns that stay behind, by their names in lower case.
    """

    target: str
    columns: Mapping[str, Column | None]
    left: frozenset[str] = frozenset()


@dataclass(frozen=True)
class View:
    """A view as SQLite makes it, and as other views read it."""

    sql: str
    readable: Readable
    differences: list[str]


def readable_table(
    table: TablePlan, types: Mapping[str, str], folded: Collection[str]
) -> Readable:
    """Return a table that travels as views read it.

    Args:
        table: To SQLite.
        types: What its columns hold behind their domains, by name.
        folded: Columns of which two texts may be equal and not the same.
    """
    columns: dict[str, Column | None] = {}
    for column in table.columns:
        type_ = types.get(column.source) or column.source_type or column.type
        kind = kind_of(column, type_)
        if kind == type_ == "real":
            # Four bytes compare with eight in another way than their texts do.
            kind = "four bytes"
        if column.source in folded:
            kind = "folded text"
        name = fold(column.source)
        known = (quote(column.target), kind)
        columns[name] = None if name in columns else known
    return Readable(table.target, columns, frozenset(map(fold, table.left)))


def view_to_sqlite(
    sql: str,
    target: str,
    columns: Sequence[tuple[str, str, str]],
    relations: Mapping[str, Readable],
    labelled: Collection[str] = (),
) -> View:
    """Return CREATE VIEW for SQLite.

    Args:
        sql: The query, as PostgreSQL's catalogs write it with all names qualified.
        target: The view's name in the file.
        columns: Each column's name and type there, and its name in the file.
        relations: Tables and views that can be read, by ``schema.name`` in lower case.
        labelled: Types that are enumerations.

    Raises:
        Untranslatable: It has a part that SQLite might understand differently.
    """
    with within_depth():
        query = _ViewParser(parts_of(sql.strip().removesuffix(";"))).whole_query()
        writer = _QueryWriter(relations, labelled, [])
        shown = writer.shown(query, types=[type_ for _, type_, _ in columns])
    if len(columns) != len(shown.columns):
        raise Untranslatable("other columns than it seems to have")
    listed = ", ".join(quote(given) for _, _, given in columns)
    known: dict[str, Column | None] = {}
    for (name, _, given), (_, kind) in zip(columns, shown.columns, strict=True):
        key = fold(name)
        known[key] = None if key in known else (quote(given), kind)
    statement = f"CREATE VIEW {quote(target)} ({listed}) AS {shown.sql}"
    differences = list(dict.fromkeys(writer.differences))
    return View(statement, Readable(target, known), differences)


class _ViewParser(PostgresqlParser, QueryParser):
    """Reads the queries that PostgreSQL's deparser writes."""

    def _sources(self, made: Select) -> None:
        self._tree(made, "")
        while self.take_symbol(","):
            self._tree(made, "CROSS JOIN")

    def _tree(self, made: Select, joined: str) -> None:
        """Take a source and what is joined to it; brackets may stand left only."""
        if not self._is_query_next(1) and self.take_symbol("("):
            self._tree(made, joined)
            self.expect(")")
        else:
            made.sources.append(self._source(joined))
        while True:
            if (part := self.peek()) is not None and part.is_word("RIGHT", "FULL"):
                raise Untranslatable(f"a {part.text.upper()} JOIN")
            if self.take_word("LEFT"):
                word = "LEFT JOIN"
            elif self.take_word("CROSS"):
                word = "CROSS JOIN"
            elif (part := self.peek()) is not None and part.is_word("JOIN"):
                word = "JOIN"
            else:
                return
            self.expect("JOIN")
            if not self._is_query_next(1) and self.take_symbol("("):
                raise Untranslatable("a join of joins")
            source = self._source(word)
            if word != "CROSS JOIN":
                if self.take_word("USING"):
                    raise Untranslatable("a join with USING")
                self.expect("ON")
                source.on = self.expression()
            made.sources.append(source)

    def _source(self, joined: str) -> Source:
        if self._is_query_next(1):
            return super()._source(joined)
        name = alias = self._word()
        if self.take_symbol("."):
            alias = self._word()
            name = f"{name}.{alias}"
        return Source(name, self._alias() or alias, None, joined)

    def _ordered(self, made: Query) -> None:
        super()._ordered(made)
        # The deparser writes OFFSET before LIMIT.
        if made.limit is None and self.take_word("OFFSET"):
            made.offset = self._count()
            if self.take_word("LIMIT"):
                made.limit = self._count()


@dataclass(frozen=True)
class _Shown:
    sql: str
    names: list[str]
    columns: list[Column]


class _Scope:
    """The columns of one SELECT's sources."""

    def __init__(self) -> None:
        self.sources: dict[str, Readable] = {}

    def find(self, table: str, name: str) -> Column | None:
        """Return a column, or None where none of the sources has it.

        Raises:
            Untranslatable: Two could be meant.
        """
        found: list[Column] = []
        for alias, source in self.sources.items():
            if table and alias != fold(table):
                continue
            if fold(name) in source.left:
                raise Untranslatable(f"it needs {name}, which is left behind")
            if fold(name) not in source.columns:
                continue
            column = source.columns[fold(name)]
            if column is None:
                raise Untranslatable(f"{name}, which two columns are for SQLite")
            found.append((f"{quote(alias)}.{column[0]}", column[1]))
        if len(found) > 1:
            raise Untranslatable(f"{name} of several tables")
        return found[0] if found else None


class _QueryWriter:
    """Writes a query and those within it; ``outer`` are the scopes around it."""

    def __init__(
        self,
        relations: Mapping[str, Readable],
        labelled: Collection[str],
        outer: Sequence[_Scope],
    ) -> None:
        self.relations = relations
        self.labelled = labelled
        self.outer = outer
        self.differences: list[str] = []

    def within(self, scopes: Sequence[_Scope]) -> _QueryWriter:
        """Return the writer of a query inside of another one."""
        made = _QueryWriter(self.relations, self.labelled, scopes)
        made.differences = self.differences
        return made

    def shown(self, query: Query, types: Sequence[str] = ()) -> _Shown:
        """Return a query's SQL.

        Args:
            query: The tree.
            types: Of the view's columns; of a query within there are none.
        """
        if query.named:
            raise Untranslatable("a query with WITH")
        parts = [_SelectWriter(part, self) for part in query.selects]
        shown = [part.shown(types) for part in parts]
        made = shown[0]
        if len(shown) == 1:
            order = [parts[0].sorted_by(term, query) for term in query.order]
        else:
            made = self._set_of(query, shown)
            order = [self._sorted_of_set(term, made, query) for term in query.order]
        tail = f" ORDER BY {', '.join(order)}" if order else ""
        if query.limit is not None or query.offset is not None:
            tail += f" LIMIT {-1 if query.limit is None else query.limit}"
        tail += f" OFFSET {query.offset}" if query.offset is not None else ""
        return replace(made, sql=made.sql + tail)

    def _set_of(self, query: Query, parts: list[_Shown]) -> _Shown:
        made = parts[0]
        sql = made.sql
        for operator, part in zip(query.operators, parts[1:], strict=True):
            if [kind for _, kind in part.columns] != [kind for _, kind in made.columns]:
                raise Untranslatable(f"{operator} of different kinds")
            if operator != "UNION ALL":
                for _, kind in part.columns:
                    self.refuse_unequal(kind, operator)
            sql = f"{sql} {operator} {part.sql}"
        return replace(made, sql=sql)

    def _sorted_of_set(self, term: Term, made: _Shown, query: Query) -> str:
        node = term.node
        if not isinstance(node, Literal) or not isinstance(node.value, int):
            raise Untranslatable("the order of a set by no column of it")
        if not 0 < node.value <= len(made.columns):
            raise Untranslatable("an order by no column")
        kind = made.columns[node.value - 1][1]
        return self.sorted(Written(f"{node.value}", kind), term, query)

    def sorted(self, made: Written, term: Term, query: Query) -> str:
        """Return a term of ORDER BY, with NULL where PostgreSQL has it."""
        is_cut = query.limit is not None or query.offset is not None
        if made.kind == "text" and not made.is_bytewise:
            if is_cut:
                raise Untranslatable("the order of texts is the database's own")
            self.differences.append(TEXTS_SORTED)
        elif made.kind in _SORTED_AS_TEXTS:
            self.differences.append(MOMENTS_SORTED)
        elif made.kind not in ("integer", "real", "boolean", "blob", "text"):
            raise Untranslatable(f"the order of {made.kind}")
        nulls = term.nulls or ("FIRST" if term.direction else "LAST")
        return f"{made.sql}{term.direction} NULLS {nulls}"

    def refuse_unequal(self, kind: str, what: str) -> None:
        """Refuse to ask which values are the same, where texts do not say it."""
        if kind not in _SAME_TEXTS and kind not in self.labelled:
            raise Untranslatable(f"{what} of {kind}")


class _SelectWriter(ExpressionWriter):
    """One SELECT: its sources, then its expressions."""

    def __init__(self, select: Select, around: _QueryWriter) -> None:
        super().__init__(TablePlan("", "", []), {}, around.labelled)
        self._select = select
        self._around = around
        self.differences = around.differences
        self._scope = _Scope()
        self._ways[Subquery] = self._value_of
        self._read = [self._source(source) for source in select.sources]

    def _source(self, source: Source) -> str:
        if source.alias in self._scope.sources or not source.alias:
            raise Untranslatable("two tables of one name")
        if source.query is None:
            relation = self._around.relations.get(source.name)
            if relation is None:
                raise Untranslatable(f"{source.name}, which SQLite will not have so")
            read = quote(relation.target)
        else:
            made = self._around.within(self._around.outer).shown(source.query)
            columns: dict[str, Column | None] = {}
            for name, (_, kind) in zip(made.names, made.columns, strict=True):
                columns[name] = None if name in columns else (quote(name), kind)
            relation, read = Readable("", columns), f"({made.sql})"
        self._scope.sources[source.alias] = relation
        joined = f"{source.joined} " if source.joined else ""
        return f"{joined}{read} AS {quote(source.alias)}"

    def shown(self, types: Sequence[str]) -> _Shown:
        """Return the SELECT without its order."""
        select = self._select
        names: list[str] = []
        columns: list[Column] = []
        listed: list[str] = []
        for place, (node, alias) in enumerate(select.items):
            if node is None:
                raise Untranslatable("a star")
            name = alias or (fold(node.name) if isinstance(node, Name) else "")
            made = self.write(node)
            if types:
                made = _as_shown(made, types[place] if place < len(types) else "")
            if select.is_distinct:
                self._around.refuse_unequal(made.kind, "DISTINCT")
            names.append(name)
            columns.append((made.sql, made.kind))
            listed.append(f"{made.sql} AS {quote(name)}" if name else made.sql)
        words = ["SELECT DISTINCT" if select.is_distinct else "SELECT"]
        words += [", ".join(listed), "FROM", self._from()]
        if select.where is not None:
            words.append(f"WHERE {self._truth(self.write(select.where))}")
        if select.groups:
            words.append(f"GROUP BY {', '.join(map(self._grouped, select.groups))}")
        if select.having is not None:
            words.append(f"HAVING {self._truth(self.write(select.having))}")
        return _Shown(" ".join(words), names, columns)

    def _from(self) -> str:
        words: list[str] = []
        for source, read in zip(self._select.sources, self._read, strict=True):
            words.append(read)
            if source.on is not None:
                words.append(f"ON {self._truth(self.write(source.on))}")
        return " ".join(words)

    def _grouped(self, node: Node) -> str:
        if isinstance(node, Literal):
            raise Untranslatable("a constant in GROUP BY")
        made = self.write(node)
        self._around.refuse_unequal(made.kind, "GROUP BY")
        return made.sql

    def sorted_by(self, term: Term, query: Query) -> str:
        """Return a term of the query's order."""
        if isinstance(term.node, Literal):
            raise Untranslatable("a constant in ORDER BY")
        return self._around.sorted(self.write(term.node), term, query)

    def _name(self, node: Name) -> Written:
        for scope in (self._scope, *self._around.outer):
            found = scope.find(node.table, node.name)
            if found is not None:
                return Written(*found)
        raise Untranslatable(f"the word {node.name}")

    def _inside(self, node: Subquery) -> _Shown:
        scopes = [self._scope, *self._around.outer]
        query: Query = node.query
        return self._around.within(scopes).shown(query)

    def _value_of(self, node: Subquery) -> Written:
        made = self._inside(node)
        if node.is_list or len(made.columns) != 1:
            raise Untranslatable("a query of several columns")
        return Written(f"({made.sql})", made.columns[0][1])

    def _among(self, node: Among) -> Written:
        within = node.items[0] if node.items else None
        if not isinstance(within, Subquery):
            return super()._among(node)
        of, made = self.write(node.of), self._inside(within)
        if len(made.columns) != 1 or made.columns[0][1] != of.kind:
            raise Untranslatable("IN of different kinds")
        self._around.refuse_unequal(of.kind, "IN")
        return Written(f"({of.sql} IN ({made.sql}))", "boolean")

    def _call(self, node: Call) -> Written:
        if node.name == "exists" and len(node.arguments) == 1:
            (within,) = node.arguments
            if not isinstance(within, Subquery):
                raise Untranslatable("EXISTS without a query")
            return Written(f"(EXISTS ({self._inside(within).sql}))", "boolean")
        if node.name not in _AGGREGATES:
            if node.is_distinct or node.is_star:
                raise Untranslatable(f"{node.name}()")
            return super()._call(node)
        if node.is_star:
            return Written("count(*)", "integer")
        (of,) = [self.write(part) for part in node.arguments]
        return self._aggregate(node, of)

    def _aggregate(self, node: Call, of: Written) -> Written:
        if node.is_distinct:
            self._around.refuse_unequal(of.kind, "DISTINCT")
        given = f"{node.name}({'DISTINCT ' if node.is_distinct else ''}{of.sql})"
        if node.name == "count":
            return Written(given, "integer")
        if node.name == "sum":
            if of.kind != "integer":
                raise Untranslatable(f"sum() of {of.kind}")
            return Written(given, "integer")
        if of.kind in _SORTED_AS_TEXTS:
            self.differences.append(MOMENTS_SORTED)
        elif of.kind not in ("integer", "real"):
            raise Untranslatable(f"{node.name}() of {of.kind}")
        return Written(given, of.kind)


def _as_shown(made: Written, type_: str) -> Written:
    """Return what a view shows, as a table's column of its type would hold it."""
    if type_ == "numeric" and made.kind in ("integer", WHOLE):
        return replace(made, sql=f"CAST({made.sql} AS TEXT)", kind="numeric")
    if made.kind == WHOLE or (made.kind == "numeric" and made.is_literal):
        raise Untranslatable("a decimal that is computed")
    return made
