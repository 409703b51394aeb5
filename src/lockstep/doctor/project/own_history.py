"""A history that lockstep wrote: compared with its database, and replayed.

Owns how the verbs of ``lockstep.migrations`` are asked without writing anything to
the project or its database.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.doctor.sqlite.opening import leaving_no_litter
from lockstep.engine import Database, DatabaseUrl
from lockstep.errors import LockstepError, MigrationError

if TYPE_CHECKING:
    from lockstep.config import Settings
    from lockstep.migrations import CheckFinding, VerifyReport


def history_of(root: Path, settings: Settings) -> Path | None:
    """Return the folder of lockstep's history in the project; None without one."""
    folder = root / settings.migrations
    return folder if (folder / "env.py").is_file() else None


def compare(root: Path, settings: Settings) -> tuple[CheckFinding, ...] | None:
    """Return what ``migrate check`` says about the database of the project at ``root``.

    The database is opened read-only. None when there is no history, or no database
    file yet.
    """
    from lockstep.migrations import Migrations

    folder = history_of(root, settings)
    if folder is None:
        return None
    assert settings.url is not None, "load_settings chose one"
    url = DatabaseUrl.parse(settings.url, base=root)
    if url.path is None:
        if url.in_memory:
            return None
        with _own_code(), Database(settings=settings) as database:
            return tuple(Migrations(database, directory=folder).check())
    if not url.path.exists():
        return None
    read_only = f"sqlite:///{url.path}?mode=ro"
    with (
        _own_code(),
        leaving_no_litter(url.path),
        Database(read_only, settings=settings) as database,
    ):
        return tuple(Migrations(database, directory=folder).check())


def verify(folder: Path, settings: Settings, dialects: tuple[str, ...]) -> VerifyReport:
    """Replay the history in ``folder`` on scratch databases."""
    from lockstep.engine.scratch import scratch_database
    from lockstep.migrations import Migrations

    with (
        _own_code(),
        scratch_database("sqlite", settings) as url,
        Database(url, settings=settings) as database,
    ):
        return Migrations(database, directory=folder).verify(dialects)


@contextmanager
def _own_code() -> Generator[None]:
    """Tell what the project's own models and env.py raise as an error of ours."""
    try:
        yield
    except LockstepError:
        raise
    except Exception as error:
        text = str(error).partition("\n")[0]
        raise MigrationError(
            f"the project's own code fails: {type(error).__name__}: {text}",
            hint="lockstep migrate check --debug shows where",
        ) from error
