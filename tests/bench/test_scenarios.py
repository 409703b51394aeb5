"""Every scenario runs for real, and what it leaves in its databases is right."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockstep.bench import Arena
from lockstep.bench.loads import threads_at_once
from lockstep.bench.machine import look, measure_writing
from lockstep.bench.movers import DuckDb
from lockstep.bench.results import Standing
from lockstep.bench.runner import run_scenario
from lockstep.bench.scenario import Scale
from lockstep.bench.scenarios import NAMES, all_scenarios, scenario
from lockstep.bench.writers import LockstepWriters
from lockstep.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Arena() as made:
        yield made


# A peer's own use of what SQLAlchemy 2.1 deprecates is not ours to mend.
@pytest.mark.filterwarnings("ignore:.*mypy plugin:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_runs(arena: Arena, name: str) -> None:
    chosen = scenario(name)
    result = run_scenario(chosen, arena, scale=Scale(quick=True), rounds=1)
    told = {score.name: (score.standing, score.note) for score in result.scores}
    if told.get(DuckDb.name, ("",))[0] is Standing.MISSING:
        # Its extensions come from its own server, which not every machine reaches.
        assert "extensions" in told.pop(DuckDb.name)[1]
    bad = {name: said for name, said in told.items() if said[0] is not Standing.OK}
    assert bad == {}
    assert all(score.rounds for score in result.scores if score.name in told)
    assert chosen.baseline in told
    for target in chosen.targets:
        assert target.contestant in told
        assert target.against is None or target.against in told
    assert {claimed for claimed, _ in chosen.claims} <= set(told)


def test_every_scenario_is_documented() -> None:
    page = (ROOT / "docs/reference/bench.md").read_text(encoding="utf-8")
    for each in all_scenarios():
        assert f"| `{each.name}` | {each.title} |" in page, each.name
        assert each.why
        assert bool(each.no_limit) == (each.limit == "none"), each.name


def test_an_unknown_scenario_is_told_its_neighbour() -> None:
    with pytest.raises(ConfigError) as caught:
        scenario("insrt")
    assert "insert" in caught.value.hint


def test_a_write_that_was_lost_is_noticed(arena: Arena) -> None:
    writers = LockstepWriters("sqlite", 3, 0.05)
    writers.open(arena)
    try:
        assert writers.round().operations >= 1
        assert writers.check() == []
        # Not by sqlite3 itself: once a scenario has imported DuckDB, a connection
        # that is not ours is taken for a second library's.
        with writers.db.write_session() as session:
            session.execute(sa.text("DELETE FROM note WHERE id = 1"))
        (problem,) = writers.check()
        assert problem.startswith("1 of ")
        assert "note" in problem
    finally:
        writers.close()


def test_the_machine_is_measured(arena: Arena) -> None:
    machine = look(arena.root)
    assert 0 < machine.flush.median_s <= machine.flush.p99_s
    assert machine.loopback_s > 0
    assert machine.versions["sqlite"] == sqlite3.sqlite_version
    assert measure_writing(arena.root, 1024 * 1024) > 0
    assert not [path for path in arena.root.iterdir() if path.is_file()]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with Arena(tmp_path) as made:
        made.folder()
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


def test_the_arena_s_server_waits_for_the_disk(arena: Arena) -> None:
    import psycopg

    with psycopg.connect(arena.postgresql()) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute(f"SHOW {name}").fetchone()  # type: ignore[arg-type]
            assert row == ("on",)


def test_requests_that_fail_are_counted_and_a_load_without_any_is_none() -> None:
    def every_other(number: int) -> None:
        if number % 2:
            raise ValueError("odd")

    done = threads_at_once(4, every_other)
    assert (done.operations, done.refused) == (2, 2)

    def never(number: int) -> None:
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        threads_at_once(3, never)
