"""Idempotency keys: a write that is asked for twice is done once.

Owns the table ``lockstep_write``: one row per key, written in the transaction of the
write itself, so key and write are there together or not at all. A key that is found
gives the answer of the first time and the function does not run.

The table is made at the first keyed write; keys are kept for
``LOCKSTEP_WRITE__KEY_RETENTION_S`` and removed as new ones come.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, cast

from lockstep.engine.unit import Unit
from lockstep.errors import InvalidValue

WRITE_KEYS_TABLE = "lockstep_write"
KEY_LENGTH_MAX = 200
PRUNE_EVERY = 1_000
"""Keyed writes between two looks for keys that are too old."""

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {WRITE_KEYS_TABLE} (
    key VARCHAR({KEY_LENGTH_MAX}) NOT NULL PRIMARY KEY,
    result TEXT,
    at BIGINT NOT NULL
)"""
_CREATE_STRICT = f"""
CREATE TABLE IF NOT EXISTS {WRITE_KEYS_TABLE} (
    key TEXT NOT NULL PRIMARY KEY,
    result TEXT,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID"""
_CREATE_INDEX = (
    f"CREATE INDEX IF NOT EXISTS ix_{WRITE_KEYS_TABLE}_at ON {WRITE_KEYS_TABLE} (at)"
)
# The name is a constant of this module, never text from outside.
_TAKE = (
    f"INSERT INTO {WRITE_KEYS_TABLE} (key, at) VALUES (:key, :at) "  # noqa: S608
    "ON CONFLICT (key) DO NOTHING"
)
_KEEP = f"UPDATE {WRITE_KEYS_TABLE} SET result = :result WHERE key = :key"  # noqa: S608
_FIND = f"SELECT result FROM {WRITE_KEYS_TABLE} WHERE key = :key"  # noqa: S608
_NAME = {"name": WRITE_KEYS_TABLE}
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""What PostgreSQL stores in no text."""
_PRUNE = f"DELETE FROM {WRITE_KEYS_TABLE} WHERE at < :before"  # noqa: S608


class WriteKeys:
    """The keys of one database; used by one thread at a time.

    Args:
        retention_s: How long a key is kept.
    """

    def __init__(self, retention_s: float) -> None:
        self._retention_s = retention_s
        self._is_there = False
        self._until_prune = 0
        # When the first key was used, by the wall clock and by one that never steps.
        self._began_s: tuple[float, float] | None = None

    def once(self, unit: Unit, key: str, function: Callable[[Unit], Any]) -> Any:
        """Run ``function``, or return what it returned when the key was first used.

        The first caller gets what the later ones will, read back from the JSON that
        is kept: a tuple is a list to all of them.

        Raises:
            InvalidValue: The key is none that every engine stores, or the function
                returned what JSON cannot hold.
        """
        _refuse_key(key)
        if not self._is_there:
            # A rollback takes the table back too, so it is believed in only after a
            # commit; until then this asks again.
            make_keys_table(unit)
        now = int(unit.clock.now().timestamp())
        if self._began_s is None:
            self._began_s = now, unit.clock.monotonic_s()
        if not self._take(unit, key, now):
            row = unit.execute(_FIND, {"key": key}).fetchone()
            return None if row is None or row[0] is None else json.loads(row[0])
        value = function(unit)
        if value is not None:
            result = _as_json(value)
            unit.execute(_KEEP, {"key": key, "result": result})
            value = json.loads(result)
        self._prune(unit, now)
        return value

    def _take(self, unit: Unit, key: str, now: int) -> bool:
        """Write the key; False when somebody has."""
        try:
            return unit.execute(_TAKE, {"key": key, "at": now}).rowcount != 0
        except BaseException:
            # Perhaps the table is gone (an older backup was restored): the next
            # one makes it again.
            self._is_there = False
            raise

    def believe(self) -> None:
        """Take it that the table is there: a keyed write was committed."""
        self._is_there = True

    def _prune(self, unit: Unit, now: int) -> None:
        self._until_prune -= 1
        if self._until_prune < 0:
            self._until_prune = PRUNE_EVERY
            # A wall clock that was set forward meanwhile makes no key older.
            began_s, began_monotonic_s = self._began_s or (now, 0.0)
            passed_s = unit.clock.monotonic_s() - began_monotonic_s
            now = min(now, int(began_s + passed_s) + 1)
            unit.execute(_PRUNE, {"before": now - int(self._retention_s)})


def make_keys_table(unit: Unit) -> None:
    """Make the table of the keys, where it is not there."""
    if unit.connection.dialect.name == "sqlite":
        unit.execute(_CREATE_STRICT)
    else:
        # Two processes that create it at once would collide in the catalogue.
        unit.execute("SELECT pg_advisory_xact_lock(hashtext(:name))", _NAME)
        unit.execute(_CREATE)
    unit.execute(_CREATE_INDEX)


def _refuse_key(key: str) -> None:
    given = cast("object", key)
    if not isinstance(given, str) or not 0 < len(key) <= KEY_LENGTH_MAX:
        raise InvalidValue(
            f"an idempotency key is a text of 1 to {KEY_LENGTH_MAX} characters",
            hint="hash a longer key: hashlib.sha256(text).hexdigest()",
        )
    if _UNSTORABLE.search(key):
        raise InvalidValue(
            "an idempotency key holds no NUL character and no lone surrogate",
            hint="take it as it came in the request, or hash its bytes",
        )


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidValue(
            "a write with an idempotency key returns what JSON can hold, "
            f"not {type(value).__name__}",
            hint="return the id as text",
        ) from error
