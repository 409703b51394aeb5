"""The types of a file that came from PostgreSQL, for its way back there.

Owns which column gets its type again. The plan that the file's values alone lead to is
made first (``from_sqlite``); what an application has written meanwhile decides whether
a column's earlier type still holds it. Whatever only the target's server can tell, it
is asked before anything moves (``retyping``): ``wanted`` says which type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lockstep.mover.codecs import codec_of
from lockstep.mover.codecs.written import ANY, UTC_IS_MEANT
from lockstep.mover.model.plan import ORDERED_CODECS, ColumnPlan, Loss, Plan
from lockstep.mover.plan.types import by_preference, type_of_form

FormsOf = Callable[[str, str, Callable[[str], str] | None], "set[str] | None"]
"""Asked of a table, a column and what refuses a text that is no moment at all."""

_TIME_TYPES: Final = re.compile(
    r"(date|timestamp(\(\d\))? with(out)? time zone|time(\(\d\))? without time zone)$"
)
_SURE: Final = {
    "integer": "bigint",
    "boolean": "boolean",
    "real": "double precision",
    "bytes": "bytea",
    "text": "text",
}
"""What holds every value of a codec."""

_RESPELLED: Final = "written in several ways; the moment is kept"
_ZONED: Final = "YYYY-MM-DD HH:MM:SS[.f]+00:00"
_NARROWED: Final = re.compile(
    r"(numeric|character varying|bit varying|interval)(?= ?[(a-z])"
)
_CAME_AS: Final = {
    **{codec: codec for codec in ("integer", "boolean", "real", "bytes", "text")},
    "zoned": "text",
}
"""Codec on the way here: the one that its values lead to where nothing has changed."""


@dataclass(frozen=True)
class Asked:
    """What is asked of the values of a table's column, both by name.

    Attributes:
        is_numbers_only: Whether it holds no text but ``NaN``.
        forms: In which forms all texts of it are moments.
    """

    is_numbers_only: Callable[[str, str], bool]
    forms: FormsOf


def restore_types(plan: Plan, forward: Plan, asked: Asked) -> None:
    """Give the columns of a file that came from PostgreSQL their types again.

    A column keeps its type when the values still come as that type's own codec.

    Args:
        plan: What the values alone would lead to; changed in place.
        forward: The move that made the file.
        asked: Tells what an application has written meanwhile.
    """
    made_from = {table.target: table for table in forward.carried()}
    for table in plan.tables:
        origin = made_from.get(table.source)
        if origin is None:
            continue
        plan.losses += [
            Loss("column", f"{table.source}.{name}", "it was not carried before")
            for name in origin.left
            if name not in [column.source for column in table.columns]
        ]
        before = {column.target: column for column in origin.columns}
        for column in table.columns:
            earlier = before.get(column.source)
            if earlier is not None:
                _restore(table.source, column, earlier, asked)
        key = [table.column(name) for name in table.order_key]
        if any(column.codec not in ORDERED_CODECS for column in key):
            table.order_key = []  # a moment's text need not sort as the moment does


def _restore(table: str, column: ColumnPlan, earlier: ColumnPlan, asked: Asked) -> None:
    """Give a column the type that surely holds its values, and say which it wants.

    Args:
        table: As it is now.
        column: As its values alone would make it; changed in place.
        earlier: As it came.
        asked: Tells what an application has written meanwhile.
    """
    wanted = earlier.source_type
    is_same = column.codec == _CAME_AS.get(earlier.codec)
    if earlier.codec == "real" and column.codec in ("mixed_text", "text"):
        is_same = asked.is_numbers_only(table, column.source)
    if not is_same or not wanted:
        return
    codec = None
    if _TIME_TYPES.match(wanted):
        codec = _moment_codec(table, earlier, column.source, asked.forms)
    if codec is not None:
        column.type, column.codec = re.sub(r"\(\d\)", "", wanted), codec
        is_respelled = codec.startswith(f"moment:{ANY}")
        column.note = _RESPELLED if is_respelled else ""
    elif earlier.codec in _SURE:
        column.type, column.codec = _SURE[earlier.codec], earlier.codec
        column.note = ""
    else:
        return
    readjust_default(column)
    column.wanted = "" if column.type == wanted else wanted


def less_narrow(wanted: str) -> list[str]:
    """Return a type, and which others keep more values as it would."""
    found = [wanted]
    if narrow := _NARROWED.match(wanted):
        found.append(narrow[1] + "[]" * wanted.count("[]"))
    if wanted.startswith("jsonb"):
        found.append(wanted.replace("jsonb", "json"))
    return found


def _moment_codec(
    table: str, earlier: ColumnPlan, column: str, forms: FormsOf
) -> str | None:
    """Return how texts become the type that they came from; None where they do not.

    Args:
        table: As it is now.
        earlier: The column as it came; a program may have written into it since.
        column: As it is now.
        forms: As above.
    """
    kind = re.sub(r"\(\d\)| without time zone", "", earlier.source_type)
    kind = kind.replace("timestamp with time zone", "timestamptz")
    is_stamp = kind.startswith("timestamp")
    any_form = f"moment:{ANY}{UTC_IS_MEANT if kind == 'timestamptz' else ''}"
    fits = codec_of(any_form).encode if is_stamp else None
    found = forms(table, column, fits)
    if found is None:
        return None
    for form in by_preference(found):
        if form == kind or (kind, form) == ("timestamptz", _ZONED):
            return earlier.codec
        if type_of_form(form) == kind:
            return f"moment:{form}"
        if (kind, type_of_form(form)) == ("timestamptz", "timestamp"):
            written = "YYYY-MM-DD HH:MM:SS[.f]" if form == "timestamp" else form
            return f"moment:{written}{UTC_IS_MEANT}"
    is_of_days = any(type_of_form(form) != "time" for form in found)
    return any_form if is_stamp and (is_of_days or not found) else None


def readjust_default(column: ColumnPlan) -> None:
    """Let a default have the type that its column has now."""
    if column.default is None:
        return
    literal, _, kind = column.default.rpartition("::")
    if literal.startswith("'") and kind:
        column.default = f"{literal}::{column.type}"
    elif column.codec == "zoned":
        column.default = "now()"
    elif column.codec.startswith(("text", "moment")) and column.type != "text":
        column.default = f"({column.default})::{column.type}"
