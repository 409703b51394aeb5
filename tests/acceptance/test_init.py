"""``lockstep init``: the whole project or nothing of it."""

import itertools
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.shell import Shell

FILES = {
    ".gitignore",
    "README.md",
    "app/__init__.py",
    "app/main.py",
    "app/models.py",
    "app/seed.py",
    "migrations/env.py",
    "pyproject.toml",
    "tests/test_app.py",
}

Start = Callable[..., "subprocess.Popen[str]"]


def tree(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_the_project_is_complete_and_nothing_else_is_left(shell: Shell) -> None:
    done = shell("init", "demo")
    assert os.listdir(shell.folder) == ["demo"]
    found = tree(shell.folder / "demo")
    assert found >= FILES
    assert not any("__pycache__" in name or name.endswith(".db") for name in found)
    revisions = [n for n in found if re.fullmatch(r"migrations/versions/.*\.py", n)]
    assert len(revisions) == 1
    assert "cd demo" in done.out
    assert done.err == ""


def test_json_lists_what_was_written(shell: Shell) -> None:
    document = shell("init", "demo", "--json").document
    assert set(document["files"]) == tree(shell.folder / "demo")
    assert document["path"] == str(shell.folder / "demo")
    assert document["name"] == "demo"
    assert document["revision"]


@pytest.mark.parametrize(
    ("folder", "name"),
    [("My Shop", "my-shop"), ("日本", "app"), ("a/b/c", "c")],
)
def test_the_folder_gives_the_name(shell: Shell, folder: str, name: str) -> None:
    shell("init", folder)
    text = (shell.folder / folder / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"]["name"] == name


def test_a_hostile_name_is_refused(shell: Shell) -> None:
    done = shell("init", "demo", '--name=x"\n[tool.evil]', code=2)
    assert "no project name" in done.err
    assert os.listdir(shell.folder) == []


def test_nothing_is_overwritten(shell: Shell) -> None:
    shell("init", "demo")
    before = {
        path: path.read_bytes() for path in shell.folder.rglob("*") if path.is_file()
    }
    done = shell("init", "demo", code=2)
    assert "nothing was written" in done.err
    after = {
        path: path.read_bytes() for path in shell.folder.rglob("*") if path.is_file()
    }
    assert before == after


@pytest.mark.parametrize("taken", ["README.md", "app", "migrations"])
def test_one_taken_name_stops_everything(shell: Shell, taken: str) -> None:
    (shell.folder / taken).symlink_to("nowhere")
    done = shell("init", ".", code=2)
    assert taken in done.err
    assert os.listdir(shell.folder) == [taken]
    assert os.readlink(shell.folder / taken) == "nowhere"


def test_a_folder_with_other_files_keeps_them(shell: Shell) -> None:
    (shell.folder / ".git").mkdir()
    (shell.folder / "notes.txt").write_text("mine")
    shell("init", ".", "--name", "shop")
    assert (shell.folder / "notes.txt").read_text() == "mine"
    assert tree(shell.folder) >= FILES


def test_a_file_in_the_way_is_told(shell: Shell) -> None:
    (shell.folder / "demo").write_text("a file")
    for target in ("demo", "demo/inner"):
        done = shell("init", target, code=2)
        assert "is a file" in done.err
    assert (shell.folder / "demo").read_text() == "a file"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(shell: Shell, started: Start, number: int) -> None:
    process = started(shell, "init", "demo")
    wait_for_entry(shell.folder)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert "nothing was written" in err
    assert "Traceback" not in err
    assert os.listdir(shell.folder) == []


def test_kill_9_at_any_moment_leaves_no_half_project(
    shell: Shell, started: Start
) -> None:
    """Kill it whenever the folder's content has just changed."""
    seen: set[frozenset[str]] = set()
    for _ in range(4):
        process = started(shell, "init", "demo")
        wait_for_entry(shell.folder)
        while process.poll() is None:
            now = frozenset(tree(shell.folder))
            if now not in seen:
                seen.add(now)
                break
        process.kill()
        process.wait(timeout=60)
        target = shell.folder / "demo"
        if target.exists():
            assert tree(target) >= FILES
            break
        for rest in shell.folder.iterdir():
            assert rest.name.startswith(".lockstep-init-")


def wait_for_entry(folder: Path) -> None:
    """Return as soon as something stands in ``folder``."""
    for _ in itertools.count():
        if os.listdir(folder):
            return


def test_the_generated_code_is_clean(project: Shell) -> None:
    for words in (["format", "--check"], ["check", "--select=E,F,I,B,UP,SIM,PT,RUF"]):
        project.run(
            *(sys.executable, "-m", "ruff", *words, "--isolated"),
            *("app", "tests", "migrations/env.py"),
        )


def test_the_generated_code_type_checks(project: Shell) -> None:
    done = project.run(
        sys.executable,
        *("-m", "pyright", "--pythonpath", sys.executable, "app", "tests"),
        code=None,
    )
    assert done.code == 0, done.out
