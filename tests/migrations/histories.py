"""A history in a temporary folder, with revisions written by hand or generated."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockstep.engine import Database
from lockstep.migrations import Migrations, scaffold

REVISION = '''"""{message}"""

import lockstep as ls
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {below!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
{up}


def downgrade() -> None:
{down}
'''


class History:
    """A folder of revisions, applied to any number of databases."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "migrations"
        scaffold(self.directory, alembic_ini=False)
        self.last: str | None = None

    def on(
        self, db: Database, metadata: sa.MetaData | None = None, **options: object
    ) -> Migrations:
        """Return the verbs for a database."""
        wanted = sa.MetaData() if metadata is None else metadata
        return Migrations(db, metadata=wanted, directory=self.directory, **options)  # type: ignore[arg-type]

    def add(
        self,
        name: str,
        up: str,
        down: str = "pass",
        *,
        below: str | tuple[str, ...] | None = "last",
    ) -> str:
        """Write a revision by hand; it follows the last one."""
        after = self.last if below == "last" else below
        text = REVISION.format(
            message=name,
            revision=name,
            below=after,
            up=indented(up),
            down=indented(down),
        )
        path = self.directory / "versions" / f"{name}_.py"
        path.write_text(text, encoding="utf-8")
        self.last = name
        return name

    def text_of(self, revision: str) -> str:
        """Return a revision's file."""
        return next(self.directory.glob(f"versions/{revision}_*")).read_text("utf-8")


def indented(body: str) -> str:
    return textwrap.indent(textwrap.dedent(body).strip() or "pass", "    ")


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def run_sql(db: Database, *statements: str) -> None:
    """Run statements in one transaction, past every model."""
    with db.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def ask(db: Database, query: str) -> list[tuple[object, ...]]:
    """Return all rows of a query."""
    with db.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query).all()]
