"""``lockstep config``: which settings are in force, and where each came from.

Owns how settings are listed. It knows no setting by name: what ``Settings`` has is
shown, so a new setting appears here by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lockstep.cli.options import LazyGroup, command, group
from lockstep.cli.output import Page
from lockstep.cli.run import Run
from lockstep.redaction import redact

if TYPE_CHECKING:
    from pydantic import BaseModel

    from lockstep.config import Settings


@group(
    "config",
    cls=LazyGroup,
    verbs={"show": "lockstep.cli.config:show"},
    short_help="Show the settings and where they come from.",
)
def config() -> None:
    """Show the settings and where they come from."""


@command(
    "show",
    document={
        "root": "Folder of the project: where pyproject.toml was found.",
        "settings": "List of `{name, value, source, variable}`; a value is null when "
        "it is not set, and `***` stands for a secret.",
    },
    examples={
        "lockstep config show": "every setting",
        "LOCKSTEP_POOL__SIZE=9 lockstep config show": "a variable goes first",
    },
)
def show(run: Run) -> None:
    """Show every setting: its value, where it came from, its variable.

    An argument goes before a LOCKSTEP_… variable, that before DATABASE_URL, that
    before [tool.lockstep] in pyproject.toml, that before the default.
    """
    settings = run.settings
    rows = setting_rows(settings)

    def draw(page: Page) -> None:
        page.line(f"Project  {settings.root}", style="bold")
        page.line()
        page.table(
            ("setting", "value", "from"),
            [(row["name"], _shown(row["value"]), row["source"]) for row in rows],
        )

    run.output.result({"root": str(settings.root), "settings": rows}, draw)


def setting_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return ``{name, value, source, variable}`` for every setting, secrets masked."""
    rows: list[dict[str, Any]] = []
    for name, value in _flat(settings):
        rows.append(
            {
                "name": name,
                "value": redact(value) if isinstance(value, str) else value,
                "source": settings.provenance.get(name, "default"),
                "variable": "LOCKSTEP_" + name.upper().replace(".", "__"),
            }
        )
    return rows


def _flat(model: BaseModel, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    names = list(type(model).model_fields)
    for name in names:
        value: Any = getattr(model, name)
        if hasattr(value, "model_fields_set"):
            found += _flat(value, f"{prefix}{name}.")
        elif name not in _NOT_SETTINGS:
            found.append((prefix + name, value))
    return found


_NOT_SETTINGS = frozenset({"root", "provenance"})


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return str(value).lower() if isinstance(value, bool) else str(value)
