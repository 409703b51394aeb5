"""SQLite's functions as PostgreSQL has them.

Owns what each function becomes for the kinds of values it is given. Dates are
translated for columns that PostgreSQL holds as ``date`` and ``timestamp``; of
constants SQLite itself computes what they are.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Final

from lockstep.mover.translate.pieces import Kind, Piece, as_text
from lockstep.mover.translate.tree import Untranslatable
from lockstep.schema.types.portable import quoted

Made = tuple[str, Kind, bool]
"""SQL, its kind, and whether it depends on settings."""

_FOLDED: Final = frozenset(
    {
        *("date", "time", "datetime", "julianday", "unixepoch", "strftime"),
        *("char", "hex", "unicode", "abs", "round", "length", "substr", "substring"),
        *("lower", "upper", "trim", "ltrim", "rtrim", "replace", "instr", "typeof"),
    }
)
_MOMENT: Final = re.compile(r"now|local|utc|subsec|current_|\(\s*\)", re.IGNORECASE)
"""What gives another value at another time or place."""

_CLASSES: Final[dict[Kind, str]] = {
    "integer": "integer",
    "boolean": "integer",
    "real": "real",
    "text": "text",
    "day": "text",
    "moment": "text",
    "clock": "text",
    "blob": "blob",
}
_FORMATS: Final = {
    **{"%Y": "YYYY", "%m": "MM", "%d": "DD", "%H": "HH24", "%M": "MI", "%S": "SS"},
    **{"%j": "DDD"},
}
_PARTS_OF: Final = {"day": "Ymdj", "moment": "YmdHMSj", "clock": "HMS"}


def is_constant(name: str, expression: str) -> bool:
    """Whether a function always gives the same within a constant expression."""
    return name.lower() in _FOLDED and not _MOMENT.search(expression)


def constant_call(name: str, values: Sequence[Any]) -> tuple[Any] | None:
    """Return what SQLite gives for constants; None where it is no constant."""
    moment = any(isinstance(v, str) and _MOMENT.search(v) for v in values)
    if name not in _FOLDED or moment or not values:
        return None
    with closing(sqlite3.connect(":memory:")) as scratch:
        marks = ", ".join("?" * len(values))
        try:
            return scratch.execute(f"SELECT {name}({marks})", values).fetchone()
        except sqlite3.Error:
            return None


def _wants(name: str, arguments: Sequence[Piece], *kinds: str) -> None:
    given = [part.kind for part in arguments]
    if len(given) != len(kinds) or any(
        kind not in wanted.split("|") for kind, wanted in zip(given, kinds, strict=True)
    ):
        raise Untranslatable(f"{name}() of {', '.join(given) or 'nothing'}")


def _length(name: str, arguments: Sequence[Piece]) -> Made:
    _wants(name, arguments, "text|integer|blob")
    (of,) = arguments
    if of.kind == "blob":
        return f"octet_length({of.sql})", "integer", False
    return f"length({as_text(of).sql})", "integer", False


def _abs(name: str, arguments: Sequence[Piece]) -> Made:
    _wants(name, arguments, "integer|real")
    return f"abs({arguments[0].sql})", arguments[0].kind, False


def _fold(name: str, arguments: Sequence[Piece]) -> Made:
    _wants(name, arguments, "text")
    return f'{name}({arguments[0].sql} COLLATE "C")', "text", False


def _trim(name: str, arguments: Sequence[Piece]) -> Made:
    word = {"trim": "btrim"}.get(name, name)
    if len(arguments) == 1:
        _wants(name, arguments, "text")
        return f"{word}({arguments[0].sql})", "text", False
    _wants(name, arguments, "text", "text")
    return f"{word}({arguments[0].sql}, {arguments[1].sql})", "text", False


def _replace(name: str, arguments: Sequence[Piece]) -> Made:
    _wants(name, arguments, "text", "text", "text")
    listed = ", ".join(part.sql for part in arguments)
    return f"replace({listed})", "text", False


def _instr(name: str, arguments: Sequence[Piece]) -> Made:
    _wants(name, arguments, "text", "text")
    return f"strpos({arguments[0].sql}, {arguments[1].sql})", "integer", False


def _substr(name: str, arguments: Sequence[Piece]) -> Made:
    """Translate ``substr``; from the end, PostgreSQL has to be told where that is."""
    _wants(name, arguments, "text", *["integer"] * (len(arguments) - 1))
    of, *rest = arguments
    numbers = [part.value for part in rest]
    if len(numbers) not in (1, 2) or not all(
        part.is_literal and isinstance(part.value, int) and abs(part.value) < 2**31
        for part in rest
    ):
        raise Untranslatable("substr() with other places than numbers")
    start, count = int(str(numbers[0])), numbers[1] if len(numbers) == 2 else None
    if isinstance(count, int) and count < 0:
        raise Untranslatable("substr() with a negative length")
    if start < 0 and count is None:
        return f"right({of.sql}, {-start})", "text", False
    first = str(start) if start >= 0 else f"length({of.sql}) + 1 - {-start}"
    tail = "" if count is None else f", {count}"
    return f"substr({of.sql}, {first}{tail})", "text", False


def _hex(name: str, arguments: Sequence[Piece]) -> Made:
    _wants(name, arguments, "blob|text")
    (of,) = arguments
    raw = of.sql if of.kind == "blob" else f"convert_to({of.sql}, 'UTF8')"
    # Of NULL it is an empty text, not NULL.
    return f"coalesce(upper(encode({raw}, 'hex')), '')", "text", False


def _unicode(name: str, arguments: Sequence[Piece]) -> Made:
    _wants(name, arguments, "text")
    return f"ascii(nullif({arguments[0].sql}, ''))", "integer", False


def _json_valid(name: str, arguments: Sequence[Piece]) -> Made:
    # PostgreSQL 16 and later; SQLite takes no document that is 2,000 levels deep.
    _wants(name, arguments, "text|document")
    return f"({arguments[0].sql} IS JSON)", "boolean", False


def _typeof(name: str, arguments: Sequence[Piece]) -> Made:
    if len(arguments) != 1 or arguments[0].kind not in _CLASSES:
        raise Untranslatable("typeof() of numbers that may be of two classes")
    (of,) = arguments
    word = _CLASSES[of.kind]
    sql = f"(CASE WHEN {of.sql} IS NULL THEN 'null' ELSE '{word}' END)"
    return sql, "text", False


def _extreme(name: str, arguments: Sequence[Piece]) -> Made:
    kinds = {part.kind for part in arguments}
    if len(arguments) < 2 or kinds not in ({"integer"}, {"real"}):
        raise Untranslatable(f"{name}() of {', '.join(sorted(kinds))}")
    word = {"min": "least", "max": "greatest"}[name]
    nulls = " OR ".join(f"{part.sql} IS NULL" for part in arguments)
    listed = ", ".join(part.sql for part in arguments)
    sql = f"(CASE WHEN {nulls} THEN NULL ELSE {word}({listed}) END)"
    return sql, arguments[0].kind, False


def _moment(name: str, arguments: Sequence[Piece]) -> Made:
    """Translate a date function of one column that holds dates or times."""
    formats = {"date": "%Y-%m-%d", "time": "%H:%M:%S"}
    formats["datetime"] = f"{formats['date']} {formats['time']}"
    if name == "strftime":
        head, *arguments = arguments
        if not isinstance(head.value, str):
            raise Untranslatable("strftime() with a format that is no literal")
        wanted = head.value
    else:
        wanted = formats[name]
    _wants(name, arguments, "day|moment")
    (of,) = arguments
    sql = f"to_char({of.sql}, {quoted(_format(wanted, 'moment'))})"
    return sql, "text", True


def _format(wanted: str, kind: str) -> str:
    made = ""
    for piece in re.split(r"(%.)", wanted, flags=re.DOTALL):
        if piece.startswith("%"):
            if piece not in _FORMATS or piece[1] not in _PARTS_OF[kind]:
                raise Untranslatable(f"strftime's {piece}")
            made += _FORMATS[piece]
        elif piece:
            if '"' in piece or "\\" in piece:
                raise Untranslatable("a strftime format with quotes")
            made += f'"{piece}"'
    return made


def _unixepoch(name: str, arguments: Sequence[Piece]) -> Made:
    _wants(name, arguments, "day|moment")
    return f"floor(extract(epoch FROM {arguments[0].sql}))::bigint", "integer", False


FUNCTIONS: Final[dict[str, Callable[[str, Sequence[Piece]], Made]]] = {
    "length": _length,
    "abs": _abs,
    "lower": _fold,
    "upper": _fold,
    "trim": _trim,
    "ltrim": _trim,
    "rtrim": _trim,
    "replace": _replace,
    "instr": _instr,
    "substr": _substr,
    "substring": _substr,
    "hex": _hex,
    "unicode": _unicode,
    "json_valid": _json_valid,
    "typeof": _typeof,
    "min": _extreme,
    "max": _extreme,
    "date": _moment,
    "time": _moment,
    "datetime": _moment,
    "strftime": _moment,
    "unixepoch": _unixepoch,
}
