"""Calculating with decimals in SQL: Python's exact answer, or a refusal.

A random expression over columns of different scales is evaluated by the engine
and by Python. It may be refused (``NotPortable``), but never off.
"""

from __future__ import annotations

import decimal
import operator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lockstep as ls
from lockstep.errors import NotPortable
from lockstep.schema import portable_metadata

D = decimal.Decimal
ALL_DIGITS = decimal.Context(prec=60)
EXAMPLES = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def sample_table() -> sa.Table:
    return sa.Table(
        "sample",
        portable_metadata(),
        sa.Column("id", ls.BigInteger(), primary_key=True),
        sa.Column("cents", ls.Money()),
        sa.Column("fine", ls.Decimal(12, 4)),
        sa.Column("whole", ls.Decimal(6, 0)),
        sa.Column("count", ls.BigInteger()),
        sa.Column("plain", sa.Integer()),
    )


SAMPLE = sample_table()
C = SAMPLE.c


@pytest.fixture
def sample(db: ls.Database) -> ls.Database:
    SAMPLE.metadata.create_all(db.engine)
    return db


@dataclass(frozen=True)
class Node:
    """An expression: as SQL, and as a function of a row's values."""

    sql: Any
    value: Any


def column(name: str) -> Node:
    return Node(C[name], operator.itemgetter(name))


def cents(low: int = -99999, high: int = 99999) -> st.SearchStrategy[D]:
    return st.integers(low, high).map(lambda n: D(n).scaleb(-2, ALL_DIGITS))


def thousandths() -> st.SearchStrategy[D]:
    return st.integers(-99999, 99999).map(lambda n: D(n).scaleb(-3))


ROW = st.fixed_dictionaries(
    {
        "cents": cents(),
        "fine": st.integers(-999999, 999999).map(lambda n: D(n).scaleb(-4, ALL_DIGITS)),
        "whole": st.integers(-9999, 9999).map(D),
        "count": st.integers(-999, 999),
        "plain": st.integers(-999, 999),
    }
)
LEAVES = st.sampled_from(["cents", "fine", "whole", "count"]).map(column)
LITERALS = cents() | thousandths() | st.integers(-999, 999)


def combined(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    signs = st.sampled_from([operator.add, operator.sub, operator.mul])

    def binary(sign: Any, left: Node, right: Node) -> Node:
        return Node(
            sign(left.sql, right.sql),
            lambda row: sign(left.value(row), right.value(row)),
        )

    def with_literal(sign: Any, node: Node, literal: Any, swapped: bool) -> Node:
        if swapped:
            return Node(
                sign(literal, node.sql), lambda row: sign(literal, node.value(row))
            )
        return Node(sign(node.sql, literal), lambda row: sign(node.value(row), literal))

    def negated(node: Node) -> Node:
        return Node(-node.sql, lambda row: -node.value(row))

    return (
        st.builds(binary, signs, children, children)
        | st.builds(with_literal, signs, children, LITERALS, st.booleans())
        | st.builds(negated, children)
    )


TREES = st.recursive(LEAVES, combined, max_leaves=4)


def answer(db: ls.Database, row: dict[str, Any], *expressions: Any) -> Any:
    with db.engine.begin() as connection:
        connection.execute(sa.delete(SAMPLE))
        connection.execute(sa.insert(SAMPLE), [{"id": 1, **row}])
        return connection.execute(sa.select(*expressions)).one()


def test_arithmetic_is_exact_or_refused(sample: ls.Database) -> None:
    @EXAMPLES
    @given(TREES, ROW)
    def check(tree: Node, row: dict[str, Any]) -> None:
        expected = tree.value(row)
        try:
            (got,) = answer(sample, row, tree.sql)
        except NotPortable:
            assert sample.dialect_name == "sqlite"
            return
        assert got == expected
        assert type(got) is type(expected)

    check()


def test_plain_integers_may_stand_beside_decimals(sample: ls.Database) -> None:
    row = {"cents": D("1.25"), "plain": 3, "count": 2}
    price = D("1.25")
    for expression, expected in (
        (C.plain + C.cents, price + 3),
        (C.plain - C.cents, 3 - price),
        (C.plain * C.cents * C["count"], price * 6),
        (C.cents * C.plain - 1, price * 3 - 1),
        (2 * (C.plain + C["count"]) * C.cents, price * 10),
    ):
        (got,) = answer(sample, row, expression)
        assert (got, type(got)) == (expected, D)
    assert answer(sample, row, C.cents > C.plain) == (False,)


def test_comparisons_are_exact_or_refused(sample: ls.Database) -> None:
    signs = st.sampled_from(
        [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
    )

    @EXAMPLES
    @given(signs, TREES, TREES, LITERALS, ROW)
    def check(
        sign: Any, left: Node, right: Node, literal: Any, row: dict[str, Any]
    ) -> None:
        truths = sa.cast(sa.literal(1), sa.Integer), sa.literal(0)
        for condition, expected in (
            (sign(left.sql, right.sql), sign(left.value(row), right.value(row))),
            (sign(left.sql, literal), sign(left.value(row), literal)),
            (sign(literal, left.sql), sign(literal, left.value(row))),
        ):
            try:
                (got,) = answer(
                    sample, row, sa.case((condition, truths[0]), else_=truths[1])
                )
            except NotPortable:
                assert sample.dialect_name == "sqlite"
                continue
            assert bool(got) == expected

    check()


@EXAMPLES
@given(st.lists(cents(), min_size=1, max_size=5), thousandths(), thousandths())
def check_literals(db: ls.Database, prices: list[D], low: D, high: D) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.delete(SAMPLE))
        rows = [{"id": n, "cents": price} for n, price in enumerate(prices)]
        connection.execute(sa.insert(SAMPLE), rows)

        def found(condition: Any) -> list[D]:
            query = sa.select(C.cents).where(condition).order_by(C.id)
            return list(connection.scalars(query))

        assert found(C.cents > low) == [p for p in prices if p > low]
        assert found(C.cents <= low) == [p for p in prices if p <= low]
        assert found(C.cents == low) == [p for p in prices if p == low]
        assert found(C.cents != low) == [p for p in prices if p != low]
        assert found(C.cents.in_([low, high])) == [
            p for p in prices if p in (low, high)
        ]
        assert found(C.cents.between(low, high)) == [
            p for p in prices if low <= p <= high
        ]
        assert found(~C.cents.between(low, high)) == [
            p for p in prices if not low <= p <= high
        ]
        assert found(C.cents < D("1e40")) == prices
        assert found(C.cents > D("-1e40")) == prices
        assert found(C.cents == D("1e40")) == []


def test_a_literal_may_have_more_places_than_the_column(sample: ls.Database) -> None:
    check_literals(sample)


WIDE = sa.Table(
    "wide",
    portable_metadata(),
    sa.Column("id", ls.BigInteger(), primary_key=True),
    sa.Column("value", ls.Decimal(30, 2)),
)


def test_wide_decimals_compare_with_any_literal(db: ls.Database) -> None:
    WIDE.metadata.create_all(db.engine)

    @EXAMPLES
    @given(
        st.lists(cents(-(10**30) + 1, 10**30 - 1) | cents(), min_size=1, max_size=4),
        thousandths()
        | st.integers(-(10**40), 10**40).map(lambda n: D(n).scaleb(-4, ALL_DIGITS)),
    )
    def check(values: list[D], pivot: D) -> None:
        with db.engine.begin() as connection:
            connection.execute(sa.delete(WIDE))
            rows = [{"id": n, "value": value} for n, value in enumerate(values)]
            connection.execute(sa.insert(WIDE), rows)
            for sign in (operator.lt, operator.le, operator.eq, operator.ge):
                query = sa.select(WIDE.c.value).where(sign(WIDE.c.value, pivot))
                found = sorted(connection.scalars(query))
                assert found == sorted(v for v in values if sign(v, pivot))

    check()


def test_aggregates_and_choices_are_exact(sample: ls.Database) -> None:
    f = sa.func

    @EXAMPLES
    @given(st.lists(st.none() | cents(), min_size=1, max_size=6), cents())
    def check(prices: list[D | None], other: D) -> None:
        known = [p for p in prices if p is not None]
        with sample.engine.begin() as connection:
            connection.execute(sa.delete(SAMPLE))
            rows = [{"id": n, "cents": p, "count": n} for n, p in enumerate(prices)]
            connection.execute(sa.insert(SAMPLE), rows)

            def one(*expressions: Any) -> Any:
                return connection.execute(sa.select(*expressions)).one()

            assert one(
                f.sum(C.cents), f.min(C.cents), f.max(C.cents), f.count(C.cents)
            ) == (
                sum(known) if known else None,
                min(known, default=None),
                max(known, default=None),
                len(known),
            )
            assert one(f.sum(C.cents * C["count"])) == (
                sum(p * n for n, p in enumerate(prices) if p is not None)
                if known
                else None,
            )
            assert one(f.coalesce(f.sum(C.cents), 0)) == (sum(known, D(0)),)
            assert one(f.sum(f.coalesce(C.cents, other))) == (
                sum(other if p is None else p for p in prices),
            )
            chosen = sa.case((C.cents > other, C.cents), else_=1)
            assert one(f.sum(chosen)) == (
                sum(p if p is not None and p > other else D(1) for p in prices),
            )
            apart = f.nullif(C.cents, other, type_=ls.Money())
            assert list(connection.scalars(sa.select(apart).order_by(C.id))) == [
                None if p == other else p for p in prices
            ]
            size = f.abs(C.cents, type_=ls.Money())
            assert list(connection.scalars(sa.select(size).order_by(C.id))) == [
                None if p is None else abs(p) for p in prices
            ]

    check()


def test_a_sum_beyond_the_type_is_exact_or_an_error(sample: ls.Database) -> None:
    most = D("9999999999999999.99")
    with sample.engine.begin() as connection:
        connection.execute(
            sa.insert(SAMPLE), [{"id": n, "cents": most} for n in range(20)]
        )
        total = sa.select(sa.func.sum(C.cents))
        if sample.dialect_name == "postgresql":
            assert connection.scalar(total) == most * 20
            return
        with pytest.raises(sa.exc.DatabaseError, match="overflow"):
            connection.scalar(total)
        product = sa.select(C.cents * 10000)
        with pytest.raises(ls.errors.InvalidValue, match="64 bits"):
            connection.scalars(product).all()


def test_decimals_are_cast_and_assigned_at_their_scale(sample: ls.Database) -> None:
    with sample.engine.begin() as connection:
        connection.execute(
            sa.insert(SAMPLE),
            [{"id": 1, "cents": D("1.25"), "fine": D("0.5"), "count": 3}],
        )
        finer = sa.cast(C.cents, ls.Decimal(12, 4))
        assert connection.scalar(sa.select(finer)) == D("1.2500")
        assert connection.scalar(sa.select(sa.cast(C["count"], ls.Money()))) == D(3)
        literal = sa.cast(D("7.5"), ls.Money())
        assert connection.scalar(sa.select(literal)) == D("7.50")
        connection.execute(sa.update(SAMPLE).values(fine=finer, cents=C.cents * 2))
        row = connection.execute(sa.select(C.cents, C.fine)).one()
        assert row == (D("2.50"), D("1.2500"))


def test_windows_subqueries_and_row_values_keep_the_scale(sample: ls.Database) -> None:
    with sample.engine.begin() as connection:
        rows = [{"id": n, "cents": D(n)} for n in range(1, 4)]
        connection.execute(sa.insert(SAMPLE), rows)
        before = sa.func.lag(C.cents, 1, D("0.5"), type_=ls.Money())
        running = sa.func.sum(C.cents).over(order_by=C.id)
        got = connection.execute(
            sa.select(before.over(order_by=C.id), running).order_by(C.id)
        ).all()
        assert got == [(D("0.5"), D(1)), (D(1), D(3)), (D(2), D(6))]
        highest = sa.select(sa.func.max(C.cents)).scalar_subquery()
        query = sa.select(C.id).where(C.cents == highest)
        assert connection.scalars(query).all() == [3]
        after = sa.tuple_(C.cents, C.id) > (D("1.5"), 0)
        query = sa.select(C.id).where(after).order_by(C.id)
        assert connection.scalars(query).all() == [2, 3]
        both = sa.union_all(sa.select(C.cents), sa.select(C.cents + 1)).subquery()
        assert connection.scalar(sa.select(sa.func.sum(both.c.cents))) == D(15)
