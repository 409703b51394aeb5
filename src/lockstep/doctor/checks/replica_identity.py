"""Published tables whose changes cannot be told."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import counted, some
from lockstep.doctor.postgresql.context import PostgresqlContext

_PUBLISHED = """
SELECT c.oid::regclass::text, c.relreplident,
       EXISTS (SELECT 1 FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary),
       EXISTS (SELECT 1 FROM pg_index x WHERE x.indrelid = c.oid AND x.indisreplident)
FROM (SELECT DISTINCT format('%I.%I', schemaname, tablename)::regclass AS oid
      FROM pg_publication_tables) AS p JOIN pg_class c ON c.oid = p.oid
ORDER BY 1
"""


def examine(context: PostgresqlContext) -> Findings:
    """Look at the replica identity of every published table."""
    partial: list[str] = []
    for name, identity, has_key, has_index in context.rows(_PUBLISHED):
        usable = {"f": True, "d": has_key, "i": has_index}.get(identity, False)
        if not usable:
            yield CHECK.finding(
                "problem",
                name,
                "the table is published and has no replica identity",
                why="Every UPDATE and DELETE on it fails: 'cannot update table because "
                "it does not have a replica identity and publishes updates'.",
                mend="give it a primary key, or REPLICA IDENTITY FULL",
                command=f"ALTER TABLE {name} REPLICA IDENTITY FULL",
                evidence={"identity": identity},
            )
        elif identity != "f":
            partial.append(name)
    if partial:
        yield CHECK.finding(
            "notice",
            context.database_name,
            f"only the key of a changed row is sent for "
            f"{counted(len(partial), 'published table')}: {some(partial)}",
            mend="REPLICA IDENTITY FULL for tables that shapes with a WHERE are served "
            "from",
            command=f"ALTER TABLE {partial[0]} REPLICA IDENTITY FULL",
            evidence={"tables": partial},
        )


CHECK = Check(
    name="replica-identity",
    looks_for="Published tables without a replica identity, or with less than FULL.",
    why="With the key only, the old values of a row are not sent: a shape cannot see "
    "that the row leaves it, and large values that did not change are missing.",
    postgresql=examine,
)
