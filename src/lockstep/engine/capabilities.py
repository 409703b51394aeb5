"""What an engine can do, as facts that answer or explain.

Owns the list of capabilities; the dialects' modules fill in the facts of their
version. Code above asks here and never compares dialect names or versions.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from lockstep.errors import UnsupportedCapability


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The facts about one database. Booleans read as "it can".

    Attributes:
        engine_name: ``sqlite``, ``libsql`` or ``postgresql``.
        dialect_name: Of its SQL: ``sqlite`` (also of libSQL) or ``postgresql``.
        version: Of the library or the server, as numbers.
        bind_parameters_max: Parameters one statement may carry.
        identifier_bytes_max: Longer names are cut by the server.
        concurrent_writers: Several write transactions at a time.
        native_uuid: The type is stored as such, not as text; so the next two.
        native_json: See above.
        native_array: See above.
        row_locks: ``SELECT … FOR UPDATE`` locks rows.
        alter_constraints: Constraints change without rebuilding the table.
        nulls_not_distinct: ``UNIQUE NULLS NOT DISTINCT``.
        session_state: Settings, advisory locks and prepared statements outlive a
            transaction; a transaction pooler takes this away.
        logical_replication: Committed changes can be streamed.
    """

    engine_name: str
    dialect_name: str
    version: tuple[int, ...]
    bind_parameters_max: int
    identifier_bytes_max: int
    concurrent_writers: bool
    native_uuid: bool
    native_json: bool
    native_array: bool
    row_locks: bool
    alter_constraints: bool
    nulls_not_distinct: bool
    session_state: bool
    logical_replication: bool

    def require(self, name: str) -> None:
        """Raise unless the engine has the capability ``name``.

        Raises:
            UnsupportedCapability: It has not; the message says which engine.
            ValueError: There is no capability of this name.
        """
        known = {
            f.name for f in fields(self) if isinstance(getattr(self, f.name), bool)
        }
        if name not in known:
            raise ValueError(
                f"no capability is called '{name}'; known: {sorted(known)}"
            )
        if getattr(self, name):
            return
        version = ".".join(map(str, self.version))
        raise UnsupportedCapability(
            f"{self.engine_name} {version} lacks the capability '{name}'"
            + ("" if self.session_state else " behind this pooler"),
            detail={"capability": name, "dialect": self.dialect_name},
        )
