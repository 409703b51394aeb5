"""``Database`` on every engine."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from lockstep.engine import Database
from lockstep.errors import Duplicate, ReadOnlySession


@pytest.fixture
def table(db: Database) -> str:
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER PRIMARY KEY, n TEXT)"))
        session.execute(sa.text("INSERT INTO part VALUES (1, 'bolt')"))
    return "part"


def names(db: Database) -> list[str]:
    with db.read_session() as session:
        return list(session.scalars(sa.text("SELECT n FROM part ORDER BY id")))


def test_a_write_session_commits_at_its_end(db: Database, table: str) -> None:
    assert names(db) == ["bolt"]


def test_a_write_session_keeps_nothing_after_an_error(db: Database, table: str) -> None:
    with pytest.raises(Duplicate), db.write_session() as session:
        session.execute(sa.text("INSERT INTO part VALUES (2, 'nut')"))
        session.execute(sa.text("INSERT INTO part VALUES (1, 'gear')"))
    assert names(db) == ["bolt"]


def test_a_read_session_cannot_write(db: Database, table: str) -> None:
    with pytest.raises(ReadOnlySession), db.read_session() as session:
        session.execute(sa.text("INSERT INTO part VALUES (2, 'nut')"))
    assert names(db) == ["bolt"]


@pytest.mark.anyio
async def test_async_sessions_do_the_same(db: Database, table: str) -> None:
    async with db.async_write_session() as session:
        await session.execute(sa.text("INSERT INTO part VALUES (2, 'nut')"))
    with pytest.raises(ReadOnlySession):
        async with db.async_read_session() as session:
            await session.execute(sa.text("DELETE FROM part"))
    assert names(db) == ["bolt", "nut"]
