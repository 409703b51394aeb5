"""PostgreSQL connections: time zone, timeouts, prepared statements, poolers."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lockstep.config import load_settings
from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.engine import Database
from lockstep.engine.embedded import EmbeddedPostgres
from lockstep.errors import (
    PoolerIncompatible,
    ReadOnlySession,
    UnsupportedCapability,
)

pytestmark = pytest.mark.engines("postgresql")

SETTINGS = sa.text(
    "SELECT current_setting('TimeZone'), current_setting('statement_timeout'),"
    " current_setting('lock_timeout'),"
    " current_setting('idle_in_transaction_session_timeout'),"
    " current_setting('application_name')"
)
WANTED = ("UTC", "7s", "3s", "11s", "lockstep")
TIMEOUTS = {
    "statement_timeout_s": 7,
    "lock_timeout_s": 3,
    "idle_in_transaction_timeout_s": 11,
}
LEFT_BEHIND = (
    "SELECT (SELECT count(*) FROM pg_prepared_statements),"
    " (SELECT string_agg(name, ',' ORDER BY name) FROM pg_settings"
    "  WHERE source = 'session' AND name <> 'application_name')"
)


@pytest.mark.parametrize("pooler", ["none", "transaction"])
def test_every_transaction_has_the_settings(
    make_database: MakeDatabase, pooler: str
) -> None:
    db = make_database("postgresql", postgresql={**TIMEOUTS, "pooler": pooler})
    with db.write_session() as session:
        assert tuple(session.execute(SETTINGS).one()) == WANTED
    with db.read_session() as session:
        assert tuple(session.execute(SETTINGS).one()) == WANTED
    with db.engine.connect() as connection:
        assert tuple(connection.execute(SETTINGS).one()) == WANTED

    async def look() -> tuple[Any, ...]:
        async with db.async_write_session() as session:
            return tuple((await session.execute(SETTINGS)).one())

    assert asyncio.run(look()) == WANTED


def test_a_server_that_only_reads_is_named_to_who_writes(db: Database) -> None:
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
        name = admin.scalar(sa.text("SELECT current_database()"))
        admin.execute(
            sa.text(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        )
    with (
        Database(db.url.unmasked()) as standby,
        pytest.raises(ReadOnlySession, match="standby") as caught,
    ):
        standby.write(lambda unit: unit.execute("CREATE TABLE part (id integer)"))
    assert caught.value.hint is not None
    assert "primary" in caught.value.hint


def on_the_same_backend(db: Database) -> tuple[Any, ...]:
    """Look at the server's side of a connection that was just given back."""
    pid = sa.text("SELECT pg_backend_pid()")
    with db.read_session() as session:
        for number in range(20):  # psycopg prepares at the fifth time
            session.execute(sa.text("SELECT :n + 2"), {"n": number})
    with db.write_session() as session:
        used = session.scalar(pid)
        for number in range(20):
            session.execute(sa.text("SELECT :n + 1"), {"n": number})
    with db.engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        assert connection.scalar(pid) == used, "the pool gave the same connection"
        return tuple(connection.exec_driver_sql(LEFT_BEHIND).one())


def test_behind_a_pooler_nothing_is_left_on_the_connection(
    make_database: MakeDatabase,
) -> None:
    db = make_database("postgresql", postgresql={"pooler": "transaction"})
    assert on_the_same_backend(db) == (0, None)
    assert not db.capabilities.session_state
    with pytest.raises(UnsupportedCapability, match="behind this pooler"):
        db.capabilities.require("session_state")


def test_a_direct_connection_keeps_what_makes_it_fast(db: Database) -> None:
    prepared, settings = on_the_same_backend(db)
    assert prepared > 0
    assert "statement_timeout" in settings
    assert db.capabilities.session_state


def test_read_sessions_keep_prepared_statements(db: Database) -> None:
    """psycopg throws them away after a rollback, so a reader ends otherwise."""
    with db.write_session() as session:
        pid = session.scalar(sa.text("SELECT pg_backend_pid()"))
    for number in range(10):
        with db.read_session() as session:
            session.execute(sa.text("SELECT :n + 3"), {"n": number})
    with db.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT pg_backend_pid()")) == pid
        prepared = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%% + 3'"
        )
        assert prepared.scalar() == 1


def test_the_url_decides_whether_there_is_a_pooler(db: Database) -> None:
    url = db.url.unmasked() + "&pgbouncer=true"
    with Database(url, settings=load_settings(env={}, url=url)) as seen:
        assert on_the_same_backend(seen) == (0, None)
        assert seen.describe().facts["behind_pooler"] is True
    loaded = load_settings(env={}, url=url, postgresql={"pooler": "none"})
    with Database(url, settings=loaded) as told:
        assert told.describe().facts["behind_pooler"] is False


def test_a_pooler_that_nobody_named_is_noticed(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It numbers processes by itself, and hands statements on to others' servers."""
    number = property(lambda _: 4711)
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", number)
    url = db.url.unmasked()
    with Database(url, settings=load_settings(env={}, url=url)) as seen:
        assert on_the_same_backend(seen) == (0, None)
        assert seen.describe().facts["behind_pooler"] is True
        with seen.write_session() as session:
            assert session.execute(SETTINGS).one()[0] == "UTC"

        async def look() -> Any:
            async with seen.async_write_session() as session:
                for number in range(20):
                    await session.execute(sa.text("SELECT :n + 4"), {"n": number})
                return (await session.execute(sa.text(LEFT_BEHIND))).one()[0]

        assert asyncio.run(look()) == 0


def test_a_read_session_begins_read_only_and_repeatable(db: Database) -> None:
    facts = sa.text(
        "SELECT current_setting('transaction_isolation'),"
        " current_setting('transaction_read_only')"
    )
    with db.read_session() as session:
        assert tuple(session.execute(facts).one()) == ("repeatable read", "on")
    with db.write_session() as session:
        assert tuple(session.execute(facts).one()) == ("read committed", "off")


@pytest.mark.parametrize("commits", [True, False])
def test_what_a_reader_sets_ends_with_it(db: Database, commits: bool) -> None:
    """The next one who gets the connection finds it as it was made."""
    asked = sa.text("SELECT current_setting('work_mem'), pg_backend_pid()")
    with db.read_session() as session:
        before = tuple(session.execute(asked).one())
    with db.read_session() as session:
        session.execute(sa.text("SET work_mem = '123MB'"))
        session.execute(sa.text("SELECT 1"))
        if commits:
            session.commit()

    async def set_it() -> None:
        async with db.async_read_session() as asession:
            await asession.execute(sa.text("SET work_mem = '123MB'"))
        async with db.async_read_session() as asession:
            assert (await asession.execute(asked)).one()[0] == before[0]
        await db.aclose()

    with db.read_session() as session:
        assert tuple(session.execute(asked).one()) == before
    asyncio.run(set_it())


def test_a_dead_machine_is_noticed_unless_the_url_says_otherwise() -> None:
    def asked_for(query: str) -> dict[str, Any]:
        with Database(f"postgresql://db.example/shop?{query}") as other:
            ours = other._backend.engine_arguments()["connect_args"]
            given = other._backend.engine_url(async_=False).query
        assert not ours.keys() & given.keys()
        return conninfo_to_dict(make_conninfo(**ours, **given))  # libpq knows each

    assert asked_for("")["tcp_user_timeout"] == "40000"
    mine = asked_for("tcp_user_timeout=5&keepalives_idle=7")
    assert (mine["tcp_user_timeout"], mine["keepalives_idle"]) == ("5", "7")
    assert mine["keepalives_count"] == "4"


def test_options_of_the_url_are_kept(db: Database) -> None:
    url = db.url.unmasked() + "&options=-csearch_path%3Dpg_catalog&application_name=x"
    with Database(url) as other, other.read_session() as session:
        assert session.scalar(sa.text("SHOW search_path")) == "pg_catalog"
        assert session.scalar(sa.text("SHOW application_name")) == "x"
        assert session.scalar(sa.text("SHOW TimeZone")) == "UTC"


def test_times_come_back_in_utc_whatever_the_server_says(db: Database) -> None:
    name = db.url.sqlalchemy_url().database
    with db.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")
    db.close()
    with db.read_session() as session:
        found = session.scalar(sa.text("SELECT '2026-01-01 00:00+00'::timestamptz"))
    assert found.isoformat() == "2026-01-01T00:00:00+00:00"


def test_a_limit_of_zero_is_no_limit(make_database: MakeDatabase) -> None:
    db = make_database("postgresql", postgresql=dict.fromkeys(TIMEOUTS, 0))
    with db.read_session() as session:
        assert tuple(session.execute(SETTINGS).one())[1:4] == ("0", "0", "0")


def pgbouncer() -> str | None:
    # Debian installs it where only root looks.
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    return shutil.which("pgbouncer", path=places)


@pytest.fixture
def bounced_url() -> Iterator[str]:
    """A real pgbouncer in transaction mode, two server connections for everybody."""
    program = pgbouncer()
    if program is None:
        pytest.skip("pgbouncer is not installed; what it needs is tested above")
    folder = Path(tempfile.mkdtemp(prefix="ls-"))
    folder.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with EmbeddedPostgres(tcp=True) as server:
        url = sa.engine.make_url(server.url_of("postgres", tcp=True))
        (folder / "users").write_text(f'"postgres" "{url.password}"\n')
        (folder / "ini").write_text(
            "[databases]\n"
            f"postgres = host=127.0.0.1 port={url.port} password={url.password}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {folder / 'users'}\n"
            "pool_mode = transaction\ndefault_pool_size = 2\n"
        )
        as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
        bouncer = subprocess.Popen(
            [program, "-q", *as_nobody, str(folder / "ini")], stderr=subprocess.DEVNULL
        )
        try:
            bounced = url.set(port=port).render_as_string(hide_password=False)
            until_it_answers(bounced)
            open_both_servers(bounced)
            yield bounced
        finally:
            bouncer.terminate()
            bouncer.wait()
            shutil.rmtree(folder)


def until_it_answers(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        else:
            return


def open_both_servers(url: str) -> None:
    """Let it log in twice: a busy machine may do all writes before the second time."""
    with psycopg.connect(url) as one, psycopg.connect(url) as other:
        backends = {
            c.execute("SELECT pg_backend_pid()").fetchone() for c in (one, other)
        }
    assert len(backends) == 2, "two transactions at once"


async def write_fifty_times(db: Database) -> set[int]:
    async def write(number: int) -> int:
        async with db.async_write_session() as session:
            for _ in range(8):
                await session.execute(
                    sa.text("INSERT INTO part VALUES (:n)"), {"n": number}
                )
            return await session.scalar(sa.text("SELECT pg_backend_pid()")) or 0

    return set(await asyncio.gather(*(write(n) for n in range(50))))


@pytest.mark.parametrize("word", ["?pgbouncer=true", ""])
def test_a_real_pgbouncer_in_transaction_mode(bounced_url: str, word: str) -> None:
    url = bounced_url + word
    loaded = load_settings(env={}, url=url, pool={"size": 10})
    with Database(url, settings=loaded) as db:
        with db.write_session() as session:
            session.execute(sa.text("CREATE TABLE part (id integer)"))
        backends = asyncio.run(write_fifty_times(db))
        assert len(backends) == 2, "ten clients shared two server connections"
        with db.read_session() as session:
            assert session.scalar(sa.text("SELECT count(*) FROM part")) == 400
    for _ in backends:
        with psycopg.connect(bounced_url, prepare_threshold=None) as connection:
            assert connection.execute(LEFT_BEHIND).fetchone() == (0, None)


def test_told_that_it_is_not_there_a_real_pgbouncer_mixes_clients_up(
    bounced_url: str,
) -> None:
    """The hazard itself, so that the test above could fail."""
    loaded = load_settings(
        env={}, url=bounced_url, pool={"size": 10}, postgresql={"pooler": "none"}
    )
    with Database(bounced_url, settings=loaded) as db:
        with db.write_session() as session:
            session.execute(sa.text("CREATE TABLE part (id integer)"))
        with pytest.raises(PoolerIncompatible) as caught:
            asyncio.run(write_fifty_times(db))
    assert "LOCKSTEP_POSTGRESQL__POOLER=transaction" in caught.value.hint
