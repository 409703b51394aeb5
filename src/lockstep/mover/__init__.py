"""Move a live database to another engine, and prove that every cell arrived.

    inspect ──► plan ──► create ──► copy (lines) ──► indexes, keys ──► verify
                          │            │
                          └── journal in the target, committed with the data ──┘

Owns everything between two databases: what lies in the source, how each column
is carried, what is not carried and why, the copy that can be killed and goes on,
and the comparison of every cell. Must not know: terminals.

Invariant (promise P5): a move verifies every cell or names the cells that differ;
the source is never changed; the target is complete and verified, or says that it
is not.
"""

from lockstep.mover.inspection import inspect_database
from lockstep.mover.model.plan import ColumnPlan, Loss, Plan, Statement, TablePlan
from lockstep.mover.model.results import (
    Difference,
    Finding,
    Inspection,
    MoveResult,
    Progress,
    TableMoved,
    VerifyReport,
)
from lockstep.mover.mover import Mover
from lockstep.mover.plan.rekey import Rekey
from lockstep.mover.plan.toml import plan_to_toml
from lockstep.mover.server_copies import ServerCopier

__all__ = [
    "ColumnPlan",
    "Difference",
    "Finding",
    "Inspection",
    "Loss",
    "MoveResult",
    "Mover",
    "Plan",
    "Progress",
    "Rekey",
    "ServerCopier",
    "Statement",
    "TableMoved",
    "TablePlan",
    "VerifyReport",
    "inspect_database",
    "plan_to_toml",
]
