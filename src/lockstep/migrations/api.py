"""The verbs of a history, for programs: what ``lockstep migrate`` calls.

Owns the way from a verb to Alembic and back to a plain result. The work is done
where the plain ``alembic`` command does it too, behind ``env.py``.
How Alembic is called is ``history.py``'s. Must not know: terminals.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.script import Script, ScriptDirectory

from lockstep.errors import InvalidValue, MigrationError
from lockstep.migrations.history import (
    ONE_AT_A_TIME,
    History,
    alembic_errors,
    alembic_is_ours,
    calling,
)
from lockstep.migrations.request import MigrationRequest
from lockstep.migrations.results import (
    Applied,
    CheckFinding,
    Direction,
    Plan,
    ProgressCallback,
    RevisionInfo,
    RevisionWritten,
    VerifyReport,
    silent,
)

MESSAGE_CHARACTERS_MAX = 200
DIALECTS = ("sqlite", "postgresql")


class Migrations(History):
    """One database and the history it follows.

    Args:
        db: The database.
        metadata: The models; without it ``env.py`` or the settings name them.
        directory: The folder with ``env.py`` and ``versions/``.
        lock_wait_s: How long to wait for another migrator.

    Example::

        migrations = Migrations(db, metadata=Base.metadata, directory="migrations")
        migrations.revision("add a phone number")
        migrations.upgrade()
    """

    def revision(
        self, message: str, *, autogenerate: bool = True, **options: Any
    ) -> RevisionWritten:
        """Write the next revision file.

        Args:
            message: What it does; becomes part of the file's name.
            autogenerate: Compare the models with the database, which must be at
                the head, and write what leads from one to the other on every
                engine. Without it the functions are empty.
            options: Alembic's own: ``head``, ``splice``, ``rev_id``,
                ``branch_label``, ``depends_on``.

        Returns:
            The file, or ``is_empty`` when models and database agree.

        Raises:
            NotPortable: The models state something that cannot be the same on
                every engine; the message names it.
            InvalidValue: ``message`` is not one line of text.
            MigrationError: The database is not at the head.
        """
        text = _docstring(message)
        request = self._request()
        request.drops_empty = True
        if autogenerate:
            self._refuse_behind()
        written: list[Script] = []
        with calling(self, request) as config:
            made = command.revision(config, text, autogenerate=autogenerate, **options)
            found = made if isinstance(made, list) else [made]
            written += [script for script in found if script is not None]
        if not written:
            return RevisionWritten(None, None, message)
        script = written[0]
        if autogenerate:
            self._prove(script)
        return RevisionWritten(
            script.revision,
            Path(script.path),
            message,
            tuple(request.operations),
            tuple(request.warnings),
        )

    def _refuse_behind(self) -> None:
        scripts, applied = self.scripts(), self.current_heads()
        with alembic_errors():
            heads = scripts.get_heads()
        if set(applied) != set(heads):
            raise MigrationError(
                "the database is not at the head of the history, so the models cannot "
                "be compared with it",
                hint="lockstep migrate upgrade",
                detail={"current": list(applied), "heads": list(heads)},
            )

    def _prove(self, script: Script) -> None:
        from lockstep.migrations.proof import prove

        with ONE_AT_A_TIME:
            prove(self.scripts(), script, self.metadata)

    def upgrade(
        self, target: str = "head", *, on_progress: ProgressCallback = silent
    ) -> Applied:
        """Apply revisions up to ``target``, each in a transaction of its own.

        Args:
            target: A revision, ``head``, ``heads`` or ``+N``.
            on_progress: Told what happens.

        Raises:
            MigrationError: A revision failed; the ones before it are kept, nothing
                of it is.
            MigrationLocked: Another migrator was not done in time.
            MultipleHeads: ``head`` is not one revision.
        """
        request = self._request(on_progress)
        with calling(self, request) as config:
            command.upgrade(config, target)
        return _applied(request)

    def downgrade(
        self, target: str, *, on_progress: ProgressCallback = silent
    ) -> Applied:
        """Take revisions back down to ``target``: a revision, ``base`` or ``-N``."""
        request = self._request(on_progress)
        with calling(self, request) as config:
            command.downgrade(config, target)
        return _applied(request)

    def upgrade_sql(self, target: str = "head") -> str:
        """Return the SQL of an upgrade on PostgreSQL, without a database.

        Args:
            target: A revision, or ``from:to``; starts at the beginning otherwise.
        """
        return self._sql(command.upgrade, target)

    def downgrade_sql(self, target: str) -> str:
        """Return the SQL of a downgrade on PostgreSQL.

        Args:
            target: ``from:to``.
        """
        return self._sql(command.downgrade, target)

    def stamp(self, target: str, *, purge: bool = False) -> Applied:
        """Write down that the database is at ``target``, without running anything.

        Args:
            target: A revision, ``heads`` or ``base``.
            purge: Forget what is written there now, also if no file knows it.
        """
        request = self._request()
        with calling(self, request) as config:
            command.stamp(config, target, purge=purge)
        return _applied(request)

    def merge(
        self, revisions: str | Sequence[str] = "heads", *, message: str | None = None
    ) -> RevisionWritten:
        """Write a revision that joins several heads into one."""
        text = message or "merge heads"
        request = self._request()
        with calling(self, request, needs_env=False) as config:
            names = revisions if isinstance(revisions, str) else list(revisions)
            script = command.merge(config, names, message=_docstring(text))
        assert script is not None, "Alembic wrote the file or raised"
        return RevisionWritten(script.revision, Path(script.path), text)

    def current(self) -> tuple[RevisionInfo, ...]:
        """Return the revisions the database is at; empty before the first one.

        Raises:
            MigrationError: It is at a revision that no file knows.
        """
        scripts = self.scripts()
        applied = self.current_heads()
        with alembic_errors():
            found = [scripts.get_revision(name) for name in applied]
        return tuple(_info(script, scripts, applied) for script in found if script)

    def history(self, *, offline: bool = False) -> tuple[RevisionInfo, ...]:
        """Return every revision, newest first.

        Args:
            offline: Do not ask the database where it stands.
        """
        scripts = self.scripts()
        applied = () if offline else self.current_heads()
        with alembic_errors():
            found = list(scripts.walk_revisions())
        return tuple(_info(script, scripts, applied) for script in found)

    def heads(self) -> tuple[RevisionInfo, ...]:
        """Return the revisions that nothing follows; normally one."""
        scripts = self.scripts()
        with alembic_errors():
            found = scripts.get_revisions(scripts.get_heads())
        return tuple(_info(script, scripts, ()) for script in found if script)

    def named(self, target: str) -> tuple[RevisionInfo, ...]:
        """Return the revisions that ``target`` names; none for ``base``.

        Raises:
            MigrationError: No file has one of that name.
        """
        scripts = self.scripts()
        with alembic_errors():
            found = scripts.get_revisions(target)
        return tuple(_info(script, scripts, ()) for script in found if script)

    def plan(self, target: str = "head", *, direction: Direction = "upgrade") -> Plan:
        """Return the steps to ``target`` and what they would drop; change nothing."""
        from lockstep.migrations.plan import make_plan

        with alembic_is_ours():
            return make_plan(self, target, direction)

    def check(self) -> list[CheckFinding]:
        """Compare models, history and database; the worst comes first."""
        from lockstep.migrations.checks import run_checks

        with alembic_is_ours():
            return run_checks(self)

    def verify(
        self,
        dialects: Iterable[str] = DIALECTS,
        *,
        on_progress: ProgressCallback = silent,
    ) -> VerifyReport:
        """Replay the whole history from zero on scratch databases, up and down.

        Sample rows are carried through every revision, and the schema at the end
        is compared with the models. The database of this object is not touched.

        Args:
            dialects: ``sqlite``, ``postgresql``, ``libsql`` (a server of this
                process's own); several of them.
            on_progress: Told along the way.
        """
        from lockstep.migrations.verify import run_verify

        with ONE_AT_A_TIME:
            return run_verify(self, tuple(dialects), on_progress)

    def _request(self, on_progress: ProgressCallback = silent) -> MigrationRequest:
        return MigrationRequest(
            self.db,
            metadata=self.metadata,
            on_progress=on_progress,
            lock_wait_s=self.lock_wait_s,
        )

    def _sql(self, verb: Any, target: str) -> str:
        if self.db.dialect_name != "postgresql":
            raise MigrationError(
                "SQL can be written beforehand for PostgreSQL only",
                hint="SQLite rebuilds the tables it finds; run the upgrade there",
            )
        request = self._request()
        with calling(self, request) as config:
            verb(config, target, sql=True)
            buffer = config.output_buffer
            assert isinstance(buffer, io.StringIO), "config() gave it one"
            return buffer.getvalue()


def _docstring(message: str) -> str:
    """Return ``message`` as it stands in a file's docstring, whatever is in it.

    Alembic's template puts the text between quotes as it is; a quote in it would end
    the docstring and what follows would be code.
    """
    if not message.strip() or len(message) > MESSAGE_CHARACTERS_MAX:
        raise InvalidValue(
            f"a revision's message has 1 to {MESSAGE_CHARACTERS_MAX} characters",
            hint='say in a few words what changes: -m "add a shelf"',
        )
    if not message.isprintable():
        raise InvalidValue(
            "a revision's message is one line without control characters",
            hint="write the message without line breaks",
        )
    return message.replace("\\", "\\\\").replace('"', '\\"')


def _applied(request: MigrationRequest) -> Applied:
    return Applied(
        request.before, request.after, tuple(request.applied), request.waited_s
    )


def _info(
    script: Script, scripts: ScriptDirectory, applied: Sequence[str]
) -> RevisionInfo:
    below = script.down_revision or ()
    return RevisionInfo(
        revision=script.revision,
        down_revisions=(below,) if isinstance(below, str) else tuple(below),
        message=script.doc or "",
        path=Path(script.path),
        is_head=script.revision in scripts.get_heads(),
        is_current=script.revision in applied,
        branch_labels=tuple(sorted(script.branch_labels)),
    )
