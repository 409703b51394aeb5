"""What the mover tells: typed values, each with the JSON form the command prints.

Owns no decision. Every ``to_json`` is additive: keys are only ever added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from lockstep.mover.plan.model import Loss, Plan


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a database that a person should know before moving it.

    Attributes:
        kind: ``mixed types``, ``invalid text``, ``orphans``, ``duplicates`` …
        where: Table, or table and column.
        message: One sentence.
        count: How many rows or cells.
        examples: Keys or values, a few, shortened.
    """

    kind: str
    where: str
    message: str
    count: int = 0
    examples: tuple[str, ...] = ()


@dataclass
class Inspection:
    """Everything ``lockstep inspect`` shows.

    Attributes:
        url: Masked.
        dialect: ``sqlite``, ``libsql`` or ``postgresql``.
        tables: A JSON-safe description of each table and its columns.
        findings: Dirt, and what another engine lacks.
        objects: Views, triggers, indexes, virtual and shadow tables: kind, name, text.
        notices: How it was read.
        facts: Of the file as a whole: encoding, pragmas, missing collations.
    """

    url: str
    dialect: str
    tables: list[dict[str, Any]]
    findings: list[Finding]
    objects: list[dict[str, str]]
    notices: list[str]
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Progress:
    """News while a move runs.

    Attributes:
        phase: ``inspect``, ``copy``, ``build``, ``verify``.
        table: Which table; or what is built.
        done, total: Rows; ``total`` is None where it is not known.
    """

    phase: Literal["inspect", "copy", "build", "verify"]
    table: str
    done: int
    total: int | None = None


ProgressCallback = Callable[[Progress], None]

DIFFERENCES_KEPT_MAX: Final = 100
"""More are counted and not kept: a report has to fit into memory, and be read."""


def silent(_: Progress) -> None:
    """Ignore progress."""


@dataclass
class TableMoved:
    """One table after a move."""

    table: str
    target: str
    rows: int = 0
    quarantined: int = 0
    odd_rows: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same in source and target.

    Attributes:
        kind: ``cell``, ``missing row``, ``extra row``, ``missing table``,
            ``missing column``, ``extra table``, ``extra column``, ``unreadable table``,
            ``storage class``.
        table: The source's table.
        key: The row's key, or the beginning of the row where it has none.
        column: For a cell.
        source, target: What stands there, shortened.
    """

    kind: str
    table: str
    key: str = ""
    column: str = ""
    source: str = ""
    target: str = ""


@dataclass
class VerifyReport:
    """What a comparison of every cell found.

    Attributes:
        rows, cells: How many were compared.
        differences: The first ``DIFFERENCES_KEPT_MAX`` of them.
        difference_count: How many there are in all.
        notices: What was left out of the comparison, or compared in another way.
    """

    tables: int = 0
    rows: int = 0
    cells: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])
    difference_count: int = 0
    notices: list[str] = field(default_factory=list[str])

    @property
    def is_same(self) -> bool:
        """Whether no difference was found."""
        return self.difference_count == 0

    def add(self, difference: Difference) -> None:
        """Count a difference; keep it while there is room."""
        self.difference_count += 1
        if len(self.differences) < DIFFERENCES_KEPT_MAX:
            self.differences.append(difference)

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return {"is_same": self.is_same, **asdict(self)}


@dataclass
class MoveResult:
    """What a move did.

    Attributes:
        plan: What was planned; its losses were named before the first byte.
        tables: Rows by table.
        not_built: Constraints that the target refused, with its reason.
        quarantined: Rows that were not carried; they stand in ``quarantine_file``.
        verification: The comparison of every cell.
        resumed: Whether an earlier run was continued.
        elapsed_s: All of it; ``phases_s`` by ``inspect``, ``copy``, ``build``,
            ``verify``.
    """

    plan: Plan
    tables: list[TableMoved]
    not_built: list[Loss]
    quarantined: int
    quarantine_file: str | None
    verification: VerifyReport | None
    resumed: bool
    notices: list[str] = field(default_factory=list[str])
    elapsed_s: float = 0.0
    phases_s: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def left_behind(self) -> list[Loss]:
        """The plan's losses of rows and values, which whoever moved has accepted."""
        return [loss for loss in self.plan.losses if loss.is_data]

    @property
    def is_exact(self) -> bool:
        """Whether every cell arrived and was compared.

        What was quarantined or left behind has not arrived, though the plan named it
        and all else is the same (``verification.is_same``).
        """
        checked = self.verification is not None and self.verification.is_same
        return checked and not self.quarantined and not self.left_behind

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        verification = self.verification
        return {
            "is_exact": self.is_exact,
            "tables": [asdict(table) for table in self.tables],
            "losses": [asdict(loss) for loss in self.plan.losses],
            "not_built": [asdict(loss) for loss in self.not_built],
            "quarantined": self.quarantined,
            "quarantine_file": self.quarantine_file,
            "verification": None if verification is None else verification.to_json(),
            "resumed": self.resumed,
            "notices": [*self.plan.notices, *self.notices],
            "elapsed_s": round(self.elapsed_s, 3),
            "phases_s": {
                name: round(phase_s, 3) for name, phase_s in self.phases_s.items()
            },
        }
