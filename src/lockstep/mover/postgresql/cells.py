"""Cells of PostgreSQL that a file's own columns would not keep, found before a copy.

Owns the way back's questions about single values: NULL, a negative zero, numbers and
texts that a column stores as something else, what SQLite computes by itself. The
server picks the rows in question, the codec and SQLite say what becomes of them.

Invariant: a cell that the copy cannot give the file as it is was counted by a loss
of the plan; its row goes to the quarantine file, but for a computed one.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Final, Protocol

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.decoding import TableDecoder
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.codecs.lines import unescape
from lockstep.mover.model.plan import ColumnPlan, Loss, Plan, TablePlan
from lockstep.mover.model.postgresql import PgTable
from lockstep.mover.model.sqlite import Table
from lockstep.mover.model.values import Value, shown
from lockstep.mover.postgresql.fitting import keeps_all
from lockstep.mover.sqlite.writing import is_of_a_row
from lockstep.mover.translate.scratch import stand_in_for_collations
from lockstep.schema.affinity import NUMBER_PATTERN, is_for_numbers
from lockstep.wording import counted

TO_QUARANTINE = "they go to the quarantine file"
TEXTS: Final = ("text", "mixed_text")
_OF_NUMBERS: Final = ("integer", "boolean", "real", "number", "numeric")
_WHOLE: Final = {"numeric": "whole_numeric", "number": "whole_number"}
_DOUBLES: Final = ("real", "number")
_SURELY_A_DOUBLE: Final = r"^-?(\d{1,8}(\.\d{1,7})?|\d{1,15})$"
_OF_TYPE: Final = {
    **dict.fromkeys(("smallint", "integer", "bigint"), "integer"),
    **{"boolean": "boolean", "numeric": "numeric", "text": "text"},
    **{"double precision": "real", "real": "real"},
}
_UNITS: Final = {"s": "second", "ms": "milliseconds"}


class Server(Protocol):
    """What is asked of PostgreSQL, in the move's own snapshot."""

    def found(self, table: TablePlan) -> PgTable:
        """Return what the server says about a table of the plan."""
        ...

    def rows_where(self, table: TablePlan, condition: str) -> int:
        """Return how many rows of a table meet a condition."""
        ...

    def greatest(self, table: TablePlan, number: str) -> int:
        """Return the greatest that an expression gives for a table's rows."""
        ...

    def has_negative_zero(self, table: TablePlan, column: str) -> bool:
        """Return whether a column of doubles holds -0.0."""
        ...

    def bytes_aside(self, table: TablePlan) -> int | None:
        """Return what a table's long cells take, compressed; None if not known."""
        ...

    def fitting_rows(self, table: TablePlan, condition: str) -> Iterable[LineBlock]:
        """Yield those rows as the copy reads them, without what fits no codec."""
        ...


def read_of(column: ColumnPlan) -> str:
    """Return what PostgreSQL is asked for, for a column."""
    return column.read_as or quote(column.source)


def name_cells(plan: Plan, made: TablePlan, table: Table, server: Server) -> None:
    """Add the cells that a file's own table would not keep to a plan's losses.

    Args:
        plan: The way back; changed in place.
        made: The table in it.
        table: What SQLite says of the table by its own statement.
        server: The database.
    """
    _follow_types(made, table, server.found(made))
    _name_nulls(plan, made, table, server)
    _name_zeros(plan, made, table, server)
    _name_numbers(plan, made, table, server)
    _name_misfits(plan, made, server)
    _name_recomputed(plan, made, server)


def _follow_types(made: TablePlan, table: Table, found: PgTable) -> None:
    """Read columns of numbers as what they are there, and what the file makes of them.

    Somebody may have given a column another type since.
    """
    for column in made.columns:
        kind = found.column(column.source).type
        declared = table.column(column.target)
        if column.codec not in _OF_NUMBERS:
            continue
        if declared is not None and declared.affinity == "text":
            # Only what a plan coerced: such a column makes a text of each number.
            column.codec = "text"
            if column.source in made.order_key:
                made.order_key = []
            continue
        if keeps_all(column, kind):
            continue
        codec = _OF_TYPE.get(kind, column.codec)
        if codec == "real" and declared is not None and declared.affinity != "real":
            codec = "number"
        column.codec = codec


def _name_nulls(plan: Plan, made: TablePlan, table: Table, server: Server) -> None:
    """Quarantine rows with NULL that the statement does not take."""
    may_be_null = {c.name for c in server.found(made).columns if c.may_be_null}
    for column in made.columns:
        # SQLite would number a row whose key is NULL.
        is_rowid = column.target == table.rowid_alias
        if column.source not in may_be_null or not (column.not_null or is_rowid):
            continue
        count = server.rows_where(made, f"{read_of(column)} IS NULL")
        if not count:
            continue
        column.refuses_null = True
        why = f"{counted(count, 'row')} with NULL, which the file's own statement "
        _quarantine(plan, made, column, "null", f"{why}refuses")


def _name_zeros(plan: Plan, made: TablePlan, table: Table, server: Server) -> None:
    """Quarantine rows with -0.0 in a column that stores zero without a sign.

    See https://sqlite.org/datatype3.html#storage_classes_and_datatypes: an integral
    real is stored as an integer.
    """
    for column in made.columns:
        declared = table.column(column.target)
        if declared is None or not is_for_numbers(declared.affinity):
            continue
        if column.codec not in _DOUBLES or not server.has_negative_zero(
            made, column.source
        ):
            continue
        name = read_of(column)
        count = server.rows_where(made, f"{name} = 0 AND {name}::text = '-0'")
        column.refuses_negative_zero = True
        why = f"{counted(count, 'row')} with -0.0, of which the column stores 0"
        _quarantine(plan, made, column, "type", why)


def _name_numbers(plan: Plan, made: TablePlan, table: Table, server: Server) -> None:
    """Read numbers as their columns keep them; quarantine texts that become others.

    A strict table has no such column: it refuses the text, or takes it as it is.
    """
    for column in [] if table.strict else made.columns:
        declared = table.column(column.target)
        if declared is None or not is_for_numbers(declared.affinity):
            continue
        if column.codec in _WHOLE and declared.affinity != "real":
            column.codec = _WHOLE[column.codec]
        if column.codec not in TEXTS:
            continue
        like_numbers = f"{read_of(column)}::text ~ '^{NUMBER_PATTERN}$'"
        if not server.rows_where(made, like_numbers):
            continue
        column.codec = f"numbered_text:{declared.affinity}"
        if column.source in made.order_key:
            made.order_key = []  # such a column sorts numbers before texts
        _try_all(plan, made, column, server, like_numbers)


def _name_misfits(plan: Plan, made: TablePlan, server: Server) -> None:
    """Quarantine rows with a value that its codec could not give back."""
    types = {column.name: column.type for column in server.found(made).columns}
    for column in made.columns:
        kind = types[column.source]
        is_tried = column.codec.startswith("numbered_text")
        if column.on_dirt != "fail" or is_tried or keeps_all(column, kind):
            continue
        where = _may_not_fit(column, kind)
        if server.rows_where(made, where):
            _try_all(plan, made, column, server, where)


def _may_not_fit(column: ColumnPlan, kind: str) -> str:
    """Return which rows' values are not surely kept, for the server."""
    name, (word, _, rest) = read_of(column), column.codec.partition(":")
    if word in ("numeric", "whole_numeric") and kind == "numeric":
        return f"{name}::text !~ '{_SURELY_A_DOUBLE}'"
    if word == "epoch" and kind.startswith("timestamp"):
        unit = _UNITS.get(rest.partition(" ")[0], "microseconds")
        return f"NOT isfinite({name}) OR date_trunc('{unit}', {name}) <> {name}"
    if word == "looked_up":
        return f"{name}::text !~ '^-?[0-9]+$'"
    return f"{name} IS NOT NULL"


def _try_all(
    plan: Plan, made: TablePlan, column: ColumnPlan, server: Server, where: str
) -> None:
    """Let the codec try the rows in question; name and quarantine its misfits."""
    tried = replace(column, on_dirt="quarantine")
    count, first, reason = 0, "", ""
    for block in server.fitting_rows(
        replace(made, columns=[tried], primary_key=[], order_key=[]), where
    ):
        for rejected in block.rejected[:1]:
            first, reason = first or rejected.value, rejected.reason
        count += len(block.rejected)
    if count:
        why = f"{counted(count, 'row')} with {first} or the like: {reason}"
        _quarantine(plan, made, column, "type", why)


def _quarantine(
    plan: Plan, made: TablePlan, column: ColumnPlan, kind: str, why: str
) -> None:
    column.on_dirt = "quarantine"
    where = f"{made.source}.{column.source}"
    plan.losses.append(Loss(kind, where, f"{why}; {TO_QUARANTINE}", is_data=True))


def _name_recomputed(plan: Plan, made: TablePlan, server: Server) -> None:
    """Name the cells of which SQLite will compute another value than they have.

    The server computes a column exactly as SQLite does, or not at all: only what
    was carried there as plain values can have been changed since.
    """
    found = {column.name: column for column in server.found(made).columns}
    names = [
        column.source
        for column in made.columns
        if column.generated and not found[column.source].generated
    ]
    counts, examples = Counter[str](), dict[str, str]()
    for name, example in _recomputed(made, names, server) if names else ():
        counts[name] += 1
        examples.setdefault(name, example)
    for name, example in examples.items():
        column = made.column(name or names[0])
        where = f"{made.source}.{column.source}"
        if name:
            column.recomputed = str(counts[name])
            why = f"{counted(counts[name], 'cell')} that SQLite computes anew, such as "
            why += example
        else:
            column.on_dirt = "quarantine"
            why = f"{counted(counts[name], 'row')} of which SQLite cannot compute it: "
            why += f"{example}; {TO_QUARANTINE}"
        plan.losses.append(Loss("generated column", where, why, is_data=True))


def _recomputed(
    made: TablePlan, names: list[str], server: Server
) -> Iterator[tuple[str, str]]:
    """Yield column and example of each cell that comes out different.

    Each row is put into a table of the same statement, and taken out again. Of one
    that cannot be computed there is no column; what a constraint of the table refuses
    has other losses.
    """
    columns = [column.source for column in made.columns]
    places = [columns.index(name) for name in names]
    codecs = [codec_of(made.columns[place].codec) for place in places]
    decoder = TableDecoder(made)
    targets = (quote(made.columns[place].target) for place in places)
    filled = ", ".join(map(quote, decoder.names))
    insert = f"INSERT INTO {quote(made.target)} ({filled}) VALUES "
    insert += f"({', '.join(decoder.marks)})"
    ask = f"SELECT {', '.join(targets)} FROM {quote(made.target)}"
    key = [c.source for c in made.columns if c.target in made.primary_key]
    key_at = columns.index(key[0]) if key else 0
    # A row that fits no codec is left out: it has a loss of its own.
    tried = replace(
        made, columns=[replace(column, on_dirt="quarantine") for column in made.columns]
    )
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        stand_in_for_collations(scratch, [made.create])
        scratch.execute("PRAGMA ignore_check_constraints = ON")
        scratch.execute(made.create)
        scratch.execute("BEGIN")
        for block in server.fitting_rows(tried, "true"):
            values, width = decoder.values(block), decoder.width
            for row, line in enumerate(block.text.split("\n")[:-1]):
                scratch.execute("SAVEPOINT row")
                computed = None
                try:
                    scratch.execute(insert, values[row * width : (row + 1) * width])
                    computed = scratch.execute(ask).fetchone()
                except sqlite3.Error as error:
                    if not is_of_a_row(error, scratch, insert):
                        raise
                    if not isinstance(error, sqlite3.IntegrityError):
                        yield "", str(error)
                scratch.execute("ROLLBACK TO row")
                scratch.execute("RELEASE row")
                fields = line.split("\t")
                for name, place, codec, value in zip(
                    names, places, codecs, computed or (), strict=False
                ):
                    text = unescape(fields[place])
                    if not _is_same(codec, text, value):
                        whose = shown(unescape(fields[key_at]))
                        yield name, f"{shown(text)} of the row {whose}: {shown(value)}"


def _is_same(codec: Codec, text: str | None, computed: Value) -> bool:
    if text is None or computed is None:
        return text is computed
    try:
        return codec.encode(computed) == codec.encode(codec.decode(text))
    except ValueError:
        return False  # another class than the column had
