"""One statement, compiled once: its text, and what turns values into parameters.

Owns the step from a SQLAlchemy statement to what the raw driver is given. The
statement is written with a ``Slot`` wherever a value comes later; SQLAlchemy's own
compiler makes the text, and its own types make the processors, so nothing here
knows how a value is stored. Constants of the statement are processed once.

    select(…).where(id == slot(0))  ──compile──►  "SELECT … WHERE id = ?"
                                                  (value 0, process of Uuid)

The text never changes, so the driver's own cache of prepared statements hits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from lockstep.repository.compiled.generated import (
    BoundFunction,
    Parameter,
    Processor,
    RowFunction,
    RunFunction,
    Same,
    ShownFunction,
    bound_function,
    row_function,
    run_function,
    shown_function,
)
from lockstep.schema.types.columns import converted

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


class Slot:
    """Stands in a statement for the value of this number."""

    def __init__(self, number: int) -> None:
        self.number = number


class FloatSlot(float):
    """A slot that a value of type float is known to fill.

    A sort key writes another comparison for a float (see ``ordering.Term.bound``).
    """

    @property
    def number(self) -> int:
        """Which value stands here."""
        return int(self)


def slot(number: int, kind: sa.types.TypeEngine[Any]) -> sa.ColumnElement[Any]:
    """Return a parameter of this type for the value of this number."""
    return sa.literal(cast("Any", Slot(number)), kind)


class Statement:
    """A text for the driver and the way from values to its parameters.

    Attributes:
        sql: What the driver is given, always the same text.
        bound: Returns the driver's parameters for values. Written when it is first
            asked for.
        converters: Which columns of a result are converted, by place, and how; known
            once a result was seen, because some types ask what the driver returns.
        row: Executes with values; returns the first row converted, or None. Written
            for this statement when the first row was seen.
        run: Executes with values; returns the driver's cursor. Written when it is
            first asked for.
        shown: Converts a row that ``first`` gave. Written at the first row.
    """

    __slots__ = ("_dialect", "_names", "_parameters", "_types", "bound", "converters",
                 "row", "run", "shown", "sql")  # fmt: skip

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        left_out = [*compiled.insert_prefetch, *compiled.update_prefetch]
        assert not left_out, "SQLAlchemy would compute a default: give its value"
        self.sql = compiled.string
        self._dialect = dialect
        self._names = None if compiled.positional else tuple(compiled.params)
        self._parameters = tuple(_parameters(compiled))
        self._types = tuple(entry.type for entry in compiled._result_columns)
        self.converters: dict[int, Callable[[Any], Any]] | None = None
        self.row: RowFunction = self._first_row
        self.bound: BoundFunction = self._first_bound
        self.run: RunFunction = self._first_run
        self.shown: ShownFunction = self._first_shown

    def bound_many(
        self, columns: Sequence[Sequence[Any] | Same], count: int
    ) -> Iterator[Any]:
        """Return the parameters of ``count`` rows, given column by column."""
        found = [_column(columns, each, count) for each in self._parameters]
        rows = zip(*found, strict=True) if found else repeat((), count)
        if self._names is None:
            return iter(rows)
        return (dict(zip(self._names, row, strict=True)) for row in rows)

    def _first_bound(self, values: Sequence[Any]) -> Any:
        self.bound = bound_function(self._parameters, self._names)
        return self.bound(values)

    def _first_run(self, driver: Any, values: Sequence[Any]) -> Any:
        self.run = run_function(self.sql, self._parameters, self._names)
        return self.run(driver, values)

    def conversion(self, cursor: Any) -> dict[int, Callable[[Any], Any]]:
        """Return which columns of the cursor's rows are converted, and how."""
        found = self.converters
        if found is None:
            found = self.converters = {
                place: process
                for place, (kind, told) in enumerate(
                    zip(self._types, cursor.description, strict=True)
                )
                if (process := kind._cached_result_processor(self._dialect, told[1]))
            }
        return found

    def _first_row(self, driver: Any, values: Sequence[Any]) -> Any:
        cursor = driver.execute(self.sql, self.bound(values))
        found = cursor.fetchone()
        if found is None:
            return None
        self.row = row_function(
            self.sql,
            self._parameters,
            self._names,
            self.conversion(cursor),
            len(found),
        )
        return next(iter(self.converted(cursor, [found])))

    def first(self, cursor: Any) -> Sequence[Any] | None:
        """Return the first row of what ``run`` gave, as it is stored, or None."""
        if self.converters is None:
            self.conversion(cursor)
        return cursor.fetchone()

    def value(self, place: int, stored: Any) -> Any:
        """Return what a stored value at this place of ``first``'s row stands for."""
        assert self.converters is not None, "a row was seen"
        process = self.converters.get(place)
        return stored if process is None else process(stored)

    def _first_shown(self, found: Sequence[Any]) -> tuple[Any, ...]:
        assert self.converters is not None, "a row was seen"
        self.shown = shown_function(self.converters, len(found))
        return self.shown(found)

    def rows(self, driver: Any, values: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Execute; return all rows with their values converted."""
        cursor = driver.execute(self.sql, self.bound(values))
        return self.converted(cursor, cursor.fetchall())

    def converted(
        self, cursor: Any, rows: Sequence[Sequence[Any]]
    ) -> Iterator[Sequence[Any]]:
        """Return the cursor's rows with their values converted."""
        converters = self.conversion(cursor)
        if not converters or not rows:
            return iter(rows)
        # Column by column: one loop in C per column instead of one call per row.
        columns: list[Any] = list(zip(*rows, strict=True))
        for place, process in converters.items():
            columns[place] = converted(process, columns[place])
        return zip(*columns, strict=True)


def _column(
    columns: Sequence[Sequence[Any] | Same], parameter: Parameter, count: int
) -> Iterable[Any]:
    if isinstance(parameter, Same):
        return repeat(parameter.value, count)
    number, process = parameter
    values = columns[number]
    if isinstance(values, Same):
        value = values.value
        return repeat(value if process is None else process(value), count)
    return values if process is None else converted(process, values)


def _parameters(compiled: Any) -> Iterator[Parameter]:
    """Yield what each parameter is, in their order."""
    processors: dict[str, Processor] = compiled._bind_processors
    values: dict[str, Any] = compiled.construct_params(escape_names=False, _check=False)
    # A name with a space or a colon stands in the text under another one; values and
    # processors are known by the column's own.
    own = {text: name for name, text in compiled.escaped_bind_names.items()}
    for text in compiled.positiontup or compiled.params:
        name = own.get(text, text)
        value, process = values[name], processors.get(name)
        if isinstance(value, Slot | FloatSlot):
            yield value.number, process
        else:
            yield Same(value if process is None else process(value))
