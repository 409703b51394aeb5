"""What the repository knows about one mapped class, worked out once.

Owns the reading of SQLAlchemy's mapper: key, version, soft delete, which
attributes are columns, which of them are loaded only when asked for. Works for
any mapped class: our mixins, plain SQLAlchemy, SQLModel, every inheritance style,
composite keys, column names that differ from attribute names. It knows nothing of
sessions.

Invariant: facts depend on the mapper alone, so one object serves every session.
Subclasses may be mapped later, so nothing about them is kept here.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import orm

from lockstep.errors import SchemaError, UnknownAttribute
from lockstep.schema import SoftDelete

if TYPE_CHECKING:
    from collections.abc import Iterable

M = TypeVar("M")

#: Relationship loading styles whose attribute is a query and never loads by itself.
LAZY_QUERIES = frozenset({"dynamic", "write_only", "noload"})


@dataclass(frozen=True, eq=False)
class ModelFacts(Generic[M]):
    """One mapped class as the repository sees it.

    Attributes:
        key_names: The primary key's attribute names, in the key's order.
        column_names: Attribute names of everything a refresh reads, without the
            deferred ones; includes column properties.
        deferred_names: Attribute names that are loaded only when asked for.
        version_name: The attribute of the mapper's version column, if it has one.
        deleted_name: The attribute that marks a soft-deleted row, if it has one.
    """

    model: type[M]
    mapper: orm.Mapper[M]
    key_names: tuple[str, ...]
    key_columns: tuple[sa.Column[Any], ...]
    column_names: tuple[str, ...]
    deferred_names: tuple[str, ...]
    version_name: str | None
    deleted_name: str | None

    @property
    def name(self) -> str:
        """The class's name, for messages."""
        return self.model.__name__

    @property
    def key_table(self) -> sa.Table:
        """The table that holds the primary key (the root of an inheritance)."""
        return self.key_columns[0].table

    @property
    def key_attributes(self) -> list[sa.ColumnElement[Any]]:
        """The class's primary key as ORM queries name it."""
        return [getattr(self.model, name).expression for name in self.key_names]

    @property
    def table_name(self) -> str:
        """The name of ``key_table``, with its schema if it has one."""
        return self.key_table.fullname

    def attribute(self, name: str) -> Any:
        """Return the class's attribute ``name``, usable in SQL expressions.

        Raises:
            UnknownAttribute: The model has no such attribute; the hint names the
                nearest one.
        """
        if name not in self.mapper.all_orm_descriptors:
            raise unknown_attribute(
                self.name, name, self.mapper.all_orm_descriptors.keys()
            )
        return getattr(self.model, name)

    def column_of(self, name: str) -> sa.Column[Any]:
        """Return the table column behind the attribute ``name``.

        Raises:
            UnknownAttribute: There is no such attribute, or no column behind it.
        """
        prop = self.mapper.attrs.get(name)
        if isinstance(prop, orm.SynonymProperty):
            prop = self.mapper.attrs.get(prop.name)
        if isinstance(prop, orm.ColumnProperty):
            column = prop.columns[0]
            if isinstance(column, sa.Column):
                return column
        raise unknown_attribute(self.name, name, written_names(self.mapper))


def unknown_attribute(
    model_name: str, name: object, known: Iterable[str]
) -> UnknownAttribute:
    """Return the error for a name that the model does not have."""
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return UnknownAttribute(
        f"{model_name} has no attribute {str(name)!r}"
        if near
        else f"{model_name} has no attribute {str(name)!r} that can be used here",
        hint=f"did you mean {near[0]!r}?" if near else "",
        detail={"model": model_name, "attribute": str(name)},
    )


def written_names(mapper: orm.Mapper[Any]) -> list[str]:
    """Return the attribute names that stand for a table column of their own."""
    return [
        prop.key
        for prop in mapper.column_attrs
        if isinstance(prop.columns[0], sa.Column)
    ]


_KNOWN: WeakKeyDictionary[type[Any], ModelFacts[Any]] = WeakKeyDictionary()


def facts_of(model: type[M]) -> ModelFacts[M]:
    """Return the facts of a mapped class.

    Raises:
        SchemaError: ``model`` is not a class that SQLAlchemy maps.
    """
    known = _KNOWN.get(model) if isinstance(cast("object", model), type) else None
    if known is None:
        known = _KNOWN[model] = _read(model)
    return cast("ModelFacts[M]", known)


def _read(model: type[M]) -> ModelFacts[M]:
    mapper = sa.inspect(model, raiseerr=False)
    if not isinstance(mapper, orm.Mapper):
        raise SchemaError(
            f"{getattr(model, '__name__', model)!r} is not a mapped class",
            hint="Repository takes a model: a declarative class with a table",
        )
    mapper = cast("orm.Mapper[M]", mapper)
    version = mapper.version_id_col
    plain: list[str] = []
    deferred: list[str] = []
    for prop in mapper.column_attrs:
        if ("query_expression", True) in prop.strategy_key:
            continue
        (deferred if prop.deferred else plain).append(prop.key)
    return ModelFacts(
        model=model,
        mapper=mapper,
        key_names=tuple(
            mapper.get_property_by_column(column).key for column in mapper.primary_key
        ),
        key_columns=cast("tuple[sa.Column[Any], ...]", tuple(mapper.primary_key)),
        column_names=tuple(plain),
        deferred_names=tuple(deferred),
        version_name=(
            None if version is None else mapper.get_property_by_column(version).key
        ),
        deleted_name="deleted_at" if issubclass(model, SoftDelete) else None,
    )
