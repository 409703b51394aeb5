"""SPEC.md names, for each promise, tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "SPEC.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`((?:tests|examples)/[\w/]+\.py)(?:::(\w+))?`", SPEC)


def test_every_test_that_the_spec_names_exists() -> None:
    assert NAMED
    missing = []
    for name, function in NAMED:
        path = ROOT / name
        if not path.is_file():
            missing.append(name)
        elif function and f"def {function}(" not in path.read_text(encoding="utf-8"):
            missing.append(f"{name}::{function}")
    assert missing == []


def test_every_promise_of_this_release_names_a_test() -> None:
    rows = dict(re.findall(r"^\| (P\d+) \|(.+)$", SPEC, re.MULTILINE))
    assert set(rows) >= {"P1", "P2", "P3", "P4", "P10", "P11"}
    without = [promise for promise, row in rows.items() if ".py" not in row]
    assert without == []
