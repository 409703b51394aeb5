"""PostgreSQL's own failures: locks, timeouts, lost connections, privileges."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from lockstep.contrib.pytest.faults import LockHolder
from lockstep.engine import Database, classify
from lockstep.engine.postgresql_errors import (
    CLASSES,
    STATES,
    classify_postgresql,
)
from lockstep.errors import (
    AccessDenied,
    Busy,
    CheckFailed,
    ConfigError,
    ConnectionLost,
    EngineError,
    InvalidValue,
    LockstepError,
    Timeout,
)

pytestmark = pytest.mark.engines("postgresql")


def run(db: Database, *statements: str) -> None:
    with db.write_session() as session:
        for statement in statements:
            session.execute(sa.text(statement))


@pytest.fixture
def part(db: Database) -> Database:
    run(
        db,
        "CREATE TABLE part (id integer PRIMARY KEY, n integer)",
        "INSERT INTO part VALUES (1, 1), (2, 2)",
    )
    return db


def again(db: Database, **postgresql: Any) -> Database:
    """Open the same database with other timeouts."""
    settings = db.settings.model_copy(
        update={"postgresql": db.settings.postgresql.model_copy(update=postgresql)}
    )
    return Database(db.url.unmasked(), settings=settings)


def test_a_lock_is_waited_for_as_long_as_set(
    part: Database, lock_holder: LockHolder
) -> None:
    with again(part, lock_timeout_s=0.2) as quick, lock_holder(part, table="part"):
        started = time.monotonic()
        with pytest.raises(Busy) as caught:
            run(quick, "UPDATE part SET n = 2")
        assert 0.15 < time.monotonic() - started < 3
        assert caught.value.retryable


def test_a_statement_runs_as_long_as_set(part: Database) -> None:
    with again(part, statement_timeout_s=0.2) as quick:
        with pytest.raises(Timeout) as caught:
            run(quick, "SELECT pg_sleep(20)")
        assert "STATEMENT_TIMEOUT" in caught.value.hint


def test_a_transaction_that_was_forgotten_is_ended(part: Database) -> None:
    with (
        again(part, idle_in_transaction_timeout_s=0.1) as quick,
        pytest.raises(ConnectionLost) as caught,
        quick.write_session() as session,
    ):
        pid = session.scalar(sa.text("SELECT pg_backend_pid()"))
        wait_until_gone(part, pid)
        session.execute(sa.text("SELECT 1"))
    assert caught.value.retryable


def wait_until_gone(db: Database, pid: int) -> None:
    query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with db.read_session() as session:
            if not session.scalar(query, {"pid": pid}):
                return
    raise AssertionError("the server kept the session")


def test_two_transactions_that_wait_for_each_other(part: Database) -> None:
    barrier, errors = threading.Barrier(2, timeout=20), list[LockstepError]()

    def update(first: int, second: int) -> None:
        try:
            with part.write_session() as session:
                session.execute(sa.text(f"UPDATE part SET n = 0 WHERE id = {first}"))
                barrier.wait()
                session.execute(sa.text(f"UPDATE part SET n = 0 WHERE id = {second}"))
        except LockstepError as error:
            errors.append(error)

    threads = [threading.Thread(target=update, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(error) for error in errors] == [Busy]
    assert errors[0].detail["sqlstate"] == "40P01"


def test_a_snapshot_that_was_overtaken(part: Database) -> None:
    with pytest.raises(Busy) as caught, part.write_session() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(sa.text("SELECT * FROM part")).all()
        run(part, "UPDATE part SET n = 5 WHERE id = 1")
        session.execute(sa.text("UPDATE part SET n = 6 WHERE id = 1"))
    assert caught.value.detail["sqlstate"] == "40001"


def test_a_connection_that_the_server_ends(part: Database) -> None:
    with pytest.raises(ConnectionLost) as caught, part.write_session() as session:
        pid = session.scalar(sa.text("SELECT pg_backend_pid()"))
        run(part, f"SELECT pg_terminate_backend({pid})")
        session.execute(sa.text("UPDATE part SET n = 9"))
    assert caught.value.retryable
    run(part, "UPDATE part SET n = 7")  # the pool noticed


def test_idle_connections_that_the_server_ended_are_replaced(part: Database) -> None:
    part.ping()
    with again(part) as other:
        run(
            other,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
    run(part, "UPDATE part SET n = 7")


def test_a_server_that_is_not_there() -> None:
    url = "postgresql://anna:s3cret@127.0.0.1:1/fixit"
    with Database(url) as db, pytest.raises(ConnectionLost) as caught:
        db.ping()
    assert "refused" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://h/d?sslmod=require", "postgresql://h/d?prepare_threshold=0"],
)
def test_a_parameter_that_libpq_does_not_know(url: str) -> None:
    with Database(url) as db, pytest.raises(ConfigError, match="unknown parameter"):
        db.ping()


def test_each_refused_login_has_its_own_hint() -> None:
    """A password that was asked for tells a refusal from a lost connection."""
    from lockstep.engine.embedded import EmbeddedPostgres

    with EmbeddedPostgres(tcp=True) as server:
        good = server.url_of("postgres", tcp=True)
        asked = {
            "correct user and password": re.sub(r"s:\w+@", "s:wr0ngpass@", good),
            "PGPASSWORD": re.sub(r"postgres:\w+@", "postgres@", good),
            "createdb": server.url_of("nowhere", tcp=True),
        }
        not_asked = {
            "switch SSL on": f"{good}?sslmode=require",
            "createuser": server.url_of("postgres").replace("postgres@", "nobody@"),
            "make it: createdb": server.url_of("nowhere"),
        }
        with Database(good) as db:
            db.ping()
        for urls, kind in ((asked, AccessDenied), (not_asked, ConnectionLost)):
            for hint, url in urls.items():
                with Database(url) as db, pytest.raises(kind) as caught:
                    db.ping()
                assert hint in caught.value.hint, url
                assert "wr0ngpass" not in str(caught.value)
                assert caught.value.retryable is (kind is ConnectionLost)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgresql://anna@127.0.0.1:1/fixit", "no server listens there"),
        ("postgresql://anna@nowhere.invalid/fixit", "correct the host's name"),
        ("postgresql://anna@/fixit?host=/nowhere", "correct the folder"),
    ],
)
def test_each_unreachable_server_has_its_own_hint(url: str, hint: str) -> None:
    with Database(url) as db, pytest.raises(ConnectionLost) as caught:
        db.ping()
    assert hint in caught.value.hint


def test_words_of_another_language_get_the_hint_that_names_everything() -> None:
    words = "connection failed: FATAL:  Datenbank »x« existiert nicht"
    lost = classify_postgresql(psycopg.OperationalError(words))
    assert "host, port and database" in lost.hint
    late = classify_postgresql(psycopg.errors.ConnectionTimeout("zu spät"))
    assert "firewall" in late.hint


def test_a_schema_without_the_right_to_create(db: Database) -> None:
    """GRANT on the database is not enough since PostgreSQL 15."""
    role = f"role_{db.url.sqlalchemy_url().database}"
    run(
        db,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT ALL ON DATABASE {db.url.sqlalchemy_url().database} TO {role}",
    )
    try:
        with pytest.raises(AccessDenied) as caught:
            run(db, f"SET LOCAL ROLE {role}", "CREATE TABLE x (a integer)")
        assert "permission denied for schema public" in caught.value.message
        assert "ON SCHEMA public" in caught.value.hint
    finally:
        run(db, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'hush-hush'::integer",
        "INSERT INTO part VALUES (99999999999, 1)",
        "SELECT 1 / 0",
        "SELECT 'x'::timestamptz",
        "SELECT '{'::jsonb",
    ],
)
def test_values_that_the_server_refuses(part: Database, statement: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        run(part, statement)
    assert "hush-hush" not in str(caught.value)


def test_a_nul_character_is_refused_by_the_driver(part: Database) -> None:
    with pytest.raises(InvalidValue), part.write_session() as session:
        session.execute(sa.text("SELECT :value"), {"value": "a\0b"})


def test_a_function_speaks_in_its_own_words(part: Database) -> None:
    with pytest.raises(CheckFailed, match="zero parts are no parts"):
        run(part, "DO $$ BEGIN RAISE 'zero parts are no parts'; END $$")


def test_a_failed_transaction_says_so(part: Database) -> None:
    with part.engine.connect() as connection:
        with pytest.raises(sa.exc.DBAPIError):
            connection.execute(sa.text("SELECT 1 / 0"))
        with pytest.raises(sa.exc.DBAPIError) as caught:
            connection.execute(sa.text("SELECT 1"))
    meaning = classify(caught.value)
    assert type(meaning) is EngineError
    assert "earlier statement" in meaning.message


class Reported(psycopg.Error):
    """An error as the server would report it, with any SQLSTATE."""

    def __init__(self, state: str) -> None:
        super().__init__("words that decide nothing")
        self.sqlstate = state


@pytest.mark.parametrize("state", sorted(STATES))
def test_a_state_means_what_the_table_says(state: str) -> None:
    meaning = classify_postgresql(Reported(state))
    assert type(meaning) is STATES[state][0]
    assert meaning.detail["sqlstate"] == state


@pytest.mark.parametrize("family", sorted(CLASSES))
def test_an_unknown_state_means_what_its_family_means(family: str) -> None:
    assert type(classify_postgresql(Reported(f"{family}ZZZ"))) is CLASSES[family][0]


def test_every_state_that_psycopg_knows_has_a_meaning() -> None:
    states = {
        kind.sqlstate
        for kind in vars(psycopg.errors).values()
        if isinstance(kind, type) and issubclass(kind, psycopg.Error) and kind.sqlstate
    }
    assert len(states) > 200
    plain = {s for s in states if type(classify_postgresql(Reported(s))) is EngineError}
    named = {s for s in plain if s in STATES or s[:2] in CLASSES}
    # Families that no statement of an application meets (cursors, foreign data
    # wrappers, configuration files, …) stay the base of the tree.
    assert {s[:2] for s in plain - named} <= {
        *("01", "02", "03", "09", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21"),
        *("24", "26", "27", "2B", "2D", "2F", "34", "38", "39", "3B", "F0", "HV"),
        *("72", "3D", "3F"),
    }
