"""Who else moves the wide table into PostgreSQL, and what PostgreSQL can take at all.

Owns the peers of the ``move…`` scenarios. Each fills a database of its own through
what it would be used with; what arrived is counted and added up as ours is. That rows
are equal in number does not say that values are: most of these change some on files
that are less tidy than this one (``docs/explanation/moving.md``).
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import Any, Final

from lockstep.bench.moving import (
    CREATE_BARE,
    KEYS,
    TABLE,
    IntoPostgresql,
    Runs,
    WideTable,
)
from lockstep.bench.scenario import Missing, Place, Round
from lockstep.engine import DatabaseUrl
from lockstep.mover.connecting import open_sqlite_source
from lockstep.mover.model.results import silent

PGLOADER_TIMEOUT_S: Final = 3_600
_COPY_THREADS: Final = re.compile(
    r'"NAME":"COPY Threads Completion"[^{}]*"SECS":([0-9.]+)'
)
_READ_ROWS: Final = 1_000
_READ_BYTES: Final = 1024 * 1024
_SELECT: Final = f"SELECT * FROM {TABLE}"  # noqa: S608 - a constant


class ReadyCopy(IntoPostgresql):
    """PostgreSQL's own COPY, from a file that already has its lines; no index."""

    name = "COPY of a ready file"

    def open(self, place: Place) -> None:
        """Write the file."""
        super().open(place)
        self._lines = place.folder() / "ready.txt"
        source = open_sqlite_source(DatabaseUrl.parse(self.source))
        with closing(source), open(self._lines, "wb") as file:
            (planned,) = source.make_plan(silent).tables
            file.writelines(block.data for block in source.own_order(planned, None))

    def empty(self) -> None:
        """Leave a table without keys."""
        super().empty()
        self.execute(CREATE_BARE)

    def carry(self) -> float:
        """Send the file."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            started = time.perf_counter()
            with (
                open(self._lines, "rb") as file,
                connection.cursor().copy(f"COPY {TABLE} FROM STDIN".encode()) as copy,
            ):
                while data := file.read(_READ_BYTES):
                    copy.write(data)
            return time.perf_counter() - started


class ReadyCopyAndKeys(ReadyCopy):
    """The same, and the keys built behind it: no mover can be done before."""

    name = "COPY of a ready file, and keys"

    def carry(self) -> float:
        """Send the file, build the keys."""
        copied_s = super().carry()
        started = time.perf_counter()
        self.execute(KEYS)
        return copied_s + time.perf_counter() - started


class RowByRow(ReadyCopy):
    """What one writes first: rows of sqlite3 into psycopg's ``write_row``."""

    name = "sqlite3 rows, psycopg write_row"

    def carry(self) -> float:
        """Copy row by row."""
        import psycopg

        source = sqlite3.connect(self.source)
        with psycopg.connect(self.url, autocommit=True) as connection:
            started = time.perf_counter()
            found = source.execute(_SELECT)
            with connection.cursor().copy(f"COPY {TABLE} FROM STDIN".encode()) as copy:
                while some := found.fetchmany(_READ_ROWS):
                    for row in some:
                        copy.write_row(row)
            elapsed_s = time.perf_counter() - started
        source.close()
        return elapsed_s


PgloaderRuns = Runs[tuple[float, float]]
"""Seconds of the whole run, and of its copy."""


class Pgloader(IntoPostgresql):
    """pgloader, with its own defaults; it builds the keys, too.

    Args:
        table: What is moved.
        runs: Shared with the line that tells the copy alone.
    """

    name = "pgloader"

    def __init__(self, table: WideTable, runs: PgloaderRuns | None = None) -> None:
        super().__init__(table)
        self._runs = runs or PgloaderRuns()
        self._round = 0

    def open(self, place: Place) -> None:
        """Find it.

        Raises:
            Missing: It is not installed.
        """
        if shutil.which("pgloader") is None:
            raise Missing("needs pgloader", hint="apt-get install pgloader")
        super().open(place)
        self._summary = place.folder() / "summary.json"

    def round(self) -> Round:
        """Run it, or tell of this round's run."""
        seconds = self._runs.take(self._round, self._run)
        self._round += 1
        return Round(self.table.rows, self.seconds_of(*seconds))

    def carry(self) -> float:
        """Run it; return the seconds that count."""
        return self.seconds_of(*self._run())

    def seconds_of(self, whole_s: float, copy_s: float) -> float:
        """Return those of a run that this line tells."""
        return whole_s

    def _run(self) -> tuple[float, float]:
        self.empty()
        self._summary.unlink(missing_ok=True)
        options = ["--quiet", "--summary", str(self._summary)]
        started = time.perf_counter()
        done = subprocess.run(  # noqa: S603 - the program that is compared
            ["pgloader", *options, str(self.source), _pgloader_url(self.url)],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=PGLOADER_TIMEOUT_S,
            cwd=self.source.parent,
            check=False,
        )
        elapsed_s = time.perf_counter() - started
        # Its JSON has members without a value, so no parser reads it.
        summary = self._summary.read_text() if self._summary.exists() else ""
        told = _COPY_THREADS.search(summary)
        if done.returncode or told is None:
            raise RuntimeError(f"pgloader failed: {done.stdout[-200:]}{done.stderr}")
        return elapsed_s, float(told[1])


class PgloaderRows(Pgloader):
    """The part of pgloader's run in which it copies, as its own summary has it."""

    name = "pgloader, the rows alone"

    def seconds_of(self, whole_s: float, copy_s: float) -> float:
        """Return those of the copy."""
        return copy_s

    def check(self) -> list[str]:
        """Leave what arrived to the line of the whole run."""
        return []


def _pgloader_url(url: str) -> str:
    """Return a URL as pgloader reads it: a socket's folder stands in the host."""
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(url)
    host = str(parts.get("host", "localhost"))
    if not host.startswith("/"):
        return url
    user, port = parts.get("user", "postgres"), parts.get("port", 5432)
    return f"postgresql://{user}@unix:{host}:{port}/{parts['dbname']}"


class Adbc(IntoPostgresql):
    """ADBC's drivers: Arrow batches from SQLite into PostgreSQL's binary COPY.

    Its types are SQLite's own: booleans stay integers and times stay texts.
    """

    name = "ADBC"

    def open(self, place: Place) -> None:
        """Find the drivers.

        Raises:
            Missing: One is not installed.
        """
        for module in ("adbc_driver_sqlite", "adbc_driver_postgresql", "pyarrow"):
            if importlib.util.find_spec(module) is None:
                raise Missing(
                    f"needs {module}", hint="pip install 'lockstep-db[bench]'"
                )
        super().open(place)

    def carry(self) -> float:
        """Let one driver read what the other one writes."""
        sqlite: Any = importlib.import_module("adbc_driver_sqlite.dbapi")
        postgresql: Any = importlib.import_module("adbc_driver_postgresql.dbapi")
        started = time.perf_counter()
        source = sqlite.connect(f"file:{self.source}?mode=ro")
        target = postgresql.connect(self.url)
        with source, target, source.cursor() as found, target.cursor() as filled:
            found.execute(_SELECT)
            filled.adbc_ingest(TABLE, found.fetch_record_batch(), mode="create")
            target.commit()
        return time.perf_counter() - started


class DuckDb(IntoPostgresql):
    """DuckDB, with both databases attached, as its users write it."""

    name = "DuckDB"

    def open(self, place: Place) -> None:
        """Find it, and the extensions that it downloads by itself when asked to.

        Raises:
            Missing: Something is not installed; nothing is downloaded here.
        """
        if importlib.util.find_spec("duckdb") is None:
            raise Missing("needs duckdb", hint="pip install 'lockstep-db[bench]'")
        duckdb: Any = importlib.import_module("duckdb")
        self._connection = duckdb.connect(
            config={"autoinstall_known_extensions": "false"}
        )
        try:
            self._connection.execute("LOAD sqlite; LOAD postgres")
        except duckdb.Error as error:
            raise Missing(
                "needs DuckDB's extensions",
                hint="python -c \"import duckdb; duckdb.sql('INSTALL sqlite; "
                "INSTALL postgres')\", with the network",
            ) from error
        super().open(place)

    def carry(self) -> float:
        """Create the table from the other one."""
        run = self._connection.execute
        run(f"ATTACH '{self.source}' AS there (TYPE sqlite, READ_ONLY)")
        run(f"ATTACH '{self.url}' AS here (TYPE postgres)")
        try:
            started = time.perf_counter()
            run(f"CREATE TABLE here.{TABLE} AS SELECT * FROM there.{TABLE}")  # noqa: S608
            return time.perf_counter() - started
        finally:
            run("DETACH there")
            run("DETACH here")

    def close(self) -> None:
        """Close it, too."""
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()
        super().close()
