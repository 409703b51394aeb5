"""What the mover tells: typed values, each with the JSON form the command prints.

Owns no decision. Every ``to_json`` is additive: keys are only ever added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from lockstep.mover.model.plan import Loss, Plan


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


def together(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with those of one kind and reason in one, for people to read."""
    found: dict[Any, Finding] = {}
    for finding in findings:
        reason = (finding.kind, finding.message, finding.count, finding.examples)
        if reason in found:
            finding = replace(finding, where=f"{found[reason].where}, {finding.where}")
        found[reason] = finding
    return list(found.values())


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

EXAMPLES_KEPT_MIN: Final = 3
"""Of each kind, table and column are kept: a column that is rounded throughout must
not hide what else differs."""


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

    @property
    def place(self) -> tuple[str, str, str]:
        """Kind, table and column."""
        return self.kind, self.table, self.column


@dataclass(frozen=True, slots=True)
class DifferenceCount:
    """How many differences there are of one kind in one place.

    Attributes:
        kind: As of a ``Difference``; ``row`` for rows that were only counted.
        table, column: The source's.
        count: Of cells, rows or tables.
    """

    kind: str
    table: str
    column: str
    count: int


@dataclass
class VerifyReport:
    """What a comparison of every cell found.

    Attributes:
        rows, cells: How many were compared.
        differences: The first ``DIFFERENCES_KEPT_MAX`` of them, and behind these the
            first ``EXAMPLES_KEPT_MIN`` of every other kind, table and column.
        difference_count: How many there are in all.
        quarantined: Rows that the target lacks and the move noted: no differences.
        recomputed: Cells that the target computes otherwise than they were, as the
            plan named them: no differences.
        left_behind: What else of rows and values the plan named as not carried.
        notices: What was left out of the comparison, or compared in another way.
        cells_anew: Which ones ``recomputed`` counts (``SetSum``), by table and column.
    """

    tables: int = 0
    rows: int = 0
    cells: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])
    difference_count: int = 0
    quarantined: int = 0
    recomputed: int = 0
    left_behind: list[str] = field(default_factory=list[str])
    notices: list[str] = field(default_factory=list[str])
    cells_anew: dict[str, dict[str, str]] = field(
        default_factory=dict[str, dict[str, str]], repr=False
    )
    _counts: Counter[tuple[str, str, str]] = field(
        default_factory=Counter[tuple[str, str, str]], init=False, repr=False
    )

    @property
    def is_same(self) -> bool:
        """Whether no difference was found but what the move named."""
        return self.difference_count == 0

    @property
    def is_exact(self) -> bool:
        """Whether every cell is there, nothing of it left out by a move's plan."""
        left_out = self.quarantined or self.recomputed or self.left_behind
        return self.is_same and not left_out

    def add(self, difference: Difference) -> None:
        """Count a difference; keep it while there is room."""
        self.difference_count += 1
        self._counts[difference.place] += 1
        if (
            len(self.differences) < DIFFERENCES_KEPT_MAX
            or self._counts[difference.place] <= EXAMPLES_KEPT_MIN
        ):
            self.differences.append(difference)

    def take(self, other: VerifyReport) -> None:
        """Count what another report has found of the same databases, too."""
        for difference in other.differences:
            self.add(difference)
        for place, count in other._counts.items():
            kept = sum(found.place == place for found in other.differences)
            self.difference_count += count - kept
            self._counts[place] += count - kept

    def add_unnamed_rows(self, table: str, count: int) -> None:
        """Count rows that differ and of which nothing is kept."""
        self.difference_count += count
        if count:
            self._counts["row", table, ""] += count

    @property
    def summary(self) -> list[DifferenceCount]:
        """How many differences each place has, in the order they were met."""
        return [DifferenceCount(*place, count) for place, count in self._counts.items()]

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        document = asdict(self)
        del document["_counts"], document["cells_anew"]
        document["summary"] = [asdict(counted) for counted in self.summary]
        return {"is_same": self.is_same, "is_exact": self.is_exact, **document}


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
