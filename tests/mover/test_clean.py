"""``clean``: UUIDs and documents get types of their own, and come back as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.mover.checker import made, typed_rows

from lockstep.engine import Database
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]
ONE, TWO = "3f2504e04f8941d39a0c0305e82c3301", "0ca9d6c6e52f4dcb8b6fbd1a2e0a7f55"
DASHED = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
SOURCE = f"""
CREATE TABLE owner (id CHAR(32) PRIMARY KEY, boss CHAR(32) REFERENCES owner,
  friend CHAR(32) REFERENCES owner (id), hash CHAR(32), price DECIMAL(10, 2));
CREATE TABLE pet (id TEXT PRIMARY KEY, owner_id REFERENCES owner, guid BLOB,
  capitals TEXT, made TEXT DEFAULT (lower(hex(randomblob(16)))), tag BLOB);
CREATE TABLE note (doc JSON DEFAULT '{{}}', broken JSON, found JSON, nan JSON,
  checked TEXT CHECK (json_valid("checked") OR checked IS NULL));
CREATE INDEX by_found ON note (found);
INSERT INTO owner VALUES ('{ONE}', NULL, NULL, '{"Z" * 32}', 5),
  ('{TWO}', '{ONE}', NULL, NULL, 5.25);
INSERT INTO pet VALUES ('{DASHED}', '{ONE}', x'{ONE}', '{DASHED.upper()}', '{ONE}', x'00');
INSERT INTO note VALUES ('{{"b": 1,"a":[1.50, 2]}}', '{{a:1}}', '[]', '[NaN]', '[ 1]'),
  (NULL, '1', '[]', '1', NULL);
"""


@pytest.fixture
def moved(tmp_path: Path, make_database: MakeDatabase) -> tuple[Path, str]:
    path = made(tmp_path / "a.db", SOURCE)
    url = make_database("postgresql").url.unmasked()
    result = Mover(path, url, clean=True).move()
    assert result.is_exact
    assert [loss.kind for loss in result.plan.losses] == []
    return path, url


def test_what_is_proved_gets_a_type_of_its_own(moved: tuple[Path, str]) -> None:
    with psycopg.connect(moved[1]) as connection:
        found = connection.execute(
            "SELECT table_name || '.' || column_name, data_type "
            "FROM information_schema.columns WHERE table_schema = 'public' "
            "AND data_type IN ('uuid', 'json') ORDER BY 2, 1"
        ).fetchall()
        default = connection.execute(
            "INSERT INTO note (broken) VALUES ('x') RETURNING doc"
        ).fetchone()
    assert found == [
        *(("note.checked", "json"), ("note.doc", "json")),
        *(("owner.boss", "uuid"), ("owner.friend", "uuid"), ("owner.id", "uuid")),
        *(("pet.guid", "uuid"), ("pet.id", "uuid"), ("pet.owner_id", "uuid")),
    ]
    assert default == ({},)


def test_it_comes_back_as_it_was(moved: tuple[Path, str], tmp_path: Path) -> None:
    path, url = moved
    back = tmp_path / "back.db"
    assert Mover(url, back).move().is_exact
    for table in ("owner", "pet", "note"):
        assert typed_rows(back, table) == typed_rows(path, table)


def test_a_price_keeps_its_class_where_the_server_pads_it(
    tmp_path: Path, make_database: MakeDatabase
) -> None:
    path = made(
        tmp_path / "a.db",
        "CREATE TABLE t (price DECIMAL(10, 2) CHECK (price >= 0));"
        "INSERT INTO t VALUES (5), (5.25), (NULL)",
    )
    url = make_database("postgresql").url.unmasked()
    text = '[tables.t.columns]\nprice = { type = "numeric(10,2)" }'
    result = Mover(path, url, plan=text).move()
    assert result.is_exact
    assert result.plan.losses == []
