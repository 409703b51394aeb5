r"""Rows of PostgreSQL as columns that the server packs: one value for many rows.

Owns the SELECT that packs some hundred rows, in the order of their key or as they lie,
and when it is better than lines: taking those apart cell by cell costs the interpreter
more than everything else on the way to SQLite.

    bounds  the first key of each block, found along the key's index; or its pages
    block   count · bigint and double precision: eight bytes each, joined
            boolean: a letter each · bytea: joined, and its lengths
            all others: what COPY would write, joined with U+001F, U+001E for NULL

Invariants: a column holds what the codec makes of the cells of COPY's lines
(``TableDecoder``). Whatever cannot be told apart for sure, or is longer than a block
may be, is a ``Misfit``: no such block is yielded, and it is read as lines instead.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import Any, Final

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.blocks.encoding import ColumnBlock
from lockstep.mover.codecs import codec_of
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.model.postgresql import PgTable
from lockstep.mover.model.values import Value
from lockstep.mover.postgresql.lines import PostgresqlLines
from lockstep.mover.postgresql.packed_columns import (
    WHOLE,
    number_of,
    packed_as,
)
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


class PackedTable(ABC):
    """One table, packed.

    Args:
        plan: What each cell becomes.
        found: The table.
        rows: Of a block.
    """

    def __init__(self, plan: TablePlan, found: PgTable, rows: int) -> None:
        self.rows = rows
        self._of_table = f"FROM {found.place} t"
        there = {column.name: column for column in found.columns}
        kept = [column for column in plan.columns if not column.generated]
        self._names = [column.source for column in kept]
        long = sum(there[column.source].type not in _SHORT for column in kept)
        cell_max = BLOCK_BYTES_MAX // rows // max(1, long)
        self._columns = [packed_as(c.codec, there[c.source], cell_max) for c in kept]
        self._codecs = [codec_of(c.codec) for c in plan.columns]
        self._is_kept = [not c.generated for c in plan.columns]
        aliases = [f"c{place}" for place in range(len(kept))]
        self._row = ", ".join(
            f"{column.row_term(f't.{quote(name)}')} AS {alias}"
            for column, name, alias in zip(
                self._columns, self._names, aliases, strict=True
            )
        )
        self._terms = [
            column.terms(alias)
            for column, alias in zip(self._columns, aliases, strict=True)
        ]

    @property
    def is_narrow(self) -> bool:
        """Whether the server can answer with so many values in a row."""
        return 2 + sum(map(len, self._terms)) <= RESULTS_MAX

    @abstractmethod
    def is_read_in_order(self, connection: Any) -> bool:
        """Whether the server finds each block without reading or sorting all."""

    @abstractmethod
    def _select(self, after: int | str | None) -> str:
        """Return the SELECT of all blocks behind a position.

        A row of it is where the block's reading ended, the count, and the columns.
        """

    @abstractmethod
    def _position(self, end: int, columns: Sequence[Sequence[Value]]) -> int | str:
        """Return behind what the next block begins."""

    def _packed(self, rest: str) -> str:
        """Return what packs the rows of a block, which stands behind their columns."""
        terms = ", ".join(["int8send(count(*))", *chain.from_iterable(self._terms)])
        return f"(SELECT {terms} FROM (SELECT {self._row} {rest}) block) packed"

    def blocks(
        self, lines: PostgresqlLines, after: int | str | None
    ) -> Generator[ColumnBlock]:
        """Yield the blocks behind a position, each with the position behind it.

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
        end, count = number_of(next(fields)), number_of(next(fields))
        columns: list[Sequence[Value]] = [() for _ in self._columns]
        if count:
            columns = [
                column.values([next(fields) for _ in terms], count)
                for column, terms in zip(self._columns, self._terms, strict=True)
            ]
        assert all(len(column) == count for column in columns), "a cell for each row"
        return ColumnBlock(
            self._position(end, columns),
            row,
            count,
            count,
            columns=columns,
            codecs=self._codecs,
            is_kept=self._is_kept,
        )


class KeyedTable(PackedTable):
    """A table that is read in the order of its key."""

    def __init__(self, plan: TablePlan, found: PgTable, rows: int) -> None:
        super().__init__(plan, found, rows)
        types = {column.name: column.type for column in found.columns}
        self._key = [self._names.index(name) for name in plan.order_key]
        self._key_codecs = [codec_of(plan.column(n).codec) for n in plan.order_key]
        self._key_casts = [KEYS[types[name]][1] for name in plan.order_key]
        self._key_names = ", ".join(f"t.{quote(name)}" for name in plan.order_key)

    def is_read_in_order(self, connection: Any) -> bool:
        """Whether the server follows the key's index.

        It knows how the rows lie: where that is to jump from page to page, it would
        rather read all and sort, and so it shall.
        """
        in_order = f"SELECT * {self._of_table} ORDER BY {self._key_names}"
        return not any(
            _nodes(connection, query) & _NOT_ALONG_AN_INDEX
            for query in (in_order, self._select(None))
        )

    def _select(self, after: int | str | None) -> str:
        # Whatever the table's columns are called, they are not mistaken for ours.
        of_table, order = self._of_table, f"ORDER BY {self._key_names}"
        keys = [f"k{place}" for place in range(len(self._key))]
        bound = ", ".join(f"bounds.{key}" for key in keys)
        where = ""
        if after is not None:
            values = ", ".join(
                f"{quoted(value)}::{cast}"
                for value, cast in zip(
                    json.loads(str(after)), self._key_casts, strict=True
                )
            )
            where = f"WHERE ROW({self._key_names}) > ROW({values})"
        behind = f"{of_table} WHERE ROW({self._key_names}) >= ROW({bound}) {order}"
        return (
            f"WITH RECURSIVE bounds({', '.join(keys)}) AS ("
            f"(SELECT {self._key_names} {of_table} {where} {order} LIMIT 1) "
            "UNION ALL SELECT following.* FROM bounds CROSS JOIN LATERAL "
            f"(SELECT {self._key_names} {behind} OFFSET {self.rows} LIMIT 1) following"
            ") SELECT int8send(0), packed.* FROM bounds CROSS JOIN LATERAL "
            + self._packed(f"{behind} LIMIT {self.rows}")
        )

    def _position(self, end: int, columns: Sequence[Sequence[Value]]) -> int | str:
        last: Any = max(zip(*(columns[place] for place in self._key), strict=True))
        texts = [c.encode(v) for c, v in zip(self._key_codecs, last, strict=True)]
        return json.dumps(texts)


class PagedTable(PackedTable):
    """A table without such a key, which is read as its pages lie.

    Args:
        plan: What each cell becomes.
        found: The table.
        rows: Of a block, about.
        pages: How many the table has.
        count: How many rows are in them.
    """

    def __init__(
        self, plan: TablePlan, found: PgTable, rows: int, *, pages: int, count: int
    ) -> None:
        super().__init__(plan, found, rows)
        self._pages = pages
        self._step = max(1, pages * rows // count)

    def is_read_in_order(self, connection: Any) -> bool:
        """Whether the server finds the rows of a page by its number."""
        return "Tid Range Scan" in _nodes(connection, self._select(None))

    def _select(self, after: int | str | None) -> str:
        end = f"pages.first + {self._step}"
        # OFFSET keeps the server from computing a cell for each of its uses.
        rest = (
            f"{self._of_table} WHERE t.ctid >= format('(%s,0)', pages.first)::tid "
            f"AND t.ctid < format('(%s,0)', {end})::tid OFFSET 0"
        )
        return (
            f"SELECT int8send({end}), packed.* FROM generate_series("
            f"{int(after or 0)}::bigint, {self._pages - 1}, {self._step}) pages(first) "
            f"CROSS JOIN LATERAL {self._packed(rest)}"
        )

    def _position(self, end: int, columns: Sequence[Sequence[Value]]) -> int | str:
        return end


def packing_of(connection: Any, plan: TablePlan, found: PgTable) -> PackedTable | None:
    """Return how a table's rows can be packed; None where lines serve better.

    They do where rows are few, long or very wide, and where no index says in which
    order they are read.
    """
    types = {column.name: column.type for column in found.columns}
    kept = [column for column in plan.columns if not column.generated]
    count = plan.rows or found.rows_estimated
    if (
        not found.is_heap
        or not kept
        or count < ROWS_WORTH_IT
        or any(c.read_as or c.source not in types for c in plan.columns)
    ):
        return None
    size, pages = connection.execute(
        "SELECT pg_table_size(oid), pg_relation_size(oid) / "
        "current_setting('block_size')::bigint FROM to_regclass(%s) oid",
        (found.place.removeprefix("ONLY "),),
    ).fetchone()
    rows = min(ROWS_MAX, BLOCK_BYTES * count // max(1, size))
    if rows < ROWS_MIN:
        return None
    if not plan.order_key:
        packed = PagedTable(plan, found, rows, pages=pages, count=count)
    elif plan.order_key == found.primary_key and all(
        column in kept and column.codec in KEYS.get(types[column.source], ((), ""))[0]
        for column in map(plan.column, plan.order_key)
    ):
        packed = KeyedTable(plan, found, rows)
    else:
        return None
    is_better = packed.is_narrow and packed.is_read_in_order(connection)
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
