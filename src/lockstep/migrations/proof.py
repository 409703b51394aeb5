"""The proof that a new revision runs, before anybody relies on it.

Owns the trial: the history and the new file are run on a SQLite database in
memory, up and down, and written as SQL for PostgreSQL. A file with a missing
import, or a construct that one engine does not know, never stays on disk.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.runtime.migration import MigrationContext

from lockstep.errors import LockstepError, MigrationError
from lockstep.migrations.ddl import make_dialect
from lockstep.migrations.portable import PortableOperations
from lockstep.migrations.postgresql.impl import SafePostgresqlImpl
from lockstep.migrations.replay import replaying, upwards

if TYPE_CHECKING:
    import sqlalchemy as sa
    from alembic.script import Script, ScriptDirectory


def prove(
    scripts: ScriptDirectory, script: Script, metadata: sa.MetaData | None
) -> None:
    """Try a new revision on both engines; remove its file if it fails.

    Raises:
        MigrationError: It fails; the message says where.
    """
    found = scripts.get_revision(script.revision)
    assert found is not None, "the file was just written"
    try:
        _on_sqlite(scripts, found, metadata)
        _for_postgresql(found, metadata)
    except Exception as exc:
        Path(found.path).unlink(missing_ok=True)
        cause = exc.message if isinstance(exc, LockstepError) else str(exc)
        raise MigrationError(
            f"what the models state does not run on every engine: {cause}",
            hint="nothing was written; see check_portability",
        ) from exc


def _on_sqlite(
    scripts: ScriptDirectory, script: Script, metadata: sa.MetaData | None
) -> None:
    with replaying(metadata) as replay:
        below = script.down_revision or ()
        replay.follow(
            upwards(scripts, upto=below if isinstance(below, str) else tuple(below))
        )
        if replay.failure is not None:
            return  # the history before it is somebody's for PostgreSQL alone
        replay.apply(script)
        replay.apply(script, upgrade=False)


def _for_postgresql(script: Script, metadata: sa.MetaData | None) -> None:
    context = MigrationContext.configure(
        dialect=make_dialect("postgresql"),
        opts={"as_sql": True, "output_buffer": io.StringIO()},
    )
    options = {"target_metadata": metadata, "literal_binds": True}
    context.impl = SafePostgresqlImpl(
        context.dialect, context.connection, True, True, io.StringIO(), options
    )
    with PortableOperations(context).installed():
        script.module.upgrade()
        script.module.downgrade()
