"""What a move is asked for: from where, to where, by whose plan.

Owns which wishes contradict each other, the plan that they lead to, and the digest by
which a later run knows whether the same was asked for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.clock import SYSTEM_CLOCK
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import InvalidPlan, SourceUnfinished
from lockstep.mover.model.plan import Plan
from lockstep.mover.model.results import ProgressCallback
from lockstep.mover.plan.from_models import plan_from_models
from lockstep.mover.plan.refused import leave_out
from lockstep.mover.plan.rekey import Rekey, rekeyed
from lockstep.mover.plan.times import Meant
from lockstep.mover.plan.toml import apply_toml
from lockstep.mover.retyping import retype

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from lockstep.mover.sides import MoveSource, MoveTarget


@dataclass(frozen=True)
class Request:
    """The wishes of one move.

    Attributes:
        given: A plan, or the text of a mapping file; None asks for one that is made
            from the inspection.
        meant: What is known of the source's moments.
        rekey: Whether and how integer keys become UUIDs.
        metadata: Our models, together with ``migrations``, the folder of their history.

    Raises:
        InvalidPlan: One of them would do nothing, or needs another.
    """

    source_url: DatabaseUrl
    target_url: DatabaseUrl
    given: Plan | str | None
    meant: Meant
    rekey: Rekey | None
    metadata: MetaData | None
    migrations: Path | None

    def __post_init__(self) -> None:
        self._refuse_idle_wishes()
        if (self.metadata is None) != (self.migrations is None):
            raise InvalidPlan(
                "models and their history go together: name both",
                hint="pass metadata= and migrations= together",
            )

    def _refuse_idle_wishes(self) -> None:
        """Raise ``InvalidPlan`` for what is asked for and would not be done."""
        wishes = {
            "--clean": self.meant.clean,
            "--utc": self.meant.utc,
            "--rekey": self.rekey is not None,
            "--plan": isinstance(self.given, str),
            "--models": self.metadata is not None,
        }
        reason, idle = "", ()
        if self._is_copy:
            reason = "between SQLite and libSQL everything stays as it is"
            idle = ("--clean", "--utc", "--rekey", "--models")
        elif wishes["--models"]:
            reason = "the models say what each column holds and becomes"
            idle = ("--clean", "--utc", "--rekey", "--plan")
        elif self.source_url.dialect_name == "postgresql":
            reason = "the columns of PostgreSQL say themselves what is a moment"
            idle = ("--clean", "--utc")
        if asked := [wish for wish in idle if wishes[wish]]:
            raise InvalidPlan(
                f"{reason}: {' and '.join(asked)} would do nothing",
                hint=f"leave {' and '.join(asked)} out",
            )

    @property
    def _is_copy(self) -> bool:
        return self.source_url.dialect_name == self.target_url.dialect_name == "sqlite"

    def plan(
        self, source: MoveSource, target: MoveTarget, on_progress: ProgressCallback
    ) -> Plan:
        """Inspect the source and return the plan; the target gets nothing.

        Raises:
            SourceUnfinished: The source is the target of a move that has not ended.
        """
        filled = source.state()
        if filled is not None and filled.status in ("copying", "copied"):
            raise SourceUnfinished(
                f"the move from {filled.source} into {self.source_url} has not ended"
            )
        if isinstance(self.given, Plan):
            return self.given
        if self.metadata is not None:
            return plan_from_models(
                self.metadata,
                self.source_url.dialect_name,
                self.target_url.dialect_name,
                source.table_names(),
            )
        plan = source.make_plan(on_progress)
        if plan.target == "postgresql":
            retype(plan, source, target.connection)
        if self.given is not None:
            plan = apply_toml(self.given, plan, source.rebuild)
        if self.rekey is not None:
            plan = rekeyed(
                plan,
                keep_as=self.rekey.keep_as,
                now_ms=int(SYSTEM_CLOCK.now().timestamp() * 1000),
                polymorphic=self.rekey.polymorphic,
            )
        if not target.taken(plan):
            leave_out(plan, target.refusals(plan))
        return plan

    def digest(self) -> str:
        """Return what is another text when another move is asked for."""
        given = self.given
        if isinstance(given, Plan):
            return given.digest()
        text = f"{given or 'made from the inspection'} {self.meant} "
        text += f"models={self.metadata is not None} rekey={self.rekey}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def upgrade(self, plan: Plan) -> None:
        """Let the history make the target's tables."""
        from lockstep.engine import Database
        from lockstep.engine.idempotency import WRITE_KEYS_TABLE, make_keys_table
        from lockstep.migrations import Migrations

        assert self.migrations is not None, "given together with the models"
        with Database(self.target_url.unmasked()) as database:
            Migrations(
                database, metadata=self.metadata, directory=self.migrations
            ).upgrade("head")
            if any(table.source == WRITE_KEYS_TABLE for table in plan.tables):
                database.write(make_keys_table)
