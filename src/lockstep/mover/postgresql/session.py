"""One connection to PostgreSQL for a move, which reads and writes one form.

Owns the settings under which a value has exactly one text: dates in ISO, zone
UTC, all digits of a double, bytes in hex. What an administrator set for a database
or a role must not change a value, a name, or how long a move may take. It knows no
plan.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from lockstep.engine import classify
from lockstep.engine.postgresql import NOTICE_A_DEAD_SERVER
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import LockstepError, MissingExtraError, UnsupportedCapability
from lockstep.migrations.sqlite.tokens import quote

if TYPE_CHECKING:
    import psycopg

APPLICATION_NAME = "lockstep move"
CONNECT_TIMEOUT_S = 10
VERSION_MIN = 130_000
_ONE_FORM = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "xmloption": "content",
    "array_nulls": "on",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "30s",
    "row_security": "off",
    "synchronize_seqscans": "off",
}

_NO_END = {
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}
"""One side waits while the other one works; PostgreSQL 14 and 17 brought these."""

_NOTICE_A_DEAD_CLIENT = {
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "client_connection_check_interval": "1s",
}
"""A move that was killed, or whose machine is gone, keeps its lock no longer than
its connection; the last one, which ends a long statement too, is PostgreSQL 14's."""


def connect(url: DatabaseUrl) -> psycopg.Connection[Any]:
    """Open a connection with the settings of a move, in autocommit.

    Raises:
        LockstepError: The server cannot be reached, is too old, or does not
            store UTF-8.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise MissingExtraError("PostgreSQL", extra="pg")
    import psycopg

    with translated():
        connection: psycopg.Connection[Any] = psycopg.connect(
            url.unmasked(), autocommit=True, **_parameters(url)
        )
    try:
        with translated():
            for name, value in _ONE_FORM.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            _set_if_known(connection, {**_NO_END, **_NOTICE_A_DEAD_CLIENT})
        _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _parameters(url: DatabaseUrl) -> dict[str, Any]:
    """Return what libpq is told, unless the URL itself says something else."""
    ours = {
        "application_name": APPLICATION_NAME,
        "connect_timeout": CONNECT_TIMEOUT_S,
        **NOTICE_A_DEAD_SERVER,
    }
    said = url.sqlalchemy_url().query
    return {name: value for name, value in ours.items() if name not in said}


def _set_if_known(
    connection: psycopg.Connection[Any], settings: Mapping[str, str]
) -> None:
    """Set what this server knows and can; another one does without."""
    import psycopg

    for name, value in settings.items():
        # Servers on Windows refuse some of them.
        with suppress(psycopg.DataError, psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "SELECT set_config(%s, %s, false) "
                "WHERE current_setting(%s, true) IS NOT NULL",
                (name, value, name),
            )


def _check(connection: psycopg.Connection[Any]) -> None:
    version = connection.info.server_version
    if version < VERSION_MIN:
        raise UnsupportedCapability(
            f"PostgreSQL {version // 10_000} is too old",
            hint="upgrade the server to PostgreSQL 13 or newer",
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise UnsupportedCapability(
            f"the database stores {encoding}, which cannot hold every text",
            hint="CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
        )


def look_first_in(connection: psycopg.Connection[Any], schema: str) -> None:
    """Let names without a schema be found in this one, whatever a path says."""
    connection.execute(
        "SELECT set_config('search_path', %s || ', ' || "
        "current_setting('search_path'), false) WHERE current_schema() <> %s "
        "OR current_schema() IS NULL",
        (quote(schema), schema),
    )


class _Translated(AbstractContextManager[None]):
    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is None or isinstance(error, LockstepError):
            return
        known = classify(error)
        if known is not None:
            raise known from error


def translated() -> AbstractContextManager[None]:
    """Raise a driver's error as one of ours."""
    return _Translated()
