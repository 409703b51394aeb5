"""``verify``: the whole history, from nothing to the models and back, with rows.

Owns the replay on scratch databases and the comparison after each step:

    for each engine:
      up    sample rows in ► revision ► counts and values as before?   (each)
      head  as the models want it?
      down  revision taken back ► schema as before it? rows still there?  (each)
      up    once more, without rows

Must not know: the project's own database.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.runtime.migration import RevisionStep

from lockstep.errors import LockstepError
from lockstep.migrations.carriage import Carriage
from lockstep.migrations.checks import run_checks
from lockstep.migrations.diff import differences
from lockstep.migrations.history import (
    History,
    alembic_is_ours,
    calling,
    in_environment,
)
from lockstep.migrations.reading import reading
from lockstep.migrations.replay import upwards
from lockstep.migrations.request import MigrationRequest
from lockstep.migrations.results import (
    Direction,
    ProgressCallback,
    Severity,
    VerifyFinding,
    VerifyReport,
    VerifyStep,
)
from lockstep.migrations.shadow import database_state
from lockstep.migrations.state import SchemaState

if TYPE_CHECKING:
    from alembic.script import Script

    from lockstep.engine import Database

_VERSION_TABLE = "alembic_version"


def run_verify(
    history: History, dialects: Sequence[str], on_progress: ProgressCallback
) -> VerifyReport:
    """Replay the history on each engine; raise only when that cannot be tried."""
    from lockstep.engine import Database
    from lockstep.engine.scratch import scratch_database

    started_s = time.monotonic()
    scripts = upwards(history.scripts())
    findings: list[VerifyFinding] = []
    carried = 0
    for dialect in dialects:
        on_progress(VerifyStep(dialect, "start a scratch database"))
        settings = history.db.settings
        with (
            scratch_database(dialect, settings) as url,
            Database(url, settings=settings) as database,
        ):
            replay = _Replay(history, database, scripts, on_progress)
            replay.run()
            findings += replay.findings
            carried += replay.rows_carried
    return VerifyReport(
        tuple(dialects),
        len(scripts),
        carried,
        tuple(findings),
        time.monotonic() - started_s,
    )


class _Stop(Exception):
    """A step failed so that the ones behind it cannot be tried."""


class _Replay:
    """The replay on one engine."""

    def __init__(
        self,
        history: History,
        database: Database,
        scripts: Sequence[Script],
        on_progress: ProgressCallback,
    ) -> None:
        self._database = database
        self._dialect = database.engine_name
        self._scripts = list(scripts)
        self._on_progress = on_progress
        self._history = History(
            database, metadata=history.metadata, directory=history.directory
        )
        self._states: list[SchemaState] = []
        self.findings: list[VerifyFinding] = []
        self.rows_carried = 0

    def run(self) -> None:
        """Go up, compare, go down, go up again."""
        from lockstep.migrations.replay import replaying

        with replaying(self._history.metadata) as declared:
            self._carriage = Carriage(self._database, declared)
            try:
                self._up()
                self._compare_with_models()
                self._down()
                self._up_again()
            except _Stop:
                pass
            self.rows_carried = self._carriage.rows_carried
        for table, reason in self._carriage.refused.items():
            self._found(None, None, "warning", f"no sample row for {table!r}: {reason}")

    def _found(
        self,
        revision: str | None,
        direction: Direction | None,
        severity: Severity,
        message: str,
    ) -> None:
        self.findings.append(
            VerifyFinding(self._dialect, revision, direction, severity, message)
        )

    def _tell(self, text: str, position: int) -> None:
        total = len(self._scripts)
        self._on_progress(VerifyStep(self._dialect, text, position, total))

    def _state(self) -> SchemaState:
        with reading(self._database.engine) as connection:
            return database_state(connection, ignore=(_VERSION_TABLE,))

    def _up(self) -> None:
        for position, script in enumerate(self._scripts, start=1):
            self._tell(f"upgrade {script.revision} {script.doc}", position)
            self._states.append(self._state())
            self._carriage.load()
            self._step(script, "upgrade")

    def _down(self) -> None:
        for index in range(len(self._scripts) - 1, -1, -1):
            script = self._scripts[index]
            self._tell(f"downgrade {script.revision} {script.doc}", index + 1)
            self._carriage.load()
            self._step(script, "downgrade")
            for item in differences(self._state(), self._states[index]):
                self._found(
                    script.revision,
                    "downgrade",
                    "error",
                    f"the schema is not as before the revision: {item.sentence()}",
                )

    def _up_again(self) -> None:
        self._tell("upgrade to the head once more", len(self._scripts))
        try:
            request = self._request()
            with calling(self._history, request) as config:
                command.upgrade(config, "heads")
        except LockstepError as exc:
            revision = str(exc.detail.get("revision", ""))
            message = f"after a downgrade it cannot be applied again: {exc.message}"
            self._found(revision or None, "upgrade", "error", message)

    def _step(self, script: Script, direction: Direction) -> None:
        """Apply a revision; with the rows, without NULLs, at last without rows."""
        first: LockstepError | None = None
        for stage in ("every row", "rows without NULL", "no rows"):
            before = self._carriage.remember()
            try:
                self._move(script, direction)
            except LockstepError as exc:
                first = first or exc
                if stage == "no rows":
                    self._found(script.revision, direction, "error", first.message)
                    raise _Stop from exc
                self._carriage.thin_out(only_sparse=stage == "every row")
                continue
            self._judge(script, direction, stage, first)
            self._carriage.follow(script, direction)
            for message, severity in self._carriage.losses(before):
                self._found(script.revision, direction, severity, message)
            return

    def _judge(
        self,
        script: Script,
        direction: Direction,
        stage: str,
        failure: LockstepError | None,
    ) -> None:
        if failure is None:
            return
        if stage == "rows without NULL":
            text = f"fails when optional columns are empty: {failure.message}"
            self._found(script.revision, direction, "warning", text)
            return
        severity: Severity = "error" if direction == "upgrade" else "warning"
        text = f"fails on tables with rows: {failure.message}"
        self._found(script.revision, direction, severity, text)

    def _move(self, script: Script, direction: Direction) -> None:
        """Apply this one revision, also where a branch makes its name ambiguous."""
        scripts = self._history.scripts()
        step = RevisionStep(scripts.revision_map, script, direction == "upgrade")

        def only_this(_: Any, context: Any) -> list[RevisionStep]:
            return [step]

        in_environment(self._history, scripts, self._request(), only_this)

    def _request(self) -> MigrationRequest:
        return MigrationRequest(self._database, metadata=self._history.metadata)

    def _compare_with_models(self) -> None:
        self._tell("compare with the models", len(self._scripts))
        with alembic_is_ours():
            findings = run_checks(self._history)
        for finding in findings:
            if finding.code in ("drift", "not-portable"):
                self._found(None, None, "error", finding.message)
