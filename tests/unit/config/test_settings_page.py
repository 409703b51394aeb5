"""The page of the settings tells what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel

from lockstep.config import DEFAULT_URL, Settings

PAGE = Path(__file__).parents[3] / "docs/reference/settings.md"
ROW = re.compile(r"^\| `([a-z_.]+)` \| `?([^|`]+)`? \|", re.MULTILINE)


def defaults(group: type[BaseModel], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, field in group.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= defaults(kind, f"{prefix}{name}.")
        elif name not in ("provenance", "root"):
            default = field.default
            text = str(default).lower() if isinstance(default, bool) else str(default)
            found[prefix + name] = "none" if default is None else text
    return found


def test_every_setting_and_its_default_stands_on_the_page() -> None:
    written = {name: value.strip() for name, value in ROW.findall(PAGE.read_text())}
    assert written == {**defaults(Settings), "url": DEFAULT_URL}
