"""The files of a project that a person wrote.

Owns which files are read: no dependencies, no builds, no large ones. It reads text
and never imports or runs anything of the project.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FILES_MAX = 20_000
BYTES_MAX = 1_000_000

_SKIPPED_FOLDERS = frozenset(
    {
        *(".git", ".hg", "node_modules", "__pycache__", "site-packages", "vendor"),
        *(".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".next"),
        *("dist", "build", "target", "_build", ".venv", "venv", "env", ".eggs"),
    }
)
_COMMENTS = ("#", "//", "--", ";")
_LIST = ("ls-files", "-z")
_TEST_PART = re.compile(
    r"(^|[_.])(tests?|testing|fixtures?|examples?|spec)($|[_.])", re.I
)


@dataclass(frozen=True)
class TextFile:
    """One file of the project.

    Attributes:
        path: Where it is.
        name: Its path within the project, with ``/``.
    """

    path: Path
    name: str

    @cached_property
    def lines(self) -> list[str]:
        """Its lines; none when it cannot be read or is no text."""
        try:
            content = self.path.read_bytes()[:BYTES_MAX]
        except OSError:
            return []
        if b"\0" in content[:4096]:
            return []
        return content.decode("utf-8", "replace").splitlines()

    @property
    def is_for_tests(self) -> bool:
        """Whether it serves tests or examples, by its path."""
        return any(_TEST_PART.search(part) for part in Path(self.name).parts)

    def is_comment(self, number: int) -> bool:
        """Return whether the line of that number is a comment, and no code."""
        return self.lines[number - 1].lstrip().startswith(_COMMENTS)

    def matches(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, re.Match[str]]]:
        """Yield ``(line number, match)`` for every line that matches."""
        for number, line in enumerate(self.lines, start=1):
            found = pattern.search(line)
            if found is not None:
                yield number, found


def files_of(root: Path) -> list[TextFile]:
    """Return the files below ``root``, without dependencies and builds, by name."""
    found: list[TextFile] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED_FOLDERS
            # A folder that cannot be looked into is passed over, as by ``walk``.
            and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        )
        for name in sorted(names):
            path = Path(folder, name)
            found.append(TextFile(path, path.relative_to(root).as_posix()))
            if len(found) >= FILES_MAX:
                return found
    return found


def tracked_by_git(root: Path) -> set[str] | None:
    """Return the names that git tracks below ``root``; None without a repository."""
    try:
        # core.fsmonitor names a program; a folder that is looked at starts none.
        done = subprocess.run(  # noqa: S603
            ["git", "-c", "core.fsmonitor=false", "-C", str(root), *_LIST],  # noqa: S607
            capture_output=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}
