"""Run a scenario: contestants in turn, round by round, so that they share the weather.

Owns the order of things and what happens to a contestant that fails. What is measured
is the contestants' business.

    open all ─► warm up each ─► A B C, C B A, A B C … ─► check each ─► close all

A machine gets warmer, another program starts, a disk fills its cache: run one after the
other, the sides would meet different machines. In turn, and in alternating order, they
meet the same one.

Invariants: one contestant's failure ends nobody else's; the collector runs between the
rounds and never within one; everything that was opened is closed.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lockstep.bench.results import Result, Score, Standing
from lockstep.bench.scenario import (
    Contestant,
    Missing,
    Place,
    Round,
    Scale,
    Scenario,
)

OnStep = Callable[[str], None]

NOTE_LENGTH_MAX = 300


@dataclass
class _Entry:
    """One contestant on its way through."""

    contestant: Contestant
    standing: Standing = Standing.OK
    note: str = ""
    rounds: list[Round] = field(default_factory=list[Round])

    def fail(self, error: BaseException) -> None:
        """Take it out of the race."""
        missing = isinstance(error, Missing)
        self.standing = Standing.MISSING if missing else Standing.FAILED
        text = _said(error)
        if isinstance(error, Missing):
            text = f"{error.message}: {error.hint}" if error.hint else error.message
        self.note = " ".join(text.split())[:NOTE_LENGTH_MAX]

    @property
    def score(self) -> Score:
        """What it did."""
        return Score(self.contestant.name, self.standing, self.note, tuple(self.rounds))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def run_scenario(
    scenario: Scenario,
    place: Place,
    *,
    scale: Scale,
    rounds: int,
    limit: Callable[[], float] | None = None,
    on_step: OnStep = lambda text: None,
) -> Result:
    """Run one scenario.

    Args:
        scenario: Which.
        place: Where its contestants work.
        scale: How much is done.
        rounds: Timed rounds of each contestant.
        limit: Measures the machine's own limit, in seconds; before every round, since
            a disk may be ten times as fast in one minute as in the next.
        on_step: Is told what happens now.
    """
    assert rounds >= 1, "a result needs a round"
    field_ = [_Entry(contestant) for contestant in scenario.contestants(scale)]
    limits_s: list[float] = []
    try:
        for entry in field_:
            on_step(f"{scenario.name}: {entry.contestant.name} gets ready")
            _attempt(entry, lambda e=entry: e.contestant.open(place))
        for entry in _alive(field_):
            on_step(f"{scenario.name}: {entry.contestant.name} warms up")
            _attempt(entry, lambda e=entry: _timed(e.contestant))
        for number in range(rounds):
            if limit is not None:
                limits_s.append(limit())
            for entry in _in_turn(_alive(field_), number):
                on_step(
                    f"{scenario.name}: {entry.contestant.name}, "
                    f"round {number + 1} of {rounds}"
                )
                _attempt(entry, lambda e=entry: e.rounds.append(_timed(e.contestant)))
        for entry in _alive(field_):
            _attempt(entry, lambda e=entry: _check(e))
    finally:
        for entry in reversed(field_):
            _close(entry)
    scores = tuple(entry.score for entry in field_)
    return Result(scenario, scores, tuple(limits_s))


def _alive(entries: Sequence[_Entry]) -> list[_Entry]:
    return [entry for entry in entries if entry.standing is Standing.OK]


def _in_turn(entries: list[_Entry], number: int) -> list[_Entry]:
    """Return the order of one round: forward, then backward, and so on."""
    return entries if number % 2 == 0 else entries[::-1]


def _attempt(entry: _Entry, step: Callable[[], object]) -> None:
    try:
        step()
    except Exception as error:
        # A contestant that fails is a result of the benchmark, shown as such.
        entry.fail(error)


def _timed(contestant: Contestant) -> Round:
    gc.collect()
    gc.disable()
    try:
        return contestant.round()
    finally:
        gc.enable()


def _check(entry: _Entry) -> None:
    problems = entry.contestant.check()
    if problems:
        entry.standing = Standing.WRONG
        entry.note = "; ".join(problems)[:NOTE_LENGTH_MAX]
    else:
        entry.note = entry.contestant.proof()


def _close(entry: _Entry) -> None:
    try:
        entry.contestant.close()
    except Exception as error:
        if entry.standing is Standing.OK:
            entry.fail(error)
