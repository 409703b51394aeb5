"""Where models begin: a declarative base whose tables are portable.

Owns the portable metadata and which portable type a Python annotation means. The
models themselves stay plain SQLAlchemy 2 declarative classes.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Any, ClassVar, Literal

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, DeclarativeBaseNoMeta
from sqlalchemy.types import TypeEngine

from lockstep.schema import types
from lockstep.schema.names import NAMING_CONVENTION
from lockstep.schema.strict import PORTABLE
from lockstep.schema.types.enums import EnumOfAnnotation

ANNOTATIONS: dict[Any, TypeEngine[Any]] = {
    bool: types.Boolean(),
    int: types.BigInteger(),
    float: types.Float(),
    str: types.Text(),
    bytes: types.Blob(),
    uuid.UUID: types.Uuid(),
    datetime.datetime: types.UtcDateTime(),
    datetime.date: types.Date(),
    decimal.Decimal: types.Decimal(),
    enum.Enum: EnumOfAnnotation(),
    Literal: EnumOfAnnotation(),
    dict: types.Json(),
    dict[str, Any]: types.Json(),
    dict[str, object]: types.Json(),
    list: types.Json(),
    list[Any]: types.Json(),
    list[dict[str, Any]]: types.Json(),
    list[str]: types.Array(types.Text()),
    list[int]: types.Array(types.BigInteger()),
    list[float]: types.Array(types.Float()),
    list[bool]: types.Array(types.Boolean()),
    list[uuid.UUID]: types.Array(types.Uuid()),
    list[datetime.date]: types.Array(types.Date()),
    list[datetime.datetime]: types.Array(types.UtcDateTime()),
}
"""The portable type that ``Mapped[annotation]`` means without a type of its own."""


def portable_metadata(**arguments: Any) -> sa.MetaData:
    """Return a ``MetaData`` with portable names and STRICT tables on SQLite.

    Args:
        arguments: Passed on to ``MetaData``.

    Example:
        >>> import sqlalchemy as sa
        >>> metadata = portable_metadata()
        >>> part = sa.Table("part", metadata, sa.Column("id", sa.BigInteger()))
        >>> part.dialect_options["sqlite"]["strict"]
        True
    """
    arguments.setdefault("naming_convention", NAMING_CONVENTION)
    info = {PORTABLE: True, **arguments.pop("info", {})}
    return sa.MetaData(info=info, **arguments)


class Portable:
    """Make a declarative base portable; write it before ``DeclarativeBase``.

    Each base gets a metadata of its own (names, STRICT) and the portable types
    for its annotations. What the base defines itself stays.

    Example:
        >>> class Base(Portable, DeclarativeBase):
        ...     pass
    """

    metadata: ClassVar[sa.MetaData]
    type_annotation_map: ClassVar[dict[Any, Any]]

    def __init_subclass__(cls, **kw: Any) -> None:
        if {DeclarativeBase, DeclarativeBaseNoMeta} & set(cls.__bases__):
            if "metadata" not in cls.__dict__:
                cls.metadata = portable_metadata()
            own = cls.__dict__.get("type_annotation_map", {})
            cls.type_annotation_map = {**ANNOTATIONS, **own}
        super().__init_subclass__(**kw)


class Base(Portable, DeclarativeBase):
    """A ready-made portable base, for applications with one set of models."""
