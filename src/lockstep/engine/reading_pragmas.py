"""Which pragmas only read: the one list that guards every SQLite read session.

Owns two sets of names, asked by the authorizer of a local file and by the guard of
a connection to a server. Everything that is in neither is judged by whether it has
an argument.
"""

READING_WITH_ARGUMENT = frozenset(
    {
        *("table_info", "table_xinfo", "table_list", "index_list", "index_info"),
        *("index_xinfo", "foreign_key_list", "foreign_key_check", "integrity_check"),
        *("quick_check", "function_list", "collation_list", "pragma_list"),
    }
)
"""Pragmas that take an argument and still only read."""

ACTING_WITHOUT_ARGUMENT = frozenset(
    {"wal_checkpoint", "incremental_vacuum", "optimize", "shrink_memory"}
)
"""Pragmas that do something although they take no argument."""


def only_reads(name: str, *, has_argument: bool) -> bool:
    """Say whether ``PRAGMA name`` changes nothing, in the file or the connection."""
    name = name.lower()
    if name in READING_WITH_ARGUMENT:
        return True
    return not has_argument and name not in ACTING_WITHOUT_ARGUMENT
