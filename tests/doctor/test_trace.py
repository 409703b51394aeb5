"""The tracer: what it finds in unmodified programs, and what it leaves alone."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import aiosqlite
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from tests.acceptance.conftest import clean_environment
from tests.acceptance.shell import Shell

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.doctor import all_checks
from lockstep.doctor.trace import watching
from lockstep.doctor.trace.context import TraceContext
from lockstep.doctor.trace.programs import run_traced
from lockstep.doctor.trace.recorder import shape

__all__ = ["clean_environment"]

SCHEMA = """
CREATE TABLE parts (id INTEGER PRIMARY KEY, name TEXT, quantity INTEGER);
CREATE TABLE takes (part_id INTEGER REFERENCES parts (id));
INSERT INTO parts VALUES (1, 'bolt', 5), (2, 'nut', 7);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "stock.db"
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode = WAL;" + SCHEMA)
    connection.close()
    return path


def opened(path: Path, **options: object) -> sqlite3.Connection:
    connection = sqlite3.connect(path, **options)  # type: ignore[arg-type]
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def kinds(path: Path, work: Callable[[sqlite3.Connection], object]) -> dict[str, int]:
    with watching() as trace:
        connection = opened(path, isolation_level=None)
        work(connection)
        connection.close()
    counts: dict[str, int] = {}
    for event in trace.events:
        if event["kind"] != "connection":
            counts[event["kind"]] = counts.get(event["kind"], 0) + event["count"]
    return counts


READ = "SELECT quantity FROM parts WHERE id = 1"
WRITE = "UPDATE parts SET quantity = 4 WHERE id = 1"
CASES = {
    "deferred, read, write": (
        ["BEGIN", READ, WRITE, "COMMIT"],
        {"deferred-read-then-write": 1},
    ),
    "deferred by name": (
        ["BEGIN DEFERRED TRANSACTION", READ, WRITE, "ROLLBACK"],
        {"deferred-read-then-write": 1},
    ),
    "a savepoint begins a transaction too": (
        ["SAVEPOINT a", READ, WRITE, "RELEASE a"],
        {"deferred-read-then-write": 1},
    ),
    "a common table expression reads": (
        ["BEGIN", "WITH a AS (SELECT * FROM parts) SELECT * FROM a", WRITE, "COMMIT"],
        {"deferred-read-then-write": 1},
    ),
    "twice": (
        ["BEGIN", READ, WRITE, "COMMIT", "BEGIN", READ, WRITE, "COMMIT"],
        {"deferred-read-then-write": 2},
    ),
    "immediate": (["BEGIN IMMEDIATE", READ, WRITE, "COMMIT"], {}),
    "written first": (["BEGIN", WRITE, READ, WRITE, "COMMIT"], {}),
    "only read": (
        ["BEGIN", READ, "COMMIT", "BEGIN", WRITE, "COMMIT"],
        {"unprotected-read-modify-write": 1},
    ),
    "no table is read": (["BEGIN", "SELECT 1", WRITE, "COMMIT"], {}),
    "read, then written back": ([READ, WRITE], {"unprotected-read-modify-write": 1}),
    "read by another spelling": (
        ['SELECT "p"."name" FROM "parts" AS p WHERE ("p"."id" = 1) LIMIT 1', WRITE],
        {"unprotected-read-modify-write": 1},
    ),
    "computed by the database": (
        [READ, "UPDATE parts SET quantity = quantity - 1 WHERE id = 1"],
        {},
    ),
    "guarded by what was read": (
        [READ, "UPDATE parts SET quantity = 4 WHERE id = 1 AND quantity = 5"],
        {},
    ),
    "another row": ([READ, "UPDATE parts SET quantity = 4 WHERE id = 2"], {}),
    "read again under the lock": ([READ, "BEGIN IMMEDIATE", READ, WRITE, "COMMIT"], {}),
    "an insert": ([READ, "INSERT INTO takes VALUES (1)"], {}),
}


@pytest.mark.parametrize(("statements", "expected"), CASES.values(), ids=CASES)
def test_what_is_an_event(
    path: Path, statements: list[str], expected: dict[str, int]
) -> None:
    def work(connection: sqlite3.Connection) -> None:
        for statement in statements:
            connection.execute(statement).fetchall()

    assert kinds(path, work) == expected


def test_python_s_own_transactions(path: Path) -> None:
    """The driver's default begins a transaction before a write, not before a read."""
    with watching() as trace:
        connection = opened(path)
        (quantity,) = connection.execute(READ).fetchone()
        values = (quantity - 4, 1)
        connection.execute("UPDATE parts SET quantity = ? WHERE id = ?", values)
        connection.commit()
        connection.close()
    (finding,) = trace.findings
    assert finding.check == "lost-updates"
    assert finding.severity == "warning"
    assert finding.subject.startswith(f"{__file__}:")


class Base(DeclarativeBase):
    pass


class Part(Base):
    __tablename__ = "parts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    quantity: Mapped[int]


def test_an_unmodified_orm_of_sqlalchemy(path: Path) -> None:
    with watching() as trace:
        engine = sa.create_engine(f"sqlite:///{path}")
        with Session(engine) as session:
            part = session.get(Part, 1)
            assert part is not None
            part.quantity -= 4
            session.commit()
        engine.dispose()
    assert {f.check for f in trace.findings} == {"lost-updates", "foreign-keys-off"}


DJANGO = """
import django
from django.conf import settings

file = {"ENGINE": "django.db.backends.sqlite3", "NAME": "stock.db"}
settings.configure(DATABASES={"default": file})
django.setup()

from django.db import models, transaction


class Part(models.Model):
    quantity = models.IntegerField()

    class Meta:
        app_label = "stock"
        db_table = "parts"


with transaction.atomic():
    part = Part.objects.get(pk=1)
    part.quantity -= 4
    part.save()
"""


def test_an_unmodified_program_of_django(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    program = path.with_name("program.py")
    program.write_text(DJANGO)
    done = run_traced([sys.executable, str(program)])
    assert done.exit_code == 0
    (event,) = TraceContext(done.events).events("deferred-read-then-write")
    assert event["place"] == f"{program}:23"


@pytest.mark.anyio
async def test_an_unmodified_program_of_aiosqlite(path: Path) -> None:
    """Its statements run in a thread where no line of the program can be seen."""
    with watching() as trace:
        async with aiosqlite.connect(path, isolation_level=None) as connection:
            for statement in ("PRAGMA foreign_keys = ON", "BEGIN", READ, WRITE):
                await connection.execute_fetchall(statement)
            await connection.execute("COMMIT")
    (finding,) = trace.findings
    assert (finding.check, finding.subject) == ("deferred-read-then-write", str(path))


def test_the_sessions_of_lockstep_are_clean(make_database: MakeDatabase) -> None:
    with watching() as trace:
        database = make_database("sqlite")
        with database.write_session() as session:
            session.connection().exec_driver_sql(
                "CREATE TABLE parts (id INTEGER PRIMARY KEY, quantity INTEGER,"
                " other INTEGER REFERENCES parts (id))"
            )
        with database.write_session() as session:
            session.connection().exec_driver_sql(
                "INSERT INTO parts VALUES (1, 5, NULL)"
            )
        with database.write_session() as session:
            connection = session.connection()
            connection.exec_driver_sql("SELECT quantity FROM parts WHERE id = 1")
            connection.exec_driver_sql("UPDATE parts SET quantity = 4 WHERE id = 1")
        database.close()
    assert any(event["kind"] == "connection" for event in trace.events)
    assert trace.findings == ()


def test_foreign_keys_off_matters_where_some_are_declared(tmp_path: Path) -> None:
    def write(path: Path, schema: str) -> set[str]:
        with watching() as trace:
            connection = sqlite3.connect(path)
            connection.executescript(schema)
            connection.execute("INSERT INTO t VALUES (1)")
            connection.commit()
            connection.close()
        return {f.check for f in trace.findings}

    plain = "CREATE TABLE t (id INTEGER PRIMARY KEY)"
    keyed = "CREATE TABLE t (id INTEGER PRIMARY KEY REFERENCES t (id))"
    assert write(tmp_path / "plain.db", plain) == set()
    assert write(tmp_path / "keyed.db", keyed) == {"foreign-keys-off"}


def test_a_connection_that_does_not_wait(path: Path) -> None:
    with watching() as trace:
        hasty = opened(path, timeout=0, isolation_level=None)
        hasty.execute("INSERT INTO takes VALUES (1)")
        hasty.close()
        patient = opened(path, timeout=0, isolation_level=None)
        patient.execute("PRAGMA busy_timeout = 3000")
        patient.execute("INSERT INTO takes VALUES (2)")
        patient.close()
    (finding,) = trace.findings
    assert finding.check == "no-busy-timeout"
    assert finding.evidence["count"] == 1


def test_the_module_is_as_before_afterwards(path: Path) -> None:
    before = sqlite3.connect
    with watching() as trace:
        assert sqlite3.connect is not before
    assert sqlite3.connect is before
    connection = sqlite3.connect(path)
    connection.execute("BEGIN")
    connection.execute(READ)
    connection.execute(WRITE)
    connection.close()
    assert trace.events == []


def test_a_shape_holds_no_value() -> None:
    secret = "UPDATE t SET a = 'it''s s3cret', b = x'00ff', c = -1.5e3 WHERE id2 = 7"
    assert shape(secret) == "UPDATE t SET a = ?, b = ?, c = ? WHERE id2 = ?"


def test_every_check_of_a_trace_is_tried() -> None:
    assert {check.name for check in all_checks() if check.trace is not None} == {
        *("deferred-read-then-write", "lost-updates"),
        *("foreign-keys-off", "no-busy-timeout"),
    }


PROGRAM = """
import sqlite3, sys
print("the program's own output", sys.argv[1:])
connection = sqlite3.connect("stock.db", isolation_level=None)
connection.execute("PRAGMA foreign_keys = ON")
connection.execute("BEGIN")
connection.execute("SELECT name FROM parts WHERE name = 'hunter2'").fetchall()
connection.execute("UPDATE parts SET name = 'hunter2' WHERE id = 1")
connection.execute("COMMIT")
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def shell(path: Path, clean_environment: dict[str, str]) -> Shell:
    (path.parent / "app.py").write_text(PROGRAM)
    return Shell(path.parent, clean_environment)


def test_a_program_is_traced_from_outside(shell: Shell) -> None:
    done = shell(
        *("db", "doctor", "--json", "--trace", "--", sys.executable, "app.py", "0"),
        code=1,
    )
    (finding,) = done.document["findings"]
    assert finding["check"] == "deferred-read-then-write"
    assert finding["subject"].endswith("app.py:8")
    assert "hunter2" not in done.out
    assert "the program's own output ['0']" in done.err


def test_what_the_program_starts_is_traced_too(shell: Shell) -> None:
    (shell.folder / "parent.py").write_text(
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, 'app.py', '0'], check=True)\n"
        "os._exit(0)  # no atexit\n"
    )
    done = shell(
        *("db", "doctor", "--trace", "--", sys.executable, "parent.py"), code=1
    )
    assert "deferred-read-then-write" in done.out


def test_the_program_s_own_sitecustomize_still_runs(shell: Shell) -> None:
    own = shell.folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("print('customised')\n")
    words = ("db", "doctor", "--trace", "--", sys.executable, "app.py", "3")
    existing = shell.environment.get("PYTHONPATH", "")
    path = f"{own}:{existing}" if existing else str(own)
    done = shell.having(PYTHONPATH=path)(*words, code=1)
    assert "customised" in done.err
    assert "ended with exit code 3" in done.err


def test_a_program_without_sqlite(shell: Shell) -> None:
    done = shell("db", "doctor", "--trace", "--", sys.executable, "-c", "print(1)")
    assert "no connection" in done.err
    assert "healthy" in done.out


def test_a_program_that_does_not_exist(shell: Shell) -> None:
    done = shell("db", "doctor", "--trace", "--json", "--", "no-such-program", code=3)
    assert "no-such-program" in json.dumps(done.document)
    assert "--trace --" in shell("db", "doctor", "--trace", code=2).err
