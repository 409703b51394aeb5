"""Models that mean the same on SQLite, libSQL and PostgreSQL.

Owns portable types, mixins, names, STRICT tables, touch triggers and the
portability check. It knows SQLAlchemy, and nothing of connections, sessions that
are opened, files or servers: importing it touches none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lockstep.schema import expressions
from lockstep.schema.base import Base, Portable, portable_metadata
from lockstep.schema.checks import type_check_name, type_check_sql
from lockstep.schema.defaults import StoredDefault
from lockstep.schema.keys import uuid7
from lockstep.schema.mixins import (
    SECRET,
    Audited,
    AuditTrail,
    SoftDelete,
    Timestamped,
    UuidKey,
    Versioned,
)
from lockstep.schema.names import (
    IDENTIFIER_BYTES_MAX,
    NAMING_CONVENTION,
    constraint_name,
)
from lockstep.schema.server_time import utc_now
from lockstep.schema.strict import is_strict, strict_type_name
from lockstep.schema.triggers import (
    create_touch_trigger_sql,
    drop_touch_trigger_sql,
    touch_trigger_name,
    touched_column,
)
from lockstep.schema.types import (
    Array,
    BigInteger,
    Blob,
    Boolean,
    Date,
    Decimal,
    Enum,
    Float,
    Json,
    Money,
    PortableType,
    Text,
    UtcDateTime,
    Uuid,
)
from lockstep.schema.types.enums import enum_check_name, enum_check_sql

if TYPE_CHECKING:
    from lockstep.schema.portability import Finding, check_portability

__all__ = [
    "IDENTIFIER_BYTES_MAX",
    "NAMING_CONVENTION",
    "SECRET",
    "Array",
    "AuditTrail",
    "Audited",
    "Base",
    "BigInteger",
    "Blob",
    "Boolean",
    "Date",
    "Decimal",
    "Enum",
    "Finding",
    "Float",
    "Json",
    "Money",
    "Portable",
    "PortableType",
    "SoftDelete",
    "StoredDefault",
    "Text",
    "Timestamped",
    "UtcDateTime",
    "Uuid",
    "UuidKey",
    "Versioned",
    "check_portability",
    "constraint_name",
    "create_touch_trigger_sql",
    "drop_touch_trigger_sql",
    "enum_check_name",
    "enum_check_sql",
    "is_strict",
    "portable_metadata",
    "strict_type_name",
    "touch_trigger_name",
    "touched_column",
    "type_check_name",
    "type_check_sql",
    "utc_now",
    "uuid7",
]

expressions.activate()


def __getattr__(name: str) -> Any:
    # Only who checks models pays for the checks; the start of a program does not.
    if name in ("Finding", "check_portability"):
        from lockstep.schema import portability

        return getattr(portability, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
