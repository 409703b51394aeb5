r"""Rows of PostgreSQL as columns that the server packs: one value for many rows.

Owns the SELECT that packs some hundred rows in the order of their key, and when it is
better than lines: taking those apart cell by cell costs the interpreter more than
everything else on the way to SQLite.

    bounds  the first key of each block, found along the key's index
    block   count · bigint and double precision: eight bytes each, joined
            boolean: a letter each · bytea: joined, and its lengths
            all others: what COPY would write, joined with U+001F, U+001E for NULL

Invariants: a column holds what the codec makes of the cells of COPY's lines
(``TableDecoder``). Whatever cannot be told apart for sure, or is longer than a block
may be, is a ``Misfit``: no such block is yielded, and it is read as lines instead.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.codecs import codec_of
from lockstep.mover.encoding import ColumnBlock
from lockstep.mover.plan.model import TablePlan
from lockstep.mover.postgresql.lines import PostgresqlLines
from lockstep.mover.postgresql.packed_columns import (
    WHOLE,
    number_of,
    packed_as,
)
from lockstep.mover.postgresql.schema import PgTable
from lockstep.mover.values import Value
from lockstep.schema.types.portable import quoted

ROWS_MAX: Final = 512
"""Of a block: more make no row cheaper."""

ROWS_MIN: Final = 16
"""Of a block: rows so long that fewer fit cost the same as lines."""

ROWS_WORTH_IT: Final = 2_000
"""A table of fewer rows is read before its plan is looked at."""

BLOCK_BYTES: Final = 256 * 1024
"""What the rows of a block have on average."""

BLOCK_BYTES_MAX: Final = 4 * 1024 * 1024
"""What the texts and bytes of a block have at most, all columns together."""

RESULTS_MAX: Final = 1_600
"""A SELECT of PostgreSQL has at most 1,664."""

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
KEYS: Final = {
    **dict.fromkeys(WHOLE, (("integer",), "bigint")),
    "uuid": (("text", "uuid_bytes"), "uuid"),
    "bytea": (("bytes",), "bytea"),
}
"""Types that an index sorts as SQLite sorts what the codecs make of them, and as what
a place among them is written."""

_SHORT: Final = frozenset(
    {
        *(*WHOLE, "double precision", "real", "boolean", "uuid", "date"),
        *("timestamp without time zone", "timestamp with time zone"),
    }
)
"""Types whose every value is short, so that the others may be longer."""

_NOT_ALONG_AN_INDEX: Final = frozenset(
    {"Seq Scan", "Bitmap Heap Scan", "Sort", "Incremental Sort"}
)


class PackedTable:
    """One table, packed.

    Args:
        plan: What each cell becomes; it has an ``order_key``.
        found: The table.
        rows: Of a block.
    """

    def __init__(self, plan: TablePlan, found: PgTable, rows: int) -> None:
        self.rows = rows
        self._place = found.place
        there = {column.name: column for column in found.columns}
        kept = [column for column in plan.columns if not column.generated]
        names = [column.source for column in kept]
        long = sum(there[column.source].type not in _SHORT for column in kept)
        cell_max = BLOCK_BYTES_MAX // rows // max(1, long)
        self._columns = [packed_as(c.codec, there[c.source], cell_max) for c in kept]
        self._key = [names.index(name) for name in plan.order_key]
        self._key_codecs = [codec_of(plan.column(n).codec) for n in plan.order_key]
        self._key_casts = [KEYS[there[name].type][1] for name in plan.order_key]
        self._key_names = ", ".join(f"t.{quote(name)}" for name in plan.order_key)
        self._codecs = [codec_of(c.codec) for c in plan.columns]
        self._is_kept = [not c.generated for c in plan.columns]
        aliases = [f"c{place}" for place in range(len(names))]
        self._row = ", ".join(
            f"{column.row_term(f't.{quote(name)}')} AS {alias}"
            for column, name, alias in zip(self._columns, names, aliases, strict=True)
        )
        self._terms = [
            column.terms(alias)
            for column, alias in zip(self._columns, aliases, strict=True)
        ]

    @property
    def is_narrow(self) -> bool:
        """Whether the server can answer with so many values in a row."""
        return 1 + sum(map(len, self._terms)) <= RESULTS_MAX

    def _select(self, after: Sequence[str]) -> str:
        """Return the SELECT of all blocks behind a key."""
        # Whatever the table's columns are called, they are not mistaken for ours.
        of_row, order = f"FROM {self._place} t", f"ORDER BY {self._key_names}"
        keys = [f"k{place}" for place in range(len(self._key))]
        bound = ", ".join(f"bounds.{key}" for key in keys)
        where = ""
        if after:
            values = ", ".join(
                f"{quoted(value)}::{cast}"
                for value, cast in zip(after, self._key_casts, strict=True)
            )
            where = f"WHERE ROW({self._key_names}) > ROW({values})"
        behind = f"{of_row} WHERE ROW({self._key_names}) >= ROW({bound}) {order}"
        terms = ", ".join(["int8send(count(*))", *chain.from_iterable(self._terms)])
        return (
            f"WITH RECURSIVE bounds({', '.join(keys)}) AS ("
            f"(SELECT {self._key_names} {of_row} {where} {order} LIMIT 1) "
            "UNION ALL SELECT following.* FROM bounds CROSS JOIN LATERAL "
            f"(SELECT {self._key_names} {behind} OFFSET {self.rows} LIMIT 1) following"
            ") SELECT packed.* FROM bounds CROSS JOIN LATERAL "
            f"(SELECT {terms} FROM (SELECT {self._row} {behind} LIMIT {self.rows}) "
            "block) packed"
        )

    def is_along_an_index(self, connection: Any) -> bool:
        """Whether the server reads the rows in this order without sorting.

        It knows how they lie: where to follow the index is to jump from page to
        page, it would rather read all and sort, and so it shall.
        """
        in_order = f"SELECT * FROM {self._place} t ORDER BY {self._key_names}"
        return not any(
            _nodes(connection, query) & _NOT_ALONG_AN_INDEX
            for query in (in_order, self._select(()))
        )

    def blocks(
        self, lines: PostgresqlLines, after: Sequence[str]
    ) -> Generator[ColumnBlock]:
        """Yield the blocks behind a key, each with the position behind it.

        Raises:
            Misfit: The next block cannot be packed; those before it are right.
        """
        statement = f"COPY ({self._select(after)}) TO STDOUT (FORMAT binary)"
        with closing(lines.messages(statement)) as messages:
            for message in messages:
                row = message.removeprefix(_HEADER)
                if row != _TRAILER:
                    yield self._block(row)

    def _block(self, row: bytes) -> ColumnBlock:
        fields = _fields(row)
        count = number_of(next(fields))
        columns: list[Sequence[Value]] = [
            column.values([next(fields) for _ in terms], count)
            for column, terms in zip(self._columns, self._terms, strict=True)
        ]
        assert all(len(column) == count for column in columns), "a cell for each row"
        last: Any = max(zip(*(columns[place] for place in self._key), strict=True))
        place = [c.encode(v) for c, v in zip(self._key_codecs, last, strict=True)]
        return ColumnBlock(
            json.dumps(place),
            row,
            count,
            count,
            columns=columns,
            codecs=self._codecs,
            is_kept=self._is_kept,
        )


def packing_of(connection: Any, plan: TablePlan, found: PgTable) -> PackedTable | None:
    """Return how a table's rows can be packed; None where lines serve better.

    They do where rows are few, long or very wide, and where no index says in which
    order they are read.
    """
    types = {column.name: column.type for column in found.columns}
    is_sorted = bool(plan.order_key) and all(
        plan.column(name).codec in KEYS.get(types.get(name, ""), ((), ""))[0]
        for name in plan.order_key
    )
    count = plan.rows or found.rows_estimated
    if (
        not is_sorted
        or not found.is_heap
        or plan.order_key != found.primary_key
        or count < ROWS_WORTH_IT
        or any(c.read_as or c.source not in types for c in plan.columns)
        or any(plan.column(name).generated for name in plan.order_key)
    ):
        return None
    (size,) = connection.execute(
        "SELECT pg_table_size(to_regclass(%s))", (found.place.removeprefix("ONLY "),)
    ).fetchone()
    rows = min(ROWS_MAX, BLOCK_BYTES * count // max(1, size))
    if rows < ROWS_MIN:
        return None
    packed = PackedTable(plan, found, rows)
    is_better = packed.is_narrow and packed.is_along_an_index(connection)
    return packed if is_better else None


def _nodes(connection: Any, query: str) -> set[str]:
    """Return the kinds of nodes in the server's plan of a query."""
    (plans,) = connection.execute(f"EXPLAIN (FORMAT JSON) {query}".encode()).fetchone()
    found: set[str] = set()
    waiting: list[dict[str, Any]] = [plans[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        found.add(node["Node Type"])
        waiting += node.get("Plans", [])
    return found


def _fields(row: bytes) -> Iterator[bytes]:
    """Yield the fields of a row of COPY in binary; NULL is empty."""
    at = 2
    while at < len(row):
        length = int.from_bytes(row[at : at + 4], "big", signed=True)
        at += 4
        end = at + max(0, length)
        yield row[at:end]
        at = end
