"""What a person may write into a mapping file, and what is refused by name."""

from __future__ import annotations

import pytest

from lockstep.errors import InvalidPlan
from lockstep.mover.model.plan import ColumnPlan, Plan, Statement, TablePlan
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


def test_a_file_says_where_the_trouble_is_and_what_was_meant() -> None:
    text = plan_to_toml(made())
    number = 1 + text[: text.index('"qty" =')].count("\n")
    for old, new, said, hint in (
        ('codec = "integer"', 'codec = "x"', f"(line {number})", ""),
        ('target = "qty"', "target = ''", f"no name (line {number})", ""),
        ('target = "qty"', f"target = '{'n' * 64}'", "this has 64", "shorten"),
        ("[tables.", "[table.", "unknown keys ['table']", "did you mean 'tables'?"),
        ('"qty" =', '"qtty" =', "no column 'qtty'", "did you mean 'qty'?"),
        ('[tables."parts"]', '[tables."part"]', "no table 'part'", "mean 'parts'?"),
    ):
        with pytest.raises(InvalidPlan) as refused:
            applied(text.replace(old, new))
        assert said in refused.value.message
        assert hint in refused.value.hint


def test_a_complete_file_names_what_came_into_the_source_later() -> None:
    text = plan_to_toml(made())
    assert applied(f"\ufeff{text}") == made()
    column = ColumnPlan("b", "b", "text", "text")
    for later in (
        TablePlan("parts", "parts", [*made().tables[0].columns, column]),
        TablePlan("new", "new", []),
    ):
        plan = made()
        plan.tables = [later, *(t for t in plan.tables if t.source != later.source)]
        with pytest.raises(InvalidPlan, match="does not name"):
            apply_toml(text, plan, lambda plan: None)
        apply_toml(text.replace("complete = true", ""), plan, lambda plan: None)


def test_two_of_one_name_are_refused_by_the_targets_own_rule() -> None:
    text = '[tables.parts.columns]\nother = { target = "QTY" }'
    plan = made()
    plan.tables[0].columns.append(ColumnPlan("other", "other", "text", "text"))
    apply_toml(text, plan, lambda plan: None)
    plan.target = "sqlite"
    with pytest.raises(InvalidPlan, match="another one becomes too"):
        apply_toml(text, plan, lambda plan: None)


def test_a_rekeyed_plan_is_no_mapping_file() -> None:
    plan = made()
    plan.tables[0].columns[0].codec = "uuid7:1,2"
    with pytest.raises(InvalidPlan, match="become UUIDs"):
        plan_to_toml(plan)
