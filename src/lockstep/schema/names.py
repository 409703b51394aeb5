"""Names of constraints, indexes and triggers, the same on every engine.

Owns the naming convention, and the names of a move's own tables. It must not know a
dialect: a name is computed from the table's and the columns' names alone, so a history
written on one engine names on every other exactly what it names at home.

PostgreSQL cuts an identifier after 63 bytes and says so only in a NOTICE, and
two names that differ later become one. Invariant: every name made here has at
most ``IDENTIFIER_BYTES_MAX`` bytes, and a longer one keeps its beginning and
ends in a hash of the whole.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

IDENTIFIER_BYTES_MAX = 63
_HASH_HEX_DIGITS = 8

MOVE_PREFIXES = ("lockstep_move_", "lockstep_move_own_")
"""What the tables of a move's journal begin with, in a SQLite database; the second
where somebody has tables called as the first would be."""

MOVE_PARTS = ("state", "progress", "step", "rejected")
"""Tables of a move's journal, behind the prefix; they are no data of anybody's."""

MOVE_TABLES = frozenset(a + b for a in MOVE_PREFIXES for b in MOVE_PARTS)

KEPT_BY_EACH = MOVE_TABLES | {"alembic_version"}
"""Tables that a history and a move keep for themselves, on each database."""

ConstraintKind = Literal["pk", "fk", "uq", "ck", "ix", "tr"]


def shorten(name: str) -> str:
    """Return ``name``, or its beginning and a hash when it is too long.

    The limit counts UTF-8 bytes, as PostgreSQL does, and no character is torn.

    Example:
        >>> shorten("ix_part_name")
        'ix_part_name'
        >>> shorten("ix_" + "x" * 80)
        'ix_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_4e74cc19'
    """
    encoded = name.encode("utf-8")
    if len(encoded) <= IDENTIFIER_BYTES_MAX:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH_HEX_DIGITS]
    kept = encoded[: IDENTIFIER_BYTES_MAX - _HASH_HEX_DIGITS - 1]
    return f"{kept.decode('utf-8', errors='ignore')}_{digest}"


def constraint_name(kind: ConstraintKind, table: str, *parts: str) -> str:
    """Return the name the convention gives, at most 63 bytes.

    Args:
        kind: ``pk``, ``fk``, ``uq``, ``ck``, ``ix``, or ``tr`` for a trigger.
        table: The table's name without its schema.
        parts: Column names; for ``fk`` followed by the referred table, for
            ``ck`` what is checked.
    """
    return shorten("_".join((kind, table, *parts)))


def quote_identifier(name: str) -> str:
    """Return a name as a quoted SQL identifier; both engines quote alike."""
    return '"' + name.replace('"', '""') + '"'


def _text_digest(expression: Any) -> str:
    """Name an expression that has no name, by the text it compiles to."""
    try:
        text = str(expression.compile(compile_kwargs={"literal_binds": True}))
    except SQLAlchemyError:
        text = str(expression)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:_HASH_HEX_DIGITS]


def _primary_key_name(_: sa.PrimaryKeyConstraint, table: sa.Table) -> str:
    return constraint_name("pk", table.name)


def _unique_name(constraint: sa.UniqueConstraint, table: sa.Table) -> str:
    columns = [column.name for column in constraint.columns]
    return constraint_name("uq", table.name, *columns)


def _index_name(index: sa.Index, table: sa.Table) -> str:
    parts = [
        part.name if isinstance(part, sa.Column) else _text_digest(part)
        for part in index.expressions
    ]
    return constraint_name("ix", table.name, *parts)


def _foreign_key_name(constraint: sa.ForeignKeyConstraint, table: sa.Table) -> str:
    columns = [element.parent.name for element in constraint.elements]
    referred = constraint.elements[0].target_tokens.table_name
    return constraint_name("fk", table.name, *columns, referred)


def _check_name(constraint: sa.CheckConstraint, table: sa.Table) -> str:
    given = constraint.name
    part = given if isinstance(given, str) else _text_digest(constraint.sqltext)
    return constraint_name("ck", table.name, part)


NAMING_CONVENTION: dict[str, Any] = {
    "lockstep_pk": _primary_key_name,
    "lockstep_uq": _unique_name,
    "lockstep_ix": _index_name,
    "lockstep_fk": _foreign_key_name,
    # SQLAlchemy applies a convention to a *named* CHECK only when the template
    # mentions "constraint_name"; the word inside the token's name is enough.
    "lockstep_ck_constraint_name": _check_name,
    "pk": "%(lockstep_pk)s",
    "uq": "%(lockstep_uq)s",
    "ix": "%(lockstep_ix)s",
    "fk": "%(lockstep_fk)s",
    "ck": "%(lockstep_ck_constraint_name)s",
}
"""The convention for ``MetaData(naming_convention=...)``.

``pk_<table>``, ``uq_<table>_<columns>``, ``ix_<table>_<columns>``,
``fk_<table>_<columns>_<referred table>`` and ``ck_<table>_<name>``. A CHECK or an
indexed expression without a name is named by a hash of its text.
"""
