"""The history of a project: compared with its database, and replayed.

Owns how lockstep's own history is asked without writing anything, and how a folder
of SQL files that another tool applies (Drizzle, Prisma, Supabase, plain files) is
replayed on an empty scratch database.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, LiteralString, cast

from lockstep.doctor.sqlite.opening import leaving_no_litter
from lockstep.engine import Database, DatabaseUrl
from lockstep.errors import LockstepError, MigrationError

if TYPE_CHECKING:
    from lockstep.doctor.project.context import ProjectContext
    from lockstep.migrations import CheckFinding, VerifyReport

_NUMBERED = re.compile(r"^(V?\d+)[_\-.].*\.sql$|^V?\d+\.sql$", re.IGNORECASE)
_DOWN = re.compile(r"(\.|_)(down|undo|rollback|revert)\.sql$", re.IGNORECASE)
_POSTGRESQL = re.compile(
    r"\b(SERIAL|BIGSERIAL|TIMESTAMPTZ|JSONB|BYTEA|gen_random_uuid|CREATE EXTENSION|"
    r"SET DATA TYPE|timestamp with(out)? time zone|plpgsql)\b|::\w+",
    re.IGNORECASE,
)
_SQLITE = re.compile(r"\bAUTOINCREMENT\b|\bPRAGMA\b|\bWITHOUT ROWID\b|`\w+`", re.I)
_BREAKPOINT = "--> statement-breakpoint"


def compare(context: ProjectContext) -> tuple[CheckFinding, ...] | None:
    """Return what ``migrate check`` says about the project's database.

    The database is opened read-only. None when there is no history, or no database
    file yet.
    """
    from lockstep.migrations import Migrations

    settings, folder = context.settings, context.history_folder
    if settings is None or folder is None or not (folder / "env.py").is_file():
        return None
    assert settings.url is not None, "load_settings chose one"
    url = DatabaseUrl.parse(settings.url, base=context.root)
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


def verify(context: ProjectContext, dialects: tuple[str, ...]) -> VerifyReport | None:
    """Replay lockstep's history on scratch databases; None without one."""
    from lockstep.engine.scratch import scratch_database
    from lockstep.migrations import Migrations

    settings, folder = context.settings, context.history_folder
    if settings is None or folder is None or not (folder / "env.py").is_file():
        return None
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


@dataclass(frozen=True, slots=True)
class SqlHistory:
    """A folder of SQL files that are applied one after another.

    Attributes:
        folder: Where they are.
        files: In the order in which they are applied.
        dialect: Of which database they are.
    """

    folder: Path
    files: tuple[Path, ...]
    dialect: Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Failed:
    """The first file that an empty database refuses.

    Attributes:
        file: Which.
        error: What the database says.
        applied: How many files before it went through.
    """

    file: Path
    error: str
    applied: int


def sql_histories(context: ProjectContext) -> Iterator[SqlHistory]:
    """Yield the folders that hold a history in SQL files."""
    folders = dict.fromkeys(
        file.path.parent.parent
        if file.path.name == "migration.sql"
        else file.path.parent
        for file in context.files
        if not file.is_for_tests
        and (_NUMBERED.match(file.path.name) or file.path.name == "migration.sql")
    )
    for folder in folders:
        files = _ordered(folder)
        dialect = _dialect(folder, files)
        if files and dialect is not None:
            yield SqlHistory(folder, tuple(files), dialect)


def replay(history: SqlHistory, context: ProjectContext) -> Failed | None:
    """Apply the files to an empty database; return the first one that fails.

    Raises:
        LockstepError: No scratch database of that kind can be made.
    """
    if history.dialect == "sqlite":
        return _replay_sqlite(history)
    return _replay_postgresql(history, context)


def _ordered(folder: Path) -> list[Path]:
    journal = folder / "meta" / "_journal.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        entries: Any = json.loads(journal.read_text(encoding="utf-8"))["entries"]
        named = [folder / f"{entry['tag']}.sql" for entry in entries]
        return [path for path in named if path.is_file()]
    plain = [
        path
        for path in folder.glob("*.sql")
        if _NUMBERED.match(path.name) and not _DOWN.search(path.name)
    ]
    nested = [path for path in folder.glob("*/migration.sql")]
    return sorted(plain or nested, key=lambda path: _natural(path.relative_to(folder)))


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.as_posix())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _dialect(folder: Path, files: list[Path]) -> Literal["sqlite", "postgresql"] | None:
    texts: list[str] = []
    for name in ("meta/_journal.json", "migration_lock.toml"):
        with suppress(OSError):
            texts.append((folder / name).read_text(encoding="utf-8", errors="replace"))
    said = " ".join(texts).lower()
    if "postgres" in said or "supabase" in folder.as_posix().split("/")[-2:]:
        return "postgresql"
    if "sqlite" in said:
        return "sqlite"
    if said:
        return None  # mysql and others
    content = "\n".join(_read(path) for path in files)
    if _POSTGRESQL.search(content):
        return "postgresql"
    return "sqlite" if _SQLITE.search(content) else None


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _replay_sqlite(history: SqlHistory) -> Failed | None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for applied, file in enumerate(history.files):
            try:
                connection.executescript(_read(file).replace(_BREAKPOINT, "\n"))
            except sqlite3.Error as error:
                return Failed(file, str(error), applied)
    finally:
        connection.close()
    return None


def _replay_postgresql(history: SqlHistory, context: ProjectContext) -> Failed | None:
    import psycopg

    from lockstep.doctor.postgresql.context import connected
    from lockstep.engine.scratch import scratch_database

    with (
        scratch_database("postgresql", context.settings) as url,
        connected(DatabaseUrl.parse(url)) as connection,
    ):
        for applied, file in enumerate(history.files):
            try:
                for statement in _read(file).split(_BREAKPOINT):
                    if statement.strip():
                        connection.execute(cast(LiteralString, statement))
            except psycopg.Error as error:
                if _needs_more(error):
                    return None
                return Failed(file, str(error).partition("\n")[0], applied)
    return None


def _needs_more(error: Exception) -> bool:
    """Return whether a scratch server lacks what the project's server has.

    Extensions, and roles and schemas that a platform such as Supabase brings.
    """
    states = ("58P01", "0A000", "42704", "3F000")
    return getattr(error, "sqlstate", None) in states
