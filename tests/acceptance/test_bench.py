"""``lockstep bench`` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from click.testing import CliRunner, Result

from lockstep.bench.scenarios import NAMES
from lockstep.cli import main


def bench(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["bench", *words])
    assert result.exit_code == code, result.output
    return result


def test_what_there_is_is_listed() -> None:
    listed = bench("--list").stdout
    assert all(name in listed for name in NAMES)
    document = json.loads(bench("--list", "--json").stdout)
    assert [each["name"] for each in document["scenarios"]] == list(NAMES)


def test_a_scenario_is_run_shown_and_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "bench.svg"
    told = bench("import-time", "--quick", "--rounds", "2", "--save", str(picture))
    assert "import sqlalchemy.orm" in told.stdout
    assert "at most 1.30 ×" in told.stdout or "at most 1.3 ×" in told.stdout
    assert "targets met" in told.stdout
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_json_is_one_document_with_the_machine(tmp_path: Path) -> None:
    done = bench("import-time", "--quick", "--json", "--folder", str(tmp_path))
    document = json.loads(done.stdout)
    assert document["machine"]["flush"]["median_s"] > 0
    assert document["quick"] is True
    (result,) = document["results"]
    assert len(result["contestants"][0]["rounds"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_line_is_a_usage_error(tmp_path: Path) -> None:
    assert "did you mean" in bench("insrt", code=2).stderr
    assert ".svg" in bench("insert", "--save", str(tmp_path / "b.png"), code=2).stderr
