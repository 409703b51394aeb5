"""The manifest: what a backup holds, in a small JSON file beside it.

Owns the manifest's form and its place. A file of its own, so that the backup stays an
ordinary SQLite file or pg_dump archive, which everybody can open without this library.

    shop.db                     the backup
    shop.db.manifest.json       engine, versions, time, revision, rows and digests

Invariant: at every instant of replacing a backup, also one that ends with kill -9, the
manifest describes the backup that is there. While the backup changes under it the
manifest holds both: the new one, and the one before under ``previous``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lockstep.engine.backup.content import CATALOGS, TableContent
from lockstep.errors import BackupDamaged

FORMAT = 1
SUFFIX = ".manifest.json"
SIZE_BYTES_MAX = 64 * 1024 * 1024
"""A larger one is no manifest: a table's entry takes some hundred bytes."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one backup holds.

    Attributes:
        engine: ``sqlite`` or ``postgresql``.
        engine_version: Of the SQLite library or the server.
        program_version: Of pg_dump; empty on SQLite.
        lockstep_version: What wrote it.
        created_at: ISO 8601, UTC; right before the snapshot was taken.
        source: The database's URL, masked.
        revisions: Where the migration history stood.
        size_bytes: Of the backup file.
        sha256: Of the backup file.
        foreign_key_violations: Rows that pointed at nothing already in the source.
        tables: Every table, as of the same snapshot as the backup.
        previous: The manifest of the backup that is being replaced.
    """

    engine: str
    engine_version: str
    program_version: str
    lockstep_version: str
    created_at: str
    source: str
    revisions: tuple[str, ...]
    size_bytes: int
    sha256: str
    foreign_key_violations: int
    tables: tuple[TableContent, ...]
    previous: Manifest | None = None

    @property
    def user_tables(self) -> tuple[TableContent, ...]:
        """The tables without the engine's own lists of tables and constraints."""
        return tuple(table for table in self.tables if table.name not in CATALOGS)

    @property
    def rows(self) -> int:
        """Rows of all the user's tables."""
        return sum(table.rows for table in self.user_tables)

    def to_json(self) -> dict[str, Any]:
        """Return the document that stands in the file."""
        document = {"format": FORMAT, **asdict(self)}
        previous = self.previous
        document["previous"] = None if previous is None else previous.to_json()
        return document

    def text(self) -> str:
        """Return the file's content."""
        return json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"

    def alone(self) -> Manifest:
        """Return it without the one before."""
        return replace(self, previous=None)

    def describing(self, sha256: str) -> Manifest | None:
        """Return the entry of the backup with this hash; None when there is none."""
        for entry in (self, self.previous):
            if entry is not None and entry.sha256 == sha256:
                return entry.alone()
        return None


def manifest_path(backup: Path) -> Path:
    """Return where the manifest of ``backup`` is."""
    return backup.with_name(backup.name + SUFFIX)


def read_manifest(backup: Path) -> Manifest:
    """Read the manifest beside ``backup``.

    Raises:
        BackupDamaged: It is missing, or no manifest of a format this version reads.
    """
    path = manifest_path(backup)
    try:
        if path.stat().st_size > SIZE_BYTES_MAX:
            raise BackupDamaged(f"{path} is too large to be a manifest")
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BackupDamaged(
            f"{path} is missing, so nothing says what {backup.name} must hold",
            hint="the two files belong together; the backup alone is an ordinary "
            "SQLite file or pg_dump archive",
        ) from error
    except ValueError as error:
        raise BackupDamaged(f"{path} is not readable as a manifest") from error
    return _from_json(document, path)


def _from_json(document: Any, path: Path) -> Manifest:
    try:
        if document["format"] != FORMAT:
            raise BackupDamaged(
                f"{path} has format {document['format']!r}, not {FORMAT}",
                hint="a newer lockstep wrote it",
            )
        given = {name: document[name] for name in Manifest.__dataclass_fields__}
        given["revisions"] = tuple(given["revisions"])
        given["tables"] = tuple(
            TableContent(
                str(t["name"]), tuple(t["columns"]), int(t["rows"]), str(t["digest"])
            )
            for t in given["tables"]
        )
        previous = given["previous"]
        given["previous"] = None if previous is None else _from_json(previous, path)
        return Manifest(**given)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BackupDamaged(f"{path} is not a manifest of a backup") from error
