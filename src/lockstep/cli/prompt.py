"""A small SQL prompt for machines without ``sqlite3`` or ``psql``.

Owns reading statements from a terminal or a pipe and printing their rows. They run on
one connection of the database's own engine, so the application's settings hold. Each
statement commits by itself, unless the reader typed BEGIN, as in the real shells.

Invariant: a failing statement is told and changes nothing; from a pipe it also ends the
prompt with exit code 1, so a script stops where it broke.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TextIO, cast

from lockstep.cli.failures import EXIT_FAILED, Failure, Finished, tell
from lockstep.cli.output import Page, console
from lockstep.errors import InvalidValue

if TYPE_CHECKING:
    from lockstep.cli.run import Run
    from lockstep.engine import Database

ROWS_SHOWN_MAX = 1_000
BYTES_SHOWN_MAX = 64
STATEMENT_CHARACTERS_MAX = 1_000_000

HELP = "Statements end with ;   .tables lists tables   .quit or Ctrl-D leaves"

# Text, names, comments and dollar-quoted bodies, in which a semicolon ends nothing.
_OPAQUE = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]*(?:\n|\Z) | /\*.*?\*/
      | \$(?P<tag>[A-Za-z_]\w*|)\$ .*? \$(?P=tag)\$""",
    re.DOTALL | re.VERBOSE,
)
_OPENED = re.compile(r"""['"]|/\*|\$(?:[A-Za-z_]\w*|)\$""")


def is_complete_postgresql(text: str) -> bool:
    """Return whether ``text`` is one or more complete PostgreSQL statements."""
    rest = _OPAQUE.sub(" ", text)
    return rest.rstrip().endswith(";") and _OPENED.search(rest) is None


class StatementReader:
    """Cuts lines into statements.

    Args:
        is_complete: Whether a text ends where a statement ends; the dialects differ
            in trigger bodies and in quotes.
    """

    def __init__(self, is_complete: Callable[[str], bool]) -> None:
        self._is_complete = is_complete
        self._pending = ""
        self._tested = 0

    @property
    def is_empty(self) -> bool:
        """Whether no statement has begun."""
        return not self._pending.strip()

    def feed(self, line: str) -> Generator[str]:
        """Take one line; yield each statement that it completes.

        Raises:
            InvalidValue: A statement exceeds ``STATEMENT_CHARACTERS_MAX``.
        """
        self._pending += line + "\n"
        if len(self._pending) > STATEMENT_CHARACTERS_MAX:
            self.clear()
            raise InvalidValue(
                f"a statement is longer than {STATEMENT_CHARACTERS_MAX}",
                hint="give longer ones to sqlite3 or psql: lockstep db shell",
            )
        while (end := self._pending.find(";", self._tested)) >= 0:
            # A prefix that was incomplete stays so; each is tested once.
            self._tested = end + 1
            if self._is_complete(self._pending[: end + 1]):
                statement = self._pending[: end + 1].strip()
                self._pending, self._tested = self._pending[end + 1 :], 0
                yield statement

    def rest(self) -> str:
        """Return what was begun and not ended, and forget it."""
        rest = self._pending.strip()
        self.clear()
        return rest

    def clear(self) -> None:
        """Forget what was begun."""
        self._pending, self._tested = "", 0


def run_prompt(run: Run, database: Database) -> None:
    """Read statements until the input ends, and print what each one gives.

    Raises:
        Finished: A statement from a pipe failed; exit code 1.
    """
    page = Page(console(run.output.stdout))
    interactive = sys.stdin.isatty()
    if interactive:
        _greet(run, database)
    pooled = database.engine.raw_connection()
    try:
        driver: Any = pooled.driver_connection
        if database.engine_name == "sqlite":
            driver.isolation_level = None
        else:
            driver.autocommit = True
        is_complete = (
            is_complete_postgresql
            if database.dialect_name == "postgresql"
            else sqlite3.complete_statement
        )
        reader = StatementReader(is_complete)
        for statement in _statements(reader, interactive, run.output.stdout):
            _try(run, page, database, driver, statement, interactive)
    finally:
        pooled.close()


def _greet(run: Run, database: Database) -> None:
    try:
        # Its import alone gives input() history and editing.
        import readline  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        run.output.progress("no line editing: Python was built without readline")
    run.output.progress(f"{database.url}   {HELP}")


def _statements(
    reader: StatementReader, interactive: bool, stdout: TextIO
) -> Generator[str]:
    while True:
        prompt = "lockstep> " if reader.is_empty else "     ...> "
        try:
            with contextlib.redirect_stdout(stdout):  # input() edits lines only there
                line = input(prompt if interactive else "")
        except EOFError:
            break
        except KeyboardInterrupt:
            if not interactive:
                raise
            stdout.write("\n")
            reader.clear()
            continue
        if reader.is_empty and line.strip().startswith("."):
            if line.strip() in {".quit", ".exit"}:
                return
            yield line.strip()
        else:
            yield from reader.feed(line)
    if rest := reader.rest():
        yield rest


def _try(
    run: Run,
    page: Page,
    database: Database,
    driver: Any,
    statement: str,
    interactive: bool,
) -> None:
    try:
        _execute(page, database, driver, statement)
    except KeyboardInterrupt:
        if not interactive:
            raise
        run.output.warning("interrupted; the statement changed nothing")
    except BrokenPipeError:
        raise
    except Exception as error:
        from lockstep.engine import classify

        failure = Failure.of(classify(error) or error)
        tell(run.output, failure, error=error, secrets=run.secrets())
        if not interactive:
            raise Finished(EXIT_FAILED) from error
    run.output.stdout.flush()


def _execute(page: Page, database: Database, driver: Any, statement: str) -> None:
    if statement == ".tables":
        import sqlalchemy as sa

        names = sorted(sa.inspect(database.engine).get_table_names())
        page.table(("table",), [(name,) for name in names])
        return
    if statement.startswith("."):
        page.line(HELP)
        return
    cursor = driver.cursor()
    try:
        cursor.execute(statement)
        if cursor.description is None:
            if cursor.rowcount >= 0:
                page.line(f"{cursor.rowcount} rows")
            return
        headers = [column[0] for column in cursor.description]
        rows = cursor.fetchmany(ROWS_SHOWN_MAX + 1)
    finally:
        cursor.close()
    page.table(headers, [[shown(v) for v in row] for row in rows[:ROWS_SHOWN_MAX]])
    if len(rows) > ROWS_SHOWN_MAX:
        page.line(f"(the first {ROWS_SHOWN_MAX} rows; add LIMIT and OFFSET)")


def shown(value: Any) -> str:
    """Return a value as the prompt prints it; long binary values are cut."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes | memoryview):
        data = bytes(cast("bytes", value))
        tail = "…" if len(data) > BYTES_SHOWN_MAX else ""
        return f"x'{data[:BYTES_SHOWN_MAX].hex()}'{tail}"
    return str(value)
