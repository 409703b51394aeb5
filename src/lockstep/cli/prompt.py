"""A small SQL prompt for machines without ``sqlite3`` or ``psql``.

Owns reading statements from a terminal or a pipe and printing their rows. It runs them
on the database's own engine, so the same settings hold as for the application; each
statement is a transaction of its own.

Invariant: a failing statement is told and changes nothing; from a pipe it also ends the
prompt with exit code 1, so a script stops where it broke.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from lockstep.cli.failures import EXIT_FAILED, Failure, Finished, tell
from lockstep.cli.output import Page, console

if TYPE_CHECKING:
    from lockstep.cli.run import Run
    from lockstep.engine import Database

ROWS_SHOWN_MAX = 1_000
STATEMENT_CHARACTERS_MAX = 1_000_000

HELP = "Statements end with ;   .tables lists tables   .quit or Ctrl-D leaves"


def run_prompt(run: Run, database: Database) -> None:
    """Read statements until the input ends, and print what each one gives."""
    page = Page(console(sys.stdout))
    interactive = sys.stdin.isatty()
    if interactive:
        # GNU readline gives the prompt history and editing where it is installed.
        try:
            import readline  # noqa: F401
        except ImportError:
            run.output.progress("no line editing: Python was built without readline")
        run.output.progress(f"{database.url}  {HELP}")
    for statement in _statements(interactive):
        try:
            _execute(page, database, statement)
        except KeyboardInterrupt:
            if not interactive:
                raise
            run.output.warning("interrupted; the statement changed nothing")
        except Exception as error:
            _tell_failure(run, error)
            if not interactive:
                raise Finished(EXIT_FAILED) from error
        sys.stdout.flush()


def _tell_failure(run: Run, error: Exception) -> None:
    from lockstep.engine import classify

    known = classify(error) or error
    tell(run.output, Failure.of(known), error=error, secrets=run.secrets())


def _statements(interactive: bool) -> Generator[str]:
    """Yield complete statements and dot commands, without the final semicolon."""
    import sqlite3

    pending = ""
    while True:
        try:
            prompt = ("   ...> " if pending else "lockstep> ") if interactive else ""
            line = input(prompt)
        except EOFError:
            break
        except KeyboardInterrupt:
            if not interactive:
                raise
            sys.stdout.write("\n")
            pending = ""
            continue
        if not pending and line.strip() in {".quit", ".exit"}:
            return
        if not pending and line.strip().startswith("."):
            yield line.strip()
            continue
        pending = f"{pending}\n{line}" if pending else line
        if len(pending) > STATEMENT_CHARACTERS_MAX:
            raise ValueError(f"a statement has over {STATEMENT_CHARACTERS_MAX} signs")
        # SQLite's own tokenizer knows quotes, comments and trigger bodies.
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
    if pending.strip():
        yield pending.strip()


def _execute(page: Page, database: Database, statement: str) -> None:
    import sqlalchemy as sa

    if statement == ".tables":
        names = sa.inspect(database.engine).get_table_names()
        page.table(("table",), [(name,) for name in sorted(names)])
        return
    if statement.startswith("."):
        page.line(HELP)
        return
    with database.engine.begin() as connection:
        # exec_driver_sql: a colon in the text is no parameter.
        result = connection.exec_driver_sql(statement)
        if not result.returns_rows:
            if result.rowcount >= 0:
                page.line(f"{result.rowcount} rows")
            return
        rows = result.fetchmany(ROWS_SHOWN_MAX + 1)
        headers = list(result.keys())
    page.table(headers, [[_shown(value) for value in row] for row in rows])
    if len(rows) > ROWS_SHOWN_MAX:
        page.line(f"(the first {ROWS_SHOWN_MAX} rows; add LIMIT and OFFSET)")


def _shown(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes | memoryview):
        return f"x'{bytes(value[:64]).hex()}'" + ("…" if len(value) > 64 else "")
    return str(value)
