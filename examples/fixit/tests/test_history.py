"""The migrations: written once, replayed on every engine, the models' equal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from fixit.models import Base, Equipment
from fixit.project import history_directory
from lockstep import Database, Migrations, check_portability

PROJECT = Path(__file__).parents[1]


def history(db: Database) -> Migrations:
    return Migrations(db, metadata=Base.metadata, directory=history_directory())


def test_the_models_mean_the_same_everywhere() -> None:
    assert check_portability(Base.metadata) == []


def test_the_history_leads_to_the_models(db: Database) -> None:
    assert list(history(db).check()) == []


def test_the_history_replays_up_and_down_on_every_engine(db: Database) -> None:
    report = history(db).verify(dialects=(db.dialect_name,))
    assert report.ok, report


def test_machines_that_were_there_can_be_searched(db: Database) -> None:
    history(db).downgrade("0004")
    history(db).upgrade()
    with db.read_session() as session:
        found = session.scalars(
            select(Equipment.code).where(*Equipment.matching("DMG milling"))
        )
        assert list(found) == ["CNC-001"]


def test_the_plain_alembic_command_agrees(db: Database) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "current"],
        cwd=PROJECT,
        env={"DATABASE_URL": db.url.unmasked()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "(head)" in done.stdout
