"""Indexes that one engine makes otherwise, or that promise what they are not."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import UnaryExpression

from lockstep.schema.portability.registry import (
    Finding,
    Findings,
    index_check,
    place,
)

_SAYS_UNIQUE = re.compile(r"(?:^|[_\W])(?:unique|uniq|unq|uq|ux)(?:[_\W]|$)", re.I)
_HARMLESS_OPTIONS = {"postgresql_where", "sqlite_where", "postgresql_concurrently"}


@index_check
def check_expressions(index: sa.Index) -> Findings:
    """Find indexes over expressions."""
    if all(_is_column(part) for part in index.expressions):
        return
    yield Finding(
        "expression-index",
        place(index),
        "the index is over an expression",
        "PostgreSQL wants immutable functions and normalises the text, SQLite cannot "
        "report it: a comparison with the models sees a difference, or none.",
        "Index a column that the application fills, or keep the index out of models.",
    )


def _is_column(part: Any) -> bool:
    while isinstance(part, UnaryExpression):
        part = part.element
    return isinstance(part, sa.Column)


@index_check
def check_name(index: sa.Index) -> Findings:
    """Find plain indexes whose name says that they are unique."""
    if not index.unique and index.name and _SAYS_UNIQUE.search(str(index.name)):
        yield Finding(
            "not-unique",
            place(index),
            "the index is called unique and is not",
            "Neither engine prevents duplicates.",
            "Write Index(..., unique=True) or a UniqueConstraint, or rename it.",
        )


@index_check
def check_predicate(index: sa.Index) -> Findings:
    """Find partial indexes that are partial on one engine only."""
    wheres = {
        name: index.dialect_options[name]["where"] for name in ("postgresql", "sqlite")
    }
    given = {name: str(where) for name, where in wheres.items() if where is not None}
    if len(given) == 1 or len(set(given.values())) > 1:
        effect = "refuses rows that the other accepts" if index.unique else "is larger"
        yield Finding(
            "partial-index",
            place(index),
            f"the index is partial on {' and '.join(given)} in its own way",
            f"Without the same condition the index on the other engine {effect}.",
            "Give postgresql_where and sqlite_where the same condition.",
        )


@index_check
def check_options(index: sa.Index) -> Findings:
    """Find options of one engine."""
    if index.dialect_options["postgresql"]["nulls_not_distinct"]:
        yield nulls_not_distinct(place(index))
    options = set(index.dialect_kwargs) - _HARMLESS_OPTIONS
    options -= {"postgresql_nulls_not_distinct"}
    if index.dialect_kwargs.get("postgresql_using") in (None, "btree"):
        options -= {"postgresql_using"}
    if options:
        yield Finding(
            "engine-option",
            place(index),
            f"{', '.join(sorted(options))} applies to one engine",
            "The other engine makes a plain index.",
            "Create such an index in a revision for that engine only.",
        )


def nulls_not_distinct(where: str) -> Finding:
    """Return the finding about NULLs that count as equal."""
    return Finding(
        "nulls-not-distinct",
        where,
        "NULLs count as equal on PostgreSQL",
        "SQLite, and PostgreSQL before 15, allow any number of NULLs.",
        "Make the columns NOT NULL, or use a partial unique index for the NULLs.",
    )
