"""The decision, row by row, and the measurements that it is fed with."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.doctor.corpus import make

from lockstep.contrib.pytest.databases import MakeDatabase
from lockstep.doctor.advice import Facts, Stated, Verdict, decide, measure
from lockstep.doctor.advice.decision import (
    LIBSQL_WRITES_PER_HOUR_MAX,
    TERABYTE,
    WRITES_PER_HOUR_MAX,
)
from lockstep.doctor.targets import parse_target

FILE = Facts(target="shop.db", now="stay-on-sqlite", file_system="", size_bytes=10**6)
LOCAL = Facts(now="postgresql-local")
HOSTED = Facts(now="postgresql-hosted")
LIBSQL = Facts(now="libsql-server")


def facts(**changes: Any) -> Facts:
    known: dict[str, Any] = {"now": "stay-on-sqlite", "file_system": ""}
    return Facts(**(known | changes))


TABLE: list[tuple[str, Facts, Stated, Verdict]] = [
    ("nothing known", Facts(), Stated(), "stay-on-sqlite"),
    ("a file", FILE, Stated(), "stay-on-sqlite"),
    ("fifty users", FILE, Stated(users=50), "stay-on-sqlite"),
    ("one server", FILE, Stated(app_servers=1), "stay-on-sqlite"),
    ("two servers", FILE, Stated(app_servers=2), "postgresql-local"),
    (
        "two rented servers",
        FILE,
        Stated(app_servers=2, hosting="vps"),
        "postgresql-local",
    ),
    (
        "two servers, SQLite's SQL",
        FILE,
        Stated(app_servers=2, keep_sqlite_sql=True),
        "libsql-server",
    ),
    (
        "SQLite's SQL alone asks for no server",
        FILE,
        Stated(keep_sqlite_sql=True),
        "stay-on-sqlite",
    ),
    (
        "a libSQL server at its end",
        FILE,
        Stated(
            app_servers=2,
            keep_sqlite_sql=True,
            writes_per_hour=LIBSQL_WRITES_PER_HOUR_MAX + 1,
        ),
        "postgresql-local",
    ),
    (
        "a libSQL server takes no long transaction",
        FILE,
        Stated(app_servers=2, keep_sqlite_sql=True, longest_write_s=6),
        "postgresql-local",
    ),
    ("serverless", FILE, Stated(hosting="serverless"), "postgresql-hosted"),
    ("on-premise", FILE, Stated(hosting="on-premise"), "stay-on-sqlite"),
    (
        "many writes",
        FILE,
        Stated(writes_per_hour=WRITES_PER_HOUR_MAX),
        "stay-on-sqlite",
    ),
    (
        "too many writes",
        FILE,
        Stated(writes_per_hour=WRITES_PER_HOUR_MAX + 1),
        "postgresql-local",
    ),
    (
        "too many writes were measured",
        facts(writes_per_hour=WRITES_PER_HOUR_MAX + 1.0, watched_s=3),
        Stated(writes_per_hour=100),
        "postgresql-local",
    ),
    (
        "too many users, each of whom writes",
        FILE,
        Stated(users=WRITES_PER_HOUR_MAX),
        "postgresql-local",
    ),
    (
        "many users, few writes",
        FILE,
        Stated(users=WRITES_PER_HOUR_MAX, writes_per_hour=9),
        "stay-on-sqlite",
    ),
    ("a second", FILE, Stated(longest_write_s=1), "stay-on-sqlite"),
    ("a long write", FILE, Stated(longest_write_s=1.1), "postgresql-local"),
    ("large", facts(size_bytes=TERABYTE - 1), Stated(), "stay-on-sqlite"),
    ("too large", facts(size_bytes=TERABYTE), Stated(), "postgresql-local"),
    ("on a network drive", facts(file_system="nfs4"), Stated(), "postgresql-local"),
    (
        "on a network drive, of one host",
        facts(file_system="nfs4"),
        Stated(app_servers=1),
        "stay-on-sqlite",
    ),
    ("offline, alone", FILE, Stated(offline=True, users=1), "stay-on-sqlite"),
    ("offline, together", FILE, Stated(offline=True, users=2), "postgresql-local"),
    ("offline, who knows", FILE, Stated(offline=True), "postgresql-local"),
    ("a server has no reason to leave", LOCAL, Stated(users=1), "postgresql-local"),
    ("nor a hosted one", HOSTED, Stated(users=1), "postgresql-hosted"),
    (
        "out of the cloud",
        HOSTED,
        Stated(hosting="on-premise"),
        "postgresql-local",
    ),
    ("into it", LOCAL, Stated(hosting="serverless"), "postgresql-hosted"),
    ("a libSQL server", LIBSQL, Stated(app_servers=3), "libsql-server"),
    ("shared offline", LIBSQL, Stated(offline=True), "postgresql-local"),
]


@pytest.mark.parametrize(
    ("known", "stated", "verdict"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_a_row_of_the_table(known: Facts, stated: Stated, verdict: Verdict) -> None:
    advice = decide(known, stated)
    assert advice.verdict == verdict
    over = [reason.rule for reason in advice.reasons if reason.is_over]
    if known.now in (None, "stay-on-sqlite"):
        assert bool(over) is (verdict != "stay-on-sqlite")
    assert advice.is_to_move is (known.now not in (None, verdict))
    assert all(other != verdict for _, other in advice.would_change)
    assert all(r.threshold and r.source and r.value for r in advice.reasons)
    assert advice.next_commands


def test_what_would_change_it_does() -> None:
    said = dict(decide(FILE, Stated(users=50)).would_change)
    assert said == {
        "--app-servers 2": "postgresql-local",
        f"--writes-per-hour {WRITES_PER_HOUR_MAX + 1}": "postgresql-local",
        "--longest-write-s 2": "postgresql-local",
        "--hosting serverless": "postgresql-hosted",
        "--offline": "postgresql-local",
    }


def test_what_is_not_known_is_said() -> None:
    (said, *_) = decide(FILE, Stated(app_servers=1)).cautions
    assert "application servers" not in said
    assert "a disk that stays" in said


def test_the_page_shows_the_thresholds_of_the_code() -> None:
    page = Path(__file__).parents[2] / "docs/howto/choose.md"
    text = page.read_text(encoding="utf-8")
    for reason in decide(FILE, Stated()).reasons:
        assert f"| {reason.rule} | {reason.threshold} |" in text


@contextmanager
def writing(write: Callable[[], object]) -> Generator[None]:
    """Call ``write`` again and again while the block runs."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.02):
            write()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_file_is_measured_and_left_as_it_is(tmp_path: Path) -> None:
    path = make(tmp_path / "shop.db", wal=True)
    before = hashlib.sha256(path.read_bytes()).digest()
    quiet = measure(parse_target(path), watch_s=0.05)
    assert hashlib.sha256(path.read_bytes()).digest() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["shop.db"]
    assert (quiet.now, quiet.journal_mode, quiet.file_system, quiet.tables) == (
        "stay-on-sqlite",
        "wal",
        "",
        3,
    )
    assert quiet.size_bytes == path.stat().st_size
    assert quiet.writes_per_hour == 0


@pytest.mark.parametrize("wal", [True, False], ids=["wal", "rollback"])
def test_writes_of_others_are_seen(tmp_path: Path, wal: bool) -> None:
    path = make(tmp_path / "shop.db", wal=wal)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with writing(
        lambda: connection.execute("UPDATE orders SET total_cents = total_cents + 1")
    ):
        busy = measure(parse_target(path), watch_s=0.6)
    connection.close()
    assert busy.writes_per_hour is not None
    # Each look that saw one counts, and in rollback mode there are few looks.
    assert busy.writes_per_hour * busy.watched_s / 3600 >= (4 if wal else 2)


def test_a_server_is_measured(make_database: MakeDatabase) -> None:
    url = make_database("postgresql").url.unmasked()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (n integer)")
        with writing(lambda: connection.execute("INSERT INTO t VALUES (1)")):
            found = measure(parse_target(url), watch_s=0.3)
    assert (found.now, found.tables) == ("postgresql-local", 1)
    assert found.connections is not None
    assert 1 <= found.connections[0] < found.connections[1]
    assert (found.writes_per_hour or 0) > 0
    assert (found.size_bytes or 0) > 10**6
