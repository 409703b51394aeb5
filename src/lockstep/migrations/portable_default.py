"""Server defaults that mean the same on every engine.

Owns the translation of what people write for one engine (``text('0')`` for a
boolean, ``text('now()')``, a decimal's ``'1.50'``) into what every engine reads,
and the refusal of what cannot be translated. Must not know: Alembic, databases.

Invariant: a default that comes out of here compiles on SQLite and on PostgreSQL
to a value of the column's type.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, NoReturn, cast

import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.sql.elements import (
    BindParameter,
    ClauseElement,
    False_,
    Grouping,
    Null,
    TextClause,
    True_,
)
from sqlalchemy.sql.functions import FunctionElement

from lockstep.errors import InvalidValue, NotPortable
from lockstep.migrations.ddl import expression_sql, make_dialect
from lockstep.migrations.expressions import PerEngine, per_engine
from lockstep.migrations.sqlite.tokens import canonical, meaningful, tokens
from lockstep.schema import PortableType, UtcDateTime, utc_now
from lockstep.schema.defaults import StoredDefault

SQLITE = make_dialect("sqlite")
POSTGRESQL = make_dialect("postgresql")

_TRUTHS = {"0": False, "false": False, "f": False, "1": True, "true": True, "t": True}
# Ways to say "now" that people copy from one engine's documentation.
_NOW = {
    "now ( )",
    "current_timestamp",
    "current_timestamp ( )",
    "statement_timestamp ( )",
    "transaction_timestamp ( )",
    "clock_timestamp ( )",
    "localtimestamp",
    "datetime ( 'now' )",
    "timezone ( 'utc' , now ( ) )",
    "now ( ) at time zone 'utc'",
}
_TODAY = {"current_date", "date ( 'now' )"}
# Functions that both engines have, with the same meaning for plain arguments.
_SHARED_FUNCTIONS = {
    "abs",
    "coalesce",
    "length",
    "lower",
    "nullif",
    "replace",
    "round",
    "substr",
    "trim",
    "upper",
    "cast",
}
_CAST = re.compile(r"""::\s*("?[\w ]+"?)(\(\d+(,\s*\d+)?\))?(\[\])?\s*$""")


def portable_default(column: sa.Column[Any]) -> Any:
    """Return a column's server default for every engine; None without one.

    Returns:
        ``Computed`` and ``Identity`` as they are, else something that
        ``server_default=`` takes.

    Raises:
        NotPortable: It cannot be said on every engine.
    """
    default: Any = column.server_default
    if default is None or isinstance(default, sa.Computed | sa.Identity):
        return default
    if not isinstance(default, sa.DefaultClause):
        return None  # FetchedValue: somebody else fills it; there is no DDL
    argument: Any = default.arg
    if isinstance(argument, str):
        return _literal(column, argument, was_text=False)
    return _expression(column, argument)


def _expression(column: sa.Column[Any], element: ClauseElement) -> Any:
    while isinstance(element, Grouping):
        element = cast("ClauseElement", element.element)  # pyright: ignore[reportUnknownMemberType]
    if isinstance(element, PerEngine | utc_now | StoredDefault):
        return element
    if isinstance(element, True_ | False_):
        return sa.true() if isinstance(element, True_) else sa.false()
    if isinstance(element, Null):
        return None
    if isinstance(element, BindParameter):
        return _from_value(column, cast("Any", element).value)
    if isinstance(element, TextClause):
        return _from_text(column, element.text)
    if isinstance(element, FunctionElement):
        spelled = canonical(expression_sql(POSTGRESQL, element))
        now = _now(column, spelled)
        if now is not None:
            return now
    return _two_texts(column, element)


def _from_text(column: sa.Column[Any], text: str) -> Any:
    spelled = canonical(text)
    if spelled == "null":
        return None
    now = _now(column, spelled)
    if now is not None:
        return now
    bare = _CAST.sub("", text.strip()) if "::" in text else text.strip()
    parts = meaningful(tokens(_without_brackets(bare)))
    sign = "-" if parts and parts[0].is_symbol("-") else ""
    value = parts[1:] if sign or (parts and parts[0].is_symbol("+")) else parts
    if len(value) == 1 and value[0].kind in ("string", "number", "word"):
        word = value[0].text
        if value[0].kind == "string" and word[0] not in "xX":
            return _literal(column, word[1:-1].replace("''", "'"), was_text=True)
        if value[0].kind == "number" or word.lower() in ("true", "false"):
            return _literal(column, sign + word, was_text=True)
    return _two_texts(column, sa.text(text))


def _without_brackets(text: str) -> str:
    stripped = text.strip()
    while stripped.startswith("(") and stripped.endswith(")"):
        stripped = stripped[1:-1].strip()
    return stripped


def _now(column: sa.Column[Any], spelled: str) -> Any:
    """Return the database's clock in the form that the column's type keeps."""
    kind = _implementation(column.type)
    if spelled in _NOW:
        if isinstance(column.type, UtcDateTime):
            return utc_now()
        if isinstance(kind, sa.Date):
            return sa.func.current_date()
        if isinstance(kind, sa.DateTime):
            return sa.func.now()
    if spelled in _TODAY and isinstance(kind, sa.Date):
        return sa.func.current_date()
    return None


def _implementation(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    while isinstance(type_, sa.types.TypeDecorator):
        type_ = type_.impl_instance
    return type_


def _literal(column: sa.Column[Any], text: str, *, was_text: bool) -> Any:
    """Return the default for a literal, as the column's type stores it."""
    if isinstance(_implementation(column.type), sa.Boolean):
        truth = _TRUTHS.get(text.strip("'").lower())
        if truth is None:
            _refuse(column, repr(text), "it is neither true nor false")
        return sa.true() if truth else sa.false()
    if isinstance(column.type, PortableType):
        portable = column.type
        try:
            return StoredDefault(text, portable)
        except InvalidValue as exc:
            _refuse(column, repr(text), f"it is no {portable!r} ({exc.message})")
    numeric = isinstance(_implementation(column.type), sa.Integer | sa.Numeric)
    if numeric and was_text:
        return sa.text(text)
    return text


def _from_value(column: sa.Column[Any], value: Any) -> Any:
    """Return the default for a Python value, spelled by the column's type."""
    if value is None:
        return None
    if isinstance(_implementation(column.type), sa.Boolean):
        return sa.true() if value else sa.false()
    literals: list[str] = []
    for dialect in (SQLITE, POSTGRESQL):
        processor = column.type.dialect_impl(dialect).literal_processor(dialect)
        if processor is None:
            _refuse(column, repr(value), f"{column.type!r} cannot be written as SQL")
        literals.append(processor(value))
    if literals[0] == literals[1]:
        return sa.text(literals[0])
    return per_engine(sqlite=literals[0], postgresql=literals[1])


def _two_texts(column: sa.Column[Any], element: Any) -> Any:
    """Return an expression as each engine spells it, if each is known to do so."""
    texts: list[str] = []
    for dialect in (SQLITE, POSTGRESQL):
        try:
            texts.append(expression_sql(dialect, element))
        except (sa_exc.CompileError, NotPortable) as exc:
            _refuse(column, str(element), f"{dialect.name} has no words for it: {exc}")
    for text in texts:
        foreign = _foreign_functions(text)
        if foreign:
            hint = _HINTS.get(foreign[0], "use a default of Python's: default=…")
            _refuse(
                column, text, f"{foreign[0]}() is not the same on every engine", hint
            )
    if texts[0] == texts[1]:
        return sa.text(texts[0])
    return per_engine(sqlite=f"({texts[0]})", postgresql=texts[1])


_HINTS = {
    "gen_random_uuid": "use default=ls.uuid7, made by the application",
    "uuid_generate_v4": "use default=ls.uuid7, made by the application",
    "nextval": "use an integer primary key or sa.Identity()",
    "now": "use ls.utc_now() with ls.UtcDateTime()",
    "strftime": "use ls.utc_now() with ls.UtcDateTime()",
}


def _foreign_functions(text: str) -> list[str]:
    parts = meaningful(tokens(text))
    return [
        part.text.lower()
        for part, after in pairwise(parts)
        if part.kind == "word"
        and after.is_symbol("(")
        and part.text.lower() not in _SHARED_FUNCTIONS
    ]


def _refuse(
    column: sa.Column[Any],
    what: str,
    why: str,
    hint: str = "use sa.text, sa.true(), sa.false() or ls.utc_now(), or default=…",
) -> NoReturn:
    owner = cast("sa.Table | None", column.table)
    table = "" if owner is None else f"{owner.name}."
    raise NotPortable(
        f"the server default {what} of {table}{column.name} is not portable: {why}",
        hint=hint,
        detail={"column": f"{table}{column.name}"},
    )
