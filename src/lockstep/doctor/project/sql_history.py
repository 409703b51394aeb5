"""A history in SQL files that another tool applies, replayed.

Owns which folders are such histories (Drizzle's, Prisma's, Supabase's, plain files),
in which order their files come and for which database they are; they are applied to
an empty scratch database.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, LiteralString, cast

from lockstep.doctor.project.files import TextFile
from lockstep.engine import DatabaseUrl

if TYPE_CHECKING:
    from lockstep.config import Settings

_NUMBERED = re.compile(r"^(V?\d+)[_\-.].*\.sql$|^V?\d+\.sql$", re.IGNORECASE)
_DOWN = re.compile(r"(\.|_)(down|undo|rollback|revert)\.sql$", re.IGNORECASE)
_POSTGRESQL = re.compile(
    r"\b(SERIAL|BIGSERIAL|TIMESTAMPTZ|JSONB|BYTEA|gen_random_uuid|CREATE EXTENSION|"
    r"SET DATA TYPE|timestamp with(out)? time zone|plpgsql)\b|::\w+",
    re.IGNORECASE,
)
_SQLITE = re.compile(r"\bAUTOINCREMENT\b|\bPRAGMA\b|\bWITHOUT ROWID\b|`\w+`", re.I)
_BREAKPOINT = "--> statement-breakpoint"


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


def sql_histories(files: Sequence[TextFile]) -> Iterator[SqlHistory]:
    """Yield the folders, among those of ``files``, that hold a history."""
    folders = dict.fromkeys(
        file.path.parent.parent
        if file.path.name == "migration.sql"
        else file.path.parent
        for file in files
        if not file.is_for_tests
        and (_NUMBERED.match(file.path.name) or file.path.name == "migration.sql")
    )
    for folder in folders:
        applied = _ordered(folder)
        dialect = _dialect(folder, applied)
        if applied and dialect is not None:
            yield SqlHistory(folder, tuple(applied), dialect)


def replay(history: SqlHistory, settings: Settings | None) -> Failed | None:
    """Apply the files to an empty database; return the first one that fails.

    Args:
        history: Which.
        settings: Of the project; may name a server for scratch databases.

    Raises:
        LockstepError: No scratch database of that kind can be made.
    """
    if history.dialect == "sqlite":
        return _replay_sqlite(history)
    return _replay_postgresql(history, settings)


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


def _replay_postgresql(history: SqlHistory, settings: Settings | None) -> Failed | None:
    import psycopg

    from lockstep.doctor.postgresql.connecting import connected
    from lockstep.engine.scratch import scratch_database

    with (
        scratch_database("postgresql", settings) as url,
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
