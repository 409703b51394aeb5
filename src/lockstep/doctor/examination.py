"""Run the checks on a target and report.

Owns the order of things: open the target once, give each check its time, keep
going when one of them fails, and turn "this is no database" into a finding.

    target ─► open ─► check, check, check … ─► Report
                        │ out of time, no privilege, a bug: noted, go on
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep.doctor.check import Check, TargetKind
from lockstep.doctor.checks.readable import CHECK as READABLE
from lockstep.doctor.findings import Finding, ranked
from lockstep.doctor.limits import Limits, OutOfTime
from lockstep.doctor.registry import choose
from lockstep.doctor.report import CheckRun, Outcome, Report, joined
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.doctor.sqlite.opening import opened
from lockstep.doctor.targets import Target, parse_target
from lockstep.errors import Unexaminable

if TYPE_CHECKING:
    import os

    from lockstep.config import Settings
    from lockstep.engine import DatabaseUrl

OnCheck = Callable[[str, str], None]
"""Told ``(check, target)`` before each check."""


def _silent(check: str, target: str) -> None:
    """Take the news and say nothing."""


def examine(
    target: str | os.PathLike[str] | DatabaseUrl,
    *,
    checks: Iterable[str] = (),
    skip: Iterable[str] = (),
    limits: Limits | None = None,
    settings: Settings | None = None,
    on_check: OnCheck = _silent,
) -> Report:
    """Look at a SQLite file, a PostgreSQL database or a project; change nothing.

    Args:
        target: A path, a URL, or a project's folder (then its database too).
        checks: Names of the checks to run; all when empty.
        skip: Names of checks to leave out.
        limits: What it may cost.
        settings: Of the project the database belongs to; tells what is promised.
        on_check: Told ``(check, target)`` before each check.

    Raises:
        ConfigError: A check's name or the URL is wrong.
        Unexaminable: There is no such file or folder.
        ConnectionLost: The server cannot be reached.

    Example::

        report = examine("shop.db", skip=["strict"])
        for finding in report.findings:
            print(finding.severity, finding.subject, finding.what)
    """
    chosen = choose(checks, skip)
    parsed = parse_target(target)
    return joined(
        [
            _examine_one(one, chosen, limits or Limits(), settings, on_check)
            for one in [parsed]
        ]
    )


def _examine_one(
    target: Target,
    checks: Sequence[Check],
    limits: Limits,
    settings: Settings | None,
    on_check: OnCheck,
) -> Report:
    assert target.path is not None, "a file has a path"
    return _examine_file(target.path, checks, limits, settings, on_check)


def _examine_file(
    path: Path,
    checks: Sequence[Check],
    limits: Limits,
    settings: Settings | None,
    on_check: OnCheck,
) -> Report:
    try:
        with opened(path, timeout_s=limits.busy_s) as database:
            context = SqliteContext(path, database, limits, settings)
            runner = Runner(str(path), on_check)
            for check in _of_kind(checks, "sqlite"):
                context.start()
                assert check.sqlite is not None, "it was chosen by kind"
                runner.run(check, check.sqlite, context)
            return runner.report()
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


def _of_kind(checks: Sequence[Check], kind: TargetKind) -> list[Check]:
    return [check for check in checks if kind in check.kinds()]


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


def _of_sqlite(error: sqlite3.Error) -> tuple[Outcome, str]:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return "incomplete", "another process held the database all the time"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return "incomplete", "the database is damaged where it looked"
    return "failed", f"SQLite says: {error}"
