"""The tables of FixIt, one module per domain.

people       roles, users, login_sessions, login_attempts
places       locations, equipment
work         work_orders and their logs, steps, parts, minutes
maintenance  schedules, checklists
stock        spare_parts, inventory_levels, inventory_transactions
records      attachments, notifications, events, counters, audit_log
"""

from fixit.models.base import Base
from fixit.models.maintenance import Checklist, Schedule, Step
from fixit.models.people import LoginAttempt, LoginSession, Role, User
from fixit.models.places import Criticality, Equipment, EquipmentStatus, Location
from fixit.models.records import Attachment, AuditEntry, Counter, Event, Notification
from fixit.models.stock import InventoryLevel, InventoryTransaction, Movement, SparePart
from fixit.models.work import (
    TIME_TO_REPAIR,
    ChecklistCompletion,
    LaborLog,
    Priority,
    WorkKind,
    WorkOrder,
    WorkOrderLog,
    WorkOrderPart,
    WorkStatus,
)

__all__ = [
    "TIME_TO_REPAIR",
    "Attachment",
    "AuditEntry",
    "Base",
    "Checklist",
    "ChecklistCompletion",
    "Counter",
    "Criticality",
    "Equipment",
    "EquipmentStatus",
    "Event",
    "InventoryLevel",
    "InventoryTransaction",
    "LaborLog",
    "Location",
    "LoginAttempt",
    "LoginSession",
    "Movement",
    "Notification",
    "Priority",
    "Role",
    "Schedule",
    "SparePart",
    "Step",
    "User",
    "WorkKind",
    "WorkOrder",
    "WorkOrderLog",
    "WorkOrderPart",
    "WorkStatus",
]
