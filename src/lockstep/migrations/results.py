"""What the verbs of a migration return, and what they say while they run.

Owns plain frozen values and nothing else: no database, no Alembic object, so a
command can print them, turn them into JSON (``to_json``) or compare them in a
test. Revisions are named by Alembic's ids; ``base`` is the empty tuple of heads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

Direction = Literal["upgrade", "downgrade", "stamp"]
Severity = Literal["error", "warning"]


class Result:
    """Adds ``to_json`` to the frozen values of this module."""

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON-safe objects, paths as text."""
        assert dataclasses.is_dataclass(self), "every result is a dataclass"
        return {
            item.name: _plain(getattr(self, item.name))
            for item in dataclasses.fields(self)
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Result):
        return value.to_json()
    if isinstance(value, list | tuple):
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        return [_plain(item) for item in items]
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True)
class RevisionInfo(Result):
    """One revision of the history.

    Attributes:
        revision: Alembic's id.
        down_revisions: Ids this one follows; empty for a first revision, two or
            more for a merge.
        message: The first line of the file's docstring.
        path: The file.
        is_head: Nothing follows it.
        is_current: The database is at this revision (asked only where a
            database was asked, else False).
        branch_labels: Alembic's branch labels.
    """

    revision: str
    down_revisions: tuple[str, ...]
    message: str
    path: Path
    is_head: bool
    is_current: bool = False
    branch_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class RevisionWritten(Result):
    """A revision file that was written, or the news that none was needed.

    Attributes:
        revision: Its id; None when models and database already agree.
        path: The file; None when nothing was written.
        message: What the author called it.
        operations: One line per change, in the order of ``upgrade()``.
        warnings: What the author should look at before applying it.
    """

    revision: str | None
    path: Path | None
    message: str
    operations: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to write."""
        return self.path is None


@dataclass(frozen=True)
class AppliedRevision(Result):
    """One revision that was applied or taken back, durably.

    Attributes:
        elapsed_s: Seconds from BEGIN to the end of COMMIT.
    """

    revision: str
    message: str
    direction: Direction
    elapsed_s: float


@dataclass(frozen=True)
class Applied(Result):
    """What an upgrade, downgrade or stamp did.

    Attributes:
        before: The heads the database was at (empty: nothing applied).
        after: The heads it is at now.
        steps: The revisions in the order they were committed.
        waited_s: Seconds spent waiting for another migrator.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    steps: tuple[AppliedRevision, ...]
    waited_s: float = 0.0


@dataclass(frozen=True)
class CheckFinding(Result):
    """Something ``check`` found.

    Attributes:
        code: Stable and short, such as ``drift`` or ``several-heads``.
        severity: An ``error`` makes a check fail, a ``warning`` does not.
        where: Table, column, constraint or revision.
        message: What was found.
        fix: What to do about it.
    """

    code: str
    severity: Severity
    where: str
    message: str
    fix: str = ""


@dataclass(frozen=True)
class Loss(Result):
    """A table or column that a step would drop, and how much is in it.

    Attributes:
        column: None when the whole table goes.
        rows: Rows of the table (not NULL in the column, for a column) now;
            None when the table does not exist yet.
    """

    table: str
    column: str | None
    rows: int | None


@dataclass(frozen=True)
class PlannedStep(Result):
    """One revision that would be applied.

    Attributes:
        operations: One line per operation, as the revision states them; a
            revision that decides by looking at rows may do something else.
        losses: What it would drop.
        complete: False when the revision could not be read without running it
            on the real database, so ``operations`` may lack something.
    """

    revision: str
    message: str
    direction: Direction
    operations: tuple[str, ...]
    losses: tuple[Loss, ...]
    complete: bool = True


@dataclass(frozen=True)
class Plan(Result):
    """The steps from where the database is to a target.

    Attributes:
        before: The heads the database is at.
        steps: In the order they would be applied.
    """

    before: tuple[str, ...]
    steps: tuple[PlannedStep, ...]

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Everything that would be dropped, in order."""
        return tuple(loss for step in self.steps for loss in step.losses)

    @property
    def is_destructive(self) -> bool:
        """Whether a person should be asked first."""
        return any(step.direction == "downgrade" for step in self.steps) or any(
            loss.rows for loss in self.losses
        )


@dataclass(frozen=True)
class VerifyFinding(Result):
    """Something that the replay of a history brought to light.

    Attributes:
        dialect: Where it was seen: ``sqlite`` or ``postgresql``.
        revision: The revision being applied or taken back; None for the
            comparison with the models.
        direction: Which way it was going.
    """

    dialect: str
    revision: str | None
    direction: Direction | None
    severity: Severity
    message: str


@dataclass(frozen=True)
class VerifyReport(Result):
    """The outcome of ``verify``.

    Attributes:
        dialects: The engines the history was replayed on.
        revisions: How many revisions each replay went through.
        rows_carried: Sample rows that went through at least one revision,
            summed over the engines.
        findings: In the order they were met.
        elapsed_s: Seconds in all.
    """

    dialects: tuple[str, ...]
    revisions: int
    rows_carried: int
    findings: tuple[VerifyFinding, ...]
    elapsed_s: float

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)


@dataclass(frozen=True)
class SeedReport(Result):
    """What a seed changed.

    Attributes:
        inserted: Rows that were not there.
        updated: Rows whose declared columns differed.
        unchanged: Rows that were already as declared.
        tables: (table, inserted, updated, unchanged) in the order of first use.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    tables: tuple[tuple[str, int, int, int], ...] = ()


@dataclass(frozen=True)
class Progress(Result):
    """The base of everything said while a migration runs."""

    @property
    def kind(self) -> str:
        """The event's name, for logs and JSON."""
        return type(self).__name__


@dataclass(frozen=True)
class WaitingForMigrator(Progress):
    """Another process migrates this database; we wait our turn."""

    waited_s: float
    deadline_s: float


@dataclass(frozen=True)
class RevisionStarted(Progress):
    """A revision begins; ``position`` counts from 1 to ``total``."""

    revision: str
    message: str
    direction: Direction
    position: int
    total: int


@dataclass(frozen=True)
class RevisionFinished(Progress):
    """A revision is committed."""

    revision: str
    message: str
    direction: Direction
    position: int
    total: int
    elapsed_s: float


@dataclass(frozen=True)
class RowsDone(Progress):
    """Rows of a table rebuild, a fill or a data migration.

    Attributes:
        task: What is being done, such as ``rebuild ticket``.
        done: Rows so far.
        total: Rows in all; None when it is not known.
        remaining_s: Estimate from the pace so far; None before there is one.
    """

    task: str
    done: int
    total: int | None
    remaining_s: float | None = None


@dataclass(frozen=True)
class VerifyStep(Progress):
    """A step of ``verify``: what is done on which engine."""

    dialect: str
    text: str
    position: int = 0
    total: int = 0


ProgressCallback = Callable[[Progress], None]


def silent(event: Progress) -> None:
    """Take an event and say nothing; the default callback."""


@dataclass
class SeedCounts:
    """Counts that a running seed adds to, table by table."""

    tables: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def add(self, table: str, inserted: int, updated: int, unchanged: int) -> None:
        """Add the outcome of one call."""
        counts = self.tables.setdefault(table, [0, 0, 0])
        for position, value in enumerate((inserted, updated, unchanged)):
            counts[position] += value

    def report(self) -> SeedReport:
        """Return the sums."""
        rows = tuple((name, *counts) for name, counts in self.tables.items())
        inserted, updated, unchanged = (
            sum(counts[position] for counts in self.tables.values())
            for position in range(3)
        )
        return SeedReport(
            inserted,
            updated,
            unchanged,
            cast("tuple[tuple[str, int, int, int], ...]", rows),
        )
