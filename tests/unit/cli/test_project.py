"""Importing the user's models, and telling what is wrong with them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lockstep.cli.project import load_function, load_metadata, load_object
from lockstep.config import Settings
from lockstep.errors import ConfigError


@pytest.fixture(autouse=True)
def _own_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("shop"):
            del sys.modules[name]


def settings(root: Path, models: str | None) -> Settings:
    return cast(Settings, SimpleNamespace(root=root, models=models))


def write(root: Path, text: str) -> None:
    (root / "shop").mkdir()
    (root / "shop" / "__init__.py").write_text("")
    (root / "shop" / "models.py").write_text(text)


METADATA = "import sqlalchemy as sa\nmetadata = sa.MetaData()\n"


@pytest.mark.parametrize("name", ["metadata", "Base", "Base.metadata"])
def test_a_base_and_a_metadata_both_serve(tmp_path: Path, name: str) -> None:
    write(tmp_path, METADATA + "class Base:\n    metadata = metadata\n")
    found = load_metadata(settings(tmp_path, f"shop.models:{name}"))
    assert found is sys.modules["shop.models"].metadata


def test_sqlmodel_serves(tmp_path: Path) -> None:
    write(tmp_path, "from sqlmodel import SQLModel\n")
    from sqlmodel import SQLModel

    found = load_metadata(settings(tmp_path, "shop.models:SQLModel"))
    assert found is SQLModel.metadata


def test_a_src_folder_is_found(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    write(source, METADATA)
    assert load_metadata(settings(tmp_path, "shop.models:metadata")) is not None


@pytest.mark.parametrize(
    ("text", "place", "parts"),
    [
        (
            "x = 1\ny = undefined\n",
            "shop.models:Base",
            ["shop/models.py:2", "NameError", "y = undefined"],
        ),
        ("def f(:\n", "shop.models:Base", ["shop/models.py:1", "SyntaxError"]),
        (
            "import no_such_thing\n",
            "shop.models:Base",
            ["shop/models.py:1", "No module named 'no_such_thing'"],
        ),
        ("x = 1\n", "shop.models:Base", ["shop/models.py has no 'Base'"]),
        ("x = 1\n", "shop.models:x", ["not a declarative base"]),
        ("x = 1\n", "shop.model:Base", ["no module 'shop.model'"]),
        ("x = 1\n", "nowhere.models:Base", ["no module 'nowhere'"]),
        ("x = 1\n", "shop.models", ["package.module:name"]),
        ("x = 1\n", ":Base", ["package.module:name"]),
        ("x = 1\n", "../evil:Base", ["../evil"]),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, text: str, place: str, parts: list[str]
) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_metadata(settings(tmp_path, place))
    for part in parts:
        assert part in str(caught.value)


def test_the_deepest_own_line_is_named(tmp_path: Path) -> None:
    write(tmp_path, "from shop.parts import part\n")
    (tmp_path / "shop" / "parts.py").write_text("import json\njson.loads('{')\n")
    with pytest.raises(ConfigError, match=r"shop/parts\.py:2: JSONDecodeError"):
        load_metadata(settings(tmp_path, "shop.models:Base"))


def test_no_models_named_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_metadata(settings(tmp_path, None))
    assert 'models = "app.models:Base"' in caught.value.hint


def test_a_models_module_that_exits_is_an_error_and_no_exit(tmp_path: Path) -> None:
    write(tmp_path, "raise SystemExit(0)\n")
    with pytest.raises(ConfigError, match="SystemExit"):
        load_metadata(settings(tmp_path, "shop.models:Base"))


def test_a_seed_must_be_callable(tmp_path: Path) -> None:
    write(tmp_path, "seed = 3\ndef good(session): pass\n")
    with pytest.raises(ConfigError, match="is no function"):
        load_function("shop.models:seed", setting="seed", root=tmp_path)
    found: Any = load_function("shop.models:good", setting="seed", root=tmp_path)
    assert found.__name__ == "good"


def test_the_projects_folder_wins_over_what_is_installed(tmp_path: Path) -> None:
    installed, project = tmp_path / "site-packages", tmp_path / "project"
    for folder in (installed, project):
        folder.mkdir()
        (folder / "shop_twin.py").write_text(f"HERE = {folder.name!r}\n")
    sys.path.insert(0, str(installed))
    found = load_object("shop_twin:HERE", setting="models", root=project)
    assert found == "project"
