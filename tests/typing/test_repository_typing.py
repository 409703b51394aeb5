"""A type checker sees in a repository what its callers rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def findings() -> list[tuple[str, int, str]]:
    """Return (file, line, rule) of every error in this folder's examples."""
    files = [HERE / "repository_accepted.py", HERE / "repository_rejected.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", *map(str, files)],
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] >= 2
    return [
        (
            Path(found["file"]).name,
            found["range"]["start"]["line"] + 1,
            found.get("rule", found["message"]),
        )
        for found in report["generalDiagnostics"]
        if found["severity"] == "error"
    ]


def test_good_calls_are_accepted_and_inferred(
    findings: list[tuple[str, int, str]],
) -> None:
    assert [found for found in findings if found[0] == "repository_accepted.py"] == []


def test_every_bad_line_is_rejected_for_its_reason(
    findings: list[tuple[str, int, str]],
) -> None:
    text = (HERE / "repository_rejected.py").read_text(encoding="utf-8")
    wanted = {
        (number, line.rsplit("# ", 1)[1])
        for number, line in enumerate(text.splitlines(), 1)
        if "  # report" in line
    }
    found = {
        (line, rule)
        for name, line, rule in findings
        if name == "repository_rejected.py"
    }
    assert len(wanted) == 15
    assert wanted <= found
    assert {line for line, _ in found} == {line for line, _ in wanted}
