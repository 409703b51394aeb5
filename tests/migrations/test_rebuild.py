"""SQLite's table rebuild: nothing that was there may be missing afterwards."""

from __future__ import annotations

import pytest
from tests.migrations.histories import History, ask, run_sql

from lockstep.engine import Database
from lockstep.errors import (
    ForeignKeyViolationAfterRebuild,
    MigrationError,
)

pytestmark = pytest.mark.engines("sqlite", "libsql")

PARENT = """CREATE TABLE parent (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL COLLATE NOCASE, -- the name
    size INTEGER DEFAULT 3 CHECK (size > 0),
    twice INTEGER GENERATED ALWAYS AS (size * 2) STORED,
    note TEXT,
    CONSTRAINT uq_parent_name UNIQUE (name)
) STRICT"""


def family(db: Database, action: str) -> None:
    run_sql(
        db,
        PARENT,
        "CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL "
        f"REFERENCES parent (id) ON DELETE {action}) STRICT",
        "INSERT INTO parent (id, name, size) VALUES (1, 'a', 5), (7, 'B', 6)",
        "INSERT INTO child VALUES (1, 1), (2, 1), (3, 7)",
    )


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"])
@pytest.mark.parametrize(
    "operation",
    [
        "op.alter_column('parent', 'note', nullable=False, server_default='')",
        "op.drop_column('parent', 'note')",
        "op.create_check_constraint('ck_parent_x', 'parent', 'size < 100')",
        "op.create_unique_constraint('uq_parent_size', 'parent', ['size'])",
        "op.drop_constraint('uq_parent_name', 'parent', type_='unique')",
        "op.alter_column('parent', 'size', type_=sa.Text(), "
        "existing_type=sa.Integer())",
        "with op.batch_alter_table('parent', recreate='always') as batch_op:\n"
        "    batch_op.alter_column('note', new_column_name='remark')",
        "with op.batch_alter_table('parent') as batch_op:\n"
        "    batch_op.drop_column('note')\n"
        "    batch_op.add_column(sa.Column('x', sa.Integer(), nullable=True))\n"
        "    batch_op.create_index('ix_x', ['x'])",
    ],
)
def test_children_survive_every_change_of_their_parent(
    db: Database, history: History, action: str, operation: str
) -> None:
    family(db, action)
    if "nullable=False" in operation:
        run_sql(db, "UPDATE parent SET note = 'n'")
    history.add("one", operation)

    history.on(db).upgrade()

    assert ask(db, "SELECT * FROM child ORDER BY id") == [(1, 1), (2, 1), (3, 7)]
    assert ask(db, "SELECT id, name FROM parent ORDER BY id") == [(1, "a"), (7, "B")]
    assert ask(db, "PRAGMA foreign_key_check") == []
    assert ask(db, "PRAGMA foreign_keys") == [(1,)]
    assert ask(db, "PRAGMA integrity_check") == [("ok",)]


def test_everything_that_hangs_on_the_table_is_still_there(
    db: Database, history: History
) -> None:
    run_sql(
        db,
        PARENT,
        "CREATE INDEX ix_lower ON parent (lower(name) DESC, size)",
        "CREATE UNIQUE INDEX ix_partial ON parent (size) WHERE note IS NOT NULL",
        "CREATE TABLE log (what TEXT) STRICT",
        "CREATE TRIGGER tr_mine AFTER UPDATE OF size ON parent BEGIN "
        "INSERT INTO log VALUES ('size of ' || NEW.name); END",
        "CREATE TRIGGER tr_other AFTER INSERT ON log BEGIN "
        "UPDATE parent SET note = NEW.what WHERE id = 1; END",
        "CREATE VIEW large AS SELECT name, twice FROM parent WHERE size > 4",
        "INSERT INTO parent (id, name, size) VALUES (1, 'a', 5), (2, 'b', 2)",
    )
    before = ask(db, "SELECT type, name, sql FROM sqlite_master WHERE type <> 'table'")
    history.add(
        "one", "op.create_check_constraint('ck_parent_x', 'parent', 'size < 99')"
    )

    history.on(db).upgrade()

    after = ask(db, "SELECT type, name, sql FROM sqlite_master WHERE type <> 'table'")
    assert sorted(after, key=str) == sorted(
        [*before, ("index", "sqlite_autoindex_alembic_version_1", None)], key=str
    )
    assert ask(db, "SELECT * FROM large") == [("a", 10)]
    run_sql(db, "UPDATE parent SET size = 6 WHERE id = 2")
    assert ask(db, "SELECT what FROM log") == [("size of b",)]
    assert ask(db, "SELECT note FROM parent WHERE id = 1") == [("size of b",)]
    (table,) = ask(db, "SELECT sql FROM sqlite_master WHERE name = 'parent'")
    for part in ("COLLATE NOCASE", "STRICT", "CHECK (size > 0)", "DEFAULT 3", "STORED"):
        assert part in str(table[0])


@pytest.mark.engines("sqlite")  # a libSQL server refuses ANALYZE
def test_what_analyze_found_is_kept(db: Database, history: History) -> None:
    run_sql(
        db,
        PARENT,
        "CREATE INDEX ix_size ON parent (size)",
        "INSERT INTO parent (id, name, size) VALUES (1, 'a', 5), (2, 'b', 2)",
        "ANALYZE",
    )
    statistics = ask(db, "SELECT * FROM sqlite_stat1 ORDER BY tbl, idx")
    assert statistics
    history.add(
        "one", "op.create_check_constraint('ck_parent_x', 'parent', 'size < 99')"
    )
    history.on(db).upgrade()
    assert ask(db, "SELECT * FROM sqlite_stat1 ORDER BY tbl, idx") == statistics


def test_an_autoincrement_key_is_not_given_twice(
    db: Database, history: History
) -> None:
    run_sql(
        db,
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT)",
        "INSERT INTO t (a) VALUES ('x'), ('y'), ('z')",
        "DELETE FROM t WHERE id > 1",
    )
    history.add("one", "op.alter_column('t', 'a', server_default='q')")
    history.on(db).upgrade()
    run_sql(db, "INSERT INTO t DEFAULT VALUES")
    assert ask(db, "SELECT * FROM t") == [(1, "x"), (4, "q")]
    assert ask(db, "SELECT name, seq FROM sqlite_sequence") == [("t", 4)]


def test_an_emptied_autoincrement_table_remembers_too(
    db: Database, history: History
) -> None:
    run_sql(
        db,
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT)",
        "INSERT INTO t (a) VALUES ('x'), ('y')",
        "DELETE FROM t",
    )
    history.add("one", "op.alter_column('t', 'a', server_default='q')")
    history.on(db).upgrade()
    run_sql(db, "INSERT INTO t DEFAULT VALUES")
    assert ask(db, "SELECT id FROM t") == [(3,)]


def test_rowids_stay(db: Database, history: History) -> None:
    run_sql(
        db,
        "CREATE TABLE t (a TEXT)",
        "INSERT INTO t (rowid, a) VALUES (-5, 'x'), (9, 'y'), (8, 'z')",
    )
    history.add("one", "op.create_check_constraint('ck_a', 't', 'length(a) < 9')")
    history.on(db).upgrade()
    rows = ask(db, "SELECT rowid, a FROM t ORDER BY 1")
    assert rows == [(-5, "x"), (8, "z"), (9, "y")]


def test_a_table_without_rowid_and_hidden_rowid_names(
    db: Database, history: History
) -> None:
    run_sql(
        db,
        "CREATE TABLE t (k TEXT PRIMARY KEY, a TEXT) WITHOUT ROWID",
        "INSERT INTO t VALUES ('x', 'y'), ('z', NULL)",
        'CREATE TABLE u (rowid TEXT, "oid" TEXT, _rowid_ TEXT)',
        "INSERT INTO u VALUES ('1', '2', '3')",
    )
    history.add(
        "one",
        "op.alter_column('t', 'a', server_default='q')\n"
        "op.alter_column('u', 'oid', server_default='q')",
    )
    history.on(db).upgrade()
    assert ask(db, "SELECT * FROM t ORDER BY k") == [("x", "y"), ("z", None)]
    assert ask(db, "SELECT * FROM u") == [("1", "2", "3")]
    (table,) = ask(db, "SELECT sql FROM sqlite_master WHERE name = 't'")
    assert "WITHOUT ROWID" in str(table[0])


def test_old_orphans_are_not_blamed_on_a_rebuild(
    db: Database, history: History
) -> None:
    family(db, "CASCADE")
    raw = db.engine.raw_connection()
    raw.driver_connection.execute("PRAGMA foreign_keys = OFF")
    raw.driver_connection.execute("INSERT INTO child VALUES (9, 99)")
    raw.driver_connection.execute("PRAGMA foreign_keys = ON")
    raw.close()
    history.add("one", "op.drop_column('parent', 'note')")
    history.add(
        "two", "op.rename_table('child', 'kid')\nop.drop_column('parent', 'twice')"
    )
    history.on(db).upgrade()
    assert ask(db, "SELECT count(*) FROM kid") == [(4,)]


def test_a_new_orphan_takes_the_whole_revision_back(
    db: Database, history: History
) -> None:
    family(db, "NO ACTION")
    history.add(
        "one", "op.drop_column('parent', 'note')\nop.execute('DELETE FROM parent')"
    )
    with pytest.raises(ForeignKeyViolationAfterRebuild, match="3 rows of 'child'"):
        history.on(db).upgrade()
    assert ask(db, "SELECT count(*) FROM parent") == [(2,)]
    assert "note" in str(ask(db, "SELECT sql FROM sqlite_master WHERE name='parent'"))
    assert history.on(db).current_heads() == ()


def test_without_a_rebuild_on_delete_works_as_on_postgresql(
    db: Database, history: History
) -> None:
    family(db, "CASCADE")
    history.add("one", "op.execute('DELETE FROM parent WHERE id = 1')")
    history.on(db).upgrade()
    assert ask(db, "SELECT id FROM child") == [(3,)]


def test_a_view_that_would_break_stops_the_revision(
    db: Database, history: History
) -> None:
    family(db, "CASCADE")
    run_sql(db, "CREATE VIEW notes AS SELECT note FROM parent")
    history.add("one", "op.drop_column('parent', 'note')")
    with pytest.raises(MigrationError, match="view 'notes' no longer works"):
        history.on(db).upgrade()
    assert ask(db, "SELECT * FROM notes") == [(None,), (None,)]


def test_a_trigger_that_would_break_stops_the_revision(
    db: Database, history: History
) -> None:
    family(db, "CASCADE")
    run_sql(
        db,
        "CREATE TRIGGER tr AFTER UPDATE ON parent BEGIN "
        "UPDATE parent SET note = 'x' WHERE id = NEW.id; END",
    )
    history.add("one", "op.drop_column('parent', 'note')")
    with pytest.raises(MigrationError, match="trigger 'tr' no longer works"):
        history.on(db).upgrade()


def test_a_view_that_was_broken_before_stops_nothing(
    db: Database, history: History
) -> None:
    family(db, "CASCADE")
    run_sql(
        db,
        "CREATE TABLE gone (a)",
        "CREATE VIEW stale AS SELECT a FROM gone",
        "DROP TABLE gone",
    )
    history.add("one", "op.drop_column('parent', 'note')")
    history.on(db).upgrade()


def test_dropping_a_table_others_point_at_is_refused(
    db: Database, history: History
) -> None:
    family(db, "CASCADE")
    history.add("one", "op.drop_table('parent')")
    with pytest.raises(MigrationError, match="'child'"):
        history.on(db).upgrade()
    assert ask(db, "SELECT count(*) FROM child") == [(3,)]


def test_a_column_that_is_pointed_at_cannot_be_dropped(
    db: Database, history: History
) -> None:
    run_sql(
        db,
        "CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT UNIQUE)",
        "CREATE TABLE c (code TEXT REFERENCES p (code))",
    )
    history.add("one", "op.drop_column('p', 'code')")
    with pytest.raises(MigrationError, match=r"c\.code points at it"):
        history.on(db).upgrade()


def test_a_rename_reaches_indexes_views_and_other_tables(
    db: Database, history: History
) -> None:
    run_sql(
        db,
        "CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT UNIQUE)",
        "CREATE INDEX ix ON p (lower(code))",
        "CREATE VIEW v AS SELECT code FROM p",
        "CREATE TABLE c (code TEXT REFERENCES p (code))",
        "INSERT INTO p VALUES (1, 'A')",
        "INSERT INTO c VALUES ('A')",
    )
    history.add("one", "op.alter_column('p', 'code', new_column_name='label')")
    history.on(db).upgrade()
    assert ask(db, "SELECT label FROM p") == [("A",)]
    assert ask(db, "SELECT * FROM v") == [("A",)]
    assert [row[4] for row in ask(db, "PRAGMA foreign_key_list(c)")] == ["label"]


def test_several_changes_of_one_table_in_one_revision(
    db: Database, history: History
) -> None:
    family(db, "CASCADE")
    history.add(
        "one",
        """
        op.drop_column('parent', 'twice')
        op.alter_column('parent', 'note', new_column_name='remark')
        op.alter_column('parent', 'remark', server_default='none')
        op.add_column('parent', sa.Column('extra', sa.Integer(), nullable=True))
        with op.batch_alter_table('parent') as batch_op:
            batch_op.drop_constraint('uq_parent_name', type_='unique')
            batch_op.create_check_constraint('ck_extra', 'extra > 0')
            batch_op.alter_column('remark', new_column_name='memo')
            batch_op.create_index('ix_memo', ['memo'])
        op.drop_constraint('ck_extra', 'parent', type_='check')
        """,
    )
    history.on(db).upgrade()
    columns = [row[1] for row in ask(db, "PRAGMA table_xinfo(parent)")]
    assert columns == ["id", "name", "size", "memo", "extra"]
    run_sql(db, "INSERT INTO parent (name, extra) VALUES ('A', -1)")
    assert ask(db, "SELECT memo FROM parent WHERE extra = -1") == [("none",)]


def test_a_leftover_of_the_rebuilds_name_is_not_overwritten(
    db: Database, history: History
) -> None:
    family(db, "CASCADE")
    run_sql(db, "CREATE TABLE _lockstep_new_parent (precious TEXT)")
    history.add("one", "op.drop_column('parent', 'note')")
    with pytest.raises(MigrationError, match="_lockstep_new_parent"):
        history.on(db).upgrade()
    assert ask(db, "SELECT * FROM _lockstep_new_parent") == []
