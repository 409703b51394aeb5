"""One schema, kept in lockstep: SQLite, libSQL, PostgreSQL and offline copies.

The names below are loaded at first use (PEP 562), so ``import lockstep`` costs
little more than nothing, and neither importing it nor constructing a ``Database``
touches a file or a socket.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lockstep.version import __version__ as __version__

if TYPE_CHECKING:
    from lockstep import errors
    from lockstep.engine import Database, classify
    from lockstep.migrations import Migrations
    from lockstep.repository import (
        AsyncRepository,
        CompiledRepository,
        Page,
        Repository,
    )
    from lockstep.schema import (
        NAMING_CONVENTION,
        SECRET,
        Array,
        Audited,
        AuditTrail,
        Base,
        BigInteger,
        Blob,
        Boolean,
        Date,
        Decimal,
        Enum,
        Finding,
        Float,
        Json,
        Money,
        Portable,
        SoftDelete,
        Text,
        Timestamped,
        UtcDateTime,
        Uuid,
        UuidKey,
        Versioned,
        check_portability,
        constraint_name,
        portable_metadata,
        utc_now,
        uuid7,
    )


_HOME = {
    "lockstep.engine": ("Database", "classify"),
    "lockstep.repository": (
        *("AsyncRepository", "AuditTrail", "CompiledRepository"),
        *("Page", "Repository"),
    ),
    "lockstep.migrations": ("Migrations",),
}
"""Where the names that are not ``lockstep.schema``'s come from.

``AuditTrail`` is a mixin of the schema; it comes from the repository's floor so
that whoever has an audit model also has what writes it.
"""

__all__ = [
    "NAMING_CONVENTION",
    "SECRET",
    "Array",
    "AsyncRepository",
    "AuditTrail",
    "Audited",
    "Base",
    "BigInteger",
    "Blob",
    "Boolean",
    "CompiledRepository",
    "Database",
    "Date",
    "Decimal",
    "Enum",
    "Finding",
    "Float",
    "Json",
    "Migrations",
    "Money",
    "Page",
    "Portable",
    "Repository",
    "SoftDelete",
    "Text",
    "Timestamped",
    "UtcDateTime",
    "Uuid",
    "UuidKey",
    "Versioned",
    "check_portability",
    "classify",
    "constraint_name",
    "errors",
    "portable_metadata",
    "utc_now",
    "uuid7",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "errors":
        return import_module("lockstep.errors")
    home = next((home for home, names in _HOME.items() if name in names), None)
    value = getattr(import_module(home or "lockstep.schema"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
