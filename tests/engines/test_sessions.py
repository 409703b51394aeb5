"""Sessions on every engine: commit, rollback, one snapshot, no writing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lockstep.clock import ManualClock
from lockstep.engine import Database
from lockstep.errors import (
    CheckFailed,
    ConnectionLost,
    Duplicate,
    EngineError,
    LockstepError,
    OutcomeUnknown,
    ReadOnlySession,
)

CREATE = "CREATE TABLE part (id INTEGER PRIMARY KEY, n TEXT NOT NULL)"


@pytest.fixture(autouse=True)
def table(db: Database) -> None:
    run(db, CREATE, "INSERT INTO part VALUES (1, 'bolt')")


def run(db: Database, *statements: str) -> None:
    with db.write_session() as session:
        for statement in statements:
            session.execute(sa.text(statement))


def names(session: Session) -> list[str]:
    return list(session.scalars(sa.text("SELECT n FROM part ORDER BY id")))


def stored(db: Database) -> list[str]:
    with db.read_session() as session:
        return names(session)


def test_a_write_session_commits_at_its_end(db: Database) -> None:
    run(db, "INSERT INTO part VALUES (2, 'nut')")
    assert stored(db) == ["bolt", "nut"]


def test_an_error_of_the_database_takes_everything_back(db: Database) -> None:
    with pytest.raises(Duplicate) as caught:
        run(
            db, "INSERT INTO part VALUES (2, 'nut')", "INSERT INTO part VALUES (1, 'x')"
        )
    assert isinstance(caught.value.__cause__, sa.exc.IntegrityError)
    assert stored(db) == ["bolt"]


@pytest.mark.parametrize("way", ["sync", "async"])
def test_who_catches_an_error_is_not_told_that_all_is_written(
    db: Database, way: str
) -> None:
    """The engine took the transaction back, or will: its COMMIT is no success."""
    ending = "OR ROLLBACK " if db.dialect_name == "sqlite" else ""

    def work(session: Session) -> None:
        session.execute(sa.text("INSERT INTO part VALUES (2, 'nut')"))
        with suppress(sa.exc.DBAPIError):
            session.execute(sa.text(f"INSERT {ending}INTO part VALUES (1, 'x')"))

    async def work_async() -> None:
        async with db.async_write_session() as session:
            await session.run_sync(work)

    with pytest.raises(EngineError):
        if way == "async":
            asyncio.run(work_async())
        else:
            with db.write_session() as session:
                work(session)
    assert stored(db) == ["bolt"]
    run(db, "INSERT INTO part VALUES (2, 'nut')")
    assert stored(db) == ["bolt", "nut"]


LOST_AT_COMMIT = """
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"""
AT_COMMIT = (
    "CREATE CONSTRAINT TRIGGER lost AFTER INSERT ON part "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lose()"
)


@pytest.mark.engines("postgresql")
def test_a_commit_without_an_answer_is_not_to_be_tried_again(db: Database) -> None:
    insert = sa.text("INSERT INTO part VALUES (2, 'nut')")
    run(db, LOST_AT_COMMIT, AT_COMMIT)

    async def write_async() -> None:
        async with db.async_write_session() as session:
            await session.execute(insert)

    with pytest.raises(OutcomeUnknown) as unknown:
        asyncio.run(write_async())
    assert not unknown.value.retryable
    with pytest.raises(OutcomeUnknown), db.write_session() as session:
        session.execute(insert)
    with pytest.raises(ConnectionLost), db.read_session() as session:
        session.connection().connection.driver_connection.close()  # type: ignore[union-attr]
    assert stored(db) == ["bolt"]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_error_of_the_program_takes_everything_back(
    db: Database, error: BaseException
) -> None:
    def fail() -> None:
        with db.write_session() as session:
            session.execute(sa.text("INSERT INTO part VALUES (2, 'nut')"))
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert caught.value.__cause__ is None
    assert stored(db) == ["bolt"]


def test_the_program_may_commit_on_the_way(db: Database) -> None:
    with db.write_session() as session:
        session.execute(sa.text("INSERT INTO part VALUES (2, 'nut')"))
        session.commit()
        session.execute(sa.text("INSERT INTO part VALUES (3, 'gear')"))
        session.rollback()
        session.execute(sa.text("INSERT INTO part VALUES (4, 'pin')"))
    assert stored(db) == ["bolt", "nut", "pin"]


def test_a_savepoint_takes_back_only_itself(db: Database) -> None:
    with db.write_session() as session:
        session.execute(sa.text("INSERT INTO part VALUES (2, 'nut')"))
        with session.begin_nested() as savepoint:
            session.execute(sa.text("INSERT INTO part VALUES (3, 'gear')"))
            savepoint.rollback()
        with pytest.raises(sa.exc.IntegrityError), session.begin_nested():
            session.execute(sa.text("INSERT INTO part VALUES (1, 'again')"))
        session.execute(sa.text("INSERT INTO part VALUES (4, 'pin')"))
    assert stored(db) == ["bolt", "nut", "pin"]


def test_a_read_session_sees_one_snapshot(db: Database) -> None:
    with db.read_session() as session:
        assert names(session) == ["bolt"]
        run(db, "INSERT INTO part VALUES (2, 'nut')")
        assert names(session) == ["bolt"]
    assert stored(db) == ["bolt", "nut"]


WRITES = [
    "INSERT INTO part VALUES (2, 'nut')",
    "UPDATE part SET n = 'x'",
    "DELETE FROM part",
    "WITH found AS (SELECT 2 AS id) INSERT INTO part SELECT id, 'nut' FROM found",
    "CREATE TABLE other (id INTEGER)",
    "CREATE INDEX other ON part (n)",
    "DROP TABLE part",
    "ALTER TABLE part ADD COLUMN x TEXT",
]


@pytest.mark.parametrize("write", WRITES)
def test_a_read_session_cannot_write(db: Database, write: str) -> None:
    with pytest.raises(ReadOnlySession) as caught, db.read_session() as session:
        session.execute(sa.text(write))
    assert not caught.value.retryable
    assert "write_session" in caught.value.hint
    run(db, "INSERT INTO part VALUES (2, 'nut')")
    assert stored(db) == ["bolt", "nut"]


SQLITE_TRICKS = [
    *("PRAGMA query_only = OFF", "PRAGMA query_only=0", "PRAGMA user_version = 5"),
    *("PRAGMA writable_schema = ON", "PRAGMA journal_mode = DELETE", "ANALYZE"),
    *("PRAGMA wal_checkpoint", "PRAGMA optimize", "DETACH DATABASE main"),
    *("VACUUM", "CREATE TEMP TABLE t (x)", "SELECT load_extension('x')"),
    "CREATE VIRTUAL TABLE f USING fts5(x)",
]


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("trick", SQLITE_TRICKS)
def test_sqlite_s_other_ways_to_write_are_closed(db: Database, trick: str) -> None:
    with pytest.raises(LockstepError), db.read_session() as session:
        session.execute(sa.text(trick))
    assert stored(db) == ["bolt"]


MODULES = {
    "fts5": ("fts5(t)", "INSERT INTO m VALUES ('hello')", "m MATCH 'hello'"),
    "fts4": ("fts4(t)", "INSERT INTO m VALUES ('hello')", "m MATCH 'hello'"),
    "rtree": ("rtree(id, a, b)", "INSERT INTO m VALUES (1, 2, 3)", "a < 5"),
}


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("module", MODULES)
def test_a_full_text_table_is_read_and_not_written(db: Database, module: str) -> None:
    definition, write, condition = MODULES[module]
    run(db, f"CREATE VIRTUAL TABLE m USING {definition}")
    run(db, write)
    db.close()  # so that the reader is the one who opens the module
    found = sa.text(f"SELECT count(*) FROM m WHERE {condition}")
    with db.read_session() as session:
        assert session.scalar(found) == 1
    for refused in (write, "DELETE FROM m", "UPDATE sqlite_master SET sql = ''"):
        with pytest.raises(LockstepError), db.read_session() as session:
            session.scalar(found)
            session.execute(sa.text(refused))
    for shadow in ("m_content", "m_data", "m_node"):
        with pytest.raises(LockstepError), db.read_session() as session:
            session.execute(sa.text(f"DELETE FROM {shadow}"))
    with db.read_session() as session:
        assert session.scalar(found) == 1


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("attach", ["ATTACH '{}' AS x", "VACUUM INTO '{}'"])
def test_a_read_session_makes_no_file(
    db: Database, tmp_path: Path, attach: str
) -> None:
    path = tmp_path / "made.db"
    with pytest.raises(LockstepError), db.read_session() as session:
        session.execute(sa.text(attach.format(path)))
    assert not path.exists()


@pytest.mark.engines("sqlite")
def test_a_statement_prepared_for_writing_does_not_write_for_a_reader(
    db: Database,
) -> None:
    disarm = sa.text("PRAGMA query_only = OFF")
    with db.write_session() as session:
        session.execute(disarm)  # sqlite3 keeps it compiled
    with pytest.raises(ReadOnlySession), db.read_session() as session:
        session.execute(disarm)


@pytest.mark.engines("sqlite")
def test_a_read_session_may_ask_about_the_schema(db: Database) -> None:
    with db.read_session() as session:
        columns = session.execute(sa.text("PRAGMA table_info(part)")).all()
        assert [column[1] for column in columns] == ["id", "n"]
        assert session.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert sa.inspect(session.connection()).get_table_names() == ["part"]


@pytest.mark.engines("sqlite")
def test_a_read_session_may_search(db: Database) -> None:
    run(
        db,
        "CREATE VIRTUAL TABLE note USING fts5(body)",
        "INSERT INTO note VALUES ('the oil leaks'), ('all is well')",
    )
    with db.read_session() as session:
        found = session.scalars(sa.text("SELECT body FROM note WHERE note MATCH 'oil'"))
        assert list(found) == ["the oil leaks"]


def test_committing_a_read_session_ends_its_snapshot(db: Database) -> None:
    with db.read_session() as session:
        assert names(session) == ["bolt"]
        run(db, "INSERT INTO part VALUES (2, 'nut')")
        session.commit()
        assert names(session) == ["bolt", "nut"]
    with pytest.raises(ReadOnlySession), db.read_session() as session:
        session.commit()
        session.execute(sa.text("DELETE FROM part"))


def test_a_failed_read_session_leaves_a_connection_that_writes(db: Database) -> None:
    for _ in range(3):
        with pytest.raises(ReadOnlySession), db.read_session() as session:
            session.execute(sa.text("DELETE FROM part"))
        with pytest.raises(ZeroDivisionError), db.read_session() as session:
            session.execute(sa.text("SELECT 1"))
            _ = 1 / 0
    run(db, "INSERT INTO part VALUES (2, 'nut')")
    assert stored(db) == ["bolt", "nut"]


def test_the_plain_engine_writes_after_a_read_session(db: Database) -> None:
    assert stored(db) == ["bolt"]
    with db.engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO part VALUES (2, 'nut')"))
    assert stored(db) == ["bolt", "nut"]


def test_the_plain_engine_keeps_sqlalchemy_s_own_errors(db: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), db.engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO part VALUES (1, 'again')"))


def test_autocommit_is_available_and_leaves_no_trace(db: Database) -> None:
    with db.engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(sa.text("INSERT INTO part VALUES (2, 'nut')"))
        assert stored(db) == ["bolt", "nut"]
    with pytest.raises(Duplicate):
        run(db, "INSERT INTO part VALUES (3, 'x')", "INSERT INTO part VALUES (1, 'y')")
    assert stored(db) == ["bolt", "nut"]


@pytest.mark.engines("sqlite", "postgresql")  # a libSQL server refuses VACUUM
def test_autocommit_is_no_transaction(db: Database) -> None:
    with db.engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(sa.text("VACUUM"))


def test_a_session_says_who_when_and_where(make_database: object, db: Database) -> None:
    clock = ManualClock()
    other = Database(db.url.unmasked(), settings=db.settings, clock=clock)
    with other.write_session(actor="anna") as session:
        assert session.info["lockstep.actor"] == "anna"
        assert session.info["lockstep.clock"] is clock
        assert session.info["lockstep.database"] is other
        assert session.expire_on_commit is False
    with other.read_session() as session:
        assert session.info["lockstep.actor"] is None
    other.close()


def test_a_not_null_column_is_named(db: Database) -> None:
    with pytest.raises(CheckFailed) as caught:
        run(db, "INSERT INTO part (id) VALUES (9)")
    assert "n" in caught.value.message


def test_reflection_and_core_work_on_the_plain_engine(db: Database) -> None:
    part = sa.Table("part", sa.MetaData(), autoload_with=db.engine)
    with db.engine.connect() as connection:
        assert connection.execute(sa.select(part.c.n)).scalar_one() == "bolt"
