"""Secrets that the server writes into its log."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.postgresql.context import PostgresqlContext


def examine(context: PostgresqlContext) -> Findings:
    """Look at what the server logs, and how it keeps passwords."""
    logged = context.setting("log_statement")
    if logged in ("all", "mod", "ddl"):
        yield CHECK.finding(
            "warning" if logged == "all" else "notice",
            "log_statement",
            f"log_statement is {logged}: statements are logged with the values written "
            "in them, ALTER ROLE … PASSWORD among them",
            mend="set passwords with \\password of psql, which sends a hash; log slow "
            "statements only (log_min_duration_statement)",
            evidence={"log_statement": logged},
        )
    if context.setting("password_encryption") == "md5":
        yield CHECK.finding(
            "warning",
            "password_encryption",
            "new passwords are kept as md5",
            why="An md5 hash from a backup or a replica is as good as the password.",
            mend="use scram-sha-256 and set the passwords again",
            command="ALTER SYSTEM SET password_encryption = 'scram-sha-256'",
        )


CHECK = Check(
    name="logged-secrets",
    looks_for="A server that logs every statement, or keeps passwords as md5.",
    why="Logs are read by more people than the database, and kept longer.",
    postgresql=examine,
)
