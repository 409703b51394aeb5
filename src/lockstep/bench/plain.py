"""People who work on a SQLite file with nothing but the standard library.

Owns what the same workshop's day is without Lockstep: SQL text, a connection per
request, SQLite's default patience. The file's journal is the scenario's choice; a
request that fails (``database is locked``) is a refusal.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from lockstep.bench.contestants import SQLITE, new_database
from lockstep.bench.loads import threads_at_once
from lockstep.bench.scenario import Contestant, Place, Round, Scale
from lockstep.bench.workshop import STATUSES, Keys, Size, fill

PlainAction = Callable[[sqlite3.Connection, Keys, int], None]

DASHBOARD = (
    "SELECT status, count(*) FROM ticket GROUP BY status",
    "SELECT m.hall, count(*) FROM machine m JOIN ticket t ON t.machine_id = m.id"
    " GROUP BY m.hall",
    "SELECT sum(minutes) FROM labor",
    "SELECT title, opened_at FROM ticket WHERE status <> 'closed'"
    " ORDER BY opened_at, id LIMIT 10",
)
REPORT = (
    "SELECT t.id, m.code, t.title, t.status, t.opened_at, l.minutes FROM ticket t"
    " JOIN machine m ON m.id = t.machine_id JOIN labor l ON l.ticket_id = t.id"
    " ORDER BY t.opened_at, t.id, l.at"
)


def move_on(connection: sqlite3.Connection, keys: Keys, number: int) -> None:
    """Read a ticket and move it on, in the deferred transaction that is the default."""
    key = str(keys.tickets[number % len(keys.tickets)])
    connection.execute("BEGIN")
    status, version = connection.execute(
        "SELECT status, version FROM ticket WHERE id = ?", (key,)
    ).fetchone()
    following = STATUSES[(STATUSES.index(status) + 1) % len(STATUSES)]
    connection.execute(
        "UPDATE ticket SET status = ?, version = version + 1"
        " WHERE id = ? AND version = ?",
        (following, key, version),
    )
    connection.execute("COMMIT")


def look_at_dashboard(connection: sqlite3.Connection, keys: Keys, number: int) -> None:
    """Ask four questions about everything, in one snapshot."""
    connection.execute("BEGIN")
    for question in DASHBOARD:
        assert connection.execute(question).fetchall(), "there is data"
    connection.execute("COMMIT")


def write_report(connection: sqlite3.Connection, keys: Keys, number: int) -> None:
    """Read every ticket with its labor."""
    lines = sum(1 for _ in connection.execute(REPORT))
    assert lines == 2 * len(keys.tickets), "two lines for each ticket"


class PeopleOnSqlite3(Contestant):
    """Several people at once, a connection per request.

    Args:
        name: What the table shows.
        count: How many people.
        seconds: How long a round lasts.
        scale: How many rows there are.
        actions: What each person does, over and over; dealt out in turn.
        journal: ``wal``, or ``delete``, the mode every new file of SQLite has.
    """

    def __init__(
        self,
        name: str,
        count: int,
        seconds: float,
        scale: Scale,
        actions: tuple[PlainAction, ...] = (move_on,),
        *,
        journal: str = "wal",
    ) -> None:
        self.name = name
        self._count = count
        self._seconds = seconds
        self._size = Size.of(scale)
        self._actions = actions
        self._journal = journal

    def open(self, place: Place) -> None:
        """Make the data with Lockstep, then let go of it."""
        with new_database(SQLITE, place) as db:
            self._keys = fill(db, self._size)
            assert db.url.path is not None, "contestants use files"
            self._path: Path = db.url.path
        with closing(sqlite3.connect(self._path)) as connection:
            (mode,) = connection.execute(
                f"PRAGMA journal_mode = {self._journal}"
            ).fetchone()
        assert mode == self._journal, "nobody else has the file open"
        self._steps = [0] * self._count
        # By person, so that no two threads count in one place.
        self._done: list[Counter[str]] = [Counter() for _ in range(self._count)]

    def round(self) -> Round:
        """Let everybody work for a while."""

        def request(person: int) -> None:
            step = self._steps[person]
            self._steps[person] += 1
            action = self._actions[person % len(self._actions)]
            with closing(sqlite3.connect(self._path, isolation_level=None)) as raw:
                action(raw, self._keys, person + step * self._count)
            self._done[person][action.__name__] += 1

        return threads_at_once(self._count, request, seconds=self._seconds)

    def check(self) -> list[str]:
        """Compare the versions with what was answered."""
        acknowledged = sum(self._done, Counter[str]())[move_on.__name__]
        sql = "SELECT sum(version) - count(*) FROM ticket"
        with closing(sqlite3.connect(self._path)) as connection:
            (found,) = connection.execute(sql).fetchone()
        if found == acknowledged:
            return []
        return [f"{found} changes are there, {acknowledged} were acknowledged"]

    def proof(self) -> str:
        """Say that they were looked for."""
        return f"all {sum(self._done, Counter[str]())[move_on.__name__]:,} found"

    def close(self) -> None:
        """Nothing is open."""
