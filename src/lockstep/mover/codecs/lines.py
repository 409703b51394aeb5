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
_MEANING = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
# All that the server itself escapes, so that its lines and ours are the same bytes;
# a backslash first, because the others bring one.
_ESCAPES: Final = (
    ("\\", "\\\\"),
    *((meant, f"\\{letter}") for letter, meant in _MEANING.items()),
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_BETWEEN, _BACKSLASH, _NONE = "\x1f", "\x1e", "\0"
"""Stand in while a column is unescaped as a whole, where none of its cells has them."""
_TOGETHER_MAX: Final = 1_000_000
"""Characters of a column that is unescaped as a whole: of a cell of many megabytes
there would be several copies at once."""
_STAND_INS: Final = "\x1e\x1f\x01\x02\x03\x04\x05"
"""Of these one that a long cell does not have stands for its backslashes."""

_LONG: Final = 200
"""Characters from which on looking for a stand-in pays."""


def escape(text: str) -> str:
    r"""Return a cell's text as it stands in a line.

    Example:
        >>> escape("a\tb\\")
        'a\\tb\\\\'
    """
    # Each looks for one character, which is quick: a table would be asked for each.
    for plain, escaped in _ESCAPES:
        if plain in text:
            text = text.replace(plain, escaped)
    return text


def escape_all(column: Sequence[str]) -> Sequence[str]:
    """Return the texts of a block escaped; the block itself when none needs it."""
    joined = "".join(column)
    if not any(plain in joined for plain, _ in _ESCAPES):
        return column
    return list(map(escape, column))


def unescape(field: str) -> str | None:
    """Return the text of a cell of a line; None for NULL."""
    if field == NULL:
        return None
    if "\\" not in field:
        return field
    stand_in = None
    if len(field) >= _LONG:
        stand_in = next((some for some in _STAND_INS if some not in field), None)
    if stand_in is not None:
        text = _with_meanings(field.replace("\\\\", stand_in))
        if "\\" not in text:
            return text.replace(stand_in, "\\")
    return _ESCAPED.sub(lambda found: _MEANING.get(found[1], found[1]), field)


def _with_meanings(text: str) -> str:
    """Return a text with what its letters behind a backslash mean."""
    for letter, meaning in _MEANING.items():
        if "\\" not in text:
            break
        text = text.replace(f"\\{letter}", meaning)
    return text


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
    joined = _with_meanings(joined)
    if "\\" in joined:
        return None
    texts = joined.replace(_BACKSLASH, "\\").split(_BETWEEN)
    nulls = joined.count(_NONE)
    if not nulls:
        return texts
    if nulls != texts.count(_NONE):
        return None
    return [None if text == _NONE else text for text in texts]


class ChosenCells:
    """Takes the cells of some columns out of lines, which may come in pieces.

    Args:
        places: Of the columns, in order.
    """

    def __init__(self, places: Sequence[int]) -> None:
        self._places = places
        self._place = 0
        self._is_within = False

    def of(self, data: bytes) -> bytes:
        """Return what a block has of those cells.

        Args:
            data: Whole lines, or the next piece of one.
        """
        if self._is_within or not data.endswith(b"\n"):
            return self._of_piece(data)
        rows = [line.split(b"\t") for line in data.split(b"\n")[:-1]]
        return b"".join(
            b"\t".join([row[at] for at in self._places]) + b"\n" for row in rows
        )

    def _of_piece(self, data: bytes) -> bytes:
        found: list[bytes] = []
        for number, line in enumerate(data.split(b"\n")):
            if number:
                found.append(b"\n")
                self._place = 0
            for step, cell in enumerate(line.split(b"\t")):
                self._place += step > 0
                if self._place not in self._places:
                    continue
                if step and self._place != self._places[0]:
                    found.append(b"\t")
                found.append(cell)
        if data:
            self._is_within = not data.endswith(b"\n")
        return b"".join(found)


def cells_of(lines: str) -> list[str]:
    """Return the cells of a block's lines row by row, as they stand there."""
    cells = lines.replace("\n", "\t").split("\t")
    cells.pop()  # what stands behind the last newline
    return cells


def join(columns: Sequence[Sequence[str]], count: int) -> str:
    r"""Return the lines of a block from its columns' escaped cells.

    Example:
        >>> join([["1", "2"], ["a", "b"]], 2)
        '1\ta\n2\tb\n'
        >>> join([[], []], 0)
        ''
    """
    if not columns or not count:
        return "\n" * count
    if len(columns) == 1:
        return "\n".join(columns[0]) + "\n"
    return "\n".join(map("\t".join, zip(*columns, strict=True))) + "\n"
