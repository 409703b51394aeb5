"""An independent judge: reads both databases itself and compares every cell.

It shares no code with the mover. Values are compared by what a reader sees:
numbers by value, texts and bytes by their bytes, days and times by their text; what
PostgreSQL holds as a moment is compared as one by ``differences``.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg


class Bytes(bytes):
    """Text as stored."""


def canonical(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, int):
        return str(value).encode()
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 2**63:
            return str(int(value)).encode()
        return repr(value).encode()
    if isinstance(value, Decimal):
        # Python's Decimal and float of one number differ in their texts only.
        is_integer = value.is_finite() and value == value.to_integral_value()
        if is_integer and abs(value) < 2**63:
            return str(int(value)).encode()
        return canonical(float(value))
    if isinstance(value, str):
        return _digits(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes | bytearray | memoryview):
        return _digits(bytes(value))
    return str(value).encode()


def _digits(text: bytes) -> bytes:
    """A real among texts is written 1.0 or 1e+16; the number itself is an integer."""
    try:
        number = float(text)
    except ValueError:
        return text
    if repr(number).encode() != text or number - number != 0:
        return text
    return canonical(number) or b""


def made(path: Path, script: str) -> Path:
    """Return a new file, made by a script."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def _stored(path: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation("odd", lambda a, b: (a > b) - (a < b))
        connection.text_factory = Bytes
        quoted = table.replace('"', '""')
        return connection.execute(f'SELECT * FROM "{quoted}"').fetchall()


def sqlite_rows(path: Path, table: str) -> Counter[tuple[bytes | None, ...]]:
    return Counter(tuple(canonical(v) for v in row) for row in _stored(path, table))


def differences(path: Path, source: str, url: str, target: str) -> list[str]:
    """Return the rows of one side that the other one lacks."""
    moments = [
        place
        for place, (_, kind) in enumerate(_columns(url, target))
        if kind.startswith("timestamp") or kind.startswith("time ")
    ]
    mine = _with_moments(sqlite_rows(path, source), moments)
    other = _with_moments(postgresql_rows(url, target), moments)
    return [f"{row}" for row in (*(mine - other), *(other - mine))]


def _with_moments(
    rows: Counter[tuple[bytes | None, ...]], places: list[int]
) -> Counter[tuple[bytes | None, ...]]:
    found: Counter[tuple[bytes | None, ...]] = Counter()
    for row, count in rows.items():
        cells = list(row)
        for place in places:
            cells[place] = _moment(cells[place])
        found[tuple(cells)] += count
    return found


def _moment(text: bytes | None) -> bytes | None:
    if text is None:
        return None
    written = text.decode()
    if b"-" not in text[1:]:
        return time.fromisoformat(written).isoformat("microseconds").encode()
    moment = datetime.fromisoformat(written)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(" ", "microseconds").encode()


def _columns(url: str, table: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
            "ORDER BY attnum",
            ('"' + table.replace('"', '""') + '"',),
        ).fetchall()
    assert names, f"the target has no table {table}"
    return names


def postgresql_rows(url: str, table: str) -> Counter[tuple[bytes | None, ...]]:
    names = _columns(url, table)
    with psycopg.connect(url) as connection:
        shown = ", ".join(_readable(*name) for name in names)
        quoted = table.replace('"', '""').replace("%", "%%")
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(f'SELECT {shown} FROM "{quoted}"'.encode()).fetchall()
    return Counter(tuple(canonical(v) for v in row) for row in rows)


def _readable(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    as_stored = {"boolean", "bigint", "integer", "double precision", "numeric"}
    if kind in as_stored | {"text", "bytea"}:
        return quoted
    return f"{quoted}::text"


def typed_rows(path: Path, table: str) -> Counter[tuple[Any, ...]]:
    """Every cell with the class SQLite gives it."""
    rows = _stored(path, table)
    return Counter(tuple((type(v).__name__, repr(v)) for v in row) for row in rows)
