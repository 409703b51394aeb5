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
_BETWEEN, _BACKSLASH, _NONE = "\x1f", "\x1e", "\0"
"""Stand in while a column is unescaped as a whole, where none of its cells has them."""
_TOGETHER_MAX: Final = 1_000_000
"""Characters of a column that is unescaped as a whole: of a cell of many megabytes
there would be several copies at once."""
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
    joined = _BETWEEN.join(column)
    backslashes = joined.count("\\")
    if not backslashes:
        return column
    if backslashes == column.count(NULL):
        return [None if field == NULL else field for field in column]
    texts: Sequence[str | None] | None = None
    if len(joined) <= _TOGETHER_MAX and _can_stand_in(joined, len(column)):
        texts = _unescaped(joined)
    return list(map(unescape, column)) if texts is None else texts


def _can_stand_in(joined: str, count: int) -> bool:
    is_apart = joined.count(_BETWEEN) == count - 1
    return is_apart and _BACKSLASH not in joined and _NONE not in joined


def _unescaped(joined: str) -> Sequence[str | None] | None:
    """Return the texts of cells with ``_BETWEEN`` between; None if one is unusual."""
    joined = joined.replace("\\\\", _BACKSLASH).replace(NULL, _NONE)
    for letter, meaning in _MEANING.items():
        if "\\" not in joined:
            break
        joined = joined.replace(f"\\{letter}", meaning)
    if "\\" in joined:
        return None
    texts = joined.replace(_BACKSLASH, "\\").split(_BETWEEN)
    nulls = joined.count(_NONE)
    if not nulls:
        return texts
    if nulls != texts.count(_NONE):
        return None
    return [None if text == _NONE else text for text in texts]


def cells_of(lines: str) -> list[str]:
    """Return the cells of a block's lines row by row, as they stand there."""
    return lines[:-1].replace("\n", "\t").split("\t") if lines else []


def join(columns: Sequence[Sequence[str]], count: int) -> str:
    """Return the lines of a block from its columns' escaped cells."""
    if not columns:
        return "\n" * count
    if len(columns) == 1:
        return "\n".join(columns[0]) + "\n"
    return "\n".join(map("\t".join, zip(*columns, strict=True))) + "\n"
