"""What logical replication needs of the server."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.postgresql.context import PostgresqlContext


def examine(context: PostgresqlContext) -> Findings:
    """Look at wal_level, and at slots that nobody reads."""
    level = context.setting("wal_level")
    wanted = context.value("SELECT count(*) FROM pg_publication")
    if level != "logical":
        yield CHECK.finding(
            "warning" if wanted else "notice",
            "wal_level",
            f"wal_level is {level}"
            + (
                f", and {wanted} publications exist that it cannot serve" * bool(wanted)
            ),
            mend="set it to logical if shapes are served from this server, and "
            "restart; managed servers have a switch for it",
            command="ALTER SYSTEM SET wal_level = logical",
            evidence={"wal_level": level, "publications": wanted},
        )
    yield from _slots(context)


def _slots(context: PostgresqlContext) -> Findings:
    # A standby cannot say how far the primary is.
    if context.value("SELECT pg_is_in_recovery()"):
        return
    for name, active, status, held in context.rows(
        "SELECT slot_name, active, wal_status,"
        " pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint"
        " FROM pg_replication_slots WHERE NOT temporary ORDER BY 1"
    ):
        if status == "lost":
            yield CHECK.finding(
                "problem",
                name,
                "the replication slot has lost its position; its reader cannot go on",
                mend="drop the slot and let the reader begin anew",
                command=f"SELECT pg_drop_replication_slot('{name}')",
                evidence={"slot": name},
            )
        elif not active and held is not None and held > 64 * 1024 * 1024:
            yield CHECK.finding(
                "warning",
                name,
                f"nobody reads the replication slot, and it keeps "
                f"{held // 1024**2:,} MiB of WAL",
                mend="start its reader, or drop the slot; set max_slot_wal_keep_size",
                command=f"SELECT pg_drop_replication_slot('{name}')",
                evidence={"slot": name, "held_bytes": held},
            )


CHECK = Check(
    name="replication-settings",
    looks_for="wal_level below logical, and replication slots that nobody reads.",
    why="Shapes and replicas follow the server through logical replication, which the "
    "default wal_level (replica) does not carry; a forgotten slot keeps WAL until the "
    "disk is full and the server stops.",
    postgresql=examine,
)
