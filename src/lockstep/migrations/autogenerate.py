"""Autogenerate: Alembic's hooks, our comparison.

Owns the plugin that takes the place of Alembic's comparators for contexts which
``env.run`` configured, and the collection of differences from three witnesses:

    the database  vs  the models in a shadow on the same engine
    the history, declared  vs  the models, declared          (what SQLite hides)
    the history on a scratch SQLite  vs  the models there    (what PostgreSQL hides)

Must not know: how an operation is written or carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from alembic.runtime.plugins import Plugin
from alembic.util import PriorityDispatchResult

from lockstep.engine.idempotency import WRITE_KEYS_TABLE
from lockstep.migrations.changes import ChangePlanner
from lockstep.migrations.declared import declared_state
from lockstep.migrations.diff import Difference, differences
from lockstep.migrations.effective import effective_metadata
from lockstep.migrations.ledger import Ledger
from lockstep.migrations.render.operations import register_renderers
from lockstep.migrations.replay import replaying, upwards
from lockstep.migrations.request import OPTION, MigrationRequest
from lockstep.migrations.shadow import database_state, model_state
from lockstep.migrations.sqlite.snapshot import sqlite_snapshot
from lockstep.migrations.state import SchemaState
from lockstep.schema import touch_trigger_name
from lockstep.schema.names import MOVE_TABLES

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import MigrationScript, UpgradeOps
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection


PLUGIN = "lockstep.autogenerate"


@dataclass
class Comparison:
    """The outcome of a comparison.

    Attributes:
        differences: What leads from the database to the models.
        models: The models with portable defaults.
        ledger: What the history declares.
        database: The database's schema.
        warnings: What could not be looked at.
    """

    differences: list[Difference]
    models: sa.MetaData
    ledger: Ledger
    database: SchemaState
    warnings: list[str]


def compare(
    connection: Connection,
    metadata: sa.MetaData | Sequence[sa.MetaData],
    scripts: ScriptDirectory | None,
    *,
    ignore: Sequence[str] = ("alembic_version",),
) -> Comparison:
    """Compare a database at the head of its history with the models.

    Args:
        connection: In a transaction; nothing is changed.
        metadata: The models.
        scripts: The history; without it only the database is asked.
        ignore: Tables that belong to nobody's models.
    """
    models = effective_metadata(metadata)
    journals = [name for name in MOVE_TABLES if name not in models.tables]
    ignore = (*ignore, WRITE_KEYS_TABLE, *journals)
    for name in ignore:
        if name in models.tables:
            models.remove(models.tables[name])
    touched = {touch_trigger_name(name) for name in models.tables}
    found: list[Difference] = []
    warnings: list[str] = []
    with replaying(models) as replay:
        if scripts is not None:
            replay.follow(upwards(scripts))
            if replay.failure is not None:
                warnings.append(
                    "the history does not replay on SQLite, so what it declared is "
                    f"only partly known: {replay.failure}"
                )
        for table in replay.ledger.tables.values():
            touched.add(touch_trigger_name(table.name))
        actual = database_state(connection, ignore=ignore)
        wanted = model_state(connection, models)
        found += differences(actual, wanted, triggers=touched)
        if scripts is not None and replay.failure is None:
            if connection.dialect.name == "sqlite":
                found += _declared(replay.ledger, models)
            else:
                there = sqlite_snapshot(replay.connection, ignore=ignore)
                found += _on_sqlite(there, models, touched)
        ledger = replay.ledger
    return Comparison(_once(found), models, ledger, actual, warnings)


def _declared(ledger: Ledger, models: sa.MetaData) -> list[Difference]:
    return _within_tables(
        differences(declared_state(ledger.metadata()), declared_state(models))
    )


def _on_sqlite(there: Any, models: sa.MetaData, touched: set[str]) -> list[Difference]:
    from lockstep.migrations.shadow import memory_database

    with memory_database() as shadow:
        wanted = model_state(shadow, models)
    return _within_tables(differences(there, wanted, triggers=touched))


def _within_tables(found: list[Difference]) -> list[Difference]:
    """Leave out tables and columns: whether they exist, the database knows."""
    return [item for item in found if item.kind not in ("table", "column")]


def _once(found: list[Difference]) -> list[Difference]:
    kept: dict[tuple[object, ...], Difference] = {}
    for item in found:
        kept.setdefault(item.key, item)
    return list(kept.values())


def autogenerate(
    context: AutogenContext, upgrade_ops: UpgradeOps
) -> PriorityDispatchResult:
    """Take the place of Alembic's comparators."""
    migration = context.migration_context
    metadata = cast("Any", context.metadata)
    assert context.connection is not None, "autogenerate has a database"
    comparison = compare(
        context.connection,
        metadata,
        migration.script,
        ignore=(migration.version_table,),
    )
    request: MigrationRequest | None = migration.opts.get(OPTION)
    planner = ChangePlanner(
        comparison.differences,
        comparison.models,
        comparison.ledger,
        comparison.database,
        keeps=_filter(context),
    )
    up, down = planner.plan()
    upgrade_ops.ops[:] = up
    if request is not None:
        request.warnings += [*comparison.warnings, *planner.warnings]
        request.downgrade_ops = down
        request.differences = planner.found
    return PriorityDispatchResult.STOP


def _filter(context: AutogenContext) -> Callable[[Any, str | None, Any, bool], bool]:
    def keeps(item: Any, name: str | None, kind: Any, reflected: bool) -> bool:
        if kind == "table" and reflected:
            parents: Any = {"schema_name": None}
            if not context.run_name_filters(name, "table", parents):
                return False
        return context.run_object_filters(item, name, kind, reflected, None)

    return keeps


def directives_hook(
    request: MigrationRequest, then: Callable[..., None] | None
) -> Callable[..., None]:
    """Return the hook that finishes a new revision before it is written."""

    def finish(
        context: MigrationContext, revision: Any, directives: list[MigrationScript]
    ) -> None:
        from lockstep.migrations.describe import describe_all

        script = directives[0]
        if request.downgrade_ops is not None and script.downgrade_ops is not None:
            script.downgrade_ops.ops[:] = request.downgrade_ops
        if then is not None:
            then(context, revision, directives)
        if not directives:
            return
        upgrade = directives[0].upgrade_ops
        assert upgrade is not None, "a revision has an upgrade"
        request.operations[:] = describe_all(upgrade.ops)
        autogenerated = request.downgrade_ops is not None
        if autogenerated and upgrade.is_empty() and request.drops_empty:
            directives[:] = []
            request.found_nothing = True

    return finish


Plugin(PLUGIN).add_autogenerate_comparator(autogenerate, "autogenerate")
register_renderers()
