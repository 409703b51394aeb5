"""Somebody's file is read as it is, and its folder looks afterwards as before."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.errors import SourceChanged, StorageFailed
from lockstep.mover import Mover, inspect_database
from lockstep.mover.sqlite import source as sqlite_source
from lockstep.mover.sqlite.opening import open_source

MakeDatabase = Callable[..., Database]

LEFT_BEHIND = {
    "wal": "c.execute('PRAGMA journal_mode=WAL'); c.execute('CREATE TABLE t (s TEXT)');"
    "c.execute(\"INSERT INTO t VALUES ('in the wal')\");",
    "hot journal": "c.execute('CREATE TABLE t (s TEXT)');"
    "c.execute(\"INSERT INTO t VALUES ('in the wal')\");"
    "c.execute('PRAGMA cache_size=1'); c.execute('BEGIN IMMEDIATE');"
    "c.execute(\"UPDATE t SET s = 'never committed'\");"
    "c.executemany('INSERT INTO t VALUES (?)', [('x' * 3000,)] * 200);",
}


def content(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
    }


def abandoned(path: Path, what: str) -> None:
    """Let another process write and die without closing anything."""
    program = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        f"{LEFT_BEHIND[what]}\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)


@pytest.mark.parametrize("without_shm", [False, True])
@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_what_a_crash_left_is_read_and_left(
    what: str, without_shm: bool, tmp_path: Path, make_database: MakeDatabase
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    path = folder / "app.db"
    abandoned(path, what)
    if without_shm:
        Path(f"{path}-shm").unlink(missing_ok=True)
    before = content(folder)
    assert len(before) > 1, "nothing was left behind"
    url = make_database("postgresql").url.unmasked()
    inspect_database(path)
    result = Mover(path, url).move()
    assert result.is_exact
    assert any("copy" in notice for notice in result.notices)
    assert content(folder) == before
    assert checker.postgresql_rows(url, "t").total() == 1
    assert (b"in the wal",) in checker.postgresql_rows(url, "t")


def test_a_live_program_goes_on(tmp_path: Path, make_database: MakeDatabase) -> None:
    path = tmp_path / "live.db"
    live = sqlite3.connect(path, isolation_level=None)
    live.execute("PRAGMA journal_mode = WAL")
    live.execute("CREATE TABLE t (n INTEGER)")
    live.execute("INSERT INTO t VALUES (1)")
    program = (
        "import sqlite3, sys\nfrom lockstep.mover import Mover\n"
        "def tell(event):\n"
        "    print(event.phase, flush=True)\n"
        "    if event.phase == 'copy': sys.stdin.readline()\n"
        "result = Mover(sys.argv[1], sys.argv[2], on_progress=tell).move()\n"
        "print(result.is_exact, flush=True)\n"
    )
    url = make_database("postgresql").url.unmasked()
    mover = subprocess.Popen(
        [sys.executable, "-c", program, str(path), url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert mover.stdout
    for line in mover.stdout:
        if line.strip() == "copy":
            break
    live.execute("INSERT INTO t VALUES (2)")
    rest, _ = mover.communicate("go on\n", timeout=60)
    assert rest.strip().endswith("True")
    assert checker.postgresql_rows(url, "t") == {(b"1",): 1}
    assert live.execute("SELECT count(*) FROM t").fetchone() == (2,)
    live.close()


def test_a_file_that_changes_under_the_reader_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "quiet.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (n INTEGER)")
    connection.close()
    with open_source(path) as source:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO t VALUES (1)")
        connection.close()
        with pytest.raises(SourceChanged):
            source.check_unchanged()


def test_our_own_open_database_is_read(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    db = make_database("sqlite")
    with db.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")
        connection.exec_driver_sql("INSERT INTO t VALUES (7)")
        connection.commit()
        path = db.url.path
        assert path is not None
        url = make_database("postgresql").url.unmasked()
        assert Mover(path, url).move().is_exact
        connection.exec_driver_sql("INSERT INTO t VALUES (8)")
        connection.commit()
    assert checker.postgresql_rows(url, "t") == {(b"7",): 1}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    with pytest.raises(StorageFailed, match="pipe"):
        open_source(tmp_path / "pipe.db")


def copies() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("lockstep-source-*"))


def test_the_copy_of_a_killed_reader_is_removed_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = tmp_path / "app.db"
    abandoned(path, "wal")
    program = (
        "import sys, tempfile\nfrom pathlib import Path\n"
        "from lockstep.mover.sqlite.opening import open_source\n"
        "tempfile.tempdir = sys.argv[2]\n"
        "source = open_source(Path(sys.argv[1]))\n"
        "print('open', flush=True)\nsys.stdin.read()\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", program, str(path), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert reader.stdout
    assert reader.stdin
    reader.stdout.readline()
    (theirs,) = copies()
    # Made by somebody who has not locked it yet.
    (tmp_path / "lockstep-source-new").mkdir()
    with open_source(path):
        assert len(copies()) == 3
    assert theirs in copies()
    reader.kill()
    reader.wait()
    reader.stdin.close()
    reader.stdout.close()
    with open_source(path) as source:
        assert theirs not in copies()
        assert source.connection.execute("SELECT s FROM t").fetchall() == [
            ("in the wal",)
        ]
    assert copies() == {tmp_path / "lockstep-source-new"}


def test_a_full_folder_for_the_copy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = tmp_path / "app.db"
    abandoned(path, "wal")

    def full(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StorageFailed, match=f"no room in {tmp_path}") as caught:
        open_source(path)
    assert "TMPDIR" in caught.value.hint
    assert not copies()


def test_a_long_read_says_whom_it_keeps_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_source, "WAITING_TOLD_BYTES", 1)
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (n INTEGER)")
    (told,) = inspect_database(path).notices
    assert told.startswith(f"who writes to {path} waits")
    assert f"lockstep db backup copy.db --url {path}" in told
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert not inspect_database(path).notices
