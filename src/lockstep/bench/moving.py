"""Contestants that move one wide table between a SQLite file and PostgreSQL.

Owns the table, which is the same for all sides and is made once in a run, and how
each side carries it. What a round counts is said by each contestant: Lockstep
compares every cell behind a move, which nobody else does, so that time is told apart.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from lockstep.bench.scenario import Contestant, Missing, Place, Round, Scale
from lockstep.mover import Mover, MoveResult

ROWS: Final = 2_000_000
ROWS_OF_A_TRY: Final = 1_000

TABLE: Final = "measurement"
_CREATE: Final = f"""
CREATE TABLE {TABLE} (
  id INTEGER PRIMARY KEY, machine_id INTEGER NOT NULL, code TEXT NOT NULL,
  title TEXT NOT NULL, note TEXT, status TEXT NOT NULL, quantity INTEGER NOT NULL,
  price REAL NOT NULL, weight REAL, is_open BOOLEAN NOT NULL,
  opened_at DATETIME NOT NULL, seen_ms INTEGER NOT NULL, counter INTEGER,
  checksum BLOB NOT NULL, place TEXT, comment TEXT)
"""
_BY_MACHINE: Final = f"CREATE INDEX by_machine ON {TABLE} (machine_id)"
CREATE_BARE: Final = f"""
CREATE TABLE {TABLE} (
  id bigint NOT NULL, machine_id bigint NOT NULL, code text NOT NULL,
  title text NOT NULL, note text, status text NOT NULL, quantity bigint NOT NULL,
  price double precision NOT NULL, weight double precision, is_open boolean NOT NULL,
  opened_at timestamp NOT NULL, seen_ms bigint NOT NULL, counter bigint,
  checksum bytea NOT NULL, place text, comment text)
"""
KEYS: Final = f"ALTER TABLE {TABLE} ADD PRIMARY KEY (id); {_BY_MACHINE}"
_INSERT: Final = f"INSERT INTO {TABLE} VALUES ({', '.join('?' * 16)})"  # noqa: S608
_COUNT: Final = f"SELECT count(*), sum(id)::bigint FROM {TABLE}"  # noqa: S608
_TITLES: Final = ("Pumpe verliert Öl", "bearing is noisy", "belt torn", "Ventil klemmt")
_NOTES: Final = (
    "looked at it twice, nothing to be seen",
    'the supplier says "wait"; a spare part is on its way',
    "line one\nline two",
    "C:\\service\\reports",
)
_PLACES: Final = ("Halle 1", "Halle 2\tNord", "yard", "Lager Süd")

Phase = Callable[[MoveResult], float]

T = TypeVar("T")


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the table; always the same ones."""
    for i in range(1, count + 1):
        yield (
            i,
            i * 7919 % 5003,
            f"M-{i:08d}",
            f"{_TITLES[i % 4]} {i % 977}",
            None if i % 3 == 0 else _NOTES[i * 31 % 4],
            ("open", "closed", "waiting")[i % 3],
            i * 104729 % 10007,
            (i * 7907 % 100_000) / 100,
            None if i % 7 == 0 else i * 0.6180339887498949 % 1 * 100,
            i % 2,
            f"20{10 + i % 17}-{1 + i % 12:02d}-{1 + i % 28:02d} "
            f"{i % 24:02d}:{i % 60:02d}:{i * 7 % 60:02d}",
            1_600_000_000_000 + i * 977,
            None if i % 11 == 0 else (i * 2_654_435_761) % 2**40 - 2**39,
            (i * 2_654_435_761 % 2**64).to_bytes(16, "big"),
            _PLACES[i % 4],
            f"comment number {i % 4999}, nothing to say about it",
        )


class WideTable:
    """The SQLite file that all contestants of a run read.

    Args:
        scale: How many rows it has.
    """

    def __init__(self, scale: Scale) -> None:
        self.rows = scale.pick(ROWS, ROWS_OF_A_TRY)
        self._path: Path | None = None

    def path(self, place: Place) -> Path:
        """Return the file; made when first asked for."""
        if self._path is None:
            path = place.folder() / "wide.db"
            connection = sqlite3.connect(path)
            connection.execute(_CREATE)
            connection.executemany(_INSERT, rows(self.rows))
            connection.execute(_BY_MACHINE)
            connection.commit()
            connection.close()
            self._path = path
        return self._path


class IntoPostgresql(Contestant):
    """A side that fills a database of its own, emptied before each round.

    Args:
        table: What is moved.
    """

    def __init__(self, table: WideTable) -> None:
        self.table = table
        self.source = Path()
        self.url = ""

    def open(self, place: Place) -> None:
        """Make the file and an empty database.

        Raises:
            Missing: There is no PostgreSQL.
        """
        self.url = place.postgresql()
        self.source = self.table.path(place)

    def round(self) -> Round:
        """Move everything once."""
        self.empty()
        return Round(self.table.rows, self.carry())

    @abstractmethod
    def carry(self) -> float:
        """Move the table; return the seconds that count."""

    def empty(self) -> None:
        """Take away what the round before left."""
        self.execute(
            f"DROP TABLE IF EXISTS {TABLE}; DROP SCHEMA IF EXISTS lockstep_move CASCADE"
        )

    def execute(self, sql: str) -> Any:
        """Run statements; return the first row of the last one, if it has any."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchone() if cursor.description else None

    def check(self) -> list[str]:
        """Count and add up what arrived."""
        expected = (self.table.rows, sum(range(self.table.rows + 1)))
        found = self.execute(_COUNT)
        return [] if found == expected else [f"{found} arrived instead of {expected}"]

    def close(self) -> None:
        """Give the disk back: a run has several copies of the table."""
        if self.url:
            self.empty()


class Runs(Generic[T]):
    """Runs whose parts are told by more than one line of a table of results.

    Invariant: the first contestant that comes in a round runs it, the others of that
    round tell their part of it.
    """

    def __init__(self) -> None:
        self._results: list[T] = []

    def take(self, number: int, run: Callable[[], T]) -> T:
        """Return what the run of a round gave, run if nobody did."""
        if number == len(self._results):
            self._results.append(run())
        return self._results[number]


Moves = Runs[MoveResult]


class Lockstep(IntoPostgresql):
    """A move by Lockstep.

    Args:
        table: What is moved.
        name: How the table of results calls it.
        phase: Which seconds of a move count.
        moves: Shared with those that tell other phases.
    """

    def __init__(
        self, table: WideTable, name: str, phase: Phase, moves: Moves | None = None
    ) -> None:
        super().__init__(table)
        self.name = name
        self._phase = phase
        self._moves = moves or Moves()
        self._round = 0
        self._result: MoveResult | None = None

    def round(self) -> Round:
        """Move and verify, or look at the move of this round; one phase counts."""
        self._result = self._moves.take(self._round, self.run)
        self._round += 1
        return Round(self.table.rows, self._phase(self._result))

    def run(self) -> MoveResult:
        """Move and verify into the emptied database."""
        self.empty()
        return Mover(self.source, self.url).move()

    def carry(self) -> float:
        """Move and verify; only one phase counts."""
        return self._phase(self.run())

    def check(self) -> list[str]:
        """See what the move itself said about every cell."""
        if self._result is None or not self._result.is_exact:
            return ["the move was not exact"]
        return []

    def proof(self) -> str:
        """Say that every cell was compared."""
        assert self._result is not None, "asked after a round"
        assert self._result.verification is not None, "every move is verified"
        return f"{self._result.verification.cells:,} cells compared, all the same"


class LockstepBack(Lockstep):
    """The way back: from PostgreSQL into a new file."""

    def open(self, place: Place) -> None:
        """Say where the file comes."""
        super().open(place)
        self._target = place.folder() / "back.db"
        self._is_filled = False

    def run(self) -> MoveResult:
        """Move back into a file that is not there yet."""
        if not self._is_filled:
            Mover(self.source, self.url).move()
            self._is_filled = True
        self._target.unlink(missing_ok=True)
        return Mover(self.url, self._target).move()


_MOVE_AND_TELL: Final = """
import sys
from pathlib import Path
from lockstep.mover import Mover
assert Mover(sys.argv[1], sys.argv[2]).move().is_exact
status = Path("/proc/self/status").read_text(encoding="utf-8")
print(next(line.split()[1] for line in status.splitlines() if "VmHWM" in line))
"""


class MemoryOfAMove(IntoPostgresql):
    """A move, with its verification, in a process of its own that tells its peak."""

    name = "Lockstep"

    def open(self, place: Place) -> None:
        """See whether this system tells.

        Raises:
            Missing: It does not.
        """
        if not Path("/proc/self/status").exists():
            raise Missing("needs /proc to see a process's peak of memory")
        super().open(place)

    def round(self) -> Round:
        """Move everything once."""
        self.empty()
        started = time.perf_counter()
        return Round(1, self.carry() - started, memory_bytes=self._peak_bytes)

    def carry(self) -> float:
        """Start the process and wait for it."""
        done = subprocess.run(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-c", _MOVE_AND_TELL, str(self.source), self.url],
            capture_output=True,
            text=True,
            check=True,
        )
        self._peak_bytes = int(done.stdout) * 1024
        return time.perf_counter()


def seconds_of(*phases: str) -> Phase:
    """Return what adds up the seconds of some phases of a move."""
    return lambda result: sum(result.phases_s[name] for name in phases)


NOT_VERIFIED: Final = seconds_of("inspect", "copy", "build")
"""Inspection, rows and keys."""
