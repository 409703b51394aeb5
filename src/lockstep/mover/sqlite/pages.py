"""Read a server's table page by page: each request asks for the next rows.

Owns where a page begins: behind the last row's key, which costs the server nothing
for the rows before it. A table that has no key to go by is read by counting.

    rowid            WHERE rowid > ? ORDER BY rowid LIMIT n
    WITHOUT ROWID    WHERE (a, b) > (?, ?) ORDER BY a, b LIMIT n
    virtual          LIMIT n OFFSET m, which is stable in one snapshot

Invariants: the pages of a table are its rows, each once; text that is no UTF-8 is
asked for as bytes, because a server cannot send it as text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lockstep.migrations.sqlite.tokens import quote
from lockstep.mover.model.sqlite import Table
from lockstep.mover.model.values import RawText, Value, text_of
from lockstep.mover.sqlite.served import (
    AnswerTooLarge,
    ServedConnection,
    ServedSnapshot,
)

Rows = list[tuple[Value, ...]]


@dataclass
class Pages:
    """The pages of one table.

    Attributes:
        names: The columns that are wanted.
        key: What to sort by and to go on after, as SQL; empty reads by counting.
        size: How many rows a page has at most; less where the server refuses it.
        is_clean: Texts are asked for as they are; an answer that fails makes it False.
        skip: How many rows to pass over first.
    """

    connection: ServedConnection
    table: Table
    names: Sequence[str]
    key: Sequence[str]
    size: int
    is_clean: bool
    skip: int = 0
    last: tuple[Value, ...] = ()
    _fitting: int = field(init=False)

    def __post_init__(self) -> None:
        self._fitting = self.size
        # A failure would cost a snapshot its transaction; elsewhere it costs a call.
        self.is_clean |= not isinstance(self.connection, ServedSnapshot)

    def __iter__(self) -> Generator[tuple[tuple[Value, ...], Rows]]:
        """Yield ``(key of the last row, rows)``."""
        while True:
            found = self._page()
            if not found:
                return
            width = len(self.names)
            self.last = found[-1][width:]
            self.skip = 0 if self.key else self.skip + len(found)
            yield self.last, [row[:width] for row in found] if self.key else found

    def _page(self) -> Rows:
        size, is_clean = min(self._fitting * 2, self.size), self.is_clean
        while True:
            try:
                found = self._asked(size, is_clean)
            except AnswerTooLarge:
                if size == 1 and not is_clean:
                    raise
                # Bytes take a third more than they are; escaped text up to six times.
                is_clean = is_clean and size > 1
                size = max(1, size // 2)
                continue
            except sqlite3.OperationalError:
                # A text that is no UTF-8 ends the call, without a word that says so.
                if not is_clean:
                    raise
                is_clean = self.is_clean = False
                continue
            self._fitting = size
            return found

    def _asked(self, size: int, is_clean: bool) -> Rows:
        wanted = [quote(name) for name in self.names]
        exact = [*([] if is_clean else wanted), *self.key]
        plain = wanted if is_clean else []
        asked = [*plain, *(part for name in exact for part in _as_stored(name))]
        sql = f"SELECT {', '.join(asked) or 'NULL'} FROM {quote(self.table.name)}"
        values: list[Any] = []
        if self.last and self.key:
            marks = ", ".join(map(_mark, self.last))
            sql += f" WHERE ({', '.join(self.key)}) > ({marks})"
            values += [bytes(v) if type(v) is RawText else v for v in self.last]
        if self.key:
            sql += f" ORDER BY {', '.join(self.key)}"
        sql += f" LIMIT {size}" + (f" OFFSET {self.skip}" if self.skip else "")
        rows = self.connection.execute(sql, values).fetchall()
        count = len(plain)
        return [(*row[:count], *_restored(row[count:])) for row in rows]


def _as_stored(name: str) -> tuple[str, str]:
    as_bytes = f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) "
    return as_bytes + f"ELSE {name} END", f"typeof({name}) = 'text'"


def _restored(pairs: Sequence[Any]) -> Generator[Value]:
    for place in range(0, len(pairs) - 1, 2):
        value, is_text = pairs[place], pairs[place + 1]
        yield text_of(value) if is_text else value


def _mark(value: Value) -> str:
    return "CAST(? AS TEXT)" if type(value) is RawText else "?"
