"""What a check of a trace may ask.

Owns the recorded events, and whether a database that was used declares foreign
keys (asked once per file, read-only).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lockstep.doctor.sqlite.catalog import read_catalog
from lockstep.doctor.sqlite.opening import opened
from lockstep.doctor.trace.recorder import Event
from lockstep.errors import Unexaminable


class TraceContext:
    """The trace of one run of a program."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._declares: dict[str, bool] = {}

    def events(self, kind: str) -> list[Event]:
        """Return the events of one kind, the most frequent first."""
        found = [event for event in self._events if event["kind"] == kind]
        return sorted(found, key=lambda event: -event["count"])

    def declares_foreign_keys(self, database: str) -> bool:
        """Return whether a file that was used has foreign keys."""
        if database not in self._declares:
            try:
                with opened(Path(database)) as database_:
                    tables = read_catalog(database_).tables
                    self._declares[database] = any(t.foreign_keys for t in tables)
            except Unexaminable:
                self._declares[database] = False  # it was temporary
        return self._declares[database]
