"""Rows changed by revisions: batches, fills, enums, progress."""

from __future__ import annotations

import tracemalloc

import pytest
import sqlalchemy as sa
from tests.migrations.histories import History, ask, run_sql

import lockstep.schema as ls
from lockstep.engine import Database
from lockstep.errors import MigrationError
from lockstep.migrations import light_table
from lockstep.migrations.batches import run_batches
from lockstep.migrations.results import (
    Progress,
    RevisionFinished,
    RevisionStarted,
    RowsDone,
)

TABLE = """
op.create_table('t', sa.Column('a', ls.BigInteger(), primary_key=True),
                sa.Column('b', ls.Text(), primary_key=True),
                sa.Column('n', ls.BigInteger()), sa.Column('s', ls.Text()))
"""


def rows(db: Database, number: int) -> None:
    table = light_table("t", a=ls.BigInteger(), b=ls.Text(), n=ls.BigInteger())
    values = [{"a": i // 7, "b": f"k{i}", "n": i} for i in range(number)]
    with db.engine.begin() as connection:
        connection.execute(sa.insert(table), values)


def test_every_row_is_changed_once_in_the_order_of_its_key(
    db: Database, history: History
) -> None:
    history.add("one", TABLE)
    history.on(db).upgrade()
    rows(db, 1000)
    history.add(
        "two",
        """
        from lockstep.migrations import light_table
        t = light_table('t', a=ls.BigInteger(), b=ls.Text(), n=ls.BigInteger(),
                        s=ls.Text())

        def change(batch):
            assert len(batch) <= 64
            return [{'a': r.a, 'b': r.b, 's': f'<{r.n}>', 'n': r.n + 10000}
                    for r in batch]

        done = op.run_batches(t, change, key=('a', 'b'), where=t.c.n < 10000,
                              batch_size=64)
        assert done == 1000, done
        """,
    )
    seen: list[Progress] = []
    history.on(db).upgrade(on_progress=seen.append)
    assert ask(db, "SELECT count(*) FROM t WHERE n >= 10000") == [(1000,)]
    assert ask(db, "SELECT s FROM t WHERE b = 'k123'") == [("<123>",)]
    last = [event for event in seen if isinstance(event, RowsDone)][-1]
    assert (last.task, last.done, last.total) == ("change t", 1000, 1000)


def test_a_batch_that_fails_takes_all_batches_back(
    db: Database, history: History
) -> None:
    history.add("one", TABLE)
    history.on(db).upgrade()
    rows(db, 100)
    history.add(
        "two",
        """
        from lockstep.migrations import light_table
        t = light_table('t', a=ls.BigInteger(), b=ls.Text(), s=ls.Text())
        seen = []

        def change(batch):
            seen.append(len(batch))
            if len(seen) == 3:
                raise RuntimeError('enough')
            return [{'a': r.a, 'b': r.b, 's': 'x'} for r in batch]

        op.run_batches(t, change, key=('a', 'b'), batch_size=20)
        """,
    )
    with pytest.raises(MigrationError, match="enough"):
        history.on(db).upgrade()
    assert ask(db, "SELECT count(*) FROM t WHERE s IS NOT NULL") == [(0,)]


def test_memory_holds_one_batch(db: Database, history: History) -> None:
    history.add("one", TABLE)
    history.on(db).upgrade()
    rows(db, 20_000)
    table = light_table("t", a=ls.BigInteger(), b=ls.Text(), n=ls.BigInteger())

    def peak(size: int) -> int:
        tracemalloc.start()
        with db.engine.begin() as connection:
            run_batches(
                connection, table, lambda _: None, key=("a", "b"), batch_size=size
            )
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return reached

    assert peak(100) < peak(20_000) / 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("[{'s': 'x'}]", "lacks its key a, b"),
        ("[{'a': 77, 'b': 'nowhere', 's': 'x'}]", "matched 0 rows"),
    ],
)
def test_a_change_that_hits_no_row_is_an_error(
    db: Database, history: History, change: str, message: str
) -> None:
    history.add("one", TABLE)
    history.on(db).upgrade()
    rows(db, 3)
    history.add(
        "two",
        "from lockstep.migrations import light_table\n"
        "t = light_table('t', a=ls.BigInteger(), b=ls.Text(), s=ls.Text())\n"
        f"op.run_batches(t, lambda batch: {change}, key=('a', 'b'))",
    )
    with pytest.raises(MigrationError, match=message):
        history.on(db).upgrade()


def test_a_column_is_filled_by_value_expression_and_function(
    db: Database, history: History
) -> None:
    history.add("one", TABLE)
    history.on(db).upgrade()
    rows(db, 2500)
    history.add(
        "two",
        """
        op.add_column('t', sa.Column('v', ls.Money()))
        op.fill_column('t', sa.Column('v', ls.Money()), __import__('decimal').Decimal('1.5'))
        op.add_column('t', sa.Column('e', ls.UtcDateTime()))
        op.fill_column('t', sa.Column('e', ls.UtcDateTime()), ls.utc_now())
        op.add_column('t', sa.Column('u', ls.Uuid()))
        op.fill_column('t', sa.Column('u', ls.Uuid()), ls.uuid7)
        with op.batch_alter_table('t') as batch_op:
            for name, kind in (('v', ls.Money()), ('e', ls.UtcDateTime()),
                               ('u', ls.Uuid())):
                batch_op.alter_column(name, existing_type=kind, nullable=False)
        """,
    )
    history.on(db).upgrade()
    assert ask(db, "SELECT count(DISTINCT u), count(DISTINCT e) FROM t")[0][0] == 2500
    table = light_table("t", v=ls.Money(), e=ls.UtcDateTime())
    with db.engine.connect() as connection:
        row = connection.execute(sa.select(table).limit(1)).one()
    assert str(row.v) == "1.50"
    assert row.e.tzinfo is not None


def test_an_enum_gets_and_loses_values(db: Database, history: History) -> None:
    history.add(
        "one",
        """
        op.create_table('t', sa.Column('id', sa.Integer(), primary_key=True),
            sa.Column('c', ls.Enum('new', 'done'), server_default='new'))
        op.execute("INSERT INTO t (id, c) VALUES (1, 'new'), (2, 'done'), (3, NULL)")
        """,
    )
    old, new = "ls.Enum('new', 'done')", "ls.Enum('new', 'closed', 'lost')"
    history.add("two", f"op.alter_enum('t', 'c', {new}, existing_type={old})")
    history.on(db).upgrade("one")
    with pytest.raises(MigrationError, match="revision two failed"):
        history.on(db).upgrade()
    history.add(
        "two",
        f"op.alter_enum('t', 'c', {new}, existing_type={old}, "
        "rename={'done': 'closed'})",
        f"op.alter_enum('t', 'c', {old}, existing_type={new}, "
        "rename={'closed': 'done', 'lost': None})",
        below="one",
    )
    history.on(db).upgrade()
    assert ask(db, "SELECT c FROM t ORDER BY id") == [("new",), ("closed",), (None,)]
    run_sql(db, "INSERT INTO t (id) VALUES (4)", "UPDATE t SET c = 'lost' WHERE id = 3")
    with pytest.raises(Exception, match="ck_t_c_values"):
        run_sql(db, "UPDATE t SET c = 'done'")
    history.on(db).downgrade("one")
    assert [row[0] for row in ask(db, "SELECT c FROM t ORDER BY id")] == [
        "new",
        "done",
        None,
        "new",
    ]


@pytest.mark.engines("postgresql")
def test_a_native_enum_of_two_tables(db: Database, history: History) -> None:
    history.add(
        "one",
        """
        for name in ('t', 'u'):
            op.create_table(name, sa.Column('id', sa.Integer(), primary_key=True),
                sa.Column('c', sa.Enum('a', 'b', name='letter'), server_default='a'))
            op.execute(f"INSERT INTO {name} (id, c) VALUES (1, 'b')")
        """,
        "op.drop_table('u')\nop.drop_table('t')",
    )
    history.add(
        "two",
        "op.alter_enum('t', 'c', sa.Enum('a', 'c', name='letter'), "
        "existing_type=sa.Enum('a', 'b', name='letter'), rename={'b': 'c'})",
    )
    history.on(db).upgrade("one")
    with pytest.raises(MigrationError):
        history.on(db).upgrade()
    run_sql(db, "UPDATE u SET c = 'a'")
    history.on(db).upgrade()
    assert ask(db, "SELECT c FROM t") == [("c",)]
    run_sql(
        db, "INSERT INTO t (id) VALUES (2)", "INSERT INTO u (id, c) VALUES (2, 'c')"
    )
    history.on(db).stamp("one")
    history.on(db).downgrade("base")
    assert ask(db, "SELECT count(*) FROM pg_type WHERE typname = 'letter'") == [(0,)]
    history.on(db).upgrade("one")


def test_a_run_tells_what_it_does(db: Database, history: History) -> None:
    history.add("one", TABLE, "op.drop_table('t')")
    history.add("two", "op.create_index('ix', 't', ['n'])", "op.drop_index('ix', 't')")
    seen: list[Progress] = []
    applied = history.on(db).upgrade(on_progress=seen.append)
    assert [(s.revision, s.direction) for s in applied.steps] == [
        ("one", "upgrade"),
        ("two", "upgrade"),
    ]
    assert applied.to_json()["after"] == ["two"]
    started = [e for e in seen if isinstance(e, RevisionStarted)]
    finished = [e for e in seen if isinstance(e, RevisionFinished)]
    assert [(e.revision, e.position, e.total) for e in started] == [
        ("one", 1, 2),
        ("two", 2, 2),
    ]
    assert len(finished) == 2
    back = history.on(db).downgrade("base")
    assert [step.revision for step in back.steps] == ["two", "one"]
    assert back.after == ()
