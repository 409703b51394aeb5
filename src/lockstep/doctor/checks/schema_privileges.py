"""What the role may not do, or everybody may."""

from __future__ import annotations

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.findings import Finding, Severity, counted, some
from lockstep.doctor.postgresql.context import PostgresqlContext

_SCHEMAS = """
SELECT s, has_schema_privilege(s, 'USAGE'), has_schema_privilege(s, 'CREATE')
FROM (SELECT unnest(current_schemas(false))::text AS s) AS x
"""


def examine(context: PostgresqlContext) -> Findings:
    """Ask for the role's rights on its schemas and tables."""
    role = str(context.value("SELECT current_user"))
    found = context.rows(_SCHEMAS)
    if not found:
        yield _no_schema(context, role)
    for schema, usage, create in found:
        if not usage:
            yield _finding(context, role, schema, "use", "problem")
        elif not create:
            empty = not any(table.schema == schema for table in context.tables)
            yield _finding(context, role, schema, "create tables in", _level(empty))
    yield from _tables(context, role)
    yield from _everybody(context)


def _level(empty: bool) -> Severity:
    # A role that only works with tables that others make is a good practice.
    return "problem" if empty else "notice"


def _no_schema(context: PostgresqlContext, role: str) -> Finding:
    path = context.setting("search_path")
    return CHECK.finding(
        "problem",
        context.database_name,
        f"no schema of the search_path ({path}) exists or may be used by {role}",
        mend="create the schema, or grant it",
        command=f"CREATE SCHEMA {context.name(role)} AUTHORIZATION "
        f"{context.name(role)}",
    )


def _finding(
    context: PostgresqlContext, role: str, schema: str, what: str, severity: Severity
) -> Finding:
    grant = "USAGE" if what == "use" else "CREATE, USAGE"
    return CHECK.finding(
        severity,
        schema,
        f"the role {role} may not {what} the schema {schema}",
        mend="grant it as the schema's owner; GRANT ALL ON DATABASE does not",
        command=f"GRANT {grant} ON SCHEMA {context.name(schema)} TO "
        f"{context.name(role)}",
        evidence={"role": role, "schema": schema},
    )


def _tables(context: PostgresqlContext, role: str) -> Findings:
    readable = context.readable_tables
    closed = [table.name for table in context.tables if table not in readable]
    if closed:
        yield CHECK.finding(
            "notice",
            context.database_name,
            f"the role {role} may not read {counted(len(closed), 'table')}: "
            f"{some(closed)}; their rows were not looked at",
            mend="nothing, if that is meant; else grant it, for future tables too",
            command="GRANT SELECT ON ALL TABLES IN SCHEMA public TO "
            f"{context.name(role)}",
            evidence={"tables": closed},
        )


def _everybody(context: PostgresqlContext) -> Findings:
    open_to_all = context.value(
        "SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) AS a"
        " WHERE n.nspname = 'public' AND a.grantee = 0 AND a.privilege_type = 'CREATE'"
    )
    if open_to_all:
        yield CHECK.finding(
            "warning",
            "public",
            "every role may create objects in the schema public",
            why="Any user can put a function or table there that others then call by "
            "mistake (CVE-2018-1058); PostgreSQL 15 took this right away, an upgraded "
            "database keeps it.",
            mend="take it from PUBLIC and grant it to the roles that migrate",
            command="REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        )


CHECK = Check(
    name="schema-privileges",
    looks_for="Schemas and tables that the role may not use, and a public schema that "
    "is open to everybody.",
    why="Since PostgreSQL 15 GRANT ALL ON DATABASE is not enough: the first migration "
    "fails with 'permission denied for schema public'.",
    postgresql=examine,
)
