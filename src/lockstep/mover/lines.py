r"""Rows as the lines of PostgreSQL's COPY: the form in which everything travels.

Owns the escapes of COPY's text format in both directions. A row is one line, its
cells stand between tabs, NULL is ``\N``. Both engines' rows become such lines,
so a copy is a stream of them and a verification compares two streams.

See https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

NULL: Final = "\\N"
# All that the server itself escapes, so that its lines and ours are the same bytes.
_TO_ESCAPE = re.compile(r"[\\\x08-\x0d]")
_ESCAPES = str.maketrans(
    {
        **{"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"},
        **{"\b": "\\b", "\f": "\\f", "\v": "\\v"},
    }
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANING = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}


def escape(text: str) -> str:
    r"""Return a cell's text as it stands in a line.

    Example:
        >>> escape("a\tb\\")
        'a\\tb\\\\'
    """
    return text.translate(_ESCAPES)


def escape_all(column: Sequence[str]) -> Sequence[str]:
    """Return the texts of a block escaped; the block itself when none needs it."""
    if _TO_ESCAPE.search("".join(column)) is None:
        return column
    return [text.translate(_ESCAPES) for text in column]


def unescape(field: str) -> str | None:
    """Return the text of a cell of a line; None for NULL."""
    if field == NULL:
        return None
    if "\\" not in field:
        return field
    return _ESCAPED.sub(lambda found: _MEANING.get(found[1], found[1]), field)


def unescape_all(column: Sequence[str]) -> Sequence[str | None]:
    """Return the texts of a block's cells; the block itself when none is escaped."""
    backslashes = "".join(column).count("\\")
    if not backslashes:
        return column
    if backslashes == column.count(NULL):
        return [None if field == NULL else field for field in column]
    return list(map(unescape, column))


def columns_of(lines: str, width: int) -> list[list[str]]:
    """Return the cells of a block's lines column by column, as they stand there."""
    if not lines:
        return [[] for _ in range(width)]
    cells = lines[:-1].replace("\n", "\t").split("\t")
    assert len(cells) % width == 0, "every line has a cell for each column"
    return [cells[place::width] for place in range(width)]


def join(columns: Sequence[Sequence[str]], count: int) -> str:
    """Return the lines of a block from its columns' escaped cells."""
    if not columns:
        return "\n" * count
    if len(columns) == 1:
        return "\n".join(columns[0]) + "\n"
    return "\n".join(map("\t".join, zip(*columns, strict=True))) + "\n"
