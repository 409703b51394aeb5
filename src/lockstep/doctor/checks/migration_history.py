"""A schema that nobody can say the version of."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Finding
from lockstep.doctor.postgresql.context import PostgresqlContext
from lockstep.doctor.sqlite.context import SqliteContext

LEDGERS = frozenset(
    {
        *("alembic_version", "django_migrations", "schema_migrations"),
        *("ar_internal_metadata", "__drizzle_migrations", "_prisma_migrations"),
        *("knex_migrations", "migrations", "typeorm_metadata", "sequelizemeta"),
        *("flyway_schema_history", "databasechangelog", "goose_db_version"),
        *("_sqlx_migrations", "__diesel_schema_migrations", "yoyo_migration"),
        *("_yoyo_migration", "aerich", "phinxlog", "doctrine_migration_versions"),
        *("android_metadata", "south_migrationhistory", "gorp_migrations"),
        *("migratehistory", "room_master_table", "__efmigrationshistory"),
        *("moz_meta", "meta", "dbmeta", "appschemaversion", "metadata", "versions"),
        *("schema_version", "db_version", "dbversion", "schemaversion", "version"),
        *("_schema_version", "schema_info", "migration_versions", "migrate_version"),
    }
)
"""Tables in which known tools keep the state of a schema."""


def examine(context: SqliteContext) -> Findings:
    """Look for a ledger of migrations, or a user_version."""
    names = {name.lower() for (name,) in context.rows("SELECT name FROM sqlite_master")}
    kept = names & LEDGERS or any("migration" in name for name in names)
    stamped = context.pragma("user_version") or context.pragma("application_id")
    if context.tables and not kept and not stamped:
        yield _missing(context.name)


def examine_postgresql(context: PostgresqlContext) -> Findings:
    """Look for a ledger of migrations."""
    names = {table.name.rpartition(".")[2].lower() for table in context.tables}
    kept = names & LEDGERS or any("migration" in name for name in names)
    if context.tables and not kept:
        yield _missing(context.database_name)


def _missing(subject: str) -> Finding:
    return CHECK.finding(
        "notice",
        subject,
        "no migration tool and no user_version says which version the schema has",
        mend="put the schema under a history: write models, a first revision, and "
        "stamp the database with it",
        command="lockstep migrate stamp head",
    )


CHECK = Check(
    name="migration-history",
    looks_for="A database without any record of its migrations.",
    why="Which statements were run on this copy is in somebody's memory; two copies of "
    "the application drift apart and nobody can tell.",
    sqlite=examine,
    postgresql=examine_postgresql,
)
