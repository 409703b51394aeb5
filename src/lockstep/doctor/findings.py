"""What a check finds: how bad it is, where, what, why, and how to mend it.

Owns the one form in which everything that looks at a database reports. A finding
is a value: it holds no connection, survives JSON, and shows counts and row
numbers, never a stored text, so that a report can be sent to a colleague.

Invariant: severity says what to do. A ``problem`` loses or falsifies data, or is
about to; a ``warning`` will bite under a condition that is named; a ``notice`` is
worth knowing and asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lockstep.wording import counted as counted

Severity = Literal["problem", "warning", "notice"]

SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "notice")
"""The worst first."""

MEANINGS: Mapping[Severity, str] = {
    "problem": "data is lost or falsified, or about to be",
    "warning": "it will bite under the condition that it names",
    "notice": "worth knowing; nothing has to be done",
}

EXAMPLES_MAX = 5
"""Row numbers, names or lines that one finding lists as examples."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check found.

    Attributes:
        check: The check's name, such as ``dirty-types``.
        severity: ``problem``, ``warning`` or ``notice``.
        subject: The table, ``table.column``, index, file or line it is about.
        what: What was found, with counts.
        why: What goes wrong because of it.
        mend: How to mend it, in words.
        command: The command, SQL or code that mends it; empty when there is none.
        fixable: Whether ``--fix`` can do it.
        evidence: JSON-safe facts for a program; never a stored text or a secret.
    """

    check: str
    severity: Severity
    subject: str
    what: str
    why: str
    mend: str
    command: str = ""
    fixable: bool = False
    evidence: Mapping[str, Any] = field(
        default_factory=lambda: dict[str, Any](), hash=False
    )

    def to_json(self) -> dict[str, Any]:
        """Return the finding as ``--json`` prints it."""
        return asdict(self)


def ranked(findings: list[Finding]) -> list[Finding]:
    """Return ``findings``, the worst first, else as they were found."""
    return sorted(findings, key=lambda found: SEVERITIES.index(found.severity))


def some(items: list[str]) -> str:
    """Return a readable list of at most ``EXAMPLES_MAX`` names.

    Example:
        >>> some(["a", "b", "c", "d", "e", "f", "g"])
        'a, b, c, d, e and 2 more'
    """
    shown = ", ".join(items[:EXAMPLES_MAX])
    more = len(items) - EXAMPLES_MAX
    return f"{shown} and {more} more" if more > 0 else shown
