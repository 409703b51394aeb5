"""The history run on a scratch database, watched.

Owns running revisions outside of ``env.py`` on a SQLite database in memory, to
learn what they declare: for autogenerate (the ledger), for a plan (the steps), for
the proof of a new revision. Must not know: the project's database.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from lockstep.migrations.ledger import Ledger
from lockstep.migrations.portable import PortableOperations
from lockstep.migrations.sqlite.impl import SafeSqliteImpl

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy import Connection


class Replay:
    """A scratch database that follows a history.

    Attributes:
        connection: Foreign keys are off; the transaction is never committed.
        ledger: What the revisions declared so far.
        operations: What the last revision did.
        failure: Why the replay stopped early; None while all went well.
    """

    def __init__(self, connection: Connection, metadata: sa.MetaData | None) -> None:
        self.connection = connection
        self.ledger = Ledger(metadata)
        self.operations: list[ops.MigrateOperation] = []
        self.failure: Exception | None = None
        self._context = MigrationContext.configure(
            connection, opts={"target_metadata": metadata}
        )
        self._context.impl = SafeSqliteImpl(
            connection.dialect,
            connection,
            False,
            True,
            None,
            {"target_metadata": metadata},
        )

    def apply(self, script: Script, *, upgrade: bool = True) -> None:
        """Run one revision's function; its operations are kept."""
        self.operations = []
        name = "upgrade" if upgrade else "downgrade"
        function: Callable[[], Any] = getattr(script.module, name)
        listeners = [self._note, self.ledger.record]
        with PortableOperations(self._context, listeners=listeners).installed():
            function()

    def follow(self, scripts: Iterable[Script]) -> None:
        """Run revisions upwards until one fails; ``failure`` says why."""
        for script in scripts:
            try:
                self.apply(script)
            except Exception as exc:
                # A history written for PostgreSQL alone may not run here; what
                # was learned so far still helps.
                self.failure = exc
                return

    def _note(self, operation: ops.MigrateOperation) -> None:
        self.operations.append(operation)


@contextmanager
def replaying(metadata: sa.MetaData | None) -> Generator[Replay]:
    """Yield a replay on an empty SQLite database in memory."""
    from lockstep.engine import Database

    with (
        Database("sqlite://") as database,
        database.engine.connect() as connection,
    ):
        connection.connection.driver_connection.execute(  # pyright: ignore[reportOptionalMemberAccess]
            "PRAGMA foreign_keys = OFF"
        )
        with connection.begin() as transaction:
            try:
                yield Replay(connection, metadata)
            finally:
                if transaction.is_active:
                    transaction.rollback()


def upwards(
    scripts: ScriptDirectory, *, upto: str | tuple[str, ...] = "heads"
) -> list[Script]:
    """Return the revisions from the first one up to ``upto``, oldest first."""
    if not upto:
        return []
    found = list(scripts.iterate_revisions(upto, "base"))
    return list(reversed(found))
