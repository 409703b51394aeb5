"""Two SQLite libraries in one process, on one file."""

from __future__ import annotations

import re
from pathlib import Path

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import some
from lockstep.doctor.processes import holders_of
from lockstep.doctor.project.context import ProjectContext
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.engine.sqlite_files import SQLITE_LIBRARIES

_FOREIGN = re.compile(
    r"^\s*(?:import|from)\s+(apsw|libsql|libsql_experimental|pysqlite3|turso|limbo|"
    r"sqlcipher3|pysqlcipher3)\b"
)
_OWN = re.compile(
    r"^\s*(?:import|from)\s+(sqlite3|aiosqlite|lockstep)\b|sqlite(\+pysqlite|\+aiosqlite)?:"
    r"///|django\.db\.backends\.sqlite3"
)
# They read SQLite files by an extension and have formats of their own.
_OTHER_DATABASES = ("duckdb", "chdb")
_NODE = (
    "better-sqlite3",
    "@libsql/client",
    "libsql",
    "sqlite3",
    "bun:sqlite",
    "sql.js",
)


def examine(context: SqliteContext) -> Findings:
    """Look at the processes that have the file open right now."""
    for holder in holders_of(context.path):
        if len(holder.libraries) > 1:
            yield CHECK.finding(
                "problem",
                context.name,
                f"process {holder.pid} ({holder.program}) has the file open and "
                f"{len(holder.libraries)} SQLite libraries loaded: "
                f"{some(list(holder.libraries))}",
                mend="open the file with one library per process; give the other one a "
                "process of its own. It is harmless only if the second library never "
                "opens this file",
                evidence={"pid": holder.pid, "libraries": list(holder.libraries)},
            )


def examine_project(context: ProjectContext) -> Findings:
    """Look at what the project's code imports, and package.json asks for."""
    foreign = context.first(_FOREIGN, ".py")
    own = context.first(_OWN, ".py")
    if foreign and own:
        yield CHECK.finding(
            "warning",
            foreign,
            "the project uses a second SQLite library here, and the first one in "
            f"{own}",
            mend="open each file with one of them only, or run the second one in a "
            "process of its own",
            evidence={"second": foreign, "first": own},
        )
    installed = _installed(context.root)
    if installed and not foreign:
        yield CHECK.finding(
            "notice",
            some(installed),
            "a second SQLite library is installed in the environment; none of the "
            "project's code imports it",
            mend="nothing, as long as no dependency opens the same file with it",
            evidence={"installed": installed},
        )
    for file in context.files:
        if file.path.name == "package.json":
            text = "\n".join(file.lines)
            named = sorted({name for name in _NODE if f'"{name}"' in text})
            if len(named) > 1:
                yield CHECK.finding(
                    "warning",
                    file.name,
                    f"the project depends on {len(named)} SQLite libraries: "
                    f"{some(named)}",
                    mend="keep one of them, or never open one file with both",
                    evidence={"libraries": named},
                )


def _installed(root: Path) -> list[str]:
    """Return the other SQLite libraries in the project's own environment."""
    return sorted(
        {
            path.name
            for folder in (".venv", "venv", "env")
            for name in SQLITE_LIBRARIES
            for path in root.glob(f"{folder}/lib/python*/site-packages/{name}")
            if name not in _OTHER_DATABASES
        }
    )


CHECK = Check(
    name="second-sqlite-library",
    looks_for="A live process with two SQLite libraries (sqlite3, apsw, libsql, turso, "
    "pysqlite3, …) that has the file open, or a project that uses two.",
    why="POSIX locks belong to the process. When one library closes the file, the "
    "locks of the other are gone; another process may write at the same time, is told "
    "'success', and its committed rows are lost without an error.",
    sqlite=examine,
    needs_file=True,
    project=examine_project,
)
