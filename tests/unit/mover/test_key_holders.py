"""The way of an integer key through a schema, and the tags that tell keys apart."""

from __future__ import annotations

import pytest

from lockstep.errors import InvalidPlan
from lockstep.mover.model.plan import ColumnPlan, Plan, Reference, TablePlan
from lockstep.mover.plan.key_holders import key_holders
from lockstep.mover.plan.rekey import TAGS, rekeyed


def table(name: str, columns: str, key: str, *references: str) -> TablePlan:
    """``references`` are texts such as ``a_id t.id``."""
    made = [ColumnPlan(c, c, "bigint", "integer") for c in columns.split()]
    found = [Reference(*text.replace(".", " ").split()) for text in references]
    return TablePlan(name, name, made, primary_key=key.split(), references=found)


def held(*tables: TablePlan) -> dict[str, str]:
    found = key_holders(Plan("sqlite", "postgresql", list(tables)))
    return {".".join(place): owner for place, owner in found.items()}


def test_a_chain_declared_backwards_is_followed_to_its_end() -> None:
    chain = [table("t0", "id", "id")]
    chain += [table(f"t{n}", "id", "id", f"id t{n - 1}.id") for n in range(1, 30)]
    assert held(*reversed(chain)) == {f"t{n}.id": "t0" for n in range(30)}


def test_what_no_own_key_stands_behind_stays_a_number() -> None:
    circle = [table("a", "id", "id", "id b.id"), table("b", "id", "id", "id a.id")]
    assert held(*circle, table("c", "n", "", "n a.id")) == {}
    pair = table("p", "x y", "x y")
    assert held(pair, table("q", "id x", "id", "x p.x")) == {"q.id": "q"}


def test_its_own_row_is_nothing_that_a_key_shares() -> None:
    assert held(table("t", "id", "id", "id t.id")) == {"t.id": "t"}


def test_a_column_of_two_tables_is_named() -> None:
    both = table("c", "n", "", "n a.id", "n b.id")
    with pytest.raises(InvalidPlan, match=r"c\.n holds keys of a .* b\.id"):
        held(table("a", "id", "id"), table("b", "id", "id"), both)


def test_as_many_tables_as_there_are_tags_get_one_each() -> None:
    tables = [table(f"t{n}", "id", "id") for n in range(TAGS + 1)]
    plan = rekeyed(Plan("sqlite", "postgresql", tables[1:]), keep_as="", now_ms=1)
    assert len({found.columns[0].codec for found in plan.tables}) == TAGS
    full = [table(f"t{n}", "id", "id") for n in range(TAGS + 1)]
    with pytest.raises(InvalidPlan, match="1,024 integer keys"):
        rekeyed(Plan("sqlite", "postgresql", full), keep_as="", now_ms=1)
