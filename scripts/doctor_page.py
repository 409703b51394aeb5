"""Write docs/reference/doctor.md from the registry of checks itself.

Run it after adding or changing a check; a test compares the page with the code.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lockstep.doctor import Check, all_checks
from lockstep.doctor.findings import MEANINGS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "doctor.md"

HEAD = """\
# What the doctor looks for

<!-- Written by `scripts/doctor_page.py`; a test compares. -->

`lockstep db doctor` runs these checks; `--check NAME` and `--skip NAME` choose. Each
finding says what was found, why it matters and how to mend it. A check marked *mends*
has a repair that `--fix` shows and, with `--yes`, carries out.

"""


def page() -> str:
    """Return the whole page."""
    meanings = "| severity | meaning |\n|---|---|\n"
    meanings += "".join(f"| {name} | {text} |\n" for name, text in MEANINGS.items())
    return HEAD + meanings + "\n" + "\n".join(map(section, all_checks()))


def section(check: Check) -> str:
    """Return what the page says about one check."""
    kinds = {
        "sqlite": "SQLite",
        "postgresql": "PostgreSQL",
        "project": "projects",
        "trace": "traced programs",
    }
    where = ", ".join(kinds[kind] for kind in check.kinds())
    mends = "; *mends*" if check.repair else ""
    return (
        f"## {check.name}\n\n{check.looks_for}\n\n{check.why}\n\nOn {where}{mends}.\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stderr.write(f"wrote {PAGE.name}\n")
