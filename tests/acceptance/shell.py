"""A shell for the tests: it runs ``lockstep`` as a process and keeps what it said."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.preloaded import DEADLINE_S as DEADLINE_S
from tests.preloaded import run

COMMAND = (sys.executable, "-m", "lockstep")


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout."""
        return json.loads(self.out)

    @property
    def both(self) -> str:
        """Everything it printed."""
        return self.out + self.err


@dataclass(frozen=True)
class Shell:
    """A folder and an environment to run commands in."""

    folder: Path
    environment: Mapping[str, str]

    def __call__(self, *words: str, code: int | None = 0, stdin: str = "") -> Finished:
        """Run ``lockstep WORDS``; fail unless it ends with ``code``."""
        return self.run(*COMMAND, *words, code=code, stdin=stdin)

    def run(self, *words: str, code: int | None = 0, stdin: str = "") -> Finished:
        """Run any program; fail unless it ends with ``code`` (None: anything)."""
        done = run(words, cwd=self.folder, env=self.environment, stdin=stdin)
        finished = Finished(done.returncode, done.stdout, done.stderr)
        if code is not None:
            assert finished.code == code, f"{words}\n{finished.out}\n{finished.err}"
        return finished

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start ``lockstep WORDS`` in a process group of its own."""
        return subprocess.Popen(
            (*COMMAND, *words),
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def at(self, folder: Path | str) -> "Shell":
        """Return the shell in another folder."""
        return Shell(self.folder / folder, self.environment)

    def having(self, **variables: str) -> "Shell":
        """Return the shell with more variables set."""
        return Shell(self.folder, {**self.environment, **variables})
