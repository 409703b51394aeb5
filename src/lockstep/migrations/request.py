"""What a verb hands to ``env.py`` and gets back.

Owns the value that travels through Alembic's ``Config.attributes``, because
between our API and our runner lies a file of the project's own. The plain
``alembic`` command hands over nothing; then the settings decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lockstep.migrations.lock import LOCK_WAIT_S
from lockstep.migrations.results import AppliedRevision, ProgressCallback, silent

if TYPE_CHECKING:
    import sqlalchemy as sa

    from lockstep.engine import Database

ATTRIBUTE = "lockstep"
"""Of Alembic's ``Config.attributes``: holds the request."""

OPTION = "lockstep_request"
"""Of Alembic's context, as ``env.run`` configures it: holds the request."""


@dataclass
class MigrationRequest:
    """A verb's arguments, and what came of it.

    Attributes:
        database: Where to migrate.
        metadata: The models; wins over what ``env.py`` names.
        applied: Filled by the runner, in the order of the commits.
        before: The heads at the start.
        after: The heads at the end.
        reached: ``env.py`` called ``env.run``.
        warnings: What the author of a new revision should look at.
        operations: What a new revision does, one line each.
        downgrade_ops: Set by autogenerate: the way back, from the history.
        differences: Set by autogenerate.
        drops_empty: Whether a revision without changes is not written.
        found_nothing: Such a revision was not written.
    """

    database: Database
    metadata: sa.MetaData | None = None
    on_progress: ProgressCallback = silent
    lock_wait_s: float = LOCK_WAIT_S
    applied: list[AppliedRevision] = field(default_factory=list[AppliedRevision])
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    waited_s: float = 0.0
    reached: bool = False
    warnings: list[str] = field(default_factory=list[str])
    operations: list[str] = field(default_factory=list[str])
    downgrade_ops: list[Any] | None = None
    differences: list[Any] = field(default_factory=list[Any])
    drops_empty: bool = False
    found_nothing: bool = False
