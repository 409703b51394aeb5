"""New rows, column by column: where each column's value comes from.

Owns the recipe of an INSERT. It follows SQLAlchemy's unit of work and the mixins'
events, in this order: what was given; the first version; who and when; the
column's default. None for an attribute whose column has a default means "not
given", as it does there. What the database computes is left out of the statement.

A recipe belongs to the names that were given, so rows given alike share one text.
"""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import sqlalchemy as sa

from lockstep.repository.compiled.statement import Same, Statement, slot
from lockstep.schema import Audited, Timestamped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lockstep.repository.compiled.place import InSession, InUnit
    from lockstep.repository.compiled.plan import Plan
    from lockstep.repository.keys import Identity

#: One row as it was given, by attribute name.
Row: TypeAlias = Mapping[str, Any]
#: Gives one column's values for many rows, or one value for all of them; a name
#: says that the rows are given them under this name.
Fill: TypeAlias = "Callable[[Sequence[Row], _Stamp], Sequence[Any] | Same] | str"

FIRST_VERSION = 1


class Declined(Exception):
    """A compiled write did not succeed; nothing is decided yet."""


class _NoContext:
    """Stands for the statement's context that a column default may ask for."""

    def __getattr__(self, name: str) -> Any:
        raise Declined(f"a default asks for {name}")


NO_CONTEXT: Any = _NoContext()


class _Stamp(NamedTuple):
    """Who writes, and when."""

    now: Any
    actor: str | None


@dataclass(frozen=True, eq=False)
class Recipe:
    """How rows that give these attributes are inserted.

    Attributes:
        touchy: Given attributes where None means "not given".
        key_places: Which filled columns make up the key; none if nobody asks for
            it; None if the database makes it, and the statement returns it.
    """

    statement: Statement
    fills: tuple[Fill, ...]
    touchy: tuple[str, ...]
    key_places: tuple[int, ...] | None

    def insert(
        self, driver: Any, rows: Sequence[Row], place: InSession | InUnit
    ) -> list[Identity]:
        """Insert rows; return their keys, if they are asked for."""
        stamp = _Stamp(place.now(), place.actor)
        if self.key_places == () and len(rows) == 1:
            row = rows[0]
            values = [
                row[fill] if isinstance(fill, str) else _first(fill(rows, stamp))
                for fill in self.fills
            ]
            self.statement.run(driver, values)
            return []
        columns = [_column(fill, rows, stamp) for fill in self.fills]
        parameters = self.statement.bound_many(columns, len(rows))
        if self.key_places == ():
            _insert(driver, self.statement, parameters, len(rows))
            return []
        if self.key_places is None:
            found = _insert_returning(driver, self.statement, parameters, len(rows))
            return [tuple(row) for row in found]
        _insert(driver, self.statement, parameters, len(rows))
        keys = [columns[number] for number in self.key_places]
        assert not any(isinstance(each, Same) for each in keys), "rows differ by key"
        return list(zip(*keys, strict=True))  # type: ignore[arg-type]


def _column(fill: Fill, rows: Sequence[Row], stamp: _Stamp) -> Sequence[Any] | Same:
    if isinstance(fill, str):
        return list(map(operator.itemgetter(fill), rows))
    return fill(rows, stamp)


def _first(values: Sequence[Any] | Same) -> Any:
    return values.value if isinstance(values, Same) else values[0]


def _insert(
    driver: Any, statement: Statement, parameters: Iterator[Any], count: int
) -> None:
    if count == 1:
        driver.execute(statement.sql, next(parameters))
    elif isinstance(driver, sqlite3.Connection):
        driver.executemany(statement.sql, parameters)
    else:
        with driver.cursor() as cursor:
            cursor.executemany(statement.sql, parameters)


def _insert_returning(
    driver: Any, statement: Statement, parameters: Iterator[Any], count: int
) -> Iterator[Sequence[Any]]:
    cursor = driver.cursor()
    rows: list[Any] = []
    if count == 1 or isinstance(driver, sqlite3.Connection):
        rows += (cursor.execute(statement.sql, each).fetchone() for each in parameters)
    else:
        cursor.executemany(statement.sql, parameters, returning=True)
        rows.append(cursor.fetchone())
        while cursor.nextset():
            rows.append(cursor.fetchone())
    found = list(statement.converted(cursor, rows))
    cursor.close()
    return iter(found)


def recipe_of(plan: Plan[Any], names: Sequence[str]) -> Recipe | None:
    """Return the recipe for rows that give these attributes, as a flush has it.

    Returns:
        None if only a part of the key is given.
    """
    given = frozenset(names)
    stamps = _stamps(plan, given)
    filled = filled_by(plan, given, stamps)
    touchy = [
        name for name in names if name in stamps or _has_other(plan.columns[name])
    ]
    keys = plan.facts.key_names
    is_known = all(name in filled for name in keys)
    if not is_known and any(name in filled for name in keys):
        return None
    statement = sa.insert(plan.table).values(slots_for(plan, filled))
    if not is_known:
        statement = statement.returning(*plan.keys)
    places = {name: number for number, name in enumerate(filled)}
    return Recipe(
        Statement(statement, plan.dialect),
        tuple(filled.values()),
        tuple(touchy),
        tuple(places[name] for name in keys) if is_known else None,
    )


def plain_recipe_of(
    plan: Plan[Any],
    names: Sequence[str],
    stamps: Mapping[str, Fill],
    make: Callable[[dict[sa.Column[Any], Any]], Any],
) -> Recipe:
    """Return the recipe of a Core statement: what is given stands as it is.

    Args:
        plan: The model's.
        names: The attributes given; all of them columns.
        stamps: What is filled in for attributes that are not given.
        make: Returns the statement for these columns and slots.
    """
    filled = filled_by(plan, frozenset(names), stamps)
    statement = make(slots_for(plan, filled))
    return Recipe(Statement(statement, plan.dialect), tuple(filled.values()), (), ())


def filled_by(
    plan: Plan[Any], given: frozenset[str], stamps: Mapping[str, Fill]
) -> dict[str, Fill]:
    """Return where each column of the statement has its values from, by attribute."""
    found: dict[str, Fill] = {}
    for name, column in plan.columns.items():
        fill = _fill(plan, name, column, given, stamps)
        if fill is not None:
            found[name] = fill
    return found


def slots_for(plan: Plan[Any], names: Iterable[str]) -> dict[sa.Column[Any], Any]:
    """Return a slot for each of these attributes' columns, numbered in order."""
    return {
        plan.columns[name]: slot(number, plan.columns[name].type)
        for number, name in enumerate(names)
    }


def now_and_actor(plan: Plan[Any]) -> dict[str, Fill]:
    """Return time and name of a new row that no flush writes, by attribute name."""
    model = plan.facts.model
    found: dict[str, Fill] = {}
    if issubclass(model, Timestamped):
        for name in ("created_at", "updated_at"):
            found[name] = lambda _, stamp: Same(stamp.now)
    if issubclass(model, Audited):
        for name in ("created_by", "updated_by"):
            found[name] = lambda _, stamp: Same(stamp.actor)
    return found


def _has_other(column: sa.Column[Any]) -> bool:
    """Return whether something else than NULL stands in for a missing value."""
    if column.type.should_evaluate_none:
        return False
    return bool(column.default or column.server_default or column.primary_key)


def _stamps(plan: Plan[Any], given: frozenset[str]) -> dict[str, Fill]:
    """Return what the mixins' events give, by attribute name."""
    model = plan.facts.model
    found: dict[str, Fill] = {}
    if issubclass(model, Timestamped):
        found["created_at"] = lambda _, stamp: Same(stamp.now)
        found["updated_at"] = (
            "created_at" if "created_at" in given else found["created_at"]
        )
    if issubclass(model, Audited):
        found["created_by"] = lambda _, stamp: Same(stamp.actor)
        found["updated_by"] = (
            "created_by" if "created_by" in given else found["created_by"]
        )
    return found


def _fill(
    plan: Plan[Any],
    name: str,
    column: sa.Column[Any],
    given: frozenset[str],
    stamps: Mapping[str, Fill],
) -> Fill | None:
    """Return where a column's values come from; None to leave the column out."""
    if name == plan.facts.version_name:
        return lambda rows, stamp: Same(FIRST_VERSION)
    if name in given:
        return name
    if name in stamps:
        return stamps[name]
    if column.default is not None:
        return _default(column.default)
    if (
        column.primary_key
        or column.server_default is not None
        or column.type.should_evaluate_none
    ):
        return None
    return lambda rows, stamp: Same(None)


def _default(default: Any) -> Fill:
    if default.is_scalar:
        return lambda rows, stamp: Same(default.arg)
    return lambda rows, stamp: [default.arg(NO_CONTEXT) for _ in rows]
