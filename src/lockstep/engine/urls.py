"""Database URLs as people have them, made into one form.

Owns every spelling of "which database": SQLAlchemy URLs with or without a
driver, SQLite ``file:`` URIs and bare paths, the ``postgres://`` URLs that
Supabase, Neon and Heroku hand out, the ``libsql://`` and ``http://`` URLs of libSQL
servers. It opens nothing and asks no server; of a bare word it only looks whether
there is such a file.

    text ──parse──► DatabaseUrl ──► sqlalchemy_url()   engines are made from it
                                ├─► path, sqlite_uri   what sqlite3 opens
                                └─► str(), repr()      masked, for people

Invariants: a relative path is made absolute once, so a later ``chdir`` cannot
open another file; no text made from a ``DatabaseUrl`` carries a secret, except
the one that is asked for by name (``sqlalchemy_url``).
"""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, quote, unquote

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from lockstep.errors import ConfigError
from lockstep.redaction import SECRET_PARAMETERS, redact

EngineName = Literal["sqlite", "libsql", "postgresql"]
DialectName = Literal["sqlite", "postgresql"]

POOLER_PORT = 6543
"""Where Supabase's and many pgbouncer installations listen."""

_POSTGRESQL = re.compile(r"^(?:postgres|postgresql)(?:\+\w+)?$")
_SQLITE = re.compile(r"^sqlite(?:\+(?:pysqlite|aiosqlite))?$")
_LIBSQL = re.compile(
    r"^(?:sqlite\+)?(?:libsql|turso|aiolibsql)(?:\+(?:https?|wss?))?$|^(?:https?|wss?)$"
)
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_FILE_SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3", ".s3db", ".sl3")
_SQLITE_PARAMETERS = {"mode", "immutable", "vfs", "cache", "uri"}
TOKEN_PARAMETER = "authToken"  # noqa: S105 - a parameter's name
# What libSQL's own clients understand; those of embedded replicas are refused.
_LIBSQL_PARAMETERS = {"tls", "secure", "authtoken", "auth_token"}
_REPLICA_PARAMETERS = {"sync_url", "syncurl", "sync_interval", "offline"}
_SQLITE_MODES = {"ro", "rw", "rwc", "memory"}
# libpq words that name a part of the URL itself; given as parameters (a unix
# socket's ``?host=``, Heroku's ``?user=``) they mean the same.
_URL_PARTS = {"user": "username", "password": "password", "dbname": "database"}
_SSL_WORDS = {
    **{word: word for word in ("disable", "allow", "prefer", "require")},
    **{word: word for word in ("verify-ca", "verify-full")},
    **{"true": "require", "1": "require", "false": "disable", "0": "disable"},
}
# What other tools put into a URL for themselves; it says nothing about the server.
_FOREIGN_PARAMETERS = {
    *("connection_limit", "pool_timeout", "statement_cache_size", "supa"),
    *("prepared_statement_cache_size", "uselibpqcompat", "workaround"),
}


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """One database, named in one way. ``str()`` and ``repr()`` are masked.

    Attributes:
        engine_name: ``sqlite``, ``libsql`` (a server) or ``postgresql``.
        path: The SQLite file, absolute; None in memory and on servers.
        in_memory: A SQLite database that lives as long as its ``Database``.
        read_only: The URL says ``mode=ro`` or ``immutable=1``.
        pooler_likely: The URL looks like a transaction pooler's.
    """

    engine_name: EngineName
    path: Path | None = None
    in_memory: bool = False
    read_only: bool = False
    pooler_likely: bool = False
    _url: sa.URL = field(default_factory=lambda: sa.URL.create("sqlite"), repr=False)
    _sqlite_query: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(
        cls, url: str | sa.URL | Path, *, base: Path | None = None
    ) -> DatabaseUrl:
        """Understand ``url``; relative files lie in ``base`` (working directory).

        Raises:
            ConfigError: The URL names no database this library knows, or has a
                part that means nothing to it.
        """
        if isinstance(url, sa.URL):
            url = url.render_as_string(hide_password=False)
        text = os.fspath(url).strip()
        if not text or "\0" in text:
            raise ConfigError(
                "the database URL is empty or holds a NUL character",
                hint="sqlite:///local.db, or postgresql://user@host/name",
            )
        scheme = _SCHEME.match(text)
        if scheme is None or len(scheme[1]) == 1 or text == ":memory:":
            return _bare_path(text, base)
        name = scheme[1].lower()
        if name == "file":
            return _sqlite_file_uri(text, base)
        if _SQLITE.match(name):
            return _sqlite_url(text[scheme.end() :], bool(scheme[2]), base)
        if _POSTGRESQL.match(name):
            return _postgresql_url(text)
        if _LIBSQL.match(name):
            return _libsql_url(text, name, base)
        raise ConfigError(
            f"'{name}:' is no database this library knows",
            hint="sqlite:///file.db, libsql://host or postgresql://user@host/database",
            detail={"scheme": name},
        )

    def sqlalchemy_url(self, async_: bool = False) -> sa.URL:
        """Return the URL for ``create_engine``, **with its password**.

        SQLite: the query says how the file is opened (``uri=true``).
        """
        if self.engine_name == "postgresql":
            return self._url.set(drivername="postgresql+psycopg")
        if self.engine_name == "libsql":
            driver = "sqlite+aiohrana" if async_ else "sqlite+hrana"
            return self._url.set(drivername=driver, query={})
        driver = "sqlite+aiosqlite" if async_ else "sqlite+pysqlite"
        return sa.URL.create(
            driver,
            database=self.sqlite_uri.partition("?")[0],
            query={"uri": "true", **dict(self._sqlite_query)},
        )

    def unmasked(self) -> str:
        """Return the URL as text, **with its password**; ``parse`` reads it."""
        if self.engine_name == "sqlite":
            return self._file_text(str(self.path))
        return self._url.render_as_string(hide_password=False)

    @property
    def dialect_name(self) -> DialectName:
        """Which SQL is spoken: ``sqlite`` (also by libSQL) or ``postgresql``."""
        return "postgresql" if self.engine_name == "postgresql" else "sqlite"

    @property
    def http_url(self) -> str:
        """Where a libSQL server is reached; without the token."""
        assert self.engine_name == "libsql", "only a libSQL server has an HTTP address"
        scheme = "http" if self._url.query.get("tls") == "0" else "https"
        address = self._url.set(drivername=scheme, query={})
        return address.render_as_string(hide_password=False)

    @property
    def auth_token(self) -> str | None:
        """The token that the URL of a libSQL server carries."""
        token = self._url.query.get(TOKEN_PARAMETER)
        return token if isinstance(token, str) else None

    @property
    def sqlite_uri(self) -> str:
        """The ``file:`` URI that sqlite3 opens; absolute and percent-encoded."""
        assert self.engine_name == "sqlite", "only a SQLite database has a file URI"
        path = self.path
        name = self._url.database if path is None else quote(os.fsencode(path))
        query = "&".join(f"{k}={quote(v)}" for k, v in self._sqlite_query)
        return f"file:{name}" + (f"?{query}" if query else "")

    @property
    def secrets(self) -> frozenset[str]:
        """The texts that must never be shown."""
        found = {str(self._url.password or "")}
        for name, value in self._url.query.items():
            if name.lower() in SECRET_PARAMETERS:
                found.update([value] if isinstance(value, str) else value)
        return frozenset(filter(None, found))

    def __str__(self) -> str:
        if self.path is not None:
            # A name that is no UTF-8 is shown, and stored by others, as text.
            name = os.fsencode(self.path).decode("utf-8", "backslashreplace")
            return self._file_text(name)
        if self.in_memory:
            return "sqlite://"
        return redact(self._url.render_as_string(hide_password=True))

    def _file_text(self, name: str) -> str:
        if self.in_memory:
            return "sqlite://"
        ours = [(k, v) for k, v in self._sqlite_query if (k, v) != ("mode", "rwc")]
        query = "&".join(f"{k}={v}" for k, v in ours)
        return f"sqlite:///{name}" + (f"?{query}" if query else "")

    def __repr__(self) -> str:
        return f"DatabaseUrl({str(self)!r})"


def _bare_path(text: str, base: Path | None) -> DatabaseUrl:
    if text == ":memory:":
        return _memory()
    looks_like_a_file = (
        text.lower().endswith(_FILE_SUFFIXES)
        or text.startswith((".", "~"))
        or Path(text).is_absolute()
        # Many programs give their SQLite files an ending of their own, or none.
        or ((base or Path.cwd()) / text).is_file()
    )
    if not looks_like_a_file or text.endswith("/"):
        raise ConfigError(
            f"'{redact(text)}' is neither a URL nor the path of a SQLite file",
            hint="name a file that is there, ./NAME for one to be made, or a URL: "
            "sqlite:///file.db, postgresql://user@host/database",
        )
    return _file(text, {}, base)


def _sqlite_file_uri(text: str, base: Path | None) -> DatabaseUrl:
    """``file:path?mode=ro`` as SQLite itself reads it."""
    name, _, query = text[len("file:") :].partition("#")[0].partition("?")
    if name.startswith("//"):
        authority, slash, rest = name[2:].partition("/")
        if authority not in ("", "localhost"):
            raise ConfigError(
                f"a file: URI names this host only, not '{authority}'",
                hint="write file:/absolute/path, or file:relative",
            )
        name = slash + rest
    return _file(unquote(name), dict(parse_qsl(query)), base)


def _sqlite_url(rest: str, has_slashes: bool, base: Path | None) -> DatabaseUrl:
    """``sqlite:///relative``, ``sqlite:////absolute``, ``sqlite://`` (memory)."""
    name, _, query = rest.partition("?")
    if not has_slashes:
        raise ConfigError(
            "a SQLite URL has three slashes before the file's name",
            hint="sqlite:///file.db, or sqlite:////absolute/file.db",
        )
    if name.startswith("/"):
        name = name[1:]
    elif name:
        raise ConfigError(
            f"'sqlite://{redact(name)}' has two slashes, which would name a host",
            hint=f"sqlite:///{redact(name)}",
        )
    if name.startswith("file:"):
        return _sqlite_file_uri(f"{name}?{query}", base)
    return _file(name, dict(parse_qsl(query)), base)


def _file(name: str, query: dict[str, str], base: Path | None) -> DatabaseUrl:
    unknown = sorted(set(query) - _SQLITE_PARAMETERS)
    if unknown:
        raise ConfigError(
            f"the SQLite URL has an unknown parameter '{unknown[0]}'",
            hint="known: mode=ro|rw|rwc|memory, immutable=1, vfs=…; everything else "
            "is a setting (LOCKSTEP_SQLITE__…)",
        )
    query.pop("uri", None)
    mode = query.get("mode", "rwc")
    if mode not in _SQLITE_MODES:
        raise ConfigError(
            f"mode={mode} is none of ro, rw, rwc, memory",
            hint="leave mode= out to read and write",
        )
    if name in ("", ":memory:") or mode == "memory":
        return _memory()
    if query.pop("cache", "private") == "shared":
        raise ConfigError(
            "cache=shared locks tables without waiting, so writers would fail",
            hint="leave it out; connections share the file itself",
        )
    folder = base or Path.cwd()
    try:
        named = Path(name).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"'{redact(name)}' begins with '~', and there is no such user",
            hint="./~name is a file of that name",
        ) from error
    path = Path(os.path.normpath(folder.absolute() / named))
    immutable = query.get("immutable", "0").lower() not in ("0", "no", "off", "false")
    return DatabaseUrl(
        "sqlite",
        path=path,
        read_only=mode == "ro" or immutable,
        _sqlite_query=tuple(sorted({**query, "mode": mode}.items())),
    )


def _memory() -> DatabaseUrl:
    # SQLite's memdb VFS: connections of one process share a database by name,
    # with real locks between them, so threads and tasks behave as on a file.
    # See https://sqlite.org/src/file?name=src/memdb.c
    name = f"/lockstep-{uuid.uuid4().hex}"
    return DatabaseUrl(
        "sqlite",
        in_memory=True,
        _url=sa.URL.create("sqlite", database=name),
        _sqlite_query=(("vfs", "memdb"),),
    )


def _libsql_url(text: str, scheme: str, base: Path | None) -> DatabaseUrl:
    """``libsql://host``, ``http://host:8080``, ``libsql:///file.db`` (a SQLite file).

    Everything is made into ``libsql://host:port/path?tls=0&authToken=…``.
    """
    rest = text[len(scheme) + 1 :]
    if not rest.startswith("//") or rest.startswith("///"):
        # What such a file is, and how other clients' URLs spell one.
        return _sqlite_url(rest.removeprefix("//"), rest.startswith("//"), base)
    try:
        url = make_url(f"libsql:{rest}")
    except (ArgumentError, ValueError):
        url = None
    if url is None or not url.host:
        # The parser's own message quotes the URL, so it is not chained.
        raise ConfigError(
            "the libSQL URL cannot be read",
            hint="libsql://host, or http://127.0.0.1:8080 for a server without TLS",
        )
    if url.username or url.password:
        raise ConfigError(
            "a libSQL server takes a token, not a user and a password",
            hint="libsql://host?authToken=…, or LOCKSTEP_LIBSQL__AUTH_TOKEN",
        )
    given = {name.lower(): value for name, value in url.query.items()}
    _refuse_libsql_parameters(given)
    clear = scheme.endswith(("http", "ws"))
    if "tls" in given or "secure" in given:
        clear = given.get("tls", given.get("secure")) in ("0", "false")
    query: dict[str, Any] = {"tls": "0"} if clear else {}
    token = given.get("authtoken", given.get("auth_token"))
    if token:
        query[TOKEN_PARAMETER] = token
    path = (url.database or "").strip("/") or None
    kept = sa.URL.create("libsql", None, None, url.host, url.port, path, query)
    return DatabaseUrl("libsql", _url=kept)


def _refuse_libsql_parameters(given: dict[str, Any]) -> None:
    replica = sorted(_REPLICA_PARAMETERS & set(given))
    if replica:
        raise ConfigError(
            f"'{replica[0]}' asks for an embedded replica, which this library does "
            "not open",
            hint="leave it out to speak to the server itself",
        )
    unknown = sorted(set(given) - _LIBSQL_PARAMETERS)
    if unknown:
        raise ConfigError(
            f"the libSQL URL has an unknown parameter '{unknown[0]}'",
            hint="known: authToken, tls=0|1; everything else is a setting "
            "(LOCKSTEP_LIBSQL__…)",
        )
    for name in ("tls", "secure"):
        if given.get(name, "1") not in ("0", "1", "true", "false"):
            raise ConfigError(
                f"{name}={given[name]} is neither 0 nor 1",
                hint="write tls=0 for a server without TLS, else leave it out",
            )


def _postgresql_url(text: str) -> DatabaseUrl:
    text = _hosts_as_parameters(re.sub(r"^[^:]+", "postgresql", text, count=1))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or "@" in (url.host or "") or not _is_port(url.port):
        # The parser's own message quotes the URL, so it is not chained.
        raise ConfigError(
            "the PostgreSQL URL cannot be read",
            hint="postgresql://user@host:5432/database; in a user's name or a password "
            "write %40 for @, %2F for /, %3A for :, %23 for #, %25 for %",
        )
    parts: dict[str, Any] = {}
    query: dict[str, Any] = {}
    for name, value in url.query.items():
        if name in _URL_PARTS and isinstance(value, str):
            parts[_URL_PARTS[name]] = value
        else:
            query.update(_libpq_parameter(name, value))
    wants_pooler = str(query.pop("pgbouncer", "")).lower() in ("true", "1", "yes")
    if (url.host or "").lower().startswith("%2f"):
        # A unix socket's folder as libpq writes it into a URL.
        query["host"] = unquote(url.host or "")
        parts["host"] = ""
    url = url.set(query=query, **parts)
    hosts = (url.host or "", *_listed(query.get("host")))
    pooler = (
        wants_pooler
        or url.port == POOLER_PORT
        or any("pooler" in host.lower() for host in hosts)
    )
    return DatabaseUrl("postgresql", pooler_likely=pooler, _url=url)


def _is_port(port: int | None) -> bool:
    return port is None or 0 < port < 65_536


def _hosts_as_parameters(text: str) -> str:
    """Rewrite libpq's ``//h1:5432,h2:5433/db`` as SQLAlchemy reads several hosts."""
    found = re.match(
        r"^(postgresql://)([^/?#]*@)?([^/?#@]*,[^/?#@]*)(/[^?#]*)?(.*)$", text
    )
    if found is None:
        return text
    scheme, user, hosts, path, rest = (part or "" for part in found.groups())
    given = "&".join(f"host={host}" for host in hosts.split(","))
    return f"{scheme}{user}{path or '/'}?{given}" + rest.replace("?", "&", 1)


def _libpq_parameter(name: str, value: Any) -> dict[str, Any]:
    """Return what libpq calls a parameter that other drivers made popular."""
    if name == "ssl" and value in _SSL_WORDS:  # asyncpg, node-postgres
        return {"sslmode": _SSL_WORDS[value]}
    if name == "sslmode" and value == "no-verify":  # node-postgres
        return {"sslmode": "require"}
    if name == "sslmode" and value not in _SSL_WORDS.values():
        raise ConfigError(
            f"sslmode={value} is nothing that libpq knows",
            hint=f"write one of: {', '.join(dict.fromkeys(_SSL_WORDS.values()))}",
        )
    if name == "sslaccept":  # Prisma
        return {"sslmode": "verify-full" if value == "strict" else "require"}
    if name == "schema":  # Prisma
        if value == "public":
            return {}
        raise ConfigError(
            "'schema=' is no parameter of PostgreSQL",
            hint=f"options=-csearch_path%3D{value}",
        )
    if name in _FOREIGN_PARAMETERS:
        return {}
    return {name: value}


def _listed(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(cast("list[str]", value))
