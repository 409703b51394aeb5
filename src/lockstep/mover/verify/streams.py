"""Two streams of lines, passed over together while they are the same bytes.

Owns the alignment of blocks that come in different sizes. It knows no table.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Final

PIECE_BYTES: Final = 1024 * 1024
"""What is left of a block is copied for each block of the other side."""


def _cut(blocks: Iterable[bytes]) -> Generator[bytes]:
    """Yield blocks, long ones cut between lines; a long line is left whole."""
    for block in blocks:
        held = [block]
        del block  # whoever takes a long line shall be the only one who holds it
        start = 0
        while len(held[0]) - start > PIECE_BYTES:
            end = held[0].rfind(b"\n", start, start + PIECE_BYTES) + 1
            end = end or held[0].find(b"\n", start + PIECE_BYTES) + 1 or len(held[0])
            if end - start == len(held[0]):
                break
            yield held[0][start:end]
            start = end
        yield held.pop()[start:]


class LineReader:
    """Lines from blocks: as bytes to compare, or as texts to look at.

    Invariant: what is left begins at the beginning of a line.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks: Iterator[bytes] = _cut(blocks)
        self._data: bytes = b""
        self._at = 0
        self._lines: list[str] = []
        self._next = 0

    def piece(self, size: int = 1) -> bytes:
        """Return what is left, whole lines; at least ``size`` bytes but at the end."""
        if self._lines:
            left = self._lines[self._next :]
            text = "".join(f"{line}\n" for line in left)
            self._data = text.encode("utf-8") + self._data[self._at :]
            self._at, self._lines, self._next = 0, [], 0
        if self._at:
            self._data = b"" if self._at == len(self._data) else self._data[self._at :]
            self._at = 0
        while len(self._data) < size:
            block = next(self._blocks, None)
            if block is None:
                break
            self._data = self._data + block if self._data else block
        return self._data

    def skip(self, size: int) -> None:
        """Pass over the first bytes of ``piece``; they end a line."""
        self._at += size

    def take(self, count: int) -> list[str]:
        """Return the next ``count`` lines, or fewer at the end."""
        while len(self._lines) - self._next < count:
            data = self._data[self._at :] or next(self._blocks, None)
            if data is None:
                break
            self._data, self._at = b"", 0
            fresh = data.decode("utf-8").split("\n")
            fresh.pop()
            self._lines = self._lines[self._next :] + fresh
            self._next = 0
        found = self._lines[self._next : self._next + count]
        self._next += len(found)
        return found

    def give_back(self, lines: list[str]) -> None:
        """Put lines back, to be taken again."""
        self._lines = lines + self._lines[self._next :]
        self._next = 0


def pass_equal(ours: LineReader, theirs: LineReader) -> int:
    """Pass over the lines that both begin with alike; return how many.

    It may stop before a difference, never behind one.
    """
    lines = wanted = 0
    while True:
        one, two = ours.piece(wanted or 1), theirs.piece(wanted or 1)
        common = min(len(one), len(two))
        if common < wanted or not common:
            return lines
        shorter, longer = (one, two) if len(one) == common else (two, one)
        if shorter.endswith(b"\n") and longer.startswith(shorter):
            # The usual case, in which nothing is copied.
            lines += shorter.count(b"\n")
            wanted = 0
            ours.skip(common)
            theirs.skip(common)
            continue
        end = one.rfind(b"\n", 0, common) + 1
        if not end:
            wanted = common + 1  # a line longer than what is left of a block
            continue
        if one[:end] != two[:end]:
            return lines
        lines += one.count(b"\n", 0, end)
        wanted = 0
        ours.skip(end)
        theirs.skip(end)


def in_pieces(reader: LineReader, size: int) -> Generator[list[str]]:
    """Yield the lines of a reader in lists of ``size``."""
    while piece := reader.take(size):
        yield piece
