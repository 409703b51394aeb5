"""A move by models, and what is already there: rows, keys, an interrupted history."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lockstep import Database
from lockstep.errors import TargetInUse
from lockstep.migrations import Migrations, scaffold
from lockstep.mover import Mover

MakeDatabase = Callable[..., Database]
METADATA = sa.MetaData()
ROLE = sa.Table(
    "role",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
)
REVISION = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "0001", None

def upgrade():
    role = op.create_table(
        "role",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
    )
    op.bulk_insert(role, [{"name": "of the history"}])

def downgrade():
    op.drop_table("role")
"""
OTHER = {"sqlite": "postgresql", "postgresql": "sqlite"}


class Shop:
    """A history with a row of its own, and databases that it made."""

    def __init__(self, folder: Path, make_database: MakeDatabase) -> None:
        scaffold(folder, alembic_ini=False)
        (folder / "versions" / "0001_role.py").write_text(REVISION)
        self.models: dict[str, Any] = {"metadata": METADATA, "migrations": folder}
        self.make = make_database

    def database(self, engine: str, *names: str) -> Database:
        db = self.make(engine)
        folder = self.models["migrations"]
        Migrations(db, metadata=METADATA, directory=folder).upgrade("head")
        self.add(db, *names)
        return db

    def add(self, db: Database, *names: str) -> None:
        with db.write_session() as session:
            for name in names:
                session.execute(sa.insert(ROLE).values(name=name))
        db.close()

    def mover(self, source: Database, target: Database) -> Mover:
        urls = source.url.unmasked(), target.url.unmasked()
        return Mover(*urls, **self.models)

    def names(self, db: Database) -> list[str]:
        with db.read_session() as session:
            found = session.scalars(sa.select(ROLE.c.name).order_by(ROLE.c.id))
            names = list(found)
        db.close()
        return names


@pytest.fixture
def shop(tmp_path: Path, make_database: MakeDatabase) -> Shop:
    return Shop(tmp_path / "history", make_database)


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_the_rows_of_a_target_in_use_stay(shop: Shop, engine: str) -> None:
    used = shop.database(engine, "theirs")
    with pytest.raises(TargetInUse, match="rows in role") as refused:
        shop.mover(shop.database(OTHER[engine], "ours"), used).move()
    assert "an empty database" in refused.value.hint
    assert shop.names(used) == ["of the history", "theirs"]


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_a_move_that_is_stopped_behind_its_history_goes_on(
    shop: Shop, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = shop.database(OTHER[engine], "ours"), shop.make(engine)
    upgrade = Migrations.upgrade

    def stopped(verbs: Migrations, target: str) -> None:
        upgrade(verbs, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Migrations, "upgrade", stopped)
        with pytest.raises(KeyboardInterrupt):
            shop.mover(source, target).move()
    with pytest.raises(TargetInUse):
        shop.mover(shop.database(OTHER[engine], "x"), target).move()
    assert shop.mover(source, target).move().is_exact
    assert shop.names(target) == ["of the history", "ours"]


def test_a_write_is_done_once_before_and_behind_a_move(shop: Shop) -> None:
    first, back = shop.database("sqlite"), shop.make("sqlite")
    server = shop.make("postgresql")
    first.write(lambda _: "first", idempotency_key="key")
    for source, target in pairwise((first, server, back)):
        source.close()
        assert shop.mover(source, target).move().is_exact
        assert target.write(lambda _: "twice", idempotency_key="key") == "first"
        assert target.write(lambda _: 1, idempotency_key=f"{target.url}") == 1


def test_who_works_on_the_target_does_not_make_the_move_unfinished(shop: Shop) -> None:
    source, target = shop.database("sqlite", "ours"), shop.make("postgresql")
    assert shop.mover(source, target).move().is_exact
    shop.add(target, "new")
    assert not shop.mover(source, target).move().is_exact
    shop.add(source, "late")
    with pytest.raises(TargetInUse):
        shop.mover(source, target).move()
    assert shop.names(target) == ["of the history", "ours", "new"]
