"""Every value of every type comes back equal, and is found again.

Hypothesis makes the values, Python says what is right, the engine must agree.
"""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import lockstep as ls
from lockstep.schema import portable_metadata

from .type_values import CASES, Case

EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WIDE = st.integers(0, 2**63 - 1)


def table_of(db: ls.Database, kind: Any) -> sa.Table:
    metadata = portable_metadata()
    table = sa.Table(
        "thing",
        metadata,
        sa.Column("id", ls.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("value", kind),
    )
    metadata.create_all(db.engine)
    return table


def fill(connection: sa.Connection, table: sa.Table, values: list[Any]) -> None:
    connection.execute(sa.delete(table))
    if values:
        rows = [{"id": n, "value": value} for n, value in enumerate(values)]
        connection.execute(sa.insert(table), rows)


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_a_value_comes_back_equal_and_of_the_same_type(
    db: ls.Database, case: Case
) -> None:
    table = table_of(db, case.kind)

    @EXAMPLES
    @given(st.lists(case.values | st.none(), max_size=5))
    def check(values: list[Any]) -> None:
        with db.engine.begin() as connection:
            fill(connection, table, values)
            query = sa.select(table.c.value).order_by(table.c.id)
            back = list(connection.scalars(query))
        expected = [None if v is None else case.expected(v) for v in values]
        assert back == expected
        assert [repr(v) for v in back] == [repr(v) for v in map(unsigned, expected)]

    check()


def unsigned(value: Any) -> Any:
    """Return a value as every engine gives it: no -0.0, keys in jsonb's order."""
    if isinstance(value, float):
        return value + 0.0
    if isinstance(value, list):
        return [unsigned(item) for item in value]
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return {key: unsigned(value[key]) for key in keys}
    return value


def test_values_are_found_by_equality_and_in_lists(db: ls.Database, case: Case) -> None:
    table = table_of(db, case.kind)
    column = table.c.value

    def ids(connection: sa.Connection, *where: Any) -> list[int]:
        return list(
            connection.scalars(sa.select(table.c.id).where(*where).order_by(table.c.id))
        )

    @EXAMPLES
    @given(st.lists(case.values, min_size=1, max_size=5), st.data())
    def check(values: list[Any], data: st.DataObject) -> None:
        wanted = data.draw(st.sampled_from(values))
        several = data.draw(st.lists(st.sampled_from(values), max_size=3))
        same = [n for n, v in enumerate(values) if alike(v, wanted)]
        with db.engine.begin() as connection:
            fill(connection, table, [*values, None])
            assert ids(connection, column == wanted) == same
            others = [n for n in range(len(values)) if n not in same]
            assert ids(connection, column != wanted) == others
            inside = [
                n for n, v in enumerate(values) if any(alike(v, s) for s in several)
            ]
            assert ids(connection, column.in_(several)) == inside
            if several:
                outside = [n for n in range(len(values)) if n not in inside]
                assert ids(connection, column.not_in(several)) == outside
            assert ids(connection, column.is_(None)) == [len(values)]

    check()


def alike(first: Any, second: Any) -> bool:
    """Tell whether two values are equal as the databases see it: 1 is not 1.0."""
    return bool(first == second) and repr(unsigned(first)) == repr(unsigned(second))


ORDERED = {name: case for name, case in CASES.items() if case.order is not None}


@pytest.mark.parametrize("name", list(ORDERED))
def test_order_and_comparisons_are_pythons(db: ls.Database, name: str) -> None:
    case = ORDERED[name]
    assert case.order is not None
    order = case.order
    table = table_of(db, case.kind)
    column = table.c.value

    @EXAMPLES
    @given(st.lists(case.values, min_size=1, max_size=6), st.data())
    def check(values: list[Any], data: st.DataObject) -> None:
        pivot = data.draw(st.sampled_from(values) | case.values)
        with db.engine.begin() as connection:
            fill(connection, table, values)
            got = connection.scalars(sa.select(column).order_by(column, table.c.id))
            assert list(got) == [case.expected(v) for v in sorted(values, key=order)]
            if case.kind.family == "boolean":
                return
            for sign, right in (
                (column < pivot, {v for v in map(order, values) if v < order(pivot)}),
                (column >= pivot, {v for v in map(order, values) if v >= order(pivot)}),
            ):
                found = connection.scalars(sa.select(column).where(sign))
                assert set(map(order, found)) == right
            if case.has_extremes:
                low, high = connection.execute(
                    sa.select(sa.func.min(column), sa.func.max(column))
                ).one()
                assert low == case.expected(min(values, key=order))
                assert high == case.expected(max(values, key=order))

    check()


@pytest.mark.parametrize("name", list(ORDERED))
def test_nulls_stand_last_on_every_engine(db: ls.Database, name: str) -> None:
    case = ORDERED[name]
    assert case.order is not None
    value = find(case.values, lambda _: True)
    table = table_of(db, case.kind)
    column = table.c.value
    with db.engine.begin() as connection:
        fill(connection, table, [None, value])

        def ids(*order: Any) -> list[int]:
            return list(connection.scalars(sa.select(table.c.id).order_by(*order)))

        assert ids(column) == ids(column.asc()) == [1, 0]
        assert ids(column.desc()) == [0, 1]
        assert ids(column.nulls_first()) == ids(column.desc().nulls_first()) == [0, 1]
        labelled = sa.select(table.c.id, column.label("v"))
        for query in (
            labelled.order_by("v"),
            labelled.order_by(labelled.selected_columns.v),
            sa.select(labelled.subquery()).order_by("v"),
            sa.union_all(labelled, labelled.where(sa.false())).order_by("v"),
        ):
            assert [row.id for row in connection.execute(query)] == [1, 0]
        number = sa.func.row_number().over(order_by=column)
        query = sa.select(table.c.id).order_by(number)
        assert list(connection.scalars(query)) == [1, 0]


def test_rows_that_an_outer_join_fills_stand_last(db: ls.Database) -> None:
    metadata = portable_metadata()
    left = sa.Table(
        "left", metadata, sa.Column("id", ls.BigInteger(), primary_key=True)
    )
    right = sa.Table(
        "right",
        metadata,
        sa.Column("id", ls.BigInteger(), primary_key=True),
        sa.Column("name", ls.Text(), nullable=False),
    )
    metadata.create_all(db.engine)
    with db.engine.begin() as connection:
        connection.execute(sa.insert(left), [{"id": 1}, {"id": 2}])
        connection.execute(sa.insert(right), [{"id": 2, "name": "b"}])
        joined = left.outerjoin(right, left.c.id == right.c.id)
        for query in (
            sa.select(left.c.id).select_from(joined),
            sa.select(left.c.id).outerjoin(right, left.c.id == right.c.id),
        ):
            ordered = query.order_by(right.c.name)
            assert list(connection.scalars(ordered)) == [2, 1]


def test_what_an_empty_table_answers_is_none(db: ls.Database) -> None:
    table = table_of(db, ls.Money())
    total = sa.select(sa.func.sum(table.c.value), sa.func.max(table.c.value))
    with db.engine.connect() as connection:
        assert connection.execute(total).one() == (None, None)
