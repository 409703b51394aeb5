"""Defaults of PostgreSQL in SQLite's words, where they mean the same.

Owns the few ways to write "now", a new UUID and a constant.
"""

from __future__ import annotations

import re
from typing import Final

from lockstep.mover.plan.model import ColumnPlan
from lockstep.mover.translate.syntax import Untranslatable

_CAST = re.compile(
    r"::(?:\"[^\"]+\"|[a-z_]+(?: varying| precision| with(?:out)? time zone)?)"
    r"(?:\(\d+(?:,\s*\d+)?\))?(?:\[\])*"
)
_NUMBERS: Final = frozenset({"integer", "real", "boolean"})
UUID_TEXT = (
    "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || "
    "substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (abs(random()) % 4), "
    "1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))"
)
ZONED_NOW: Final = "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '+00:00')"
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
        return ZONED_NOW
    if plain == "CURRENT_DATE" and column.codec == "text":
        return "CURRENT_DATE"
    if plain in ("gen_random_uuid()", "uuid_generate_v4()"):
        return UUID_TEXT
    raise Untranslatable("SQLite has no default that gives the same")
