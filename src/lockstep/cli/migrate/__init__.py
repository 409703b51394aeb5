"""``lockstep migrate``: Alembic's verbs on one history for every engine.

Owns the list of verbs; each file beside this one owns a few of them:

    write.py   revision, merge           apply.py   upgrade, downgrade, stamp
    read.py    current, history, heads   proof.py   check, verify
    progress.py   what is said on stderr while they run
"""

from __future__ import annotations

from lockstep.cli.options import LazyGroup, group

_HERE = "lockstep.cli.migrate"


@group(
    "migrate",
    cls=LazyGroup,
    verbs={
        "revision": f"{_HERE}.write:revision",
        "upgrade": f"{_HERE}.apply:upgrade",
        "downgrade": f"{_HERE}.apply:downgrade",
        "current": f"{_HERE}.read:current",
        "history": f"{_HERE}.read:history",
        "heads": f"{_HERE}.read:heads",
        "check": f"{_HERE}.proof:check",
        "verify": f"{_HERE}.proof:verify",
        "merge": f"{_HERE}.write:merge",
        "stamp": f"{_HERE}.apply:stamp",
    },
    short_help="Write, apply and prove the history of the schema.",
)
def migrate() -> None:
    """Write, apply and prove the history of the schema.

    The words are Alembic's, and the plain `alembic` command works on the same folder.
    A revision file applies on every engine, whichever one it was written from.
    """
