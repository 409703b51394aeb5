"""Names that the target takes: short enough, free, and never confused.

Owns what becomes of a name that PostgreSQL would cut, refuse, or already has:
tables, indexes and sequences share one set of names there. SQLite takes names for
one that differ in the case of A to Z, and keeps those that begin with ``sqlite_``.

Invariant: the same source gives the same names, every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from lockstep.migrations.sqlite.tokens import fold
from lockstep.mover.own_tables import OUR_PREFIX
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
aios dsm_registry_allocations shmem_allocations_numa wait_events
stat_activity stat_all_indexes stat_all_tables stat_archiver stat_bgwriter
stat_checkpointer stat_database stat_database_conflicts stat_gssapi stat_io
stat_progress_analyze stat_progress_basebackup stat_progress_cluster stat_progress_copy
stat_progress_create_index stat_progress_vacuum stat_recovery_prefetch stat_replication
stat_replication_slots stat_slru stat_ssl stat_subscription stat_subscription_stats
stat_sys_indexes stat_sys_tables stat_user_functions stat_user_indexes stat_user_tables
stat_wal stat_wal_receiver stat_xact_all_tables stat_xact_sys_tables
stat_xact_user_functions stat_xact_user_tables statio_all_indexes statio_all_sequences
statio_all_tables statio_sys_indexes statio_sys_sequences statio_sys_tables
statio_user_indexes statio_user_sequences statio_user_tables
"""
CATALOG = frozenset(f"pg_{word}" for word in _CATALOG.split())
"""PostgreSQL finds its own tables first, whatever the search path says."""


def clean(name: str) -> str:
    """Return a name that PostgreSQL can have, at most 63 bytes."""
    return shorten(name.replace("\0", "") or UNNAMED)


def _itself(name: str) -> str:
    return name


class Names:
    """The names already given in one namespace.

    Args:
        taken: What nobody gets.
        key: What is the same text for names that the target takes for one.
    """

    def __init__(
        self,
        taken: frozenset[str] = frozenset(),
        key: Callable[[str], str] = _itself,
    ) -> None:
        self._taken = set(taken)
        self._key = key

    def reserve(self, name: str) -> None:
        """Let nobody else have a name that the target gives by itself."""
        self._taken.add(self._key(clean(name)))

    def give(self, wanted: str) -> str:
        """Return ``wanted``, or a name made from it that nobody has."""
        name = clean(wanted)
        if self._key(name) in self._taken:
            digest = hashlib.sha256(wanted.encode("utf-8", "replace")).hexdigest()[:8]
            stem = name.encode()[: IDENTIFIER_BYTES_MAX - 12].decode("utf-8", "ignore")
            name = f"{stem}_{digest}"
            count = 2
            while self._key(name) in self._taken:
                name = f"{stem}_{count}"
                count += 1
        self._taken.add(self._key(name))
        return name


class SqliteNames(Names):
    """The names of tables and indexes of a SQLite file, where ``T`` is ``t``."""

    def __init__(self) -> None:
        super().__init__(key=fold)

    def give(self, wanted: str) -> str:
        """Return a name that nobody has, neither SQLite nor the mover's journal."""
        if fold(wanted).startswith(("sqlite_", OUR_PREFIX)):
            wanted = f"_{wanted}"
        return super().give(wanted)


def column_names(wanted: list[str]) -> list[str]:
    """Return the names that PostgreSQL has for a table's columns, in order."""
    names = Names(SYSTEM_COLUMNS)
    return [names.give(name) for name in wanted]


def sqlite_column_names(wanted: list[str]) -> list[str]:
    """Return the names that SQLite has for a table's columns, in order."""
    names = Names(key=fold)
    return [names.give(name) for name in wanted]
