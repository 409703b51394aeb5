"""A database and its folder of revisions, as Alembic is asked about them.

Owns how Alembic is called: its configuration, one call at a time in a process (its
``op`` and ``context`` are global), and whose errors come out. Must not know: what a
verb does.
"""

from __future__ import annotations

import argparse
import io
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from lockstep.errors import LockstepError, MigrationError, MultipleHeads
from lockstep.migrations.lock import LOCK_WAIT_S
from lockstep.migrations.reading import reading
from lockstep.migrations.request import ATTRIBUTE, MigrationRequest

if TYPE_CHECKING:
    import sqlalchemy as sa

    from lockstep.engine import Database

ONE_AT_A_TIME = threading.RLock()


class History:
    """One database and the history it follows.

    Args:
        db: The database.
        metadata: The models; without it ``env.py`` or the settings name them.
        directory: The folder with ``env.py`` and ``versions/``.
        lock_wait_s: How long to wait for another migrator.
    """

    def __init__(
        self,
        db: Database,
        *,
        metadata: sa.MetaData | None = None,
        directory: Path | str = "migrations",
        lock_wait_s: float = LOCK_WAIT_S,
    ) -> None:
        self.db = db
        self.metadata = metadata
        self.directory = Path(directory).resolve()
        self.lock_wait_s = lock_wait_s

    def current_heads(self) -> tuple[str, ...]:
        """Return what the database says, whether or not a file knows it."""
        with _own_errors(), reading(self.db.engine) as connection:
            context = MigrationContext.configure(connection)
            return tuple(sorted(context.get_current_heads()))

    def scripts(self) -> ScriptDirectory:
        """Return Alembic's view of the folder.

        Raises:
            MigrationError: There is no such folder, or its files contradict.
        """
        if not (self.directory / "env.py").is_file():
            raise MigrationError(
                f"there is no history in {self.directory}",
                hint="lockstep init, or lockstep.migrations.scaffold(directory)",
            )
        with alembic_errors():
            return ScriptDirectory.from_config(self.config())

    def config(self, request: MigrationRequest | None = None) -> Config:
        """Return Alembic's configuration for the folder."""
        parent = self.directory.parent
        ini, toml = parent / "alembic.ini", parent / "pyproject.toml"
        config = Config(
            file_=str(ini) if ini.is_file() else None,
            toml_file=str(toml) if toml.is_file() else None,
            stdout=io.StringIO(),
            output_buffer=io.StringIO(),
            attributes={} if request is None else {ATTRIBUTE: request},
            cmd_opts=argparse.Namespace(quiet=True, x=None),
        )
        for option, path in (
            ("script_location", self.directory),
            ("prepend_sys_path", parent),
        ):
            config.set_main_option(option, str(path).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        return config


@contextmanager
def calling(
    history: History, request: MigrationRequest, *, needs_env: bool = True
) -> Generator[Config]:
    """Run a command of Alembic's in the block, with the configuration it gets."""
    history.scripts()
    with alembic_is_ours():
        yield history.config(request)
    if needs_env and not request.reached and not request.applied:
        env = history.directory / "env.py"
        if "env.run" not in env.read_text(encoding="utf-8"):
            raise _foreign_env(history)


def in_environment(
    history: History,
    scripts: ScriptDirectory,
    request: MigrationRequest,
    function: Callable[..., Any],
) -> None:
    """Let ``env.py`` run, with a function in the place of Alembic's command.

    Args:
        history: Whose folder.
        scripts: Its revisions.
        request: Handed to ``env.run``.
        function: Called with the heads and the context; returns steps.

    Raises:
        MigrationError: The folder's ``env.py`` is somebody else's.
    """
    config = history.config(request)
    with EnvironmentContext(config, scripts, fn=function, dont_mutate=True):
        scripts.run_env()
    if not request.reached:
        raise _foreign_env(history)


def _foreign_env(history: History) -> MigrationError:
    return MigrationError(
        f"{history.directory / 'env.py'} does not hand over to lockstep",
        hint="let it say: from lockstep.migrations import env; env.run(Base.metadata)",
    )


@contextmanager
def alembic_is_ours() -> Generator[None]:
    """Let nobody else use Alembic during the block; errors leave it as ours."""
    with ONE_AT_A_TIME, alembic_errors(), _own_errors():
        yield


@contextmanager
def alembic_errors() -> Generator[None]:
    """Turn Alembic's refusals into ours; what a revision raised is ours already."""
    from alembic.script.revision import MultipleHeads as SeveralHeads

    try:
        yield
    except CommandError as exc:
        if isinstance(exc.__cause__, SeveralHeads):
            raise MultipleHeads("the history has more than one head") from exc
        raise MigrationError(
            str(exc), hint="lockstep migrate history lists the revisions"
        ) from exc


@contextmanager
def _own_errors() -> Generator[None]:
    """Turn a driver's error outside of a revision into ours."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except LockstepError:
        raise
    except SQLAlchemyError as exc:
        from lockstep.engine import classify

        known = classify(exc)
        if known is None:
            raise
        raise known from exc
