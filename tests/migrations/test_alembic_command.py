"""The plain ``alembic`` command works on the same folder, the same safe way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.migrations.histories import ask, run_sql
from tests.preloaded import run

from lockstep.engine import Database
from lockstep.migrations import scaffold

MODELS = """
import lockstep as ls
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(ls.Portable, DeclarativeBase):
    pass


class Part(ls.UuidKey, ls.Timestamped, Base):
    __tablename__ = "part"
    name: Mapped[str] = mapped_column(ls.Text(40), unique=True)
    done: Mapped[bool] = mapped_column(default=False)


class Use(ls.UuidKey, Base):
    __tablename__ = "use"
    part_id = mapped_column(sa.ForeignKey("part.id", ondelete="CASCADE"))
"""
PYPROJECT = """
[tool.lockstep]
models = "shop:Base"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "shop.py").write_text(MODELS)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    scaffold(folder / "migrations", models="shop:Base")
    return folder


def alembic(project: Path, url: str, *arguments: str, code: int = 0) -> str:
    words = [sys.executable, "-m", "alembic", *arguments]
    done = run(words, cwd=project, env={**os.environ, "DATABASE_URL": url})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_story_with_alembics_own_command(
    db: Database, db_url: str, project: Path
) -> None:
    assert "Generating" in alembic(
        project, db_url, "revision", "--autogenerate", "-m", "first"
    )
    (written,) = (project / "migrations" / "versions").glob("*_first.py")
    assert "ls.UtcDateTime()" in written.read_text()
    assert "op.create_touch_trigger" in written.read_text()
    said = alembic(project, db_url, "upgrade", "head")
    assert "upgrade 1/1" in said
    assert "No new upgrade operations" in alembic(project, db_url, "check")
    revision = written.name.split("_")[0]
    assert revision in alembic(project, db_url, "current")
    assert "(head)" in alembic(project, db_url, "heads")
    assert "first" in alembic(project, db_url, "history")

    nothing = alembic(project, db_url, "revision", "--autogenerate", "-m", "nothing")
    assert "agree" in nothing
    assert not list((project / "migrations" / "versions").glob("*_nothing.py"))

    key = "'11111111-1111-4111-8111-111111111111'"
    run_sql(
        db,
        f"INSERT INTO part (id, name, done) VALUES ({key}, 'a', {_false(db)})",
        f"INSERT INTO use (id, part_id) VALUES ({key}, {key})",
    )
    models = (project / "shop.py").read_text()
    (project / "shop.py").write_text(models.replace("Text(40)", "Text(50)"))
    assert "New upgrade operations" in alembic(project, db_url, "check", code=255)
    alembic(project, db_url, "revision", "--autogenerate", "-m", "longer")
    alembic(project, db_url, "upgrade", "head")
    assert ask(db, "SELECT count(*) FROM use") == [(1,)]
    alembic(project, db_url, "check")
    alembic(project, db_url, "downgrade", "-1")
    alembic(project, db_url, "downgrade", "base")
    alembic(project, db_url, "stamp", "head")
    alembic(project, db_url, "stamp", "--purge", "base")


def _false(db: Database) -> str:
    return "0" if db.dialect_name == "sqlite" else "false"


def test_a_revision_that_fails_leaves_nothing_here_too(
    db: Database, db_url: str, project: Path
) -> None:
    alembic(project, db_url, "revision", "-m", "broken")
    (written,) = (project / "migrations" / "versions").glob("*_broken.py")
    text = written.read_text()
    body = (
        "op.create_table('t', sa.Column('a', sa.Integer()))\n    raise ValueError('x')"
    )
    written.write_text(text.replace("    pass", f"    {body}", 1))
    said = alembic(project, db_url, "upgrade", "head", code=1)
    assert "nothing of it was kept" in said
    if db.dialect_name == "sqlite":
        assert ask(db, "SELECT name FROM sqlite_master") == []


@pytest.mark.engines("postgresql")
def test_sql_can_be_written_for_a_dba(db: Database, db_url: str, project: Path) -> None:
    alembic(project, db_url, "revision", "--autogenerate", "-m", "first")
    script = alembic(project, db_url, "upgrade", "head", "--sql")
    assert "CREATE TABLE part" in script
    assert "CREATE TRIGGER" in script
    assert "%%" not in script
    sql = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    with db.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(sql.encode())
    assert "No new upgrade operations" in alembic(project, db_url, "check")


@pytest.mark.engines("sqlite")
def test_no_sql_for_sqlite_rebuilds(db: Database, db_url: str, project: Path) -> None:
    alembic(project, db_url, "revision", "-m", "one")
    (written,) = (project / "migrations" / "versions").glob("*_one.py")
    change = "op.alter_column('part', 'name', nullable=True)"
    written.write_text(written.read_text().replace("    pass", f"    {change}", 1))
    said = alembic(project, db_url, "upgrade", "head", "--sql", code=1)
    assert "--sql is for PostgreSQL" in said
