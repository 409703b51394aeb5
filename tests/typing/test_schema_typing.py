"""A strict type checker accepts models over portable types."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_models_are_accepted_and_inferred() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pyright", "--outputjson"),
            str(HERE / "schema_accepted.py"),
        ],
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    errors = [found["message"] for found in report["generalDiagnostics"]]
    assert errors == []
