"""The embedded PostgreSQL: it starts as anybody and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from lockstep.engine import Database, embedded, supervisor
from lockstep.engine.embedded import EmbeddedPostgres, Installation, find_installation
from lockstep.engine.scratch import scratch_database
from lockstep.errors import ConfigError, EngineError


def query(url: str, sql: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(sql).fetchone()  # type: ignore[call-overload]
        assert row is not None
        return str(row[0])


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Let servers live in a folder of this test: short, and open to their user.

    ``tmp_path`` is neither, and has to exist before the temporary folder moves.
    """
    folder = Path(tempfile.mkdtemp(prefix="ls-"))
    folder.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    monkeypatch.undo()
    tempfile.tempdir = None
    shutil.rmtree(folder, ignore_errors=True)


def homes(base: Path) -> list[Path]:
    return sorted(base.glob(f"{supervisor.PREFIXES['postgresql']}*"))


def until(fact: object, *, within_s: float = 20) -> bool:
    assert callable(fact)
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if fact():
            return True
        threading.Event().wait(0.02)
    return False


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_it_starts_answers_and_is_gone(base: Path) -> None:
    with EmbeddedPostgres() as server:
        assert query(server.url, "SHOW wal_level") == "logical"
        assert query(server.url, "SHOW server_encoding") == "UTF8"
        assert len(homes(base)) == 1
        pid = int(query(server.url, "SELECT pg_backend_pid()"))
        assert pid > 0
    assert homes(base) == []


def test_it_can_stream_changes() -> None:
    with EmbeddedPostgres() as server, psycopg.connect(server.url) as connection:
        connection.autocommit = True
        connection.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
        connection.execute("SELECT pg_drop_replication_slot('s')")


def test_two_servers_do_not_meet() -> None:
    with EmbeddedPostgres() as one, EmbeddedPostgres() as other:
        assert one.url != other.url
        query(one.url, "SELECT set_config('x.y', '1', false)")
        assert query(other.url, "SELECT 1") == "1"


def test_tcp_asks_for_a_password() -> None:
    with EmbeddedPostgres(tcp=True) as server:
        url = server.url_of("postgres", tcp=True)
        assert query(url, "SELECT 1") == "1"
        without = url.replace(url.split("://")[1].split("@")[0], "postgres")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(without)


def test_the_socket_is_not_for_everybody() -> None:
    with EmbeddedPostgres() as server:
        folder = server.url.partition("host=")[2].partition("&")[0]
        mode = Path(folder.replace("%2F", "/")).stat().st_mode
        assert mode & 0o077 == 0


def test_starting_and_stopping_twice_is_harmless() -> None:
    server = EmbeddedPostgres()
    server.stop()
    assert server.start().start().url
    server.stop()
    server.stop()
    server.start()
    assert query(server.url, "SELECT 1") == "1"
    server.stop()


_CREATOR = """
import sys, time
from lockstep.engine.embedded import EmbeddedPostgres
server = EmbeddedPostgres().start()
print(server.url, flush=True)
if sys.argv[1] == "exit":
    sys.exit(0)
if sys.argv[1] == "error":
    raise RuntimeError
time.sleep(600)
"""


@pytest.mark.parametrize(
    "ending",
    ["exit", "error", signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP],
)
def test_it_ends_with_its_creator(base: Path, ending: str | signal.Signals) -> None:
    creator = subprocess.Popen(
        [sys.executable, "-c", _CREATOR, str(ending)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert creator.stdout
    assert creator.stdout.readline().startswith("postgresql://")
    if isinstance(ending, signal.Signals):
        assert homes(base)
        creator.send_signal(ending)
    creator.communicate(timeout=60)
    assert until(lambda: homes(base) == []), "the directory is still there"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends the child (prctl)")
def test_it_ends_even_with_its_supervisor(base: Path) -> None:
    server = EmbeddedPostgres().start()
    (home,) = homes(base)
    postmaster = int((home / "data/postmaster.pid").read_text().split()[0])
    process = server._process
    assert process is not None
    process.kill()
    process.wait()
    assert until(lambda: not runs(postmaster)), "the server outlived its supervisor"
    server.stop()
    assert home.exists()
    # What the killed one could not remove, the next one does, when it is old.
    supervisor.remove_stale(home.parent)
    assert home.exists()
    os.utime(home, (0, 0))
    supervisor.remove_stale(home.parent)
    assert not home.exists()


def test_a_living_server_is_not_taken_for_a_stale_one(base: Path) -> None:
    with EmbeddedPostgres() as server:
        (home,) = homes(base)
        os.utime(home, (0, 0))
        supervisor.remove_stale(home.parent)
        assert query(server.url, "SELECT 1") == "1"


def test_a_forked_child_leaves_its_parent_s_server_alone() -> None:
    with EmbeddedPostgres() as server:
        pid = os.fork()
        if pid == 0:
            server.stop()
            os._exit(0)
        os.waitpid(pid, 0)
        assert query(server.url, "SELECT 1") == "1"


def test_it_stops_although_a_forked_child_lives_on(base: Path) -> None:
    server = EmbeddedPostgres().start()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_end)
        os.read(read_end, 1)
        os._exit(0)
    server.stop()
    assert homes(base) == []
    os.close(write_end)
    os.close(read_end)
    os.waitpid(pid, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to serve")
def test_an_installation_in_a_private_home_is_copied(tmp_path: Path) -> None:
    found = find_installation()
    for part in found.parts:
        shutil.copytree(found.root / part, tmp_path / part, symlinks=True)
    tmp_path.chmod(0o700)
    server = EmbeddedPostgres()
    with pytest.MonkeyPatch.context() as patch:
        private = Installation(tmp_path, found.bin, found.parts)
        patch.setattr(embedded, "find_installation", lambda: private)
        server.start()
    assert query(server.url, "SELECT 1") == "1"
    server.stop()


def test_binaries_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(embedded.BIN_VARIABLE, str(tmp_path))
    with pytest.raises(EngineError, match="without initdb"):
        EmbeddedPostgres().start()


def test_the_server_s_own_words_when_it_does_not_start(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = base / "bin"
    folder.mkdir()
    for name in ("initdb", "postgres"):
        (folder / name).write_text("#!/bin/sh\necho out of parts >&2\nexit 3\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv(embedded.BIN_VARIABLE, str(folder))
    with pytest.raises(EngineError, match="out of parts"):
        EmbeddedPostgres().start()
    assert until(lambda: homes(base) == [])


def test_a_scratch_database_is_empty_then_gone() -> None:
    for dialect in ("sqlite", "postgresql"):
        with scratch_database(dialect) as url, Database(url) as db:
            assert db.dialect_name == dialect
            with db.engine.begin() as connection:
                assert connection.dialect.has_table(connection, "part") is False
                connection.exec_driver_sql("CREATE TABLE part (id INTEGER)")
        if dialect == "sqlite":
            assert db.url.path is not None
            assert not db.url.path.parent.exists()
        else:
            with Database(url) as gone, pytest.raises(EngineError):
                gone.ping()


def test_a_scratch_database_is_dropped_under_an_open_session(
    postgres_server: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKSTEP_TEST_DSN", postgres_server.url)  # type: ignore[attr-defined]
    with scratch_database("postgresql") as url:
        forgotten = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        forgotten.execute("SELECT 1")
    forgotten.close()


def test_there_is_no_scratch_database_of_an_unknown_kind() -> None:
    with pytest.raises(ConfigError), scratch_database("oracle"):
        pass
