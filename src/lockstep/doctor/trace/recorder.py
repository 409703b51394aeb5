"""Record what the SQLite connections of this process do; runs in foreign programs.

Owns the hook and the rules by which a connection's statements become an event. It
imports the standard library only, because a copy of it runs in programs whose
environment has no lockstep.

    sqlite3.connect ──wrapped──► set_trace_callback ──► _Watched.statement(sql)
                                                          │ state of the transaction
                                                          ▼
                                                        events ──► one JSON line each

Invariants: the program behaves as without it; nothing that a statement carries as
a value is kept, only its shape; a program that is killed leaves what was seen.
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import json
import os
import re
import sqlite3
import threading
import time
from importlib import import_module
from typing import Any

FOLDER_VARIABLE = "LOCKSTEP_TRACE_FOLDER"
SHAPE_CHARACTERS_MAX = 200
EVENTS_MAX = 1_000
READS_REMEMBERED = 50
READ_BELONGS_S = 5.0
"""A row that was read longer ago and is written now was read for something else."""

_LITERAL = re.compile(
    r"'(?:[^']|'')*'|\b[xX]'[^']*'|(?<![\w.])-?\d+(?:\.\d+)?(?:[eE]-?\d+)?"
)
_SPACE = re.compile(r"\s+")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME = r"[\"`\[]?(\w+)[\"`\]]?"
_UPDATE = re.compile(
    rf"^UPDATE\s+(?:OR\s+\w+\s+)?(?:\w+\.)?{_NAME}\s+SET\s+(.*?)\s+WHERE\s+(.*)$",
    re.IGNORECASE | re.DOTALL,
)
_SELECT = re.compile(
    rf"\bFROM\s+(?:\w+\.)?{_NAME}(?:\s+(?:AS\s+)?\w+)??\s+WHERE\s+(.*)$",
    re.IGNORECASE | re.DOTALL,
)
_TAIL = re.compile(
    r"\s+(?:ORDER\s+BY|LIMIT|GROUP\s+BY|RETURNING)\b.*$", re.I | re.DOTALL
)
_PRAGMA = re.compile(r"^PRAGMA\s+(?:\w+\.)?(\w+)\s*(?:=\s*|\(\s*)['\"]?(\w+)", re.I)
_WRITES = {"INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER"}
_READS = {"SELECT", "VALUES"}
_ON = {"1", "on", "true", "yes"}
_LIBRARIES = (os.path.dirname(os.__file__) + os.sep, f"{os.sep}site-packages{os.sep}")

Event = dict[str, Any]


class Recorder:
    """Collects events, and writes each one as soon as it is new.

    Args:
        folder: Where one file per process is written; None keeps them in memory.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._events: dict[tuple[str, ...], Event] = {}
        self.is_active = True

    def add(self, kind: str, database: str, place: str, *shapes: str) -> None:
        """Count an event; the first one of its kind is written at once."""
        if not self.is_active:
            return
        key = (kind, database, place, *shapes)
        with self._lock:
            known = self._events.get(key)
            if known is not None:
                known["count"] += 1
                return
            if len(self._events) >= EVENTS_MAX:
                return
            event = self._events[key] = {
                "kind": kind,
                "database": database,
                "place": place,
                "shapes": list(shapes),
                "count": 1,
            }
            self._write([event], "a")

    def events(self) -> list[Event]:
        """Return what was recorded, in the order it was first seen."""
        with self._lock:
            return [dict(event) for event in self._events.values()]

    def flush(self) -> None:
        """Write all events with their final counts."""
        with self._lock:
            self._write(list(self._events.values()), "w")

    def _write(self, events: list[Event], mode: str) -> None:
        if self._folder is None or not events:
            return
        # By process: a forked child has its own file, and its parent's events.
        path = os.path.join(self._folder, f"{os.getpid()}.jsonl")
        try:
            with open(path, mode, encoding="utf-8") as file:
                file.writelines(json.dumps(event) + "\n" for event in events)
        except OSError:
            self._folder = None


class _Watched:
    """The state of one connection, as far as its statements tell it."""

    def __init__(self, recorder: Recorder, database: str) -> None:
        self._recorder = recorder
        self._database = database
        self._begun = ""  # "", "deferred" or "immediate"
        self._savepoint = ""
        self._read: str | None = None
        self._wrote = False
        self._told_settings = False
        self._reads: dict[str, tuple[str, float]] = {}
        self.foreign_keys = False
        self.busy_timeout_ms = 0

    def statement(self, sql: str) -> None:
        """Take one statement, as SQLite is about to run it."""
        text = _SPACE.sub(" ", _COMMENT.sub(" ", sql)).strip()
        word, _, rest = text.partition(" ")
        word = word.upper().rstrip(";")
        if word == "PRAGMA":
            self._pragma(text)
        elif word == "BEGIN":
            kind = rest.split(" ")[0].upper().rstrip(";")
            self._start(
                "immediate" if kind in ("IMMEDIATE", "EXCLUSIVE") else "deferred"
            )
        elif word == "SAVEPOINT":
            if not self._begun:
                self._start("deferred")
                self._savepoint = rest.strip(" ;\"'").lower()
        elif word in ("COMMIT", "END") or (
            word == "ROLLBACK" and " TO " not in f" {rest.upper()} "
        ):
            self._finish()
        elif word == "RELEASE":
            name = rest.strip(" ;\"'").lower().removeprefix("savepoint ")
            if self._savepoint and name == self._savepoint:
                self._finish()
        elif word in _WRITES or (word == "WITH" and _writes_below(text)):
            self._write(text)
        elif word in _READS or word == "WITH":
            self._look(text)

    def _start(self, kind: str) -> None:
        self._begun, self._savepoint, self._read, self._wrote = kind, "", None, False

    def _finish(self) -> None:
        self._start("")

    def _pragma(self, text: str) -> None:
        found = _PRAGMA.match(text)
        if found is None:
            return
        name, value = found[1].lower(), found[2].lower()
        if name == "foreign_keys" and not self._begun:
            self.foreign_keys = value in _ON
        elif name == "busy_timeout" and value.isdigit():
            self.busy_timeout_ms = int(value)

    def _look(self, text: str) -> None:
        if self._begun == "deferred" and not self._wrote and " FROM " in text.upper():
            self._read = self._read or text
        found = _SELECT.search(_TAIL.sub("", text))
        if found is None:
            return
        table = found[1].lower()
        self._reads.pop(table, None)
        # What is read under the write lock, or after a write, is safe.
        if self._begun != "immediate" and not self._wrote:
            self._reads[table] = (_conditions(found[2]), time.monotonic())
            if len(self._reads) > READS_REMEMBERED:
                del self._reads[next(iter(self._reads))]

    def _write(self, text: str) -> None:
        self._settings()
        if self._begun == "deferred" and self._read is not None and not self._wrote:
            self._tell("deferred-read-then-write", shape(self._read), shape(text))
        elif self._read is None and not self._wrote:
            self._lost_update(text)
        self._wrote = bool(self._begun)
        if not self._begun:
            self._reads.clear()

    def _lost_update(self, text: str) -> None:
        """Tell a row that was read outside of a transaction and is written back."""
        found = _UPDATE.match(text.rstrip(" ;"))
        if found is None:
            return
        table, assigned, where = found[1].lower(), found[2], _TAIL.sub("", found[3])
        conditions, read_at = self._reads.pop(table, ("", 0.0))
        if conditions != _conditions(where) or _is_relative(assigned):
            return
        if time.monotonic() - read_at < READ_BELONGS_S:
            self._tell("unprotected-read-modify-write", table, shape(text))

    def _settings(self) -> None:
        if self._told_settings:
            return
        self._told_settings = True
        if not self.foreign_keys:
            self._tell("foreign-keys-off")
        if self.busy_timeout_ms == 0:
            self._tell("no-busy-timeout")

    def _tell(self, kind: str, *shapes: str) -> None:
        self._recorder.add(kind, self._database, _place(), *shapes)


def shape(text: str) -> str:
    """Return a statement without the values in it."""
    return _LITERAL.sub("?", text)[:SHAPE_CHARACTERS_MAX]


def _conditions(where: str) -> str:
    """Return the conditions of a WHERE in an order and spelling of its own."""
    unquoted = re.sub(r"[\"`\[\]()]", "", where.strip(" ;"))
    plain = re.sub(r"\b[A-Za-z_]\w*\.(?=\w)", "", unquoted)
    parts = re.split(r"\s+AND\s+", plain, flags=re.IGNORECASE)
    return " AND ".join(sorted(_SPACE.sub("", part).lower() for part in parts))


def _is_relative(assigned: str) -> bool:
    """Return whether a SET computes from the row as it is: ``n = n - 1``."""
    for part in assigned.split(","):
        name, _, value = part.partition("=")
        name = name.strip(' "`[]').lower()
        if name and re.search(
            rf"\b{re.escape(name)}\b", _LITERAL.sub("", value).lower()
        ):
            return True
    return False


def _writes_below(text: str) -> bool:
    return re.search(r"\)\s*(INSERT|UPDATE|DELETE|REPLACE)\b", text, re.I) is not None


def _place() -> str:
    """Return the line of the program, not of a library, that runs now.

    Empty where a library runs the statement in a thread of its own (aiosqlite).
    """
    frame = inspect.currentframe()
    while frame is not None:
        name = frame.f_code.co_filename
        ours = name == __file__ or any(part in name for part in _LIBRARIES)
        if not ours and not name.startswith("<"):
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def watch(connection: sqlite3.Connection, recorder: Recorder) -> None:
    """Record what ``connection`` does from now on; memory databases are left out."""
    row = connection.execute("PRAGMA database_list").fetchone()
    database: str = row[2] if row else ""
    if not database:
        return
    watched = _Watched(recorder, database)
    watched.foreign_keys = bool(connection.execute("PRAGMA foreign_keys").fetchone()[0])
    timeout = connection.execute("PRAGMA busy_timeout").fetchone()
    watched.busy_timeout_ms = int(timeout[0])

    recorder.add("connection", database, "")

    def callback(sql: str) -> None:
        try:
            watched.statement(sql)
        except Exception as error:  # the program goes on, whatever we make of it
            recorder.add("recorder-failed", database, type(error).__name__)

    connection.set_trace_callback(callback)


def install(recorder: Recorder) -> Any:
    """Wrap ``sqlite3.connect`` in this process; return what takes it back."""
    original = sqlite3.connect

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = original(*args, **kwargs)
        if recorder.is_active:
            # Locked, or no database: the program will see for itself.
            with contextlib.suppress(sqlite3.Error):
                watch(connection, recorder)
        return connection

    connect.__doc__ = original.__doc__
    # Drivers above take it from either of the two.
    modules: list[Any] = [sqlite3, import_module("sqlite3.dbapi2")]
    for module in modules:
        module.connect = connect

    def take_back() -> None:
        for module in modules:
            if module.connect is connect:
                module.connect = original

    return take_back


def start_in_this_program() -> None:
    """Record into the folder that the environment names; called at its start."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and os.path.isdir(folder):
        recorder = Recorder(folder)
        install(recorder)
        atexit.register(recorder.flush)
