"""Integer keys become UUIDs, and every reference follows."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.mover.checker import made

from lockstep.engine import Database
from lockstep.errors import InvalidPlan, Unmappable
from lockstep.mover import Mover, Rekey

MakeDatabase = Callable[..., Database]
BY = {"note.entity_id": ("entity_type", {"ticket": "ticket", "part": "part"})}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("""
            CREATE TABLE ticket (id INTEGER PRIMARY KEY, s TEXT,
              parent_id INTEGER REFERENCES ticket(id), boss INTEGER REFERENCES person);
            CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT,
              ticket_id INTEGER REFERENCES ticket(id) ON DELETE CASCADE);
            CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE link (ticket_id INTEGER REFERENCES ticket, part_id INTEGER
              REFERENCES part, PRIMARY KEY (ticket_id, part_id));
            CREATE TABLE note (id INTEGER PRIMARY KEY, entity_type TEXT, entity_id INTEGER);
            CREATE VIEW led AS SELECT t.id, p.id AS boss, p.name FROM ticket t
              LEFT JOIN person p ON p.id = t.boss;
            INSERT INTO ticket VALUES (1, 'a', NULL, 7), (2, 'b', 1, NULL), (-3, 'c', 2, 8),
              (9223372036854775807, 'd', -3, NULL), (4711, 'e', NULL, NULL);
            INSERT INTO person VALUES (7, 'x', 2), (8, 'y', NULL);
            INSERT INTO part VALUES (1, 'bolt'), (2, 'nut');
            INSERT INTO link VALUES (1, 1), (1, 2), (4711, 2);
            INSERT INTO note VALUES (1, 'ticket', 2), (2, 'part', 2), (3, NULL, NULL);
        """)
    connection.close()
    return path


def test_keys_and_references_become_uuids(
    source: Path, make_database: MakeDatabase
) -> None:
    url = make_database("postgresql").url.unmasked()
    rekey = Rekey("display_id", BY)
    result = Mover(source, url, rekey=rekey).move()
    assert result.verification is not None
    assert result.verification.differences == []
    assert result.is_exact
    assert result.not_built == []
    assert result.plan.losses == []
    old = sqlite3.connect(source)
    with psycopg.connect(url) as new:
        keys = new.execute(b"SELECT id FROM ticket ORDER BY id").fetchall()
        assert all(isinstance(k, uuid.UUID) and k.version == 7 for (k,) in keys)
        for query in (
            "SELECT t.{0}, t.s, u.{0}, p.{0} FROM ticket t LEFT JOIN ticket u ON "
            "u.id = t.parent_id LEFT JOIN person p ON p.id = t.boss ORDER BY t.{0}",
            "SELECT t.{0}, p.{0} FROM link l JOIN ticket t ON t.id = l.ticket_id "
            "JOIN part p ON p.id = l.part_id ORDER BY 1, 2",
            "SELECT n.{0}, coalesce(t.s, p.name) FROM note n LEFT JOIN ticket t ON "
            "n.entity_type = 'ticket' AND t.id = n.entity_id LEFT JOIN part p ON "
            "n.entity_type = 'part' AND p.id = n.entity_id ORDER BY 1",
        ):
            expected = old.execute(query.format("id")).fetchall()
            found = new.execute(query.format("display_id").encode()).fetchall()
            assert found == expected
        order = new.execute(b"SELECT display_id FROM ticket ORDER BY id").fetchall()
        assert order == sorted(order)
        led = new.execute(b"SELECT count(*), count(boss) FROM led").fetchone()
        assert led == (5, 2), "a view that shows keys is the same view"
        row = new.execute(
            b"INSERT INTO person (name) VALUES ('z') RETURNING display_id, id"
        ).fetchone()
        assert row is not None
        assert row[0] == 9
        references = new.execute(
            b"SELECT count(*), bool_and(convalidated) FROM pg_constraint "
            b"WHERE contype = 'f'"
        ).fetchone()
        assert references == (5, True)
    old.close()
    assert Mover(source, url, rekey=rekey).verify().difference_count == 1
    with psycopg.connect(url, autocommit=True) as new:
        new.execute(  # it sorts before every key that was made of a number
            b"INSERT INTO ticket (id, display_id) "
            b"VALUES ('00000000-0000-4000-8000-000000000000', 5000)"
        )
    report = Mover(source, url, rekey=rekey).verify()
    assert [d.kind for d in report.differences] == ["extra row", "extra row"]


def test_a_reference_that_leads_nowhere_stops_the_move(
    source: Path, make_database: MakeDatabase
) -> None:
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("INSERT INTO note VALUES (9, 'unknown', 1)")
    connection.close()
    url = make_database("postgresql").url.unmasked()
    with pytest.raises(Unmappable) as caught:
        Mover(source, url, rekey=Rekey("display_id", BY)).move()
    assert caught.value.detail["column"] == "entity_id"
    with pytest.raises(InvalidPlan):
        Mover(source, url, rekey=Rekey("n", {"note.nothing": ("s", {})})).plan()


def test_the_numbers_come_back_with_what_was_added_meanwhile(
    source: Path, tmp_path: Path, make_database: MakeDatabase
) -> None:
    with (
        closing(sqlite3.connect(source)) as connection,
        connection,
    ):  # an orphan of a table's own
        connection.execute("INSERT INTO ticket VALUES (5, 'f', NULL, 66)")
    connection.close()
    url = make_database("postgresql").url.unmasked()
    assert Mover(source, url, rekey=Rekey("display_id", BY)).move().is_exact
    back = tmp_path / "back.db"
    assert Mover(url, back).move().is_exact
    assert Mover(source, back).verify().differences == []
    with psycopg.connect(url, autocommit=True) as new:
        new.execute(
            b"WITH p AS (INSERT INTO person (name) VALUES ('new') RETURNING id), "
            b"t AS (INSERT INTO ticket (display_id, s, boss, parent_id) SELECT 6000, "
            b"'g', p.id, t.id FROM p, ticket t WHERE t.display_id = 1 RETURNING id) "
            b"INSERT INTO note (entity_type, entity_id) SELECT 'ticket', t.id FROM t"
        )
    again = tmp_path / "again.db"
    result = Mover(url, again).move()
    assert result.verification is not None
    assert result.verification.differences == []
    report = Mover(source, again).verify()
    assert {d.kind for d in report.differences} == {"extra row"}
    connection = sqlite3.connect(again)
    try:
        assert connection.execute(
            "SELECT id, s, parent_id, boss FROM ticket WHERE s = 'g'"
        ).fetchall() == [(6000, "g", 1, 9)]
        assert connection.execute(
            "SELECT id, entity_type, entity_id FROM note WHERE id > 3"
        ).fetchall() == [(4, "ticket", 6000)]
    finally:
        connection.close()


def test_a_key_is_followed_through_keys_of_several_columns_and_shared_ones(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    """``depot`` and ``plant`` have one tag by their names alone."""
    path = made(
        tmp_path / "old.db",
        """
        CREATE TABLE depot (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL DEFAULT 2
          REFERENCES plant, s TEXT);
        CREATE TABLE plant (id INTEGER PRIMARY KEY, s TEXT);
        CREATE TABLE detail (id INTEGER PRIMARY KEY REFERENCES depot ON DELETE CASCADE);
        CREATE TABLE photo (id INTEGER PRIMARY KEY, detail_id INTEGER REFERENCES detail,
          album_id INTEGER);
        CREATE TABLE link (depot_id INTEGER NOT NULL REFERENCES depot,
          plant_id INTEGER NOT NULL REFERENCES plant, line INTEGER NOT NULL,
          PRIMARY KEY (depot_id, plant_id, line));
        CREATE TABLE used (id INTEGER PRIMARY KEY, depot_id INTEGER, plant_id INTEGER,
          line INTEGER, FOREIGN KEY (depot_id, plant_id, line) REFERENCES link);
        CREATE TABLE note (id INTEGER PRIMARY KEY, kind INTEGER REFERENCES plant,
          about INTEGER);
        INSERT INTO depot VALUES (1, 2, 'a'), (2, 1, 'b');
        INSERT INTO plant VALUES (1, 'x'), (2, 'y');
        INSERT INTO detail VALUES (2);
        INSERT INTO photo VALUES (5, 2, 7), (6, NULL, NULL);
        INSERT INTO link VALUES (2, 1, 4);
        INSERT INTO used VALUES (9, 2, 1, 4), (10, NULL, NULL, NULL);
        INSERT INTO note VALUES (1, 1, 2), (2, 2, 2);
        """,
    )
    url = make_database("postgresql").url.unmasked()
    by = {"note.about": ("kind", {"1": "depot", "2": "detail"})}
    result = Mover(path, url, rekey=Rekey("display_id", by)).move()
    assert result.is_exact
    assert result.not_built == []
    assert [(loss.kind, loss.name) for loss in result.plan.losses] == [
        ("default", "depot.kind")
    ]
    notices = [text for text in result.plan.notices if "--rekey-by" in text]
    assert [text.split()[0] for text in notices] == ["photo.album_id"]
    with psycopg.connect(url, autocommit=True) as new:
        found = new.execute(
            b"SELECT p.display_id, p.album_id, t.display_id FROM photo p "
            b"LEFT JOIN detail d ON d.id = p.detail_id LEFT JOIN depot t ON t.id = d.id "
            b"ORDER BY 1"
        ).fetchall()
        assert found == [(5, 7, 2), (6, None, None)]
        new.execute(
            b"WITH c AS (INSERT INTO plant (s) VALUES ('z') RETURNING id), t AS (INSERT "
            b"INTO depot (kind, s) SELECT id, 'c' FROM c RETURNING id), d AS (INSERT "
            b"INTO detail SELECT id FROM t), l AS (INSERT INTO link SELECT t.id, c.id, 1 "
            b"FROM t, c) INSERT INTO note (kind, about) SELECT k.id, t.id FROM plant k, t "
            b"WHERE k.s = 'x'"
        )
    back = tmp_path / "back.db"
    assert Mover(url, back).move().is_exact
    with closing(sqlite3.connect(back)) as file:
        for table in ("depot", "plant", "detail", "photo", "link", "used", "note"):
            added = {"depot": (3, 3, "c"), "plant": (3, "z"), "detail": (3,)}
            added |= {"link": (3, 3, 1), "note": (3, 1, 3)}
            with closing(sqlite3.connect(path)) as old:
                expected = set(old.execute(f"SELECT * FROM {table}"))
            expected |= {added[table]} if table in added else set()
            assert set(file.execute(f"SELECT * FROM {table}")) == expected
