"""pg_dump and pg_restore: where they are, which one fits, and how one is run.

Owns finding the programs, their versions, and a run that leaves no process behind and
shows no secret. It knows no archive and no file name.

    candidates   LOCKSTEP_POSTGRESQL_BIN, PATH, the wheel's, the distribution's
    chosen       the oldest that is not older than what it must read

A newer program than needed works, but writes what an older one cannot read and may set
parameters that an older server does not know; hence the oldest that is new enough.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lockstep.engine.embedded import BIN_VARIABLE, find_installation
from lockstep.engine.libpq import client_environment
from lockstep.errors import BackupFailed, EngineError, ProgramMissing
from lockstep.redaction import redact

if TYPE_CHECKING:
    from lockstep.engine.urls import DatabaseUrl

VERSION_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
POLL_S = 0.1
WORDS_SHOWN_MAX = 2000

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(\S*)")


@dataclass(frozen=True, slots=True)
class Program:
    """One executable. ``version`` as it says itself (``16.14``)."""

    path: str
    major: int
    version: str


def find_program(name: str, major_min: int) -> Program:
    """Return the ``name`` (pg_dump, pg_restore) that fits a server of ``major_min``.

    Raises:
        ProgramMissing: There is none, or every one is older.
    """
    found = [program for path in _candidates(name) if (program := _asked(path))]
    if not found:
        raise ProgramMissing(
            f"{name} is not installed",
            hint=f"apt install postgresql-client-{major_min}, or "
            f"brew install libpq, or set {BIN_VARIABLE}",
            detail={"program": name},
        )
    fitting = [program for program in found if program.major >= major_min]
    if not fitting:
        have = ", ".join(f"{program.path} ({program.version})" for program in found)
        raise ProgramMissing(
            f"every {name} here is older than PostgreSQL {major_min}: {have}",
            hint=f"install {name} {major_min} and name its folder in {BIN_VARIABLE}",
            detail={"program": name, "major_min": major_min},
        )
    return min(fitting, key=lambda program: program.major)


def _candidates(name: str) -> list[str]:
    folders: list[Path] = []
    named = os.environ.get(BIN_VARIABLE)
    if named:
        # Whoever names a folder means it, also when it lacks the program.
        return [path] if (path := shutil.which(name, path=named)) else []
    on_path = shutil.which(name)
    with suppress(EngineError):
        installation = find_installation()
        folders.append(installation.root / installation.bin)
    for root in ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"):
        folders += sorted(Path(root).glob("*/bin"))
    paths = [shutil.which(name, path=str(folder)) for folder in folders]
    return list(dict.fromkeys(path for path in (on_path, *paths) if path))


def _asked(path: str) -> Program | None:
    try:
        said = subprocess.run(  # noqa: S603 - a program by its full path
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = _VERSION.search(said)
    if version is None:
        return None
    return Program(path, int(version[1]), version[1] + version[2])


class Running:
    """A program at work."""

    def __init__(self, program: Program, process: subprocess.Popen[bytes]) -> None:
        self._program = program
        self._process = process
        self.words = b""

    def wait(self, interval_s: float = POLL_S) -> bool:
        """Wait a moment; return whether it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(interval_s)
        return self._process.returncode is not None

    def check(self, words: IO[bytes], secrets: frozenset[str]) -> None:
        """Raise what the program said, if it failed.

        Raises:
            BackupFailed: With its own words, secrets masked.
        """
        if self._process.returncode == 0:
            return
        words.seek(0)
        said = redact(words.read().decode(errors="replace").strip(), secrets)
        name = Path(self._program.path).name
        raise BackupFailed(
            f"{name} {self._program.version} failed: "
            + (said[-WORDS_SHOWN_MAX:] or f"exit code {self._process.returncode}"),
            detail={"program": name, "exit_code": self._process.returncode},
        )


@contextmanager
def running(
    program: Program, arguments: Sequence[str], url: DatabaseUrl
) -> Generator[Running]:
    """Run a program against ``url``; at the block's end it has ended.

    An error that leaves the block stops the program; else the block's end waits for
    it and raises what it said if it failed. The password goes through the
    environment; it never asks for one.

    Raises:
        BackupFailed: It failed.
    """
    environment = client_environment(url.sqlalchemy_url(), os.environ)
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(  # noqa: S603 - no shell, a program by its path
            [program.path, "--no-password", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            env=environment,
        )
        run = Running(program, process)
        try:
            yield run
            process.wait()
        finally:
            _stop(process)
        run.check(words, url.secrets)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
