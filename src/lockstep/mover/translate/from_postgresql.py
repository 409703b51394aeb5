"""Expressions of PostgreSQL in SQLite's words, where they mean the same.

Owns the reading of what ``pg_get_expr`` writes (casts, ``~~``, ``= ANY (ARRAY``) and
the list of operators and functions that SQLite has with the same meaning. A decimal,
an interval or a document is a text in SQLite, which neither sorts nor adds up as the
value does: about such a column only NULL can be asked.

Invariant: what is returned gives for every row what PostgreSQL gives, NULL included,
where PostgreSQL gives no error; where it is a little less, ``differences`` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.model.values import EXACT_IN_DOUBLE
from lockstep.mover.translate.patterns import like_to_glob
from lockstep.mover.translate.postgresql_syntax import parsed
from lockstep.mover.translate.tree import (
    Among,
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
    within_depth,
)
from lockstep.schema.types.portable import quoted

_INTEGERS = frozenset({"smallint", "integer", "bigint", "int"})
_TEXTS = frozenset({"text", "character varying", "varchar"})
_STORED_SO = frozenset({"integer", "boolean", "real"})
AS_WRITTEN = frozenset({"date", "uuid", "timestamp without time zone"})
"""Types whose equal values have equal texts."""

_ORDERINGS = frozenset({"<", "<=", ">", ">="})
WHOLE: Final = "whole"
"""An integer that PostgreSQL took for a decimal, to compare it with one."""

_DIGITS: Final = 15
"""Of a decimal: so many are a double's, too."""


@dataclass
class Written:
    """SQL of SQLite, and its kind: a type's family, or the type itself."""

    sql: str
    kind: str
    value: int | float | str | bytes | None = None
    is_literal: bool = False
    is_bytewise: bool = False


@dataclass
class Expression:
    """A translated expression.

    Attributes:
        differences: Where SQLite does a little less, a sentence each.
    """

    sql: str
    kind: str
    differences: list[str] = field(default_factory=list[str])


def expression_to_sqlite(
    expression: str,
    table: TablePlan,
    types: Mapping[str, str] | None = None,
    labelled: Collection[str] = (),
) -> Expression:
    """Return a check, an indexed or computed expression as SQLite reads it.

    Args:
        expression: As PostgreSQL's catalogs write it.
        table: The plan of its table, to SQLite.
        types: What its columns hold behind their domains, by name.
        labelled: Types that are enumerations.

    Raises:
        Untranslatable: A part of it might mean something else.
    """
    text = expression.strip().removesuffix(" NOT VALID").removesuffix(" NO INHERIT")
    if text.startswith("CHECK "):
        text = text.removeprefix("CHECK ").strip()
    writer = ExpressionWriter(table, types or {}, labelled)
    with within_depth():
        made = writer.write(parsed(text))
    return Expression(made.sql, made.kind, writer.differences)


def family(type: str) -> str:
    """Return ``integer``, ``real``, ``text`` … or the type itself."""
    base = type.split("(")[0].strip()
    if base in _INTEGERS:
        return "integer"
    if base in _TEXTS:
        return "text"
    return {"double precision": "real", "bytea": "blob"}.get(base, base)


def kind_of(column: ColumnPlan, type_: str | None) -> str:
    """Return the kind of a column's values; the codec's word if it changes them.

    Args:
        column: To SQLite.
        type_: What it holds behind its domain; None for what the plan says.
    """
    kind = family(type_ or column.source_type or column.type)
    usual = {"blob": "bytes"}.get(kind, kind if kind in _STORED_SO else "text")
    if column.codec == usual:
        return kind
    return column.codec if column.codec not in _STORED_SO else f"{kind} in numbers"


class ExpressionWriter:
    """Writes the trees of one table's expressions.

    Args:
        table: The plan of the table, to SQLite.
        types: What its columns hold behind their domains, by name.
        labelled: Types that are enumerations.
    """

    def __init__(
        self, table: TablePlan, types: Mapping[str, str], labelled: Collection[str]
    ) -> None:
        self._left = frozenset(table.left)
        self._columns: dict[str, ColumnPlan] = {c.source: c for c in table.columns}
        self._types = types
        self._as_written = AS_WRITTEN | set(labelled)
        self.differences: list[str] = []
        self._ways: dict[type, Callable[..., Written]] = {
            Literal: self._literal,
            Name: self._name,
            Unary: self._unary,
            Binary: self._binary,
            Like: self._like,
            Among: self._among,
            Case: self._case,
            Call: self._call,
            Cast: self._cast,
            Collate: self._collate,
        }

    def write(self, node: Node) -> Written:
        """Return a tree's SQL."""
        way = self._ways.get(type(node))
        if way is None:
            raise Untranslatable(type(node).__name__.upper())
        return way(node)

    def _literal(self, node: Literal) -> Written:
        value = node.value
        if isinstance(value, str):
            return Written(quoted(value), "text", value, True)
        if isinstance(value, float):
            # A number with a point is a decimal, which SQLite has none of.
            return Written(repr(value), "numeric", value, True)
        if isinstance(value, bytes):
            raise Untranslatable("bits")
        sql = "NULL" if value is None else str(value)
        return Written(sql, "null" if value is None else "integer", value, True)

    def _name(self, node: Name) -> Written:
        column = self._columns.get(node.name)
        if node.name in self._left:
            raise Untranslatable(f"it needs {node.name}, which is left behind")
        if column is None or node.table:
            raise Untranslatable(f"the word {node.name}")
        kind = kind_of(column, self._types.get(node.name))
        return Written(quote(column.target), kind)

    def _collate(self, node: Collate) -> Written:
        made = self.write(node.of)
        if node.collation not in ("C", "POSIX"):
            raise Untranslatable(f"the collation {node.collation}")
        made.is_bytewise = True
        return made

    def _unary(self, node: Unary) -> Written:
        of = self.write(node.of)
        if node.operator == "NOT":
            return Written(f"(NOT {self._truth(of)})", "boolean")
        if of.kind not in ("integer", "real", "numeric") or node.operator == "~":
            raise Untranslatable(f"{node.operator} before {of.kind}")
        if of.is_literal and node.operator == "-" and isinstance(of.value, int | float):
            return Written(f"({-of.value!r})", of.kind, -of.value, True)
        return Written(f"({node.operator} {of.sql})", of.kind)

    def _truth(self, made: Written) -> str:
        if made.kind not in ("boolean", "null"):
            raise Untranslatable(f"{made.kind} as a condition")
        return made.sql

    def _binary(self, node: Binary) -> Written:
        left, right = self.write(node.left), self.write(node.right)
        operator = node.operator
        if operator in ("AND", "OR"):
            sql = f"({self._truth(left)} {operator} {self._truth(right)})"
            return Written(sql, "boolean")
        if operator.endswith((" TRUE", " FALSE")):
            return Written(f"({self._truth(left)} {operator})", "boolean")
        if operator in ("IS", "IS NOT") and right.kind == "null":
            return Written(f"({left.sql} {operator} NULL)", "boolean")
        if operator in ("=", "<>", "IS", "IS NOT", *_ORDERINGS):
            self._comparable(operator, left, right)
            return Written(f"({left.sql} {operator} {right.sql})", "boolean")
        if operator == "||" and left.kind == right.kind == "text":
            return Written(f"({left.sql} || {right.sql})", "text")
        return self._computed(operator, left, right)

    def _comparable(self, operator: str, left: Written, right: Written) -> None:
        left, right = _as_integer(left), _as_integer(right)
        kinds = {left.kind, right.kind} - {"null"}
        if len(kinds) > 1:
            self._beside(left, right)
            self._beside(right, left)
            return
        kind = next(iter(kinds), "null")
        if operator in _ORDERINGS:
            is_bytewise = left.is_bytewise or right.is_bytewise
            if kind == "text" and not is_bytewise:
                raise Untranslatable("the order of texts is the database's own")
            if kind not in ("integer", "real", "boolean", "blob", "text", "null"):
                raise Untranslatable(f"the order of {kind}")
        elif kind not in ("integer", "real", "boolean", "blob", "text", "null"):
            is_written = left.is_literal or right.is_literal
            if kind not in self._as_written or not is_written:
                raise Untranslatable(f"{kind} is a text in SQLite")

    def _beside(self, piece: Written, other: Written) -> None:
        """Refuse numbers of two kinds that either engine would have to round."""
        numbers = {"integer", "real", "numeric"}
        if piece.kind not in numbers or other.kind not in numbers:
            raise Untranslatable(f"it compares {other.kind} with {piece.kind}")
        if piece.is_literal:
            value = piece.value
            assert isinstance(value, int | float), "a literal number"
            if abs(value) > EXACT_IN_DOUBLE:
                raise Untranslatable("a number with more digits than a double holds")
        elif not other.is_literal or piece.kind == "numeric":
            raise Untranslatable(f"{piece.kind} compared with {other.kind}")

    def _computed(self, operator: str, left: Written, right: Written) -> Written:
        if left.kind != right.kind or left.kind not in ("integer", "real"):
            raise Untranslatable(f"{left.kind} {operator} {right.kind}")
        if operator in ("/", "%"):
            # By zero is an error there and NULL here.
            if not right.is_literal or not right.value:
                raise Untranslatable("a division by what may be zero")
            if operator == "%" and left.kind == "real":
                raise Untranslatable("% of reals")
        elif operator not in ("+", "-", "*"):
            raise Untranslatable(f"the operator {operator}")
        return Written(f"({left.sql} {operator} {right.sql})", left.kind)

    def _like(self, node: Like) -> Written:
        of = self.write(node.left)
        if node.operator != "LIKE" or node.escape is not None or of.kind != "text":
            raise Untranslatable(node.operator)
        parts: tuple[Node, ...] = (node.pattern,)
        if isinstance(node.pattern, Call) and node.pattern.name == "like_escape":
            parts = node.pattern.arguments
        pattern, escape, *_ = [*(self.write(part).value for part in parts), "\\"]
        if not isinstance(pattern, str) or not isinstance(escape, str):
            raise Untranslatable("a LIKE pattern that is no literal")
        glob = quoted(like_to_glob(pattern, escape))
        return Written(f"({of.sql} GLOB {glob})", "boolean")

    def _among(self, node: Among) -> Written:
        of = self.write(node.of)
        items = [self.write(item) for item in node.items]
        for item in items:
            self._comparable("=", of, item)
        return Written(f"({of.sql} IN ({_listed(items)}))", "boolean")

    def _case(self, node: Case) -> Written:
        base = None if node.base is None else self.write(node.base)
        words = ["CASE"] if base is None else [f"CASE {base.sql}"]
        results: list[Written] = []
        for condition, result in node.whens:
            when, then = self.write(condition), self.write(result)
            if base is not None:
                self._comparable("=", base, when)
            shown = self._truth(when) if base is None else when.sql
            words.append(f"WHEN {shown} THEN {then.sql}")
            results.append(then)
        if node.otherwise is not None:
            results.append(self.write(node.otherwise))
            words.append(f"ELSE {results[-1].sql}")
        return Written(f"({' '.join(words)} END)", _one_kind(results))

    def _cast(self, node: Cast) -> Written:
        of, wanted = self.write(node.of), family(node.declared)
        if "(" in node.declared and not _is_short(of, node.declared):
            return _refused(node)
        if wanted == "boolean" and of.is_literal and of.value in (0, 1):
            return Written(str(of.value), wanted, of.value, True)
        if of.is_literal and isinstance(of.value, str):
            return self._typed(of.value, wanted)
        if of.kind in (wanted, "null"):
            return of
        if of.kind == "integer" and node.declared == "numeric":
            return Written(of.sql, WHOLE, of.value, of.is_literal)
        if of.kind == "integer" and wanted == "real":
            return Written(f"CAST({of.sql} AS REAL)", "real", of.value, of.is_literal)
        if of.is_literal and of.kind == "numeric" and wanted == "real":
            return Written(of.sql, "real", of.value, True)
        if of.kind == "boolean" and wanted == "integer":
            return Written(of.sql, "integer")
        if of.kind == "integer" and wanted == "text":
            return Written(f"CAST({of.sql} AS TEXT)", "text")
        return _refused(node)

    def _typed(self, text: str, wanted: str) -> Written:
        """Return a constant that PostgreSQL writes as a text with its type."""
        if wanted == "integer":
            number = int(text)
            return Written(f"({number})" if number < 0 else text, wanted, number, True)
        if wanted in ("real", "numeric"):
            value = float(text)
            if value - value != 0 or (wanted == "numeric" and len(text) > _DIGITS):
                raise Untranslatable(text)
            return Written(f"({value!r})", wanted, value, True)
        if wanted == "text" or wanted in self._as_written:
            return Written(quoted(text), wanted, text, True)
        raise Untranslatable(f"the {wanted} '{text}'")

    def _call(self, node: Call) -> Written:
        parts = [self.write(part) for part in node.arguments]
        kinds = tuple(part.kind for part in parts)
        if node.name == "coalesce" and len(parts) > 1:
            return Written(f"coalesce({_listed(parts)})", _one_kind(parts))
        if node.name == "nullif" and len(parts) == 2:
            self._comparable("=", *parts)
            return Written(f"nullif({_listed(parts)})", parts[0].kind)
        known = _FUNCTIONS.get((node.name, kinds))
        if known is None:
            raise Untranslatable(f"{node.name}() of {', '.join(kinds) or 'nothing'}")
        name, kind = known
        if name in ("lower", "upper") and not parts[0].is_bytewise:
            self.differences.append(f"{name}() changes A to Z only on SQLite")
        if name == "substr" and not all(
            part.is_literal and isinstance(part.value, int) and part.value >= low
            for part, low in zip(parts[1:], (1, 0), strict=False)
        ):
            raise Untranslatable("substr() with other places than numbers")
        return Written(f"{name}({_listed(parts)})", kind or parts[0].kind)


_FUNCTIONS: Final[dict[tuple[str, tuple[str, ...]], tuple[str, str]]] = {
    ("length", ("text",)): ("length", "integer"),
    ("char_length", ("text",)): ("length", "integer"),
    ("length", ("blob",)): ("length", "integer"),
    ("octet_length", ("blob",)): ("length", "integer"),
    ("abs", ("integer",)): ("abs", ""),
    ("abs", ("real",)): ("abs", ""),
    ("lower", ("text",)): ("lower", ""),
    ("upper", ("text",)): ("upper", ""),
    ("btrim", ("text",)): ("trim", ""),
    ("ltrim", ("text",)): ("ltrim", ""),
    ("rtrim", ("text",)): ("rtrim", ""),
    ("btrim", ("text", "text")): ("trim", ""),
    ("ltrim", ("text", "text")): ("ltrim", ""),
    ("rtrim", ("text", "text")): ("rtrim", ""),
    ("replace", ("text", "text", "text")): ("replace", ""),
    ("strpos", ("text", "text")): ("instr", "integer"),
    ("substr", ("text", "integer")): ("substr", ""),
    ("substr", ("text", "integer", "integer")): ("substr", ""),
}


def _as_integer(made: Written) -> Written:
    return replace(made, kind="integer") if made.kind == WHOLE else made


def _is_short(of: Written, declared: str) -> bool:
    """Whether a text is a constant that a type of some length does not cut."""
    name, _, length = declared.partition("(")
    is_known = isinstance(of.value, str) and family(name) == "text"
    return is_known and len(str(of.value)) <= int(length.rstrip(")"))


def _refused(node: Cast) -> Written:
    raise Untranslatable(f"a cast to {node.declared}")


def _one_kind(parts: Sequence[Written]) -> str:
    kinds = {part.kind for part in parts} - {"null"}
    if kinds == {"integer", WHOLE}:
        return WHOLE
    if len(kinds) > 1:
        raise Untranslatable("alternatives of several kinds")
    return next(iter(kinds), "null")


def _listed(parts: Sequence[Written]) -> str:
    return ", ".join(part.sql for part in parts)
