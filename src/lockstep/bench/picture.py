"""A picture of the results that people can put into a report: one SVG file.

Owns its drawing. A file of its own with nothing to load; it follows the reader's light
or dark background.

    title
    contestant  ████████████████|──────|      12.3 ms   1.0 ×
                median          lowest … highest

Bars begin at zero and are linear: a bar twice as long is twice as much.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from xml.sax.saxutils import escape

from lockstep.bench.machine import Machine
from lockstep.bench.report import machine_facts, ratio_text, value_text
from lockstep.bench.results import Result, Score
from lockstep.bench.scenario import Metric
from lockstep.bench.statistics import median

WIDTH = 900
MARGIN = 24
LABEL_WIDTH = 250
VALUE_WIDTH = 190
ROW = 26
BAR = 14
PANEL_HEAD = 46
PANEL_GAP = 22
HEAD = 64
FOOT_LETTERS = 120
OURS = "Lockstep"

_STYLE = """
svg {
  font: 13px system-ui, -apple-system, "Segoe UI", sans-serif;
  color-scheme: light dark; background: #ffffff; max-width: 100%; height: auto;
}
.ground { fill: #ffffff; }
text { fill: #1f2328; }
.faint { fill: #59636e; }
.title { font-size: 15px; font-weight: 600; }
.head { font-size: 20px; font-weight: 700; }
.bar { fill: #9aa4af; }
.ours { fill: #0969da; }
.range { stroke: #1f2328; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; }
  .ground { fill: #0d1117; }
  text { fill: #e6edf3; }
  .faint { fill: #9198a1; }
  .bar { fill: #59636e; }
  .ours { fill: #4493f8; }
  .range { stroke: #e6edf3; }
}
"""

_DIRECTIONS = {
    Metric.TIME: "time, less is better",
    Metric.RATE: "per second, more is better",
    Metric.MEMORY: "memory, less is better",
}


def draw(machine: Machine, results: Sequence[Result], *, quick: bool = False) -> str:
    """Return the picture as the text of an SVG file; one of a try says so."""
    head = "lockstep bench" + (" --quick: a try, no measurement" if quick else "")
    top, panels = float(HEAD), list[str]()
    for result in results:
        panels.append(_panel(result, top))
        top += _height(result) + PANEL_GAP
    facts = [
        line
        for name, value in machine_facts(machine)
        for line in textwrap.wrap(f"{name}: {value}", FOOT_LETTERS)
    ]
    foot = [
        _text(MARGIN, top + 16 * (number + 1), line, "faint")
        for number, line in enumerate(facts)
    ]
    height = top + 16 * (len(facts) + 1) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        # No role="img": that would hide the names and numbers from a screen reader.
        f'width="{WIDTH}" height="{height:.0f}">',
        f"<title>{escape(head)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height:.0f}"/>',
        _text(MARGIN, 40, head, "head"),
        *panels,
        *foot,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _height(result: Result) -> float:
    return PANEL_HEAD + ROW * len(result.scores)


def _panel(result: Result, top: float) -> str:
    scenario = result.scenario
    parts = [
        _text(MARGIN, top + 14, f"{scenario.name}: {scenario.title}", "title"),
        _text(MARGIN, top + 32, _DIRECTIONS[scenario.metric], "faint"),
    ]
    longest = max(
        (max(s.values(scenario.metric)) for s in result.scores if s.has_numbers),
        default=0.0,
    )
    for number, score in enumerate(result.scores):
        parts.append(_bar(result, score, longest, top + PANEL_HEAD + ROW * number))
    return "\n".join(parts)


def _bar(result: Result, score: Score, longest: float, top: float) -> str:
    left, middle = MARGIN + LABEL_WIDTH, top + BAR
    parts = [_text(MARGIN, middle - 2, score.name)]
    if not score.has_numbers or longest <= 0:
        note = f"{score.standing.value}: {score.note}"
        return "\n".join([*parts, _text(left, middle - 2, note[:90], "faint")])
    metric = result.scenario.metric
    values = score.values(metric)
    scale = (WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH) / longest
    kind = "bar ours" if score.name.startswith(OURS) else "bar"
    value = median(values)
    low, high = left + min(values) * scale, left + max(values) * scale
    parts.append(
        f'<rect class="{kind}" x="{left}" y="{top:.1f}" '
        f'width="{max(value * scale, 1.0):.1f}" height="{BAR}" rx="2"/>'
    )
    parts.append(
        f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" '
        f'y1="{top + BAR / 2:.1f}" y2="{top + BAR / 2:.1f}"/>'
    )
    words = value_text(metric, value)
    compared = result.ratio(score.name, result.scenario.baseline)
    if compared is not None and score.name != result.scenario.baseline:
        words += f" · {ratio_text(compared.value)}"
    parts.append(_text(max(high, left) + 10, middle - 2, words))
    return "\n".join(parts)


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
