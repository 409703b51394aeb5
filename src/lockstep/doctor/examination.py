"""Run the checks on a target and report.

Owns the order of things: open the target once, give each check its time, keep
going when one of them fails, and turn "this is no database" into a finding.

    target ─► open ─► check, check, check … ─► Report
                        │ out of time, no privilege, a bug: noted, go on
"""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep.doctor.check import Check, Findings, TargetKind
from lockstep.doctor.checks.readable import CHECK as READABLE
from lockstep.doctor.findings import Finding, ranked
from lockstep.doctor.limits import Limits, OutOfTime
from lockstep.doctor.postgresql.connecting import connected
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.project.context import ProjectContext
from lockstep.doctor.registry import choose
from lockstep.doctor.report import CheckRun, Outcome, Report, joined
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.doctor.sqlite.opening import opened
from lockstep.doctor.sqlite.served import served
from lockstep.doctor.targets import (
    Target,
    database_of,
    parse_target,
    project_settings,
)
from lockstep.doctor.trace.context import TraceContext
from lockstep.engine import classify
from lockstep.errors import (
    AccessDenied,
    Busy,
    ConnectionLost,
    LockstepError,
    Timeout,
    Unexaminable,
    UnsupportedCapability,
)

if TYPE_CHECKING:
    import os

    from lockstep.config import Settings
    from lockstep.doctor.trace.recorder import Event
    from lockstep.engine import DatabaseUrl

NEEDS_FILE = "only the file and its machine tell, and a server shows neither"

DATABASE_SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3")
DATABASES_MAX = 5
"""Files of a project that are looked at without being named."""

OnCheck = Callable[[str, str], None]
"""Told ``(check, target)`` before each check, and ``(REPLAY, folder)`` before the
history in a folder is replayed, which may take long."""

REPLAY = "replay"


def _silent(check: str, target: str) -> None:
    """Take the news and say nothing."""


def examine(
    target: str | os.PathLike[str] | DatabaseUrl,
    *,
    checks: Iterable[str] = (),
    skip: Iterable[str] = (),
    limits: Limits | None = None,
    settings: Settings | None = None,
    processes: int | None = None,
    on_check: OnCheck = _silent,
) -> Report:
    """Look at a database or a project; change nothing.

    Args:
        target: A SQLite file, the URL of a libSQL server or of PostgreSQL, or a
            project's folder (then its database too).
        checks: Names of the checks to run; all when empty.
        skip: Names of checks to leave out.
        limits: What it may cost.
        settings: Of the project the database belongs to; tells what is promised.
        processes: How many processes of the application there will be.
        on_check: Told what comes next; see ``OnCheck``.

    Raises:
        ConfigError: A check's name or the URL is wrong.
        Unexaminable: There is no such file or folder.
        ConnectionLost: The server cannot be reached.

    Example::

        report = examine("shop.db", skip=["not-strict"])
        for finding in report.findings:
            print(finding.severity, finding.subject, finding.what)
    """
    order = _Order(
        choose(checks, skip), limits or Limits(), settings, processes, on_check
    )
    return _examine_one(parse_target(target), order)


def examine_trace(
    events: Sequence[Event],
    *,
    checks: Iterable[str] = (),
    skip: Iterable[str] = (),
    name: str = "trace",
) -> Report:
    """Say what is wrong in what a running program did.

    Args:
        events: From :func:`lockstep.doctor.trace.programs.run_traced` or a
            :class:`lockstep.doctor.trace.Trace`.
        checks: Names of the checks to run; all when empty.
        skip: Names of checks to leave out.
        name: How the report calls the program.
    """
    context = TraceContext(events)
    runner = Runner(name, _silent)
    for check in choose(checks, skip):
        if check.trace is not None:
            runner.run(check, check.trace, context)
    return runner.report()


@dataclass(frozen=True, slots=True)
class _Order:
    """What was ordered, for every target alike."""

    checks: Sequence[Check]
    limits: Limits
    settings: Settings | None
    processes: int | None
    on_check: OnCheck

    def of_kind(self, kind: TargetKind) -> list[Check]:
        """Return the checks that know this kind of target."""
        return [check for check in self.checks if kind in check.kinds()]


def _examine_one(target: Target, order: _Order) -> Report:
    if target.kind == "project":
        assert target.path is not None, "a project has a folder"
        return _examine_project(target.path, order)
    if target.kind == "postgresql":
        assert target.url is not None, "a server has a URL"
        return _examine_server(target.url, order)
    if target.path is None:
        assert target.url is not None, "what is no file is a server"
        return _examine_served(target.url, order)
    return _examine_file(target.path, order)


def _examine_project(root: Path, order: _Order) -> Report:
    """Look at the files and the history, then at the database that they name."""
    settings = order.settings or project_settings(root)
    context = ProjectContext(
        root,
        settings,
        order.limits,
        on_replay=lambda folder: order.on_check(REPLAY, str(folder)),
    )
    runner = Runner(str(root), order.on_check)
    for check in order.of_kind("project"):
        assert check.project is not None, "it was chosen by kind"
        runner.run(check, check.project, context)
    reports = [runner.report()]
    database = database_of(settings)
    if database is not None:
        reports.append(
            _examine_one(database, dataclasses.replace(order, settings=settings))
        )
    elif settings is None:
        reports += _examine_files_in(context, order)
    return joined(reports)


def _examine_files_in(context: ProjectContext, order: _Order) -> list[Report]:
    """Look at the SQLite files that lie in a project which names no database to us."""
    reports: list[Report] = []
    for file in context.files:
        if file.path.suffix.lower() not in DATABASE_SUFFIXES or file.is_for_tests:
            continue
        if len(reports) == DATABASES_MAX:
            break
        try:
            with opened(file.path, timeout_s=order.limits.busy_s):
                pass
        except Unexaminable as error:
            code = error.detail.get("sqlite_code")
            if code in (None, sqlite3.SQLITE_NOTADB):
                continue  # empty, or another program's
        report = _examine_file(file.path, order)
        # --fix mends the one database that was named, and none that was met.
        met = [dataclasses.replace(f, fixable=False) for f in report.findings]
        reports.append(dataclasses.replace(report, findings=tuple(met)))
    return reports


def _examine_file(path: Path, order: _Order) -> Report:
    try:
        with opened(path, timeout_s=order.limits.busy_s) as database:
            context = SqliteContext(path, database, order.limits, order.settings)
            runner = Runner(str(path), order.on_check)
            for check in order.of_kind("sqlite"):
                context.start()
                assert check.sqlite is not None, "it was chosen by kind"
                runner.run(check, check.sqlite, context)
            return dataclasses.replace(runner.report(), partial=tuple(context.partial))
    except Unexaminable as error:
        found = READABLE.finding(
            "problem",
            path.name,
            error.message,
            mend=error.hint or "restore a backup",
            evidence=error.detail,
        )
        run = CheckRun(READABLE.name, str(path), "done", "", 1, 0.0)
        return Report((str(path),), (found,), (run,))


def _examine_served(url: DatabaseUrl, order: _Order) -> Report:
    """Look at a libSQL server's database: what SQL can tell, and say what it cannot."""
    runner = Runner(str(url), order.on_check)
    with served(url, order.settings) as database:
        server = url.http_url.partition("//")[2]
        context = SqliteContext(
            None, database, order.limits, order.settings, server=server
        )
        for check in order.of_kind("sqlite"):
            context.start()
            assert check.sqlite is not None, "it was chosen by kind"
            examine_it = _needs_file if check.needs_file else check.sqlite
            runner.run(check, examine_it, context)
        return dataclasses.replace(runner.report(), partial=tuple(context.partial))


def _needs_file(context: SqliteContext) -> Findings:
    raise UnsupportedCapability(NEEDS_FILE)
    yield  # as a check does


def _examine_server(url: DatabaseUrl, order: _Order) -> Report:
    with connected(url) as connection:
        context = PostgresqlContext(
            url, connection, order.limits, order.settings, order.processes
        )
        runner = Runner(str(url), order.on_check)
        for check in order.of_kind("postgresql"):
            assert check.postgresql is not None, "it was chosen by kind"
            runner.run(check, _in_transaction(check.postgresql), context)
        with context.transaction():
            partial = tuple(t.name for t in context.tables if context.told(t))
        return dataclasses.replace(runner.report(), partial=partial)


def _in_transaction(
    examine: Callable[[PostgresqlContext], Findings],
) -> Callable[[PostgresqlContext], Findings]:
    """Return the check as one that runs in a read-only transaction of its own."""

    def run(context: PostgresqlContext) -> Findings:
        with context.transaction():
            yield from examine(context)

    return run


class Runner:
    """Runs checks on one target, whatever happens to each, and keeps the results."""

    def __init__(self, target: str, on_check: OnCheck) -> None:
        self._target = target
        self._on_check = on_check
        self._findings: list[Finding] = []
        self._runs: list[CheckRun] = []

    def run(
        self, check: Check, examine: Callable[[Any], Iterable[Finding]], context: Any
    ) -> None:
        """Run one check; what it found before it failed is kept."""
        self._on_check(check.name, self._target)
        started_s = time.monotonic()
        found: list[Finding] = []
        outcome: Outcome = "done"
        reason = ""
        try:
            found.extend(examine(context))
        except OutOfTime:
            outcome, reason = "incomplete", "its time was up (--limit-s)"
        except sqlite3.Error as error:
            outcome, reason = _of_sqlite(error)
        except PermissionError as error:
            outcome, reason = "refused", f"{error.filename}: {error.strerror}"
        except Exception as error:
            # What has a name may happen; a bug of ours is raised.
            known = classify(error)
            if known is None or isinstance(known, ConnectionLost):
                raise
            outcome, reason = _of_known(known), known.message
        self._findings += found
        elapsed_s = time.monotonic() - started_s
        self._runs.append(
            CheckRun(
                check.name,
                self._target,
                outcome,
                reason,
                len(found),
                round(elapsed_s, 3),
            )
        )

    def report(self) -> Report:
        """Return what was found so far."""
        return Report((self._target,), tuple(ranked(self._findings)), tuple(self._runs))


def _of_known(error: LockstepError) -> Outcome:
    if isinstance(error, AccessDenied | UnsupportedCapability):
        return "refused"
    return "incomplete" if isinstance(error, Timeout | Busy) else "failed"


def _of_sqlite(error: sqlite3.Error) -> tuple[Outcome, str]:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return "incomplete", "another process held the database all the time"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return "incomplete", "the database is damaged where it looked"
    return "failed", f"SQLite says: {error}"
