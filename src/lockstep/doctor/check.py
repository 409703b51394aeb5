"""What a check is: a name, what it looks for, and a function per kind of target.

Owns the contract between a check's file and the examination. A check looks; it
never changes what it looks at. What ``--fix`` may do is a plan that the check
returns and that ``repairs`` carries out.

    checks/journal_mode.py ── CHECK = Check("journal-mode", …, sqlite=examine)
                                           │
    registry ── all_checks() ──► examination ──► Finding, Finding, …
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lockstep.doctor.findings import Finding, Severity

if TYPE_CHECKING:
    from lockstep.doctor.postgresql.context import PostgresqlContext
    from lockstep.doctor.project.context import ProjectContext
    from lockstep.doctor.sqlite.context import SqliteContext
    from lockstep.doctor.trace.context import TraceContext

TargetKind = Literal["sqlite", "postgresql", "project", "trace"]
KINDS: tuple[TargetKind, ...] = ("sqlite", "postgresql", "project", "trace")

Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Repair:
    """What ``--fix`` would do about one finding.

    Attributes:
        finding: What it mends.
        plan: The sentence that is shown before anything happens.
        statements: The SQL, in its order.
        in_transaction: Whether all of it happens in one transaction. The few
            statements that no transaction may hold (``PRAGMA journal_mode``)
            stand alone.
    """

    finding: Finding
    plan: str
    statements: tuple[str, ...]
    in_transaction: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the doctor looks for.

    Attributes:
        name: Stable, in words and hyphens; ``--check`` and ``--skip`` take it.
        looks_for: What it looks for, one sentence.
        why: What goes wrong; every finding says it too.
        sqlite: Looks at a SQLite file, or a libSQL server's database; None where
            there is nothing to look at.
        postgresql: Looks at a PostgreSQL database.
        project: Looks at a folder with code and settings.
        trace: Looks at what a running program did.
        needs_file: What it asks of SQLite only a file tells, or only a file allows;
            a libSQL server's database is not looked at.
        repair: Returns what ``--fix`` would do about a finding that is fixable.
    """

    name: str
    looks_for: str
    why: str
    sqlite: Callable[[SqliteContext], Findings] | None = None
    postgresql: Callable[[PostgresqlContext], Findings] | None = None
    project: Callable[[ProjectContext], Findings] | None = None
    trace: Callable[[TraceContext], Findings] | None = None
    repair: Callable[[Finding], Repair] | None = None
    needs_file: bool = False

    def kinds(self) -> tuple[TargetKind, ...]:
        """Return the kinds of target that this check knows."""
        given = (self.sqlite, self.postgresql, self.project, self.trace)
        return tuple(k for k, examine in zip(KINDS, given, strict=True) if examine)

    def finding(
        self,
        severity: Severity,
        subject: str,
        what: str,
        *,
        mend: str,
        why: str | None = None,
        command: str = "",
        fixable: bool = False,
        evidence: Mapping[str, Any] | None = None,
    ) -> Finding:
        """Return a finding of this check; ``why`` is the check's own by default."""
        return Finding(
            check=self.name,
            severity=severity,
            subject=subject,
            what=what,
            why=self.why if why is None else why,
            mend=mend,
            command=command,
            fixable=fixable,
            evidence=dict(evidence or {}),
        )
