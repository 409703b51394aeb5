"""``check``: do models, history and database agree, on this engine and the other.

Owns the list of what can be wrong and how bad it is. Must not know: printing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import UpgradeOps
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from lockstep.errors import LockstepError, MigrationError, NotPortable
from lockstep.migrations.autogenerate import autogenerate
from lockstep.migrations.history import History, in_environment
from lockstep.migrations.request import MigrationRequest
from lockstep.migrations.results import CheckFinding
from lockstep.migrations.tables import columns_of
from lockstep.schema import IDENTIFIER_BYTES_MAX, check_portability

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext


def run_checks(history: History) -> list[CheckFinding]:
    """Return everything that was found, errors first."""
    try:
        scripts = history.scripts()
        found = list(_history(history, scripts))
    except MigrationError as exc:
        return [_error("broken-history", str(history.directory), exc)]
    request = MigrationRequest(history.db, metadata=history.metadata)
    at_head = not any(item.severity == "error" for item in found)

    def look(_: Any, context: MigrationContext) -> list[Any]:
        assert request.metadata is not None, "env.run found the models"
        found.extend(_models(request.metadata))
        if at_head:
            found.extend(_drift(context, request))
        return []

    in_environment(history, scripts, request, look)
    return sorted(found, key=lambda item: item.severity != "error")


def _history(history: History, scripts: ScriptDirectory) -> Iterator[CheckFinding]:
    try:
        heads = scripts.get_heads()
    except (CommandError, SyntaxError, ImportError) as exc:
        raise MigrationError(
            f"a revision file cannot be read: {exc}",
            hint="correct that file in migrations/versions",
        ) from exc
    if len(heads) > 1:
        yield CheckFinding(
            "several-heads",
            "error",
            ", ".join(heads),
            f"the history has {len(heads)} heads",
            "lockstep migrate merge",
        )
    if not heads:
        yield CheckFinding(
            "no-revision",
            "error",
            str(history.directory),
            "the history has no revision yet",
            "lockstep migrate revision --autogenerate",
        )
    applied = history.current_heads()
    unknown = [name for name in applied if not _knows(scripts, name)]
    for name in unknown:
        yield CheckFinding(
            "unknown-revision",
            "error",
            name,
            "the database is at a revision that no file describes",
            "get the newest files, or stamp the right revision",
        )
    if not unknown and set(applied) != set(heads):
        at = ", ".join(applied) or "the beginning"
        yield CheckFinding(
            "not-at-head",
            "error",
            ", ".join(heads),
            f"the database is at {at}",
            "lockstep migrate upgrade",
        )


def _knows(scripts: ScriptDirectory, name: str) -> bool:
    try:
        scripts.get_revision(name)
    except CommandError:
        return False
    return True


def _models(metadata: sa.MetaData) -> Iterator[CheckFinding]:
    for table in metadata.tables.values():
        yield from _unnamed(table)
        yield from _too_long(table)
    for finding in check_portability(metadata):
        yield CheckFinding(
            f"portability-{finding.code}",
            "warning",
            finding.where,
            f"{finding.message}: {finding.reason}"
            if finding.reason
            else (finding.message),
            finding.fix,
        )


def _unnamed(table: sa.Table) -> Iterator[CheckFinding]:
    for constraint in table.constraints:
        empty = isinstance(constraint, sa.PrimaryKeyConstraint) and not (
            constraint.columns
        )
        if isinstance(constraint.name, str) or empty:
            continue
        if getattr(constraint, "_type_bound", False):
            continue
        kind = type(constraint).__name__.removesuffix("Constraint")
        columns = ", ".join(column.name for column in columns_of(constraint))
        yield CheckFinding(
            "unnamed-constraint",
            "error",
            f"{table.name}({columns})",
            f"a {kind} constraint has no name and could never be dropped portably",
            "give it a name, or the metadata ls.NAMING_CONVENTION",
        )


def _too_long(table: sa.Table) -> Iterator[CheckFinding]:
    names = [("table", table.name)]
    names += [("column", column.name) for column in table.columns]
    names += [
        ("constraint", str(constraint.name))
        for constraint in table.constraints
        if isinstance(constraint.name, str)
    ]
    names += [("index", str(index.name)) for index in table.indexes]
    for kind, name in names:
        size = len(name.encode("utf-8"))
        if size > IDENTIFIER_BYTES_MAX:
            yield CheckFinding(
                "name-too-long",
                "error",
                f"{table.name}: {name}",
                f"the {kind}'s name has {size} bytes; PostgreSQL cuts it after "
                f"{IDENTIFIER_BYTES_MAX}",
                "shorten it",
            )


def _drift(
    context: MigrationContext, request: MigrationRequest
) -> Iterator[CheckFinding]:
    try:
        autogenerate(AutogenContext(context), UpgradeOps([]))
    except NotPortable as exc:
        yield _error("not-portable", "models", exc)
        return
    for item in request.differences:
        place = item.table if item.name is None else f"{item.table}.{item.name}"
        yield CheckFinding(
            "drift",
            "error",
            place,
            item.sentence(),
            "lockstep migrate revision --autogenerate, then upgrade; or correct the "
            "models",
        )
    for warning in request.warnings:
        yield CheckFinding("history", "warning", "history", warning)


def _error(code: str, where: str, exc: LockstepError) -> CheckFinding:
    return CheckFinding(code, "error", where, exc.message, exc.hint)
