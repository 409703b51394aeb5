"""Settings: what they are called, where they come from, what they default to.

Owns every setting's name, type, unit and default, the order of the sources
(argument, environment, ``[tool.lockstep]``, default) and the record of where
each value came from. It knows no engine: a URL is a text here.

Importing this module imports pydantic; the rest of the library imports it where
settings are first needed, so that ``import lockstep`` stays light.

Invariants: an unknown or unreadable setting is a ``ConfigError`` that names it;
no error, ``repr`` or dump of settings shows a secret.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_serializer,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.sources.utils import parse_env_vars

from lockstep.errors import ConfigError
from lockstep.redaction import redact

DEFAULT_URL = "sqlite:///local.db"
PRODUCTION = "production"
PYPROJECT = "pyproject.toml"
ENV_PREFIX = "LOCKSTEP_"

# Names other tools and platforms already set; ours win over them.
_FOREIGN_VARIABLES = {"url": "DATABASE_URL", "app_env": "APP_ENV"}

_GROUP = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SqliteSettings(BaseModel):
    """How SQLite files are opened."""

    model_config = _GROUP

    busy_timeout_s: float = Field(default=5.0, ge=0, le=3600)
    """How long a transaction waits for another writer."""
    synchronous: Literal["off", "normal", "full", "extra"] = "full"
    """``full``: a commit survives a power cut. ``normal``: it may be lost."""
    cache_size_kib: int = Field(default=16384, ge=64, le=16 * 1024 * 1024)
    """Page cache of each connection."""
    allow_network_filesystem: bool = False
    """Open files on NFS, SMB, 9p and the like; their locks cannot be trusted."""
    allow_second_library: bool = False
    """Open a file although another SQLite library of this process may have it."""


class LibsqlSettings(BaseModel):
    """How libSQL servers are spoken to."""

    model_config = _GROUP

    auth_token: SecretStr | None = None
    """The token, where the URL has none."""
    auth_token_file: Path | None = None
    """Where the token stands instead; read for each request, so it may change."""
    busy_timeout_s: float = Field(default=5.0, ge=0, le=3600)
    """How long a transaction waits for the other writers of this process."""
    statement_timeout_s: float = Field(default=30.0, gt=0, le=3600)
    """How long an answer may take as a whole; of a streamed one each row."""
    stream_timeout_s: float = Field(default=3600.0, gt=0, le=7 * 86400)
    """How long one waits in all for the rows of a streamed answer."""
    connect_timeout_s: float = Field(default=10.0, gt=0, le=600)
    """How long reaching the server may take."""


class PostgresqlSettings(BaseModel):
    """How PostgreSQL servers are spoken to."""

    model_config = _GROUP

    statement_timeout_s: float = Field(default=30.0, ge=0, le=86400)
    """A statement may run this long; 0 is no limit."""
    lock_timeout_s: float = Field(default=5.0, ge=0, le=86400)
    """A statement may wait this long for a lock; 0 is no limit."""
    idle_in_transaction_timeout_s: float = Field(default=60.0, ge=0, le=86400)
    """The server ends a session that forgot its open transaction; 0 is never."""
    connect_timeout_s: int = Field(default=10, ge=1, le=600)
    """How long reaching the server may take."""
    pooler: Literal["auto", "none", "transaction"] = "auto"
    """Whether a transaction pooler stands between; ``auto`` looks at the URL."""
    application_name: str = Field(default="lockstep", max_length=63)
    """The name that ``pg_stat_activity`` shows."""


class PoolSettings(BaseModel):
    """How many connections each process may hold, per engine."""

    model_config = _GROUP

    size: int = Field(default=5, ge=1, le=1000)
    """Connections that are kept open."""
    overflow_max: int = Field(default=5, ge=0, le=1000)
    """Connections above ``size`` that are opened under load, then closed."""
    timeout_s: float = Field(default=10.0, gt=0, le=3600)
    """How long a caller waits for a free connection."""
    recycle_s: int = Field(default=1800, ge=1, le=86400)
    """Connections older than this are replaced before they are used."""


class WriteSettings(BaseModel):
    """How ``Database.write`` groups commits."""

    model_config = _GROUP

    timeout_s: float = Field(default=30.0, gt=0, le=3600)
    """How long a function waits for its turn when the call does not say."""
    queue_max: int = Field(default=10_000, ge=1, le=1_000_000)
    """Functions that may wait; more are refused."""
    batch_max: int = Field(default=500, ge=1, le=100_000)
    """Functions that share one transaction."""
    batch_s_max: float = Field(default=0.02, gt=0, le=10)
    """After this long no further function joins a transaction."""
    key_retention_s: int = Field(default=7 * 86400, ge=60, le=10 * 365 * 86400)
    """How long an idempotency key is kept."""


class Settings(BaseSettings):
    """All settings of one application, with the place each came from.

    Make it with :func:`load_settings`; the constructor reads no source.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    url: str | None = None
    """The database. Default: ``sqlite:///local.db``, never in production."""
    app_env: str = "local"
    """``production`` refuses an implicit SQLite file."""
    models: str | None = None
    """Where the models are: ``app.models:Base``, a MetaData or SQLModel."""
    migrations: str = "migrations"
    """The folder of the history, seen from the project's folder."""
    seed: str | None = None
    """The function that seeds: ``app.seed:seed``; it takes a Session."""
    scratch_postgresql_url: str | None = None
    """A server on which throw-away databases may be made."""
    sqlite: SqliteSettings = SqliteSettings()
    libsql: LibsqlSettings = LibsqlSettings()
    postgresql: PostgresqlSettings = PostgresqlSettings()
    pool: PoolSettings = PoolSettings()
    write: WriteSettings = WriteSettings()
    provenance: dict[str, str] = Field(default_factory=dict)
    """Where each value came from, by dotted name."""
    root: Path = Path()
    """The project's folder: that of pyproject.toml, else where loading began."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing by itself: ``load_settings`` merges and keeps the record."""
        return (init_settings,)

    @field_serializer("url", "scratch_postgresql_url")
    def _masked(self, url: str | None) -> str | None:
        return None if url is None else redact(url)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Show every field, secrets masked."""
        return [
            (name, redact(value) if isinstance(value, str) else value)
            for name, value in super().__repr_args__()
        ]


class _Environment(EnvSettingsSource):
    """pydantic's own reader of variables, over the mapping it is given."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._given = env
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(
            self._given,
            self.case_sensitive,
            self.env_ignore_empty,
            self.env_parse_none_str,
        )


def load_settings(
    *,
    start: Path | None = None,
    env: Mapping[str, str] | None = None,
    **overrides: Any,
) -> Settings:
    """Read the settings from all their sources.

    Args:
        start: Where the search for ``pyproject.toml`` begins, upwards; the
            working directory when None.
        env: The environment; the process's own when None.
        **overrides: Values that win over every source. None means "not given";
            groups are given as mappings (``pool={"size": 2}``).

    Raises:
        ConfigError: A setting is unknown or unreadable, or ``app_env`` is
            ``production`` and no URL was given.
    """
    env = os.environ if env is None else env
    start = Path.cwd() if start is None else Path(start).absolute()
    pyproject, table = _find_table(start)
    root = pyproject.parent if pyproject else start
    _refuse_unknown(table, Settings, f"[tool.lockstep] in {pyproject}")
    overrides = {k: v for k, v in overrides.items() if v is not None}
    _refuse_unknown(overrides, Settings, "an argument")

    values: dict[str, Any] = {}
    provenance: dict[str, str] = {}
    _merge(values, table, provenance, _always(PYPROJECT))
    for name, variable in _FOREIGN_VARIABLES.items():
        if env.get(variable):
            _merge(
                values,
                {name: env[variable]},
                provenance,
                _always(f"environment {variable}"),
            )
    _merge(values, _from_environment(env), provenance, _environment_name)
    _merge(values, overrides, provenance, _always("argument"))
    _choose_url(values)
    for name in _names(Settings):
        provenance.setdefault(name, "default")
    return _validated({**values, "provenance": provenance, "root": root}, provenance)


def _find_table(start: Path) -> tuple[Path | None, dict[str, Any]]:
    """Return the nearest pyproject.toml that has ``[tool.lockstep]``.

    A nearer pyproject.toml without the table does not end the search: a package
    of a monorepo may have one for its build only.
    """
    nearest: Path | None = None
    for folder in (start, *start.parents):
        path = folder / PYPROJECT
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        try:
            tool = tomllib.loads(text).get("tool", {})
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(
                f"{path} is not valid TOML: {error}",
                hint="correct that line; see https://toml.io",
            ) from error
        nearest = nearest or path
        if "lockstep" in tool:
            return path, cast("dict[str, Any]", tool["lockstep"])
    return nearest, {}


def _refuse_unknown(
    given: Mapping[str, Any], group: type[BaseModel], where: str, prefix: str = ""
) -> None:
    known = {n for n in group.model_fields if n not in ("provenance", "root")}
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise ConfigError(
                f"{where} sets '{prefix}{name}', which is no setting",
                hint=f"did you mean '{prefix}{near[0]}'?"
                if near
                else "settings here: " + ", ".join(sorted(known)),
                detail={"setting": f"{prefix}{name}"},
            )
        kind = group.model_fields[name].annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if isinstance(value, BaseModel):
                continue
            if not isinstance(value, Mapping):
                raise ConfigError(
                    f"{where}: '{prefix}{name}' is a group of settings",
                    hint=f"write its members: {prefix}{name}.NAME",
                )
            inner = cast("Mapping[str, Any]", value)
            _refuse_unknown(inner, kind, where, f"{prefix}{name}.")


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    mine = {k: v for k, v in env.items() if k.upper().startswith(ENV_PREFIX)}
    try:
        values = _Environment(mine)()
    except Exception as error:
        raise ConfigError(
            f"a {ENV_PREFIX}* variable cannot be read: {error}",
            hint=f"name one setting of a group: {ENV_PREFIX}POOL__SIZE=5",
        ) from error
    values.pop("provenance", None)
    values.pop("root", None)
    _refuse_unknown(values, Settings, f"a {ENV_PREFIX}* variable")
    return values


def _environment_name(name: str) -> str:
    return f"environment {ENV_PREFIX}{name.replace('.', '__').upper()}"


def _always(source: str) -> Callable[[str], str]:
    def name_source(_name: str) -> str:
        return source

    return name_source


def _merge(
    into: dict[str, Any],
    given: Mapping[str, Any],
    provenance: dict[str, str],
    source: Callable[[str], str],
    prefix: str = "",
) -> None:
    """Lay ``given`` over ``into``, group by group, and note where it is from."""
    for name, value in given.items():
        if isinstance(value, BaseModel):
            value = value.model_dump(exclude_unset=True)
        if isinstance(value, Mapping):
            inner = into.setdefault(name, {})
            group = cast("Mapping[str, Any]", value)
            _merge(inner, group, provenance, source, f"{prefix}{name}.")
        else:
            into[name] = value
            provenance[prefix + name] = source(prefix + name)


def _choose_url(values: dict[str, Any]) -> None:
    if values.get("url"):
        return
    if str(values.get("app_env", "")).lower() == PRODUCTION:
        raise ConfigError(
            "APP_ENV is 'production' and no database is named",
            hint="set DATABASE_URL; a SQLite file is fine when it is named",
        )
    values["url"] = DEFAULT_URL


def _names(group: type[BaseModel], prefix: str = "") -> list[str]:
    names: list[str] = []
    for name, field in group.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += _names(kind, f"{prefix}{name}.")
        elif name not in ("provenance", "root"):
            names.append(prefix + name)
    return names


def _validated(values: dict[str, Any], provenance: dict[str, str]) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"the setting '{name}' ({provenance.get(name, 'unknown source')}): "
            f"{first['msg']}",
            hint="correct it there; docs/reference/settings.md says what it takes",
            detail={"setting": name, "source": provenance.get(name)},
        ) from error
