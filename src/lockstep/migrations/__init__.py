"""One history for every engine.

Owns Alembic's verbs on our environment: a portable renderer, an exact
comparison, a table rebuild for SQLite that loses nothing, revisions that happen
entirely or not at all, and ``verify``, which replays the history to prove it.

Must not know: the repository, the command's printing.

    models ──compare──► revision file ──runner──► one transaction per revision
                 ▲                        │
       shadow copy of the models      rebuild (SQLite), ALTER (PostgreSQL)

The names below are loaded at first use, so importing this package opens nothing
and does not import Alembic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lockstep.migrations.api import Migrations
    from lockstep.migrations.batches import light_table
    from lockstep.migrations.expressions import per_engine
    from lockstep.migrations.folder import scaffold
    from lockstep.migrations.results import (
        Applied,
        CheckFinding,
        Plan,
        Progress,
        RevisionInfo,
        RevisionWritten,
        SeedReport,
        VerifyReport,
    )
    from lockstep.migrations.seed import run_seed, upsert_seed

__all__ = [
    "Applied",
    "CheckFinding",
    "Migrations",
    "Plan",
    "Progress",
    "RevisionInfo",
    "RevisionWritten",
    "SeedReport",
    "VerifyReport",
    "light_table",
    "per_engine",
    "run_seed",
    "scaffold",
    "upsert_seed",
]

_HOME = {
    "Migrations": "api",
    "light_table": "batches",
    "per_engine": "expressions",
    "scaffold": "folder",
    "run_seed": "seed",
    "upsert_seed": "seed",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = import_module(f"{__name__}.{_HOME.get(name, 'results')}")
    return getattr(home, name)
