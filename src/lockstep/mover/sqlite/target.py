"""A SQLite database as the target of a move: create, fill, build, mark.

Owns the one connection that writes it. Tables come with their keys and checks,
because SQLite cannot add them later; foreign keys are off while rows arrive, and
what they would have refused is reported at the end.

Invariant: at every instant the journal says exactly what the tables hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from lockstep.engine.sqlite_files import check_folder
from lockstep.errors import StorageFailed, TargetInUse
from lockstep.migrations.sqlite.tokens import fold, quote
from lockstep.mover.asking import rows_of
from lockstep.mover.blocks.ahead import Reading
from lockstep.mover.blocks.encoding import Blocks, LineBlock
from lockstep.mover.blocks.long_values import CODECS, WHOLE, LongCells
from lockstep.mover.codecs import Codec
from lockstep.mover.failures import is_of_the_system
from lockstep.mover.inventory import Inventory, of_file
from lockstep.mover.journal import SEQUENCES, TableProgress, build_all
from lockstep.mover.model.plan import Plan, Statement, TablePlan
from lockstep.mover.model.profile import TableProfile
from lockstep.mover.model.sqlite import Schema, Table, is_contentless
from lockstep.mover.sqlite.catalog import read_schema
from lockstep.mover.sqlite.journal import SqliteJournal
from lockstep.mover.sqlite.lines import SqliteLines
from lockstep.mover.sqlite.profiling import integer_bounds, profile_table
from lockstep.mover.sqlite.survey import can_survey, survey_table
from lockstep.mover.sqlite.writing import RowWriter
from lockstep.mover.translate.scratch import stand_in_for_collations

CHUNK_BYTES = 32 * 1024 * 1024
CACHE_KIB = 4_096
"""Rows are appended and indexes sorted: more made no copy faster, only larger."""

LOCK_WAIT_S = 5


def open_target_file(path: Path) -> sqlite3.Connection:
    """Open a file to fill it; it is made when it is not there.

    Raises:
        LockstepError: Its folder is not one where a database may lie.
    """
    check_folder(path, read_only=False)
    connection = sqlite3.connect(path, isolation_level=None, timeout=LOCK_WAIT_S)
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA synchronous = NORMAL")
    # The source had its checks; a row it held against one of them comes along.
    connection.execute("PRAGMA ignore_check_constraints = ON")
    return connection


class SqliteTarget:
    """One database that is being filled.

    Args:
        connection: The only one that writes it; closed with this.
        name: For messages.
        made: The file, if it came with the connection; removed with it while it is
            empty, because a plan that nobody carries out leaves nothing.
    """

    dialect = "sqlite"
    chunk_bytes: ClassVar[int] = CHUNK_BYTES
    """Of lines in one transaction."""

    def __init__(self, connection: Any, name: str, made: Path | None = None) -> None:
        self._name = name
        self._made = made
        self._codecs: Mapping[str, Sequence[Codec]] = {}
        self._connection = connection
        self._known_schema: Schema | None = None
        self._profiles: dict[str, TableProfile] = {}
        self._connection.execute("PRAGMA foreign_keys = OFF")
        self.notices: list[str] = []
        self.journal = SqliteJournal(self._connection)

    def lock(self) -> None:
        """Make sure that nobody else writes this file now.

        Raises:
            TargetInUse: Somebody does.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise TargetInUse(f"{self._name} is written to by somebody") from error
            raise StorageFailed(
                f"{self._name}: {error}",
                hint="check room and permissions of the file and its folder",
            ) from error

    def taken(self, plan: Plan) -> list[str]:
        """Return the planned tables that are there already."""
        names = {fold(table.target) for table in plan.carried()}
        rows = self._connection.execute("SELECT name FROM sqlite_master").fetchall()
        return sorted(row[0] for row in rows if fold(row[0]) in names)

    def filled(self, plan: Plan) -> list[str]:
        """Return the planned tables that are there and hold rows."""
        return [
            name
            for name in self.taken(plan)
            if rows_of(self._connection, f"SELECT 1 FROM {quote(name)} LIMIT 1")
        ]

    def is_made(self, plan: Plan) -> bool:
        """Return whether the planned tables are there, by the plan's statements."""
        rows = self._connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        there = dict(rows)
        return all(there.get(t.target) == t.create for t in plan.carried())

    def adopt(self, plan: Plan) -> None:
        """Plan how rows get into tables that a history made.

        Triggers would change rows on their way; they are taken away and put back.
        """
        rows = self._connection.execute(
            "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for made in plan.carried():
            plan.before.append(f"DELETE FROM {quote(made.target)}")
            for name, table, sql in rows:
                if fold(table) == fold(made.target):
                    plan.before.insert(0, f"DROP TRIGGER {quote(name)}")
                    made.statements.append(Statement("view", name, sql))

    def create(self, plan: Plan, source: str, fingerprint: str, request: str) -> None:
        """Make the journal and all tables, empty, in one transaction."""
        self._known_schema = None
        self.stand_in_for_collations(texts_of(plan))
        if plan.creates_tables:
            self.lay_out(plan)
        with self.journal.transaction():
            self.journal.create(plan, source, fingerprint, request)
            for statement in plan.before:
                self._connection.execute(statement)
            for table in plan.carried():
                if plan.creates_tables:
                    self._connection.execute(table.create)
            self.set_pragmas(plan, ("user_version", "application_id"))

    def lay_out(self, plan: Plan) -> None:
        """Set what a file is made with, while it has no page."""
        self.set_pragmas(plan, ("encoding", "auto_vacuum"))
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        if not pages:
            # ``lock`` began a transaction, since when only this changes auto_vacuum.
            self._connection.execute("VACUUM")

    def set_pragmas(self, plan: Plan, names: Sequence[str]) -> None:
        """Set what the plan says of these."""
        for name in names:
            if name in plan.pragmas:
                value = plan.pragmas[name]
                self._connection.execute(f"PRAGMA {name} = '{value}'")

    def stand_in_for_collations(self, statements: list[str]) -> None:
        """Let bytes be compared where only an application has the collation."""
        stand_in_for_collations(self._connection, statements)

    def empty(self, table: TablePlan) -> None:
        """Take a table's rows away, and what the journal says of them."""
        self._profiles.clear()
        self.stand_in_for_collations([table.create])
        with self.journal.transaction():
            self._connection.execute(f"DELETE FROM {quote(table.target)}")
            self.journal.forget(table.source)

    def refusals(self, plan: Plan) -> dict[str, str]:
        """Return what cannot be built even on empty tables, and why."""
        found: dict[str, str] = {}
        scratch = sqlite3.connect(":memory:", isolation_level=None)
        try:
            stand_in_for_collations(scratch, texts_of(plan))
            for table in plan.carried():
                scratch.execute(table.create)
            for table in plan.carried():
                for statement in table.statements:
                    try:
                        scratch.execute(statement.sql)
                    except sqlite3.Error as error:
                        if not is_only_entered(statement.sql, error):
                            found[statement.step] = str(error)
        finally:
            scratch.close()
        return found

    def fill(
        self,
        table: TablePlan,
        blocks: Blocks,
        exact: Blocks,
        on_progress: Callable[[int], None],
    ) -> TableProgress:
        """Copy a table's rows from where the journal says it is.

        Raises:
            Unmappable: SQLite refuses a row and the plan says ``fail``.
        """
        self._profiles.clear()
        self.stand_in_for_collations([table.create])
        progress = self.journal.progress(table.source)
        if progress.is_done:
            return progress
        writer = self._writer(table)
        with closing(Reading(blocks, progress.position)) as reading, closing(writer):
            while not progress.is_done:
                progress = self._filled(table, writer, reading)
                on_progress(progress.read)
        return progress

    def _writer(self, table: TablePlan) -> RowWriter:
        if not isinstance(self._connection, sqlite3.Connection):
            return RowWriter(table)
        encoding = self.schema().encoding
        return RowWriter(table, self._openable(table), encoding)

    def _filled(
        self, table: TablePlan, writer: RowWriter, reading: Reading
    ) -> TableProgress:
        with self.journal.transaction():
            written, is_done = self._chunk(writer, iter(reading))
            return self.journal.advance(table.source, written, is_done=is_done)

    def _chunk(
        self, writer: RowWriter, stream: Iterator[LineBlock]
    ) -> tuple[list[LineBlock], bool]:
        written: list[LineBlock] = []
        size = 0
        for block in stream:
            length = len(block.data)
            writer.write(self._connection, block)
            block.forget()
            # What SQLite refused is noted by now.
            size += length + block.size
            written.append(block)
            # Without a position a copy cannot go on, so the table is one chunk.
            if block.is_open or block.position is None:
                continue
            if size >= self.chunk_bytes:
                return written, False
        return written, True

    def build(
        self, plan: Plan, on_progress: Callable[[str], None]
    ) -> list[tuple[Statement, str]]:
        """Build indexes, triggers and views; return those that were refused."""
        self._known_schema = None
        self.stand_in_for_collations(texts_of(plan))
        done = self.journal.steps()
        statements = (s for table in plan.carried() for s in table.statements)
        refused = build_all(
            statements, done, self._build, on_progress, self.journal.transaction
        )
        if SEQUENCES not in done:
            self._advance_sequences(plan)
        return refused

    def _build(self, statement: Statement) -> str:
        problem = ""
        try:
            self._connection.execute("SAVEPOINT building")
            self._connection.execute(statement.sql)
        except sqlite3.DatabaseError as error:
            if is_of_the_system(error):
                raise
            self._connection.execute("ROLLBACK TO building")
            if is_only_entered(statement.sql, error):
                self._enter(statement)
            else:
                problem = str(error)
        self._connection.execute("RELEASE building")
        self.journal.add_step(statement.step, statement.purpose, problem)
        return problem

    def _enter(self, statement: Statement) -> None:
        """Write a virtual table into the schema as it stands, as ``.dump`` does.

        Its own program has the module and finds the table; here nothing is lost by
        not having it, because such a table only shows what others hold.
        """
        self._connection.execute("PRAGMA writable_schema = ON")
        self._connection.execute(
            "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) "
            "VALUES ('table', ?, ?, 0, ?)",
            (statement.name, statement.name, statement.sql),
        )
        self._connection.execute("PRAGMA writable_schema = OFF")

    def _advance_sequences(self, plan: Plan) -> None:
        with self.journal.transaction():
            has_counter = self._connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
            ).fetchone()
            for table in plan.carried():
                if has_counter and (table.counts_exactly or table.sequence is not None):
                    self._set_sequence(table)
            self.journal.add_step(SEQUENCES, "sequence", "")

    def _set_sequence(self, table: TablePlan) -> None:
        """Let a table count on; a file's own counter may be behind its rows."""
        name, last = table.target, table.sequence
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", (name,)
        ).fetchone()
        if last is None:
            self._connection.execute(
                "DELETE FROM sqlite_sequence WHERE name = ?", (name,)
            )
        elif row is None:
            self._connection.execute(
                "INSERT INTO sqlite_sequence VALUES (?, ?)", (name, last)
            )
        elif table.counts_exactly or last > row[0]:
            self._connection.execute(
                "UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (last, name)
            )

    def take_back(self, statement: Statement, problem: str) -> None:
        """Drop a view that was built, and record why."""
        with self.journal.transaction():
            self._connection.execute(f"DROP VIEW {quote(statement.name)}")
            self.journal.change_step(statement.step, problem)

    @property
    def connection(self) -> Any:
        """The connection that writes."""
        return self._connection

    def schema(self) -> Schema:
        """Describe the tables that are there."""
        if self._known_schema is None:
            self._known_schema = read_schema(self._connection)
            texts = [text for _, _, text in self._known_schema.objects]
            self.stand_in_for_collations(texts)
        return self._known_schema

    def inventory(self) -> Inventory:
        """Return the tables and columns that are there."""
        return of_file(self.schema())

    def profile(self, table: Table) -> TableProfile:
        """Look at every value of a table that is there."""
        if can_survey(self._connection, self.schema(), table):
            self._profiles[table.name] = survey_table(self._connection, table)
            return self._profiles[table.name]
        return profile_table(self._connection, table)

    def integer_bounds(self, table: str, column: str) -> tuple[int, int]:
        """Return least and greatest integer above zero; zeros where there is none."""
        return integer_bounds(self._connection, table, column)

    def use_codecs(self, codecs: Mapping[str, Sequence[Codec]]) -> None:
        """Read lines with other codecs than the plan's words."""
        self._codecs = codecs

    def _lines(self) -> SqliteLines:
        return SqliteLines(
            self._connection,
            self.schema(),
            self._profiles,
            is_target=True,
            codecs=self._codecs,
        )

    def key_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Generator[LineBlock]:
        """Yield the target's own rows, sorted by the plan's ``order_key``."""
        return self._lines().in_key_order(table, long)

    def any_order(
        self, table: TablePlan, long: LongCells = WHOLE
    ) -> Generator[LineBlock]:
        """Yield the target's own rows."""
        return self._lines().in_own_order(table, None, long=long)

    def takes_in_pieces(self, table: TablePlan) -> frozenset[str]:
        """Return the columns whose cells are written as the bytes that they are."""
        if not isinstance(self._connection, sqlite3.Connection):
            return frozenset()
        return frozenset(c.source for c in table.columns if c.codec in CODECS)

    def _openable(self, table: TablePlan) -> frozenset[str]:
        """Return the columns whose cells SQLite opens, so that pieces need no memory.

        It opens one by its rowid, none that an index holds, and none in a table with
        computed columns.
        """
        schema = self.schema()
        found = schema.table(table.target)
        if schema.encoding != "UTF-8" or found is None or not found.opens_cells:
            return frozenset()
        indexed = {part.column for index in found.indexes for part in index.parts}
        if None in indexed:
            return frozenset()
        kept = {fold(name or "") for name in indexed | set(found.key)}
        return frozenset(c.target for c in table.columns if fold(c.target) not in kept)

    def long_columns(self, table: TablePlan) -> frozenset[str]:
        """Return the columns that have cells too long to be held."""
        return self._lines().long_columns(table)

    def check_unchanged(self) -> None:
        """Do nothing: what a move fills is compared as it is."""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        if self._made is not None and not self._made.stat().st_size:
            self._made.unlink()


def is_only_entered(sql: str, error: Exception) -> bool:
    """Whether a virtual table cannot be made here, and need not be.

    Its module is missing, or the tables it consists of came as they are.
    """
    if is_contentless(sql):
        return True
    # SQLite has no code of its own for it.
    is_virtual = sql.lstrip().upper().startswith("CREATE VIRTUAL")
    return is_virtual and "no such module" in str(error)


def texts_of(plan: Plan) -> list[str]:
    """Return every statement that a plan executes on SQLite."""
    tables = list(plan.carried())
    found = [table.create for table in tables]
    return found + [s.sql for table in tables for s in table.statements]
