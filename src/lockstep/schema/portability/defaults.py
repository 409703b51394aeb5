"""Defaults that another engine would compute, store or refuse otherwise."""

from __future__ import annotations

import re
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.sql.elements import False_, Null, TextClause, True_
from sqlalchemy.sql.functions import FunctionElement

from lockstep.schema.defaults import StoredDefault
from lockstep.schema.portability.registry import (
    Finding,
    Findings,
    column_check,
    place,
)
from lockstep.schema.server_time import utc_now
from lockstep.schema.types.decimals import Decimal
from lockstep.schema.types.portable import PortableType

_LITERAL = re.compile(r"\s*(?:NULL|[+-]?\d+(?:\.\d+)?|'(?:[^']|'')*')\s*", re.I)
_NUMBER = re.compile(r"\s*\(?\s*[+-]?\d", re.I)
_CLOCK = re.compile(
    r"\b(now\s*\(|current_(timestamp|time|date)\b|localtime|strftime|datetime\s*\("
    r"|clock_timestamp|statement_timestamp|julianday|unixepoch)",
    re.I,
)
_WORDS_OF_TRUTH = re.compile(r"\s*\(?\s*(true|false)\s*\)?\s*", re.I)


@column_check
def check_server_default(column: sa.Column[Any]) -> Findings:
    """Find server defaults written in one engine's language."""
    default = column.server_default
    if not isinstance(default, sa.DefaultClause):
        return
    written: Any = default.arg
    if isinstance(written, str | StoredDefault | utc_now | True_ | False_ | Null):
        return
    text = _text_of(written)
    if _CLOCK.search(text):
        yield _clock(column, f"the server default {text}")
    elif not _is_literal(text, column):
        yield Finding(
            "server-default",
            place(column),
            f"the server default {text} is written for one engine",
            "Functions, casts and literals such as 0 for a boolean differ: what one "
            "engine accepts the other refuses, or stores as something else.",
            'Give the value as text, server_default="…", or make it in Python.',
        )


def _text_of(written: Any) -> str:
    return written.text if isinstance(written, TextClause) else str(written)


def _is_literal(text: str, column: sa.Column[Any]) -> bool:
    kind = column.type
    is_boolean = (
        isinstance(kind, sa.Boolean) or getattr(kind, "family", "") == "boolean"
    )
    if is_boolean:
        return _WORDS_OF_TRUTH.fullmatch(text) is not None
    if not _LITERAL.fullmatch(text):
        return False
    # An integer of units is not the number that the text shows.
    if isinstance(kind, Decimal):
        return text.strip().upper() == "NULL" or text.strip() in ("0", "'0'")
    is_number = _NUMBER.match(text) is not None
    return not (
        is_number and isinstance(kind, PortableType) and kind.family != "number"
    )


def _clock(column: sa.Column[Any], what: str) -> Finding:
    return Finding(
        "clock",
        place(column),
        f"{what} is each engine's own clock",
        "SQLite's CURRENT_TIMESTAMP is a text to the second, in another format than "
        "the column's; PostgreSQL's now() is the start of the transaction.",
        "Use lockstep.utc_now(), or the Timestamped mixin.",
    )


@column_check
def check_client_default(column: sa.Column[Any]) -> Findings:
    """Find SQL functions that the application uses as defaults."""
    for default in (column.default, column.onupdate):
        written: Any = getattr(default, "arg", None)
        if isinstance(written, utc_now) or not isinstance(written, FunctionElement):
            continue
        text = str(cast("Any", written))
        if _CLOCK.search(text):
            yield _clock(column, f"the default {text}")
        else:
            yield Finding(
                "default-function",
                place(column),
                f"the default {text} is a function of one engine",
                "The other engine has no such function, or another one of its name.",
                "Make the value in Python: default=lockstep.uuid7, default=factory.",
            )


@column_check
def check_sequence(column: sa.Column[Any]) -> Findings:
    """Find sequences, which SQLite has not, and numbering it ignores."""
    if isinstance(column.default, sa.Sequence):
        yield Finding(
            "sequence",
            place(column),
            "the column takes its numbers from a sequence",
            "SQLite has no sequences and ignores it.",
            "Use a BigInteger primary key, or lockstep.UuidKey.",
        )
    identity = column.identity
    if identity is not None and _has_options(identity):
        yield Finding(
            "identity-options",
            place(column),
            "the identity has options that SQLite ignores",
            "SQLite numbers from 1 by 1 and takes given numbers.",
            "Use Identity() without options.",
        )


def _has_options(identity: sa.Identity) -> bool:
    start, increment = identity.start, identity.increment
    others = (identity.minvalue, identity.maxvalue, identity.cycle)
    return (
        bool(identity.always)
        or start not in (None, 1)
        or increment not in (None, 1)
        or any(option is not None for option in others)
    )


@column_check
def check_composite_numbering(column: sa.Column[Any]) -> Findings:
    """Find self-numbering columns in a key of several columns."""
    if column.autoincrement is True and len(column.table.primary_key.columns) > 1:
        yield Finding(
            "composite-autoincrement",
            place(column),
            "a column of a composite key numbers itself",
            "SQLite numbers only a primary key of one column.",
            "Use a key of one column and a UniqueConstraint over the others.",
        )


@column_check
def check_computed(column: sa.Column[Any]) -> Findings:
    """Find generated columns, whose expression is the engine's own."""
    if column.computed is not None:
        yield Finding(
            "computed",
            place(column),
            "the database computes the column",
            "The expression is each engine's own SQL: integer division, text "
            "functions and decimals (scaled integers on SQLite) differ; PostgreSQL "
            "before 18 has only stored ones.",
            "Compute it in Python or in queries, or test it on both engines.",
        )
