"""What a check of a project may ask.

Owns the settings, the files and the project's history, each read when first asked
for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.doctor.limits import Limits
from lockstep.doctor.project.files import TextFile, files_of, tracked_by_git
from lockstep.doctor.project.own_history import compare

if TYPE_CHECKING:
    from lockstep.config import Settings
    from lockstep.migrations import CheckFinding

CODE = (".py", ".js", ".mjs", ".cjs", ".ts", ".tsx", ".rb", ".go", ".rs", ".php")


class ProjectContext:
    """One project's folder.

    Attributes:
        root: The folder.
        settings: Of ``[tool.lockstep]``; None for a project without it.
        limits: What the examination may cost.
        on_replay: Told the folder of a history before it is replayed.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings | None,
        limits: Limits,
        on_replay: Callable[[Path], None],
    ) -> None:
        self.root = root
        self.settings = settings
        self.limits = limits
        self.on_replay = on_replay

    @cached_property
    def files(self) -> list[TextFile]:
        """What a person wrote, by name."""
        return files_of(self.root)

    @cached_property
    def tracked(self) -> set[str] | None:
        """What git tracks; None where there is no repository."""
        return tracked_by_git(self.root)

    def code(self, *suffixes: str) -> Iterator[TextFile]:
        """Yield the program files, those of tests and examples left out."""
        for file in self.files:
            if file.path.suffix in (suffixes or CODE) and not file.is_for_tests:
                yield file

    def first(self, pattern: re.Pattern[str], *suffixes: str) -> str | None:
        """Return ``file:line`` of the first code that matches; None without one."""
        for file in self.code(*suffixes):
            for number, _ in file.matches(pattern):
                if not file.is_comment(number):
                    return f"{file.name}:{number}"
        return None

    def all(self, pattern: re.Pattern[str], *suffixes: str) -> list[str]:
        """Return ``file:line`` of all code that matches."""
        return [
            f"{file.name}:{number}"
            for file in self.code(*suffixes)
            for number, _ in file.matches(pattern)
            if not file.is_comment(number)
        ]

    @cached_property
    def history_findings(self) -> tuple[CheckFinding, ...] | None:
        """What ``migrate check`` says; None where there is nothing to compare.

        Raises:
            LockstepError: The models, the history or the database cannot be read.
        """
        return None if self.settings is None else compare(self.root, self.settings)

    @property
    def history_folder(self) -> Path | None:
        """The folder of lockstep's history; None in a project without lockstep."""
        if self.settings is None:
            return None
        return self.root / self.settings.migrations
