"""The portability check: everything it must find, and silence where all is well."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator, UserDefinedType

import lockstep as ls
from lockstep.schema import check_portability, portable_metadata


def codes(*items: Any, **options: Any) -> set[str]:
    """Return what is found in a table of these items, beside a plain key."""
    metadata = portable_metadata()
    key = sa.Column("id", ls.Uuid(), primary_key=True)
    sa.Table("thing", metadata, key, *items, **options)
    return {finding.code for finding in check_portability(metadata)}


def of_type(kind: Any, **arguments: Any) -> set[str]:
    return codes(sa.Column("value", kind, **arguments))


class Custom(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "MONEYBAG"


class Zoned(TypeDecorator[dt.datetime]):
    impl = sa.DateTime
    cache_ok = True


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (sa.DateTime(), {"naive-datetime"}),
        (sa.DateTime(timezone=True), {"zoned-datetime"}),
        (Zoned(), {"naive-datetime"}),
        (sa.Time(timezone=True), {"zoned-time"}),
        (sa.Numeric(10, 2), {"numeric"}),
        (sa.DECIMAL(10, 2), {"numeric"}),
        (sa.Integer(), {"integer-32"}),
        (sa.SmallInteger(), {"integer-32"}),
        (sa.REAL(), {"real"}),
        (sa.Float(24), {"real"}),
        (sa.Interval(), {"interval"}),
        (sa.JSON(), {"plain-json"}),
        (sa.Enum("a", "b", name="e"), {"enum-without-check"}),
        (sa.Enum("a", native_enum=False), {"enum-without-check"}),
        (sa.Boolean(), {"boolean-without-check"}),
        (sa.Text(), {"collation"}),
        (sa.String(50), {"collation", "string-length"}),
        (sa.Text(collation="NOCASE"), {"collation"}),
        (ls.Text(collation="de-x-icu"), {"collation"}),
        (postgresql.JSONB(), {"engine-type"}),
        (postgresql.INET(), {"engine-type"}),
        (postgresql.ARRAY(sa.Text()), {"engine-type"}),
        (sa.ARRAY(sa.Text()), {"engine-type"}),
        (sqlite.DATETIME(), {"engine-type"}),
        (Custom(), {"custom-type"}),
        (sa.BigInteger(), set()),
        (sa.Double(), set()),
        (sa.Float(), set()),
        (sa.Float(53), set()),
        (sa.Date(), set()),
        (sa.Time(), set()),
        (sa.LargeBinary(), set()),
        (sa.Uuid(), set()),
        (sa.PickleType(), set()),
        (sa.Enum("a", native_enum=False, create_constraint=True, name="e"), set()),
    ],
    ids=lambda value: repr(sorted(value)) if isinstance(value, set) else repr(value),
)
def test_types(kind: Any, expected: set[str]) -> None:
    assert of_type(kind) == expected


@pytest.mark.parametrize(
    ("kind", "default", "expected"),
    [
        (ls.UtcDateTime(), sa.func.now(), {"clock"}),
        (ls.UtcDateTime(), sa.text("CURRENT_TIMESTAMP"), {"clock"}),
        (ls.UtcDateTime(), sa.text("(datetime('now'))"), {"clock"}),
        (ls.Boolean(), sa.text("0"), {"server-default"}),
        (ls.Boolean(), sa.text("'0'"), {"server-default"}),
        (ls.Uuid(), sa.text("gen_random_uuid()"), {"server-default"}),
        (ls.Uuid(), sa.func.gen_random_uuid(), {"server-default"}),
        (ls.Json(), sa.text("'{}'::jsonb"), {"server-default"}),
        (ls.Money(), sa.text("12.50"), {"server-default"}),
        (ls.Text(), sa.text("0"), {"server-default"}),
        (ls.BigInteger(), sa.text("nextval('s')"), {"server-default"}),
        (ls.Boolean(), sa.text("false"), set()),
        (ls.Boolean(), sa.false(), set()),
        (ls.Boolean(), "true", set()),
        (ls.Money(), "12.50", set()),
        (ls.Money(), sa.text("0"), set()),
        (ls.BigInteger(), sa.text("7"), set()),
        (ls.Text(), sa.text("'it''s'"), set()),
        (ls.UtcDateTime(), ls.utc_now(), set()),
        (ls.Text(), sa.text("NULL"), set()),
        (ls.Text(), sa.null(), set()),
    ],
    ids=str,
)
def test_server_defaults(kind: Any, default: Any, expected: set[str]) -> None:
    assert of_type(kind, server_default=default) == expected


def test_what_the_application_takes_from_the_database() -> None:
    assert of_type(ls.UtcDateTime(), default=sa.func.now()) == {"clock"}
    assert of_type(ls.UtcDateTime(), onupdate=sa.func.now()) == {"clock"}
    assert of_type(ls.Uuid(), default=sa.func.gen_random_uuid()) == {"default-function"}
    assert of_type(ls.Uuid(), default=ls.uuid7) == set()
    assert of_type(ls.UtcDateTime(), default=ls.utc_now()) == set()


def test_numbering() -> None:
    assert of_type(ls.BigInteger(), default=sa.Sequence("s")) == {"sequence"}
    metadata = portable_metadata()
    number = sa.Column("n", ls.BigInteger(), sa.Identity(start=5), primary_key=True)
    sa.Table("a", metadata, number)
    plain = sa.Column("n", ls.BigInteger(), sa.Identity(), primary_key=True)
    sa.Table("b", metadata, plain)
    sa.Table("c", metadata, sa.Column("n", ls.BigInteger(), primary_key=True))
    parts = [
        sa.Column("n", ls.BigInteger(), primary_key=True, autoincrement=True),
        sa.Column("m", ls.BigInteger(), primary_key=True),
    ]
    sa.Table("d", metadata, *parts)
    found = {(f.where, f.code) for f in check_portability(metadata)}
    assert found == {("a.n", "identity-options"), ("d.n", "composite-autoincrement")}


def test_computed_columns() -> None:
    price = sa.Column("price", ls.Money())
    gross = sa.Column("gross", ls.Money(), sa.Computed("price * 2"))
    assert codes(price, gross) == {"computed"}


def name() -> sa.Column[Any]:
    return sa.Column("name", ls.Text())


def test_indexes() -> None:
    column = name()
    assert codes(column, sa.Index(None, sa.func.lower(column))) == {"expression-index"}
    column = name()
    assert codes(column, sa.Index("d", column.desc())) == set()
    assert codes(name(), sa.Index("thing_name_unique", "name")) == {"not-unique"}
    assert codes(name(), sa.Index("unq_name", "name")) == {"not-unique"}
    assert codes(name(), sa.Index("thing_uniques", "name")) == set()
    assert codes(name(), sa.Index("unique_name", "name", unique=True)) == set()
    where = sa.text("name IS NOT NULL")
    one = sa.Index("i", "name", postgresql_where=where)
    assert codes(name(), one) == {"partial-index"}
    both = sa.Index("i", "name", postgresql_where=where, sqlite_where=where)
    assert codes(name(), both) == set()
    gin = sa.Index("i", "name", postgresql_using="gin")
    assert codes(name(), gin) == {"engine-option"}
    nulls = sa.Index("i", "name", unique=True, postgresql_nulls_not_distinct=True)
    assert codes(name(), nulls) == {"nulls-not-distinct"}


def test_constraints() -> None:
    nulls = sa.UniqueConstraint("name", postgresql_nulls_not_distinct=True)
    assert codes(name(), nulls) == {"nulls-not-distinct"}
    late = sa.UniqueConstraint("name", deferrable=True, initially="DEFERRED")
    assert codes(name(), late) == {"deferrable"}
    replacing = sa.UniqueConstraint("name", sqlite_on_conflict="REPLACE")
    assert codes(name(), replacing) == {"engine-option"}
    exclusion = postgresql.ExcludeConstraint(("name", "="), name="x")
    assert "engine-constraint" in codes(name(), exclusion)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name ~ '^a'", {"check-expression"}),
        ("name::text <> ''", {"check-expression"}),
        ("json_valid(name)", {"check-expression"}),
        ("name LIKE 'A%'", {"check-like"}),
        ("price <= 100.50", {"decimal-in-text"}),
        ("price > 5", {"decimal-in-text"}),
        ("price >= 0", set()),
        ("price >= 0.0", set()),
        ("length(name) > 3", set()),
        ("name <> 'a ~ b :: LIKE now()'", set()),
        ("pricey > 5", set()),
    ],
)
def test_conditions(condition: str, expected: set[str]) -> None:
    columns = name(), sa.Column("price", ls.Money()), sa.Column("pricey", ls.Float())
    check = sa.CheckConstraint(condition.replace(":", r"\:"), name="c")
    assert codes(*columns, check) == expected


def test_conditions_over_columns_are_portable() -> None:
    price, text = sa.Column("price", ls.Money()), name()
    low = sa.CheckConstraint(price <= decimal.Decimal("100.5"))
    assert codes(price, text, low, sa.CheckConstraint(text.like("A%"))) == set()


def test_foreign_keys() -> None:
    metadata = portable_metadata()
    sa.Table("target", metadata, sa.Column("id", ls.Uuid(), primary_key=True))
    wrong = sa.Column("target_id", ls.Text(), sa.ForeignKey("target.id"))
    match = sa.ForeignKeyConstraint(["other_id"], ["target.id"], match="FULL")
    sa.Table("source", metadata, wrong, sa.Column("other_id", ls.Uuid()), match)
    lost = sa.Column("lost_id", ls.Uuid(), sa.ForeignKey("nowhere.id"))
    sa.Table("lost", metadata, lost)
    found = {f.code for f in check_portability(metadata)}
    assert found == {"foreign-key-type", "foreign-key-match"}


def test_tables() -> None:
    assert codes(schema="other") == {"schema"}
    assert codes(sqlite_strict=False) == {"not-strict"}
    assert codes(sqlite_with_rowid=False) == set()
    assert codes(postgresql_partition_by="LIST (id)") == {"engine-option"}
    plain = sa.MetaData()
    sa.Table("thing", plain, sa.Column("id", ls.Uuid(), primary_key=True))
    assert {f.code for f in check_portability(plain)} == {"not-strict", "unnamed"}


def test_names() -> None:
    long = "x" * 63
    assert codes(sa.Column(long + "y", ls.Text())) == {"name-too-long"}
    both = sa.Column(long + "y", ls.Text()), sa.Column(long + "z", ls.Text())
    assert codes(*both) == {"name-too-long", "names-cut-alike"}
    assert codes(sa.Column("é" * 32, ls.Text())) == {"name-too-long"}
    assert codes(sa.Column("é" * 31, ls.Text())) == set()
    assert codes(name(), sa.Column("Name", ls.Text())) == {"names-alike"}
    assert codes(sa.Column("ctid", ls.Text())) == {"reserved-name"}
    metadata = portable_metadata()
    for table in ("part", "Part", "sqlite_part"):
        sa.Table(table, metadata, sa.Column("id", ls.Uuid(), primary_key=True))
    found = {f.code for f in check_portability(metadata)}
    assert found == {"names-alike", "name-taken", "reserved-name"}


def test_an_index_called_as_another_is_found() -> None:
    metadata = portable_metadata()
    for table in ("a", "b"):
        key = sa.Column("id", ls.Uuid(), primary_key=True)
        sa.Table(table, metadata, key, name(), sa.Index("by_name", "name"))
    (finding,) = check_portability(metadata)
    assert (finding.code, finding.where) == ("name-taken", "a: by_name")


class Colour(enum.Enum):
    RED = "red"


class Base(ls.Portable, DeclarativeBase):
    pass


class Owner(ls.UuidKey, ls.Versioned, ls.Timestamped, ls.Audited, ls.SoftDelete, Base):
    __tablename__ = "owner"

    name: Mapped[str] = mapped_column(ls.Text(80), unique=True)
    size: Mapped[int] = mapped_column(index=True)
    flag: Mapped[bool] = mapped_column(default=False, server_default="false")
    price: Mapped[decimal.Decimal] = mapped_column(ls.Money(), server_default="0.50")
    wide: Mapped[decimal.Decimal] = mapped_column(ls.Decimal(40, 10))
    colour: Mapped[Colour] = mapped_column(ls.Enum(Colour))
    data: Mapped[dict[str, Any]]
    tags: Mapped[list[str]]
    blob: Mapped[bytes | None]
    ratio: Mapped[float]
    day: Mapped[dt.date]
    parent_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("owner.id"))
    parent: Mapped[Owner | None] = relationship(remote_side="Owner.id")


class Thing(Base):
    __tablename__ = "thing"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("owner.id", ondelete="CASCADE", deferrable=True)
    )
    count: Mapped[int] = mapped_column(sa.CheckConstraint("count >= 0"))
    __table_args__ = (
        sa.UniqueConstraint("owner_id", "count"),
        sa.CheckConstraint("count < 1000", name="small"),
    )


class Entry(ls.AuditTrail, Base):
    pass


def test_models_of_portable_parts_are_silent() -> None:
    assert check_portability(Base.metadata) == []


def test_every_finding_says_why_and_what_to_do() -> None:
    metadata = sa.MetaData()
    sa.Table("t", metadata, sa.Column("a", sa.String(5), server_default=sa.func.now()))
    found = check_portability(metadata)
    assert len(found) > 3
    for finding in found:
        assert finding.reason.endswith(".")
        assert finding.fix.endswith(".")
        assert finding.where.startswith("t")
        assert finding.code in str(finding)


def test_every_code_stands_in_the_reference() -> None:
    root = Path(__file__).parents[3]
    sources = (root / "src/lockstep/schema/portability").glob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    written = set(re.findall(r'(?:Finding|_Verdict)\(\s*"([a-z0-9-]+)"', text))
    assert len(written) > 30
    page = (root / "docs/reference/types.md").read_text(encoding="utf-8")
    table = page.split("## The portability check")[1].split("## API")[0]
    documented = set(re.findall(r"`([a-z]+(?:-[a-z0-9]+)*)`", table))
    assert documented == written
