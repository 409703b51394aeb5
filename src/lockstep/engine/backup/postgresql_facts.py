"""PostgreSQL: what belongs to a database itself, and to no archive of it.

Owns the settings (``ALTER DATABASE … SET``, also of single roles), privileges, comment
and connection limit that a database's successor has to have. ``pg_dump`` writes them
only for a restore that makes the database too; without ``search_path`` an application
may not find its tables, and without its REVOKEs everybody may connect.

All of it stands in catalogues that the databases of a server share, so it is carried
over from a neighbour, in the transaction of the renames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

_LISTS = frozenset(
    {
        *("search_path", "temp_tablespaces"),
        *("local_preload_libraries", "session_preload_libraries"),
    }
)
"""Settings whose value is a list of names: as one text it would be one name."""


def carry_over(connection: psycopg.Connection[Any], old: str, new: str) -> None:
    """Give the database ``new`` what ``old`` has beside its content.

    Raises:
        psycopg.Error: The user may not; nothing is changed after a rollback.
    """
    _settings(connection, old, new)
    _privileges(connection, old, new)
    _comment_and_limit(connection, old, new)


def _settings(connection: psycopg.Connection[Any], old: str, new: str) -> None:
    from psycopg import sql

    rows = connection.execute(
        "SELECT r.rolname, unnest(s.setconfig) FROM pg_db_role_setting AS s"
        " JOIN pg_database AS d ON d.oid = s.setdatabase"
        " LEFT JOIN pg_roles AS r ON r.oid = s.setrole WHERE d.datname = %s",
        (old,),
    ).fetchall()
    for role, setting in rows:
        name, _, value = setting.partition("=")
        whose = sql.SQL("DATABASE {}").format(sql.Identifier(new))
        if role is not None:
            whose = sql.SQL("ROLE {} IN {}").format(sql.Identifier(role), whose)
        command = sql.SQL("ALTER {} SET {} ").format(
            whose, sql.Identifier(*name.split("."))
        )
        if name in _LISTS:
            before = connection.execute("SELECT current_setting(%s)", (name,))
            (ours,) = before.fetchall()[0]
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
            connection.execute(command + sql.SQL("FROM CURRENT"))
            connection.execute("SELECT set_config(%s, %s, true)", (name, ours))
        else:
            connection.execute(command + sql.SQL("TO {}").format(sql.Literal(value)))


def _privileges(connection: psycopg.Connection[Any], old: str, new: str) -> None:
    from psycopg import sql

    database = sql.Identifier(new)
    granted = connection.execute(
        "SELECT datacl IS NOT NULL FROM pg_database WHERE datname = %s", (old,)
    ).fetchone()
    if granted is None or not granted[0]:
        return  # as every new database has them
    connection.execute(
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database)
    )
    rows = connection.execute(
        "SELECT r.rolname, a.privilege_type, a.is_grantable"
        " FROM pg_database AS d CROSS JOIN LATERAL aclexplode(d.datacl) AS a"
        " LEFT JOIN pg_roles AS r ON r.oid = a.grantee"
        " WHERE d.datname = %s AND a.grantee <> d.datdba",
        (old,),
    ).fetchall()
    for role, privilege, may_grant in rows:
        grantee = sql.SQL("PUBLIC") if role is None else sql.Identifier(role)
        command = sql.SQL("GRANT {} ON DATABASE {} TO {}").format(
            sql.SQL(privilege), database, grantee
        )
        if may_grant:
            command += sql.SQL(" WITH GRANT OPTION")
        connection.execute(command)


def _comment_and_limit(connection: psycopg.Connection[Any], old: str, new: str) -> None:
    from psycopg import sql

    comment, limit = connection.execute(
        "SELECT shobj_description(oid, 'pg_database'), datconnlimit"
        " FROM pg_database WHERE datname = %s",
        (old,),
    ).fetchall()[0]
    database = sql.Identifier(new)
    if comment is not None:
        command = sql.SQL("COMMENT ON DATABASE {} IS {}")
        connection.execute(command.format(database, sql.Literal(comment)))
    command = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
    connection.execute(command.format(database, sql.Literal(limit)))
