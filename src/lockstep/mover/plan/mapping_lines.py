"""Where in a mapping file something stands, for whoever has to mend it.

Owns the way from a table or a column to a line number. It reads only what one line
says by itself, which is how a mapping file is written; of anything else it says
nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, cast

from lockstep.errors import InvalidPlan

Path = tuple[str, ...]
TOLD = " (line "


class MappingLines:
    """The lines of one file.

    Args:
        text: The file.
    """

    def __init__(self, text: str) -> None:
        self._numbers: dict[Path, int] = {}
        section: Path = ()
        for number, line in enumerate(text.splitlines(), start=1):
            if line.lstrip().startswith("["):
                section = next(_paths(line), section)
                self._numbers.setdefault(section, number)
            else:
                for path in _paths(line):
                    self._numbers.setdefault(section + path[:1], number)

    @contextmanager
    def told(self, table: str, column: str = "") -> Generator[None]:
        """Add the line to an error that what is said there raises."""
        path = ("tables", table, "columns", column) if column else ("tables", table)
        try:
            yield
        except InvalidPlan as error:
            number = self._numbers.get(path)
            if number is None or TOLD in error.message:
                raise
            raise InvalidPlan(
                f"{error.message}{TOLD}{number})", hint=error.hint
            ) from error


def _paths(line: str) -> Iterator[Path]:
    """Yield the keys that a line gives, outermost first; nothing where it has none."""
    try:
        found: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return
    path: list[str] = []
    while found and isinstance(found, dict | list):
        inner = cast("dict[str, Any] | list[Any]", found)
        if isinstance(inner, list):
            found = inner[0]
        else:
            key = next(iter(inner))
            path.append(key)
            found = inner[key]
    if path:
        yield tuple(path)
