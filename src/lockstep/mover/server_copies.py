"""Backups of libSQL servers: the mover's copy, as ``lockstep.engine.backup`` asks.

Owns the way between a server's database and a file for a backup. Every cell is
compared before a copy counts as one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from lockstep.engine.backup import Step
from lockstep.engine.libsql import token_of
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import BackupFailed
from lockstep.mover.model.results import Progress
from lockstep.mover.mover import Mover

if TYPE_CHECKING:
    from lockstep.engine import Database
    from lockstep.engine.backup import OnProgress

_WORDS = {"inspect": "looking at", "copy": "copying", "verify": "comparing"}


class ServerCopier:
    """Copies between a libSQL server's database and a SQLite file."""

    def copy_out(self, database: Database, path: Path, told: OnProgress) -> None:
        """Fill the empty file ``path`` with one state of the server's database.

        Raises:
            BackupFailed: The copy is not the same, or lacks something.
        """
        _copied(Mover(_unmasked(database), path, on_progress=_telling(told)))

    def copy_in(self, path: Path, database: Database, told: OnProgress) -> None:
        """Fill the server's empty database, or go on where a killed run stopped.

        Raises:
            BackupFailed: The copy is not the same, or lacks something.
        """
        _copied(Mover(path, _unmasked(database), on_progress=_telling(told)))

    def is_free(self, path: Path, database: Database) -> bool:
        """Return whether nothing is there but what ``copy_in`` of ``path`` made."""
        from lockstep.mover.sqlite.served_target import ServedTarget

        with closing(ServedTarget(DatabaseUrl.parse(_unmasked(database)))) as target:
            state = target.journal.state()
            if state is not None:
                is_ours = state.source == str(DatabaseUrl.parse(path))
                return is_ours and state.status != "verified"
            return not target.schema().objects


def _unmasked(database: Database) -> str:
    """Return the URL with its token, wherever that stands."""
    text = database.url.unmasked()
    token = token_of(database.url, database.settings)
    if database.url.auth_token is None and token is not None:
        sign = "&" if "?" in text else "?"
        token = token if isinstance(token, str) else token()
        text += f"{sign}authToken={quote(token, safe='')}"
    return text


def _copied(mover: Mover) -> None:
    result = mover.move()
    if result.is_exact and not result.not_built:
        return
    lost = [*result.left_behind, *result.not_built]
    named = [f"{loss.kind} {loss.name}: {loss.why}" for loss in lost]
    raise BackupFailed(
        "the copy is not what the database is: "
        + ("; ".join(named[:3]) or "cells differ"),
        detail={"lost": named},
    )


def _telling(told: OnProgress) -> Callable[[Progress], None]:
    def tell(event: Progress) -> None:
        task = f"{_WORDS.get(event.phase, event.phase)} {event.table}"
        told(Step(task, event.done, event.total, "rows"))

    return tell
