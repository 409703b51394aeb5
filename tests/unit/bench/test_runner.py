"""The order of rounds, and what becomes of a contestant that fails."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from lockstep.bench.results import Judgement, Result, Standing
from lockstep.bench.runner import run_scenario
from lockstep.bench.scenario import (
    Contestant,
    Metric,
    Missing,
    Place,
    Round,
    Scale,
    Scenario,
    Target,
)


class Nowhere(Place):
    def folder(self) -> Path:
        raise AssertionError("not asked for")

    def postgresql(self) -> str:
        raise AssertionError("not asked for")

    def libsql(self) -> str:
        raise AssertionError("not asked for")


class Actor(Contestant):
    """Says what is done to it, and fails where it is told to."""

    def __init__(
        self, name: str, said: list[str], *, fails: str = "", seconds: float = 1.0
    ) -> None:
        self.name = name
        self._said = said
        self._fails = fails
        self._seconds = seconds

    def _say(self, what: str) -> None:
        self._said.append(f"{what} {self.name}")
        if what == self._fails:
            raise Missing("needs nothing") if what == "open" else ValueError("no luck")

    def open(self, place: Place) -> None:
        self._say("open")

    def round(self) -> Round:
        assert not gc.isenabled()
        self._say("round")
        return Round(2, self._seconds, (self._seconds, self._seconds / 2), refused=1)

    def check(self) -> list[str]:
        self._say("check")
        return ["a row is gone"] if self._fails == "wrong" else []

    def proof(self) -> str:
        return "all there"

    def close(self) -> None:
        self._say("close")


def scenario(*actors: Actor, metric: Metric = Metric.TIME, **more: Any) -> Scenario:
    return Scenario(
        name="play",
        title="A play",
        why="To see the order.",
        metric=metric,
        baseline=actors[0].name,
        contestants=lambda scale: list(actors),
        **more,
    )


def run(chosen: Scenario, rounds: int = 3) -> Result:
    return run_scenario(chosen, Nowhere(), scale=Scale(), rounds=rounds)


def test_rounds_are_run_in_turn_and_in_alternating_order() -> None:
    said: list[str] = []
    result = run(scenario(Actor("a", said), Actor("b", said)))
    assert said == [
        *("open a", "open b"),
        *("round a", "round b"),  # the warm-up
        *("round a", "round b"),
        *("round b", "round a"),
        *("round a", "round b"),
        *("check a", "check b", "close b", "close a"),
    ]
    assert [len(score.rounds) for score in result.scores] == [3, 3]
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("where", "standing"),
    [
        ("open", Standing.MISSING),
        ("round", Standing.FAILED),
        ("check", Standing.FAILED),
        ("close", Standing.FAILED),
        ("wrong", Standing.WRONG),
    ],
)
def test_a_failure_is_shown_and_ends_nobody_else(
    where: str, standing: Standing
) -> None:
    said: list[str] = []
    result = run(scenario(Actor("a", said), Actor("b", said, fails=where)))
    good, bad = result.scores
    assert (good.standing, len(good.rounds)) == (Standing.OK, 3)
    assert good.note == "all there"
    assert bad.standing is standing
    assert bad.note
    assert not bad.has_numbers
    assert result.ratio("b", "a") is None
    assert said.count("close b") == 1


def test_an_interrupt_closes_everything() -> None:
    said: list[str] = []

    class Interrupted(Actor):
        def round(self) -> Round:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scenario(Actor("a", said), Interrupted("b", said)))
    assert {"close a", "close b"} <= set(said)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("target", "judgement", "measured"),
    [
        (Target("b", "at most", 2.0, "a"), Judgement.MET, 2.0),
        (Target("b", "at most", 1.9, "a"), Judgement.MISSED, 2.0),
        (Target("b", "at least", 2.0, "a"), Judgement.MET, 2.0),
        (Target("b", "at most", 0.9), Judgement.MISSED, 1.0),
        (Target("b", "p99", 2.0), Judgement.MET, 2.0),
        (Target("b", "p99", 1.0), Judgement.MISSED, 2.0),
        (Target("b", "no refusals"), Judgement.MISSED, 3.0),
        (Target("b", "at most", 1.0, "gone"), Judgement.UNKNOWN, None),
        (Target("gone", "p99", 1.0), Judgement.UNKNOWN, None),
    ],
)
def test_targets_are_judged(
    target: Target, judgement: Judgement, measured: float | None
) -> None:
    said: list[str] = []
    actors = [Actor("a", said), Actor("b", said, seconds=2.0)]
    (verdict,) = run(scenario(*actors, targets=(target,))).verdicts()
    assert (verdict.judgement, verdict.measured) == (judgement, measured)


@pytest.mark.parametrize(
    ("metric", "value"), [(Metric.TIME, 0.25), (Metric.RATE, 4.0), (Metric.MEMORY, 7.0)]
)
def test_a_round_says_one_value(metric: Metric, value: float) -> None:
    assert Round(2, 0.5, memory_bytes=7).value(metric) == value
    assert metric.more_is_better is (metric is Metric.RATE)


def test_a_round_without_an_operation_is_no_good_time() -> None:
    assert Round(0, 1.0).value(Metric.TIME) == float("inf")
    assert Round(0, 0.0).value(Metric.RATE) == 0.0
