"""What came out: the raw rounds, what they say, and which targets were met.

Pure values; ``to_json`` of each is what ``--json`` prints, raw rounds included, so that
everybody can compute other numbers than ours from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lockstep.bench.scenario import Metric, Round, Scenario, Target
from lockstep.bench.statistics import Ratio, median, percentile, ratio


class Standing(StrEnum):
    """How a contestant came through."""

    OK = "ok"
    WRONG = "wrong"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Score:
    """What one contestant did.

    Attributes:
        name: Of the contestant.
        standing: Whether its numbers count. ``WRONG``: it ended with other data than
            its answers promised.
        note: Why not, as a sentence; or what was found to be right.
        rounds: Every timed round, in order; the warm-up is not among them.
    """

    name: str
    standing: Standing
    note: str
    rounds: tuple[Round, ...]

    @property
    def has_numbers(self) -> bool:
        """Whether there is anything to compare."""
        return self.standing is Standing.OK and bool(self.rounds)

    def values(self, metric: Metric) -> list[float]:
        """Return one number per round."""
        return [item.value(metric) for item in self.rounds]

    def latencies_s(self) -> list[float]:
        """Return those of all rounds together."""
        return [second for item in self.rounds for second in item.latencies_s]

    @property
    def refused(self) -> int:
        """Operations that ended in an error, in all rounds."""
        return sum(item.refused for item in self.rounds)


class Judgement(StrEnum):
    """Whether a target was met."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target, and what was measured.

    Attributes:
        target: What was promised.
        judgement: Whether it was kept; unknown where a side has no numbers.
        measured: A ratio, or the value itself in the target's unit.
    """

    target: Target
    judgement: Judgement
    measured: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        return {
            "contestant": self.target.contestant,
            "kind": self.target.kind,
            "bound": self.target.bound,
            "against": self.target.against,
            "measured": self.measured,
            "judgement": self.judgement.value,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario, run.

    Attributes:
        scenario: What was run.
        scores: One per contestant, in the scenario's order.
        limits_s: The machine's limit, measured before every round; empty where none
            applies.
    """

    scenario: Scenario
    scores: tuple[Score, ...]
    limits_s: tuple[float, ...]

    def score(self, name: str) -> Score | None:
        """Return the score of one contestant; None when it has no numbers."""
        for score in self.scores:
            if score.name == name and score.has_numbers:
                return score
        return None

    def ratio(self, name: str, against: str) -> Ratio | None:
        """Return how ``name`` compares with ``against``."""
        one, other = self.score(name), self.score(against)
        if one is None or other is None:
            return None
        metric = self.scenario.metric
        return ratio(one.values(metric), other.values(metric))

    def verdicts(self) -> list[Verdict]:
        """Judge every target."""
        return [self._judge(target) for target in self.scenario.targets]

    def _judge(self, target: Target) -> Verdict:
        measured = self._measured(target)
        if measured is None:
            return Verdict(target, Judgement.UNKNOWN, None)
        match target.kind:
            case "at least":
                kept = measured >= target.bound
            case "at most" | "p99":
                kept = measured <= target.bound
            case "no refusals":
                kept = measured == 0
        return Verdict(target, Judgement.MET if kept else Judgement.MISSED, measured)

    def _measured(self, target: Target) -> float | None:
        score = self.score(target.contestant)
        if score is None:
            return None
        if target.kind == "no refusals":
            return float(score.refused)
        if target.kind == "p99":
            latencies = score.latencies_s()
            return percentile(latencies, 0.99) if latencies else None
        if target.against is None:
            return median(score.values(self.scenario.metric))
        compared = self.ratio(target.contestant, target.against)
        return None if compared is None else compared.value

    def to_json(self) -> dict[str, Any]:
        """Return it as the object that ``--json`` output carries."""
        scenario = self.scenario
        return {
            "name": scenario.name,
            "title": scenario.title,
            "why": scenario.why,
            "metric": scenario.metric.value,
            "baseline": scenario.baseline,
            "limit": scenario.limit,
            "limits_s": list(self.limits_s),
            "claims_s": dict(scenario.claims),
            "contestants": [self._score_json(score) for score in self.scores],
            "targets": [verdict.to_json() for verdict in self.verdicts()],
        }

    def _score_json(self, score: Score) -> dict[str, Any]:
        metric, latencies = self.scenario.metric, score.latencies_s()
        values = score.values(metric)
        compared = self.ratio(score.name, self.scenario.baseline)
        return {
            "name": score.name,
            "standing": score.standing.value,
            "note": score.note,
            "median": median(values) if values else None,
            "low": min(values) if values else None,
            "high": max(values) if values else None,
            "p50_s": percentile(latencies, 0.5) if latencies else None,
            "p99_s": percentile(latencies, 0.99) if latencies else None,
            "refused": score.refused,
            "ratio": None if compared is None else compared.value,
            "ratio_low": None if compared is None else compared.low,
            "ratio_high": None if compared is None else compared.high,
            "rounds": [
                {
                    "operations": item.operations,
                    "elapsed_s": item.elapsed_s,
                    "refused": item.refused,
                    "memory_bytes": item.memory_bytes,
                    "value": value,
                }
                for item, value in zip(score.rounds, values, strict=True)
            ],
        }
