"""Names that the target takes: short enough, free, and never confused.

Owns what becomes of a name that PostgreSQL would cut, refuse, or already has:
tables, indexes and sequences share one set of names there.

Invariant: the same source gives the same names, every time.
"""

from __future__ import annotations

import hashlib

from lockstep.schema.names import IDENTIFIER_BYTES_MAX, shorten

SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
UNNAMED = "unnamed"
_CATALOG = """
aggregate am amop amproc attrdef attribute auth_members authid
available_extension_versions available_extensions backend_memory_contexts cast class
collation config constraint conversion cursors database db_role_setting default_acl
depend description enum event_trigger extension file_settings foreign_data_wrapper
foreign_server foreign_table group hba_file_rules ident_file_mappings index indexes
inherits init_privs language largeobject largeobject_metadata locks matviews namespace
opclass operator opfamily parameter_acl partitioned_table policies policy
prepared_statements prepared_xacts proc publication publication_namespace
publication_rel publication_tables range replication_origin replication_origin_status
replication_slots rewrite roles rules seclabel seclabels sequence sequences settings
shadow shdepend shdescription shmem_allocations shseclabel statistic statistic_ext
statistic_ext_data stats stats_ext stats_ext_exprs subscription subscription_rel
tables tablespace timezone_abbrevs timezone_names transform trigger ts_config
ts_config_map ts_dict ts_parser ts_template type user user_mapping user_mappings views
"""
CATALOG = frozenset(f"pg_{word}" for word in _CATALOG.split())
"""PostgreSQL finds its own tables first, whatever the search path says."""


def clean(name: str) -> str:
    """Return a name that PostgreSQL can have, at most 63 bytes."""
    return shorten(name.replace("\0", "") or UNNAMED)


class Names:
    """The names already given in one namespace."""

    def __init__(self, taken: frozenset[str] = frozenset()) -> None:
        self._taken = set(taken)

    def reserve(self, name: str) -> None:
        """Let nobody else have a name that the target gives by itself."""
        self._taken.add(clean(name))

    def give(self, wanted: str) -> str:
        """Return ``wanted``, or a name made from it that nobody has."""
        name = clean(wanted)
        if name in self._taken:
            digest = hashlib.sha256(wanted.encode("utf-8", "replace")).hexdigest()[:8]
            stem = name.encode()[: IDENTIFIER_BYTES_MAX - 12].decode("utf-8", "ignore")
            name = f"{stem}_{digest}"
            count = 2
            while name in self._taken:
                name = f"{stem}_{count}"
                count += 1
        self._taken.add(name)
        return name


def column_names(wanted: list[str]) -> list[str]:
    """Return the target's names of a table's columns, in order."""
    names = Names(SYSTEM_COLUMNS)
    return [names.give(name) for name in wanted]
