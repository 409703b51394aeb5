"""The read-only verbs, plans, merges and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.migrations.histories import History, ask, run_sql

import lockstep.schema as ls
from lockstep.engine import Database
from lockstep.errors import MigrationError, MultipleHeads, NotPortable
from lockstep.migrations import Migrations, scaffold
from lockstep.migrations.results import Loss

T = "op.create_table('t', sa.Column('id', sa.Integer()), sa.Column('n', sa.Text()))"


def codes(verbs: Migrations) -> set[tuple[str, str]]:
    return {(finding.code, finding.severity) for finding in verbs.check()}


def test_a_plan_counts_what_would_be_lost_and_changes_nothing(
    db: Database, history: History
) -> None:
    history.add("one", T, "op.drop_table('t')")
    history.on(db).upgrade()
    run_sql(db, "INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, 'c')")
    history.add(
        "two",
        "op.drop_column('t', 'n')\nop.create_table('u', sa.Column('id', sa.Integer()))",
        "op.drop_table('u')\nop.add_column('t', sa.Column('n', sa.Text()))",
    )
    history.add("three", "op.execute('DROP TABLE IF EXISTS t')\nop.drop_table('u')")

    plan = history.on(db).plan()

    assert [step.revision for step in plan.steps] == ["two", "three"]
    assert plan.steps[0].operations == ("drop column t.n", "create table u")
    assert plan.losses == (
        Loss("t", "n", 2),
        Loss("t", None, 3),
        Loss("u", None, None),
    )
    assert plan.is_destructive
    assert ask(db, "SELECT count(n) FROM t") == [(2,)]
    back = history.on(db).plan("base", direction="downgrade")
    assert back.losses == (Loss("t", None, 3),)
    assert back.is_destructive
    assert history.on(db).current_heads() == ("one",)


def test_a_harmless_plan_is_not_destructive(db: Database, history: History) -> None:
    history.add("one", T)
    history.add("two", "op.drop_table('t')")
    plan = history.on(db).plan()
    assert not plan.is_destructive
    history.on(db).upgrade()
    assert history.on(db).plan().steps == ()


def test_several_heads_are_found_refused_and_joined(
    db: Database, history: History
) -> None:
    history.add("one", T)
    history.add("left", "pass", below="one")
    history.add("right", "pass", below="one")
    verbs = history.on(db)
    assert {head.revision for head in verbs.heads()} == {"left", "right"}
    assert ("several-heads", "error") in codes(verbs)
    with pytest.raises(MultipleHeads):
        verbs.upgrade()
    with pytest.raises(MultipleHeads):
        verbs.revision("more", autogenerate=False)
    joined = verbs.merge(message="join")
    assert joined.path is not None
    verbs.upgrade()
    assert verbs.current_heads() == (joined.revision,)
    (current,) = verbs.current()
    assert set(current.down_revisions) == {"left", "right"}
    assert current.is_head
    assert len(verbs.history()) == 4


def test_what_check_says_about_a_history(db: Database, history: History) -> None:
    verbs = history.on(db)
    assert codes(verbs) == {("no-revision", "error")}
    history.add("one", "pass")
    assert ("not-at-head", "error") in codes(verbs)
    verbs.upgrade()
    assert codes(verbs) == set()
    run_sql(db, "UPDATE alembic_version SET version_num = 'gone'")
    assert ("unknown-revision", "error") in codes(verbs)
    with pytest.raises(MigrationError):
        verbs.current()
    verbs.stamp("one", purge=True)
    assert codes(verbs) == set()
    (history.directory / "versions" / "bad_.py").write_text("def broken(:")
    assert codes(verbs) == {("broken-history", "error")}


def test_what_check_says_about_models(db: Database, history: History) -> None:
    history.add("one", "pass")
    history.on(db).upgrade()
    metadata = sa.MetaData()
    sa.Table("x" * 70, metadata, sa.Column("id", sa.Integer, primary_key=True))
    found = codes(history.on(db, metadata))
    assert {("unnamed-constraint", "error"), ("name-too-long", "error")} <= found


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            lambda: sa.Column(
                "c", ls.Uuid(), server_default=sa.text("gen_random_uuid()")
            ),
            r"server default gen_random_uuid\(\) of t.c is not portable",
        ),
        (
            lambda: sa.Column("c", sa.ARRAY(sa.Text)),
            "sqlite has no type ARRAY",
        ),
        (
            lambda: sa.Column("c", sa.Boolean, server_default=sa.text("'maybe'")),
            "neither true nor false",
        ),
        (
            lambda: sa.Column("c", sa.Text, sa.Computed("now()::text", persisted=True)),
            "LS-3",
        ),
    ],
)
def test_what_cannot_be_portable_is_refused_and_not_written(
    db: Database, history: History, column: object, message: str
) -> None:
    metadata = ls.portable_metadata()
    sa.Table("t", metadata, sa.Column("id", ls.Uuid(), primary_key=True), column())  # type: ignore[operator]
    with pytest.raises((NotPortable, MigrationError), match=message):
        history.on(db, metadata).revision("first")
    assert not list((history.directory / "versions").glob("*.py"))


def test_autogenerate_wants_a_database_at_the_head(
    db: Database, history: History
) -> None:
    history.add("one", T)
    with pytest.raises(MigrationError, match="not at the head"):
        history.on(db).revision("two")


def test_a_message_may_say_anything(db: Database, history: History) -> None:
    message = 'quotes """ and \\ backslash, lines % and ${braces}'
    written = history.on(db).revision(message, autogenerate=False)
    assert written.path is not None
    compile(written.path.read_text("utf-8"), str(written.path), "exec")
    assert history.on(db).upgrade().after == (written.revision,)


@pytest.mark.engines("postgresql")
def test_sql_of_an_upgrade_and_a_downgrade(db: Database, history: History) -> None:
    history.add("one", T, "op.drop_table('t')")
    verbs = history.on(db)
    assert "CREATE TABLE t" in verbs.upgrade_sql()
    assert "DROP TABLE t" in verbs.downgrade_sql("one:base")
    assert verbs.current_heads() == ()


@pytest.mark.engines("sqlite")
def test_no_sql_for_sqlite(db: Database, history: History) -> None:
    history.add("one", T)
    with pytest.raises(MigrationError, match="for PostgreSQL only"):
        history.on(db).upgrade_sql()


def test_a_folder_that_is_no_history(db: Database, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="there is no history in"):
        Migrations(db, directory=tmp_path / "nowhere").upgrade()


def test_somebody_elses_env_py_is_not_trusted(db: Database, history: History) -> None:
    history.add("one", T)
    (history.directory / "env.py").write_text("")
    with pytest.raises(MigrationError, match="does not hand over to lockstep"):
        history.on(db).upgrade()


def test_a_scaffold_keeps_what_is_there(tmp_path: Path) -> None:
    written = scaffold(tmp_path / "m", models="app.models:Base")
    assert {path.name for path in written} == {
        "env.py",
        "script.py.mako",
        ".gitkeep",
        "alembic.ini",
    }
    env = tmp_path / "m" / "env.py"
    assert "from app.models import Base" in env.read_text()
    assert "env.run(Base.metadata)" in env.read_text()
    env.write_text("mine")
    assert scaffold(tmp_path / "m", models="other:Base") == []
    assert env.read_text() == "mine"
