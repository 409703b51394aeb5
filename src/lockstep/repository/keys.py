"""Primary keys as callers write them, checked before they reach the database.

Owns the forms a key may take (a value, a tuple, a mapping), the refusal of values
that cannot be a key of the model, and the SQL that finds the rows of one key or
of a hundred thousand. A wrong type is refused here, alike on every engine: SQLite
would find nothing and PostgreSQL would end the transaction.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from lockstep.errors import InvalidValue
from lockstep.repository.facts import unknown_attribute
from lockstep.repository.kinds import is_integer, python_type_of
from lockstep.repository.transaction import bind_parameters_max, dialect_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.orm import Session

    from lockstep.repository.facts import ModelFacts

#: A value, a tuple in the key's order, or a mapping of attribute names to values.
Key: TypeAlias = Any
#: A checked key: one value per primary key column.
Identity: TypeAlias = tuple[Any, ...]

INTEGER_MAX: Final = 2**63 - 1
#: Rows looked up by one statement where keys are bound one by one.
KEYS_PER_STATEMENT_MAX: Final = 10_000


def identity_of(facts: ModelFacts[Any], key: Key) -> Identity:
    """Return ``key`` as one checked value per primary key column.

    Raises:
        InvalidValue: The key has the wrong number of parts, or a part has a type
            or a value the column can never hold.
        UnknownAttribute: A mapping names something that is no part of the key.
    """
    parts = _parts(facts, key)
    for name, column, value in zip(
        facts.key_names, facts.key_columns, parts, strict=True
    ):
        check_value(f"{facts.name}'s key {name!r}", column.type, value)
    return parts


def _parts(facts: ModelFacts[Any], key: Key) -> Identity:
    wanted = len(facts.key_names)
    if isinstance(key, Mapping):
        given = cast("Mapping[str, Any]", key)
        for name in given:
            if name not in facts.key_names:
                raise unknown_attribute(f"{facts.name}'s key", name, facts.key_names)
        if len(given) == wanted:
            return tuple(given[name] for name in facts.key_names)
        parts: Identity = tuple(given)
    elif isinstance(key, tuple | list):
        parts = tuple(cast("Sequence[Any]", key))
    elif isinstance(key, sa.Row):
        parts = tuple(cast("sa.Row[Any]", key))
    else:
        parts = (key,)
    if len(parts) != wanted:
        raise InvalidValue(
            f"{facts.name}'s key has {wanted} part(s) ({', '.join(facts.key_names)}), "
            f"not {len(parts)}",
            hint="give a tuple in that order, or a mapping of these names",
        )
    return parts


def check_value(what: str, kind: sa.types.TypeEngine[Any], value: Any) -> None:
    """Refuse a value that a column of this type can never equal.

    Types whose Python values are not known (a custom decorator) are not judged.
    """
    if value is None:
        raise InvalidValue(f"{what} must not be None")
    expected = python_type_of(kind)
    if expected is not None and not _fits(expected, value):
        hint = ""
        if expected is uuid.UUID and isinstance(value, str):
            hint = "turn the text into a key first: uuid.UUID(text)"
        raise InvalidValue(
            f"{what} must be {expected.__name__}, not {type(value).__name__}", hint=hint
        )
    check_range(what, value)


def check_range(what: str, value: Any) -> None:
    """Refuse an integer or a text that no engine can be asked about."""
    if isinstance(value, int) and not -INTEGER_MAX - 1 <= value <= INTEGER_MAX:
        raise InvalidValue(f"{what} does not fit into 64 bits")
    if isinstance(value, str) and not is_storable_text(value):
        raise InvalidValue(
            f"{what} holds a NUL or a lone surrogate",
            hint="remove such characters first",
        )


def is_storable_text(value: str) -> bool:
    """Return whether every engine can hold this text."""
    if "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fits(expected: type[Any], value: Any) -> bool:
    if expected is bool or isinstance(value, bool):
        return expected is bool and isinstance(value, bool)
    if issubclass(expected, enum.Enum):
        return isinstance(value, expected | str)
    if expected is dt.date:
        return isinstance(value, dt.date) and not isinstance(value, dt.datetime)
    if expected in (float, decimal.Decimal):
        return isinstance(value, int | float | decimal.Decimal)
    if expected is bytes:
        return isinstance(value, bytes | bytearray | memoryview)
    return isinstance(value, expected)


def lookup_type(column: sa.ColumnElement[Any]) -> sa.types.TypeEngine[Any]:
    """Return the type to bind a key with.

    An integer is always bound with 64 bits: asking a 32-bit column for a larger
    number finds nothing instead of failing on PostgreSQL only.
    """
    return sa.BigInteger() if is_integer(column.type) else column.type


def matches(
    columns: Sequence[sa.ColumnElement[Any]], identity: Sequence[Any]
) -> sa.ColumnElement[bool]:
    """Return the condition that these columns equal this key."""
    return sa.and_(
        *(
            column == sa.literal(value, lookup_type(column))
            for column, value in zip(columns, identity, strict=True)
        )
    )


def conditions(
    session: Session,
    columns: Sequence[sa.ColumnElement[Any]],
    identities: Sequence[Identity],
) -> Iterator[sa.ColumnElement[bool]]:
    """Yield conditions that together match all these keys.

    PostgreSQL: one condition with one array per column, so that one statement, and
    with it one snapshot, answers for any number of keys. SQLite: as many as its
    limit of bound values asks for; a transaction there is one snapshot anyway.
    """
    if not identities:
        return
    if dialect_name(session) == "postgresql":
        yield in_arrays(columns, list(zip(*identities, strict=True)))
        return
    size = bind_parameters_max(session) // len(columns) - 1
    size = max(1, min(size, KEYS_PER_STATEMENT_MAX))
    for start in range(0, len(identities), size):
        yield _in_list(columns, identities[start : start + size])


def _in_list(
    columns: Sequence[sa.ColumnElement[Any]], identities: Iterable[Identity]
) -> sa.ColumnElement[bool]:
    if len(columns) == 1:
        return columns[0].in_([identity[0] for identity in identities])
    return sa.tuple_(*columns).in_(list(identities))


def in_arrays(
    columns: Sequence[sa.ColumnElement[Any]], values: Sequence[Any]
) -> sa.ColumnElement[bool]:
    """Return PostgreSQL's condition for many keys; ``values`` is by column."""
    arrays: list[Any] = []
    for column, of_column in zip(columns, values, strict=True):
        array_type = postgresql.ARRAY(lookup_type(column))
        if isinstance(of_column, tuple):
            of_column = list(cast("tuple[Any, ...]", of_column))
        arrays.append(sa.cast(sa.literal(of_column, array_type), array_type))
    if len(columns) == 1:
        return columns[0] == sa.any_(arrays[0])
    names = [f"k{position}" for position in range(len(columns))]
    wanted = sa.func.unnest(*arrays).table_valued(*names).render_derived()
    return sa.tuple_(*columns).in_(sa.select(*(wanted.c[name] for name in names)))
