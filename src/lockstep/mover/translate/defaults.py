"""Defaults of SQLite columns as defaults of PostgreSQL columns.

Owns the ways people write "now" in SQLite, and the evaluation of everything
constant: SQLite itself computes what a row would get, with the column's own
affinity, and the column's codec writes it.

Invariant: a default gives a new row the value it gives in the source.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from lockstep.migrations.sqlite.tokens import Token, canonical, meaningful, tokens
from lockstep.moments.forms import has_form
from lockstep.moments.units import JULIAN_DAY_OF_1970
from lockstep.mover.codecs import codec_of
from lockstep.mover.model.plan import ColumnPlan
from lockstep.mover.translate.functions import is_constant
from lockstep.mover.translate.to_sqlite import UUID_TEXT, ZONED_NOW
from lockstep.mover.translate.tree import Untranslatable
from lockstep.schema.types.portable import quoted

_UTC = "(now() AT TIME ZONE 'utc')"
_EPOCH = "extract(epoch FROM now())"
_NOW: Final = re.compile("'now'", re.IGNORECASE)
_MOMENTS: Final = {
    "current_timestamp": "YYYY-MM-DD HH24:MI:SS",
    "datetime ( 'now' )": "YYYY-MM-DD HH24:MI:SS",
    "datetime ( 'now' , 'utc' )": "YYYY-MM-DD HH24:MI:SS",
    "datetime ( current_timestamp )": "YYYY-MM-DD HH24:MI:SS",
    "datetime ( )": "YYYY-MM-DD HH24:MI:SS",
    "current_date": "YYYY-MM-DD",
    "date ( 'now' )": "YYYY-MM-DD",
    "date ( )": "YYYY-MM-DD",
    "current_time": "HH24:MI:SS",
    "time ( 'now' )": "HH24:MI:SS",
}
_SECONDS: Final = {
    "strftime ( '%s' , 'now' )",
    "strftime ( '%s' )",
    "unixepoch ( )",
    "unixepoch ( 'now' )",
    "unixepoch ( current_timestamp )",
    "cast ( strftime ( '%s' , 'now' ) as integer )",
    "cast ( strftime ( '%s' , 'now' ) as int )",
    "cast ( unixepoch ( ) as integer )",
}
_MILLISECONDS: Final = {
    "cast ( ( julianday ( 'now' ) - 2440587.5 ) * 86400000 as integer )",
    "cast ( ( julianday ( 'now' ) - 2440587.5 ) * 86400000.0 as integer )",
    "cast ( unixepoch ( 'subsec' ) * 1000 as integer )",
    "unixepoch ( 'subsec' ) * 1000",
}
_RANDOM: Final = {
    "lower ( hex ( randomblob ( 16 ) ) )": (
        "text",
        "replace(gen_random_uuid()::text, '-', '')",
    ),
    "hex ( randomblob ( 16 ) )": (
        "text",
        "upper(replace(gen_random_uuid()::text, '-', ''))",
    ),
    "randomblob ( 16 )": (
        "bytea",
        "decode(replace(gen_random_uuid()::text, '-', ''), 'hex')",
    ),
    canonical(UUID_TEXT): ("text", "gen_random_uuid()::text"),
    canonical(ZONED_NOW): (
        "text",
        f"to_char({_UTC}, 'YYYY-MM-DD HH24:MI:SS.MS') || '+00:00'",
    ),
}
_FORMAT: Final = {
    "%Y": "YYYY",
    "%m": "MM",
    "%d": "DD",
    "%H": "HH24",
    "%M": "MI",
    "%S": "SS",
    "%f": "SS.MS",
}
_SMALLEST_PARTS: Final = (
    *(("SS.MS", "milliseconds"), ("SS", "second"), ("MI", "minute")),
    *(("HH24", "hour"), ("DD", "day")),
)
_CONSTANT_WORDS = frozenset({"TRUE", "FALSE", "NULL"})


def translate_default(expression: str, declared: str, column: ColumnPlan) -> str | None:
    """Return a column's default in PostgreSQL's words; None when there is none.

    Args:
        expression: What stands behind DEFAULT in SQLite.
        declared: The column's declared type, whose affinity the value takes.
        column: Its type and codec on the target.

    Raises:
        Untranslatable: The target's column cannot have this default.
    """
    spelled = _NOW.sub("'now'", canonical(_without_outer_brackets(expression)))
    if spelled == "datetime ( 'now' , 'localtime' )":
        return _moment("YYYY-MM-DD HH24:MI:SS", column, "LOCALTIMESTAMP")
    moment = _moment_format(spelled)
    if moment is not None:
        return _moment(moment, column)
    epoch = _epoch(spelled)
    if epoch is not None:
        return _number(epoch, column)
    if spelled == "julianday ( 'now' )":
        return _number(
            f"({_EPOCH} / 86400 + {JULIAN_DAY_OF_1970})::double precision", column
        )
    if spelled in _RANDOM:
        kind, sql = _RANDOM[spelled]
        if column.type != kind:
            raise Untranslatable(f"it gives {kind}, the column is {column.type}")
        return sql
    return _constant(expression, declared, column)


def _without_outer_brackets(expression: str) -> str:
    return re.sub(r"\s+", " ", expression).strip()


def _moment_format(spelled: str) -> str | None:
    if spelled in _MOMENTS:
        return _MOMENTS[spelled]
    found = re.fullmatch(r"strftime \( '([^']*)' , 'now' \)", spelled)
    if found is None or found[1] == "%s":
        return None
    pieces = re.split(r"(%.)", found[1])
    format_ = ""
    for piece in pieces:
        if piece.startswith("%"):
            if piece not in _FORMAT:
                raise Untranslatable(f"strftime's {piece}")
            format_ += _FORMAT[piece]
        elif piece:
            format_ += f'"{piece}"' if any(c.isalpha() for c in piece) else piece
    return format_


def _epoch(spelled: str) -> str | None:
    if spelled in _MILLISECONDS:
        return f"({_EPOCH} * 1000)::bigint"
    found = re.fullmatch(r"(.*?)(?: \* (1000|1000000))?", spelled)
    base, factor = (found[1], found[2]) if found else (spelled, None)
    while base.startswith("( ") and base.endswith(" )"):
        base = base[2:-2]
    if base not in _SECONDS:
        return None
    seconds = f"floor({_EPOCH})::bigint"
    return f"({seconds} * {factor})" if factor else seconds


def _moment(format_: str, column: ColumnPlan, clock: str = _UTC) -> str:
    if column.type in ("timestamp", "date", "time"):
        return _truncated(format_, column.type, clock)
    if column.type in ("text", "varchar"):
        return f"to_char({clock}, '{format_}')"
    if column.type == "timestamptz":
        return "now()"
    raise Untranslatable(f"it gives a text, the column is {column.type}")


def _truncated(format_: str, kind: str, clock: str) -> str:
    """Return a moment with the parts that SQLite's text has; a cast would round."""
    if ("HH24:MI" if kind == "time" else "YYYY-MM-DD") not in format_:
        raise Untranslatable(f"it gives no {kind}, which the column holds")
    if kind == "date":
        return f"{clock}::date"
    unit = next(unit for part, unit in _SMALLEST_PARTS if part in format_)
    made = f"date_trunc('{unit}', {clock})"
    return f"{made}::time" if kind == "time" else made


def _number(sql: str, column: ColumnPlan) -> str:
    if column.type in ("bigint", "integer", "numeric", "double precision"):
        return sql
    if column.type == "timestamptz":
        return "now()"
    if column.type == "text":
        return f"({sql})::text"
    raise Untranslatable(f"it gives a number, the column is {column.type}")


def _constant(expression: str, declared: str, column: ColumnPlan) -> str | None:
    for part, after in _pairs(expression):
        is_call = after is not None and after.is_symbol("(")
        known = part.is_word(*_CONSTANT_WORDS)
        if is_call and is_constant(part.text, expression):
            continue
        if part.kind == "word" and not known and (is_call or after is not None):
            raise Untranslatable(f"the expression {expression}")
    value = _evaluated(expression, declared)
    if value is None:
        return None
    if column.codec == "text" and isinstance(value, int):
        value = str(value)  # the column's texts decided; the digits are readable
    try:
        text = codec_of(column.codec).encode(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise Untranslatable(
            f"{value!r} does not fit the column, which is {column.type}: {error}"
        ) from error
    if column.type in ("date", "time", "timestamp") and not has_form(column.type, text):
        raise Untranslatable(f"{value!r} is no {column.type}")
    return f"{quoted(text)}::{column.type}"


def _evaluated(expression: str, declared: str) -> Any:
    """Return what SQLite itself gives a new row."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        # The PRAGMA that told the expression leaves out the brackets around it.
        for text in (expression, f"({expression})"):
            try:
                scratch.execute(f"CREATE TABLE t (a, c {declared} DEFAULT {text})")
                scratch.execute("INSERT INTO t (a) VALUES (1)")
                return scratch.execute("SELECT c FROM t").fetchone()[0]
            except sqlite3.DatabaseError:
                scratch.execute("DROP TABLE IF EXISTS t")
    raise Untranslatable(f"the expression {expression}")


def _pairs(expression: str) -> Iterator[tuple[Token, Token | None]]:
    parts = meaningful(tokens(expression))
    return zip(parts, [*parts[1:], None], strict=True)
