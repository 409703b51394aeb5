"""Mend what is safe to mend: a plan first, one transaction each, looked at again.

Owns carrying out the repairs that checks plan. Only what cannot lose a row is
planned at all: a journal mode, an index, statistics, a sequence.

    Report ──► planned() ──► shown; with --yes ──► carry_out() ──► examined again

Invariant: a repair happens entirely or not at all, and one that fails stops
nothing else. No backup is made; the plan says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString, cast

from lockstep.doctor.check import Repair
from lockstep.doctor.examination import examine
from lockstep.doctor.limits import Limits
from lockstep.doctor.postgresql.connecting import connected
from lockstep.doctor.registry import all_checks
from lockstep.doctor.targets import (
    Target,
    database_of,
    parse_target,
    project_settings,
)
from lockstep.engine import classify
from lockstep.errors import ConfigError

if TYPE_CHECKING:
    import os

    from lockstep.config import Settings
    from lockstep.doctor.report import Report
    from lockstep.engine import DatabaseUrl

LOCK_TIMEOUT_S = 5.0
"""A repair that does not get its lock in this time is given up."""


@dataclass(frozen=True, slots=True)
class RepairResult:
    """How one repair went.

    Attributes:
        repair: What was to be done.
        is_mended: Whether it was done and the finding is gone.
        error: Why not; empty when it is mended.
    """

    repair: Repair
    is_mended: bool
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        finding = self.repair.finding
        return {
            "check": finding.check,
            "subject": finding.subject,
            "mended": self.is_mended,
            "error": self.error,
        }


def planned(report: Report) -> tuple[Repair, ...]:
    """Return what could be done about the findings of ``report``."""
    checks = {check.name: check for check in all_checks()}
    found: list[Repair] = []
    for finding in report.findings:
        repair = checks[finding.check].repair
        if finding.fixable and repair is not None:
            found.append(repair(finding))
    return tuple(found)


def carry_out(
    target: str | os.PathLike[str] | DatabaseUrl,
    repairs: Sequence[Repair],
    *,
    limits: Limits | None = None,
    settings: Settings | None = None,
) -> tuple[RepairResult, ...]:
    """Do ``repairs`` on the database they were planned for, then look again.

    Args:
        target: The SQLite file, the PostgreSQL database, or the project it is of.
        repairs: From :func:`planned`.
        limits: What looking again may cost.
        settings: Of the project the database belongs to.

    Raises:
        ConfigError: The project names no database.
        ConnectionLost: The server cannot be reached.
    """
    parsed = parse_target(target)
    if parsed.kind == "project":
        assert parsed.path is not None, "a project has a folder"
        settings = settings or project_settings(parsed.path)
        database = database_of(settings)
        if database is None:
            raise ConfigError(
                f"{parsed.path} names no database that could be mended",
                hint="name the database itself: lockstep db doctor FILE --fix",
            )
        parsed = database
    errors = [_try(parsed, repair) for repair in repairs]
    assert parsed.url is not None, "a database has a URL"
    left = _left(parsed.url, {r.finding.check for r in repairs}, limits, settings)
    results: list[RepairResult] = []
    for repair, error in zip(repairs, errors, strict=True):
        still_there = (repair.finding.check, repair.finding.subject) in left
        if not error and still_there:
            error = "it was done, and the finding is still there"
        results.append(RepairResult(repair, not error, error))
    return tuple(results)


def _left(
    url: DatabaseUrl,
    checks: Iterable[str],
    limits: Limits | None,
    settings: Settings | None,
) -> set[tuple[str, str]]:
    names = list(checks)
    if not names:
        return set()
    report = examine(url, checks=names, limits=limits, settings=settings)
    return {(found.check, found.subject) for found in report.findings}


def _try(target: Target, repair: Repair) -> str:
    try:
        if target.kind == "sqlite":
            _on_sqlite(target, repair)
        else:
            _on_postgresql(target, repair)
    except Exception as error:
        known = classify(error)
        if known is None:
            raise
        return known.message
    return ""


def _on_sqlite(target: Target, repair: Repair) -> None:
    assert target.url is not None, "a database has a URL"
    if target.path is None:
        from lockstep.mover.sqlite.served import ServedConnection

        _do_on(ServedConnection(target.url), repair)
        return
    uri = target.url.sqlite_uri.partition("?")[0] + "?mode=rw"
    connection = sqlite3.connect(
        uri, uri=True, timeout=LOCK_TIMEOUT_S, isolation_level=None
    )
    _do_on(connection, repair)


def _do_on(connection: Any, repair: Repair) -> None:
    try:
        if not repair.in_transaction:
            for statement in repair.statements:
                connection.execute(statement).fetchall()
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in repair.statements:
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    finally:
        connection.close()


def _on_postgresql(target: Target, repair: Repair) -> None:
    assert target.url is not None, "a server has a URL"
    with connected(target.url) as connection, connection.transaction():
        milliseconds = str(int(LOCK_TIMEOUT_S * 1000))
        connection.execute(
            "SELECT set_config('lock_timeout', %s, true)", (milliseconds,)
        )
        for statement in repair.statements:
            connection.execute(cast(LiteralString, statement))
