"""The decision: a table of rules over what was measured and stated.

Owns the thresholds with their sources, and the order in which they decide. Pure: no
file, no socket, no clock.

    a rule is over its threshold? ──no──► stay where it is
                    │ yes
                    ▼
    SQLite's SQL must stay, and a libSQL server bears it? ──yes──► libsql-server
                    │ no
                    ▼
    a host with a disk that stays? ──yes──► postgresql-local ──no──► postgresql-hosted

Invariant: each number that a reason shows stands beside its threshold and the source
of that threshold. Speeds are this project's own, of November 2026, and are
reproduced by the benchmark that is named; no price and no vendor's claim is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from lockstep.doctor.advice.situation import (
    Facts,
    Hosting,
    Stated,
    Verdict,
    writes_per_hour,
)

V = TypeVar("V")

_SQLITE_CHECKLIST = "https://sqlite.org/whentouse.html#dbcklst"
_WAL = "https://sqlite.org/wal.html"
TERABYTE = 10**12
WRITES_PER_HOUR_MAX = 230_000
"""Half of what a connection per request wrote: 129/s with a hundred writers."""
LIBSQL_WRITES_PER_HOUR_MAX = 180_000
"""Half of what one client wrote to a libsql-server: 101/s."""
LONGEST_WRITE_S = 1.0
LIBSQL_TRANSACTION_S = 5.0
SERVERS_MAX = 1
_MOST = 0.8


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rule, applied.

    Attributes:
        rule: Its name.
        value: The number, and who says so; ``unknown`` where nobody does.
        threshold: What it is compared with.
        is_over: Whether it speaks for a server; None when the number is unknown.
        because: What goes wrong beyond the threshold.
        source: Where the threshold comes from.
    """

    rule: str
    value: str
    threshold: str
    is_over: bool | None
    because: str
    source: str


@dataclass(frozen=True, slots=True)
class Advice:
    """The verdict, and everything that led to it.

    Attributes:
        verdict: Where the database should be.
        now: Where it is; None without one.
        summary: The verdict in a sentence.
        reasons: Every rule with its number, those over their threshold first.
        cautions: What to know about the verdict, or to do whatever it is.
        would_change: Pairs of an option and the verdict it would lead to.
        next_commands: What to run now.
    """

    verdict: Verdict
    now: Verdict | None
    summary: str
    reasons: tuple[Judgement, ...]
    cautions: tuple[str, ...]
    would_change: tuple[tuple[str, Verdict], ...]
    next_commands: tuple[str, ...]

    @property
    def is_to_move(self) -> bool:
        """Whether the database should be somewhere else than it is."""
        return self.now is not None and self.now != self.verdict

    def to_json(self) -> dict[str, Any]:
        """Return the advice as ``--json`` prints it."""
        return asdict(self) | {
            "reasons": [asdict(reason) for reason in self.reasons],
            "cautions": list(self.cautions),
            "would_change": [
                {"option": option, "verdict": verdict}
                for option, verdict in self.would_change
            ],
            "next_commands": list(self.next_commands),
        }


def decide(facts: Facts, stated: Stated) -> Advice:
    """Return where a database should be, with the reasons."""
    judgements = [rule(facts, stated) for rule in RULES]
    verdict = _verdict(facts, stated)
    changes: list[tuple[str, Verdict]] = [
        (option, other)
        for option, changed in _changes(stated)
        if (other := _verdict(facts, changed)) != verdict
    ]
    return Advice(
        verdict=verdict,
        now=facts.now,
        summary=_SUMMARIES[verdict],
        reasons=tuple(sorted(judgements, key=lambda judged: not judged.is_over)),
        cautions=tuple(_cautions(facts, stated, verdict)),
        would_change=tuple(changes),
        next_commands=tuple(_next(facts, verdict)),
    )


def _verdict(facts: Facts, stated: Stated) -> Verdict:
    needs_server = any(rule(facts, stated).is_over for rule in RULES)
    on_postgresql = facts.now in ("postgresql-local", "postgresql-hosted")
    if on_postgresql and stated.hosting is None and facts.now is not None:
        return facts.now  # leaving it costs a move, and gains nothing measured
    if not on_postgresql:
        if not needs_server:
            return facts.now or "stay-on-sqlite"
        if _libsql_bears(facts, stated):
            return "libsql-server"
    return "postgresql-hosted" if stated.hosting == "serverless" else "postgresql-local"


def _libsql_bears(facts: Facts, stated: Stated) -> bool:
    """Return whether SQLite's SQL must stay, and a libSQL server is enough."""
    if not stated.keep_sqlite_sql and facts.now != "libsql-server":
        return False
    writes, _ = writes_per_hour(facts, stated)
    return (
        (writes or 0) <= LIBSQL_WRITES_PER_HOUR_MAX
        and (stated.longest_write_s or 0) <= LIBSQL_TRANSACTION_S
        and (facts.size_bytes or 0) < TERABYTE
        and not _shares_offline(stated)
    )


def _shares_offline(stated: Stated) -> bool:
    return stated.offline and (stated.users or 2) > 1


def _judged(
    rule: str,
    number: V | None,
    shown: Callable[[V], str],
    threshold: str,
    is_over: Callable[[V], bool],
    because: str,
    source: str,
) -> Judgement:
    """Apply a rule to a number that may be unknown."""
    if number is None:
        return Judgement(rule, "unknown", threshold, None, because, source)
    return Judgement(rule, shown(number), threshold, is_over(number), because, source)


def _app_servers(facts: Facts, stated: Stated) -> Judgement:
    return _judged(
        "application servers",
        stated.app_servers,
        lambda servers: f"{servers} (stated)",
        f"at most {SERVERS_MAX}",
        lambda servers: servers > SERVERS_MAX,
        "a SQLite file belongs to one host; programs on several need a server",
        _SQLITE_CHECKLIST,
    )


def _file_system(facts: Facts, stated: Stated) -> Judgement:
    return _judged(
        "file system",
        facts.file_system,
        lambda kind: f"{kind or 'a local disk'} (measured)",
        "a local disk",
        lambda kind: bool(kind) and stated.app_servers != 1,
        "several hosts may reach the file, and its locks cannot be trusted there",
        _WAL,
    )


def _writes(facts: Facts, stated: Stated) -> Judgement:
    writes, origin = writes_per_hour(facts, stated)
    return _judged(
        "writes per hour",
        writes,
        lambda writes: f"{writes:,.0f} ({origin})",
        f"at most {WRITES_PER_HOUR_MAX:,}",
        lambda writes: writes > WRITES_PER_HOUR_MAX,
        "with a connection per request writers wait for each other; db.write of "
        "lockstep carries a hundred times as much",
        "lockstep bench writers: a connection each 129/s, db.write 20,700/s",
    )


def _longest_write(facts: Facts, stated: Stated) -> Judgement:
    return _judged(
        "longest write transaction",
        stated.longest_write_s,
        lambda seconds: f"{seconds:g} s (stated)",
        f"at most {LONGEST_WRITE_S:g} s",
        lambda seconds: seconds > LONGEST_WRITE_S,
        "SQLite has one writer at a time: everybody else waits for it",
        f"{_SQLITE_CHECKLIST} (there: a few dozen milliseconds)",
    )


def _size(facts: Facts, stated: Stated) -> Judgement:
    return _judged(
        "size",
        facts.size_bytes,
        lambda size: f"{size:,} bytes (measured)",
        f"less than {TERABYTE:,} bytes",
        lambda size: size >= TERABYTE,
        "one file of that size is slow to copy, to check and to mend",
        _SQLITE_CHECKLIST,
    )


def _disk(facts: Facts, stated: Stated) -> Judgement:
    return _judged(
        "a disk that stays",
        stated.hosting,
        lambda hosting: f"{hosting} (stated)",
        "on-premise or vps",
        lambda hosting: hosting == "serverless",
        "serverless processes come and go, and their disk with them",
        _SQLITE_CHECKLIST,
    )


def _offline(facts: Facts, stated: Stated) -> Judgement:
    people = "unknown" if stated.users is None else f"{stated.users:,}"
    return Judgement(
        "shared work offline",
        f"{'yes' if stated.offline else 'no'}, {people} users (stated)",
        "one user, or no",
        _shares_offline(stated),
        "each device keeps a file of its own, and a server is where they meet",
        "docs/howto/choose.md",
    )


RULES: tuple[Callable[[Facts, Stated], Judgement], ...] = (
    _app_servers,
    _file_system,
    _writes,
    _longest_write,
    _size,
    _disk,
    _offline,
)

_SUMMARIES: dict[Verdict, str] = {
    "stay-on-sqlite": "Stay on SQLite: a file on one host carries this.",
    "libsql-server": "A libSQL server: SQLite's SQL, reached over the network.",
    "postgresql-local": "PostgreSQL on a host of your own.",
    "postgresql-hosted": "PostgreSQL as a service: nothing of yours keeps a disk.",
}


def _changes(stated: Stated) -> Iterator[tuple[str, Stated]]:
    """Yield one change of what was stated after another."""
    if (stated.app_servers or 1) < 2:
        yield "--app-servers 2", replace(stated, app_servers=2)
    else:
        yield "--app-servers 1", replace(stated, app_servers=1)
    many = float(WRITES_PER_HOUR_MAX + 1)
    if (stated.writes_per_hour or 0) < many:
        yield f"--writes-per-hour {many:.0f}", replace(stated, writes_per_hour=many)
    if (stated.longest_write_s or 0) <= LONGEST_WRITE_S:
        yield "--longest-write-s 2", replace(stated, longest_write_s=2.0)
    hostings: tuple[Hosting, ...] = ("on-premise", "serverless")
    for hosting in hostings:
        if stated.hosting != hosting:
            yield f"--hosting {hosting}", replace(stated, hosting=hosting)
    if not stated.offline:
        yield "--offline", replace(stated, offline=True)
    if not stated.keep_sqlite_sql:
        yield "--keep-sqlite-sql", replace(stated, keep_sqlite_sql=True)


def _cautions(facts: Facts, stated: Stated, verdict: Verdict) -> Iterator[str]:
    unknown = [j.rule for rule in RULES if (j := rule(facts, stated)).is_over is None]
    if unknown:
        yield f"not known, and taken for harmless: {', '.join(unknown)}"
    if facts.writes_per_hour == 0 and stated.writes_per_hour is None:
        yield (
            "no write was seen while watching; that says little outside of working "
            "hours: state --writes-per-hour, or watch longer (--watch-s)"
        )
    if verdict == "stay-on-sqlite" and facts.journal_mode not in (None, "wal"):
        yield (
            f"the journal mode is {facts.journal_mode}: readers and writers wait for "
            "each other until it is wal"
        )
    if facts.file_system and verdict == "stay-on-sqlite":
        yield "move the file to a local disk of the one host that uses it"
    if verdict == "libsql-server":
        yield (
            "libsql-server (0.24, November 2026) does not flush each commit: 501 "
            "commits, 10 flushes; a power cut may take the last ones"
        )
    over = [j.rule for rule in RULES if (j := rule(facts, stated)).is_over]
    if over == ["writes per hour"] and facts.now in (None, "stay-on-sqlite"):
        yield (
            "before you move: db.write lets writers share commits, and carried "
            "20,700/s on one file where a pool on PostgreSQL carried 622 to 2,177/s "
            "(lockstep bench writers, November 2026)"
        )
    if (
        facts.connections is not None
        and facts.connections[0] > _MOST * (facts.connections[1])
    ):
        used, allowed = facts.connections
        yield f"{used} of {allowed} connections are in use: smaller pools, or a pooler"
    if _shares_offline(stated):
        yield "offline copies (replicas) are not in this release of lockstep"


def _next(facts: Facts, verdict: Verdict) -> Iterator[str]:
    source = facts.target or "app.db"
    if facts.now is None:
        yield {
            "stay-on-sqlite": "lockstep init app",
            "libsql-server": "LOCKSTEP_URL=libsql://… lockstep migrate upgrade",
        }.get(verdict, "LOCKSTEP_URL=postgresql://… lockstep migrate upgrade")
        return
    if verdict == facts.now:
        if facts.journal_mode not in (None, "wal") and not facts.file_system:
            yield f"lockstep db doctor {source} --check journal-mode --fix"
        yield f"lockstep db doctor {source}"
        return
    address = "libsql://…" if verdict == "libsql-server" else "postgresql://…"
    yield f"lockstep inspect {source}"
    yield f"lockstep move {source} {address} --dry-run"
