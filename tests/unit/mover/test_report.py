"""The page of an inspection: escaped, labelled, readable in light and dark."""

from __future__ import annotations

import re

from lockstep.mover.model.results import Finding, Inspection
from lockstep.mover.report import html_report

HOSTILE = "<img src=x onerror=alert(1)>\"'"
COLUMN = {
    "name": HOSTILE,
    "declared": HOSTILE,
    "stored": {"integer": 3, "text": 1},
    "becomes": "bigint",
}
PAGE = html_report(
    Inspection(
        url=f"sqlite:///{HOSTILE}",
        dialect="sqlite",
        tables=[{"name": HOSTILE, "kind": HOSTILE, "rows": 4, "columns": [COLUMN]}],
        findings=[Finding(HOSTILE, HOSTILE, HOSTILE, 2, (HOSTILE,))],
        objects=[{"kind": "view", "name": HOSTILE, "sql": HOSTILE}],
        notices=[HOSTILE],
    )
)


def test_no_text_of_the_database_is_markup() -> None:
    assert "<img" not in PAGE
    assert PAGE.count("&lt;img") == 13
    assert "1 table, 4 rows" in PAGE


def test_each_cell_says_what_it_is() -> None:
    cells = re.findall(r"<td[^>]*>", PAGE)
    assert len(cells) == 9
    assert all(re.fullmatch(r'<td data-label="\w+">', cell) for cell in cells)


def luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(2 * sign for sign in colour)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_words_stand_out_from_the_page_in_light_and_in_dark() -> None:
    light, dark = (
        dict(re.findall(r"--(\w+):#(\w+)", block))
        for block in re.findall(r":root\{([^}]*)\}", PAGE)
    )
    for colours in (light, light | dark):
        for ground in ("page", "head"):
            below = luminance(colours[ground])
            for ink in ("ink", "quiet", "dirt"):
                above = luminance(colours[ink])
                ratio = (max(above, below) + 0.05) / (min(above, below) + 0.05)
                assert ratio >= 4.5, (ink, ground, ratio)
