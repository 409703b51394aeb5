"""How a refused row is found, and known again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.mover.blocks import refusals
from lockstep.mover.blocks.encoding import LineBlock
from lockstep.mover.blocks.long_values import stand_in_of
from lockstep.mover.blocks.refusals import LineInPieces, Refusals
from lockstep.mover.codecs.lines import escape
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.postgresql.filling import Filling

PLAN = TablePlan(
    "t",
    "u",
    [
        ColumnPlan("id", "id", "bigint", "integer"),
        ColumnPlan("r", "r", "double precision", "real"),
        ColumnPlan("t", "t", "text", "text"),
        ColumnPlan("b", "b", "bytea", "bytes"),
        ColumnPlan("twice", "twice", "bigint", "integer", generated="stored"),
    ],
    primary_key=["id"],
)


class Server(Filling):
    """Refuses some lines, and names one that it may not have been."""

    def __init__(self, refused: set[int], told: int | None) -> None:
        self.refused_lines, self._told = refused, told
        self.written: list[int] = []
        self.noted: list[int] = []
        self.statements = 0

    def _refused(self, data: Any) -> Any:
        lines = [int(line) for some in data for line in some.split()]
        self.statements += 1
        first = next((p for p, n in enumerate(lines) if n in self.refused_lines), None)
        if first is None:
            self.written += lines
            return None
        place = first if self._told is None else self._told % len(lines)
        context = f"COPY t, line {place + 1}, column c: x"
        return SimpleNamespace(diag=SimpleNamespace(context=context))

    def _note(self, block: LineBlock, fields: list[str], error: Any) -> None:
        self.noted += map(int, fields)


@given(st.integers(1, 80), st.sets(st.integers(0, 79)), st.none() | st.integers(0, 99))
@example(80, set(range(80)), None)
@example(80, {0}, 79)
def test_each_line_is_written_or_noted_whatever_the_server_names(
    count: int, refused: set[int], told: int | None
) -> None:
    refused = {line for line in refused if line < count}
    server = Server(refused, told)
    data = b"".join(b"%d\n" % line for line in range(count))
    server._copy_lines(LineBlock(None, data, count, count))  # pyright: ignore[reportPrivateUsage]
    assert server.noted == sorted(refused)
    assert server.written == [line for line in range(count) if line not in refused]
    if told is None:
        # Of few refused lines there is no run of single ones.
        assert server.statements <= 1 + 14 * max(1, len(refused))


TEXTS = st.text(st.sampled_from("a\\\t\nβ\r"), max_size=70)


@given(TEXTS, st.binary(max_size=70), st.lists(st.integers(1, 400), max_size=5))
def test_a_row_has_one_mark_however_its_line_comes(
    text: str, data: bytes, cuts: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # A stand-in is shorter than a fourth of what is long.
        patch.setattr(refusals, "LONG_BYTES", 400)
        patch.setattr(refusals, "_HELD_BYTES_MAX", 803)
        text, data = 10 * text, 10 * data
        cells = ["1", "0.1", escape(text), escape("\\x" + data.hex()), "2"]
        row = Refusals(PLAN)
        mark = row.mark_of(cells)
        in_pieces = LineInPieces(PLAN)
        for piece in pieces_of("\t".join(cells), cuts):
            in_pieces.add(piece)
        assert row.mark_of(in_pieces.fields()) == mark
        stood_for = list(cells)
        if len(text.encode()) > 400:
            stood_for[2] = stand_in_of([text.encode()])
        if len(data) > 400:
            stood_for[3] = stand_in_of([data])
        assert row.mark_of(stood_for) == mark
        # As PostgreSQL spells it, and with what an engine computes.
        assert row.mark_of([*cells[:1], "0.10", *cells[2:4], "3"]) == mark
        assert row.mark_of(["2", *cells[1:]]) != mark


def pieces_of(line: str, cuts: list[int]) -> list[bytes]:
    """Cut a line where no escape and no character is cut."""
    data, pieces = line.encode() + b"\n", list[bytes]()
    for cut in cuts:
        head = data[:cut]
        is_within = (len(head) - len(head.rstrip(b"\\"))) % 2 == 1
        cut += is_within
        pieces.append(data[:cut])
        data = data[cut:]
    return [*pieces, data] if data else pieces
