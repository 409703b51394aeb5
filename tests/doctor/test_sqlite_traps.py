"""Every seeded trap in a SQLite file fires its check, and no other."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.doctor.corpus import TRAPS, Trap, make

from lockstep.doctor import Report, all_checks, examine


def told(report: Report) -> set[tuple[str, str, str]]:
    return {(f.check, f.severity, f.subject) for f in report.findings}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str, str]]:
    path = make(tmp_path_factory.mktemp("healthy") / "trap.db")
    return told(examine(path))


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_a_trap_fires_exactly_its_check(
    trap: Trap, tmp_path: Path, healthy: set[tuple[str, str, str]]
) -> None:
    path = make(tmp_path / "trap.db", trap.sql, wal=trap.wal)
    if trap.after is not None:
        trap.after(path)
    report = examine(path)
    assert report.unfinished == ()
    added = told(report) - healthy
    assert added - trap.also == trap.expected
    assert report.is_healthy is all(
        severity == "notice" for _, severity, _ in trap.expected
    )


def test_every_check_of_sqlite_has_a_trap() -> None:
    trapped = {check for trap in TRAPS for check, _, _ in trap.expected}
    elsewhere = {
        "readable",  # test_sqlite_files.py: damaged, empty, encrypted, held
        "foreign-keys-off",  # always a notice; below
        # test_sqlite_machine.py: what the machine, not the file, decides
        *(
            "backup-by-copy",
            "bind-limit",
            "durability",
            "file-system",
            "migration-history",
        ),
        *("not-strict", "second-sqlite-library", "sqlite-bugs", "wal-size"),
    }
    looking = {check.name for check in all_checks() if check.sqlite is not None}
    assert looking - trapped == elsewhere


def test_a_healthy_database_gets_no_warning(tmp_path: Path) -> None:
    report = examine(make(tmp_path / "healthy.db"))
    assert report.is_healthy, [f.what for f in report.findings]
    assert report.unfinished == ()


def test_declared_foreign_keys_are_said_to_be_off_by_default(tmp_path: Path) -> None:
    report = examine(make(tmp_path / "healthy.db"), checks=["foreign-keys-off"])
    (found,) = report.findings
    assert found.severity == "notice"
    assert found.evidence["foreign_keys"] == 2
    with closing(sqlite3.connect(tmp_path / "none.db")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    report = examine(tmp_path / "none.db", checks=["foreign-keys-off"])
    assert report.findings == ()


def test_every_finding_says_what_why_and_how_to_mend(tmp_path: Path) -> None:
    for number, trap in enumerate(TRAPS):
        path = make(tmp_path / f"{number}.db", trap.sql, wal=trap.wal)
        for finding in examine(path).findings:
            json.dumps(finding.to_json())
            for text in (finding.what, finding.why, finding.mend):
                assert len(text) > 10
                assert "  " not in text
            assert not finding.what.endswith(".")
            if finding.command.startswith(("SELECT", "CREATE", "DROP")):
                try_out(path, finding.command)


def try_out(path: Path, command: str) -> None:
    """Run a hint as it is written; only duplicates that are there may refuse it."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN")
        for statement in command.split("; "):
            connection.execute(statement).fetchmany(1)
        connection.execute("ROLLBACK")
    except sqlite3.IntegrityError as error:
        if "UNIQUE" not in str(error):
            raise
    finally:
        connection.close()


def test_no_stored_text_is_ever_shown(tmp_path: Path) -> None:
    secret = "correct horse battery staple"
    path = make(
        tmp_path / "trap.db",
        OFF_AND_SECRET.format(secret=secret),
    )
    report = examine(path)
    assert not report.is_healthy
    assert secret not in json.dumps(report.to_json())


OFF_AND_SECRET = """
PRAGMA foreign_keys = OFF;
UPDATE orders SET total_cents = '{secret}', note = CAST('{secret}' AS BLOB);
CREATE TABLE users (name TEXT PRIMARY KEY, boss TEXT REFERENCES users (name));
INSERT INTO users VALUES ('ann', '{secret}'), ('{secret}', NULL);
DELETE FROM users WHERE boss IS NULL;
"""
