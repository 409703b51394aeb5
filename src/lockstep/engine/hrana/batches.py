"""How much goes into one request: the limits, and rows put into batches by them."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from lockstep.engine.hrana import messages as m
from lockstep.engine.hrana.errors import DataError, Error

STEPS_MAX = 500
"""Statements in one batch; more are sent in several."""

STORED_ID = 1
STORED_BYTES_MAX = 4_000
"""A longer text is sent with every row: libsql-server stores none above 5 KB."""

BATCH_BYTES_MAX = 4 * 1024 * 1024
"""Roughly the size of one batch's values; more are sent in several."""


SURELY_BOUND_BYTES = 1_000_000
"""libsql-server 0.24 takes values, and rows, of 5 MB, unless it is told otherwise."""

_ARGUMENTS_REFUSED = "ARGS_INVALID"
_UTF8_BYTES_MAX = 4


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest value of some statements.

    Attributes:
        size_bytes: In UTF-8 if it is text.
        parameter: Its number or name.
    """

    size_bytes: int
    parameter: str

    def too_large(self, server_code: str | None) -> Error:
        """Return the error that refuses it."""
        return DataError(
            f"the server takes no value as large as parameter {self.parameter}, "
            f"which has {self.size_bytes:,} bytes",
            server_code=server_code,
            sqlite_errorcode=sqlite3.SQLITE_TOOBIG,
        )


def largest_of(statements: Iterable[m.Statement]) -> Largest | None:
    """Return the largest value; None if every server takes all of them."""
    found: Largest | None = None
    floor = SURELY_BOUND_BYTES
    for statement in statements:
        values = [*enumerate(statement.args, start=1), *statement.named_args]
        for name, value in values:
            if isinstance(value, str | bytes):
                size = len(value)
                if isinstance(value, str) and size > floor // _UTF8_BYTES_MAX:
                    size = len(value.encode(errors="surrogatepass"))
                if size > floor:
                    floor, found = size, Largest(size, str(name))
    return found


def meaning_of(error: Error, statements: Sequence[m.Statement]) -> Error:
    """Return what a refusal of ``statements`` means: perhaps a value is too large.

    libsql-server has one code for that and for values that do not fit the text; and
    for a row that is too large, SQLite's, which names nothing.
    """
    largest = largest_of(statements)
    if largest is None:
        return error
    if error.server_code == _ARGUMENTS_REFUSED:
        return largest.too_large(error.server_code)
    if error.sqlite_errorcode == sqlite3.SQLITE_TOOBIG:
        return DataError(
            f"{error}; a row may be too large as a whole: the largest value, parameter "
            f"{largest.parameter}, has {largest.size_bytes:,} bytes",
            server_code=error.server_code,
            sqlite_errorcode=error.sqlite_errorcode,
        )
    return error


def size_of(statement: m.Statement) -> int:
    """Return roughly how many bytes the statement's values take."""
    values = (*statement.args, *(value for _, value in statement.named_args))
    return sum(len(v) if isinstance(v, str | bytes) else 8 for v in values)


def batches_of(
    sql: str, rows: Iterable[m.Statement], is_stored: bool, want_rows: bool
) -> Generator[list[m.Statement]]:
    """Yield ``sql`` once per row, in batches that one request can hold."""
    batch: list[m.Statement] = []
    size = 0
    for row in rows:
        batch.append(
            m.Statement(
                None if is_stored else sql,
                row.args,
                row.named_args,
                want_rows=want_rows,
                sql_id=STORED_ID if is_stored else None,
            )
        )
        size += (0 if is_stored else len(sql)) + size_of(row)
        if len(batch) >= STEPS_MAX or size >= BATCH_BYTES_MAX:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
