"""What a move needs of a source and of a target, whatever engine they are.

Owns the two small interfaces. A source gives lines in its own order (to copy), in
key order or in any order (to compare); a target takes them, keeps the journal and
gives its own rows back as lines of the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Protocol

from lockstep.mover.blocks.encoding import Blocks, LineBlock, OddRow
from lockstep.mover.blocks.long_values import WHOLE, LongCells
from lockstep.mover.blocks.rejected import Rejected
from lockstep.mover.inventory import Inventory
from lockstep.mover.journal import State, Status, TableProgress
from lockstep.mover.model.plan import Plan, Statement, TablePlan
from lockstep.mover.model.results import ProgressCallback


class MoveSource(Protocol):
    """A database that is read, in one snapshot."""

    notices: list[str]

    @property
    def connection(self) -> Any:
        """The connection that reads, in its snapshot."""
        ...

    def fingerprint(self) -> str:
        """Return what is another text when the data is other data."""
        ...

    def state(self) -> State | None:
        """Return what the move says that filled it; None where none did."""
        ...

    def make_plan(self, on_progress: ProgressCallback) -> Plan:
        """Inspect everything and return the plan."""
        ...

    def rebuild(self, plan: Plan) -> None:
        """Make a plan's statements anew after its columns were changed."""
        ...

    def table_names(self) -> list[str]:
        """Return the names of the tables that are there."""
        ...

    def inventory(self) -> Inventory:
        """Return the tables and columns that are there."""
        ...

    def own_order(
        self,
        table: TablePlan,
        after: int | str | None,
        *,
        for_copy: bool = False,
        long: LongCells = WHOLE,
    ) -> Iterator[LineBlock]:
        """Yield the blocks after a position.

        Lines for a copy may spell a number in another way than PostgreSQL does;
        whoever reads them finds the same number. A long one comes in several blocks.
        """
        ...

    def key_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Iterable[LineBlock]:
        """Yield all blocks sorted by the plan's ``order_key``."""
        ...

    def long_columns(self, table: TablePlan) -> frozenset[str]:
        """Return the columns whose long cells can have stand-ins (``long_values``).

        A side that knows the lengths of its cells names only those that have some.
        """
        ...

    def check_unchanged(self) -> None:
        """Raise ``SourceChanged`` if what was read is not one state."""
        ...

    def close(self) -> None:
        """End the snapshot."""
        ...


class Journal(Protocol):
    """The state of a move, in its target."""

    def state(self) -> State | None:
        """Return what an earlier run left."""
        ...

    def claim(self) -> None:
        """Make this run the one that fills the target; an earlier one stops."""
        ...

    def set_status(self, status: Status) -> None:
        """Say how far the move is."""
        ...

    def progress(self, table: str) -> TableProgress:
        """Return how far a table is."""
        ...

    def odd_rows(self, table: str) -> Iterable[OddRow]:
        """Yield the odd rows of a table; no more than some of them are held."""
        ...

    def odd_counts(self) -> dict[str, int]:
        """Return how many odd rows each table has that has some."""
        ...

    def rejected(self) -> Iterable[Rejected]:
        """Yield the rows that were not carried; no more than some of them are held."""
        ...

    def rejected_tables(self) -> set[str]:
        """Return the tables, by the source's names, that have such rows."""
        ...

    def marks(self, table: str) -> Iterable[bytes]:
        """Yield the mark of each such row of a table; some of them are held."""
        ...

    def steps(self) -> dict[str, str]:
        """Return what was built: ``{step: problem, or empty}``."""
        ...

    def renew(self, plan: Plan, fingerprint: str) -> None:
        """Go on with another state of the source."""
        ...

    def drop(self, plan: Plan) -> None:
        """Take away what an unfinished move made."""
        ...


class MoveTarget(Protocol):
    """A database that is filled, or compared.

    Attributes:
        notices: What had to be done to read it, for people.
    """

    dialect: str
    notices: list[str]

    @property
    def connection(self) -> Any:
        """The connection that writes."""
        ...

    @property
    def journal(self) -> Journal:
        """The journal that is committed with the data."""
        ...

    def lock(self) -> None:
        """Refuse a second move into the same target."""
        ...

    def adopt(self, plan: Plan) -> None:
        """Plan how rows get into tables that a history made."""
        ...

    def inventory(self) -> Inventory:
        """Return the tables and columns that are there."""
        ...

    def taken(self, plan: Plan) -> list[str]:
        """Return the planned tables that are there already."""
        ...

    def filled(self, plan: Plan) -> list[str]:
        """Return the planned tables that are there and hold rows."""
        ...

    def is_made(self, plan: Plan) -> bool:
        """Return whether the planned tables are there, by the plan's statements."""
        ...

    def create(self, plan: Plan, source: str, fingerprint: str, request: str) -> None:
        """Make the journal and all tables, in one transaction."""
        ...

    def empty(self, table: TablePlan) -> None:
        """Take a table's rows away, and what the journal says of them."""
        ...

    def refusals(self, plan: Plan) -> dict[str, str]:
        """Return what cannot be built even on empty tables, and why."""
        ...

    def takes_in_pieces(self, table: TablePlan) -> frozenset[str]:
        """Return the columns whose long cells ``fill`` takes in pieces."""
        ...

    def fill(
        self,
        table: TablePlan,
        blocks: Blocks,
        exact: Blocks,
        on_progress: Callable[[int], None],
    ) -> TableProgress:
        """Copy a table's rows from where the journal says it is.

        A row that the target refuses is noted with the progress of its chunk, or
        raises ``Unmappable`` where the plan says ``fail``.

        Args:
            table: What is filled.
            blocks: Its rows behind a position.
            exact: The same, spelled as for a comparison.
            on_progress: Told how many rows were read.
        """
        ...

    def build(
        self, plan: Plan, on_progress: Callable[[str], None]
    ) -> list[tuple[Statement, str]]:
        """Build keys, indexes and constraints; return those refused."""
        ...

    def take_back(self, statement: Statement, problem: str) -> None:
        """Drop a view that was built, and record why."""
        ...

    def key_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Generator[LineBlock]:
        """Yield the target's own rows, sorted by the plan's ``order_key``."""
        ...

    def any_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Generator[LineBlock]:
        """Yield the target's own rows."""
        ...

    def long_columns(self, table: TablePlan) -> frozenset[str]:
        """Return the columns whose long cells can have stand-ins, by source names."""
        ...

    def check_unchanged(self) -> None:
        """Raise ``SourceChanged`` if a file that is only read is not one state."""
        ...

    def close(self) -> None:
        """Let go of the target."""
        ...
