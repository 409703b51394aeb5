"""What a person may write into a mapping file, and what is refused by name."""

from __future__ import annotations

import pytest

from lockstep.errors import InvalidPlan
from lockstep.mover.plan.model import ColumnPlan, Plan, Statement, TablePlan
from lockstep.mover.plan.toml import apply_toml, plan_to_toml


def made() -> Plan:
    column = ColumnPlan("qty", "qty", "bigint", "integer", not_null=True)
    index = Statement("index", "by_qty", "CREATE INDEX by_qty ON parts (qty)")
    table = TablePlan("parts", "parts", [column], statements=[index])
    return Plan("sqlite", "postgresql", [table])


def applied(text: str) -> Plan:
    return apply_toml(text, made(), lambda plan: None)


def test_a_file_that_nobody_edited_changes_nothing() -> None:
    assert applied(plan_to_toml(made())) == made()


def test_what_was_edited_is_obeyed() -> None:
    plan = applied(
        '[tables.parts]\ntarget = "pieces"\ncarry = false\n'
        '[tables.parts.columns]\nqty = { type = "numeric", codec = "numeric" }\n'
        '[[tables.parts.build]]\npurpose = "check"\nname = "c"\nsql = "CHECK (true)"\n'
    )
    (table,) = plan.tables
    assert (table.target, table.carry) == ("pieces", False)
    assert (table.column("qty").type, table.column("qty").not_null) == (
        "numeric",
        False,
    )
    assert table.statements == [Statement("check", "c", "CHECK (true)")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tables = 5", "tables is a table"),
        ("[tables.part]", "no table 'part'"),
        ("[tables.parts]\ncarries = false", "unknown keys ['carries']"),
        ('[tables.parts]\ncarry = "false"', "tables.parts.carry is true or false"),
        ("[tables.parts]\ntarget = 5", "tables.parts.target is a text"),
        ("[tables.parts]\nbuild = 5", "tables.parts.build is a list"),
        ("[tables.parts]\nbuild = [5]", "tables.parts.build is a table"),
        ('[[tables.parts.build]]\npurpose = "index"', "lacks ['name', 'sql']"),
        (
            '[[tables.parts.build]]\npurpose = "x"\nname = "a"\nsql = "b"',
            "purpose is one of",
        ),
        ("[tables.parts.columns]\nqt = {}", "no column 'qt'"),
        ("[tables.parts.columns]\nqty = 5", "parts.qty is a table"),
        ("[tables.parts.columns]\nqty = { not_null = 'no' }", "is true or false"),
        ("[tables.parts.columns]\nqty = { types = 'x' }", "unknown keys ['types']"),
        ("[tables.parts.columns]\nqty = { codec = 'x' }", "parts.qty: "),
        ("[tables.parts.columns]\nqty = { on_dirt = 'x' }", "on_dirt is one of"),
        ('target = "sqlite"', "for target = 'sqlite'"),
        ("[tables", "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_named(text: str, said: str) -> None:
    with pytest.raises(InvalidPlan) as refused:
        applied(text)
    assert said in refused.value.message
