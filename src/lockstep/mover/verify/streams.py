"""Two streams of lines as one stream of equal-sized pieces.

Owns the alignment of blocks that come in different sizes. It knows no table.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator


class LineReader:
    """Lines from blocks, taken in any number."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts: Iterator[str] = iter(texts)
        self._lines: list[str] = []
        self._at = 0

    def take(self, count: int) -> list[str]:
        """Return the next ``count`` lines, or fewer at the end."""
        while len(self._lines) - self._at < count:
            text = next(self._texts, None)
            if text is None:
                break
            fresh = text.split("\n")
            fresh.pop()
            self._lines = self._lines[self._at :] + fresh
            self._at = 0
        found = self._lines[self._at : self._at + count]
        self._at += len(found)
        return found

    def give_back(self, lines: list[str]) -> None:
        """Put lines back, to be taken again."""
        self._lines = lines + self._lines[self._at :]
        self._at = 0


def in_pieces(reader: LineReader, size: int) -> Generator[list[str]]:
    """Yield the lines of a reader in lists of ``size``."""
    while piece := reader.take(size):
        yield piece
