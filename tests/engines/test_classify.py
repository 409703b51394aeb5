"""The same mistake is the same error on every engine."""

from __future__ import annotations

import gc
import pickle
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from lockstep.engine import Database, classify
from lockstep.errors import (
    CheckFailed,
    DataError,
    Duplicate,
    EngineError,
    ForeignKeyMissing,
    InvalidStatement,
    InvalidValue,
    LockstepError,
    NotFound,
    NotLoaded,
    StaleVersion,
)


class Refusing(TypeDecorator[str]):
    """A column type that raises our own error while it binds a value."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        if value == "ours":
            raise InvalidValue("refused by the type", detail={"mine": True})
        if value == "theirs":
            raise ValueError("refused")
        return value


class Base(DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelf"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(
        sa.String(20), sa.CheckConstraint("code <> ''", name="ck_shelf_code")
    )
    note: Mapped[str | None] = mapped_column(Refusing)
    version: Mapped[int] = mapped_column(default=1)
    boxes: Mapped[list[Box]] = relationship(lazy="raise")
    __mapper_args__ = {"version_id_col": version}
    __table_args__ = (sa.UniqueConstraint("code", name="uq_shelf_code"),)


class Box(Base):
    __tablename__ = "box"
    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(
        sa.ForeignKey("shelf.id", name="fk_box_shelf")
    )
    shelf: Mapped[Shelf] = relationship(viewonly=True)


@pytest.fixture(autouse=True)
def tables(db: Database) -> None:
    Base.metadata.create_all(db.engine)
    with db.write_session() as session:
        session.add(Shelf(id=1, code="A"))
        session.flush()
        session.add(Box(id=1, shelf_id=1))


def failing(db: Database, statement: str, **values: Any) -> LockstepError:
    with pytest.raises(LockstepError) as caught, db.write_session() as session:
        session.execute(sa.text(statement), values)
    assert pickle.loads(pickle.dumps(caught.value)).detail == caught.value.detail
    return caught.value


STATEMENTS: list[tuple[str, type[LockstepError]]] = [
    ("INSERT INTO shelf (id, code, version) VALUES (1, 'B', 1)", Duplicate),
    ("INSERT INTO shelf (id, code, version) VALUES (2, 'A', 1)", Duplicate),
    ("INSERT INTO shelf (id, code, version) VALUES (2, '', 1)", CheckFailed),
    ("INSERT INTO shelf (id, version) VALUES (2, 1)", CheckFailed),
    ("INSERT INTO box VALUES (2, 99)", ForeignKeyMissing),
    ("DELETE FROM shelf", ForeignKeyMissing),
    ("SELECT * FROM missing", InvalidStatement),
    ("SELECT missing FROM shelf", InvalidStatement),
    ("SELEC 1", InvalidStatement),
    ("SELECT missing_function()", InvalidStatement),
    ("CREATE TABLE shelf (x INTEGER)", InvalidStatement),
]


@pytest.mark.parametrize(("statement", "kind"), STATEMENTS)
def test_a_statement_s_failure(
    db: Database, statement: str, kind: type[LockstepError]
) -> None:
    error = failing(db, statement)
    assert type(error) is kind
    assert not error.retryable


def test_a_unique_constraint_is_told_by_name_or_column(db: Database) -> None:
    statement = "INSERT INTO shelf (id, code, version) VALUES (2, 'A', 1)"
    detail = failing(db, statement).detail
    if db.dialect_name == "postgresql":
        assert (detail["constraint"], detail["table"]) == ("uq_shelf_code", "shelf")
    else:
        assert (detail["columns"], detail["table"]) == (["shelf.code"], "shelf")


def test_a_check_is_told_by_name(db: Database) -> None:
    statement = "INSERT INTO shelf (id, code, version) VALUES (2, '', 1)"
    assert failing(db, statement).detail["constraint"] == "ck_shelf_code"


def test_no_message_quotes_the_row(db: Database) -> None:
    with db.write_session() as session:
        session.add(Shelf(id=5, code="hush-hush"))
    for statement in (
        "INSERT INTO shelf (id, code, version) VALUES (6, 'hush-hush', 1)",
        "UPDATE shelf SET code = 'hush-hush' WHERE id = 1",
        "INSERT INTO shelf (id, code, note) VALUES (6, '', 'hush-hush')",
        "INSERT INTO shelf (id, note, version) VALUES (7, 'hush-hush', 1)",
    ):
        error = failing(db, statement)
        assert "hush-hush" not in str(error)
        assert "hush-hush" not in str(error.to_json())


def test_bound_values_stay_out_of_sqlalchemy_s_message_too(db: Database) -> None:
    statement = "INSERT INTO shelf (id, code, version) VALUES (1, :code, 1)"
    error = failing(db, statement, code="hush-hush")
    assert "[SQL: INSERT INTO shelf" in str(error.__cause__)
    assert "hush-hush" not in str(error.__cause__)


def test_our_own_error_from_a_type_comes_back_as_itself(db: Database) -> None:
    with pytest.raises(InvalidValue, match="refused by the type") as caught:
        add(db, Shelf(id=3, code="C", note="ours"))
    assert caught.value.detail == {"mine": True}


def test_a_plain_error_from_a_type_is_an_invalid_value(db: Database) -> None:
    with pytest.raises(InvalidValue, match="ValueError"):
        add(db, Shelf(id=3, code="C", note="theirs"))


def add(db: Database, *objects: object) -> None:
    with db.write_session() as session:
        session.add_all(objects)


def test_an_object_that_changed_meanwhile_is_stale(db: Database) -> None:
    with db.write_session() as session:
        shelf = session.get_one(Shelf, 1)
        session.expunge(shelf)
    with db.write_session() as session:
        session.get_one(Shelf, 1).note = "first"
    with pytest.raises(StaleVersion), db.write_session() as session:
        session.add(shelf)
        shelf.note = "second"


def test_one_row_was_wanted(db: Database) -> None:
    with pytest.raises(NotFound), db.read_session() as session:
        session.get_one(Shelf, 99)
    with pytest.raises(NotFound), db.read_session() as session:
        session.execute(sa.select(Shelf).where(Shelf.id == 99)).scalar_one()
    add(db, Shelf(id=2, code="B"))
    with pytest.raises(DataError), db.read_session() as session:
        session.execute(sa.select(Shelf)).scalar_one()


def test_what_was_not_loaded_is_not_loaded(db: Database) -> None:
    with pytest.raises(NotLoaded), db.read_session() as session:
        _ = session.get_one(Shelf, 1).boxes  # lazy="raise"
    with db.read_session() as session:
        box = session.get_one(Box, 1)
    with pytest.raises(NotLoaded), db.read_session():
        _ = box.shelf  # its session is gone


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
async def test_a_lazy_load_in_a_coroutine_is_not_loaded(db: Database) -> None:
    with pytest.raises(NotLoaded):
        async with db.async_read_session() as session:
            _ = (await session.get_one(Box, 1)).shelf
    # SQLAlchemy leaves the driver's coroutine behind; it warns when collected.
    gc.collect()


def test_going_on_after_a_failure_says_so(db: Database) -> None:
    with pytest.raises(EngineError, match="earlier statement"):
        go_on_after_failure(db)


def go_on_after_failure(db: Database) -> None:
    with db.write_session() as session:
        session.add(Shelf(id=1, code="again"))
        with pytest.raises(sa.exc.IntegrityError):
            session.flush()
        session.execute(sa.select(Shelf))


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("y"), sa.exc.InvalidRequestError("z")]
)
def test_what_is_not_ours_has_no_name(error: Exception) -> None:
    assert classify(error) is None


def test_our_own_error_is_itself() -> None:
    error = NotFound("no such part")
    assert classify(error) is error


@pytest.mark.anyio
@pytest.mark.parametrize(("statement", "kind"), STATEMENTS[:6])
async def test_async_drivers_fail_alike(
    db: Database, statement: str, kind: type[LockstepError]
) -> None:
    with pytest.raises(kind):
        async with db.async_write_session() as session:
            await session.execute(sa.text(statement))
