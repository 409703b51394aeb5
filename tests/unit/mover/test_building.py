"""What is built behind the rows is committed together where it takes little time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest

from lockstep.mover import journal
from lockstep.mover.journal import build_all
from lockstep.mover.model.plan import Statement

STATEMENTS = [Statement("index", name, f"CREATE {name}") for name in "abcd"]


@pytest.mark.parametrize(
    ("together_s", "expected"), [(3_600, ["a b d "]), (0, ["a ", "b ", "d "])]
)
def test_quick_statements_share_a_transaction_and_slow_ones_have_their_own(
    together_s: float, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "TOGETHER_S", together_s)
    built: list[str] = []
    told: list[str] = []

    @contextmanager
    def transaction() -> Generator[None]:
        built.append("")
        yield

    def build(statement: Statement) -> str:
        built[-1] += f"{statement.name} "
        return "refused" if statement.name == "b" else ""

    done = {STATEMENTS[2].step: "refused before"}
    refused = build_all(STATEMENTS, done, build, told.append, transaction)
    assert built == expected
    assert told == ["a", "b", "d"]
    assert [(s.name, why) for s, why in refused] == [
        ("b", "refused"),
        ("c", "refused before"),
    ]
    assert list(done.values()) == ["refused before", "", "refused", ""]
