"""Texts that no other program can read: broken UTF-8, NUL characters."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.doctor.sqlite.texts import scan_texts


def examine(context: SqliteContext) -> Findings:
    """Decode every stored text."""
    for table in context.tables:
        scan = scan_texts(context, table)
        for column, faults in scan.columns.items():
            subject = f"{table.name}.{column}"
            if faults.invalid:
                yield CHECK.finding(
                    "problem",
                    subject,
                    f"{counted(faults.invalid, 'text is', 'texts are')} not valid "
                    f"UTF-8{scan.told()}",
                    why="Python's sqlite3 raises when it reads such a row, and so does "
                    "PostgreSQL when the row is moved there.",
                    mend="find out which encoding wrote them (often Latin-1) and write "
                    "them again; or store bytes in a BLOB column",
                    evidence={"count": faults.invalid, "rowids": faults.invalid_rowids},
                )
            if faults.nul:
                yield CHECK.finding(
                    "warning",
                    subject,
                    f"{counted(faults.nul, 'text holds', 'texts hold')} a NUL "
                    f"character{scan.told()}",
                    why="SQLite's own length() and printf() stop at it, and PostgreSQL "
                    "cannot store it at all.",
                    mend="remove the character, or store bytes in a BLOB column",
                    evidence={"count": faults.nul, "rowids": faults.nul_rowids},
                )


CHECK = Check(
    name="invalid-text",
    looks_for="Texts that are not valid UTF-8 or hold a NUL character.",
    why="SQLite stores the bytes it is given and checks nothing.",
    sqlite=examine,
)
