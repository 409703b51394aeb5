"""``lockstep config show``: every setting, its source, no secret."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lockstep.cli import main
from lockstep.cli.config import setting_rows
from lockstep.config import load_settings


def test_every_setting_has_a_row_a_source_and_a_variable(tmp_path: Path) -> None:
    settings = load_settings(start=tmp_path, env={"LOCKSTEP_POOL__SIZE": "9"})
    rows = {row["name"]: row for row in setting_rows(settings)}
    assert set(rows) == set(settings.provenance)
    assert rows["pool.size"]["value"] == 9
    assert rows["pool.size"]["source"] == "environment LOCKSTEP_POOL__SIZE"
    assert rows["pool.size"]["variable"] == "LOCKSTEP_POOL__SIZE"
    assert rows["url"]["source"] == "default"


def test_each_named_variable_really_sets_it(tmp_path: Path) -> None:
    settings = load_settings(start=tmp_path, env={})
    for row in setting_rows(settings):
        value = {"str": "x", "int": "70", "float": "7", "bool": "true"}.get(
            type(row["value"]).__name__, "app.x:y"
        )
        value = {"sqlite.synchronous": "off", "postgresql.pooler": "none"}.get(
            row["name"], "64" if row["name"] == "sqlite.cache_size_kib" else value
        )
        changed = load_settings(start=tmp_path, env={row["variable"]: value})
        assert changed.provenance[row["name"]] == f"environment {row['variable']}"


def test_secrets_are_masked_in_both_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    env = {
        "LOCKSTEP_URL": "postgresql://ann:s3cret@db/shop",
        "LOCKSTEP_SCRATCH_POSTGRESQL_URL": "postgresql://ann:g3heim@db/shop",
    }
    for words in (["config", "show"], ["config", "show", "--json"]):
        result = CliRunner(env=env).invoke(main, words)
        assert result.exit_code == 0
        assert "s3cret" not in result.output
        assert "g3heim" not in result.output
        assert "ann:***@db" in result.output


def test_a_value_cannot_break_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner(env={"LOCKSTEP_MODELS": "\x1b[2J[red]x"}).invoke(
        main, ["config", "show"]
    )
    assert r"\x1b[2J[red]x" in result.stdout


def test_a_wrong_setting_is_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.lockstep]\nmodell = "a:b"\n')
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["config", "show", "--json"])
    assert result.exit_code == 2
    assert "models" in json.loads(result.stdout)["error"]["hint"]
