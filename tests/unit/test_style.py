"""The parts of the house style that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE_LINES_MAX = 700
FUNCTION_LINES_MAX = 70
VAGUE_NAMES = {"utils.py", "helpers.py", "misc.py", "common.py"}
CODE = sorted(
    path
    for folder in ("src", "examples", "tests", "scripts")
    for path in (ROOT / folder).rglob("*.py")
    if "versions" not in path.parts and "__pycache__" not in path.parts
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MODULE_LINES_MAX
    assert path.name not in VAGUE_NAMES
    tree = ast.parse(text)
    too_long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert too_long == []


@pytest.mark.parametrize(
    "path", [p for p in CODE if "src" in p.relative_to(ROOT).parts[:1]], ids=name_of
)
def test_a_library_module_says_what_it_owns(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if "template" in path.parts:
        return
    assert ast.get_docstring(ast.parse(text)), "a module opens with its docstring"
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)


def test_no_file_names_a_place_of_one_machine() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    place = re.compile(r"(?<![\w.])/(?:work|root|tmp)/\w")
    found = []
    for name in tracked:
        path = ROOT / name
        if name.endswith((".py", ".md", ".toml", ".sh", ".yml", "Makefile", ".ini")):
            found += [
                f"{name}: {line.strip()}"
                for line in path.read_text(encoding="utf-8").splitlines()
                if place.search(line)
            ]
    assert found == []
