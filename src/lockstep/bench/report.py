"""Results as words: the rows of a table, the limit beside it, targets met or missed.

Owns units and wording. It prints nothing; the command does.
"""

from __future__ import annotations

from lockstep.bench.machine import WRITTEN_BYTES, Machine
from lockstep.bench.results import Judgement, Result, Score, Standing, Verdict
from lockstep.bench.scenario import Metric
from lockstep.bench.statistics import median, percentile

HEADERS = ("contestant", "median", "lowest … highest", "p99", "against the first", "")
MEBIBYTE = 1024 * 1024


def time_text(seconds: float) -> str:
    """Return a time with three digits and its unit.

    Example:
        >>> [time_text(s) for s in (0.0000055, 0.0123, 2.5, 250.0)]
        ['5.50 µs', '12.3 ms', '2.50 s', '250 s']
    """
    for bound, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < bound:
            return f"{_digits(seconds * factor)} {unit}"
    return f"{_digits(seconds)} s"


def _digits(value: float) -> str:
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def value_text(metric: Metric, value: float) -> str:
    """Return a value in the metric's unit.

    Example:
        >>> value_text(Metric.RATE, 21500.0), value_text(Metric.MEMORY, 104857600.0)
        ('21,500/s', '100 MiB')
    """
    match metric:
        case Metric.TIME:
            return time_text(value)
        case Metric.RATE:
            return f"{_digits(value)}/s"
        case Metric.MEMORY:
            return f"{value / MEBIBYTE:.0f} MiB"


def ratio_text(value: float) -> str:
    """Return a factor as people say it.

    Example:
        >>> ratio_text(107.3), ratio_text(0.25)
        ('107 ×', '0.25 ×')
    """
    return f"{_digits(value)} ×"


def rows(result: Result) -> list[tuple[str, ...]]:
    """Return one row of the table for each contestant."""
    return [_row(result, score) for score in result.scores]


def _row(result: Result, score: Score) -> tuple[str, ...]:
    if not score.has_numbers:
        return (score.name, score.standing.value, "", "", "", score.note)
    metric = result.scenario.metric
    values, latencies = score.values(metric), score.latencies_s()
    notes = [f"{score.refused:,} refused"] if score.refused else []
    claimed = dict(result.scenario.claims).get(score.name)
    if claimed is not None:
        notes.append(f"claimed {time_text(claimed)}")
    if score.note:
        notes.append(score.note)
    compared = result.ratio(score.name, result.scenario.baseline)
    against = ""
    if compared is not None and score.name != result.scenario.baseline:
        against = (
            f"{ratio_text(compared.value)}"
            f" ({_digits(compared.low)} … {_digits(compared.high)})"
        )
    return (
        score.name,
        value_text(metric, median(values)),
        f"{value_text(metric, min(values))} … {value_text(metric, max(values))}",
        time_text(percentile(latencies, 0.99)) if latencies else "",
        against,
        ", ".join(notes),
    )


def limit_text(result: Result) -> str:
    """Return the machine's own limit, or why there is none."""
    if not result.limits_s:
        why = result.scenario.no_limit
        return f"no limit of the machine: {why[:1].lower()}{why[1:]}" if why else ""
    seconds = median(result.limits_s)
    lowest, highest = min(result.limits_s), max(result.limits_s)
    taken = f"takes {time_text(seconds)} ({time_text(lowest)} … {time_text(highest)})"
    if result.scenario.limit == "fsync":
        return (
            f"the disk's own limit: a flush {taken}, so {_digits(1 / seconds)} "
            "commits/s one by one"
        )
    if result.scenario.limit == "write":
        size = WRITTEN_BYTES // MEBIBYTE
        return (
            f"the disk's own limit: {size} MiB in a row, flushed, {taken}, "
            f"so {_digits(size / seconds)} MiB/s"
        )
    return f"the machine's own limit: a loopback round trip {taken}"


def verdict_text(result: Result, verdict: Verdict) -> str:
    """Return a target and what was measured: ``met: … at least 20 × …: 45 ×``."""
    target, metric = verdict.target, result.scenario.metric
    match target.kind:
        case "no refusals":
            wanted = "no refusal"
        case "p99":
            wanted = f"p99 at most {time_text(target.bound)}"
        case _ if target.against is not None:
            wanted = f"{target.kind} {target.bound:g} × {target.against}"
        case _:
            wanted = f"{target.kind} {value_text(metric, target.bound)}"
    return (
        f"{verdict.judgement.value}: {target.contestant}, {wanted}"
        f"{_measured_text(result, verdict)}"
    )


def _measured_text(result: Result, verdict: Verdict) -> str:
    if verdict.measured is None:
        sides = {verdict.target.contestant, verdict.target.against}
        without = [
            f"{score.name} {score.standing.value}"
            for score in result.scores
            if score.name in sides and not score.has_numbers
        ]
        return f" ({', '.join(without)})" if without else ""
    target = verdict.target
    if target.kind == "no refusals":
        return f": {verdict.measured:,.0f}"
    if target.kind == "p99":
        return f": {time_text(verdict.measured)}"
    if target.against is not None:
        return f": {ratio_text(verdict.measured)}"
    return f": {value_text(result.scenario.metric, verdict.measured)}"


def machine_facts(machine: Machine) -> list[tuple[str, str]]:
    """Return what the numbers were measured on."""
    versions = ", ".join(
        f"{name} {number}" for name, number in machine.versions.items()
    )
    return [
        ("Machine", f"{machine.cores} × {machine.processor}, {machine.system}"),
        ("Disk", machine.disk),
        (
            "Flush",
            f"{time_text(machine.flush.median_s)} median, "
            f"{time_text(machine.flush.p99_s)} p99",
        ),
        ("Loopback", f"{time_text(machine.loopback_s)} round trip"),
        ("Versions", versions),
    ]


def warnings(machine: Machine) -> list[str]:
    """Return what spoils the numbers."""
    found: list[str] = []
    if machine.load > machine.cores / 2:
        found.append(
            f"this machine is busy (load {machine.load:.1f} on {machine.cores} cores); "
            "ratios suffer less than times, but look at the ranges"
        )
    if "memory, no disk" in machine.disk:
        found.append(
            f"the folder lies on {machine.disk}; name one on a disk with --folder"
        )
    return found


def summary(results: list[Result]) -> str:
    """Return how many targets were met, and what was not right."""
    verdicts = [verdict for result in results for verdict in result.verdicts()]
    met = sum(verdict.judgement is Judgement.MET for verdict in verdicts)
    parts = [f"{met} of {len(verdicts)} targets met"] if verdicts else []
    for standing in (Standing.MISSING, Standing.FAILED, Standing.WRONG):
        count = sum(
            score.standing is standing for result in results for score in result.scores
        )
        if count:
            parts.append(f"{count} contestants {standing.value}")
    return ", ".join(parts)
