"""However lines come in blocks, a comparison names exactly what differs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.mover.codecs.lines import escape
from lockstep.mover.model.plan import ColumnPlan, TablePlan
from lockstep.mover.model.results import (
    DIFFERENCES_KEPT_MAX,
    EXAMPLES_KEPT_MIN,
    Difference,
    DifferenceCount,
    VerifyReport,
)
from lockstep.mover.verify import compare, streams
from lockstep.mover.verify.account import Account
from lockstep.mover.verify.compare import PIECE_LINES, TableComparison
from lockstep.mover.verify.streams import LineReader, pass_equal

# Longer than the pieces below, escaped, empty; "1.50" is the real 1.5 spelled oddly.
TEXTS = st.sampled_from(["", "a", "b", "a\tb", "x" * 40, "y" * 41, "é\n"])
REALS = st.sampled_from(["1.5", "1.50", "2", "\\N"])
ROWS = st.tuples(TEXTS, REALS)
TABLES = st.dictionaries(st.integers(-3, 15), ROWS, max_size=12)
CUTS = st.lists(st.integers(0, 20), max_size=12)
VALUES = {"1.50": "1.5"}


@pytest.fixture(scope="module", autouse=True)
def _small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "PIECE_LINES", 3)
        patch.setattr(compare, "_COUNTED_LINES", 4)
        patch.setattr(streams, "PIECE_BYTES", 24)
        yield


def made(
    report: VerifyReport, *, has_key: bool, account: Account | None = None
) -> TableComparison:
    plan = TablePlan("t", "t", [])
    if has_key:
        plan.columns.append(ColumnPlan("id", "id", "bigint", "integer"))
        plan.order_key = ["id"]
    plan.columns.append(ColumnPlan("s", "s", "text", "text"))
    plan.columns.append(ColumnPlan("r", "r", "double precision", "real"))
    return TableComparison(plan, report, account=account)


def cut(lines: Sequence[str], cuts: Sequence[int]) -> list[bytes]:
    """Return lines as blocks that end where ``cuts`` say."""
    ends = sorted({min(end, len(lines)) for end in cuts} | {0, len(lines)})
    return ["".join(lines[one:two]).encode() for one, two in pairwise(ends)]


def keyed(rows: Mapping[int, tuple[str, str]]) -> list[str]:
    return [f"{key}\t{escape(s)}\t{r}\n" for key, (s, r) in sorted(rows.items())]


def meant(row: tuple[str, str]) -> tuple[str, str]:
    return row[0], VALUES.get(row[1], row[1])


@given(TABLES, TABLES, st.booleans(), CUTS, CUTS)
def test_in_key_order(
    mine: dict[int, tuple[str, str]],
    changes: dict[int, tuple[str, str]],
    is_near: bool,
    one: list[int],
    two: list[int],
) -> None:
    other = {**mine, **changes} if is_near else changes
    expected = {("missing row", str(key), "") for key in mine.keys() - other.keys()}
    expected |= {("extra row", str(key), "") for key in other.keys() - mine.keys()}
    for key in mine.keys() & other.keys():
        cells = zip("sr", meant(mine[key]), meant(other[key]), strict=True)
        expected |= {("cell", str(key), name) for name, a, b in cells if a != b}
    report = VerifyReport()
    rows = made(report, has_key=True).ordered(
        cut(keyed(mine), one), cut(keyed(other), two)
    )
    assert rows == len(mine)
    found = [(d.kind, d.key, d.column) for d in report.differences]
    assert sorted(found) == sorted(expected)
    assert report.difference_count == len(expected)


@given(st.lists(ROWS, max_size=10), st.data(), CUTS, CUTS)
def test_as_sets(
    mine: list[tuple[str, str]], data: st.DataObject, one: list[int], two: list[int]
) -> None:
    other = data.draw(st.permutations(mine))[data.draw(st.integers(0, 3)) :]
    other += data.draw(st.lists(ROWS, max_size=3))
    left = Counter(map(meant, mine))
    left.subtract(map(meant, other))
    blocks = [
        cut([f"{escape(s)}\t{r}\n" for s, r in rows], cuts)
        for rows, cuts in ((mine, one), (other, two))
    ]
    report = VerifyReport()
    comparison = made(report, has_key=False)
    rows = comparison.as_sets(lambda: blocks[0], lambda: blocks[1])
    assert rows == len(mine)
    # Two rows are a pair when one of their two cells agrees.
    kinds = Counter(d.kind for d in report.differences)
    assert kinds["missing row"] + kinds["cell"] == (+left).total()
    assert kinds["extra row"] + kinds["cell"] == (-left).total()
    assert report.difference_count == len(report.differences)
    for found in report.differences:
        assert (found.source != "") == (found.kind != "extra row")
        assert (found.target != "") == (found.kind != "missing row")
    in_step = comparison.in_step(*blocks)
    joined = [b"".join(some) for some in blocks]
    assert in_step == (len(mine) if joined[0] == joined[1] else None)


def test_an_empty_line_counts_too() -> None:
    ours, theirs = (LineReader([b"\na\n" + end]) for end in (b"longer\n", b"b\n"))
    assert pass_equal(ours, theirs) == 2
    assert (ours.piece(), theirs.piece()) == (b"longer\n", b"b\n")


def test_many_differences_are_counted_and_few_are_kept() -> None:
    rows = DIFFERENCES_KEPT_MAX + 50
    mine = "".join(f"{n}\t1\n" for n in range(rows)).encode()
    for other, count in (
        (mine.replace(b"\t1\n", b"\t2\n"), rows),
        (b"", rows),
        (mine + mine[:4], 1),
    ):
        report = VerifyReport()
        comparison = made(report, has_key=False)
        assert comparison.as_sets(lambda: [mine], lambda to=other: [to]) == rows
        assert report.difference_count == count
        assert len(report.differences) == min(count, DIFFERENCES_KEPT_MAX)


def test_no_more_is_read_again_than_is_shown() -> None:
    lines = 5 * PIECE_LINES
    taken: list[int] = []

    def read(value: int) -> Iterator[bytes]:
        reading = len(taken)
        taken.append(0)
        for n in range(lines):
            taken[reading] += 1
            yield f"{n}\t{value}\n".encode()

    report = VerifyReport()
    comparison = made(report, has_key=False, account=Account())
    comparison.as_sets(lambda: read(1), lambda: read(2))
    assert report.difference_count == lines
    assert taken[:2] == [lines, lines]
    assert max(taken[2:]) < lines / 2


def test_a_column_that_differs_throughout_hides_no_other() -> None:
    report = VerifyReport()
    for key in map(str, range(DIFFERENCES_KEPT_MAX + 50)):
        report.add(Difference("cell", "rounded", key, "weight"))
    for key in map(str, range(EXAMPLES_KEPT_MIN + 1)):
        report.add(Difference("cell", "users", key, "name"))
    report.add_unnamed_rows("log", 7)
    report.add_unnamed_rows("same", 0)

    kept = Counter(difference.table for difference in report.differences)
    assert kept == {"rounded": DIFFERENCES_KEPT_MAX, "users": EXAMPLES_KEPT_MIN}
    assert report.summary == [
        DifferenceCount("cell", "rounded", "weight", DIFFERENCES_KEPT_MAX + 50),
        DifferenceCount("cell", "users", "name", EXAMPLES_KEPT_MIN + 1),
        DifferenceCount("row", "log", "", 7),
    ]
    assert report.difference_count == sum(place.count for place in report.summary)
    assert json.loads(json.dumps(report.to_json()))["summary"][2] == {
        "kind": "row",
        "table": "log",
        "column": "",
        "count": 7,
    }
