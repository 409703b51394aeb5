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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import sqlalchemy as sa

from lockstep.repository.compiled.generated import Same
from lockstep.repository.compiled.statement import Statement, slot
from lockstep.schema import Audited, Timestamped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lockstep.repository.compiled.place import InSession, InUnit
    from lockstep.repository.compiled.plan import Plan
    from lockstep.repository.keys import Identity

#: One row as it was given, by attribute name.
Row: TypeAlias = Mapping[str, Any]
#: A name says that the rows are given a column's values under this name.
Fill: TypeAlias = "Made | Fixed | str"

FIRST_VERSION = 1


class Declined(Exception):
    """A compiled write did not succeed; nothing is decided yet."""


class _NoContext:
    """Stands for the statement's context that a column default may ask for."""

    def __getattr__(self, name: str) -> Any:
        raise Declined(f"a default asks for {name}")


NO_CONTEXT: Any = _NoContext()


class Stamp(NamedTuple):
    """Who writes, and when."""

    now: Any
    actor: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """A value that nobody gives.

    Attributes:
        value: Makes it.
        is_for_each: Whether each row has one of its own.
    """

    value: Callable[[Stamp], Any]
    is_for_each: bool = False

    def column(self, count: int, stamp: Stamp) -> Sequence[Any] | Same:
        """Return the values of this many rows."""
        if not self.is_for_each:
            return Same(self.value(stamp))
        return [self.value(stamp) for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that stands in the statement itself."""

    value: Any


#: What the mixins and the trail are told of a write.
NOW: Final = Made(lambda stamp: stamp.now)
ACTOR: Final = Made(lambda stamp: stamp.actor)


@dataclass(frozen=True, eq=False)
class Recipe:
    """How rows that give these attributes are inserted.

    The statement's values are those that are given, and after them what is made.

    Attributes:
        given: The attributes that rows are given and the statement takes.
        touchy: Those among them where None means "not given".
        key_places: Which values make up the key; none if nobody asks for it; None if
            the database makes it, and the statement returns it.
    """

    statement: Statement
    given: tuple[str, ...]
    made: tuple[Made, ...]
    touchy: tuple[str, ...]
    key_places: tuple[int, ...] | None

    def insert(
        self, driver: Any, rows: Sequence[Row], place: InSession | InUnit
    ) -> list[Identity]:
        """Insert rows; return their keys, if they are asked for."""
        stamp, count = Stamp(place.now(), place.actor), len(rows)
        if self.key_places == () and count == 1:
            self.insert_one(driver, [rows[0][name] for name in self.given], stamp)
            return []
        columns: list[Sequence[Any] | Same] = [
            list(map(operator.itemgetter(name), rows)) for name in self.given
        ]
        columns += [made.column(count, stamp) for made in self.made]
        parameters = self.statement.bound_many(columns, count)
        if self.key_places == ():
            _insert(driver, self.statement, parameters, count)
            return []
        if self.key_places is None:
            found = _insert_returning(driver, self.statement, parameters, count)
            return [tuple(row) for row in found]
        _insert(driver, self.statement, parameters, count)
        keys = [columns[number] for number in self.key_places]
        assert not any(isinstance(each, Same) for each in keys), "rows differ by key"
        return list(zip(*keys, strict=True))  # type: ignore[arg-type]

    def insert_one(self, driver: Any, given: Sequence[Any], stamp: Stamp) -> None:
        """Insert a row whose key nobody asks for.

        Args:
            driver: The driver's connection.
            given: The values of the given attributes.
            stamp: Who writes, and when.
        """
        made = [made.value(stamp) for made in self.made]
        self.statement.run(driver, (*given, *made))


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
    stamps = _stamps(plan, frozenset(names))
    filled = filled_by(plan, names, stamps)
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
        *_values_of(filled),
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
    filled = filled_by(plan, names, stamps)
    statement = make(slots_for(plan, filled))
    return Recipe(Statement(statement, plan.dialect), *_values_of(filled), (), ())


def _values_of(
    filled: Mapping[str, Fill],
) -> tuple[tuple[str, ...], tuple[Made, ...]]:
    """Return which values of a statement are given, and which are made."""
    fills = filled.values()
    return (
        tuple(fill for fill in fills if isinstance(fill, str)),
        tuple(fill for fill in fills if isinstance(fill, Made)),
    )


def filled_by(
    plan: Plan[Any], names: Sequence[str], stamps: Mapping[str, Fill]
) -> dict[str, Fill]:
    """Return where each column of the statement has its values from, by attribute.

    What is given (``names``) comes first, and in this order.
    """
    found: dict[str, Fill] = {
        name: name for name in names if name != plan.facts.version_name
    }
    for name, column in plan.columns.items():
        fill = None if name in found else _fill(plan, name, column, stamps)
        if fill is not None:
            found[name] = fill
    # The given value of another attribute, too, comes before what is made.
    return dict(sorted(found.items(), key=lambda each: not isinstance(each[1], str)))


def slots_for(plan: Plan[Any], filled: Mapping[str, Fill]) -> dict[sa.Column[Any], Any]:
    """Return a slot for each column whose value comes later, numbered in order.

    A fixed value has none and takes no number.
    """
    found: dict[sa.Column[Any], Any] = {}
    number = 0
    for name, fill in filled.items():
        column = plan.columns[name]
        if isinstance(fill, Fixed):
            found[column] = sa.literal(fill.value, column.type)
        else:
            found[column] = slot(number, column.type)
            number += 1
    return found


def now_and_actor(plan: Plan[Any]) -> dict[str, Fill]:
    """Return time and name of a new row that no flush writes, by attribute name."""
    model = plan.facts.model
    found: dict[str, Fill] = {}
    if issubclass(model, Timestamped):
        for name in ("created_at", "updated_at"):
            found[name] = NOW
    if issubclass(model, Audited):
        for name in ("created_by", "updated_by"):
            found[name] = ACTOR
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
        found["created_at"] = NOW
        found["updated_at"] = "created_at" if "created_at" in given else NOW
    if issubclass(model, Audited):
        found["created_by"] = ACTOR
        found["updated_by"] = "created_by" if "created_by" in given else ACTOR
    return found


def _fill(
    plan: Plan[Any],
    name: str,
    column: sa.Column[Any],
    stamps: Mapping[str, Fill],
) -> Fill | None:
    """Return where the values of a column come from that nobody gives.

    None to leave the column out.
    """
    if name == plan.facts.version_name:
        return Made(lambda _: FIRST_VERSION)
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
    return Made(lambda _: None)


def _default(default: Any) -> Fill:
    if default.is_scalar:
        return Made(lambda _: default.arg)
    return Made(lambda _: default.arg(NO_CONTEXT), is_for_each=True)
