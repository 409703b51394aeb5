"""The command: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
from tests.mover.quirks import make
from tests.preloaded import run

from lockstep.engine import Database

MakeDatabase = Callable[..., Database]


def lockstep(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run(
        [sys.executable, "-m", "lockstep", *words],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
    )


def test_a_move_from_inspection_to_the_way_back(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = make("text_in_integer", tmp_path / "old.db")
    url = make_database("postgresql").url.unmasked()

    seen = lockstep("inspect", str(path), "--html", "r.html", "--json", folder=tmp_path)
    assert seen.returncode == 0, seen.stderr
    findings = json.loads(seen.stdout)["findings"]
    assert [(f["kind"], f["where"]) for f in findings] == [("mixed types", "t.n")]
    page = (tmp_path / "r.html").read_text()
    assert "mixed types" in page
    assert "<script" not in page

    planned = lockstep(
        "move", str(path), url, "--write-plan", "map.toml", folder=tmp_path
    )
    assert planned.returncode == 0, planned.stderr
    assert 'codec = "mixed_text"' in (tmp_path / "map.toml").read_text()
    with psycopg.connect(url) as connection:
        found = connection.execute(b"SELECT to_regclass('t')").fetchone()
    assert found == (None,)

    moved = lockstep("move", str(path), url, "--plan", "map.toml", folder=tmp_path)
    assert moved.returncode == 0, moved.stderr
    assert "every cell is the same" in moved.stdout
    assert "copied t: 7 of 7 rows" in moved.stderr

    assert lockstep("verify", str(path), url, folder=tmp_path).returncode == 0
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"UPDATE t SET n = 'pear' WHERE n = 'apple'")
    different = lockstep("verify", str(path), url, "--json", folder=tmp_path)
    assert different.returncode == 1
    (cell,) = json.loads(different.stdout)["differences"]
    assert (cell["table"], cell["column"], cell["key"]) == ("t", "n", "2")
    assert (cell["source"], cell["target"]) == ("'apple'", "'pear'")

    back = lockstep("move", url, "back.db", "--json", folder=tmp_path)
    assert back.returncode == 0, back.stderr
    document = json.loads(back.stdout)
    assert document["is_exact"]
    with closing(sqlite3.connect(tmp_path / "back.db")) as connection, connection:
        rows = connection.execute("SELECT n, typeof(n) FROM t WHERE id < 3").fetchall()
    connection.close()
    assert rows == [(1, "integer"), ("pear", "text")]


def test_what_goes_wrong_has_its_exit_code(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = make("booleans", tmp_path / "old.db")
    wrong = tmp_path / "no.db"
    wrong.write_bytes(b"this is no database at all, but it is long enough" * 30)
    (tmp_path / "bad.toml").write_text("[tables.nowhere]\n")
    url = make_database("postgresql").url.unmasked()
    gone = "postgresql://nobody:secret@127.0.0.1:1/none"
    for words, code in (
        (("move", str(path), gone), 3),
        (("move", "missing.db", url), 3),
        (("move", str(wrong), url), 1),
        (("inspect", str(wrong)), 1),
        (("move", str(path), url, "--plan", "bad.toml"), 2),
        (("move", str(path), url, "--plan", "absent.toml"), 2),
        (("move", str(path)), 2),
        (("verify", str(path), gone), 3),
    ):
        done = lockstep(*words, folder=tmp_path)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert "secret" not in done.stdout + done.stderr


def test_many_differences_are_shown_by_their_place(tmp_path: Path) -> None:
    for name, weight, word in (("a.db", 0.1, "x"), ("b.db", 0.25, "y")):
        with closing(sqlite3.connect(tmp_path / name)) as file, file:
            file.execute("CREATE TABLE parts (id INTEGER PRIMARY KEY, weight)")
            file.executemany("INSERT INTO parts (weight) VALUES (?)", [(weight,)] * 300)
            file.execute("CREATE TABLE words (id INTEGER PRIMARY KEY, word)")
            file.execute("INSERT INTO words (word) VALUES (?)", (word,))
    shown = lockstep("verify", "a.db", "b.db", folder=tmp_path)
    assert shown.returncode == 1
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["cell", "parts", "weight", "300", "1", "0.1", "0.25"] in lines
    assert ["cell", "words", "word", "1", "1", "'x'", "'y'"] in lines
    assert len(lines) < 8


def test_what_stays_behind_for_one_reason_is_one_line(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as file:
        file.executescript(
            "CREATE TABLE t (a); CREATE VIRTUAL TABLE f USING fts5(a, content=t);"
            + "".join(
                f"CREATE TRIGGER t{n} AFTER INSERT ON t BEGIN SELECT {n}; END;"
                for n in range(3)
            )
        )
    url = make_database("postgresql").url.unmasked()
    moved = lockstep("move", "a.db", url, folder=tmp_path)
    told = [line for line in moved.stderr.splitlines() if "not carried" in line]
    assert [line.split(": ")[1] for line in told] == [
        "virtual table f",
        "4 shadow tables f_data, f_idx, f_docsize, f_config",
        "3 triggers t0, t1, t2",
    ]


def test_a_row_in_quarantine_counts_for_the_exit_code_of_both(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as file, file:
        file.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, w TEXT)")
        file.execute("INSERT INTO t VALUES (1, 'abc'), (2, 'too long')")
    (tmp_path / "map.toml").write_text(
        "[tables.t.columns]\n"
        'w = { type = "varchar(3)", codec = "text", on_dirt = "quarantine" }'
    )
    url = make_database("postgresql").url.unmasked()
    moved = lockstep("move", "a.db", url, "--plan", "map.toml", folder=tmp_path)
    assert moved.returncode == 1, moved.stderr
    assert "1 row not carried, written to lockstep-quarantine.jsonl" in moved.stdout
    assert "every cell that was carried is the same" in moved.stdout
    verified = lockstep("verify", "a.db", url, folder=tmp_path)
    assert verified.returncode == 1, verified.stderr
    assert "t: 1 row in quarantine" in verified.stdout
    assert "the same but for what the move left out" in verified.stdout
    document = json.loads(
        lockstep("verify", "a.db", url, "--json", folder=tmp_path).stdout
    )
    assert (document["is_same"], document["is_exact"]) == (True, False)
    assert (document["quarantined"], document["rows"]) == (1, 1)
