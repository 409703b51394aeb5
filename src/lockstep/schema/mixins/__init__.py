"""Mixins: what most tables need, written once.

UuidKey      id            UUIDv7, made by the application
Versioned    version       optimistic lock
Timestamped  created_at, updated_at
Audited      created_by, updated_by
SoftDelete   deleted_at
AuditTrail   makes a model the audit table
"""

from lockstep.schema.mixins.audit import SECRET, Audited, AuditTrail
from lockstep.schema.mixins.keys import UuidKey
from lockstep.schema.mixins.lifetime import SoftDelete, Timestamped
from lockstep.schema.mixins.versions import Versioned

__all__ = [
    "SECRET",
    "AuditTrail",
    "Audited",
    "SoftDelete",
    "Timestamped",
    "UuidKey",
    "Versioned",
]
