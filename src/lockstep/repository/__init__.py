"""Typed data access, the same on every engine, sync and async.

Owns ``Repository`` and ``AsyncRepository``, keyset pages, optimistic locking, soft
delete, bulk writes, atomic arithmetic and the audit trail. It works in a session
that somebody else opened and closes; it opens no connection, and knows engines
only through their dialect's name and their limits.

Importing it makes our sessions record what ordinary ORM work changes, for models
that an audit model covers (see ``audit``). ``AuditTrail`` is exported here too, so
that importing it from ``lockstep`` is enough.
"""

from lockstep.repository import audit as audit
from lockstep.repository.aio import AsyncRepository
from lockstep.repository.compiled import CompiledRepository
from lockstep.repository.pages import PAGE_SIZE_MAX, Page
from lockstep.repository.reads import LIST_ROWS_MAX
from lockstep.repository.repository import Repository
from lockstep.schema import AuditTrail

__all__ = [
    "LIST_ROWS_MAX",
    "PAGE_SIZE_MAX",
    "AsyncRepository",
    "AuditTrail",
    "CompiledRepository",
    "Page",
    "Repository",
]
