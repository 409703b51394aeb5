"""The USING clause of a type change on PostgreSQL, exact or refused.

Owns, for every change of family that ``kinds.CHANGES`` allows, the expression and
the condition that every row must meet so that nothing is rounded or cut.
Must not know: Alembic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ENUM

from lockstep.migrations.ddl import type_sql
from lockstep.migrations.kinds import Kind, kind_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

_MOMENT_TEXT = "to_char({c} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
_NAIVE_TEXT = "to_char({c}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
_ISO = r"{c} ~ '^\d{{4}}-\d\d-\d\d'"
_TRUTHS = "lower({c}) IN ('true', 'false', 't', 'f', '1', '0')"

# (old family, new family): the expression, and what every row must fulfil.
# {c} is the column, {t} the new type without its collation.
_SPECIAL: dict[tuple[Kind, Kind], tuple[str, str | None]] = {
    ("boolean", "integer"): ("({c}::int)::{t}", None),
    ("boolean", "text"): ("{c}::text", None),
    ("boolean", "json"): ("to_jsonb({c})::{t}", None),
    ("integer", "boolean"): ("{c} = 1", "{c} IN (0, 1)"),
    ("integer", "float"): ("{c}::{t}", "{c}::{t}::numeric = {c}"),
    ("integer", "json"): ("to_jsonb({c})::{t}", None),
    ("decimal", "decimal"): ("{c}::{t}", "{c}::{t} = {c}"),
    ("decimal", "integer"): ("{c}::{t}", "{c} = trunc({c})"),
    ("decimal", "float"): ("{c}::{t}", "{c}::{t}::numeric = {c}"),
    ("float", "integer"): ("{c}::{t}", "{c} = trunc({c}) AND abs({c}) < 2.0 ^ 53"),
    ("float", "decimal"): ("{c}::{t}", "{c}::{t}::float8 = {c}"),
    ("text", "integer"): ("{c}::{t}", "{c}::{t}::text = {c}"),
    ("text", "decimal"): ("{c}::{t}", "{c}::numeric = {c}::{t}"),
    ("text", "boolean"): ("{c}::boolean", _TRUTHS),
    ("text", "moment"): ("{c}::{t}", _ISO),
    ("text", "datetime"): ("({c}::timestamptz AT TIME ZONE 'UTC')::{t}", _ISO),
    ("text", "date"): ("{c}::{t}", r"{c} ~ '^\d{{4}}-\d\d-\d\d$'"),
    ("text", "blob"): ("convert_to({c}, 'UTF8')", None),
    ("uuid", "text"): ("{c}::text", None),
    ("moment", "text"): (_MOMENT_TEXT, None),
    ("moment", "datetime"): ("({c} AT TIME ZONE 'UTC')::{t}", None),
    ("moment", "date"): (
        "({c} AT TIME ZONE 'UTC')::date",
        "({c} AT TIME ZONE 'UTC')::time = '00:00'",
    ),
    ("datetime", "moment"): ("{c} AT TIME ZONE 'UTC'", None),
    ("datetime", "text"): (_NAIVE_TEXT, None),
    ("datetime", "date"): ("{c}::date", "{c}::time = '00:00'"),
    ("date", "moment"): ("{c}::timestamp AT TIME ZONE 'UTC'", None),
    ("date", "text"): ("to_char({c}, 'YYYY-MM-DD')", None),
    ("array", "json"): ("to_jsonb({c})::{t}", None),
    ("blob", "text"): ("convert_from({c}, 'UTF8')", None),
}


@dataclass(frozen=True)
class Using:
    """A type change.

    Attributes:
        expression: What stands behind USING; None when PostgreSQL needs none.
        condition: True for every row that keeps its value; None when all do.
    """

    expression: str | None
    condition: str | None


def using_for(
    column: str,
    old: TypeEngine[Any] | None,
    new: TypeEngine[Any],
    dialect: Dialect,
) -> Using:
    """Return how values of a quoted column change their type."""
    words = type_sql(dialect, new)
    plain = re.sub(r'\s+COLLATE\s+"[^"]*"', "", words)
    if old is None:
        return Using(f"{column}::text::{plain}", None)
    one, two = kind_of(old), kind_of(new)
    if is_native_enum(old, dialect):
        column = f"{column}::text"
    if is_native_enum(new, dialect):
        through = using_for(column, old, sa.Text(), dialect)
        return Using(f"({through.expression})::text::{plain}", through.condition)
    if one == two == "text":
        return _text(column, new)
    expression, condition = _SPECIAL.get((one, two), ("{c}::{t}", None))
    if two == "text" and one != "text":
        return Using(expression.format(c=column, t="text"), None)
    return Using(
        expression.format(c=column, t=plain),
        None if condition is None else condition.format(c=column, t=plain),
    )


def is_native_enum(type_: TypeEngine[Any], dialect: Dialect) -> bool:
    """Whether PostgreSQL has a type of its own for these labels."""
    return isinstance(type_.dialect_impl(dialect), ENUM)


def _text(column: str, new: TypeEngine[Any]) -> Using:
    length = getattr(new, "length", None)
    # An assignment raises for a longer text, but cuts spaces at the end silently.
    condition = None if length is None else f"char_length({column}::text) <= {length}"
    return Using(f"{column}::text", condition)
