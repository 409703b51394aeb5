"""All that a project's ``migrations/env.py`` contains: ``env.run(Base.metadata)``.

Owns the configuration of Alembic's context, the same for our verbs and for the
plain ``alembic`` command: our comparison, our renderer, our operations, our
runner. Must not know: argument parsing, printing of results.

    alembic upgrade head ─┐
                          ├─► migrations/env.py ─► env.run ─► Runner
    lockstep migrate … ───┘
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep.errors import ConfigError
from lockstep.migrations.request import ATTRIBUTE, OPTION, MigrationRequest
from lockstep.migrations.results import (
    Progress,
    RevisionStarted,
    WaitingForMigrator,
)

if TYPE_CHECKING:
    import sqlalchemy as sa
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext

    from lockstep.config import Settings


def run(metadata: sa.MetaData | None = None, **options: Any) -> None:
    """Do what Alembic's current command asks, on the project's database.

    Args:
        metadata: The models' tables. Without it the setting ``models`` is used.
        options: Further options of Alembic's ``context.configure``, such as
            ``include_object``, ``include_name`` or ``version_table``.
            ``run_arguments`` (a dict) is handed to every revision's functions.

    Raises:
        ConfigError: There is no metadata, or no database.
        MigrationError: A revision failed; see :class:`~lockstep.errors.MigrationError`.
    """
    from alembic import context

    request: MigrationRequest | None = context.config.attributes.get(ATTRIBUTE)
    owned = request is None
    if request is None:
        request = _request_from_settings(context.config)
    request.reached = True
    if request.metadata is None:
        request.metadata = metadata if metadata is not None else _models(request)
    arguments = options.pop("run_arguments", {})
    try:
        if context.is_offline_mode():
            _run_offline(request, options, arguments)
        else:
            _run_online(request, options, arguments)
    finally:
        if owned:
            request.database.close()
    if owned and request.found_nothing:
        print("models and database agree; no revision was written", file=sys.stderr)
    for warning in request.warnings if owned else ():
        print(f"look at: {warning}", file=sys.stderr)


def _request_from_settings(config: Config) -> MigrationRequest:
    from lockstep.engine import Database

    settings = _settings(config)
    extra: list[str] = getattr(config.cmd_opts, "x", None) or []
    urls = [item.removeprefix("url=") for item in extra if item.startswith("url=")]
    url = urls[-1] if urls else None
    verb: Any = getattr(config.cmd_opts, "cmd", None)
    writes = bool(verb) and verb[0].__name__ == "revision"
    return MigrationRequest(
        Database(url, settings=settings), on_progress=_tell, drops_empty=writes
    )


def _settings(config: Config) -> Settings:
    from lockstep.config import load_settings

    named = config.config_file_name
    start = Path(named).resolve().parent if named else Path.cwd()
    return load_settings(start=start)


def _models(request: MigrationRequest) -> sa.MetaData:
    """Return the metadata that the setting ``models`` names."""
    settings = getattr(request.database, "settings", None)
    named = getattr(settings, "models", None)
    if settings is None or named is None:
        raise ConfigError(
            "env.run() was given no metadata, and the setting 'models' is not set",
            hint="env.run(Base.metadata), or models = 'app.models:Base' in "
            "[tool.lockstep]",
        )
    return metadata_named(named, root=settings.root)


def metadata_named(name: str, *, root: Path) -> sa.MetaData:
    """Return the metadata of ``package.module:Name``.

    Args:
        name: A declarative base, a MetaData or SQLModel.
        root: The project's folder; put on ``sys.path`` when it is not.

    Raises:
        ConfigError: The module or the name does not exist, or is none of these.
    """
    import importlib

    import sqlalchemy as sa

    module_name, _, attribute = name.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split(".") if attribute else ():
            found = getattr(found, part)
    except (ImportError, AttributeError) as exc:
        raise ConfigError(
            f"the models {name!r} cannot be loaded: {exc}",
            hint="[tool.lockstep] models = 'package.module:Base'",
        ) from exc
    metadata = found if isinstance(found, sa.MetaData) else found.metadata
    if not isinstance(metadata, sa.MetaData):
        raise ConfigError(
            f"{name!r} is neither a declarative base nor a MetaData",
            hint="[tool.lockstep] models = 'package.module:Base'",
        )
    return metadata


def _run_offline(
    request: MigrationRequest, options: dict[str, Any], arguments: dict[str, Any]
) -> None:
    """Write SQL instead of changing a database; PostgreSQL only."""
    from alembic import context

    from lockstep.migrations.portable import PortableOperations

    context.configure(
        dialect_name=request.database.dialect_name,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        **_common_options(request, options),
    )
    migration_context = context.get_context()
    _use_our_impl(migration_context)
    with (
        PortableOperations(migration_context).installed(),
        context.begin_transaction(),
    ):
        migration_context.run_migrations(**arguments)


def _run_online(
    request: MigrationRequest, options: dict[str, Any], arguments: dict[str, Any]
) -> None:
    from alembic import context

    from lockstep.migrations.runner import Runner

    with request.database.engine.connect() as connection:
        context.configure(
            connection=connection,
            **_common_options(request, options),
        )
        migration_context = context.get_context()
        _use_our_impl(migration_context)
        Runner(migration_context, request).run(**arguments)


def _common_options(
    request: MigrationRequest, options: dict[str, Any]
) -> dict[str, Any]:
    from lockstep.migrations import autogenerate

    hook: Callable[..., None] | None = options.pop("process_revision_directives", None)
    return {
        "target_metadata": request.metadata,
        "autogenerate_plugins": [autogenerate.PLUGIN],
        "process_revision_directives": autogenerate.directives_hook(request, hook),
        "transaction_per_migration": True,
        OPTION: request,
        **options,
    }


def _use_our_impl(context: MigrationContext) -> None:
    """Replace Alembic's carrying out with ours, for this context only."""
    from lockstep.migrations.postgresql.impl import SafePostgresqlImpl
    from lockstep.migrations.sqlite.impl import SafeSqliteImpl

    kinds = {"sqlite": SafeSqliteImpl, "postgresql": SafePostgresqlImpl}
    kind = kinds[context.dialect.name]
    context.impl = kind(
        context.dialect,
        context.connection,
        context.as_sql,
        True,
        context.output_buffer,
        context.opts,
    )


def _tell(event: Progress) -> None:
    """Tell the user of the plain ``alembic`` command what goes on."""
    if isinstance(event, RevisionStarted):
        position = f"{event.position}/{event.total}"
        text = f"{event.direction} {position}: {event.revision} {event.message}"
        print(text, file=sys.stderr)
    elif isinstance(event, WaitingForMigrator):
        print("waiting for another migrator", file=sys.stderr)
