"""A ``Database`` from its constructor to its end: nothing early, nothing left."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockstep.config import load_settings
from lockstep.engine import Database
from lockstep.errors import ConfigError, UnsupportedCapability

_CONSTRUCT = """
import sys
import lockstep
from lockstep.engine import Database
seen = []
def watch(event, args):
    if event.split(".")[0] in {"open", "socket", "sqlite3", "subprocess"} or (
        event in {"os.listdir", "os.scandir", "os.mkdir", "os.remove"}
    ):
        seen.append((event, repr(args)[:200]))
sys.addaudithook(watch)
databases = [
    Database(),
    Database("sqlite:///local.db"),
    Database("sqlite://"),
    Database("file:/data/local.db?mode=ro"),
    Database("postgresql://anna:s3cret@db.example/fixit?sslmode=require"),
]
texts = [repr(databases), *(str(d.url) for d in databases[1:])]
names = [d.dialect_name for d in databases[1:]]
print(seen)
assert not seen, seen
assert "s3cret" not in str(texts)
del databases
"""


def test_constructing_a_database_touches_nothing(tmp_path: Path) -> None:
    """P1, seen by the interpreter's own audit hook."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", _CONSTRUCT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


_IMPORT = """
import sys, lockstep
assert "lockstep.engine" not in sys.modules, "import lockstep loads nothing yet"
import lockstep.engine
heavy = {"pydantic", "psycopg", "aiosqlite", "alembic", "rich", "asyncpg", "pytest"}
print(sorted(heavy & set(sys.modules)))
"""


def test_importing_the_engine_loads_no_driver() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_url_comes_from_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///from-environment.db")
    with Database() as db:
        assert repr(db) == "Database(<from settings>)"
        assert db.url.path == tmp_path / "from-environment.db"
        assert "from-environment.db" in repr(db)


def test_a_project_s_relative_file_lies_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.lockstep]\nurl = "sqlite:///a.db"\n'
    )
    deep = tmp_path / "src" / "app"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert Database().url.path == tmp_path / "a.db"
    (tmp_path / "pyproject.toml").write_text("[tool.lockstep]\n")
    assert Database().url.path == tmp_path / "local.db"
    monkeypatch.setenv("DATABASE_URL", "sqlite:///a.db")
    assert Database().url.path == deep / "a.db"


def test_production_takes_no_implicit_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APP_ENV", "production")
    with pytest.raises(ConfigError):
        Database().ping()
    assert list(tmp_path.iterdir()) == []
    with Database("sqlite:///named.db") as db:
        assert db.ping() > 0


def test_settings_without_a_url_are_no_database() -> None:
    from lockstep.config import Settings

    with pytest.raises(ConfigError):
        Database(settings=Settings()).ping()


def test_a_password_survives_the_way_through_the_settings() -> None:
    url = "postgresql://anna:s3cret@127.0.0.1/fixit"
    db = Database(url)
    assert db.settings.url == url
    assert Database(settings=db.settings).url.sqlalchemy_url().password == "s3cret"


def test_it_answers_and_describes_itself(db: Database) -> None:
    assert 0 < db.ping() < 5
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (n INTEGER)"))
    info = db.describe()
    assert info.dialect_name == db.dialect_name
    assert info.engine_name == db.engine_name
    assert info.url == str(db.url)
    assert info.size_bytes >= 0
    assert info.version[0].isdigit()
    json.dumps(info.to_json())
    if db.dialect_name == "sqlite":
        assert info.facts["journal_mode"] == "wal"
        assert info.facts["foreign_keys"] is True
        where = {"sqlite": ("file", str(db.url.path)), "libsql": ("hrana", "v3")}
        name, value = where[db.engine_name]
        assert info.facts[name] == value
    else:
        assert info.facts["time_zone"] == "UTC"
        assert info.facts["statement_timeout"] == "30s"


def test_capabilities_answer_or_explain(db: Database) -> None:
    can = db.capabilities
    assert can is db.capabilities
    assert can.dialect_name == db.dialect_name
    assert can.engine_name == db.engine_name
    assert can.bind_parameters_max >= 999
    if db.dialect_name == "sqlite":
        with pytest.raises(UnsupportedCapability, match="'row_locks'"):
            can.require("row_locks")
    else:
        can.require("row_locks")
    with pytest.raises(ValueError, match="no capability"):
        can.require("teleportation")


def test_the_bind_limit_is_the_one_that_holds(db: Database) -> None:
    most = db.capabilities.bind_parameters_max
    mark = "?" if db.dialect_name == "sqlite" else "%s"
    statement = f"SELECT count(*) WHERE 1 IN ({', '.join([mark] * most)})"
    with db.read_session() as session:
        connection = session.connection()
        found = connection.exec_driver_sql(statement, tuple(range(most)))
        assert found.scalar() == 1
        with pytest.raises(sa.exc.DBAPIError):
            connection.exec_driver_sql(
                statement.replace(mark, f"{mark}, {mark}", 1), tuple(range(most + 1))
            )


def test_closing_twice_and_using_again(db: Database) -> None:
    db.ping()
    db.close()
    db.close()
    assert db.pool_statistics().idle == 0
    assert db.ping() > 0


def test_a_session_outlives_the_close_of_its_database(db: Database) -> None:
    with db.read_session() as session:
        assert session.scalar(sa.text("SELECT 1")) == 1
        db.close()
        assert session.scalar(sa.text("SELECT 2")) == 2
    gc.collect()  # a connection that nobody closed would warn here
    assert db.pool_statistics().checked_out == 0


def test_nothing_is_left_when_a_file_is_closed(db: Database) -> None:
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER)"))
    before = set(threading.enumerate())
    db.close()
    assert set(threading.enumerate()) <= before
    if db.url.path is not None:
        assert [p.name for p in db.url.path.parent.iterdir()] == [db.url.path.name]


def test_threads_may_use_one_database(db: Database) -> None:
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER PRIMARY KEY)"))
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(10):
                with db.write_session() as session:
                    session.execute(
                        sa.text("INSERT INTO part VALUES (:id)"),
                        {"id": number * 100 + step},
                    )
                with db.read_session() as session:
                    session.execute(sa.text("SELECT count(*) FROM part")).scalar()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with db.read_session() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM part")) == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_opens_its_own_connections(db: Database) -> None:
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER PRIMARY KEY)"))

    def child(number: int) -> None:
        with db.write_session() as inner:
            inner.execute(sa.text("INSERT INTO part VALUES (:id)"), {"id": number})
        db.close()

    context = multiprocessing.get_context("fork")
    with db.read_session() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM part")) == 0
        children = [context.Process(target=child, args=(n,)) for n in range(4)]
        for process in children:
            process.start()
        for process in children:
            process.join()
        assert [process.exitcode for process in children] == [0, 0, 0, 0]
        # The parent's connection and its snapshot are untouched.
        assert session.scalar(sa.text("SELECT count(*) FROM part")) == 0
    with db.write_session() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM part")) == 4


def test_memory_is_shared_by_threads_and_gone_after_close() -> None:
    db = Database("sqlite://", settings=load_settings(env={}, url="sqlite://"))
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER)"))
    seen: list[int | None] = []

    def read() -> None:
        with db.read_session() as inner:
            seen.append(inner.scalar(sa.text("SELECT count(*) FROM part")))

    threads = [threading.Thread(target=read) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [0] * 5
    db.close()
    with db.read_session() as session:
        assert sa.inspect(session.connection()).get_table_names() == []
    db.close()


@pytest.mark.anyio
async def test_memory_is_one_for_sync_and_async() -> None:
    async with Database("sqlite://") as db:
        with db.write_session() as session:
            session.execute(sa.text("CREATE TABLE part (id INTEGER)"))
        async with db.async_write_session() as asession:
            await asession.execute(sa.text("INSERT INTO part VALUES (1)"))
        with db.read_session() as session:
            assert session.scalar(sa.text("SELECT count(*) FROM part")) == 1


def test_two_memory_databases_are_two() -> None:
    with Database("sqlite://") as one, Database("sqlite://") as other:
        with one.write_session() as session:
            session.execute(sa.text("CREATE TABLE part (id INTEGER)"))
        assert sa.inspect(other.engine).get_table_names() == []
