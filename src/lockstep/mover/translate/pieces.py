"""A translated part of an expression, and what is known about its values.

Owns the kinds of values an expression can have on both engines, and how one kind
is written where another is wanted. SQLite asks a value for its class when it meets
it; PostgreSQL knows the type beforehand: only where both must agree there is a kind.

    integer   bigint               number    double precision that holds either class
    real      double precision     numeric   the same, as exact decimals
    text      text                 boolean   0 and 1 in SQLite
    blob      bytea                null      nothing but NULL
    day, moment, clock             texts that PostgreSQL holds as date, timestamp, time
    written                        such texts in a form that is not PostgreSQL's own
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal

from lockstep.moments.forms import has_form
from lockstep.mover.model.values import EXACT_IN_DOUBLE
from lockstep.mover.translate.tree import Untranslatable
from lockstep.schema.affinity import is_for_numbers, kept_of_text, looks_like_number
from lockstep.schema.types.portable import quoted

Kind = Literal[
    "integer",
    "real",
    "number",
    "numeric",
    "text",
    "blob",
    "boolean",
    "null",
    "day",
    "moment",
    "clock",
    "written",
    "document",
]
TIMES: Final[dict[Kind, str]] = {"day": "date", "moment": "timestamp", "clock": "time"}
NUMBERS: Final = frozenset({"integer", "real", "number", "numeric"})
_DOUBLES: Final = frozenset({"real", "number"})


@dataclass(frozen=True)
class Piece:
    """Some SQL of PostgreSQL.

    Attributes:
        sql: It stands alone: an operator's operand, an argument.
        value: Of a literal; None also for NULL.
        is_literal: Whether it is a literal.
        is_constant: Whether no column takes part.
        collation: The one its column has, or that it was given.
        affinity: Of a column: what SQLite makes of a value compared with it.
        is_stable: Whether it depends on settings, so that nothing may store it.
    """

    sql: str
    kind: Kind
    value: int | float | str | bytes | None = None
    is_literal: bool = False
    is_constant: bool = False
    collation: str = ""
    affinity: str = ""
    is_stable: bool = False


def literal(value: int | float | str | bytes | None) -> Piece:
    """Return a constant."""

    def made(sql: str, kind: Kind) -> Piece:
        return Piece(sql, kind, value, is_literal=True, is_constant=True)

    if value is None:
        return made("NULL", "null")
    if isinstance(value, int):
        return made(str(value) if value >= 0 else f"({value})", "integer")
    if isinstance(value, float):
        if value - value != 0:
            raise Untranslatable("an infinite number")
        return made(f"({value!r})::double precision", "real")
    if isinstance(value, str):
        if "\0" in value:
            raise Untranslatable("a text with NUL")
        return made(quoted(value), "text")
    return made(f"'\\x{value.hex()}'::bytea", "blob")


def as_condition(piece: Piece) -> str:
    """Return a boolean of PostgreSQL: whether SQLite would take it for true."""
    if piece.kind == "boolean":
        return piece.sql
    if piece.kind == "null":
        return "NULL::boolean"
    if piece.kind in NUMBERS:
        return f"({piece.sql} <> 0)"
    raise Untranslatable(f"a {piece.kind} as a condition")


def as_number(piece: Piece) -> Piece:
    """Return the 0 or 1 of a boolean; any other piece as it is."""
    if piece.kind != "boolean":
        return piece
    return replace(piece, sql=f"({piece.sql})::int", kind="integer", collation="")


def as_text(piece: Piece) -> Piece:
    """Return what SQLite makes of a value where a text is wanted."""
    piece = as_number(piece)
    if piece.kind in ("text", "null"):
        return piece
    if piece.kind == "integer":
        return replace(piece, sql=f"({piece.sql})::text", kind="text", value=None)
    raise Untranslatable(f"the text of a {piece.kind}")


def as_double(piece: Piece) -> Piece:
    """Return an integer or a real for arithmetic with reals."""
    if piece.kind == "integer":
        return replace(piece, sql=f"({piece.sql})::double precision", kind="real")
    return piece


def comparable(left: Piece, right: Piece, *, is_ordering: bool) -> tuple[str, str]:
    """Return both sides so that PostgreSQL compares them as SQLite does.

    Raises:
        Untranslatable: The engines would compare something else.
    """
    if left.kind != "boolean" or right.kind != "boolean":
        left, right = as_number(left), as_number(right)
    left, right = _as_compared(left, right), _as_compared(right, left)
    if "null" in (left.kind, right.kind):
        return left.sql, right.sql
    if left.kind in NUMBERS and right.kind in NUMBERS:
        return _numbers(left, right)
    if left.kind in TIMES or right.kind in TIMES:
        return _times(left, right, is_ordering=is_ordering)
    if left.kind != right.kind or left.kind == "written":
        raise Untranslatable(f"it compares a {left.kind} with a {right.kind}")
    if left.kind == "text":
        return _texts(left, right, is_ordering=is_ordering)
    return left.sql, right.sql


def _as_compared(piece: Piece, other: Piece) -> Piece:
    """Return a literal text as the number that it is beside a column for numbers."""
    if not is_for_numbers(other.affinity) or other.kind == "text":
        return piece
    if not isinstance(piece.value, str):
        return piece
    # A column of reals, too, is compared with the integer that a text may be.
    compared = kept_of_text(piece.value, "numeric")
    return piece if isinstance(compared, str) else literal(compared)


def _numbers(left: Piece, right: Piece) -> tuple[str, str]:
    kinds = {left.kind, right.kind}
    if kinds <= _DOUBLES or kinds <= {"integer", "numeric"}:
        return left.sql, right.sql
    return _beside(left, right), _beside(right, left)


def _beside(piece: Piece, other: Piece) -> str:
    """Return a number next to one of another kind, without rounding either."""
    if not piece.is_literal:
        if not other.is_literal:
            raise Untranslatable(f"it compares a {piece.kind} with a {other.kind}")
        return piece.sql
    value = piece.value
    assert isinstance(value, int | float), "a literal number"
    if abs(value) > EXACT_IN_DOUBLE and other.kind != "integer":
        raise Untranslatable("a number with more digits than a double holds")
    if isinstance(value, float) and other.kind in ("integer", "numeric"):
        # As a double it would round the other side; its own digits do not.
        exact = abs(value) > EXACT_IN_DOUBLE
        digits = Decimal(value) if exact else Decimal(repr(value))
        return f"({digits:f})"
    return piece.sql


def _is_day_beside_text(piece: Piece, other: Piece) -> bool:
    return piece.kind == "day" and other.kind == "text" and not other.is_literal


def _day_as_text(piece: Piece) -> Piece:
    """Return a day as the text that SQLite stores; texts as they are."""
    if piece.kind != "day":
        return piece
    sql = f"to_char({piece.sql}, 'YYYY-MM-DD')"
    return replace(piece, sql=sql, kind="text", affinity="")


def _times(left: Piece, right: Piece, *, is_ordering: bool) -> tuple[str, str]:
    if left.kind == right.kind:
        return left.sql, right.sql
    if _is_day_beside_text(left, right) or _is_day_beside_text(right, left):
        if is_ordering:
            # A text of digits would be a number there, and before every day.
            raise Untranslatable("the order of a date and a text")
        return _day_as_text(left).sql, _day_as_text(right).sql
    return _time_beside(left, right), _time_beside(right, left)


def _time_beside(piece: Piece, other: Piece) -> str:
    """Return a literal text as the date or time that the other side is.

    Texts of one form sort as the times do; a text of any other form does not.
    """
    if piece.kind in TIMES:
        return piece.sql
    form = TIMES[other.kind]
    if not isinstance(piece.value, str) or not has_form(form, piece.value):
        raise Untranslatable(f"it compares a {form} with another kind of text")
    return f"{piece.sql}::{form}"


def _texts(left: Piece, right: Piece, *, is_ordering: bool) -> tuple[str, str]:
    for one, two in ((left, right), (right, left)):
        if not is_for_numbers(one.affinity):
            continue
        # SQLite makes numbers of texts that it compares with such a column.
        if not two.is_literal or looks_like_number(str(two.value)):
            raise Untranslatable("it compares texts in a column for numbers")
    collation = left.collation or right.collation or "BINARY"
    if collation == "NOCASE":
        return folded(left), folded(right)
    if collation != "BINARY":
        raise Untranslatable(f"the collation {collation}")
    if is_ordering:
        return f'{left.sql} COLLATE "C"', right.sql
    return left.sql, right.sql


def folded(piece: Piece) -> str:
    """Return a text with A to Z in lower case, and no other letter."""
    if isinstance(piece.value, str):
        return quoted(folded_text(piece.value))
    return f'lower({piece.sql} COLLATE "C")'


def folded_text(text: str) -> str:
    """Return a text as SQLite folds it."""
    return re.sub("[A-Z]+", lambda found: found[0].lower(), text)
