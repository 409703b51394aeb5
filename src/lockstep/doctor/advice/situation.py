"""What is known of a database and of its use: measured here, or stated by the user.

Owns the two values, and how a number of writes per hour is found from them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal[
    "stay-on-sqlite", "libsql-server", "postgresql-local", "postgresql-hosted"
]
Hosting = Literal["on-premise", "vps", "serverless"]

WRITES_PER_USER_HOUR = 2.0
"""What a person at a maintenance desk causes: fifty people, a hundred writes an hour.
Only asked when nothing was stated and less was measured."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured; None where it could not be.

    Attributes:
        target: What was looked at, secrets masked; empty without a database.
        now: Where the database is; None without one.
        size_bytes: Of the file with its WAL, or of the server's database.
        tables: Ordinary tables.
        journal_mode: Of the file.
        file_system: Where the file lies, when that is a network or shared folder;
            empty on a local disk.
        processes: Other processes that have the file open now.
        connections: Connections to the server now, and those that it allows.
        writes_per_hour: Commits that were seen, as if it went on like that.
        watched_s: For how long they were watched.
    """

    target: str = ""
    now: Verdict | None = None
    size_bytes: int | None = None
    tables: int | None = None
    journal_mode: str | None = None
    file_system: str | None = None
    processes: int | None = None
    connections: tuple[int, int] | None = None
    writes_per_hour: float | None = None
    watched_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the facts as ``--json`` prints them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Stated:
    """What the user says; None where nothing was said.

    Attributes:
        users: People who work with it.
        writes_per_hour: At the busiest hour.
        app_servers: Hosts whose programs open the database.
        hosting: ``on-premise``, ``vps`` (a rented host with a disk that stays) or
            ``serverless`` (none that stays).
        offline: Whether people must work where there is no network.
        keep_sqlite_sql: Whether the application's SQL must stay SQLite's.
        longest_write_s: Seconds that the longest write transaction takes.
    """

    users: int | None = None
    writes_per_hour: float | None = None
    app_servers: int | None = None
    hosting: Hosting | None = None
    offline: bool = False
    keep_sqlite_sql: bool = False
    longest_write_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what was stated as ``--json`` prints it."""
        return asdict(self)


def writes_per_hour(facts: Facts, stated: Stated) -> tuple[float | None, str]:
    """Return the largest number that is known, and who says so."""
    known: list[tuple[float, str]] = []
    if facts.writes_per_hour is not None:
        seconds = f"{facts.watched_s:g}"
        known.append((facts.writes_per_hour, f"measured over {seconds} s"))
    if stated.writes_per_hour is not None:
        known.append((stated.writes_per_hour, "stated"))
    elif stated.users is not None:
        estimate = stated.users * WRITES_PER_USER_HOUR
        known.append((estimate, f"estimated, {WRITES_PER_USER_HOUR:g} for each user"))
    if not known:
        return None, "unknown"
    return max(known, key=lambda pair: pair[0])
