"""How much goes into one request: the limits, and rows put into batches by them."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable

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
"""libsql-server 0.24 binds values of up to about 5 MB, and tells nobody its limit."""

_ARGUMENTS_REFUSED = "ARGS_INVALID"


def meaning_of(error: Error, statements: Iterable[m.Statement]) -> Error:
    """Return what a refusal of ``statements`` means: perhaps a value is too large.

    libsql-server has one code for that and for values that do not fit the text.
    """
    if error.server_code != _ARGUMENTS_REFUSED:
        return error
    largest, where = 0, ""
    for statement in statements:
        values = [*enumerate(statement.args, start=1), *statement.named_args]
        for name, value in values:
            if isinstance(value, str | bytes) and len(value) > largest:
                largest, where = len(value), str(name)
    if largest <= SURELY_BOUND_BYTES:
        return error
    return DataError(
        f"the server takes no value as large as parameter {where}, which has "
        f"{largest:,} bytes or characters",
        server_code=error.server_code,
        sqlite_errorcode=sqlite3.SQLITE_TOOBIG,
    )


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
