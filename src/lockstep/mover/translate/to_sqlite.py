"""Defaults of PostgreSQL in SQLite's words, where they mean the same.

Owns the few ways to write "now", a new UUID and a constant that was computed there.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from lockstep.mover.codecs import codec_of
from lockstep.mover.model.plan import ColumnPlan
from lockstep.mover.model.values import Value
from lockstep.mover.translate.tree import Untranslatable
from lockstep.schema.types.portable import quoted

UUID_TEXT = (
    "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || "
    "substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (abs(random()) % 4), "
    "1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))"
)
ZONED_NOW: Final = "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '+00:00')"
_NOW: Final = frozenset(
    {"now()", "CURRENT_TIMESTAMP", "transaction_timestamp()", "clock_timestamp()"}
)


_UUID: Final = frozenset({"gen_random_uuid()", "uuid_generate_v4()"})


def default_to_sqlite(expression: str, constant: str | None, column: ColumnPlan) -> str:
    """Return a column's default as SQLite writes it.

    Args:
        expression: The default.
        constant: What it always gives, as PostgreSQL writes it; None where it may
            give now this, now that.
        column: Of the file.

    Raises:
        Untranslatable: There is none that gives the same value.
    """
    if constant is not None:
        return sqlite_literal(codec_of(column.codec).decode(constant))
    if expression in _NOW and column.codec == "zoned":
        return ZONED_NOW
    if expression == "CURRENT_DATE" and column.codec == "text":
        return "CURRENT_DATE"
    if expression in _UUID:
        return UUID_TEXT
    raise Untranslatable("SQLite has no default that gives the same")


def sqlite_literal(value: Value) -> str:
    """Return a value as SQLite writes it in a statement."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return quoted(value)
    if isfinite(value):
        return repr(value)
    return "-9e999" if value < 0 else "9e999"
