"""Constraints that one engine lacks, ignores or reads otherwise."""

from __future__ import annotations

import re
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.sql.elements import TextClause

from lockstep.schema.expressions.operands import family_of
from lockstep.schema.portability.indexes import nulls_not_distinct
from lockstep.schema.portability.registry import (
    Finding,
    Findings,
    constraint_check,
    place,
)
from lockstep.schema.types.decimals import Decimal

_ONE_ENGINES_SQL = re.compile(
    r"::|~|!~|\bILIKE\b|\bSIMILAR\s+TO\b|\bGLOB\b|\bREGEXP\b|\btypeof\s*\("
    r"|\bjson_|\bjsonb_|\bnow\s*\(|\bcurrent_|\bstrftime\s*\(|\bdatetime\s*\("
    r"|\bchar_length\s*\(|\bcardinality\s*\(|\bany\s*\(|->|\bposition\s*\(|\binstr\s*\(",
    re.I,
)
_LIKE = re.compile(r"\bLIKE\b", re.I)
_STRING = re.compile(r"'(?:[^']|'')*'")
_NUMBER_NOT_ZERO = re.compile(r"(?<![\w.])(?!0+(?:\.0*)?(?![\w.]))\d+(?:\.\d+)?(?!\w)")


@constraint_check
def check_unique_nulls(constraint: sa.Constraint) -> Findings:
    """Find unique constraints for which NULLs are equal."""
    if (
        isinstance(constraint, sa.UniqueConstraint)
        and (constraint.dialect_options["postgresql"]["nulls_not_distinct"])
    ):
        yield nulls_not_distinct(place(constraint))


@constraint_check
def check_deferral(constraint: sa.Constraint) -> Findings:
    """Find deferral of anything but foreign keys."""
    if isinstance(constraint, sa.ForeignKeyConstraint):
        return
    if constraint.deferrable is not None or constraint.initially is not None:
        yield Finding(
            "deferrable",
            place(constraint),
            "the constraint is deferrable",
            "SQLite defers foreign keys only and refuses the statement.",
            "Leave it immediate.",
        )


@constraint_check
def check_match(constraint: sa.Constraint) -> Findings:
    """Find foreign keys with a MATCH clause."""
    if isinstance(constraint, sa.ForeignKeyConstraint) and constraint.match:
        yield Finding(
            "foreign-key-match",
            place(constraint),
            f"the foreign key says MATCH {constraint.match}",
            "SQLite reads the clause and always does MATCH SIMPLE.",
            "Leave the clause out; make the columns NOT NULL where it matters.",
        )


@constraint_check
def check_foreign_key_types(constraint: sa.Constraint) -> Findings:
    """Find foreign keys between columns of different kinds."""
    if not isinstance(constraint, sa.ForeignKeyConstraint):
        return
    for element in constraint.elements:
        try:
            target = element.column
        except InvalidRequestError:
            return
        mine, other = family_of(element.parent), family_of(target)
        if mine is not None and other is not None and mine != other:
            yield Finding(
                "foreign-key-type",
                place(constraint),
                f"{element.parent.name} is {element.parent.type!r}, "
                f"{target} is {target.type!r}",
                "PostgreSQL refuses the foreign key; SQLite finds no row for it.",
                "Give both columns the same type.",
            )


@constraint_check
def check_kind(constraint: sa.Constraint) -> Findings:
    """Find constraints that only PostgreSQL has."""
    if ".dialects." in type(constraint).__module__:
        yield Finding(
            "engine-constraint",
            place(constraint),
            f"{type(constraint).__name__} exists on one engine",
            "SQLite has no exclusion constraints and leaves it out.",
            "Check it in the transaction that writes.",
        )


@constraint_check
def check_options(constraint: sa.Constraint) -> Findings:
    """Find options of one engine."""
    options = set(constraint.dialect_kwargs) - {"postgresql_nulls_not_distinct"}
    if options:
        yield Finding(
            "engine-option",
            place(constraint),
            f"{', '.join(sorted(options))} applies to one engine",
            "The other engine ignores it: rows are kept, replaced or refused "
            "differently.",
            "Leave the option out; say in the statement what a conflict does.",
        )


@constraint_check
def check_condition(constraint: sa.Constraint) -> Findings:
    """Find CHECKs written as text in one engine's language."""
    if not isinstance(constraint, sa.CheckConstraint):
        return
    condition: Any = constraint.sqltext
    if not isinstance(condition, TextClause):
        return
    # In a text() a colon is written with a backslash.
    text = _STRING.sub("''", condition.text.replace("\\:", ":"))
    if _ONE_ENGINES_SQL.search(text):
        yield Finding(
            "check-expression",
            place(constraint),
            f"the condition {condition.text} is one engine's SQL",
            "The other engine refuses it, or reads an operator or function otherwise.",
            "Write it with columns: CheckConstraint(Model.amount >= 0).",
        )
    if _LIKE.search(text):
        yield Finding(
            "check-like",
            place(constraint),
            "the condition uses LIKE",
            "SQLite's LIKE ignores the case of ASCII letters, PostgreSQL's does not.",
            'Write it with columns: CheckConstraint(Model.code.like("A%")).',
        )
    yield from _decimals_in_text(constraint, text)


def _decimals_in_text(constraint: sa.CheckConstraint, text: str) -> Findings:
    owner: Any = cast("Any", constraint).parent
    columns: list[sa.Column[Any]] = list(getattr(owner, "columns", (owner,)))
    for column in columns:
        if not isinstance(column.type, Decimal):
            continue
        named = re.search(rf"(?<!\w){re.escape(column.name)}(?!\w)", text)
        if named and (_NUMBER_NOT_ZERO.search(text) or not column.type.is_scaled):
            yield Finding(
                "decimal-in-text",
                place(constraint),
                f"the condition compares {column.name} with a number in text",
                "SQLite stores 12.50 as 1250 (or a sorting text), so the condition "
                "means another amount there.",
                "Write it with columns: CheckConstraint(Model.price <= 100).",
            )


@constraint_check
def check_is_named(constraint: sa.Constraint) -> Findings:
    """Find constraints without a name."""
    if isinstance(constraint, sa.PrimaryKeyConstraint) and not constraint.columns:
        return
    if constraint.name is None:
        yield Finding(
            "unnamed",
            place(constraint),
            f"the {type(constraint).__name__} has no name",
            "PostgreSQL makes one up, SQLite keeps none: a revision cannot drop it.",
            "Use lockstep.portable_metadata(), whose convention names everything.",
        )
