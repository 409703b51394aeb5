"""Names are deterministic, at most 63 bytes, and the same on every engine."""

from __future__ import annotations

import doctest

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

import lockstep as ls
from lockstep.schema import constraint_name, names, portable_metadata

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


@given(st.sampled_from(["pk", "fk", "uq", "ck", "ix"]), st.lists(WORDS, min_size=1))
def test_a_name_fits_postgresql_and_is_stable(kind: str, parts: list[str]) -> None:
    name = constraint_name(kind, *parts)  # type: ignore[arg-type]
    assert len(name.encode("utf-8")) <= 63
    assert name == constraint_name(kind, *parts)  # type: ignore[arg-type]
    whole = "_".join((kind, *parts))
    assert (name == whole) == (len(whole.encode("utf-8")) <= 63)


def test_names_that_differ_late_stay_different() -> None:
    first = constraint_name("ix", "t" * 70, "a")
    second = constraint_name("ix", "t" * 70, "b")
    assert first != second


def test_the_convention_names_everything() -> None:
    metadata = portable_metadata()
    column = sa.Column("name", ls.Text(5), unique=True)
    sa.Table("user", metadata, sa.Column("id", ls.Uuid(), primary_key=True), column)
    table = sa.Table(
        "part",
        metadata,
        sa.Column("id", ls.Uuid(), primary_key=True),
        sa.Column("user_id", ls.Uuid(), sa.ForeignKey("user.id"), index=True),
        sa.Column("count", ls.BigInteger(), sa.CheckConstraint("count > 0")),
        sa.CheckConstraint("count < 10", name="small"),
        sa.CheckConstraint("count <> 5"),
        sa.UniqueConstraint("user_id", "count"),
        sa.UniqueConstraint("count", name="my_own"),
    )
    sa.Index(None, sa.func.lower(column))
    named = {str(c.name) for c in table.constraints} | {
        str(index.name) for index in table.indexes
    }
    assert {
        "pk_part",
        "fk_part_user_id_user",
        "uq_part_user_id_count",
        "my_own",
        "ck_part_small",
        "ix_part_user_id",
    } < named
    unnamed = [n for n in named if n.startswith("ck_part_") and n != "ck_part_small"]
    assert len(unnamed) == 1
    assert unnamed == [f"ck_part_{unnamed[0][-8:]}"]
    (expression,) = (i.name for i in column.table.indexes)
    assert str(expression).startswith("ix_user_")


def test_a_unnamed_check_has_the_same_name_every_time() -> None:
    def made() -> set[str]:
        metadata = portable_metadata()
        count = sa.Column("count", ls.BigInteger())
        table = sa.Table("t", metadata, count, sa.CheckConstraint(count > 5))
        return {str(constraint.name) for constraint in table.constraints}

    assert made() == made()


def test_the_documented_examples_hold() -> None:
    assert doctest.testmod(names).failed == 0
