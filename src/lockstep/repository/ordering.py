"""A total order of rows, equal on every engine, and positions within it.

Owns the reading of ``order_by``, the placing of NULLs, the tie-breaker, and the
condition "rows after this position". Text of engine-specific order (collations)
is the database's own: a position is always compared by the database that sorted.

    order_by=(Part.bin, Part.price.desc())
      -> bin ASC NULLS LAST, price DESC, id DESC         (the key breaks ties)
      -> after (b, p, i):  bin >= b AND (bin > b OR (bin = b AND ( … )))

NULL counts as larger than every value, unless ``nulls_first()``/``nulls_last()``
says otherwise. Positions hold the driver's own values, not the model's: they are
exact however lossy a type's conversion may be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import UnaryExpression

from lockstep.errors import InvalidValue
from lockstep.schema import SECRET, Array, Json

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from lockstep.repository.facts import ModelFacts

#: An attribute or expression, with ``.desc()`` or ``.nulls_first()`` as needed; or
#: an attribute's name, with ``-`` before it for descending.
OrderBy: TypeAlias = "sa.ColumnElement[Any] | orm.InstrumentedAttribute[Any] | str"
#: The driver's values of one row's sort keys.
Position: TypeAlias = tuple[Any, ...]

_UNSORTABLE = (sa.JSON, sa.ARRAY, Json, Array)


@dataclass(frozen=True, eq=False)
class Term:
    """One sort key.

    Attributes:
        nullable: Whether NULL may occur; only then is its place spelled out.
        nulls_first: Whether NULLs come before the values, in this direction.
    """

    expression: sa.ColumnElement[Any]
    descending: bool
    nullable: bool
    nulls_first: bool

    def clause(self) -> sa.ColumnElement[Any]:
        """Return the element of ORDER BY."""
        clause = self.expression.desc() if self.descending else self.expression.asc()
        if not self.nullable:
            return clause
        return clause.nulls_first() if self.nulls_first else clause.nulls_last()

    def reversed(self) -> Term:
        """Return the same key in the opposite direction."""
        return Term(
            self.expression, not self.descending, self.nullable, not self.nulls_first
        )

    def without_nulls(self) -> Term:
        """Return the same key among rows where it is not NULL."""
        return Term(self.expression, self.descending, nullable=False, nulls_first=False)

    def raw(self) -> sa.ColumnElement[Any]:
        """Return the expression as the driver sees it, without conversion."""
        return sa.type_coerce(self.expression, sa.types.NULLTYPE)

    def bound(self, value: Any) -> sa.ColumnElement[Any]:
        """Return a driver's value as a parameter that compares exactly."""
        parameter = sa.literal(value, sa.types.NULLTYPE)
        if isinstance(value, float) and isinstance(self.expression.type, sa.Float):
            # A 4-byte float equals its shortest text only as a 4-byte float.
            return sa.cast(parameter, self.expression.type)
        return parameter

    def equal(self, value: Any) -> sa.ColumnElement[bool]:
        """Return the condition that a row has this very value."""
        if value is None:
            return self.expression.is_(None)
        return self.raw() == self.bound(value)

    def beyond(self, value: Any) -> sa.ColumnElement[bool]:
        """Return the condition that a row comes strictly after this value."""
        if value is None:
            return self.expression.is_not(None) if self.nulls_first else sa.false()
        bound = self.bound(value)
        beyond = self.raw() < bound if self.descending else self.raw() > bound
        if self.nullable and not self.nulls_first:
            return sa.or_(beyond, self.expression.is_(None))
        return beyond

    def not_before(self, value: Any) -> sa.ColumnElement[bool]:
        """Return the condition ``beyond or equal``, in a form an index can serve."""
        if value is None:
            return sa.true() if self.nulls_first else self.expression.is_(None)
        bound = self.bound(value)
        reached = self.raw() <= bound if self.descending else self.raw() >= bound
        if self.nullable and not self.nulls_first:
            return sa.or_(reached, self.expression.is_(None))
        return reached


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of the order that one query can read.

    Attributes:
        condition: Which rows lie in it.
        clauses: The elements of ORDER BY within it.
    """

    condition: sa.ColumnElement[bool]
    clauses: list[sa.ColumnElement[Any]]


@dataclass(frozen=True, eq=False)
class Ordering:
    """A total order: the caller's sort keys, then the primary key."""

    terms: tuple[Term, ...]

    def has_secret(self) -> bool:
        """Return whether a key is a column marked as secret."""
        return any(
            isinstance(term.expression, sa.Column)
            and bool(SECRET.keys() & term.expression.info.keys())
            for term in self.terms
        )

    def clauses(self) -> list[sa.ColumnElement[Any]]:
        """Return the elements of ORDER BY."""
        return [term.clause() for term in self.terms]

    def raw_columns(self) -> list[sa.ColumnElement[Any]]:
        """Return the columns that give a row's position."""
        return [
            term.raw().label(f"lockstep_position_{number}")
            for number, term in enumerate(self.terms)
        ]

    def reversed(self) -> Ordering:
        """Return the exactly opposite order, NULLs included."""
        return Ordering(tuple(term.reversed() for term in self.terms))

    def after(self, position: Position, *, inclusive: bool = False) -> list[Segment]:
        """Return where to look for the rows after ``position``, in order.

        One segment, or two where the first key may be NULL: values and NULLs are
        asked for apart, so that an index on the key serves either question.
        """
        first, rest = self.terms[0], Ordering(self.terms[1:])
        if not first.nullable:
            return [Segment(self._beyond(position, inclusive), self.clauses())]
        solid = Ordering((first.without_nulls(), *rest.terms))
        values = first.expression.is_not(None)
        nulls = first.expression.is_(None)
        if position[0] is None:
            among = sa.and_(nulls, rest._beyond(position[1:], inclusive))
            found = [Segment(among, rest.clauses())]
            if first.nulls_first:
                found.append(Segment(values, solid.clauses()))
            return found
        found = [Segment(solid._beyond(position, inclusive), solid.clauses())]
        if not first.nulls_first:
            found.append(Segment(nulls, rest.clauses()))
        return found

    def _beyond(self, position: Position, inclusive: bool) -> sa.ColumnElement[bool]:
        """Return the condition that a row comes after ``position``.

        One row-value comparison where all keys go one way and hold no NULL; else
        the expanded form, led by a condition on the first key alone so that an
        index on it is used.
        """
        if self._is_uniform():
            columns = sa.tuple_(*(term.raw() for term in self.terms))
            bound = [
                term.bound(value)
                for term, value in zip(self.terms, position, strict=True)
            ]
            values = sa.tuple_(*bound)
            if self.terms[0].descending:
                return columns <= values if inclusive else columns < values
            return columns >= values if inclusive else columns > values
        found = sa.true() if inclusive else sa.false()
        for term, value in zip(reversed(self.terms), reversed(position), strict=True):
            found = sa.or_(term.beyond(value), sa.and_(term.equal(value), found))
        return sa.and_(self.terms[0].not_before(position[0]), found)

    def signature(self, facts: ModelFacts[Any], dialect: Dialect) -> bytes:
        """Return what binds a cursor to this model, order and engine."""
        parts = [facts.table_name, facts.name, dialect.name]
        for clause in self.clauses():
            compiled = clause.compile(dialect=dialect)
            parts += [str(compiled), repr(sorted(compiled.params.items()))]
        return hashlib.sha256("\n".join(parts).encode()).digest()

    def _is_uniform(self) -> bool:
        first = self.terms[0].descending
        return all(
            not term.nullable and term.descending is first for term in self.terms
        )


def ordering_of(
    facts: ModelFacts[Any], order_by: OrderBy | Sequence[OrderBy] | None
) -> Ordering:
    """Return the total order that ``order_by`` asks for.

    The primary key is added as the last key, in the last key's direction; without
    ``order_by`` it is the order.

    Raises:
        InvalidValue: Something is no sort key, or its type has no portable order.
        UnknownAttribute: A name is no attribute of the model.
    """
    if order_by is None:
        asked: Sequence[OrderBy] = ()
    elif isinstance(order_by, list | tuple):
        asked = cast("Sequence[OrderBy]", order_by)
    else:
        asked = (cast("OrderBy", order_by),)
    terms: list[Term] = []
    for item in asked:
        _append(terms, _term(facts, item))
    descending = terms[-1].descending if terms else False
    for name in facts.key_names:
        key = _expression(facts.attribute(name))
        _append(terms, Term(key, descending, nullable=False, nulls_first=False))
    return Ordering(tuple(terms))


def _append(terms: list[Term], term: Term) -> None:
    # A key that was named before cannot change the order any more.
    if not any(known.expression.compare(term.expression) for known in terms):
        terms.append(term)


def _term(facts: ModelFacts[Any], item: OrderBy) -> Term:
    descending, nulls_first = False, None
    element: Any = item
    if isinstance(item, str):
        descending = item.startswith("-")
        element = facts.attribute(item.removeprefix("-"))
    while isinstance(element, UnaryExpression):
        modifier = cast("UnaryExpression[Any]", element).modifier
        if modifier in (operators.nulls_first_op, operators.nulls_last_op):
            nulls_first = modifier is operators.nulls_first_op
        elif modifier in (operators.asc_op, operators.desc_op):
            descending = modifier is operators.desc_op
        else:
            break
        element = cast("UnaryExpression[Any]", element).element
    expression = _expression(element)
    if isinstance(expression.type, _UNSORTABLE):
        raise InvalidValue(
            f"{expression} has no order that engines agree on",
            hint="sort by a scalar, for example Part.data['size'].as_integer()",
        )
    return Term(
        expression,
        descending,
        nullable=bool(getattr(expression, "nullable", True)),
        nulls_first=descending if nulls_first is None else nulls_first,
    )


def _expression(element: Any) -> sa.ColumnElement[Any]:
    prop = getattr(element, "prop", None)
    if isinstance(prop, orm.RelationshipProperty | orm.CompositeProperty):
        raise InvalidValue(
            f"{element} is no column to sort by",
            hint="sort by one of its columns",
        )
    if hasattr(element, "__clause_element__"):
        element = element.__clause_element__()
    if not isinstance(element, sa.ColumnElement):
        raise InvalidValue(
            f"order_by takes columns and expressions, not {element!r}",
            hint="for example order_by=(Part.name, Part.id.desc())",
        )
    return cast("sa.ColumnElement[Any]", element)
