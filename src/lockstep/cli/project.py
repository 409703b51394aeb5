"""The user's project: its folder on the import path, its models and functions.

Owns how ``"app.models:Base"`` becomes an object, and how a mistake in the user's own
module is told: file, line and text, not a traceback through this library.

Invariant: the project's own folder comes first, so a project named like an installed
package still gets its own modules.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lockstep.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from lockstep.config import Settings

NO_PROJECT_HINT = (
    'add models = "app.models:Base" to [tool.lockstep] in pyproject.toml, '
    "or start a project: lockstep init demo"
)


def load_metadata(settings: Settings) -> MetaData:
    """Return the metadata of the project's models.

    ``[tool.lockstep] models`` names a declarative base, a ``MetaData`` or the class
    ``SQLModel``, written ``package.module:name``.

    Raises:
        ConfigError: Nothing is named, the module fails, or the name is no such thing.
    """
    from sqlalchemy import MetaData

    if settings.models is None:
        raise ConfigError(
            f"no models are named for the project in {settings.root}",
            hint=NO_PROJECT_HINT,
        )
    found = load_object(settings.models, setting="models", root=settings.root)
    metadata = getattr(found, "metadata", found)
    if not isinstance(metadata, MetaData):
        raise ConfigError(
            f"{settings.models} is {type(found).__name__}: not a declarative base, "
            "a MetaData or SQLModel",
            hint=NO_PROJECT_HINT,
        )
    return metadata


def load_function(place: str, *, setting: str, root: Path) -> Callable[..., Any]:
    """Return the function that ``place`` names.

    Raises:
        ConfigError: The module fails, or the name is nothing that can be called.
    """
    found = load_object(place, setting=setting, root=root)
    if not callable(found):
        raise ConfigError(
            f"{setting} = {place!r} is no function",
            hint='name a function: seed = "app.seed:seed"',
        )
    return cast("Callable[..., Any]", found)


def load_object(place: str, *, setting: str, root: Path) -> Any:
    """Import ``package.module:name`` with the project's folder on the path.

    Raises:
        ConfigError: The form is wrong, or importing fails; the message then names
            the file and the line of the project that failed.
    """
    module_name, separator, attribute = place.partition(":")
    if not (separator and module_name and attribute):
        raise ConfigError(
            f"{setting} = {place!r} is not of the form 'package.module:name'",
            hint=f"write {setting} = 'app.{setting}:NAME' in [tool.lockstep]",
        )
    put_on_path(root)
    try:
        module = import_module(module_name)
    except (Exception, SystemExit) as error:
        raise _import_failure(error, place, setting=setting, root=root) from error
    found: Any = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise ConfigError(
                f"{setting} = {place!r}: {_shown(module.__file__, root)} has no "
                f"{attribute!r}",
                hint=f"it defines {_public_names(module)}",
            )
        found = getattr(found, name)
    return found


def put_on_path(root: Path) -> None:
    """Make the modules in ``root``, and in ``root/src`` where there is one, importable.

    The folders come first on the path. Calling it again changes nothing.
    """
    source = root / "src"
    for folder in (source, root) if source.is_dir() else (root,):
        while str(folder) in sys.path:
            sys.path.remove(str(folder))
        sys.path.insert(0, str(folder))
    # A module written a moment ago (by init, by an editor) must be seen.
    invalidate_caches()


def _public_names(module: object) -> str:
    names = sorted(name for name in vars(module) if not name.startswith("_"))
    return ", ".join(names[:12]) or "nothing"


def _import_failure(
    error: BaseException, place: str, *, setting: str, root: Path
) -> ConfigError:
    """Say where in the user's own files the import failed, and with what."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        module_name = place.partition(":")[0]
        if module_name == error.name or module_name.startswith(error.name + "."):
            return ConfigError(
                f"{setting} = {place!r}: there is no module {error.name!r} in {root}",
                hint=NO_PROJECT_HINT if setting == "models" else None,
            )
    where, line = _place_of(error, root)
    text = f"\n    {line}" if line else ""
    return ConfigError(
        f"{setting} = {place!r} cannot be imported: "
        f"{where}: {type(error).__name__}: {_first_line(error)}{text}",
        hint="correct that line; --debug shows the whole traceback",
        detail={"where": where},
    )


def _place_of(error: BaseException, root: Path) -> tuple[str, str]:
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{_shown(error.filename, root)}:{error.lineno}"
        return place, (error.text or "").strip()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(root)]
    if not own:
        return str(root), ""
    frame = own[-1]
    return f"{_shown(frame.filename, root)}:{frame.lineno}", (frame.line or "").strip()


def _first_line(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return text.strip().partition("\n")[0]


def _shown(file: str | None, root: Path) -> str:
    if file is None:
        return "the module"
    path = Path(file)
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
