"""What an examination says in the end.

Owns the report: every check that ran, what it found, and which did not come to
an end. It prints nothing; the command and a program read the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lockstep.doctor.findings import SEVERITIES, Finding, Severity, ranked

Outcome = Literal["done", "incomplete", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class CheckRun:
    """One check on one target.

    Attributes:
        check: Its name.
        target: What it looked at.
        outcome: ``done``; ``incomplete`` when its time was up; ``refused`` when a
            privilege was lacking, or only a file would tell; ``failed`` when it
            broke, or the project's own code did.
        reason: Why it is not ``done``.
        findings: How many it found.
        elapsed_s: Seconds it took.
    """

    check: str
    target: str
    outcome: Outcome
    reason: str
    findings: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one examination.

    Attributes:
        targets: What was looked at, secrets masked.
        findings: The worst first.
        runs: The checks that ran, in their order.
        partial: Tables of which only the first rows were looked at.
    """

    targets: tuple[str, ...]
    findings: tuple[Finding, ...]
    runs: tuple[CheckRun, ...]
    partial: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Whether every check came to an end and found nothing worse than a notice.

        A check that was refused has said so, and does not count against it.
        """
        ended = all(run.outcome in ("done", "refused") for run in self.runs)
        return ended and self.worst in (None, "notice")

    @property
    def worst(self) -> Severity | None:
        """The worst severity found; None without findings."""
        return self.findings[0].severity if self.findings else None

    @property
    def unfinished(self) -> tuple[CheckRun, ...]:
        """The checks that did not come to an end."""
        return tuple(run for run in self.runs if run.outcome != "done")

    def counts(self) -> dict[str, int]:
        """Return how many findings there are of each severity."""
        return {
            severity: sum(found.severity == severity for found in self.findings)
            for severity in SEVERITIES
        }

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``--json`` prints it."""
        return {
            "healthy": self.is_healthy,
            "targets": list(self.targets),
            "checks": len({run.check for run in self.runs}),
            "counts": self.counts(),
            "findings": [found.to_json() for found in self.findings],
            "unfinished": [asdict(run) for run in self.unfinished],
            "partial": list(self.partial),
            "elapsed_s": round(sum(run.elapsed_s for run in self.runs), 3),
        }


def joined(reports: Sequence[Report]) -> Report:
    """Return several reports as one."""
    return Report(
        tuple(target for report in reports for target in report.targets),
        tuple(ranked([item for report in reports for item in report.findings])),
        tuple(run for report in reports for run in report.runs),
        tuple(table for report in reports for table in report.partial),
    )
