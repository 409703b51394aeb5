"""Two SQLite libraries in one process, on one file."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import some
from lockstep.doctor.processes import holders_of
from lockstep.doctor.sqlite.context import SqliteContext


def examine(context: SqliteContext) -> Findings:
    """Look at the processes that have the file open right now."""
    for holder in holders_of(context.path):
        if len(holder.libraries) > 1:
            yield CHECK.finding(
                "problem",
                context.path.name,
                f"process {holder.pid} ({holder.program}) has the file open and "
                f"{len(holder.libraries)} SQLite libraries loaded: "
                f"{some(list(holder.libraries))}",
                mend="open the file with one library per process; give the other one a "
                "process of its own. It is harmless only if the second library never "
                "opens this file",
                evidence={"pid": holder.pid, "libraries": list(holder.libraries)},
            )


CHECK = Check(
    name="second-sqlite-library",
    looks_for="A live process with two SQLite libraries (sqlite3, apsw, libsql, turso, "
    "pysqlite3, …) that has the file open, or a project that uses two.",
    why="POSIX locks belong to the process. When one library closes the file, the "
    "locks "
    "of the other are gone; another process may write at the same time, is told "
    "'success', and its committed rows are lost without an error.",
    sqlite=examine,
)
