"""The types of a file that came from PostgreSQL, for its way back there.

Owns which column gets its type again. The plan that the file's values alone lead to is
made first (``from_sqlite``); what an application has written meanwhile decides whether
a column's earlier type still holds it.
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

_KNOWN_TYPES: Final = re.compile(
    r"(smallint|integer|bigint|boolean|real|double precision|bytea|text|uuid|jsonb?"
    r"|date|numeric(\(\d+,-?\d+\))?|character( varying)?(\(\d+\))?"
    r"|(timestamp|time)(\(\d\))? with(out)? time zone|interval|inet|cidr|macaddr|oid)"
    r"(\[\])*"
)
"""Types that every database has; others would have to be made there first."""

_TIME_TYPES: Final = re.compile(r"date$|timestamp|time(?!\S* with time zone)")
_ZONED: Final = "YYYY-MM-DD HH:MM:SS[.f]+00:00"
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

    A column keeps its type when the values still come as that type's own codec;
    types that the target would have to be taught first stay text.

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
        ]
        before = {column.target: column for column in origin.columns}
        for column in table.columns:
            earlier = before.get(column.source)
            if earlier is not None:
                codec = _codec_again(table.source, column, earlier, asked)
                if codec is not None:
                    _restore(column, earlier.source_type, codec)
        key = [table.column(name) for name in table.order_key]
        if any(column.codec not in ORDERED_CODECS for column in key):
            table.order_key = []  # a moment's text need not sort as the moment does


def _restore(column: ColumnPlan, type_: str, codec: str) -> None:
    is_respelled = codec.startswith(f"moment:{ANY}")
    column.type, column.codec = type_, codec
    column.note = "written in several ways; the moment is kept" if is_respelled else ""
    _readjust_default(column)


def _codec_again(
    table: str, column: ColumnPlan, earlier: ColumnPlan, asked: Asked
) -> str | None:
    """Return by which codec a column becomes its earlier type; None where by none.

    Args:
        table: As it is now.
        column: As its values alone would make it.
        earlier: As it came.
        asked: Tells what an application has written meanwhile.
    """
    if not _KNOWN_TYPES.fullmatch(earlier.source_type):
        return None
    is_same = column.codec == _CAME_AS.get(earlier.codec)
    if earlier.codec == "real" and column.codec in ("mixed_text", "text"):
        is_same = asked.is_numbers_only(table, column.source)
    if not is_same:
        return None
    if _TIME_TYPES.match(earlier.source_type):
        return _moment_codec(table, earlier, column.source, asked.forms)
    return earlier.codec


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
    return any_form if is_stamp else None


def _readjust_default(column: ColumnPlan) -> None:
    if column.default is None:
        return
    literal, _, kind = column.default.rpartition("::")
    if literal.startswith("'") and kind:
        column.default = f"{literal}::{column.type}"
    elif column.codec == "zoned":
        column.default = "now()"
    elif column.codec.startswith(("text", "moment")) and column.type != "text":
        column.default = f"({column.default})::{column.type}"
