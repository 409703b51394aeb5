"""The rollback journal, with which readers and writers wait for each other."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings, Repair
from lockstep.doctor.findings import Finding
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.doctor.sqlite.surroundings import INTERCHANGE_FORMATS
from lockstep.engine.sqlite_files import network_mount_of

_INTERCHANGE_SUFFIXES = (".gpkg", ".mbtiles")


def examine(context: SqliteContext) -> Findings:
    """Find a file that is not in WAL mode."""
    if context.opened.uses_wal:
        return
    mode = str(context.pragma("journal_mode"))
    kind = INTERCHANGE_FORMATS.get(context.pragma("application_id"))
    if kind is None and context.path.suffix.lower() in _INTERCHANGE_SUFFIXES:
        kind = context.path.suffix
    if kind is not None:
        # Such a file is written once and handed around; a -wal would be lost.
        return
    if network_mount_of(context.path) is not None:
        # There WAL would be worse; the check 'file-system' says so.
        return
    yield CHECK.finding(
        "warning",
        context.name,
        f"the journal mode is {mode}, not wal",
        mend="switch it to WAL once; the file keeps the mode. Leave it as it is only "
        "on a network drive, on read-only media, or where one process reads and writes "
        "in turn",
        command="PRAGMA journal_mode = WAL",
        fixable=True,
        evidence={"journal_mode": mode},
    )


def repair(finding: Finding) -> Repair:
    """Switch the file to WAL."""
    return Repair(
        finding,
        "switch the file to WAL; from then on a -wal and a -shm file lie beside it "
        "while it is open, and belong to it",
        ("PRAGMA journal_mode = WAL",),
        in_transaction=False,
    )


CHECK = Check(
    name="journal-mode",
    looks_for="A SQLite file in rollback-journal mode.",
    why="While a writer commits nobody reads, and while anybody reads no writer "
    "commits; under load that is 'database is locked'. In WAL mode readers and the "
    "writer do not wait for each other, and a commit syncs once.",
    sqlite=examine,
    needs_file=True,
    repair=repair,
)
