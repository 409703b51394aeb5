"""``verify`` finds what a history does wrong, and says where."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from tests.migrations.histories import History

import lockstep.schema as ls
from lockstep.contrib.pytest.databases import PostgresServer
from lockstep.migrations import Migrations, VerifyReport
from lockstep.migrations.results import Progress, VerifyStep


@pytest.fixture
def db(make_database: Any, postgres_server: PostgresServer) -> Any:
    return make_database("sqlite", scratch_postgresql_url=postgres_server.url)


def shop(*, longer: bool = False) -> sa.MetaData:
    metadata = ls.portable_metadata()
    sa.Table(
        "part",
        metadata,
        sa.Column("id", ls.Uuid(), primary_key=True),
        sa.Column("name", ls.Text(80 if longer else 40), nullable=False),
        sa.Column("price", ls.Money(), nullable=False, default=0),
        sa.Column("weight", ls.Float()),
        sa.Column("kind", ls.Enum("bolt", "nut"), nullable=False, default="nut"),
        sa.CheckConstraint("price >= 0", name="price"),
        sa.Column("parent_id", ls.Uuid(), sa.ForeignKey("part.id")),
    )
    sa.Table(
        "move",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "part_id",
            ls.Uuid(),
            sa.ForeignKey("part.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "amount",
            ls.BigInteger(),
            sa.CheckConstraint("amount BETWEEN 5 AND 9"),
            nullable=False,
        ),
    )
    return metadata


def errors(report: VerifyReport) -> list[str]:
    return [
        f"{f.dialect} {f.revision}: {f.message}"
        for f in report.findings
        if f.severity == "error"
    ]


def grown(db: Any, history: History) -> Migrations:
    history.on(db, shop()).revision("first", rev_id="one")
    history.on(db, shop()).upgrade()
    verbs = history.on(db, shop(longer=True))
    verbs.revision("second", rev_id="two")
    verbs.upgrade()
    history.last = "two"
    return verbs


def test_a_good_history_carries_its_rows(db: Any, history: History) -> None:
    verbs = grown(db, history)
    history.add(
        "three",
        "op.add_column('part', sa.Column('note', ls.Text()))",
        "op.drop_column('part', 'note')",
    )
    history.add(
        "four",
        "op.drop_column('part', 'note')",
        "op.add_column('part', sa.Column('note', ls.Text()))",
    )
    seen: list[Progress] = []
    report = verbs.verify(on_progress=seen.append)
    assert report.findings == ()
    assert report.ok
    assert report.dialects == ("sqlite", "postgresql")
    assert report.revisions == 4
    # Three rows in each of two tables, through three revisions, up and down.
    assert report.rows_carried == 2 * 3 * 2 * 3 * 2
    assert {type(event) for event in seen} == {VerifyStep}
    assert any("upgrade two" in e.text for e in seen if isinstance(e, VerifyStep))


BAD: list[tuple[str, str, str, str]] = [
    (
        "op.add_column('part', sa.Column('x', ls.Text(), nullable=False))",
        "op.drop_column('part', 'x')",
        "three: fails on tables with rows",
        "error",
    ),
    (
        "op.alter_column('part', 'weight', nullable=False)",
        "op.alter_column('part', 'weight', nullable=True)",
        "three: fails when optional columns are empty",
        "warning",
    ),
    (
        "op.add_column('part', sa.Column('x', ls.Text()))",
        "pass",
        "the schema is not as before the revision: column part.x",
        "error",
    ),
    (
        "op.get_bind().exec_driver_sql('DELETE FROM move')",
        "pass",
        "table 'move' has 3 rows before, 0 after",
        "error",
    ),
    (
        "op.get_bind().exec_driver_sql(\"UPDATE part SET name = 'x'\")",
        "pass",
        "values changed in 'part': name",
        "error",
    ),
    (
        "op.execute('DELETE FROM move')",
        "pass",
        "table 'move' has 3 rows before, 0 after",
        "warning",
    ),
    (
        "op.execute('CREATE TABLE IF NOT EXISTS lost (id int)')",
        "pass",
        "the schema is not as before the revision: table lost",
        "error",
    ),
    (
        "op.execute('ALTER TABLE part ALTER COLUMN price TYPE int USING name::int')",
        "pass",
        "three",
        "error",
    ),
]


@pytest.mark.parametrize(("up", "down", "message", "severity"), BAD)
def test_a_bad_revision_is_named(
    db: Any, history: History, up: str, down: str, message: str, severity: str
) -> None:
    verbs = grown(db, history)
    history.add("three", up, down)
    report = verbs.verify()
    said = [
        f"{f.revision}: {f.message}" for f in report.findings if f.severity == severity
    ]
    assert any(message in text for text in said), report.findings


def test_a_history_that_does_not_reach_the_models(db: Any, history: History) -> None:
    grown(db, history)
    report = history.on(db, shop()).verify(["sqlite"])
    assert any("type of part.name" in text for text in errors(report))
    assert not report.ok


def test_branches_are_replayed_too(db: Any, history: History) -> None:
    verbs = grown(db, history)
    history.add(
        "left",
        "op.create_table('l', sa.Column('id', sa.Integer()))",
        "op.drop_table('l')",
        below="two",
    )
    history.add(
        "right",
        "op.create_table('r', sa.Column('id', sa.Integer()))",
        "op.drop_table('r')",
        below="two",
    )
    history.add(
        "join",
        "op.drop_table('l')\nop.drop_table('r')",
        "op.create_table('l', sa.Column('id', sa.Integer()))\n"
        "op.create_table('r', sa.Column('id', sa.Integer()))",
        below=("left", "right"),
    )
    report = verbs.verify()
    assert errors(report) == []
    assert report.revisions == 5


@pytest.mark.engines("libsql")
def test_a_history_replays_on_a_server_of_its_own(
    make_database: Any, history: History
) -> None:
    verbs = grown(make_database("libsql"), history)
    report = verbs.verify(["libsql"])
    assert errors(report) == []
    assert report.dialects == ("libsql",)
    assert report.rows_carried > 0


def test_nothing_is_left_of_the_scratch_databases(
    db: Any, history: History, postgres_server: PostgresServer
) -> None:
    import psycopg

    verbs = grown(db, history)
    verbs.verify()
    with psycopg.connect(postgres_server.url) as server:
        rows = server.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'lockstep_scratch%'"
        ).fetchall()
    assert rows == []
