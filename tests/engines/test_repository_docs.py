"""The pages about repositories: every snippet runs, in order, on every engine."""

from __future__ import annotations

import asyncio
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockstep.engine import Database

DOCS = Path(__file__).parents[2] / "docs"


def snippets(page: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def page() -> Iterator[dict[str, Any]]:
    """The names of a module that the snippets are run in."""
    module = types.ModuleType("a_page")
    sys.modules["a_page"] = module
    yield module.__dict__
    del sys.modules["a_page"]


def test_the_pages_snippets_run(db: Database, page: dict[str, Any]) -> None:
    models, *rest = snippets("howto/repository.md")
    exec(models, page)
    page["Base"].metadata.create_all(db.engine)
    page["db"] = db
    for code in rest:
        exec(code, page)
    assert len(rest) >= 9
    with db.read_session() as session:
        bolt = page["Repository"](page["Part"], session).get(page["bolt"].id)

    async def rename() -> None:
        changed = await page["rename"](bolt.id, "Bolt M9", bolt.version)
        assert changed.version == bolt.version + 1
        await db.aclose()

    asyncio.run(rename())
    (retry,) = snippets("explanation/optimistic-locking.md")
    exec(retry, page)
    changed = page["rename_all"](db, bolt.id, lambda seen: {"quantity": seen.quantity})
    assert changed.name == "Bolt M9"


def test_the_snippets_about_the_hot_path_run(
    db: Database, page: dict[str, Any]
) -> None:
    models, *rest = snippets("howto/hot-path.md")
    exec(models, page)
    page["Base"].metadata.create_all(db.engine)
    page["db"] = db
    for code in rest:
        exec(code, page)
    assert len(rest) == 4
