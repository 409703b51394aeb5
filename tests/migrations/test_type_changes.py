"""A column's type changes with its values, exactly, or the revision fails."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from tests.migrations.histories import History

import lockstep.schema as ls
from lockstep.engine import Database
from lockstep.errors import MigrationError

D = decimal.Decimal
MOMENT = datetime.datetime(2026, 11, 20, 22, 14, 0, 123456, tzinfo=datetime.UTC)
KEY = uuid.UUID("0191f6d6-7f4e-7a3a-8f3c-3b1f8d1d2c3a")

# Old type, its values, new type, the values to find afterwards. The sources are
# written into revisions.
EXACT: list[tuple[str, list[Any], str, list[Any]]] = [
    ("ls.Text()", ["7", "-12"], "ls.BigInteger()", [7, -12]),
    ("ls.Text()", ["1.5", "-0.25"], "ls.Decimal(10, 2)", [D("1.50"), D("-0.25")]),
    ("ls.Text()", ["1.5", "2"], "ls.Float()", [1.5, 2.0]),
    ("ls.Text()", ["true", "f"], "ls.Boolean()", [True, False]),
    ("ls.Text()", [str(KEY)], "ls.Uuid()", [KEY]),
    ("ls.Text()", ["2026-11-20T22:14:00.123456Z"], "ls.UtcDateTime()", [MOMENT]),
    ("ls.Text()", ["2026-11-20"], "ls.Date()", [datetime.date(2026, 11, 20)]),
    ("ls.Text()", ['{"a": [1, null]}'], "ls.Json()", [{"a": [1, None]}]),
    ("ls.Text()", ["é", ""], "ls.Blob()", ["é".encode(), b""]),
    ("ls.Text()", ["a", "b"], "ls.Text(5)", ["a", "b"]),
    ("ls.Text()", ["open"], "ls.Enum('open', 'done')", ["open"]),
    ("ls.BigInteger()", [2**62, -1], "ls.Text()", [str(2**62), "-1"]),
    ("ls.BigInteger()", [0, 1], "ls.Boolean()", [False, True]),
    ("ls.BigInteger()", [5, -5], "ls.Decimal(12, 4)", [D("5.0000"), D("-5.0000")]),
    ("ls.BigInteger()", [5], "ls.Float()", [5.0]),
    ("ls.Boolean()", [True, False], "ls.BigInteger()", [1, 0]),
    ("ls.Boolean()", [True, False], "ls.Text()", ["true", "false"]),
    ("ls.Decimal(10, 2)", [D("1.50")], "ls.Decimal(18, 6)", [D("1.500000")]),
    ("ls.Decimal(10, 4)", [D("1.5000")], "ls.Decimal(10, 1)", [D("1.5")]),
    ("ls.Decimal(10, 4)", [D("-1.5")], "ls.Decimal(30, 4)", [D("-1.5000")]),
    ("ls.Decimal(30, 4)", [D("-1.5")], "ls.Money(4)", [D("-1.5000")]),
    ("ls.Decimal(10, 2)", [D("3.00")], "ls.BigInteger()", [3]),
    ("ls.Decimal(10, 2)", [D("-3.10")], "ls.Text()", ["-3.10"]),
    ("ls.Float()", [1.5, -2.0], "ls.Decimal(10, 2)", [D("1.50"), D("-2.00")]),
    ("ls.Float()", [1.5, 2.0], "ls.Text()", ["1.5", "2"]),
    ("ls.Uuid()", [KEY], "ls.Text()", [str(KEY)]),
    ("ls.UtcDateTime()", [MOMENT], "ls.Text()", ["2026-11-20T22:14:00.123456Z"]),
    (
        "ls.Date()",
        [datetime.date(2026, 11, 20)],
        "ls.UtcDateTime()",
        [datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC)],
    ),
    (
        "sa.DateTime()",
        [MOMENT.replace(tzinfo=None)],
        "ls.UtcDateTime()",
        [MOMENT],
    ),
    ("sa.String(20)", ["abc"], "ls.Text()", ["abc"]),
    ("sa.Integer()", [3], "ls.BigInteger()", [3]),
    ("sa.Numeric(10, 2)", [D("1.25")], "ls.Decimal(10, 2)", [D("1.25")]),
    ("sa.Uuid()", [KEY], "ls.Uuid()", [KEY]),
    ("sa.JSON()", [{"a": 1}], "ls.Json()", [{"a": 1}]),
    ("ls.Array(ls.Text())", [["a", "b"]], "ls.Json()", [["a", "b"]]),
    ("ls.Blob()", ["é".encode()], "ls.Text()", ["é"]),
]
REFUSED: list[tuple[str, list[Any], str]] = [
    ("ls.Text()", ["seven"], "ls.BigInteger()"),
    ("ls.Text()", ["007"], "ls.BigInteger()"),
    ("ls.Text()", ["1.005"], "ls.Decimal(10, 2)"),
    ("ls.Text()", ["maybe"], "ls.Boolean()"),
    ("ls.Text()", ["not a uuid"], "ls.Uuid()"),
    ("ls.Text()", ["yesterday"], "ls.UtcDateTime()"),
    ("ls.Text()", ["{"], "ls.Json()"),
    ("ls.Text()", ["too long"], "ls.Text(5)"),
    ("ls.Text()", ["12345 "], "ls.Text(5)"),
    ("ls.Text()", ["lost"], "ls.Enum('open', 'done')"),
    ("ls.BigInteger()", [2], "ls.Boolean()"),
    ("ls.BigInteger()", [2**62], "ls.Decimal(10, 2)"),
    ("ls.BigInteger()", [2**60 + 1], "ls.Float()"),
    ("ls.Decimal(10, 4)", [D("1.2345")], "ls.Decimal(10, 2)"),
    ("ls.Decimal(10, 2)", [D("3.10")], "ls.BigInteger()"),
    ("ls.Float()", [1.005], "ls.Decimal(10, 2)"),
    ("ls.Float()", [1.5], "ls.BigInteger()"),
    ("ls.UtcDateTime()", [MOMENT], "ls.Date()"),
    ("ls.Uuid()", [KEY], "ls.BigInteger()"),
    ("ls.Json()", [[1]], "ls.BigInteger()"),
    ("ls.BigInteger()", [1732140840], "ls.UtcDateTime()"),
]


def table_with(db: Database, source: str, values: list[Any]) -> sa.Table:
    made = sa.Table(
        "t",
        ls.portable_metadata(),
        sa.Column("id", ls.BigInteger(), primary_key=True),
        sa.Column("c", typed(source), nullable=True),
    )
    with db.engine.begin() as connection:
        made.create(connection)
        for value in [*values, None]:
            connection.execute(sa.insert(made).values({"c": value}))
    return made


def typed(source: str) -> Any:
    return eval(source, {"ls": ls, "sa": sa})


def values_as(db: Database, source: str) -> list[Any]:
    made = sa.table(
        "t", sa.column("id", ls.BigInteger()), sa.column("c", typed(source))
    )
    with db.engine.connect() as connection:
        return list(connection.scalars(sa.select(made.c.c).order_by(made.c.id)).all())


@pytest.mark.parametrize(("old", "values", "new", "expected"), EXACT)
def test_values_are_carried_over_exactly(
    db: Database,
    history: History,
    old: str,
    values: list[Any],
    new: str,
    expected: list[Any],
) -> None:
    table_with(db, old, values)
    history.add("one", f"op.alter_column('t', 'c', existing_type={old}, type_={new})")
    history.on(db).upgrade()
    assert values_as(db, new) == [*expected, None]


@pytest.mark.parametrize(("old", "values", "new"), REFUSED)
def test_a_value_that_would_change_stops_the_revision(
    db: Database, history: History, old: str, values: list[Any], new: str
) -> None:
    table_with(db, old, values)
    history.add("one", f"op.alter_column('t', 'c', existing_type={old}, type_={new})")
    with pytest.raises(MigrationError) as caught:
        history.on(db).upgrade()
    for value in values:
        if isinstance(value, str) and len(value) > 3:
            assert value not in str(caught.value)
    assert values_as(db, old) == [*values, None]


def test_without_values_any_change_is_possible(db: Database, history: History) -> None:
    table_with(db, "ls.Uuid()", [])
    history.add(
        "one",
        "op.alter_column('t', 'c', existing_type=ls.Uuid(), type_=ls.BigInteger())",
    )
    history.on(db).upgrade()
    assert values_as(db, "ls.BigInteger()") == [None]


def test_the_author_may_say_how(db: Database, history: History) -> None:
    table_with(db, "ls.BigInteger()", [1732140840])
    history.add(
        "one",
        """
        op.alter_column(
            't', 'c', existing_type=ls.BigInteger(), type_=ls.UtcDateTime(),
            postgresql_using="to_timestamp(c)",
            sqlite_using="strftime('%Y-%m-%dT%H:%M:%S', c, 'unixepoch') || '.000000Z'",
        )
        """,
    )
    history.on(db).upgrade()
    expected = datetime.datetime.fromtimestamp(1732140840, datetime.UTC)
    assert values_as(db, "ls.UtcDateTime()") == [expected, None]


def test_without_the_old_type_values_are_still_checked(
    db: Database, history: History
) -> None:
    table_with(db, "ls.Text()", ["12"])
    history.add("one", "op.alter_column('t', 'c', type_=sa.BigInteger())")
    history.on(db).upgrade()
    assert values_as(db, "ls.BigInteger()") == [12, None]
    history.add("two", "op.alter_column('t', 'c', type_=sa.Text())")
    history.on(db).upgrade()
    assert values_as(db, "ls.Text()") == ["12", None]


def test_a_default_goes_along(db: Database, history: History) -> None:
    history.add(
        "one",
        """
        op.create_table('t', sa.Column('id', ls.BigInteger(), primary_key=True),
            sa.Column('c', ls.BigInteger(), server_default='1', nullable=False))
        op.execute('INSERT INTO t (id) VALUES (1)')
        """,
    )
    history.add(
        "two",
        """
        op.alter_column('t', 'c', existing_type=ls.BigInteger(), type_=ls.Boolean(),
                        server_default='true')
        op.execute('INSERT INTO t (id) VALUES (2)')
        """,
    )
    history.on(db).upgrade()
    assert values_as(db, "ls.Boolean()") == [True, True]
