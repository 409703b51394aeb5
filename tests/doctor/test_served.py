"""A libSQL server gets every check that SQL can answer, and the rest are named."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.doctor.corpus import TRAPS, make

from lockstep.doctor import all_checks, examine
from lockstep.doctor.advice import measure
from lockstep.doctor.repairs import carry_out, planned
from lockstep.doctor.targets import parse_target
from lockstep.engine import Database
from lockstep.engine.hrana import dbapi
from lockstep.errors import ConnectionLost
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]

ANSWERED = {
    *("text in an integer column", "an orphan", "money in REAL", "text with a NUL"),
    *("a foreign key without an index", "seconds and milliseconds in one column"),
    *("text that is no UTF-8", "an integer above 31 bits", "NULL in a primary key"),
    *("a document that is no JSON", "called unique, with duplicates"),
}


@pytest.mark.parametrize("name", sorted(ANSWERED))
def test_a_trap_fires_on_a_server_as_in_a_file(
    name: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    (trap,) = [trap for trap in TRAPS if trap.name == name]
    path = make(tmp_path / "trap.db", trap.sql)
    url = make_database("libsql").url
    assert Mover(path, url.unmasked()).move().is_exact
    report = examine(url)
    assert {run.outcome for run in report.unfinished} == {"refused"}
    found = {(f.check, f.severity) for f in report.findings}
    assert {(check, severity) for check, severity, _ in trap.expected} <= found
    needing = {c.name for c in all_checks() if c.sqlite and c.needs_file}
    refused = {run.check for run in report.runs if run.outcome == "refused"}
    assert refused == needing
    assert not needing & {check for check, _ in found}
    assert "localhost" in json.dumps(report.to_json())


def test_a_server_is_mended_too(tmp_path: Path, make_database: MakeDatabase) -> None:
    (trap,) = [trap for trap in TRAPS if trap.name == "a foreign key without an index"]
    url = make_database("libsql").url
    Mover(make(tmp_path / "trap.db", trap.sql), url.unmasked()).move()
    repairs = planned(examine(url, checks=["unindexed-foreign-keys"]))
    assert repairs
    assert all(result.is_mended for result in carry_out(url, repairs))
    with closing(dbapi.connect(url.http_url)) as connection:
        found = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"
        ).fetchone()
    assert found is not None
    assert found[0] >= len(repairs)


def test_a_server_is_measured(make_database: MakeDatabase) -> None:
    url = make_database("libsql").url
    with closing(dbapi.connect(url.http_url)) as connection:
        connection.execute("CREATE TABLE t (n integer)")
        connection.commit()
    found = measure(parse_target(url))
    assert (found.now, found.tables) == ("libsql-server", 1)
    assert (found.size_bytes or 0) >= 4096
    assert found.writes_per_hour is None


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(ConnectionLost):
        examine("http://127.0.0.1:9")
