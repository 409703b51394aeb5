"""Where FixIt's database is and how it is made ready.

Owns the way from settings to a database whose schema is current. Knows no HTTP.
"""

from __future__ import annotations

import os
from pathlib import Path

from fixit.models import Base
from fixit.seed import install, seed
from lockstep import Database
from lockstep.config import load_settings
from lockstep.errors import Duplicate

_PACKAGE = Path(__file__).parent


def open_database(url: str | None = None) -> Database:
    """Return the database that ``url`` or the settings name; opens nothing yet.

    Settings come from ``DATABASE_URL``, ``LOCKSTEP_*`` and ``[tool.lockstep]`` in
    the working directory or above it.
    """
    return Database(url, settings=load_settings(url=url))


def history_directory() -> Path:
    """Return the folder of the migrations: in the checkout, or as installed."""
    installed = _PACKAGE / "migrations"
    return installed if installed.is_dir() else _PACKAGE.parent / "migrations"


def files_directory() -> Path:
    """Return where attachments are kept: ``FIXIT_FILES``, else beside the settings."""
    named = os.environ.get("FIXIT_FILES")
    return Path(named) if named else load_settings().root / "files"


def prepare(db: Database, *, demo: bool = False) -> None:
    """Bring the schema to the newest revision and add the rows FixIt needs.

    Safe to repeat, and from several processes at once.

    Args:
        db: The database; an empty one is fine.
        demo: Add the demo factory too, with its well-known PINs.
    """
    from lockstep.migrations import Migrations

    history = Migrations(db, metadata=Base.metadata, directory=history_directory())
    history.upgrade("head")
    try:
        _add_first_rows(db, demo=demo)
    except Duplicate:
        # PostgreSQL: another process has just added them; there is less to do now.
        _add_first_rows(db, demo=demo)


def _add_first_rows(db: Database, *, demo: bool) -> None:
    with db.write_session(actor="setup") as session:
        install(session)
        if demo:
            seed(session)
