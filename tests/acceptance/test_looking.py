"""Verbs that only look at a database leave it as it is, to the last byte."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from tests.acceptance.shell import Shell


@pytest.mark.parametrize(
    "words",
    [
        *(["db", "info"], ["migrate", "current"], ["migrate", "history"]),
        *(["migrate", "heads"], ["migrate", "check"], ["db", "backup"]),
        *(["db", "doctor"], ["db", "advise"], ["inspect"]),
    ],
    ids=" ".join,
)
def test_a_file_of_somebody_else_stays_as_it_is(
    words: list[str], project: Shell
) -> None:
    path = project.folder / "theirs.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
    before, there = path.read_bytes(), set(project.folder.iterdir())
    named = [str(path)] if words == ["inspect"] else ["--url", f"sqlite:///{path}"]
    project(*words, *named, code=None)
    assert path.read_bytes() == before
    assert {p for p in project.folder.iterdir() if p.name.startswith("theirs")} == {
        p for p in there if p.name.startswith("theirs")
    }
