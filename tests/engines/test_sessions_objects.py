"""What becomes of the objects of a session when it ends."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lockstep.engine import Database
from lockstep.errors import Duplicate, ReadOnlySession


class Base(DeclarativeBase):
    pass


class Part(Base):
    __tablename__ = "part"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50))


@pytest.fixture(autouse=True)
def tables(db: Database) -> None:
    Base.metadata.create_all(db.engine)
    with db.write_session() as session:
        session.add(Part(id=1, name="bolt"))


def names(db: Database) -> list[str]:
    with db.read_session() as session:
        return list(session.scalars(sa.select(Part.name).order_by(Part.id)))


def test_what_was_read_stays_readable(db: Database) -> None:
    with db.read_session() as session:
        part = session.get_one(Part, 1)
        session.commit()
        assert part.name == "bolt"
    assert part.name == "bolt"


def test_what_was_written_stays_readable(db: Database) -> None:
    with db.write_session() as session:
        part = Part(id=2, name="nut")
        session.add(part)
    assert (part.id, part.name) == (2, "nut")


@pytest.mark.anyio
async def test_what_was_read_in_a_coroutine_stays_readable(db: Database) -> None:
    async with db.async_read_session() as session:
        part = await session.get_one(Part, 1)
    assert part.name == "bolt"


def test_what_was_read_stays_readable_after_a_failure(db: Database) -> None:
    with pytest.raises(Duplicate), db.write_session() as session:
        part = session.get_one(Part, 1)
        session.execute(sa.insert(Part).values(id=1, name="again"))
    assert part.name == "bolt"


def change(session: object) -> None:
    session.get_one(Part, 1).name = "changed"  # type: ignore[attr-defined]


def add(session: object) -> None:
    session.add(Part(id=3, name="new"))  # type: ignore[attr-defined]


def delete(session: object) -> None:
    session.delete(session.get_one(Part, 1))  # type: ignore[attr-defined]


@pytest.mark.parametrize("action", [change, add, delete])
@pytest.mark.parametrize("commits", [True, False])
def test_a_change_in_a_read_session_is_not_dropped_without_a_word(
    db: Database, action: object, commits: bool
) -> None:
    assert callable(action)
    with pytest.raises(ReadOnlySession, match="Part"), db.read_session() as session:
        action(session)
        if commits:
            session.commit()
    assert names(db) == ["bolt"]


@pytest.mark.parametrize("action", [change, add, delete])
def test_a_flush_in_a_read_session_is_refused(db: Database, action: object) -> None:
    assert callable(action)
    with pytest.raises(ReadOnlySession), db.read_session() as session:
        action(session)
        session.flush()
    assert names(db) == ["bolt"]


def test_setting_what_it_is_already_is_no_change(db: Database) -> None:
    with db.read_session() as session:
        session.get_one(Part, 1).name = "bolt"


@pytest.mark.anyio
async def test_async_read_sessions_refuse_changes_too(db: Database) -> None:
    with pytest.raises(ReadOnlySession):
        async with db.async_read_session() as session:
            (await session.get_one(Part, 1)).name = "changed"
    assert names(db) == ["bolt"]
