"""What a scenario is: contestants that do the same work, and what is expected of them.

Owns the words of the benchmark. It runs nothing (``runner.py``) and prints nothing
(``report.py``).

    Scenario ── Contestant × n ── open ─► round, round, round … ─► check ─► close
        └── Target × n             what is promised, and whether it was kept

Invariants: every contestant of a scenario works on equal data, made from a fixed seed;
``check`` looks into the database afterwards, so a side that is fast because it lost
rows is shown as wrong; a side that cannot run is shown as missing or failed, never
left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeVar

from lockstep.errors import LockstepError

T = TypeVar("T")

SEED = 20261121


class Metric(StrEnum):
    """What a round's value is.

    ``TIME``: seconds for one operation, less is better. ``RATE``: operations per
    second, more is better. ``MEMORY``: bytes, less is better.
    """

    TIME = "time"
    RATE = "rate"
    MEMORY = "memory"

    @property
    def more_is_better(self) -> bool:
        """Whether a larger value is the better one."""
        return self is Metric.RATE


@dataclass(frozen=True, slots=True)
class Round:
    """One timed round of one contestant.

    Attributes:
        operations: How many were done and acknowledged.
        elapsed_s: How long all of them took, on the wall.
        latencies_s: Of each one, where the load measures them.
        refused: Operations that ended in an error (BUSY, a timeout).
        memory_bytes: For ``Metric.MEMORY``.
    """

    operations: int
    elapsed_s: float
    latencies_s: tuple[float, ...] = ()
    refused: int = 0
    memory_bytes: int = 0

    def value(self, metric: Metric) -> float:
        """Return what this round says in terms of ``metric``."""
        if metric is Metric.MEMORY:
            return float(self.memory_bytes)
        if metric is Metric.RATE:
            return self.operations / self.elapsed_s if self.elapsed_s else 0.0
        return self.elapsed_s / self.operations if self.operations else float("inf")


class Missing(LockstepError):
    """A contestant needs something that is not installed here."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done.

    Attributes:
        quick: A try of everything in seconds, instead of a measurement.
    """

    quick: bool = False

    def pick(self, normal: T, quick: T) -> T:
        """Return one of two sizes."""
        return quick if self.quick else normal


class Place(ABC):
    """Where contestants work: files and servers of their own, gone afterwards."""

    @abstractmethod
    def folder(self) -> Path:
        """Return a new empty folder on the disk that is measured."""

    @abstractmethod
    def postgresql(self) -> str:
        """Return the URL of a new database on a server whose commits are durable.

        Raises:
            Missing: No PostgreSQL can be started or reached.
        """

    @abstractmethod
    def libsql(self) -> str:
        """Return the URL of a new database on a libsql-server.

        Raises:
            Missing: No libsql-server can be started.
        """


class Contestant(ABC):
    """One side. Each method is called from one thread, in the order of the diagram.

    Attributes:
        name: Unique within the scenario; what the table shows.
    """

    name: str

    @abstractmethod
    def open(self, place: Place) -> None:
        """Make the data and get ready.

        Raises:
            Missing: What it needs is not installed.
        """

    @abstractmethod
    def round(self) -> Round:
        """Do the work once, timed."""

    def check(self) -> list[str]:
        """Return what is wrong in the database now; nothing when all is right."""
        return []

    def proof(self) -> str:
        """Return what ``check`` found to be right, for the reader of the table."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; also called when ``open`` failed half way."""


Limit = Literal["fsync", "loopback", "write", "none"]
"""Which limit of the machine a scenario meets.

``fsync``: how often the disk says "written". ``loopback``: a round trip. ``write``: how
fast the disk takes what is written in a row. ``none``: see ``Scenario.no_limit``.
"""


@dataclass(frozen=True, slots=True)
class Target:
    """What is promised of one contestant.

    Attributes:
        contestant: Its name.
        kind: ``at least`` and ``at most`` compare with ``against`` (a ratio) or, where
            that is None, with ``bound`` itself; ``p99`` is a bound in seconds;
            ``no refusals`` wants none.
        bound: A factor, or seconds, operations per second, bytes.
        against: The other contestant.
    """

    contestant: str
    kind: Literal["at least", "at most", "p99", "no refusals"]
    bound: float = 0.0
    against: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Contestants that do the same work.

    Attributes:
        name: What the command line calls it.
        title: One line.
        why: Where it comes from, and what it shows.
        metric: What is compared.
        baseline: The contestant that the table's ratios are against.
        contestants: Makes new ones for one run.
        targets: What is promised.
        limit: The machine's limit that is printed beside the results.
        no_limit: Why there is none, as a sentence.
        rounds: How many, if nobody says otherwise.
        claims: ``{contestant: seconds}`` that somebody claimed, to be shown beside.
    """

    name: str
    title: str
    why: str
    metric: Metric
    baseline: str
    contestants: Callable[[Scale], Sequence[Contestant]]
    targets: tuple[Target, ...] = ()
    limit: Limit = "none"
    no_limit: str = ""
    rounds: int = 7
    claims: tuple[tuple[str, float], ...] = ()
