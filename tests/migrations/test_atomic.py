"""A revision happens entirely or not at all, whatever ends it."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from tests.migrations.histories import History, ask, run_sql
from tests.preloaded import run

from lockstep.contrib.pytest.faults import KILL_POINT_VARIABLE
from lockstep.engine import Database
from lockstep.errors import MigrationError, PartialMigration

FIRST = """
op.create_table('part', sa.Column('id', sa.Integer(), primary_key=True),
                sa.Column('name', sa.Text()))
op.execute("INSERT INTO part (id, name) VALUES (1, 'bolt'), (2, 'nut')")
"""
SECOND = """
op.create_table('bin', sa.Column('id', sa.Integer(), primary_key=True))
op.add_column('part', sa.Column('bin_id', sa.Integer()))
op.execute("UPDATE part SET bin_id = 7")
{middle}
op.create_index('ix_part_name', 'part', ['name'])
"""


def tables(db: Database) -> set[str]:
    if db.dialect_name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'index')"
    else:
        query = (
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'i') "
            "AND relnamespace = current_schema()::regnamespace"
        )
    return {str(row[0]) for row in ask(db, query)}


@pytest.mark.parametrize(
    "failure",
    [
        "raise RuntimeError('no')",
        "op.execute('SELECT * FROM nowhere')",
        "op.execute('INSERT INTO part (id) VALUES (1)')",
        "op.drop_column('part', 'nothing')",
    ],
)
def test_a_failed_revision_leaves_nothing(
    db: Database, history: History, failure: str
) -> None:
    history.add("one", FIRST)
    history.on(db).upgrade()
    before = tables(db)
    history.add("two", SECOND.format(middle=failure))

    with pytest.raises(MigrationError, match="revision two failed, nothing of it") as e:
        history.on(db).upgrade()

    assert e.value.detail["revision"] == "two"
    assert tables(db) == before
    assert ask(db, "SELECT id, name FROM part ORDER BY id") == [(1, "bolt"), (2, "nut")]
    assert history.on(db).current_heads() == ("one",)


def test_the_first_revision_leaves_not_even_the_version_table(
    db: Database, history: History
) -> None:
    history.add("one", FIRST + "\nraise RuntimeError('no')")
    with pytest.raises(MigrationError):
        history.on(db).upgrade()
    assert tables(db) == set()


def test_what_was_complete_before_the_failure_stays(
    db: Database, history: History
) -> None:
    history.add("one", FIRST)
    history.add("two", SECOND.format(middle=""))
    history.add("three", "raise RuntimeError('no')")
    with pytest.raises(MigrationError, match="revision three failed"):
        history.on(db).upgrade()
    assert history.on(db).current_heads() == ("two",)
    assert ask(db, "SELECT bin_id FROM part") == [(7,), (7,)]


def test_a_failed_downgrade_leaves_everything(db: Database, history: History) -> None:
    history.add("one", FIRST, "op.drop_table('part')\nraise RuntimeError('no')")
    history.on(db).upgrade()
    with pytest.raises(MigrationError, match="revision one failed"):
        history.on(db).downgrade("base")
    assert ask(db, "SELECT count(*) FROM part") == [(2,)]
    assert history.on(db).current_heads() == ("one",)


def test_a_failed_rebuild_leaves_everything(db: Database, history: History) -> None:
    history.add("one", FIRST)
    history.on(db).upgrade()
    before = tables(db)
    history.add(
        "two",
        """
        with op.batch_alter_table('part') as batch_op:
            batch_op.add_column(sa.Column('size', sa.Integer(), nullable=True))
            batch_op.create_check_constraint('ck_name', "name <> 'nut'")
        """,
    )
    with pytest.raises(MigrationError, match="revision two failed"):
        history.on(db).upgrade()
    assert tables(db) == before
    assert ask(db, "SELECT * FROM part ORDER BY id") == [(1, "bolt"), (2, "nut")]


SCRIPT = """
import sys
from pathlib import Path

import sqlalchemy as sa

from lockstep.engine import Database
from lockstep.migrations import Migrations

url, directory = sys.argv[1:]
with Database(url) as db:
    Migrations(db, metadata=sa.MetaData(), directory=Path(directory)).upgrade()
"""
POINTS = ["begin", "table", "rows", "rebuild", "end"]
KILLED = """
from lockstep.contrib.pytest.faults import reach
reach('begin')
op.create_table('bin', sa.Column('id', sa.Integer(), primary_key=True))
reach('table')
op.execute("INSERT INTO part (id, name) VALUES (3, 'saw')")
reach('rows')
op.alter_column('part', 'name', nullable=False)
reach('rebuild')
op.drop_table('crate')
reach('end')
"""


@pytest.mark.parametrize("point", POINTS)
def test_kill_9_in_the_middle_leaves_the_state_before(
    db: Database, db_url: str, history: History, point: str
) -> None:
    crate = "op.create_table('crate', sa.Column('id', sa.Integer()))"
    history.add("one", f"{FIRST}\n{crate}")
    history.on(db).upgrade()
    before = tables(db)
    history.add("two", KILLED)
    db.close()

    words = [sys.executable, "-c", SCRIPT, db_url, str(history.directory)]
    done = run(words, env={**os.environ, KILL_POINT_VARIABLE: point})
    assert done.returncode == -signal.SIGKILL, done.stderr

    assert tables(db) == before
    assert ask(db, "SELECT id, name FROM part ORDER BY id") == [(1, "bolt"), (2, "nut")]
    assert history.on(db).current_heads() == ("one",)
    history.on(db).upgrade()
    assert ask(db, "SELECT count(*) FROM part") == [(3,)]
    assert tables(db) == (before | {"bin", "bin_pkey"}) - {"crate"} or (
        tables(db) == (before | {"bin"}) - {"crate"}
    )


@pytest.mark.engines("postgresql")
def test_a_revision_that_commits_half_way_says_what_is_left(
    db: Database, history: History
) -> None:
    run_sql(db, "CREATE TABLE part (id int, name text)")
    run_sql(db, "INSERT INTO part VALUES (1, 'a'), (2, 'a')")
    history.add(
        "one",
        """
        op.create_table('bin', sa.Column('id', sa.Integer(), primary_key=True))
        with op.get_context().autocommit_block():
            op.create_index('ix_ok', 'part', ['id'], postgresql_concurrently=True)
            op.create_index('ix_name', 'part', ['name'], unique=True,
                            postgresql_concurrently=True)
        op.create_table('box', sa.Column('id', sa.Integer(), primary_key=True))
        """,
    )
    with pytest.raises(PartialMigration) as caught:
        history.on(db).upgrade()
    error = caught.value
    assert "create table bin" in error.hint
    assert "create index ix_ok on part" in error.hint
    assert error.detail["not_committed"] == []
    assert "ix_name" in str(error.detail["invalid_indexes"])
    assert {"bin", "ix_ok"} <= tables(db)
    assert history.on(db).current_heads() == ()


@pytest.mark.engines("postgresql")
def test_an_index_can_be_created_concurrently(db: Database, history: History) -> None:
    history.add("one", FIRST)
    history.add(
        "two",
        """
        with op.get_context().autocommit_block():
            op.create_index('ix_name', 'part', ['name'], postgresql_concurrently=True)
        """,
    )
    history.on(db).upgrade()
    assert "ix_name" in tables(db)
    assert history.on(db).current_heads() == ("two",)
