"""Backups: made while writers work, checked by restoring, put back without risk.

Owns the three verbs, the same on every engine, and what each promises:

    back_up         the copy and its manifest are one instant, and were compared
    verify_backup   restores into scratch and compares every table
    restore_backup  checks first, keeps what was there, changes it at once or not

``sqlite.py`` and ``postgresql.py`` do the engine's part, ``files.py`` lets files appear
whole, ``manifest.py`` says what a backup holds, ``content.py`` what "equal" means.
"""

from lockstep.engine.backup.content import (
    OnProgress,
    Step,
    TableContent,
    TableDifference,
    ignore_progress,
)
from lockstep.engine.backup.making import BackedUp, back_up
from lockstep.engine.backup.manifest import Manifest, manifest_path, read_manifest
from lockstep.engine.backup.restoring import (
    Restored,
    RestorePlan,
    plan_restore,
    restore_backup,
)
from lockstep.engine.backup.verifying import Verified, verify_backup

__all__ = [
    "BackedUp",
    "Manifest",
    "OnProgress",
    "RestorePlan",
    "Restored",
    "Step",
    "TableContent",
    "TableDifference",
    "Verified",
    "back_up",
    "ignore_progress",
    "manifest_path",
    "plan_restore",
    "read_manifest",
    "restore_backup",
    "verify_backup",
]
