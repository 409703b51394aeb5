"""Defaults and expressions of PostgreSQL in SQLite's words, where they mean the same.

Owns the small part of both languages that agrees once casts are taken away. A
decimal, a date or a document is a text in SQLite; an expression that compares one
of them with a number is refused, because the texts do not sort as the values do.
"""

from __future__ import annotations

import re
from typing import Final

from lockstep.migrations.sqlite.tokens import meaningful, quote, tokens
from lockstep.mover.plan.model import ColumnPlan, TablePlan
from lockstep.mover.translate.expressions import Untranslatable

_CAST = re.compile(
    r"::(?:\"[^\"]+\"|[a-z_]+(?: varying| precision| with(?:out)? time zone)?)"
    r"(?:\(\d+(?:,\s*\d+)?\))?(?:\[\])*"
)
_ANY = re.compile(r"= ANY \(+ARRAY\[([^\]]*)\]\)+")
_FUNCTIONS: Final = frozenset(
    {"length", "abs", "coalesce", "nullif", "lower", "upper", "replace"}
)
_WORDS: Final = frozenset(
    {
        *("AND", "OR", "NOT", "NULL", "IN", "BETWEEN", "IS", "TRUE", "FALSE"),
        *("CASE", "WHEN", "THEN", "ELSE", "END"),
    }
)
_SYMBOLS: Final = frozenset({*("=", "<", ">", "<=", ">=", "<>"), *"+-*(),", "||"})
_NUMBERS: Final = frozenset({"integer", "real", "boolean"})
_UUID = (
    "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || "
    "substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (abs(random()) % 4), "
    "1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))"
)
_NOW: Final = frozenset(
    {"now()", "CURRENT_TIMESTAMP", "transaction_timestamp()", "clock_timestamp()"}
)


def default_to_sqlite(expression: str, column: ColumnPlan) -> str:
    """Return a column's default as SQLite writes it.

    Raises:
        Untranslatable: There is none that gives the same value.
    """
    plain = _CAST.sub("", expression).strip()
    while plain.startswith("(") and plain.endswith(")"):
        plain = plain[1:-1].strip()
    if plain.lower() in ("true", "false") and column.codec == "boolean":
        return "1" if plain.lower() == "true" else "0"
    if re.fullmatch(r"-?\d+(\.\d+)?", plain):
        return plain if column.codec in _NUMBERS else f"'{plain}'"
    if re.fullmatch(r"'(?:[^']|'')*'", plain):
        if column.codec in ("text", "zoned"):
            return plain
        number = plain[1:-1]
        if column.codec in _NUMBERS and re.fullmatch(r"-?\d+(\.\d+)?", number):
            return number
    if plain in _NOW and column.codec == "zoned":
        return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '+00:00')"
    if plain == "CURRENT_DATE" and column.codec == "text":
        return "CURRENT_DATE"
    if plain in ("gen_random_uuid()", "uuid_generate_v4()"):
        return _UUID
    raise Untranslatable("SQLite has no default that gives the same")


def expression_to_sqlite(expression: str, table: TablePlan) -> str:
    """Return a check, an indexed expression or a condition as SQLite reads it.

    Raises:
        Untranslatable: A part of it might mean something else.
    """
    text = expression.strip()
    text = text.removesuffix(" NOT VALID")
    if text.startswith("CHECK "):
        text = text.removeprefix("CHECK ").strip()
    text = _ANY.sub(r"IN (\1)", _CAST.sub("", text))
    parts = meaningful(tokens(text))
    columns = {column.source: column for column in table.columns}
    words: list[str] = []
    has_number = has_text_column = False
    for place, part in enumerate(parts):
        after = parts[place + 1] if place + 1 < len(parts) else None
        name = part.name
        if part.kind == "number":
            has_number = True
            words.append(part.text)
        elif part.kind == "string" or part.is_word(*_WORDS):
            words.append(part.text)
        elif part.kind == "symbol":
            if part.text not in _SYMBOLS:
                raise Untranslatable(f"the operator {part.text}")
            words.append(part.text)
        elif after is not None and after.is_symbol("(") and part.kind == "word":
            if part.text.lower() not in _FUNCTIONS:
                raise Untranslatable(f"the function {part.text}()")
            words.append(part.text)
        elif name is not None and name in columns:
            before = [word for word in words if word != "("]
            is_measured = before[-1:] == ["length"] and words[-1] == "("
            has_text_column |= columns[name].codec not in _NUMBERS and not is_measured
            words.append(quote(columns[name].target))
        else:
            raise Untranslatable(f"the word {part.text}")
    if has_number and has_text_column:
        raise Untranslatable("it compares a number with what SQLite stores as text")
    return " ".join(words)
