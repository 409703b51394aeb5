"""What would mean something else on SQLite does not compile there."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

import lockstep as ls
from lockstep.errors import NotPortable

D = decimal.Decimal


class Base(ls.Portable, DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[D] = mapped_column(ls.Money())
    fine: Mapped[D] = mapped_column(ls.Decimal(12, 4))
    wide: Mapped[D] = mapped_column(ls.Decimal(30, 2))
    count: Mapped[int]
    ratio: Mapped[float]
    plain: Mapped[D] = mapped_column(sa.Numeric(10, 2))
    name: Mapped[str]
    at: Mapped[dt.datetime]
    day: Mapped[dt.date]
    flag: Mapped[bool]
    data: Mapped[dict[str, Any]]
    tags: Mapped[list[str]]
    note: Mapped[str | None]
    plain_note: Mapped[str | None] = mapped_column(sa.String())


f = sa.func
price, fine, wide = Item.price, Item.fine, Item.wide


def on_sqlite(statement: Any) -> str:
    return str(statement.compile(dialect=sqlite.dialect()))


def on_postgresql(statement: Any) -> str:
    return str(statement.compile(dialect=postgresql.dialect()))


REFUSED: dict[str, Any] = {
    "division": price / 2,
    "division by a Decimal": 5 / price,
    "floor division": price // 2,
    "modulo": price % 2,
    "a float column": price * Item.ratio,
    "a plain Numeric": price + Item.plain,
    "comparison with a float column": price > Item.ratio,
    "comparison with a plain Numeric": price == Item.plain,
    "comparison with text": price == Item.name,
    "comparison with an unknown function": price == f.foo(),
    "comparison with text of SQL": price == sa.literal_column("5"),
    "too many places": fine * fine * fine * fine * fine,
    "wide sum": wide + 1,
    "wide product": wide * 2,
    "sum of wide": f.sum(wide),
    "wide beside scaled": wide == price,
    "avg": f.avg(price),
    "round": f.round(price, 1),
    "total": f.total(price),
    "unknown function": f.foo(price),
    "unknown function deep inside": f.coalesce(f.foo(price), 0),
    "abs without a type": f.abs(price),
    "nullif without a type": f.nullif(price, 0),
    "lag without a type": f.lag(price).over(order_by=Item.id),
    "group_concat": f.group_concat(price),
    "json": f.json_object("price", price),
    "max of two": f.max(price, 5),
    "coalesce that begins with an integer": f.coalesce(Item.count, price),
    "coalesce that begins coarser": f.coalesce(price, fine),
    "coalesce with a float": f.coalesce(price, Item.ratio),
    "case that ends with an integer": sa.case((Item.flag, price), (Item.count > 1, 0)),
    "case with a float": sa.case((Item.flag, Item.ratio), else_=price),
    "cast to float": sa.cast(price, sa.Float()),
    "cast to text": sa.cast(price, ls.Text()),
    "cast to integer": sa.cast(price, ls.BigInteger()),
    "cast to fewer places": sa.cast(fine, ls.Money()),
    "cast from text": sa.cast(Item.name, ls.Money()),
    "cast from float": sa.cast(Item.ratio, ls.Money()),
    "cast to wide": sa.cast(price, ls.Decimal(30, 2)),
    "custom operator": price.op("||")("x"),
    "bitwise": price.bitwise_and(1),
    "between floats": price.between(Item.ratio, 5),
    "in a subquery of another scale": price.in_(sa.select(fine)),
    "in columns": price.in_([fine, price]),
    "row values of another scale": sa.tuple_(price) == sa.tuple_(fine),
    "sum of a case of integers": f.sum(sa.case((Item.flag, price), else_=Item.ratio)),
    "moment and func.now": Item.at > f.now(),
    "moment minus moment": Item.at - Item.at,
    "moment plus interval": Item.at + dt.timedelta(days=1),
    "day minus day": Item.day - Item.day,
    "moment and day": Item.at > Item.day,
    "text and number": Item.name == Item.count,
    "between texts": Item.count.between(Item.name, 5),
    "in a list of columns": Item.count.in_([Item.name]),
    "quotient of integers": Item.count / 2,
    "order of booleans": Item.flag < sa.literal(True, ls.Boolean()),
    "max of booleans": f.max(Item.flag),
    "sum of booleans": f.sum(Item.flag),
    "average of integers": f.avg(Item.count),
    "first_value without a type": f.first_value(Item.at).over(order_by=Item.id),
    "like with an escape and a column": Item.name.like(Item.name, escape="/"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_an_expression_is_refused_on_sqlite_only(name: str) -> None:
    for statement in (
        sa.select(REFUSED[name]),
        sa.select(Item.id).order_by(REFUSED[name]),
        sa.select(sa.literal(1)).where(sa.literal(1).in_(sa.select(REFUSED[name]))),
    ):
        with pytest.raises(NotPortable) as caught:
            on_sqlite(statement)
        assert caught.value.hint
    assert on_postgresql(sa.select(REFUSED[name]))


STATEMENTS: dict[str, Any] = {
    "update of another scale": sa.update(Item).values(price=fine),
    "update with an integer": sa.update(Item).values(price=Item.count),
    "update with an integer by column": sa.update(Item).values({price: Item.count}),
    "update in order": sa.update(Item).ordered_values((price, Item.count)),
    "update of another column": sa.update(Item).values(count=price),
    "update of text": sa.update(Item).values(name=price),
    "update with the clock": sa.update(Item).values(at=f.now()),
    "insert of an expression": sa.insert(Item).values(price=sa.literal_column("5")),
    "insert of rows": sa.insert(Item).values([{"price": 1}, {"price": f.foo()}]),
    "insert from select": sa.insert(Item).from_select(["price"], sa.select(Item.count)),
    "upsert": sqlite.insert(Item)
    .values(price=1)
    .on_conflict_do_update(index_elements=["id"], set_={"price": Item.count}),
    "union": sa.union(sa.select(price), sa.select(fine)),
    "union with an integer first": sa.union_all(
        sa.select(Item.count), sa.select(price)
    ),
    "union of a moment and the clock": sa.union(sa.select(Item.at), sa.select(f.now())),
    "union in a subquery": sa.select(
        sa.union(sa.select(price), sa.select(fine)).subquery()
    ),
}


@pytest.mark.parametrize("name", list(STATEMENTS))
def test_a_statement_is_refused_on_sqlite(name: str) -> None:
    with pytest.raises(NotPortable):
        on_sqlite(STATEMENTS[name])


ALLOWED: dict[str, Any] = {
    "update by itself": sa.update(Item).values(price=price * 2, at=ls.utc_now()),
    "update to a null": sa.update(Item).values(price=sa.null()),
    "update to a cast": sa.update(Item).values(fine=sa.cast(price, ls.Decimal(12, 4))),
    "update by a subquery": sa.update(Item).values(
        price=sa.select(f.max(price)).scalar_subquery()
    ),
    "upsert": sqlite.insert(Item)
    .values(price=1)
    .on_conflict_do_update(
        index_elements=["id"], set_={"price": sqlite.insert(Item).excluded.price}
    ),
    "insert from select": sa.insert(Item).from_select(["price"], sa.select(price + 1)),
    "counts": sa.select(f.count(price), f.count(sa.distinct(price)), f.count()),
    "numbering": sa.select(f.row_number().over(order_by=price)),
    "grouping": sa.select(price).group_by(price).having(f.sum(price) > 5),
    "raw units": sa.select(sa.type_coerce(price, sa.Integer())),
    "wide": sa.select(f.min(wide), f.max(wide)).where(
        wide > 5, wide.in_([1, D("2.5")])
    ),
    "wide case": sa.select(sa.case((wide > 1, wide), else_=0)),
    "join": sa.select(Item).join(aliased(Item, name="other"), sa.text("1 = 1")),
    "json": sa.select(aliased(Item).data["a"]["b"].as_string()),
    "plain parts": sa.select(
        Item.plain * 2, sa.literal("a").like("b"), sa.literal(1) / 2
    ),
}


@pytest.mark.parametrize("name", list(ALLOWED))
def test_a_statement_is_allowed_on_sqlite(name: str) -> None:
    assert on_sqlite(ALLOWED[name])


def test_like_of_a_number_is_refused() -> None:
    with pytest.raises(NotPortable, match="LIKE"):
        on_sqlite(sa.select(Item.name.like(Item.count)))


def test_operators_without_a_common_meaning_are_refused_when_built() -> None:
    for build in (
        lambda: Item.data < {"a": 1},
        lambda: Item.data + 1,
        lambda: Item.data.contains({"a": 1}),
        lambda: Item.data["a"] > 5,
        lambda: Item.data["a"].between(1, 2),
        lambda: Item.tags > ["a"],
        lambda: Item.tags.like("b"),
    ):
        with pytest.raises(NotPortable, match="not the same"):
            build()
    for step in (True, 1.5, None, "\x00"):
        with pytest.raises(TypeError, match="JSON"):
            Item.data[step]


def test_a_path_is_text_of_the_statement_and_of_its_cache_key() -> None:
    first = sa.select(Item.data["a"].as_string())
    second = sa.select(Item.data["b"].as_string())
    third = sa.select(Item.data["a"].as_integer())
    keys = {statement._generate_cache_key().key for statement in (first, second, third)}
    assert len(keys) == 3
    again = sa.select(Item.data["a"].as_string())
    assert again._generate_cache_key().key in keys
    hostile = sa.select(Item.data["'; DROP TABLE item; --%s"].as_string())
    assert "'$.\"''; DROP TABLE item; --%s\"'" in on_sqlite(hostile)
    assert "'''; DROP TABLE item; --%%s'" in on_postgresql(hostile)


def test_only_what_may_be_null_is_told_where_its_nulls_stand() -> None:
    assert "NULLS" not in on_sqlite(
        sa.select(Item.id).order_by(Item.name, Item.id.desc())
    )
    assert "NULLS" not in on_postgresql(sa.select(Item.id).order_by(Item.note))
    assert "NULLS" not in on_sqlite(sa.select(Item.id).order_by(Item.plain_note))
    ordered = on_sqlite(sa.select(Item.id).order_by(Item.note, Item.note.desc()))
    assert ordered.endswith("item.note NULLS LAST, item.note DESC NULLS FIRST")


def test_text_is_in_byte_order_on_postgresql() -> None:
    ddl = str(
        sa.schema.CreateTable(Item.__table__).compile(dialect=postgresql.dialect())
    )
    assert 'name TEXT COLLATE "C" NOT NULL' in ddl
    by_path = on_postgresql(sa.select(Item.data["a"].as_string()))
    assert 'COLLATE "C"' in by_path
