"""Every error Lockstep raises, in one tree.

Owns the names, the codes (``LS-####``) and the two facts a caller acts on: a
``hint`` a person can follow and whether trying the same thing again may help
(``retryable``). It knows no driver: ``lockstep.engine`` classifies a driver's
errors into this tree, by SQLSTATE or SQLite result code, never by message text.

    LockstepError
    ├── ConfigError, MissingExtraError
    ├── EngineError   ConnectionLost*, Busy*, NetworkFilesystem, BackupDamaged, …
    ├── SchemaError   NotPortable, MigrationError …
    ├── DataError     NotFound, Duplicate, StaleVersion, InvalidValue …
    └── MoveError     Unmappable, TargetInUse, SourceChanged …
                                                              (* = retryable)

Invariants: every class has a code of its own, ``docs/reference/errors.md`` lists
exactly these classes, and every error survives ``pickle`` (it may cross a process).
"""

from __future__ import annotations

from typing import Any, ClassVar


class LockstepError(Exception):
    """The base of every error raised by this library.

    Args:
        message: What went wrong, one sentence, no secret in it.
        hint: What the reader can do next; empty when there is nothing to say.
        detail: JSON-safe facts for a program (names, limits, counts).

    ``str(error)`` is ``[code] message (hint)``.
    """

    code: ClassVar[str] = "LS-1000"
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.detail: dict[str, Any] = {} if detail is None else detail

    def __str__(self) -> str:
        tail = f" ({self.hint})" if self.hint else ""
        return f"[{self.code}] {self.message}{tail}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses have keyword-only arguments of their own, so an instance is
        # rebuilt from its state and never through its constructor.
        return (_rebuild, (type(self), self.args, dict(self.__dict__)))

    def to_json(self) -> dict[str, Any]:
        """Return the error as the object that ``--json`` output carries."""
        return {
            "code": self.code,
            "error": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
            "detail": self.detail,
        }


def _rebuild(
    kind: type[LockstepError], args: tuple[Any, ...], state: dict[str, Any]
) -> LockstepError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(LockstepError):
    """A setting is missing, contradicts another one, or cannot be read."""

    code = "LS-1100"


class MissingExtraError(LockstepError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    code = "LS-1101"

    def __init__(self, feature: str, *, extra: str) -> None:
        super().__init__(
            f"{feature} needs the optional dependencies '{extra}'",
            hint=f"pip install 'lockstep-db[{extra}]'",
            detail={"extra": extra},
        )


class EngineError(LockstepError):
    """The database could not do what was asked, whatever the data."""

    code = "LS-2000"


class ConnectionLost(EngineError):
    """The server cannot be reached, or it ended the connection."""

    code = "LS-2001"
    retryable = True
    default_hint = "check that the server runs and that the URL names it"


class Busy(EngineError):
    """Another transaction holds what this one waited for."""

    code = "LS-2002"
    retryable = True
    default_hint = "try the whole transaction again"


class Timeout(EngineError):
    """A statement or a wait for a pooled connection took longer than allowed."""

    code = "LS-2003"
    retryable = True


class NetworkFilesystem(EngineError):
    """A SQLite file lies on a file system that several hosts may share."""

    code = "LS-2004"
    default_hint = (
        "move the file to a local disk, or use PostgreSQL; "
        "LOCKSTEP_SQLITE__ALLOW_NETWORK_FILESYSTEM=1 overrides"
    )


class SecondSqliteLibrary(EngineError):
    """Another SQLite library of this process has the same file open."""

    code = "LS-2005"
    default_hint = (
        "open the file with one library per process; two of them cancel each "
        "other's locks and lose committed rows"
    )


class UnsupportedCapability(EngineError):
    """This engine, or its version, cannot do what was asked."""

    code = "LS-2006"


class PoolerIncompatible(EngineError):
    """A feature needs a session of its own, and a transaction pooler gives none."""

    code = "LS-2007"
    default_hint = "use the server's direct address for this task"


class AccessDenied(EngineError):
    """The credentials or their privileges do not allow this."""

    code = "LS-2008"


class StorageFailed(EngineError):
    """The disk is full, read-only or broken, or the file is no database."""

    code = "LS-2009"


class ReadOnlySession(EngineError):
    """A read session was asked to write."""

    code = "LS-2010"
    default_hint = "open a write session: db.write_session()"


class InvalidStatement(EngineError):
    """The database does not understand the statement, or an object is missing."""

    code = "LS-2011"


class OutcomeUnknown(EngineError):
    """The connection was lost while a commit was under way."""

    code = "LS-2012"
    default_hint = "look whether it was written, or use an idempotency key"


class OpenAtFork(EngineError):
    """A SQLite file was in use when this process was forked from its parent."""

    code = "LS-2013"
    default_hint = (
        "fork while no other thread uses the file and no session of this one writes, "
        "or start processes with multiprocessing's 'spawn'"
    )


class BackupFailed(EngineError):
    """A backup could not be made or restored; what was there before is untouched."""

    code = "LS-2101"


class BackupDamaged(EngineError):
    """A backup, or what was restored from it, is not what its manifest says."""

    code = "LS-2102"
    default_hint = "use another backup; lockstep db verify-backup says what differs"


class ProgramMissing(EngineError):
    """A program of PostgreSQL is not installed, or older than the server."""

    code = "LS-2103"


class SchemaError(LockstepError):
    """The models, the history and the database do not agree."""

    code = "LS-3000"


class NotPortable(SchemaError):
    """A construct would mean something else on another engine."""

    code = "LS-3001"


class MigrationError(SchemaError):
    """A revision could not be written, found or applied."""

    code = "LS-3100"


class PartialMigration(MigrationError):
    """A revision failed on an engine that cannot take all of it back."""

    code = "LS-3101"


class ForeignKeyViolationAfterRebuild(MigrationError):
    """A rebuilt table would leave rows that point at nothing; nothing was kept."""

    code = "LS-3102"


class RowsLostInRebuild(MigrationError):
    """A rebuilt table, or a table that points at it, lost rows; nothing was kept."""

    code = "LS-3103"


class MultipleHeads(MigrationError):
    """The history has more than one head."""

    code = "LS-3104"
    default_hint = "join them: lockstep migrate merge"


class MigrationLocked(MigrationError):
    """Another process migrates this database now."""

    code = "LS-3105"
    retryable = True
    default_hint = "wait until it has finished"


class DataError(LockstepError):
    """A row, a key or a value is not what the operation needs."""

    code = "LS-4000"


class NotFound(DataError):
    """No row has this key."""

    code = "LS-4001"


class Duplicate(DataError):
    """A row with the same unique values is already there."""

    code = "LS-4002"


class ForeignKeyMissing(DataError):
    """A row points at one that is not there, or is still pointed at."""

    code = "LS-4003"


class CheckFailed(DataError):
    """A CHECK or NOT NULL constraint refused the row."""

    code = "LS-4004"


class StaleVersion(DataError):
    """Somebody changed the row after it was read; nothing was written.

    Attributes:
        expected: The version the caller had read; None when only the ORM knows.
        actual: The version in the database now; None when the row is gone.
    """

    code = "LS-4005"
    default_hint = "read the row again and decide what to keep"

    def __init__(
        self,
        message: str,
        *,
        expected: int | None,
        actual: int | None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            message, detail={**(detail or {}), "expected": expected, "actual": actual}
        )
        self.expected = expected
        self.actual = actual


class InvalidValue(DataError, ValueError):
    """A value cannot be stored exactly on every engine."""

    code = "LS-4006"


class NotEnough(DataError):
    """A guarded subtraction would go below its floor; nothing was taken.

    Attributes:
        wanted: The amount asked for.
        available: What could be taken when the database refused.
    """

    code = "LS-4007"

    def __init__(self, message: str, *, wanted: Any, available: Any) -> None:
        super().__init__(
            message, detail={"wanted": str(wanted), "available": str(available)}
        )
        self.wanted = wanted
        self.available = available


class InvalidCursor(DataError, ValueError):
    """A page cursor is damaged, or belongs to another query."""

    code = "LS-4008"
    default_hint = "begin again at the first page"


class NotLoaded(DataError):
    """A relationship was read that the query did not load."""

    code = "LS-4009"
    default_hint = "name it in load=(Model.relationship,)"


class UnknownAttribute(DataError):
    """A name is no attribute of the model."""

    code = "LS-4010"


class LimitExceeded(DataError):
    """More rows matched than one list may hold; none was returned."""

    code = "LS-4011"
    default_hint = "give limit=, read pages, or use stream()"


class AppendOnly(DataError):
    """A row of the audit trail would be changed or removed; nothing was written."""

    code = "LS-4012"


class MoveError(LockstepError):
    """A database could not be moved as planned; the target says it is incomplete."""

    code = "LS-6000"


class Unmappable(MoveError):
    """A stored value does not fit the type that the plan gives its column.

    ``detail`` has ``table``, ``column``, ``key`` and the ``value``, shortened.
    """

    code = "LS-6001"
    default_hint = "give the column another type in the plan, or on_dirt = 'quarantine'"


class TargetInUse(MoveError):
    """The target holds something that is not this move's; nothing was changed."""

    code = "LS-6003"
    default_hint = "name an empty database"


class SourceChanged(MoveError):
    """The source was written to while it was read."""

    code = "LS-6004"
    retryable = True
    default_hint = "stop the program that writes to it, and move again"


class SourceUnfinished(MoveError):
    """The source is the target of a move that has not ended, so rows may be missing."""

    code = "LS-6006"
    default_hint = (
        "give the command that fills it again; if it is whole all the same, drop the "
        "schema lockstep_move (in a file the tables lockstep_move_…)"
    )


class UnreadableJournal(MoveError):
    """The journal that a move left in its target is another version's."""

    code = "LS-6007"
    default_hint = (
        "go on with the version that began it, or begin anew with an empty target; a "
        "database that is whole needs no journal: drop the schema lockstep_move (in a "
        "file the tables lockstep_move_…)"
    )


class InvalidPlan(ConfigError):
    """The mapping file says something that is not in the source, or unreadable."""

    code = "LS-6005"


class Unexaminable(LockstepError):
    """It cannot be looked at: not there, no database, damaged, or held."""

    code = "LS-7001"


def all_errors() -> list[type[LockstepError]]:
    """Return every error class of this module, ordered by code."""

    def below(kind: type[LockstepError]) -> list[type[LockstepError]]:
        found = [kind]
        for child in kind.__subclasses__():
            if child.__module__ == __name__:
                found.extend(below(child))
        return found

    return sorted(set(below(LockstepError)), key=lambda kind: kind.code)
