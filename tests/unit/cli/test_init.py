"""The pieces of ``init``: names, the template, moving into place."""

import os
from importlib.resources import files
from pathlib import Path

import pytest

from lockstep.cli.init import (
    for_a_shell,
    move_into_place,
    project_name,
    write_template,
)
from lockstep.errors import ConfigError


@pytest.mark.parametrize(
    ("folder", "name"),
    [("demo", "demo"), ("My Shop_2", "my-shop-2"), ("--", "app"), ("x" * 99, "x" * 60)],
)
def test_a_name_is_made_from_the_folders(folder: str, name: str) -> None:
    assert project_name(Path("/somewhere") / folder, None) == name


def test_a_given_name_is_kept_or_refused() -> None:
    assert project_name(Path("/x"), "My.Shop_2") == "My.Shop_2"


@pytest.mark.parametrize(
    "name", ['x"\n[tool.evil]', "", "-x", "x-", "../up", "a b", "x" * 61, "é", "x\n"]
)
def test_a_hostile_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        project_name(Path("/x"), name)


def test_the_template_is_written_whole(tmp_path: Path) -> None:
    write_template(tmp_path, "shop")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    template = Path(str(files("lockstep.cli") / "template"))
    assert len(written) == len(list(template.rglob("*.template")))
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert "{{" not in text
        if path.suffix == ".py":
            compile(text, str(path), "exec")


def project(folder: Path) -> Path:
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "models.py").write_text("mine")
    (folder / "README.md").write_text("mine")
    (folder / "pyproject.toml").write_text("mine")
    return folder


def test_a_new_target_appears_by_one_rename(tmp_path: Path) -> None:
    staging = project(tmp_path / "staging")
    inode = staging.stat().st_ino
    move_into_place(staging, tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_ino == inode


def test_an_existing_target_keeps_what_it_has(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "notes").write_text("old")
    move_into_place(project(tmp_path / "staging"), target)
    assert sorted(os.listdir(target)) == ["README.md", "app", "notes", "pyproject.toml"]


@pytest.mark.parametrize("taken", ["README.md", "pyproject.toml", "app"])
def test_what_appeared_meanwhile_stays_and_the_rest_is_taken_out(
    tmp_path: Path, taken: str
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / taken).write_text("somebody was faster")
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        move_into_place(project(tmp_path / "staging"), target)
    assert os.listdir(target) == [taken]
    assert (target / taken).read_text() == "somebody was faster"


def test_a_file_system_without_hard_links_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "target"
    target.mkdir()
    move_into_place(project(tmp_path / "staging"), target)
    assert (target / "README.md").read_text() == "mine"
    (target / "README.md").write_text("changed")
    again = project(tmp_path / "again")
    (again / "app" / "models.py").unlink()
    (again / "app").rmdir()
    with pytest.raises(FileExistsError):
        move_into_place(again, target)
    assert (target / "README.md").read_text() == "changed"


@pytest.mark.parametrize(
    ("name", "words"), [("demo", "demo"), ("My Shop", "'My Shop'"), ("-x", "./-x")]
)
def test_the_next_step_can_be_pasted_into_a_shell(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert for_a_shell(tmp_path / name) == words
