"""The pytest plugin as a user's project meets it: in a pytest run of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from lockstep.contrib.pytest.databases import PostgresServer

USES_DB = """
import pytest
import sqlalchemy as sa

@pytest.mark.parametrize("again", [1, 2])
def test_it(db, again):
    with db.write_session() as session:
        session.execute(sa.text("CREATE TABLE part (id INTEGER)"))
    print("ran on", db.dialect_name)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\n"
    )
    return tmp_path


def run(
    project: Path, test: str, *options: str, **env: str
) -> subprocess.CompletedProcess[str]:
    (project / "test_it.py").write_text(test, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *options],
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, **env},
    )


def test_a_test_with_a_db_runs_on_every_engine(
    project: Path, postgres_server: PostgresServer
) -> None:
    done = run(project, USES_DB, LOCKSTEP_TEST_DSN=postgres_server.url)
    assert done.returncode == 0, done.stdout
    for name in ("sqlite-1", "sqlite-2", "postgresql-1", "postgresql-2"):
        assert f"PASSED test_it.py::test_it[{name}]" in done.stdout


def test_nothing_of_a_run_is_left(
    project: Path, postgres_server: PostgresServer
) -> None:
    def databases() -> set[str]:
        with psycopg.connect(postgres_server.url) as connection:
            return {r[0] for r in connection.execute("SELECT datname FROM pg_database")}

    before = databases()
    failing = USES_DB + "    db.engine.connect()\n    assert 0\n"
    done = run(project, failing, "-W", "default", LOCKSTEP_TEST_DSN=postgres_server.url)
    assert done.returncode == 1
    assert databases() <= before


@pytest.mark.parametrize("way", ["option", "ini"])
def test_engines_can_be_chosen(project: Path, way: str) -> None:
    options = ["--lockstep-engines=sqlite"]
    if way == "ini":
        options = []
        with (project / "pytest.ini").open("a") as ini:
            ini.write("lockstep_engines = sqlite\n")
    done = run(project, USES_DB, *options)
    assert done.returncode == 0, done.stdout
    assert "test_it[sqlite-1]" in done.stdout
    assert "postgresql" not in done.stdout


@pytest.mark.parametrize("names", ["oracle", "sqlite,oracle", ","])
def test_an_engine_that_does_not_exist_is_a_usage_error(
    project: Path, names: str
) -> None:
    done = run(project, USES_DB, f"--lockstep-engines={names}")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "known: sqlite, libsql, postgresql" in done.stderr


def test_a_marker_limits_a_test(project: Path) -> None:
    marked = "import pytest\npytestmark = pytest.mark.engines('sqlite')\n" + USES_DB
    done = run(project, marked)
    assert done.returncode == 0, done.stdout
    assert "postgresql" not in done.stdout


def test_a_marker_that_names_no_engine_is_an_error(project: Path) -> None:
    marked = "import pytest\npytestmark = pytest.mark.engines('sqlit')\n" + USES_DB
    done = run(project, marked)
    assert done.returncode != 0
    assert "'sqlit'" in done.stdout + done.stderr


def test_a_postgresql_that_does_not_start_is_an_error_and_loud(
    project: Path, tmp_path: Path
) -> None:
    done = run(project, USES_DB, LOCKSTEP_POSTGRESQL_BIN=str(tmp_path))
    assert done.returncode == 1
    assert "PostgreSQL cannot be started, so its tests cannot run" in done.stdout
    assert "2 passed, 2 errors" in done.stdout
    assert "skipped" not in done.stdout


def test_a_server_that_does_not_answer_is_an_error(project: Path) -> None:
    dsn = "postgresql://anna:s3cret@127.0.0.1:1/x"
    done = run(project, USES_DB, LOCKSTEP_TEST_DSN=dsn)
    assert "2 passed, 2 errors" in done.stdout
    assert "s3cret" not in done.stdout


LOADS_NOTHING = """
import sys

def test_it(pytestconfig):
    assert pytestconfig.pluginmanager.hasplugin("lockstep")
    heavy = {"sqlalchemy", "pydantic", "psycopg", "aiosqlite", "alembic", "asyncio"}
    assert heavy & set(sys.modules) - BEFORE == set()
"""


def test_loading_the_plugin_imports_nothing_heavy(project: Path) -> None:
    bare = "import sys\ndef test_it():\n    print('HAVE', *sorted(sys.modules))\n"
    without = run(project, bare, "-p", "no:lockstep", "-p", "no:anyio")
    have = next(x for x in without.stdout.splitlines() if x.startswith("HAVE "))
    assert " lockstep" not in have
    test = LOADS_NOTHING.replace("BEFORE", repr(set(have.split())))
    done = run(project, test, "-p", "no:anyio")
    assert done.returncode == 0, done.stdout


def test_without_the_plugin_there_is_no_db(project: Path) -> None:
    done = run(project, USES_DB, "-p", "no:lockstep")
    assert "fixture 'db' not found" in done.stdout


ASYNC = """
import asyncio
import pytest
import sqlalchemy as sa

def test_async(db):
    async def use():
        async with db.async_write_session() as session:
            await session.execute(sa.text("SELECT 1"))
    asyncio.run(use())

@pytest.mark.anyio
async def test_anyio(db):
    async with db.async_read_session() as session:
        await session.execute(sa.text("SELECT 1"))

@pytest.fixture
def anyio_backend():
    return "asyncio"

def test_factory(make_database, db_url, db, manual_clock):
    other = make_database("sqlite", pool={"size": 1})
    assert other.url != db.url and other.settings.pool.size == 1
    assert other.ping() > 0
    assert str(db.url) in db_url or "postgres" in db_url
    manual_clock.advance(1)
"""


def test_async_tests_leave_no_warning(
    project: Path, postgres_server: PostgresServer
) -> None:
    done = run(project, ASYNC, LOCKSTEP_TEST_DSN=postgres_server.url)
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


@pytest.mark.parametrize(
    ("script", "point", "says"),
    [
        ("print('done')", "never", "ended by itself (0)"),
        ("raise ValueError('broken')", "never", "broken"),
    ],
)
def test_a_script_that_is_not_killed_fails_the_test(
    project: Path, script: str, point: str, says: str
) -> None:
    test = f"def test_it(kill_after):\n    kill_after({script!r}, point={point!r})\n"
    done = run(project, test)
    assert done.returncode == 1
    assert says in done.stdout


def test_faults_say_what_they_need(project: Path) -> None:
    test = """
import pytest

def test_it(kill_after, lock_holder, full_disk, make_database, tmp_path):
    with pytest.raises(ValueError):
        kill_after("1")
    with pytest.raises(ValueError):
        kill_after("1", point="a", delay_s=1)
    script = tmp_path / "wait.py"
    script.write_text(
        "import sys, time\\nprint(sys.argv[1], flush=True)\\ntime.sleep(60)"
    )
    assert kill_after(script, "argument", delay_s=0.1) == "argument\\n"
"""
    done = run(project, test)
    assert done.returncode == 0, done.stdout
