"""The histories of Alembic and Django in a project, read from their files' text.

Owns finding the revisions and what each one builds on. The files are parsed and never
run, so what a revision does is not known here, only how the history hangs together.

    versions/*.py      revision = "b", down_revision = "a"
    migrations/00*.py  dependencies = [("shop", "0001_initial")]
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, cast

from lockstep.doctor.project.files import TextFile


@dataclass(slots=True)
class History:
    """The revisions of one folder.

    Attributes:
        folder: Its path within the project.
        tool: ``Alembic`` or ``Django``.
        files: The file of each revision.
        parents: What each revision builds on.
        replaced: Revisions that another one stands for.
    """

    folder: str
    tool: str
    files: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    parents: dict[str, set[str]] = field(default_factory=lambda: dict[str, set[str]]())
    replaced: set[str] = field(default_factory=lambda: set[str]())

    @property
    def heads(self) -> list[str]:
        """The revisions that none builds on."""
        needed = {parent for parents in self.parents.values() for parent in parents}
        return sorted(set(self.parents) - needed - self.replaced)

    @property
    def missing(self) -> list[tuple[str, str]]:
        """Pairs of a revision and one it builds on that is not there."""
        known = set(self.parents) | self.replaced
        return sorted(
            (revision, parent)
            for revision, parents in self.parents.items()
            for parent in parents - known
        )


def histories(files: Iterable[TextFile]) -> Iterator[History]:
    """Yield every history of Alembic and Django among ``files``."""
    by_folder: defaultdict[PurePosixPath, list[TextFile]] = defaultdict(list)
    for file in files:
        path = PurePosixPath(file.name)
        if path.suffix == ".py" and path.parent.name in ("versions", "migrations"):
            by_folder[path.parent].append(file)
    for folder, members in by_folder.items():
        read = _alembic if folder.name == "versions" else _django
        history = read(folder, members)
        if history.parents:
            yield history


def _alembic(folder: PurePosixPath, files: list[TextFile]) -> History:
    history = History(folder.as_posix(), "Alembic")
    for file in files:
        values = _assigned(_parsed(file).body)
        revision = values.get("revision")
        if isinstance(revision, str) and "down_revision" in values:
            history.files[revision] = file.name
            history.parents[revision] = _names(values["down_revision"])
    return history


def _django(folder: PurePosixPath, files: list[TextFile]) -> History:
    history = History(folder.as_posix(), "Django")
    app = folder.parent.name
    for file in files:
        for node in _parsed(file).body:
            if isinstance(node, ast.ClassDef) and node.name == "Migration":
                values = _assigned(node.body)
                revision = PurePosixPath(file.name).stem
                history.files[revision] = file.name
                history.parents[revision] = _of_app(values.get("dependencies"), app)
                history.replaced |= _of_app(values.get("replaces"), app)
    return history


def _parsed(file: TextFile) -> ast.Module:
    try:
        return ast.parse("\n".join(file.lines))
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _assigned(body: list[ast.stmt]) -> dict[str, Any]:
    """Return the names that are given a literal; a list keeps its literal members."""
    found: dict[str, Any] = {}
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.AnnAssign):
            target = node.target
        if isinstance(target, ast.Name) and isinstance(
            node, ast.Assign | ast.AnnAssign
        ):
            found[target.id] = _literal(node.value)
    return found


def _literal(node: ast.expr | None) -> Any:
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(member) for member in node.elts]
    return node.value if isinstance(node, ast.Constant) else None


def _names(value: Any) -> set[str]:
    members = cast("list[Any]", value) if isinstance(value, list) else [value]
    return {member for member in members if isinstance(member, str)}


def _of_app(value: Any, app: str) -> set[str]:
    pairs = cast("list[Any]", value) if isinstance(value, list) else []
    return {pair[1] for pair in pairs if isinstance(pair, list) and pair[0] == app}
