"""Settings: their sources, their order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockstep.config import Settings, load_settings
from lockstep.errors import ConfigError


def write_pyproject(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def test_without_any_source_every_value_is_a_default(tmp_path: Path) -> None:
    settings = load_settings(start=tmp_path, env={})
    assert settings.url == "sqlite:///local.db"
    assert settings.app_env == "local"
    assert settings.sqlite.busy_timeout_s == 5.0
    assert settings.sqlite.synchronous == "full"
    assert settings.pool.size == 5
    assert settings.root == tmp_path
    assert set(settings.provenance.values()) == {"default"}


def test_each_source_wins_over_the_one_below_it(tmp_path: Path) -> None:
    write_pyproject(tmp_path, '[tool.lockstep]\nurl = "sqlite:///a.db"\n')
    env: dict[str, str] = {}

    def found(**overrides: str) -> tuple[str | None, str]:
        settings = load_settings(start=tmp_path, env=env, **overrides)
        return settings.url, settings.provenance["url"]

    assert found() == ("sqlite:///a.db", "pyproject.toml")
    env["DATABASE_URL"] = "sqlite:///b.db"
    assert found() == ("sqlite:///b.db", "environment DATABASE_URL")
    env["LOCKSTEP_URL"] = "sqlite:///c.db"
    assert found() == ("sqlite:///c.db", "environment LOCKSTEP_URL")
    assert found(url="sqlite:///d.db") == ("sqlite:///d.db", "argument")


def test_groups_are_merged_value_by_value(tmp_path: Path) -> None:
    write_pyproject(
        tmp_path, "[tool.lockstep.pool]\nsize = 7\n[tool.lockstep]\nseed = 'a:b'\n"
    )
    settings = load_settings(
        start=tmp_path,
        env={"LOCKSTEP_POOL__TIMEOUT_S": "3", "LOCKSTEP_SQLITE__SYNCHRONOUS": "normal"},
        pool={"overflow_max": 1},
    )
    assert settings.pool.model_dump() == {
        "size": 7,
        "timeout_s": 3.0,
        "overflow_max": 1,
        "recycle_s": 1800,
    }
    assert settings.sqlite.synchronous == "normal"
    assert settings.provenance["pool.size"] == "pyproject.toml"
    assert (
        settings.provenance["pool.timeout_s"] == "environment LOCKSTEP_POOL__TIMEOUT_S"
    )
    assert settings.provenance["pool.overflow_max"] == "argument"
    assert settings.provenance["pool.recycle_s"] == "default"


def test_a_whole_group_may_be_one_variable_of_json(tmp_path: Path) -> None:
    env = {"LOCKSTEP_POOL": '{"size": 2}', "LOCKSTEP_POOL__RECYCLE_S": "60"}
    settings = load_settings(start=tmp_path, env=env)
    assert (settings.pool.size, settings.pool.recycle_s) == (2, 60)


def test_the_table_is_found_upwards_past_a_nearer_file_without_it(
    tmp_path: Path,
) -> None:
    write_pyproject(tmp_path, '[tool.lockstep]\nmigrations = "history"\n')
    write_pyproject(tmp_path / "package", "[tool.other]\nx = 1\n")
    deep = tmp_path / "package" / "src"
    deep.mkdir()
    settings = load_settings(start=deep, env={})
    assert settings.migrations == "history"
    assert settings.root == tmp_path


def test_an_empty_variable_is_no_value(tmp_path: Path) -> None:
    env = {"LOCKSTEP_URL": "", "DATABASE_URL": "", "LOCKSTEP_POOL__SIZE": ""}
    settings = load_settings(start=tmp_path, env=env)
    assert settings.url == "sqlite:///local.db"
    assert settings.pool.size == 5


def test_production_refuses_an_implicit_file(tmp_path: Path) -> None:
    for name in ("APP_ENV", "LOCKSTEP_APP_ENV"):
        with pytest.raises(ConfigError, match="no database is named"):
            load_settings(start=tmp_path, env={name: "production"})
    with pytest.raises(ConfigError, match="no database is named"):
        load_settings(start=tmp_path, env={"APP_ENV": "Production"})
    named = load_settings(
        start=tmp_path, env={"APP_ENV": "production", "DATABASE_URL": "sqlite:///x.db"}
    )
    assert named.url == "sqlite:///x.db"


def test_our_own_name_of_the_environment_wins(tmp_path: Path) -> None:
    env = {"APP_ENV": "production", "LOCKSTEP_APP_ENV": "local"}
    assert load_settings(start=tmp_path, env=env).app_env == "local"


@pytest.mark.parametrize(
    ("table", "wrong", "right"),
    [
        ("migration = 'x'", "migration", "migrations"),
        ("[tool.lockstep.pool]\nsized = 1", "pool.sized", "pool.size"),
        ("[tool.lockstep.sqlit]\nx = 1", "sqlit", "sqlite"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(
    tmp_path: Path, table: str, wrong: str, right: str
) -> None:
    write_pyproject(tmp_path, f"[tool.lockstep]\n{table}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(start=tmp_path, env={})
    assert f"'{wrong}'" in caught.value.message
    assert f"'{right}'" in caught.value.hint


def test_an_unknown_nested_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pool\.sized"):
        load_settings(start=tmp_path, env={"LOCKSTEP_POOL__SIZED": "1"})


def test_variables_of_other_parts_are_left_alone(tmp_path: Path) -> None:
    env = {"LOCKSTEP_TEST_DSN": "postgresql://x", "LOCKSTEP_UNHEARD_OF": "1"}
    load_settings(start=tmp_path, env=env)


@pytest.mark.parametrize("name", ["provenance", "root"])
def test_what_is_found_out_cannot_be_given(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        load_settings(start=tmp_path, env={}, **{name: {}})
    settings = load_settings(start=tmp_path, env={f"LOCKSTEP_{name.upper()}": "{}"})
    assert settings.root == tmp_path


def test_an_unreadable_value_names_the_setting_and_its_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(start=tmp_path, env={"LOCKSTEP_POOL__SIZE": "many"})
    assert "pool.size" in str(caught.value)
    assert "LOCKSTEP_POOL__SIZE" in str(caught.value)
    assert "many" not in str(caught.value)


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("pool", "size", 0),
        ("pool", "timeout_s", 0),
        ("sqlite", "busy_timeout_s", -1),
        ("sqlite", "synchronous", "sometimes"),
        ("postgresql", "pooler", "session"),
        ("postgresql", "application_name", "x" * 64),
    ],
)
def test_values_outside_their_range_are_refused(
    tmp_path: Path, group: str, name: str, value: object
) -> None:
    with pytest.raises(ConfigError, match=name):
        load_settings(start=tmp_path, env={}, **{group: {name: value}})


def test_a_broken_pyproject_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_pyproject(tmp_path, "[tool.lockstep\n")
    with pytest.raises(ConfigError, match=r"pyproject\.toml is not valid TOML"):
        load_settings(start=tmp_path, env={})


def test_a_group_that_is_no_table_is_refused(tmp_path: Path) -> None:
    write_pyproject(tmp_path, "[tool.lockstep]\npool = 5\n")
    with pytest.raises(ConfigError, match="'pool' is a group"):
        load_settings(start=tmp_path, env={})


def test_settings_show_no_secret(tmp_path: Path) -> None:
    url = "postgresql://anna:s3cret@host/db?sslpassword=alsosecret"
    settings = load_settings(
        start=tmp_path, env={"DATABASE_URL": url}, scratch_postgresql_url=url
    )
    assert settings.url == url
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "s3cret" not in text
        assert "alsosecret" not in text
        assert "anna" in text


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load_settings(start=tmp_path, env={})
    with pytest.raises(ValueError, match="frozen"):
        settings.url = "sqlite:///other.db"


def test_the_constructor_reads_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_URL", "sqlite:///from-environment.db")
    assert Settings().url is None
