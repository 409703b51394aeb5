"""What the doctor is asked to look at: a file, a server's database, a project.

Owns how a word of the command line becomes one of the three.

    shop.db, sqlite:///shop.db   a SQLite file, whatever its name ends in
    libsql://…, http://…         a libSQL server's database
    postgresql://…               a PostgreSQL database
    a folder                     a project: its code and settings, and its database
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.engine import DatabaseUrl
from lockstep.errors import ConfigError, Unexaminable

if TYPE_CHECKING:
    from lockstep.config import Settings
    from lockstep.doctor.check import TargetKind


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to examine.

    Attributes:
        kind: ``sqlite``, ``postgresql`` or ``project``.
        path: The file or the folder; None for a server.
        url: The database; None for a folder.
    """

    kind: TargetKind
    path: Path | None = None
    url: DatabaseUrl | None = None

    def __str__(self) -> str:
        return str(self.path) if self.url is None or self.path else str(self.url)


def parse_target(named: str | os.PathLike[str] | DatabaseUrl) -> Target:
    """Return what ``named`` is.

    Raises:
        ConfigError: It is a URL that names no database, or a database in memory.
        Unexaminable: There is no such file or folder.
    """
    if isinstance(named, DatabaseUrl):
        return _of_url(named)
    text = os.fspath(named)
    path = Path(text).expanduser()
    if "://" not in text and not text.startswith("file:"):
        if path.is_dir():
            return Target("project", path=path.resolve())
        if path.exists():
            return Target("sqlite", path=path.absolute(), url=_file_url(path))
        if text != ":memory:":
            raise Unexaminable(
                f"there is no {path}",
                hint="name a SQLite file, a postgresql:// URL or a project's folder",
                detail={"path": str(path)},
            )
    return _of_url(DatabaseUrl.parse(text))


def uses_lockstep(root: Path) -> bool:
    """Return whether ``root`` has a pyproject.toml with ``[tool.lockstep]``."""
    try:
        text = (root / "pyproject.toml").read_text(encoding="utf-8")
        return "lockstep" in tomllib.loads(text).get("tool", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False


def project_settings(root: Path) -> Settings | None:
    """Return the settings of the project in ``root``; None when it uses none.

    Raises:
        ConfigError: A setting is wrong.
    """
    from lockstep.config import load_settings

    return load_settings(start=root) if uses_lockstep(root) else None


def database_of(settings: Settings | None) -> Target | None:
    """Return the database that ``settings`` name; None where there is none yet."""
    if settings is None or settings.url is None:
        return None
    url = DatabaseUrl.parse(settings.url, base=settings.root)
    if url.in_memory or (url.path is not None and not url.path.exists()):
        return None
    return _of_url(url)


def _of_url(url: DatabaseUrl) -> Target:
    if url.dialect_name == "postgresql":
        return Target("postgresql", url=url)
    if url.engine_name == "libsql":
        return Target("sqlite", url=url)
    if url.path is None:
        raise ConfigError(
            "a database in memory cannot be looked at from outside",
            hint="name a SQLite file, a postgresql:// URL or a project's folder",
        )
    if not url.path.exists():
        raise Unexaminable(
            f"there is no {url.path}",
            hint="lockstep migrate upgrade makes a project's database",
            detail={"path": str(url.path)},
        )
    return Target("sqlite", path=url.path, url=url)


def _file_url(path: Path) -> DatabaseUrl:
    return DatabaseUrl("sqlite", path=path.absolute())
