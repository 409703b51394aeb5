"""Rows with long cells as lines, where a codec decides what each cell becomes.

Owns the line of a row whose short cells the encoder converts and whose long ones are
written piece by piece: columns of several classes, texts that PostgreSQL's ``text``
cannot hold, files in UTF-16. Where SQLite packs rows, ``long_rows.py`` does.

    short cells  TableEncoder, NULL in place of long ones  ─┐
    long cells   blobopen, read, the codec's form          ─┴─►  pieces of one line

Invariant: the pieces of a row, joined, are the line that ``TableEncoder`` makes of it,
or that line with stand-ins; what is noted of its cells is the same either way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Final

from lockstep.mover.blocks.digests import LineDigest
from lockstep.mover.blocks.encoding import LineBlock, OddRow, TableEncoder
from lockstep.mover.blocks.long_values import (
    LONG_BYTES,
    LongCells,
    stand_in,
    with_stand_ins,
)
from lockstep.mover.codecs import Codec, codec_of
from lockstep.mover.model.plan import TablePlan
from lockstep.mover.sqlite.apart import LongRow
from lockstep.mover.sqlite.long_rows import line_blocks
from lockstep.mover.sqlite.packed import lines_of

_HEAD: Final = b"\\\\x"
"""What a ``bytea`` of a line begins with."""


class LongLines:
    """Makes lines of a table's long rows.

    Args:
        plan: Of the table.
        names: In SQLite, of the plan's columns.
        encoder: Of its short cells.
        encoding: Of the file's texts, by SQLite's name.
        long: Which long cells come in pieces, or have stand-ins.
        opened: Of the names those whose long cells are all read in pieces.
    """

    def __init__(
        self,
        plan: TablePlan,
        names: Sequence[str],
        encoder: TableEncoder,
        encoding: str,
        long: LongCells,
        opened: frozenset[str],
    ) -> None:
        self._plan = plan
        self._names = list(names)
        self._encoder = encoder
        self._encoding = encoding
        self._long = long
        self._codecs: dict[str, Codec] = {
            name: codec_of(column.codec)
            for name, column in zip(names, plan.columns, strict=True)
            if name in opened and column.source in long.columns
        }

    def blocks(self, row: LongRow) -> Generator[LineBlock]:
        """Yield a row's line: a block, or several of which only the last ends it.

        Raises:
            Unmappable: A value does not fit, and the plan says ``fail``.
        """
        forms = {
            name: self._codecs[name].in_pieces[row.kinds[name]]
            for name in row.long
            if name in self._codecs and row.kinds[name] in self._codecs[name].in_pieces
        }
        block = self._encoder.block(row.rowid, [row.values(list(forms))])
        if forms and not block.count:
            # Its mark is that of the whole row.
            block = self._encoder.block(row.rowid, [row.values()])
        if not forms or not block.count:
            yield with_stand_ins(block, self._plan, self._long)
            return
        fields = block.taken()[:-1].split(b"\t")
        digest = LineDigest()
        parts = self._parts(row, fields, forms, digest)
        for part in line_blocks(parts, row.rowid, in_pieces=self._long.in_pieces):
            if not part.is_open:
                part.odd = self._odd(block, row, forms, digest)
            yield part

    def _parts(
        self,
        row: LongRow,
        fields: Sequence[bytes],
        forms: Mapping[str, str],
        digest: LineDigest,
    ) -> Generator[bytes]:
        for place, (name, field) in enumerate(zip(self._names, fields, strict=True)):
            if place:
                digest.add(b"\t")
                yield b"\t"
            if name not in forms:
                digest.add(field)
                yield field
                continue
            yield from self._cell(row.pieces(name, self._encoding), forms[name], digest)
        yield b"\n"

    def _cell(
        self, pieces: Iterator[bytes], form: str, digest: LineDigest
    ) -> Iterator[bytes]:
        """Yield a cell as it is written, or its stand-in."""
        head, write = (_HEAD, _hex) if form == "bytes" else (b"", lines_of)
        digest.add(head)
        if self._long.in_pieces:
            yield head
        sha256, length, held = hashlib.sha256(), 0, [head]
        for piece in pieces:
            part = write(piece)
            digest.add(part)
            if self._long.in_pieces:
                yield part
                continue
            sha256.update(piece)
            length += len(piece)
            # In UTF-16 it may have been long, and is not in UTF-8.
            held = [*held, part] if length <= LONG_BYTES else []
        if length > LONG_BYTES:
            yield stand_in(length, sha256.hexdigest()).encode()
        elif not self._long.in_pieces:
            yield b"".join(held)

    def _odd(
        self,
        block: LineBlock,
        row: LongRow,
        forms: Mapping[str, str],
        digest: LineDigest,
    ) -> list[OddRow]:
        """Return what is noted of a row's cells, in the order of its columns."""
        kinds = {
            name: row.kinds[name]
            for name in forms
            if self._codecs[name].is_odd_in_pieces(row.kinds[name])
        }
        for odd in block.odd:
            kinds.update(odd.cells)
        if not kinds:
            return []
        cells = tuple((name, kinds[name]) for name in self._names if name in kinds)
        return [OddRow(digest.value(), cells)]


def _hex(piece: bytes) -> bytes:
    return piece.hex().encode()
