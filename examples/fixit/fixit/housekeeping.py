"""What has to happen without anybody asking; call it every minute or so.

Safe from several processes at once: each step is one transaction that finds what
another has left.
"""

from __future__ import annotations

from fixit.services import auth
from fixit.services.events import forget_old_events
from fixit.services.schedules import run_due
from lockstep import Database


def tidy(db: Database) -> int:
    """Make the maintenance orders that are due; forget what is over.

    Returns:
        How many orders were made.
    """
    with db.write_session(actor="scheduler") as session:
        made = run_due(session)
        forget_old_events(session)
        auth.sweep(session)
    return len(made)
