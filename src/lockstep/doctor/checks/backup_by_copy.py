"""Backups made with cp."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from lockstep.doctor.check import Check, Findings
from lockstep.doctor.project.context import ProjectContext
from lockstep.doctor.project.files import TextFile
from lockstep.doctor.sqlite.context import SqliteContext
from lockstep.doctor.sqlite.opening import opened
from lockstep.errors import Unexaminable

_SCRIPTS = re.compile(
    r"(\.(sh|bash|zsh|ps1|bat|cmd|ya?ml|service|timer|cron|mk|just)"
    r"|(^|/)(Makefile|Justfile|Dockerfile[^/]*|crontab[^/]*|package\.json))$"
)
_DATABASE = r"[\w./${}()\-*\"']*\.(?:db3?|sqlite3?)\b"
_COMMAND = re.compile(
    rf"(?:^|[\s;&|\"'`@(])(?P<tool>cp|rsync|scp|copy|xcopy|tar|zip|gzip|Copy-Item|install"
    rf"|dd|restic|borg|cat)\s[^#;|&]*?(?:{_DATABASE}"
    # A variable that is named for a database file.
    r"|\$\{?\w*(?:db|database|sqlite)_?(?:file|path)\b)",
    re.IGNORECASE,
)
_INTO_A_FILE = re.compile(r">|\bof=")
"""cat and dd copy only where their output goes somewhere."""
_JAVASCRIPT = re.compile(
    rf"\.(?P<tool>copyFile|copyFileSync|cp|cpSync|copySync)\([^)]*{_DATABASE}"
)
_FROM_PYTHON = re.compile(
    rf"(?:\bos\.system|\bsubprocess\.\w+|\brun|\bPopen)\([^)]*[\"'\s]"
    rf"(?P<tool>cp|rsync|scp|tar|gzip)\b[^)]*{_DATABASE}"
    rf"|{_DATABASE}[\"']\)\.(?P<tool2>read_bytes)\(\)"
)
_RIGHT = re.compile(
    r"\.backup\b|VACUUM\s+INTO|\blockstep db backup\b|\.dump\b|sqlite3_rsync|litestream"
    r"|\.clone\b",
    re.IGNORECASE,
)
"""SQLite's own means: what they made may be copied like any file."""
_STOPPED = re.compile(
    r"\b(systemctl|service|supervisorctl|docker\S*|compose)\b.*\bstop\b"
)
_NAME = re.compile(r"([^\s\"'`()=]+\.(?:db3?|sqlite3?))\b", re.IGNORECASE)
_LINES_BACK = 10
_PYTHON = re.compile(
    r"\bshutil\.(?P<tool>copy2?|copyfile|copytree|move)\([^)]*"
    r"(?:\.(?:db3?|sqlite3?)\b|db_?(?:path|file)|database_?(?:path|file))",
    re.IGNORECASE,
)
_MEANT = re.compile(
    r"backup|bak\b|\.bak|archive|snapshot|dump|cron|date|nightly|daily|save",
    re.IGNORECASE,
)
_CALLED_COPY = re.compile(
    _MEANT.pattern
    + r"|copy|copi[ae]|kopie|sicherung|sauvegarde|(?<![a-z])(old|alt|orig)(?![a-z])"
    r"|20\d\d[-_.]?[01]\d",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"^\s*(#|//|::|rem\b)", re.IGNORECASE)
_NODE = (".js", ".mjs", ".cjs", ".ts")
SIBLINGS_MAX = 20


def examine_project(context: ProjectContext) -> Findings:
    """Find commands in scripts and code that copy a database file."""
    for file in context.files:
        if file.is_for_tests:
            continue
        for number, tool in _copies(file):
            around = " ".join(file.lines[max(number - 4, 0) : number]) + file.name
            meant = bool(_MEANT.search(around))
            yield CHECK.finding(
                "warning" if meant else "notice",
                f"{file.name}:{number}",
                f"{tool} copies a database file" + (" for a backup" if meant else ""),
                mend="let SQLite make the copy, and try the restore",
                command='lockstep db backup   (or: sqlite3 app.db "VACUUM INTO '
                "'backup.db'\")",
                evidence={"tool": tool},
            )


def _copies(file: TextFile) -> Iterator[tuple[int, str]]:
    """Yield line and tool of every command that copies a database that is live."""
    patterns: tuple[re.Pattern[str], ...] = ()
    if _SCRIPTS.search(file.name):
        patterns = (_COMMAND,)
    elif file.path.suffix == ".py":
        patterns = (_PYTHON, _FROM_PYTHON)
    elif file.path.suffix in _NODE:
        patterns = (_JAVASCRIPT,)
    if not patterns:
        return
    made = {
        name.lower()
        for line in file.lines
        if _RIGHT.search(line)
        for name in _NAME.findall(line)[-1:]
    }
    for number, line in enumerate(file.lines, start=1):
        found = next((f for p in patterns if (f := p.search(line))), None)
        if found is None or _COMMENT.match(line) or _RIGHT.search(line):
            continue
        groups = found.groupdict()
        tool = groups["tool"] or groups.get("tool2") or ""
        names = _NAME.findall(line[found.start() :])
        before = file.lines[max(number - _LINES_BACK, 0) : number - 1]
        if names and names[0].lower() in made:
            continue
        if any(_STOPPED.search(other) for other in before):
            continue  # nobody has it open then
        if tool in ("cat", "dd") and not _INTO_A_FILE.search(line):
            continue
        yield number, tool


def examine(context: SqliteContext) -> Findings:
    """Find copies beside the file that are in WAL mode and have no -wal."""
    yield from _itself(context)
    own = context.path.resolve()
    torn: list[str] = []
    names = sorted(own.parent.glob(f"*{own.stem}*"))
    for path in names[: SIBLINGS_MAX * 4]:
        ending = path.name.endswith(("-wal", "-shm", "-journal"))
        if ending or not path.is_file() or path == own or len(torn) >= SIBLINGS_MAX:
            continue
        if not _CALLED_COPY.search(path.name) and path.suffix == own.suffix:
            continue  # another database of the same family
        try:
            with opened(path, timeout_s=0.2) as copy:
                if copy.uses_wal and copy.beside.wal_bytes is None:
                    torn.append(path.name)
        except Unexaminable:
            continue
    if torn:
        yield CHECK.finding(
            "notice",
            context.name,
            f"beside it lies what seems to be a copy in WAL mode without a -wal: "
            f"{', '.join(torn[:5])}",
            mend="if it was made with cp while the database was open, it may lack the "
            "last commits: compare it, and make backups with SQLite's own means",
            command=_backup_of(context.path),
            evidence={"files": torn},
        )


def _backup_of(path: Path) -> str:
    return f"lockstep db backup --url {shlex.quote(f'sqlite:///{path.absolute()}')}"


def _itself(context: SqliteContext) -> Findings:
    """Say of a file in WAL mode without a -wal that it may lack what was in it."""
    opened_ = context.opened
    if not opened_.uses_wal or opened_.beside.wal_bytes or opened_.how == "immutable":
        return
    is_bare = not context.value("SELECT count(*) FROM sqlite_master")
    if not is_bare and not _CALLED_COPY.search(context.path.name):
        return
    yield CHECK.finding(
        "warning" if is_bare else "notice",
        context.name,
        "the file is in WAL mode, no -wal lies beside it, and "
        + ("it holds no table" if is_bare else "its name says that it is a copy"),
        mend="if cp made it while the database was open, what was committed last is in "
        "the -wal of the original only: copy again with SQLite's own means",
        command=_backup_of(context.path),
        evidence={"is_bare": is_bare},
    )


CHECK = Check(
    name="backup-by-copy",
    looks_for="cp, rsync, tar or shutil on a database file in scripts, crontabs, "
    "Makefiles and code; copies beside the file whose -wal is missing.",
    why="A copy of the file alone misses what was committed to the -wal, and a copy "
    "made during a write is torn: the backup opens, and rows are missing, or it does "
    "not.",
    sqlite=examine,
    needs_file=True,
    project=examine_project,
)
