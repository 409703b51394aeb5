"""What the rows of a compiled read become: records, or instances of the model.

Owns both. A record is a value: a NamedTuple, dataclass or ``msgspec.Struct`` whose
fields are some of the model's column attributes, built from the converted values
by its own constructor, and only these columns are read.

An instance is what ``Repository`` returns: sealed (an attribute that was not read
raises ``NotLoaded``), and persistent in a Session or detached in a Unit. One that
the session holds already is given the row's values, unless it has changes of its
own that were not flushed.
"""

from __future__ import annotations

import dataclasses
import inspect
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm.attributes import set_committed_value

from lockstep.errors import InvalidValue
from lockstep.repository.compiled.lookup import Lookup, lookup_of
from lockstep.repository.facts import unknown_attribute
from lockstep.repository.loading import seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lockstep.repository.compiled.plan import Plan

M = TypeVar("M")
R = TypeVar("R")
_POSITIONAL = frozenset(
    {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
)


class Target(Protocol[R]):
    """What rows become.

    Attributes:
        names: The attributes to read, in the order of a row's values.
        kind: Tells the targets of one plan apart: a record's class, or None.
        lookup: Finds these attributes' values of rows by key.
    """

    names: tuple[str, ...]
    kind: type[Any] | None
    lookup: Lookup

    def shows_more(self, names: Iterable[str]) -> bool:
        """Return whether a row that was given these shows more than is read."""
        ...

    def one(self, values: Sequence[Any]) -> R:
        """Return what one row becomes."""
        ...

    def new(self, values: Sequence[Any]) -> R:
        """Return what a row becomes that was inserted just now."""
        ...

    def many(self, rows: Iterable[Sequence[Any]]) -> list[R]:
        """Return what many rows become."""
        ...

    def of(self, instance: Any) -> R:
        """Return what an instance that ``Repository`` returned becomes."""
        ...


class Records(Generic[R]):
    """Rows become records of one class."""

    def __init__(self, plan: Plan[Any], kind: type[R], names: tuple[str, ...]) -> None:
        self.kind: type[Any] | None = kind
        self.names = names
        self.lookup = lookup_of(plan, kind, names)
        self._star: Callable[..., R] | None = None
        if issubclass(kind, tuple):
            # What ``_make`` does, without a call in Python per row.
            make = cast("Any", tuple).__new__
            self.one: Callable[[Sequence[Any]], R] = partial(make, kind)
        elif _is_positional(kind):
            self._star = kind
            self.one = lambda values: kind(*values)
        else:
            self.one = lambda values: kind(**dict(zip(names, values, strict=True)))

    def shows_more(self, names: Iterable[str]) -> bool:
        """Return False: a record has its own fields, whatever was given."""
        return False

    def new(self, values: Sequence[Any]) -> R:
        """Return the record of a row that was inserted just now."""
        return self.one(values)

    def many(self, rows: Iterable[Sequence[Any]]) -> list[R]:
        """Return the records of many rows."""
        return list(starmap(self._star, rows) if self._star else map(self.one, rows))

    def of(self, instance: Any) -> R:
        """Return the record of an instance."""
        return self.one([getattr(instance, name) for name in self.names])


class Instances(Generic[M]):
    """Rows become instances of the model."""

    kind = None

    def __init__(self, plan: Plan[M], session: orm.Session | None) -> None:
        self._plan = plan
        self._session = session
        self.names = plan.names
        self.lookup = lookup_of(plan, None, plan.names)
        self._deferred = frozenset(plan.facts.deferred_names)
        self._new_instance = cast("Any", plan.facts.mapper.class_manager).new_instance
        self._seals = plan.seals
        self._key_places = tuple(map(plan.names.index, plan.facts.key_names))

    def shows_more(self, names: Iterable[str]) -> bool:
        """Return whether a deferred column was given: an instance then has it."""
        return not self._deferred.isdisjoint(names)

    def one(self, values: Sequence[Any]) -> M:
        """Return the instance of one row."""
        session = self._session
        identity = tuple([values[place] for place in self._key_places])
        key = self._plan.identity_key(identity)
        if session is not None:
            known = session.identity_map.get(key)
            if known is not None:
                return self.show(cast("M", known), values)
        instance = self._new_instance()
        instance.__dict__.update(zip(self.names, values, strict=True))
        state: Any = instance._sa_instance_state
        state.key = key
        if self._seals:
            state.callables = self._seals.copy()
        if session is not None:
            state.session_id = session.hash_key
            session.identity_map.add(state)
        return instance

    def new(self, values: Sequence[Any]) -> M:
        """Return the instance of a row that was inserted just now."""
        instance = self.one(values)
        session = self._session
        transaction: Any = (
            None if session is None else cast("Any", session)._transaction
        )
        if transaction is not None:
            # A rollback makes it new again, as it does with what a flush wrote.
            transaction._new[sa.inspect(instance)] = True
        return instance

    def many(self, rows: Iterable[Sequence[Any]]) -> list[M]:
        """Return the instances of many rows."""
        return list(map(self.one, rows))

    def of(self, instance: Any) -> M:
        """Return the instance."""
        return instance

    def show(self, instance: M, values: Sequence[Any]) -> M:
        """Let an instance that a session holds show what was read."""
        state = cast("orm.InstanceState[Any]", sa.inspect(instance))
        if not state.modified:
            for name, value in zip(self.names, values, strict=True):
                set_committed_value(instance, name, value)
        seal([instance])
        return instance


def records_of(plan: Plan[Any], kind: type[R]) -> Records[R]:
    """Return the target that makes records of this class; checked once.

    Raises:
        InvalidValue: The class is none that records can be made of.
        UnknownAttribute: A field is no column attribute of the model.
    """
    names = _fields(kind)
    for name in names:
        if name not in plan.columns:
            raise unknown_attribute(plan.facts.name, name, plan.columns)
    return Records(plan, kind, names)


def _fields(kind: type[Any]) -> tuple[str, ...]:
    if isinstance(cast("object", kind), type):
        # msgspec is recognised by what its classes have, and not imported for it.
        for fields in ("_fields", "__struct_fields__"):
            names: tuple[str, ...] | None = getattr(kind, fields, None)
            if names is not None:
                return names
        is_model = sa.inspect(kind, raiseerr=False) is not None
        if dataclasses.is_dataclass(kind) and not is_model:
            return tuple(each.name for each in dataclasses.fields(kind) if each.init)
    raise InvalidValue(
        f"into= takes a NamedTuple, a dataclass or a msgspec.Struct, not {kind!r}",
        hint="for example class PartRow(NamedTuple): id: UUID; name: str",
    )


def _is_positional(kind: type[Any]) -> bool:
    taken = inspect.signature(kind).parameters.values()
    return all(parameter.kind in _POSITIONAL for parameter in taken)
