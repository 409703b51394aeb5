"""A SQLite database as the source of a move: a file, or a libSQL server's.

Owns one open database and what was found out about it. Everything is read in one
transaction, so that plan, copy and comparison see the same state.
"""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.moments.forms import OWN
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.blocks.long_values import WHOLE, LongCells
from lockstep.mover.codecs import Codec
from lockstep.mover.inventory import Inventory, of_file
from lockstep.mover.journal import State
from lockstep.mover.model.plan import BROKEN_TEXT, Loss, Plan, TablePlan
from lockstep.mover.model.profile import ColumnProfile, TableProfile
from lockstep.mover.model.results import Progress, ProgressCallback, silent
from lockstep.mover.model.sqlite import Schema, Table, owns_nothing
from lockstep.mover.plan.clean import clean_up, wanted_by_django
from lockstep.mover.plan.copies import CopyTarget, plan_copy
from lockstep.mover.plan.frameworks import (
    DJANGO,
    Moments,
    framework_of,
    shown_by_others,
)
from lockstep.mover.plan.from_sqlite import add_statements, plan_tables
from lockstep.mover.plan.times import NOTHING_MEANT, Meant
from lockstep.mover.plan.types_back import Asked, restore_types
from lockstep.mover.sqlite.catalog import leave_out_uncomputable, read_schema
from lockstep.mover.sqlite.checking import damage_of
from lockstep.mover.sqlite.journal import SqliteJournal
from lockstep.mover.sqlite.lines import SqliteLines
from lockstep.mover.sqlite.opening import Source
from lockstep.mover.sqlite.profiling import Tell, integer_bounds, profile_table
from lockstep.mover.sqlite.survey import can_survey, survey_table
from lockstep.mover.sqlite.utf16 import broken_texts

if TYPE_CHECKING:
    from lockstep.mover.sqlite.served import ServedSource

_TEXTS_AT_ONCE: Final = 10_000
WAITING_TOLD_BYTES: Final = 16 * 1024 * 1024
"""Of a file; a smaller one is moved before a writer's patience ends."""

Look = Callable[[Any, Table, Tell], TableProfile]


class SqliteSource:
    """A database that is read.

    Args:
        source: The database, opened; it is closed with this.
        meant: What is known of its moments.
        copies_to: Plan a copy to SQLite's own dialect, everything word for word,
            for this engine; empty plans a move to PostgreSQL.
    """

    dialect = "sqlite"

    def __init__(
        self,
        source: Source | ServedSource,
        *,
        meant: Meant = NOTHING_MEANT,
        copies_to: CopyTarget | None = None,
    ) -> None:
        self._meant = meant
        self._copies_to: CopyTarget | None = copies_to
        self._source = source
        self.notices = self._source.notices
        self._profiles: dict[str, TableProfile] = {}
        self._surveys: dict[str, TableProfile] = {}
        self._codecs: Mapping[str, Sequence[Codec]] = {}
        self._damage: list[str] | None = None
        # Losses and notices of the statements, which a mapping file may change.
        self._said: tuple[list[Loss], list[str]] = ([], [])

    @property
    def path(self) -> Path | None:
        """The file as it was named; None for a server's database."""
        return self._source.path if isinstance(self._source, Source) else None

    @property
    def missing_collations(self) -> tuple[str, ...]:
        """Collations that the file names and this SQLite lacks."""
        return self._source.missing_collations

    @property
    def connection(self) -> Any:
        """The connection, in its read transaction."""
        return self._source.connection

    @cached_property
    def _others(self) -> list[sqlite3.Connection]:
        """More connections that see the same state, for more threads."""
        other = self._source.other() if isinstance(self._source, Source) else None
        return [] if other is None else [other]

    @cached_property
    def schema(self) -> Schema:
        """What the file says about itself."""
        source = self._source
        unparsable = source.unparsable if isinstance(source, Source) else {}
        return read_schema(self.connection, unparsable)

    def check(self, *, is_full: bool = False) -> list[str]:
        """Return what SQLite's own check finds; nothing of a server's database.

        It is asked once: a plan made later takes what an inspection has found.

        Args:
            is_full: Compare indexes with their tables, too, unless a stand-in for a
                collation would find them in another order.
        """
        source = self._source
        if self._damage is None and isinstance(source, Source):
            is_full = is_full and not self.missing_collations
            try:
                self._damage = damage_of(
                    source.connection,
                    is_full=is_full,
                    knows_all=not source.unparsable,
                )
            except sqlite3.OperationalError as error:
                if is_full:  # an index needs a function that pages do not
                    return self.check()
                self.notices.append(f"SQLite cannot check the file here: {error}")
        return self._damage or []

    def fingerprint(self) -> str:
        """Return what changes when anybody writes to the file."""
        return self._source.fingerprint()

    def profiles(
        self, on_progress: ProgressCallback = silent
    ) -> dict[str, TableProfile]:
        """Look at every value of every table; a table that fails is left out.

        Its ``problem`` then holds SQLite's own words.
        """
        self._surveys |= self._looked_at(profile_table, self._profiles, on_progress)
        return self._profiles

    def surveys(
        self, on_progress: ProgressCallback = silent
    ) -> dict[str, TableProfile]:
        """Look at every value as far as a plan must know it, which is quicker."""

        def look(connection: Any, table: Table, tell: Tell) -> TableProfile:
            if can_survey(connection, self.schema, table):
                return survey_table(connection, table, self._others, tell)
            return profile_table(connection, table, tell)

        return self._looked_at(look, self._surveys, on_progress)

    def _looked_at(
        self,
        look: Look,
        known: dict[str, TableProfile],
        on_progress: ProgressCallback,
    ) -> dict[str, TableProfile]:
        for table in self.schema.tables:
            if table.name in known or not self._is_wanted(table):
                continue
            try:
                known[table.name] = self._look(look, table, on_progress)
            except sqlite3.DatabaseError as error:
                table.problem = str(error)
                continue
            rows = known[table.name].rows
            on_progress(Progress("inspect", table.name, rows, rows))
        return known

    def _look(
        self, look: Look, table: Table, on_progress: ProgressCallback
    ) -> TableProfile:
        """Look at a table; a virtual column that fails is no reason to lose it."""

        def tell(rows: int) -> None:
            on_progress(Progress("inspect", table.name, rows))

        try:
            return look(self.connection, table, tell)
        except sqlite3.DatabaseError:
            leave_out_uncomputable(self.connection, table)
            if not table.uncomputable:
                raise
            return look(self.connection, table, tell)

    def _is_wanted(self, table: Table) -> bool:
        if table.problem and not table.columns:
            return False
        if table.kind == "virtual":
            return not owns_nothing(table)
        if table.kind == "shadow":
            # The tables of a virtual table that could not be read come behind it.
            return any(
                owner.kind == "virtual"
                and owner.problem
                and not owns_nothing(owner)
                and table.name.startswith(f"{owner.name}_")
                for owner in self.schema.tables
            )
        return True

    def state(self) -> State | None:
        """Return what the move says that filled it; None where none did."""
        return SqliteJournal(self.connection).state()

    def make_plan(self, on_progress: ProgressCallback) -> Plan:
        """Inspect everything and return the plan."""
        on_progress(Progress("inspect", "pages of the file", 0))
        damage = [
            Loss("damage", "of the file", f"SQLite's check: {line}", is_data=True)
            for line in self.check()
        ]
        if self._copies_to is not None:
            profiles = self.profiles(on_progress)
            plan = plan_copy(self.connection, self.schema, profiles, to=self._copies_to)
            plan.notices[:0] = [*self.notices, *self._waiting()]
            plan.losses[:0] = [*damage, *self._broken_texts(profiles)]
            return plan
        profiles = self.surveys(on_progress)
        shown = shown_by_others(self.schema, profiles)
        moments = Moments(framework_of(self.schema), self._meant, shown)
        plan = plan_tables(self.connection, self.schema, profiles, moments)
        if self._meant.clean:
            clean_up(self.connection, self.schema, profiles, plan, moments.framework)
        self._add_statements(plan)
        plan.notices[:0] = [*self.notices, *self._waiting()]
        plan.losses[:0] = [*damage, *self._broken_texts(profiles)]
        state = self.state()
        if state is not None and state.plan.source == "postgresql":
            asked = Asked(self._is_numbers_only, self._forms_of)
            restore_types(plan, state.plan, asked)
        else:
            plan.notices += moments.told(plan.tables)
            if moments.framework is DJANGO:
                plan.notices += wanted_by_django(self.schema, plan)
        return plan

    def _waiting(self) -> list[str]:
        """Say before a long read that writers of the file wait for its end."""
        path, source = self.path, self._source
        if path is None or not isinstance(source, Source) or not source.blocks_writers:
            return []
        if path.stat().st_size < WAITING_TOLD_BYTES:
            return []
        return [
            f"who writes to {path} waits until this has ended, as its journal mode "
            "wants it; a copy keeps nobody waiting: "
            f"lockstep db backup copy.db --url {shlex.quote(str(path))}"
        ]

    def _broken_texts(self, profiles: Mapping[str, TableProfile]) -> list[Loss]:
        """Name the texts that SQLite itself changes whenever it gives them away."""
        why = "texts are no {}; what SQLite makes of them is carried"
        return [
            Loss(
                BROKEN_TEXT,
                f"{table}.{column}",
                f"{count} {why.format(self.schema.encoding)}",
                is_data=True,
            )
            for table, column, count in broken_texts(
                self.connection, self.schema, profiles
            )
        ]

    def _is_numbers_only(self, table: str, column: str) -> bool:
        name = quote(column)
        (count,) = self.connection.execute(
            f"SELECT count(*) FROM {quote(table)} "
            f"WHERE typeof({name}) = 'text' AND {name} <> 'NaN'"
        ).fetchone()
        return count == 0

    def _forms_of(
        self, table: str, column: str, fits: Callable[[str], str] | None
    ) -> set[str] | None:
        """Return the forms that all texts of a column have.

        Args:
            table: Whose.
            column: Which; it has nothing but texts.
            fits: Refuses a text that is no moment in any form.

        Returns:
            None where a text has no form and does not fit either; PostgreSQL's own
            where there is no text.
        """
        name = quote(column)
        profile = ColumnProfile(column)
        with closing(self.connection.cursor()) as cursor:
            cursor.execute(
                f"SELECT {name} FROM {quote(table)} WHERE {name} IS NOT NULL"
            )
            while rows := cursor.fetchmany(_TEXTS_AT_ONCE):
                texts = [text for (text,) in rows]
                lines = "".join(f"{text}\n" for text in texts)
                profile.keep_forms(lines, len(texts))
                if profile.forms or fits is None:
                    continue
                try:
                    for text in texts:
                        fits(text)
                except ValueError:
                    return None
        return set(OWN.values()) if profile.forms is None else profile.forms

    def integer_bounds(self, table: str, column: str) -> tuple[int, int]:
        """Return least and greatest integer above zero; zeros where there is none."""
        return integer_bounds(self.connection, table, column)

    def use_codecs(self, codecs: Mapping[str, Sequence[Codec]]) -> None:
        """Write lines with other codecs than the plan's words."""
        self._codecs = codecs
        self.__dict__.pop("_lines", None)

    @cached_property
    def _lines(self) -> SqliteLines:
        return SqliteLines(
            self.connection,
            self.schema,
            self._surveys,
            codecs=self._codecs,
            others=self._others,
        )

    def rebuild(self, plan: Plan) -> None:
        """Plan anew what hangs on names and types that a mapping file changed."""
        if plan.is_copy:
            return
        losses, notices = self._said
        plan.losses = [loss for loss in plan.losses if loss not in losses]
        plan.notices = [text for text in plan.notices if text not in notices]
        for table in plan.tables:
            table.primary_key, table.statements, table.references = [], [], []
            for column in table.columns:
                column.computed = ""
        self._add_statements(plan)

    def _add_statements(self, plan: Plan) -> None:
        losses, notices = len(plan.losses), len(plan.notices)
        add_statements(self.connection, plan, self.schema, self._surveys)
        self._said = plan.losses[losses:], plan.notices[notices:]

    def table_names(self) -> list[str]:
        """Return the names of the tables that are there."""
        return [table.name for table in self.schema.tables]

    def inventory(self) -> Inventory:
        """Return the tables and columns that are there."""
        return of_file(self.schema)

    def own_order(
        self,
        table: TablePlan,
        after: int | str | None,
        *,
        for_copy: bool = False,
        long: LongCells = WHOLE,
    ) -> Iterator[LineBlock]:
        """Yield the blocks after a position."""
        return self._lines.in_own_order(table, after, for_copy=for_copy, long=long)

    def key_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Iterable[LineBlock]:
        """Yield all blocks sorted by the key."""
        return self._lines.in_key_order(table, long)

    def long_columns(self, table: TablePlan) -> frozenset[str]:
        """Return the columns that have cells too long to be held."""
        return self._lines.long_columns(table)

    def check_unchanged(self) -> None:
        """Raise ``SourceChanged`` if what was read is not one state."""
        self._source.check_unchanged()

    def close(self) -> None:
        """End the read transaction."""
        self._source.close()
