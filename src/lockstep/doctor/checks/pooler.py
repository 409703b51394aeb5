"""A transaction pooler, and what does not survive one."""

from __future__ import annotations

import re

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.project.context import ProjectContext

_ADDRESS = re.compile(r"postgres(?:ql)?(?:\+\w+)?://\S*(?:pooler\.|:6543\b|-pooler\.)")
_TOLD = re.compile(
    r"statement_cache_size|prepare_threshold|prepared_statement_cache|pgbouncer=true"
)
_PREPARES = re.compile(
    r"^\s*(?:import|from)\s+(asyncpg|psycopg)\b|\+(asyncpg|psycopg):"
)


def examine(context: PostgresqlContext) -> Findings:
    """Look at the URL, and at what the project says about it."""
    if not context.url.pooler_likely:
        return
    settings = context.settings
    said = settings.postgresql.pooler if settings is not None else "auto"
    if said == "none":
        yield CHECK.finding(
            "problem",
            "pooler",
            "the URL is a transaction pooler's, and the project says pooler = 'none'",
            mend="leave the setting at 'auto', or use the server's direct address",
            command="LOCKSTEP_POSTGRESQL__POOLER=auto",
        )
    else:
        yield CHECK.finding(
            "notice",
            "pooler",
            "the URL is a transaction pooler's; lockstep keeps nothing on the "
            "connection behind it, other drivers must be told",
            mend="asyncpg: statement_cache_size=0; psycopg: prepare_threshold=None; "
            "Prisma: pgbouncer=true. Migrations, LISTEN and replication use the direct "
            "address",
        )


def examine_project(context: ProjectContext) -> Findings:
    """Find a pooler's address in a project whose driver prepares statements."""
    if context.settings is not None or context.first(_TOLD):
        return
    driver = context.first(_PREPARES, ".py")
    if driver is None:
        return
    for file in context.files:
        for number, _ in file.matches(_ADDRESS):
            yield CHECK.finding(
                "warning",
                f"{file.name}:{number}",
                "the address is a transaction pooler's, and the driver used in "
                f"{driver} prepares statements",
                mend="asyncpg: statement_cache_size=0; psycopg: "
                "prepare_threshold=None; or use the server's direct address",
            )
            return


CHECK = Check(
    name="pooler",
    looks_for="A URL of a transaction pooler (pgbouncer, Supavisor, Neon's -pooler).",
    why="Between two transactions the server's connection is another one: prepared "
    "statements 'do not exist' or 'already exist', session settings and advisory locks "
    "end up with somebody else.",
    postgresql=examine,
    project=examine_project,
)
