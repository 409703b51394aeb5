"""More connections than the server has."""

from __future__ import annotations

import math
import os

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.postgresql.context import PostgresqlContext

PROCESS_VARIABLES = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GUNICORN_WORKERS")


def examine(context: PostgresqlContext) -> Findings:
    """Multiply the pool by the processes, and ask the server what it allows."""
    allowed = int(context.setting("max_connections"))
    reserved = int(context.setting("superuser_reserved_connections"))
    if context.version >= 160000:
        reserved += int(context.setting("reserved_connections"))
    free = allowed - reserved
    used = int(context.value("SELECT count(*) FROM pg_stat_activity") or 0)
    if context.settings is not None and not context.url.pooler_likely:
        yield from _of_project(context, free)
    if used >= 0.8 * free:
        yield CHECK.finding(
            "warning",
            context.database_name,
            f"{used} of the {free} connections that the server gives to ordinary "
            "users are in use now",
            mend="find who holds them (SELECT application_name, count(*) FROM "
            "pg_stat_activity GROUP BY 1), make pools smaller, or put a pooler between",
            evidence={"used": used, "free": free},
        )


def _of_project(context: PostgresqlContext, free: int) -> Findings:
    assert context.settings is not None, "the caller looked"
    pool = context.settings.pool
    each = pool.size + pool.overflow_max
    processes, source = processes_of(context.processes)
    wanted = each * processes
    if wanted > free:
        yield CHECK.finding(
            "problem" if source else "warning",
            "pool",
            f"{processes} processes × {each} connections (pool {pool.size} + "
            f"{pool.overflow_max}) = {wanted}, and the server gives {free}"
            + (f" ({processes} from {source})" if source else ""),
            mend=f"make each pool at most {max(free // processes, 1)} connections "
            "(pool.size + pool.overflow_max), raise max_connections, or put a "
            "transaction pooler between",
            command=f"LOCKSTEP_POOL__SIZE={max(free // processes - 1, 1)}",
            evidence={"pool": each, "processes": processes, "free": free},
        )
    elif not source and wanted * 4 > free:
        yield CHECK.finding(
            "notice",
            "pool",
            f"each process may hold {each} connections, and the server gives {free}: "
            f"enough for {math.floor(free / each)} processes",
            mend="say how many there will be (--processes), and mind other programs, "
            "consoles and deployments that overlap",
            evidence={"pool": each, "free": free},
        )


def processes_of(given: int | None) -> tuple[int, str]:
    """Return how many processes there will be, and who says so."""
    if given is not None:
        return given, "--processes"
    for name in PROCESS_VARIABLES:
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value), name
    return 1, ""


CHECK = Check(
    name="connection-budget",
    looks_for="Pool size × processes above the server's max_connections.",
    why="A pool is per process. When the connections are used up, every further one "
    "fails with 'sorry, too many clients already', the administrator's too.",
    postgresql=examine,
)
