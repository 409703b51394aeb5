"""Expressions of SQLite in PostgreSQL's words, where they mean the same.

Owns the list of operators and functions whose meaning is the same on both, and
refuses everything else: a check that silently means something different is worse
than one that is named as not carried over. What is in the list was compared on
both engines over random values.

Invariant: what is returned gives for every row what SQLite gives, NULL included,
or an error where PostgreSQL's numbers end (SQLite goes on with a rounded one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lockstep.migrations.sqlite.tokens import fold
from lockstep.mover.translate.functions import FUNCTIONS, constant_call
from lockstep.mover.translate.patterns import glob_to_regex
from lockstep.mover.translate.pieces import (
    Kind,
    Piece,
    as_condition,
    as_double,
    as_number,
    as_text,
    comparable,
    folded,
    folded_text,
    literal,
)
from lockstep.mover.translate.syntax import parse
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
    within_depth,
)
from lockstep.schema.types.portable import quoted

__all__ = ["Meaning", "Translator", "Untranslatable", "condition", "value"]

_KINDS: Final[dict[tuple[str, str], Kind]] = {
    ("bigint", "integer"): "integer",
    ("boolean", "boolean"): "boolean",
    ("double precision", "real"): "real",
    ("double precision", "number"): "number",
    ("numeric", "numeric"): "numeric",
    ("numeric", "whole_numeric"): "numeric",
    ("text", "text"): "text",
    ("bytea", "bytes"): "blob",
    ("date", "text"): "day",
    ("timestamp", "text"): "moment",
    ("time", "text"): "clock",
    ("json", "text"): "document",
}
_SAME_BUT_FOR_LENGTH: Final = {
    **{"numeric": "numeric", "decimal": "numeric"},
    **dict.fromkeys(("text", "varchar", "character varying"), "text"),
}
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
_BITS = frozenset({"&", "|", "<<", ">>"})
_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_ORDERINGS = frozenset({"<", "<=", ">", ">="})


def _without_length(type_: str) -> str:
    """Return the type whose operators a person's ``numeric(10, 2)`` has."""
    name = type_.partition("(")[0].strip().lower()
    return _SAME_BUT_FOR_LENGTH.get(name, type_)


@dataclass(frozen=True)
class Meaning:
    """What a column's name stands for.

    Attributes:
        target: Its name on PostgreSQL, quoted, with its table's where needed.
        type, codec: As the plan has them.
        affinity, collation: SQLite's, of the declared column.
    """

    target: str
    type: str
    codec: str
    affinity: str = "text"
    collation: str = "BINARY"


def condition(sql: str, columns: Mapping[str, Meaning]) -> str:
    r"""Return a check or a WHERE as a boolean of PostgreSQL.

    Args:
        sql: The expression.
        columns: By the name in lower case.

    Raises:
        Untranslatable: A part of it has no form that surely means the same.

    Example:
        >>> columns = {"qty": Meaning('"qty"', "bigint", "integer"),
        ...     "kind": Meaning('"kind"', "text", "text")}
        >>> condition("qty>=0 AND kind LIKE 'a%'", columns)
        '(("qty" >= 0) AND (lower("kind" COLLATE "C") LIKE \'a%\' ESCAPE \'\'))'
    """
    with within_depth():
        return as_condition(Translator(columns).piece(parse(sql)))


def value(sql: str, columns: Mapping[str, Meaning]) -> Piece:
    """Return an expression's value as SQLite would store it.

    Raises:
        Untranslatable: A part of it has no form that surely means the same.
    """
    with within_depth():
        return as_number(Translator(columns).piece(parse(sql)))


_ROWIDS = frozenset({"rowid", "oid", "_rowid_"})
"""Even in double quotes SQLite takes them for a row's number, and for no text."""


class Translator:
    """Writes trees of SQLite for PostgreSQL.

    Args:
        columns: By the name in lower case; ``table.column`` where a query has
            several tables.
    """

    def __init__(self, columns: Mapping[str, Meaning]) -> None:
        self._columns = columns
        self._ways: dict[type, Callable[..., Piece]] = {
            Literal: self._literal,
            Name: self._name,
            Unary: self._unary,
            Binary: self._binary,
            Like: self._like,
            Among: self._among,
            Between: self._between,
            Case: self._case,
            Call: self._call,
            Cast: self._cast,
            Collate: self._collate,
        }

    def piece(self, node: Node) -> Piece:
        """Return a tree's SQL.

        Raises:
            Untranslatable: A part of it might mean something else.
        """
        return self._ways[type(node)](node)

    def _literal(self, node: Literal) -> Piece:
        return literal(node.value)

    def _made(self, sql: str, kind: Kind, *parts: Piece) -> Piece:
        if kind == "null":
            return literal(None)
        return Piece(
            sql,
            kind,
            is_constant=all(part.is_constant for part in parts),
            is_stable=any(part.is_stable for part in parts),
        )

    def _meaning(self, node: Name) -> Meaning | None:
        """Return the column of a name; None if it is a text in double quotes."""
        wanted = f"{node.table}.{node.name}" if node.table else node.name
        found = self._columns.get(fold(wanted))
        is_word = not node.is_text_too or fold(node.name) in _ROWIDS
        if found is None and is_word:
            raise Untranslatable(f"the word {wanted}")
        return found

    def _name(self, node: Name) -> Piece:
        found = self._meaning(node)
        if found is None:
            return literal(node.name)
        kind = _KINDS.get((_without_length(found.type), found.codec))
        if kind is None and found.codec.startswith("moment:"):
            kind = "written"
        if not found.target:
            raise Untranslatable(f"{node.name} is {found.type}")
        if kind is None:
            raise Untranslatable(
                f"{node.name} becomes {found.type}, where it does not mean the same"
            )
        return Piece(
            found.target,
            kind,
            collation=found.collation,
            affinity=found.affinity,
        )

    def _collate(self, node: Collate) -> Piece:
        return replace(self.piece(node.of), collation=node.collation)

    def _unary(self, node: Unary) -> Piece:
        if node.operator == "NOT":
            of = self.piece(node.of)
            return self._made(f"(NOT {as_condition(of)})", "boolean", of)
        of = as_number(self.piece(node.of))
        if node.operator == "+":
            return replace(of, affinity="")
        if node.operator == "-" and of.is_literal and isinstance(of.value, int | float):
            return literal(-of.value)
        wanted = ("integer",) if node.operator == "~" else ("integer", "real")
        if of.kind not in wanted:
            raise Untranslatable(f"{node.operator} before a {of.kind}")
        return self._made(f"({node.operator} {of.sql})", of.kind, of)

    def _binary(self, node: Binary) -> Piece:
        if node.operator in ("IS", "IS NOT") and node.right == Literal(None):
            return self._is_null(node)
        left, right = self.piece(node.left), self.piece(node.right)
        operator = node.operator
        if operator in ("AND", "OR"):
            sql = f"({as_condition(left)} {operator} {as_condition(right)})"
            return self._made(sql, "boolean", left, right)
        if operator in _COMPARISONS:
            return self._compared(operator, left, right)
        if operator.endswith((" TRUE", " FALSE")):
            sql = f"({as_condition(left)} {operator})"
            return self._made(sql, "boolean", left)
        if operator in ("IS", "IS NOT"):
            return self._is(operator, left, right)
        if operator == "||":
            sql = f"({as_text(left).sql} || {as_text(right).sql})"
            if "null" in (left.kind, right.kind):
                return literal(None)
            return self._made(sql, "text", left, right)
        return self._computed(operator, as_number(left), as_number(right))

    def _compared(self, operator: str, left: Piece, right: Piece) -> Piece:
        is_ordering = operator in _ORDERINGS
        one, two = comparable(left, right, is_ordering=is_ordering)
        return self._made(f"({one} {operator} {two})", "boolean", left, right)

    def _is_null(self, node: Binary) -> Piece:
        # NULL is NULL, whatever else a column holds.
        found = self._meaning(node.left) if isinstance(node.left, Name) else None
        of = Piece(found.target, "text") if found else self.piece(node.left)
        return self._made(f"({of.sql} {node.operator} NULL)", "boolean", of)

    def _is(self, operator: str, left: Piece, right: Piece) -> Piece:
        if right.kind == "null":
            return self._made(f"({left.sql} {operator} NULL)", "boolean", left)
        word = "IS NOT DISTINCT FROM" if operator == "IS" else "IS DISTINCT FROM"
        one, two = comparable(left, right, is_ordering=False)
        return self._made(f"({one} {word} {two})", "boolean", left, right)

    def _computed(self, operator: str, left: Piece, right: Piece) -> Piece:
        if "null" in (left.kind, right.kind):
            return literal(None)
        kinds = {left.kind, right.kind}
        if operator in _BITS or operator == "%":
            if kinds != {"integer"}:
                raise Untranslatable(f"the operator {operator} with a {right.kind}")
        elif not kinds <= {"integer", "real"}:
            raise Untranslatable(f"{left.kind} {operator} {right.kind}")
        if operator in ("<<", ">>"):
            is_shift = isinstance(right.value, int) and 0 <= right.value < 64
            if not right.is_literal or not is_shift:
                raise Untranslatable("a shift by another number than 0 to 63")
        kind: Kind = "real" if "real" in kinds else "integer"
        if kind == "real":
            left, right = as_double(left), as_double(right)
        one, two = left.sql, right.sql
        if kind == "integer" and (left.is_constant or operator in ("<<", ">>")):
            # PostgreSQL's own literals have four bytes only.
            one = f"({one})::bigint"
        if operator in ("/", "%") and not (right.is_literal and right.value):
            two = f"nullif({two}, 0)"  # by zero is NULL in SQLite
        return self._made(f"({one} {operator} {two})", kind, left, right)

    def _like(self, node: Like) -> Piece:
        of, pattern = map(as_text, map(self.piece, (node.left, node.pattern)))
        if "null" in (of.kind, pattern.kind):
            return literal(None)
        if node.operator == "GLOB":
            if not isinstance(pattern.value, str):
                raise Untranslatable("a GLOB pattern that is no literal")
            regex = quoted(glob_to_regex(pattern.value))
            return self._made(f'({of.sql} COLLATE "C" ~ {regex})', "boolean", of)
        escape = ""
        if node.escape is not None:
            escape = self._escape(node.escape, pattern)
        # SQLite folds A to Z and nothing else; ILIKE would fold É, too.
        sql = f"({folded(of)} LIKE {folded(pattern)} ESCAPE {quoted(escape)})"
        return self._made(sql, "boolean", of, pattern)

    def _escape(self, node: Node, pattern: Piece) -> str:
        letter, text = self.piece(node).value, pattern.value
        if not isinstance(letter, str) or len(letter) != 1 or letter in "%_":
            raise Untranslatable("an ESCAPE that is no single character")
        if folded_text(letter) != letter.upper():
            raise Untranslatable("a letter as ESCAPE")
        if not isinstance(text, str) or text.endswith(letter):
            raise Untranslatable("a pattern that ends with its ESCAPE")
        return letter

    def _among(self, node: Among) -> Piece:
        of = self.piece(node.of)
        items = [self.piece(item) for item in node.items]
        if not items:
            raise Untranslatable("IN with an empty list")
        if of.kind == "null":
            return literal(None)
        pairs = [comparable(of, item, is_ordering=False) for item in items]
        if len({one for one, _ in pairs}) > 1:
            terms = " OR ".join(f"{one} = {two}" for one, two in pairs)
            return self._made(f"({terms})", "boolean", of, *items)
        listed = ", ".join(two for _, two in pairs)
        return self._made(f"({pairs[0][0]} IN ({listed}))", "boolean", of, *items)

    def _between(self, node: Between) -> Piece:
        of, low, high = map(self.piece, (node.of, node.low, node.high))
        above, below = self._compared(">=", of, low), self._compared("<=", of, high)
        return self._made(f"({above.sql} AND {below.sql})", "boolean", of, low, high)

    def _case(self, node: Case) -> Piece:
        base = None if node.base is None else self.piece(node.base)
        parts: list[Piece] = [] if base is None else [base]
        words: list[str] = []
        results: list[Piece] = []
        for condition_node, result in node.whens:
            when = self.piece(condition_node)
            parts.append(when)
            test = when if base is None else self._compared("=", base, when)
            words.append(f"WHEN {as_condition(test)} THEN")
            results.append(self.piece(result))
        otherwise = literal(None)
        if node.otherwise is not None:
            otherwise = self.piece(node.otherwise)
        kind, results = united([*results, otherwise])
        body = " ".join(
            f"{word} {result.sql}"
            for word, result in zip(words, results[:-1], strict=True)
        )
        sql = f"(CASE {body} ELSE {results[-1].sql} END)"
        return self._made(sql, kind, *parts, *results)

    def _call(self, node: Call) -> Piece:
        if node.is_star or node.is_distinct:
            raise Untranslatable(f"the function {node.name}()")
        if node.name == "iif" and len(node.arguments) == 3:
            test, yes, no = node.arguments
            return self._case(Case(None, ((test, yes),), no))
        if node.name in ("coalesce", "ifnull") and len(node.arguments) > 1:
            kind, parts = united([self.piece(part) for part in node.arguments])
            listed = ", ".join(part.sql for part in parts)
            return self._made(f"coalesce({listed})", kind, *parts)
        arguments = [as_number(self.piece(part)) for part in node.arguments]
        if node.name == "nullif" and len(arguments) == 2:
            test = self._compared("=", *arguments)
            if "null" in (arguments[0].kind, arguments[1].kind):
                return arguments[0]
            sql = f"(CASE WHEN {test.sql} THEN NULL ELSE {arguments[0].sql} END)"
            return self._made(sql, arguments[0].kind, *arguments)
        if all(part.is_literal for part in arguments):
            folded_call = constant_call(node.name, [p.value for p in arguments])
            if folded_call is not None:
                return literal(*folded_call)
        way = FUNCTIONS.get(node.name)
        if way is None:
            raise Untranslatable(f"the function {node.name}()")
        if any(part.kind == "null" for part in arguments):
            raise Untranslatable(f"{node.name}() of NULL")
        sql, kind, is_stable = way(node.name, arguments)
        made = self._made(sql, kind, *arguments)
        return replace(made, is_stable=made.is_stable or is_stable)

    def _cast(self, node: Cast) -> Piece:
        of = as_number(self.piece(node.of))
        wanted = node.declared.split("(")[0].strip()
        if "INT" in wanted and of.kind == "integer":
            return replace(of, is_literal=False, affinity="")
        if "INT" in wanted and of.kind == "real":
            return self._made(_clamped(of.sql), "integer", of)
        if wanted in ("TEXT", "VARCHAR", "CHAR") and of.kind in ("text", "integer"):
            return replace(as_text(of), is_literal=False, affinity="")
        if wanted in ("REAL", "DOUBLE", "FLOAT") and of.kind in ("integer", "real"):
            return replace(as_double(of), is_literal=False, affinity="")
        raise Untranslatable(f"CAST of a {of.kind} AS {node.declared}")


def _clamped(real: str) -> str:
    """Return the integer of a real: beyond 64 bits SQLite takes the last one."""
    return (
        f"(CASE WHEN {real} >= 9223372036854775807 THEN 9223372036854775807 "
        f"WHEN {real} <= -9223372036854775808 THEN -9223372036854775808 "
        f"ELSE trunc({real})::bigint END)"
    )


def united(parts: Sequence[Piece]) -> tuple[Kind, list[Piece]]:
    """Return the one kind that alternatives have, and each as that.

    Raises:
        Untranslatable: They have several, between which PostgreSQL would convert.
    """
    kinds: set[Kind] = {part.kind for part in parts if part.kind != "null"}
    if len(kinds) > 1 and "boolean" in kinds:
        parts = [as_number(part) for part in parts]
        kinds = {part.kind for part in parts if part.kind != "null"}
    if not kinds:
        return "null", list(parts)
    if len(kinds) > 1:
        raise Untranslatable(
            f"alternatives of several kinds: {', '.join(sorted(kinds))}"
        )
    (kind,) = kinds
    if kind == "written":
        raise Untranslatable("alternatives that are moments in other forms")
    if kind == "integer" and any(part.is_literal for part in parts):
        first = parts[0]
        parts = [replace(first, sql=f"({first.sql})::bigint"), *parts[1:]]
    return kind, list(parts)
