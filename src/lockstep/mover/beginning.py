"""Where a run begins: with nothing, or where one that was killed stopped.

Owns the decision whether an earlier run is continued, renewed or begun anew, and that
nothing of anybody's is written over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lockstep.errors import InvalidPlan, TargetInUse
from lockstep.mover.journal import State
from lockstep.mover.model.plan import Plan
from lockstep.mover.model.results import ProgressCallback
from lockstep.mover.renewing import can_renew, renew
from lockstep.mover.request import Request

if TYPE_CHECKING:
    from lockstep.mover.sides import MoveSource, MoveTarget

FINISHED = "finished"
"""The target was complete before this run did anything."""


@dataclass(frozen=True)
class Beginning:
    """One run of a move, with both databases open."""

    request: Request
    source: MoveSource
    target: MoveTarget
    on_progress: ProgressCallback

    def begin(self, accept: Callable[[Plan], None]) -> tuple[Plan, str]:
        """Return the plan, and the status of the run that is continued.

        Args:
            accept: Is shown the plan before anything is written; may raise.
        """
        fingerprint = self.source.fingerprint()
        journal = self.target.journal
        state = journal.state()
        if state is not None:
            if self._goes_on(state, fingerprint):
                journal.claim()
                return state.plan, state.status
            self._refuse_ended(state)
        plan = self._plan()
        if state is not None:
            journal.claim()
        if state is not None and not state.is_begun:
            if self._can_renew(state, plan):
                accept(plan)
                renew(plan, fingerprint, self.source, self.target, self.on_progress)
                return plan, state.status
            journal.drop(state.plan)
            plan = self._plan()
        accept(plan)
        if self._is_finished(plan):
            return plan, FINISHED
        self._create(plan, fingerprint, state)
        return plan, ""

    def _goes_on(self, state: State, fingerprint: str) -> bool:
        """Whether the same was asked for, of a source that is still the same."""
        return (
            not state.is_begun
            and state.source == str(self.request.source_url)
            and state.fingerprint == fingerprint
            and state.digest == self.request.digest()
            and self._is_whole(state.plan)
        )

    def _can_renew(self, state: State, plan: Plan) -> bool:
        """Whether the same was asked for, of a source that has changed since."""
        is_asked = state.digest == self.request.digest()
        is_whole = self._is_whole(state.plan)
        return is_asked and is_whole and can_renew(state, plan, self.target)

    def _is_whole(self, plan: Plan) -> bool:
        """Whether all tables that an earlier run made are still there."""
        return len(self.target.taken(plan)) == len(list(plan.carried()))

    def _plan(self) -> Plan:
        plan = self.request.plan(self.source, self.target, self.on_progress)
        if plan.needs_models and self.request.given is None:
            raise InvalidPlan(
                f"{self.request.source_url} was filled by its models: without them a "
                "file would hold values in another form than the application's",
                hint="add --models (metadata= and migrations=); for a plain copy write "
                "a plan (--write-plan FILE) and give it (--plan FILE)",
            )
        return plan

    def _is_finished(self, plan: Plan) -> bool:
        """Whether the target is what this move makes; raise where it is not free."""
        target = self.request.target_url
        if plan.target != target.dialect_name:
            raise InvalidPlan(
                f"the plan leads to {plan.target}, the target is {target.dialect_name}",
                hint="write a plan for this target: --write-plan FILE",
            )
        taken = self.target.taken(plan)
        if plan.leaves_no_trace and taken and self.target.is_made(plan):
            return True
        if taken and plan.creates_tables:
            raise TargetInUse(
                f"the target already has {', '.join(taken[:5])}",
                detail={"tables": taken},
            )
        return False

    def _create(self, plan: Plan, fingerprint: str, state: State | None) -> None:
        """Make the tables and the journal, or let the models' history make them."""
        request = self.request
        name_of_move = (str(request.source_url), fingerprint, request.digest())
        if not plan.creates_tables:
            if state is None or not state.is_begun:
                self._refuse_rows(plan)
                # What a revision inserts is known for the history's after a kill.
                self.target.create(replace(plan, tables=[]), *name_of_move)
            request.upgrade(plan)
            self.target.adopt(plan)
        self.target.create(plan, *name_of_move)

    def _refuse_ended(self, state: State) -> None:
        """Raise ``TargetInUse`` where a move has ended that this one cannot renew.

        People may work there by now, also where a comparison found differences.
        """
        is_ended = state.status in ("verified", "differs")
        if is_ended or state.source != str(self.request.source_url):
            raise TargetInUse(
                f"{self.request.target_url} was filled by a move from {state.source}"
            )

    def _refuse_rows(self, plan: Plan) -> None:
        """Raise ``TargetInUse`` where rows of somebody would have to go."""
        if held := self.target.filled(plan):
            raise TargetInUse(
                f"the target already has rows in {', '.join(held[:5])}",
                hint="name an empty database: the history makes the tables by itself",
                detail={"tables": held},
            )
