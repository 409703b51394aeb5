"""JSON documents: JSONB on PostgreSQL, checked canonical text on SQLite.

Owns the type and what a query may do with a document: follow a path, read a
value of one JSON type, compare for equality. Two documents are equal when their
canonical texts are: the order of keys does not matter, and 1 is not 1.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NoReturn, cast

import sqlalchemy as sa
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BindParameter, ColumnElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from lockstep.errors import NotPortable
from lockstep.schema.types.json_path import (
    JsonPath,
    JsonText,
    Reading,
    checked_step,
)
from lockstep.schema.types.json_text import NotJson, canonical_json
from lockstep.schema.types.numbers import BigInteger, Boolean, Float
from lockstep.schema.types.portable import PortableType, quoted
from lockstep.schema.types.text import Text

_EQUALITIES = frozenset({operators.eq, operators.ne})
_NULL_TESTS = frozenset({operators.is_, operators.is_not})
_MEMBERSHIPS = frozenset({operators.in_op, operators.not_in_op})


class JsonComparator(TypeDecorator.Comparator[Any]):
    """What a query may do with a document, the same on every engine."""

    def as_string(self) -> ColumnElement[str | None]:
        """Return the value if it is a string, else NULL."""
        return self._read("string", Text())

    def as_integer(self) -> ColumnElement[int | None]:
        """Return the value if it is an integer of 64 bits, else NULL."""
        return self._read("integer", BigInteger())

    def as_float(self) -> ColumnElement[float | None]:
        """Return the value if it is a number a double can reach, else NULL."""
        return self._read("float", Float())

    def as_boolean(self) -> ColumnElement[bool | None]:
        """Return the value if it is true or false, else NULL."""
        return self._read("boolean", Boolean())

    def has_key(self, key: str | int) -> ColumnElement[bool]:
        """Tell whether there is anything at ``key``, ``null`` included."""
        return JsonComparator(self._at(key))._read("exists", Boolean())

    def _at(self, step: object) -> JsonPath:
        step = checked_step(step)
        expression: Any = self.expr
        if isinstance(expression, JsonPath) and expression.reading == "json":
            steps = (*expression.steps, step)
            return JsonPath(expression.document, steps, "json", self.type)
        return JsonPath(expression, (step,), "json", self.type)

    def _read(self, reading: Reading, kind: TypeEngine[Any]) -> JsonPath:
        expression: Any = self.expr
        if isinstance(expression, JsonPath):
            return JsonPath(expression.document, expression.steps, reading, kind)
        return JsonPath(expression, (), reading, kind)

    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
        """Build the expression for an operator, or refuse it."""
        if op is operators.getitem:
            return self._at(other[0])
        if not other:
            return super().operate(op, **kwargs)
        if op in _EQUALITIES and other[0] is not None:
            return op(JsonText(self.expr), self._text_of(other[0]))
        if op in _EQUALITIES or op in _NULL_TESTS:
            return super().operate(op, *other, **kwargs)
        if op in _MEMBERSHIPS and isinstance(other[0], list | tuple | set):
            items = cast("Iterable[Any]", other[0])
            found = sa.or_(sa.false(), *(self._equals(item) for item in items))
            return found if op is operators.in_op else ~found
        _refuse(op)

    def reverse_operate(self, op: Any, other: Any, **kwargs: Any) -> Any:
        """Refuse: no operator takes a document on its right side."""
        _refuse(op)

    def _equals(self, item: Any) -> ColumnElement[bool]:
        if item is None:
            return self.expr == sa.null()
        return JsonText(self.expr) == self._text_of(item)

    def _text_of(self, other: Any) -> JsonText:
        if hasattr(other, "__clause_element__"):
            other = other.__clause_element__()
        if isinstance(other, ColumnElement):
            return JsonText(cast("ColumnElement[Any]", other))
        bound = BindParameter(None, other, type_=self.type, unique=True)
        return JsonText(bound)


def _refuse(op: Any) -> NoReturn:
    name = getattr(op, "opstring", None) or getattr(op, "__name__", str(op))
    raise NotPortable(
        f"the operator {name} on a JSON document is not the same on every engine",
        hint='read a value first: column["key"].as_string(), .as_integer(), …',
    )


class Json(PortableType[Any]):
    """A JSON document. ``None`` is SQL NULL; inside a document it is ``null``.

    Dictionaries with string keys, lists (tuples become lists), strings, integers
    of any size, finite floats, booleans. A float comes back as a float.

    PostgreSQL: ``jsonb``. SQLite: ``TEXT`` with a CHECK that it is JSON.

    Queries follow a path and read a value of one JSON type; any other type, a
    missing path and ``null`` give NULL:
    ``Part.data["size"]["unit"].as_string() == "mm"``.
    """

    impl = sa.JSON
    family: ClassVar[str] = "json"
    check_kind: ClassVar[str] = "json"
    hashable = False
    comparator_factory = JsonComparator  # pyright: ignore[reportAssignmentType]

    def postgresql_type(self) -> TypeEngine[Any]:
        """Return ``jsonb``."""
        from sqlalchemy.dialects.postgresql import JSONB

        return JSONB(none_as_null=True)

    def sqlite_type(self) -> TypeEngine[Any]:
        """Return TEXT."""
        return sa.TEXT()

    def checked(self, value: Any) -> Any:
        """Leave the checking to the writing: one walk over the document."""
        return value

    def writer(self, dialect_name: str) -> Callable[[Any], Any]:
        """Write a document at once."""
        if type(self) is not Json:  # a subclass may check, or write otherwise
            return super().writer(dialect_name)
        expand_floats = dialect_name == "postgresql"

        def write(value: Any) -> str | None:
            if value is None:
                return None
            try:
                return canonical_json(value, expand_floats=expand_floats)
            except NotJson as error:
                self.refuse(value, str(error))

        return write

    def to_sqlite(self, value: Any) -> str:
        """Return the canonical text."""
        return self._written(value, expand_floats=False)

    def to_postgresql(self, value: Any) -> str:
        """Return the text that ``jsonb`` reads back exactly."""
        return self._written(value, expand_floats=True)

    def _written(self, value: Any, *, expand_floats: bool) -> str:
        try:
            return canonical_json(value, expand_floats=expand_floats)
        except NotJson as error:
            self.refuse(value, str(error))

    def from_sqlite(self, stored: Any) -> Any:
        """Return the document of a stored text."""
        try:
            return json.loads(stored)
        except (ValueError, TypeError, RecursionError) as error:
            self.refuse(stored, f"the database holds no JSON here ({error})")

    def postgresql_literal(self, value: Any) -> str:
        """Return ``'…'::jsonb``."""
        return f"{quoted(self.to_postgresql(value))}::jsonb"

    def check_sql(self, column: str, dialect_name: str) -> str | None:
        """Check on SQLite that the text is JSON."""
        if dialect_name != "sqlite":
            return None
        # Before SQLite 3.45 json_valid(NULL) is 0 rather than NULL.
        return f"{column} IS NULL OR json_valid({column})"

    def from_text(self, text: str) -> Any:
        """Return the document a default's text means."""
        return json.loads(text)
