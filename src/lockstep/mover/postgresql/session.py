"""One connection to PostgreSQL for a move, which reads and writes one form.

Owns the settings under which a value has exactly one text: dates in ISO, zone
UTC, all digits of a double, bytes in hex. It knows no plan.
"""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from lockstep.engine import classify
from lockstep.engine.postgresql import NOTICE_A_DEAD_SERVER
from lockstep.engine.urls import DatabaseUrl
from lockstep.errors import LockstepError, MissingExtraError, UnsupportedCapability

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
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "30s",
    "row_security": "off",
    "synchronize_seqscans": "off",
}

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
            _ask_to_notice(connection)
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


def _ask_to_notice(connection: psycopg.Connection[Any]) -> None:
    """Let the server look whether this end is alive; one that cannot, does not."""
    import psycopg

    for name, value in _NOTICE_A_DEAD_CLIENT.items():
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
