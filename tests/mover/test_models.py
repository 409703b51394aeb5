"""Our own models: the history makes the target, and the application goes on there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.mover import checker

from fixit.models import Base
from fixit.project import history_directory, prepare
from lockstep import Database
from lockstep.errors import InvalidPlan
from lockstep.migrations import Migrations
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]


def content(db: Database) -> dict[str, Counter[Any]]:
    with db.read_session() as session:
        return {
            table.name: Counter(
                tuple(map(repr, row)) for row in session.execute(select(table))
            )
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture
def factory(make_database: MakeDatabase) -> Database:
    db = make_database("sqlite")
    prepare(db, demo=True)
    return db


def test_fixit_moves_to_postgresql_and_back(
    factory: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    before = content(factory)
    assert sum(rows.total() for rows in before.values()) > 50
    path = factory.url.path
    assert path is not None
    factory.close()
    server = make_database("postgresql")
    models = {"metadata": Base.metadata, "migrations": history_directory()}
    there = Mover(path, server.url.unmasked(), **models).move()
    assert there.verification is not None
    assert there.verification.differences == []
    assert there.is_exact
    assert there.not_built == []
    assert content(server) == before
    # The application's own setup finds everything in place.
    prepare(server, demo=True)
    assert content(server) == before
    back = tmp_path / "back.db"
    with pytest.raises(InvalidPlan, match="filled by its models") as refused:
        Mover(server.url.unmasked(), back).move()
    assert "--models" in refused.value.hint
    assert not back.exists() or not back.stat().st_size
    again = Mover(server.url.unmasked(), back, **models).move()
    assert again.is_exact
    with Database(f"sqlite:///{back}") as file:
        assert content(file) == before
        prepare(file, demo=True)
        assert content(file) == before
        # The move's own tables are no drift.
        history = Migrations(
            file, metadata=Base.metadata, directory=history_directory()
        )
        assert history.check() == []
    for table in Base.metadata.sorted_tables:
        expected = checker.typed_rows(path, table.name)
        assert checker.typed_rows(back, table.name) == expected


def test_references_and_triggers_are_back(
    factory: Database, make_database: MakeDatabase
) -> None:
    path = factory.url.path
    factory.close()
    assert path is not None
    server, plain = make_database("postgresql"), make_database("postgresql")
    models = {"metadata": Base.metadata, "migrations": history_directory()}
    Mover(path, server.url.unmasked(), **models).move()
    prepare(plain)
    query = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    triggers = (
        "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger "
        "WHERE NOT tgisinternal ORDER BY 1, 2"
    )
    for sql in (query, triggers):
        with server.engine.connect() as one, plain.engine.connect() as other:
            found = one.exec_driver_sql(sql).fetchall()
            assert found == other.exec_driver_sql(sql).fetchall()
            assert found


def test_fixit_moves_without_its_models_too(
    factory: Database, make_database: MakeDatabase, tmp_path: Path
) -> None:
    path = factory.url.path
    factory.close()
    assert path is not None
    url = make_database("postgresql").url.unmasked()
    assert Mover(path, url).move().is_exact
    back = tmp_path / "back.db"
    assert Mover(url, back).move().is_exact
    with Database(f"sqlite:///{back}") as file, file.read_session() as session:
        for table in Base.metadata.sorted_tables:
            count = session.scalar(select(func.count()).select_from(table))
            assert count == checker.typed_rows(path, table.name).total()
