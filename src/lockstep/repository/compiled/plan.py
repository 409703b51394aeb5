"""What is worked out once per model and dialect, and what cannot be.

Owns the judgement whether a model can be compiled, and the keeping of compiled
statements. It asks no database and knows no session.

    reads    one table, one column per attribute, no inheritance
    objects  reads, and nothing has to happen when an instance is loaded
    writes   objects, and nothing but our own mixins listens to flushes

What a plan cannot do exactly, ``Repository`` does: ``reason`` says why, in words.
Listeners are counted at each call, so one that is added later is not overlooked.

A plan lives as long as its dialect, that is, as its engine.
"""

from __future__ import annotations

import types
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import orm

from lockstep.repository.compiled.statement import Statement
from lockstep.repository.facts import facts_of
from lockstep.repository.keys import INTEGER_MAX, identity_of
from lockstep.repository.kinds import python_type_of
from lockstep.repository.loading import eager_names, seals_of
from lockstep.schema import Audited, Timestamped

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

    from lockstep.repository.keys import Identity

M = TypeVar("M")
T = TypeVar("T")

#: Statements kept per plan. A program has few; an attacker who chooses which
#: columns to filter by has many.
STATEMENTS_KEPT_MAX: Final = 256

#: Drivers whose connection takes a text and parameters and gives a cursor.
DRIVERS: Final = frozenset({"pysqlite", "hrana", "psycopg"})

#: How many listeners of SQLAlchemy's own and of ours there are at least.
_OWN_LOAD_LISTENERS: Final = 1
_OWN_INIT_LISTENERS: Final = 1


class Kept:
    """What was made once and is kept by its key, up to a number."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def of(self, key: Any, make: Callable[[], T]) -> T:
        """Return what is kept under a key, or make and keep it."""
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= STATEMENTS_KEPT_MAX:
                self._made.clear()
            found = self._made[key] = make()
        return found


class Plan(Generic[M]):
    """One model on one dialect.

    Attributes:
        columns: The table's columns by attribute name, deferred ones included.
        names: The attributes that an instance has when it is read.
        reason: Why not even reads are compiled; empty when they are.
        reason_removal: Why deleting for good is not compiled; empty when it is.
    """

    def __init__(self, model: type[M], dialect: Dialect) -> None:
        self.facts = facts_of(model)
        self.dialect = dialect
        mapper = self.facts.mapper
        self.columns: dict[str, sa.Column[Any]] = {
            prop.key: prop.columns[0]
            for prop in mapper.column_attrs
            if isinstance(prop.columns[0], sa.Column)
        }
        self.names = self.facts.column_names
        self._identity_class: type[Any] = cast("Any", mapper)._identity_class
        self.seals = seals_of(mapper)
        self.reason = _reason(mapper, dialect)
        self._reason_objects = self.reason or _reason_objects(mapper)
        self._reason_writes = self.reason or _reason_writes(mapper)
        model_mixins = issubclass(model, Timestamped) + issubclass(model, Audited)
        # The audit recorder listens to every mapper; what it does, we do.
        self.reason_removal = self.reason or _reason_removal(mapper)
        self._own_listeners = {"insert": model_mixins, "update": model_mixins + 1}
        self.kept = Kept()
        keys = [python_type_of(column.type) for column in self.keys]
        # Of these types, a value of the exact type needs no further look.
        self._key_type = keys[0] if keys in ([uuid.UUID], [int]) else None

    @property
    def reason_objects(self) -> str:
        """Why no instances are made; empty when they are."""
        dispatch: Any = self.facts.mapper.class_manager.dispatch
        if len(dispatch.load) > _OWN_LOAD_LISTENERS or dispatch.refresh:
            return self._reason_objects or "something listens to its loading"
        return self._reason_objects

    @property
    def reason_writes(self) -> str:
        """Why writes are not compiled; empty when they are."""
        return self.reason_objects or self._reason_writes

    @property
    def table(self) -> sa.Table:
        """The model's one table."""
        return self.facts.key_table

    @property
    def keys(self) -> tuple[sa.Column[Any], ...]:
        """The columns of the primary key."""
        return self.facts.key_columns

    def identity(self, key: Any) -> Identity:
        """Return a key as one checked value per column. See ``identity_of``."""
        kind = self._key_type
        if type(key) is kind and (
            kind is uuid.UUID or -INTEGER_MAX <= key <= INTEGER_MAX
        ):
            return (key,)
        return identity_of(self.facts, key)

    def identity_key(self, identity: Identity) -> tuple[Any, ...]:
        """Return the key of a row in a session's identity map."""
        return (self._identity_class, identity, None)

    def hiding(self, *, with_deleted: bool) -> Sequence[sa.ColumnElement[bool]]:
        """Return the condition that hides soft-deleted rows, if there is one."""
        name = self.facts.deleted_name
        if with_deleted or name is None:
            return ()
        return (self.columns[name].is_(None),)

    def statement(self, key: Any, make: Callable[[], Any]) -> Statement:
        """Return the statement kept under a key; make and compile it once."""
        return self.kept.of(key, lambda: Statement(make(), self.dialect))

    def is_unheard(self, verb: str) -> bool:
        """Return whether only our own mixins listen when a flush does this.

        Args:
            verb: ``insert`` or ``update``.
        """
        heard: Any = self.facts.mapper.dispatch
        before, after = (
            (heard.before_insert, heard.after_insert)
            if verb == "insert"
            else (heard.before_update, heard.after_update)
        )
        return len(before) == self._own_listeners[verb] and len(after) == 1

    def is_compared_plainly(self, name: str) -> bool:
        """Return whether equality of an attribute is equality of its column."""
        prop: Any = self.facts.mapper.attrs[name]
        return prop.comparator_factory is orm.ColumnProperty.Comparator

    def is_plain(self, name: str) -> bool:
        """Return whether setting an attribute only keeps the value."""
        if name not in self.columns:
            return False
        attribute: Any = getattr(self.facts.model, name)
        return not attribute.dispatch.set

    def is_made_plainly(self) -> bool:
        """Return whether constructing the model only sets what it is given."""
        mapper = self.facts.mapper
        manager: Any = mapper.class_manager
        return (
            manager.original_init is mapper.registry.constructor
            and len(manager.dispatch.init) == _OWN_INIT_LISTENERS
        )


def plan_of(model: type[M], dialect: Dialect) -> Plan[M]:
    """Return the plan of a model on a dialect, worked out once.

    Raises:
        SchemaError: ``model`` is not a class that SQLAlchemy maps.
    """
    # Kept on the dialect itself, so that plans go when their engine goes.
    plans: dict[Any, Plan[Any]] = vars(dialect).setdefault("_lockstep_plans", {})
    found = plans.get(model)
    if found is None:
        found = plans[model] = Plan(model, dialect)
    return found


def _reason(mapper: orm.Mapper[Any], dialect: Dialect) -> str:
    if dialect.driver not in DRIVERS:
        return f"nothing is compiled for the driver {dialect.driver}"
    if mapper.inherits is not None or mapper.polymorphic_on is not None:
        return "it is part of an inheritance"
    if not isinstance(mapper.local_table, sa.Table):
        return "it is not mapped to one table"
    for prop in mapper.column_attrs:
        if len(prop.columns) != 1 or not isinstance(prop.columns[0], sa.Column):
            return f"{prop.key} is an expression"
    return ""


def _reason_objects(mapper: orm.Mapper[Any]) -> str:
    return "its mapping loads a relationship" if eager_names(mapper) else ""


def _reason_writes(mapper: orm.Mapper[Any]) -> str:
    generator = mapper.version_id_generator
    if mapper.version_id_col is not None and not _counts(generator):
        return "its version is of its own making"
    for column in mapper.columns:
        for default in (column.default, column.onupdate):
            if default is not None and not (default.is_scalar or default.is_callable):
                return f"{column.name} has a default that the database computes"
    return ""


def _reason_removal(mapper: orm.Mapper[Any]) -> str:
    for prop in mapper.relationships:
        if prop.viewonly or prop.passive_deletes:
            continue
        if prop.cascade.delete or prop.secondary is not None:
            return f"its mapping deletes {prop.key} along"
    return ""


def _counts(generator: Any) -> bool:
    # SQLAlchemy's own generator, which adds one, is a function of its module.
    module = getattr(generator, "__module__", None)
    return isinstance(generator, types.FunctionType) and module == orm.Mapper.__module__
