"""A function written for one statement: run it, fetch one row, convert its values.

Owns the source text of that function. A row by its key takes SQLite three
microseconds; loops over parameters and converters would take as long again. So the
loops are unrolled once, into what a person would write for this very statement:

    def row(driver, values):
        found = driver.execute(sql, (write_0(values[0]),)).fetchone()
        if found is None:
            return None
        c0, c1, c2, = found
        return (read_0(c0), c1, c2 if type(c2) is kind_2 else read_2(c2),)

The source is made of numbers and these few words; nothing that a program or a user
has named ever stands in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from lockstep.schema.types.columns import same_kind

#: Turns one value on its way to or from the driver; None where nothing is to do.
Processor: TypeAlias = "Callable[[Any], Any] | None"
#: Which value a parameter takes and what turns it; a constant stands for itself.
Parameter: TypeAlias = "tuple[int, Processor] | Same"
RunFunction: TypeAlias = "Callable[[Any, Sequence[Any]], Any]"
BoundFunction: TypeAlias = "Callable[[Sequence[Any]], Any]"
ShownFunction: TypeAlias = "Callable[[Sequence[Any]], tuple[Any, ...]]"
RowFunction: TypeAlias = "Callable[[Any, Sequence[Any]], tuple[Any, ...] | None]"


class Same:
    """One value for every row of a statement that runs for many."""

    def __init__(self, value: Any) -> None:
        self.value = value


def row_function(
    sql: str,
    parameters: Sequence[Parameter],
    names: Sequence[str] | None,
    readers: Mapping[int, Callable[[Any], Any]],
    width: int,
) -> RowFunction:
    """Return the function of a statement.

    Args:
        sql: The text.
        parameters: Which value each parameter takes, and what converts it; or its
            constant.
        names: The parameters' names, if the driver wants them by name.
        readers: What converts the row's values, by place; others stay as they are.
        width: How many values a row has.
    """
    known: dict[str, Any] = {"sql": sql, "names": names}
    bound = _bound(parameters, names, known)
    source = "\n".join(
        (
            "def row(driver, values):",
            f"    found = driver.execute(sql, {bound}).fetchone()",
            "    if found is None:",
            "        return None",
            *_shown(readers, width, known),
        )
    )
    exec(source, known)  # noqa: S102 - numbers and fixed words, see above
    return known["row"]


def shown_function(
    readers: Mapping[int, Callable[[Any], Any]], width: int
) -> ShownFunction:
    """Return the function that converts one row; arguments as above."""
    known: dict[str, Any] = {}
    source = "\n".join(("def shown(found):", *_shown(readers, width, known)))
    exec(source, known)  # noqa: S102 - numbers and fixed words, see above
    return known["shown"]


def _shown(
    readers: Mapping[int, Callable[[Any], Any]], width: int, known: dict[str, Any]
) -> tuple[str, str]:
    shown = [_read(place, readers.get(place), known) for place in range(width)]
    columns = [f"c{place}" for place in range(width)]
    return f"    {', '.join(columns)}, = found", f"    return ({', '.join(shown)},)"


def run_function(
    sql: str, parameters: Sequence[Parameter], names: Sequence[str] | None
) -> RunFunction:
    """Return the function that executes a statement; arguments as above."""
    known: dict[str, Any] = {"sql": sql, "names": names}
    bound = _bound(parameters, names, known)
    source = f"def run(driver, values):\n    return driver.execute(sql, {bound})"
    exec(source, known)  # noqa: S102 - numbers and fixed words, see above
    return known["run"]


def bound_function(
    parameters: Sequence[Parameter], names: Sequence[str] | None
) -> BoundFunction:
    """Return the function that gives the driver's parameters; arguments as above."""
    known: dict[str, Any] = {"names": names}
    source = f"def bound(values):\n    return {_bound(parameters, names, known)}"
    exec(source, known)  # noqa: S102 - numbers and fixed words, see above
    return known["bound"]


def _bound(
    parameters: Sequence[Parameter],
    names: Sequence[str] | None,
    known: dict[str, Any],
) -> str:
    taken = "".join(
        f"{_written(number, parameter, known)}, "
        for number, parameter in enumerate(parameters)
    )
    return f"({taken})" if names is None else f"dict(zip(names, ({taken})))"


def _written(number: int, parameter: Parameter, known: dict[str, Any]) -> str:
    if not isinstance(parameter, tuple):
        known[f"constant_{number}"] = parameter.value
        return f"constant_{number}"
    place, process = parameter
    value = f"values[{place}]"
    if process is None:
        return value
    known[f"write_{number}"] = process
    return f"write_{number}({value})"


def _read(place: int, read: Processor, known: dict[str, Any]) -> str:
    if read is None:
        return f"c{place}"
    known[f"read_{place}"] = read
    call = f"read_{place}(c{place})"
    kind = same_kind(read)
    if kind is None:
        return call
    known[f"kind_{place}"] = kind
    return f"c{place} if type(c{place}) is kind_{place} else {call}"
