"""A disk that fills up: the target says that it is not complete, and goes on later."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.mover import checker

from lockstep.engine import Database
from lockstep.errors import StorageFailed
from lockstep.mover import Mover
from lockstep.mover.failures import told, write_whole
from lockstep.mover.sqlite import target as sqlite_target

MakeDatabase = Callable[..., Database]


def test_a_full_disk_under_a_file_is_told_and_gone_on_from(
    tmp_path: Path, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, back = tmp_path / "long.db", tmp_path / "back.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT)")
        rows = ((n, f"{n:04}" * 100) for n in range(500))
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        connection.execute("CREATE INDEX t_s ON t (s)")
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    pages = 0
    opened = sqlite_target.open_target_file

    def small(path: Path) -> sqlite3.Connection:
        connection = opened(path)
        if pages:
            connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(sqlite_target, "open_target_file", small)
    done: list[int] = []
    for room in (3, 20, 90):  # too little for the journal, the rows, the index
        pages = room
        with pytest.raises(StorageFailed, match="full") as caught:
            Mover(url, back).move()
        assert "same command again" in caught.value.hint
        with closing(sqlite3.connect(back)) as connection:
            names = connection.execute("SELECT name FROM sqlite_master").fetchall()
            assert ("t_s",) not in names
            if ("lockstep_move_state",) in names:
                state = connection.execute("SELECT status FROM lockstep_move_state")
                assert state.fetchall() == [("copying",)]
                done += connection.execute("SELECT count(*) FROM t").fetchone()
    assert done == [0, 500]
    pages = 0
    result = Mover(url, back).move()
    assert result.is_exact
    assert result.resumed
    assert not result.not_built
    assert checker.typed_rows(back, "t") == checker.typed_rows(path, "t")
    assert Mover(path, back).verify().notices == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
def test_a_report_is_there_whole_or_not(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="/dev/full: there is no room"), told("go"):
        write_whole(Path("/dev/full"), "a report")
    report = tmp_path / "report.html"
    write_whole(report, "the first")

    def parts() -> Iterator[str]:
        yield "the second" * 10_000
        raise OSError(errno.ENOSPC, "no space left")

    with pytest.raises(StorageFailed):
        write_whole(report, parts())
    assert report.read_text() == "the first"
    assert list(tmp_path.iterdir()) == [report]


def test_a_quarantine_file_without_a_folder_is_told_before_anything_moves(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    source = tmp_path / "a.db"
    sqlite3.connect(source).close()
    target = make_database("postgresql")
    for place, why in ((tmp_path / "none" / "q.jsonl", "none"), (tmp_path, "is a")):
        mover = Mover(source, target.url.unmasked(), quarantine=place)
        with pytest.raises(StorageFailed, match=why):
            mover.move()
    with target.read_session() as session:
        schemas = session.connection().exec_driver_sql(
            "SELECT 1 FROM pg_namespace WHERE nspname = 'lockstep_move'"
        )
        assert schemas.all() == []
