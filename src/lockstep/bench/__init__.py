"""The benchmark: named scenarios, run in turn with their peers, on your machine.

Floor 7: uses everything below it as an application would, and is used by the command
alone.

    scenarios/  one file each ──► runner (in turn) ──► results ──► report, picture
    machine     the limits no library can beat, measured beside
    arena       folders and a durable PostgreSQL, gone afterwards

A number of ours that cannot be reproduced here, with the command that is printed beside
it, is not a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockstep.bench.arena import Arena
from lockstep.bench.machine import (
    Machine,
    look,
    measure_flush,
    measure_loopback,
    measure_writing,
)
from lockstep.bench.results import Result
from lockstep.bench.runner import OnStep, run_scenario
from lockstep.bench.scenario import Scale, Scenario

QUICK_ROUNDS = 1
FLUSHES_BEFORE_A_ROUND = 15


@dataclass(frozen=True, slots=True)
class Report:
    """One run of the benchmark.

    Attributes:
        machine: What it was run on.
        quick: Whether it was only a try; its numbers mean nothing then.
        results: One per scenario.
    """

    machine: Machine
    quick: bool
    results: tuple[Result, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return {
            "machine": self.machine.to_json(),
            "quick": self.quick,
            "results": [result.to_json() for result in self.results],
        }


def run(
    scenarios: Sequence[Scenario],
    *,
    quick: bool = False,
    rounds: int | None = None,
    folder: Path | None = None,
    server: str | None = None,
    on_machine: Callable[[Machine], None] = lambda machine: None,
    on_result: Callable[[Result], None] = lambda result: None,
    on_step: OnStep = lambda text: None,
) -> Report:
    """Run scenarios, one after another, on this machine.

    Args:
        scenarios: Which.
        quick: Try everything once with little data.
        rounds: Timed rounds of each contestant, instead of each scenario's own number.
        folder: Measure its disk; the temporary folder's if None.
        server: A PostgreSQL to use; an embedded one, made durable, if None.
        on_machine: Is told the machine before the first scenario.
        on_result: Is told each result as it comes.
        on_step: Is told what happens now.

    Nothing of it is left afterwards.
    """
    results: list[Result] = []
    with Arena(folder, server) as arena:
        machine = look(arena.root)
        on_machine(machine)
        for scenario in scenarios:
            result = run_scenario(
                scenario,
                arena,
                scale=Scale(quick=quick),
                rounds=rounds or (QUICK_ROUNDS if quick else scenario.rounds),
                limit=_limit(scenario, arena),
                on_step=on_step,
            )
            results.append(result)
            on_result(result)
    return Report(machine, quick, tuple(results))


def _limit(scenario: Scenario, arena: Arena) -> Callable[[], float] | None:
    """Return what measures the machine's limit, close to what it is compared with."""
    match scenario.limit:
        case "fsync":
            return lambda: measure_flush(arena.root, FLUSHES_BEFORE_A_ROUND).median_s
        case "loopback":
            return measure_loopback
        case "write":
            return lambda: measure_writing(arena.root)
        case "none":
            return None


__all__ = ["Arena", "Machine", "Report", "Result", "Scale", "Scenario", "run"]
