"""Python source, laid out as a formatter would.

Owns line breaking of calls and lists. Must not know: SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LINE_WIDTH = 88
_INDENT = "    "


class Source:
    """A value that is written as this source, with the imports it needs."""

    def __init__(self, text: str, imports: Iterable[str] = ()) -> None:
        self.text = text
        self.imports = tuple(imports)

    def __repr__(self) -> str:
        return self.text


def literal(value: object) -> str:
    """Return a value's source; texts in double quotes where that is readable."""
    if not isinstance(value, str) or '"' in value or "\\" in repr(value):
        return repr(value)
    return f'"{value}"'


def literals(values: Iterable[object]) -> str:
    """Return a list of values."""
    return f"[{', '.join(map(literal, values))}]"


def call(function: str, arguments: Sequence[str], *, column: int = 4) -> str:
    """Return a call, on one line if it fits, else one argument per line.

    Args:
        function: What stands before the bracket.
        arguments: Source of each argument, also of several lines.
        column: Where the call begins.
    """
    flat = f"{function}({', '.join(arguments)})"
    if "\n" not in flat and column + len(flat) <= LINE_WIDTH:
        return flat
    lines = "".join(f"{indented(argument)},\n" for argument in arguments)
    return f"{function}(\n{lines})"


def sequence(items: Sequence[str]) -> str:
    """Return a list, on one line if it is short, else one item per line."""
    flat = f"[{', '.join(items)}]"
    if "\n" not in flat and len(flat) <= LINE_WIDTH - 16:
        return flat
    return "[\n" + "".join(f"{indented(item)},\n" for item in items) + "]"


def indented(text: str) -> str:
    """Return the text one level deeper."""
    return "\n".join(_INDENT + line if line else line for line in text.split("\n"))
