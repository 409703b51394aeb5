"""What is created: STRICT tables, named CHECKs, defaults, plain and SQLModel models."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, registry
from sqlalchemy.types import TypeDecorator, UserDefinedType

import lockstep as ls
from lockstep.schema import portable_metadata


class Grade(enum.Enum):
    A = 1
    B = 2


class Coordinates(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "VARCHAR(40)"


class Shouted(TypeDecorator[str]):
    impl = sa.String(30)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value.upper()


PLAIN: dict[str, tuple[Any, Any]] = {
    "string": (sa.String(50), "x"),
    "text": (sa.Text(), "x"),
    "unicode": (sa.Unicode(9), "é"),
    "varchar": (sa.VARCHAR(9), "x"),
    "char": (sa.CHAR(1), "x"),
    "numeric": (sa.Numeric(10, 2), decimal.Decimal("1.50")),
    "integer": (sa.Integer(), 7),
    "small": (sa.SmallInteger(), 7),
    "big": (sa.BigInteger(), 2**40),
    "float_": (sa.Float(), 1.5),
    "double": (sa.Double(), 1.5),
    "real": (sa.REAL(), 1.5),
    "boolean": (sa.Boolean(), True),
    "date": (sa.Date(), dt.date(2026, 1, 2)),
    "time": (sa.Time(), dt.time(1, 2, 3)),
    "datetime": (sa.DateTime(), dt.datetime(2026, 1, 2, 3, 4)),  # noqa: DTZ001
    "interval": (sa.Interval(), dt.timedelta(hours=1)),
    "json": (sa.JSON(), {"a": [1, None]}),
    "binary": (sa.LargeBinary(), b"x"),
    "pickle": (sa.PickleType(), {"a"}),
    "uuid_": (sa.Uuid(), uuid.UUID(int=5)),
    "enum_": (sa.Enum(Grade), Grade.B),
    "custom": (Coordinates(), "1,2"),
    "decorated": (Shouted(), "LOUD"),
    "variant": (sa.String(9).with_variant(sa.Text(), "sqlite"), "x"),
}


def test_plain_types_live_in_strict_tables(db: ls.Database) -> None:
    metadata = portable_metadata()
    table = sa.Table(
        "plain",
        metadata,
        sa.Column("id", sa.Integer(), primary_key=True),
        *(sa.Column(name, kind) for name, (kind, _) in PLAIN.items()),
    )
    metadata.create_all(db.engine)
    row = {name: value for name, (_, value) in PLAIN.items()}
    with db.engine.begin() as connection:
        connection.execute(sa.insert(table).values(**row))
        connection.execute(sa.insert(table).values(id=2))
        first, second = connection.execute(sa.select(table).order_by(table.c.id)).all()
        assert dict(first._mapping) == {"id": 1, **row}
        assert set(second[1:]) == {None}
        if db.dialect_name == "sqlite":
            sql = "SELECT sql FROM sqlite_master WHERE name = 'plain'"
            assert "STRICT" in connection.exec_driver_sql(sql).scalar_one()


@pytest.mark.engines("sqlite")
def test_a_table_can_be_left_unstrict(db: ls.Database) -> None:
    metadata = portable_metadata()
    sa.Table("loose", metadata, sa.Column("a", sa.String(5)), sqlite_strict=False)
    sa.Table(
        "bare",
        metadata,
        sa.Column("a", ls.Text(), primary_key=True),
        sqlite_with_rowid=False,
    )
    metadata.create_all(db.engine)
    with db.engine.connect() as connection:
        sql = "SELECT sql FROM sqlite_master WHERE name = 'loose'"
        loose = connection.exec_driver_sql(sql).scalar_one()
        assert "VARCHAR(5)" in loose
        assert "STRICT" not in loose
        sql = "SELECT sql FROM sqlite_master WHERE name = 'bare'"
        bare = connection.exec_driver_sql(sql).scalar_one()
        assert "WITHOUT ROWID" in bare
        assert "STRICT" in bare


class Base(ls.Portable, DeclarativeBase):
    pass


class Everything(Base):
    """Annotations alone, and a server default on each column."""

    __tablename__ = "everything"

    id: Mapped[int] = mapped_column(primary_key=True)
    flag: Mapped[bool] = mapped_column(server_default="true")
    price: Mapped[decimal.Decimal] = mapped_column(ls.Money(), server_default="12.50")
    wide: Mapped[decimal.Decimal] = mapped_column(
        ls.Decimal(30, 3), server_default="-0.125"
    )
    ratio: Mapped[float] = mapped_column(server_default="0.1")
    name: Mapped[str] = mapped_column(server_default="it's 100%")
    data: Mapped[dict[str, Any]] = mapped_column(server_default='{"b": 1.0, "a": []}')
    tags: Mapped[list[str]] = mapped_column(server_default='["x", "yz"]')
    at: Mapped[dt.datetime] = mapped_column(server_default="2026-01-01T02:00:00+02:00")
    day: Mapped[dt.date] = mapped_column(server_default="2026-01-01")
    key: Mapped[uuid.UUID] = mapped_column(server_default="0" * 31 + "5")
    level: Mapped[str] = mapped_column(ls.Enum("low", "high"), server_default="high")
    note: Mapped[str | None] = mapped_column(server_default=sa.text("NULL"))
    stamp: Mapped[dt.datetime] = mapped_column(server_default=ls.utc_now())


def test_a_server_default_is_the_values_text(db: ls.Database) -> None:
    Base.metadata.create_all(db.engine)
    with db.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO everything (id) VALUES (1)")
    with Session(db.engine) as session:
        row = session.get_one(Everything, 1)
        assert row.flag is True
        assert row.price == decimal.Decimal("12.50")
        assert row.wide == decimal.Decimal("-0.125")
        assert row.ratio == 0.1
        assert row.name == "it's 100%"
        assert row.data == {"a": [], "b": 1.0}
        assert row.tags == ["x", "yz"]
        assert row.at == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        assert row.day == dt.date(2026, 1, 1)
        assert row.key == uuid.UUID(int=5)
        assert row.level == "high"
        assert row.note is None
        assert row.stamp.tzinfo is dt.UTC


def test_the_database_refuses_what_the_type_would(db: ls.Database) -> None:
    metadata = portable_metadata()
    table = sa.Table(
        'Checked "it"',
        metadata,
        sa.Column("id", ls.BigInteger(), primary_key=True),
        sa.Column("level", ls.Enum("low", "it's 100%")),
        sa.Column("Text", ls.Text(3)),
        sa.Column("order", ls.Boolean()),
        sa.Column("json data", ls.Json()),
        sa.Column("tags", ls.Array(ls.Text())),
    )
    metadata.create_all(db.engine)
    name = db.engine.dialect.identifier_preparer.format_table(table)
    bad = {"level": "'no'", '"Text"': "'long'"}
    if db.dialect_name == "sqlite":
        bad |= {'"order"': "2", '"json data"': "'{'", "tags": "'{}'"}
    percent = "%%" if db.dialect_name == "postgresql" else "%"
    with db.engine.connect() as connection:
        for column, value in bad.items():
            with pytest.raises(sa.exc.DBAPIError):
                connection.exec_driver_sql(
                    f"INSERT INTO {name} (id, {column}) VALUES (1, {value})"
                )
            connection.rollback()
        good = f"INSERT INTO {name} (id, level) VALUES (1, 'it''s 100{percent}')"
        connection.exec_driver_sql(good)
        connection.exec_driver_sql(f"INSERT INTO {name} (id) VALUES (2)")
    names = {
        check["name"]
        for check in sa.inspect(db.engine).get_check_constraints(table.name)
    }
    assert 'ck_Checked "it"_level_values' in names or db.dialect_name == "sqlite"


@pytest.mark.engines("sqlite")
def test_a_foreign_value_in_the_file_is_named_when_read(db: ls.Database) -> None:
    metadata = portable_metadata()
    table = sa.Table(
        "thing",
        metadata,
        sa.Column("level", ls.Enum("low", "high")),
        sa.Column("at", ls.UtcDateTime()),
        sa.Column("key", ls.Uuid()),
        sa.Column("day", ls.Date()),
        sa.Column("wide", ls.Decimal(30, 2)),
    )
    metadata.create_all(db.engine)
    with db.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.exec_driver_sql(
            "INSERT INTO thing VALUES ('odd', '2026-01-01 00:00:00', 'x', '1.1.', '9')"
        )
    with db.engine.connect() as connection:
        for column in table.c:
            with pytest.raises(ls.errors.InvalidValue, match="does not fit"):
                connection.scalars(sa.select(column)).all()


def test_alembics_plain_operations_carry_the_checks(db: ls.Database) -> None:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with db.engine.begin() as connection:
        op = Operations(MigrationContext.configure(connection))
        op.create_table(
            "part",
            sa.Column("id", ls.Uuid(), nullable=False),
            sa.Column("level", ls.Enum("low", "high"), nullable=False),
            sa.PrimaryKeyConstraint("id", name="pk_part"),
            sqlite_strict=True,
        )
        op.add_column("part", sa.Column("data", ls.Json()))
        op.add_column("part", sa.Column("size", ls.Text(3), server_default="xl"))
        op.add_column(
            "part", sa.Column("cost", ls.Money(), server_default="2.5", nullable=False)
        )
        key = uuid.uuid4()
        connection.exec_driver_sql(
            f"INSERT INTO part (id, level) VALUES ('{key}', 'low')"
        )
        part = sa.table("part", sa.column("cost", ls.Money()), sa.column("size"))
        assert connection.execute(sa.select(part.c.cost, part.c.size)).one() == (
            decimal.Decimal("2.50"),
            "xl",
        )
    checks = sa.inspect(db.engine).get_check_constraints("part")
    names = {check["name"] for check in checks}
    expected = {"ck_part_level_values"}
    if db.dialect_name == "sqlite":
        expected |= {"ck_part_data_json", "ck_part_size_length"}
    assert names == expected


def test_a_copied_table_keeps_one_check_per_column(db: ls.Database) -> None:
    metadata, other = portable_metadata(), portable_metadata()
    table = sa.Table(
        "thing",
        metadata,
        sa.Column("id", ls.BigInteger(), primary_key=True),
        sa.Column("level", ls.Enum("low", "high"), server_default="low"),
    )
    copy = table.to_metadata(other, name="second")
    for name, origin in (("thing", table), ("second", copy)):
        origin.create(db.engine)
        checks = sa.inspect(db.engine).get_check_constraints(name)
        assert [check["name"] for check in checks] == [f"ck_{name}_level_values"]
        assert origin.dialect_options["sqlite"]["strict"]
        origin.drop(db.engine)


def test_sqlmodel_models_use_portable_types(db: ls.Database) -> None:
    from sqlmodel import Field, SQLModel

    class Own(SQLModel, registry=registry()):
        metadata = portable_metadata()

    class Hero(Own, table=True):
        id: uuid.UUID = Field(
            default_factory=ls.uuid7, primary_key=True, sa_type=ls.Uuid
        )
        name: str
        wealth: decimal.Decimal = Field(sa_type=ls.Money)
        powers: list[str] = Field(sa_column=sa.Column(ls.Array(ls.Text)))
        data: dict[str, Any] = Field(default_factory=dict, sa_type=ls.Json)
        born: dt.datetime = Field(sa_type=ls.UtcDateTime)

    Own.metadata.create_all(db.engine)
    born = dt.datetime(1999, 1, 1, tzinfo=dt.UTC)
    with Session(db.engine) as session:
        hero = Hero(
            name="x",
            wealth=decimal.Decimal("1.5"),
            powers=["fly"],
            data={"a": 1},
            born=born,
        )
        session.add(hero)
        session.commit()
        session.expire_all()
        assert (hero.wealth, hero.powers, hero.born) == (
            decimal.Decimal("1.50"),
            ["fly"],
            born,
        )
        found = session.scalars(
            sa.select(Hero).where(Hero.powers.contains("fly"))
        ).one()  # type: ignore[attr-defined]
        assert found.data == {"a": 1}


def test_foreign_keys_cycles_and_long_names_are_created(db: ls.Database) -> None:
    class Own(ls.Portable, DeclarativeBase):
        pass

    class Tree(ls.UuidKey, Own):
        __tablename__ = "tree_" + "ü" * 25
        parent_id: Mapped[uuid.UUID | None] = mapped_column(
            sa.ForeignKey(f"tree_{'ü' * 25}.id", ondelete="CASCADE"), index=True
        )
        extraordinarily_long_column_name_that_goes_on_and_on: Mapped[int] = (
            mapped_column(unique=True, index=True)
        )
        __table_args__ = (sa.CheckConstraint("parent_id <> id"),)

    class User(ls.UuidKey, Own):
        __tablename__ = "user"
        board_id: Mapped[uuid.UUID | None] = mapped_column(
            sa.ForeignKey("board.id", use_alter=True)
        )

    class Board(ls.UuidKey, Own):
        __tablename__ = "board"
        owner_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("user.id"))

    Own.metadata.create_all(db.engine)
    inspector = sa.inspect(db.engine)
    for table in Own.metadata.tables.values():
        wanted = {c.name for c in table.constraints if c.name} | {
            index.name for index in table.indexes
        }
        found = {
            inspector.get_pk_constraint(table.name)["name"],
            *(item["name"] for item in inspector.get_foreign_keys(table.name)),
            *(item["name"] for item in inspector.get_indexes(table.name)),
            *(item["name"] for item in inspector.get_check_constraints(table.name)),
            *(item["name"] for item in inspector.get_unique_constraints(table.name)),
        }
        assert wanted <= found
        assert all(len(str(name).encode()) <= 63 for name in wanted)
