"""Rows as the audit trail shows them: before, after, and what differs.

Owns the reading of a row's image, one query per class and batch, and the entry
made of two images. Images are keyed by column names and hold encoded values; the
mapper decides which columns a row has, across all tables of an inheritance.
"""

from __future__ import annotations

import datetime as dt
import decimal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import orm

from lockstep.repository.audit.values import (
    SECRET_INFO,
    JsonValue,
    encode,
    fingerprint,
    is_same_json,
    masked,
)
from lockstep.repository.keys import conditions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.orm import Session

    from lockstep.repository.keys import Identity

#: Encoded values by column name; secrets are still in it.
Image: TypeAlias = dict[str, JsonValue]


@dataclass(frozen=True, eq=False)
class Shape:
    """The columns of one mapped class.

    Attributes:
        names: The name of each column in an image.
        attributes: The attribute of each column, in the same order.
        keys: Name of each column of the key, and whether it is masked.
        table_name: The name of the table that holds the key.
        secrets: Names of columns that are masked.
        deleted: The name of the soft-delete mark, if there is one.
    """

    mapper: orm.Mapper[Any]
    names: tuple[str, ...]
    attributes: tuple[str, ...]
    columns: tuple[sa.Column[Any], ...]
    keys: tuple[tuple[str, bool], ...]
    table_name: str
    secrets: frozenset[str]
    deleted: str | None

    def row_key(self, identity: Identity) -> dict[str, JsonValue]:
        """Return the key as the trail holds it."""
        return {
            name: fingerprint(encode(value)) if is_secret else encode(value)
            for (name, is_secret), value in zip(self.keys, identity, strict=True)
        }


_SHAPES: WeakKeyDictionary[orm.Mapper[Any], Shape] = WeakKeyDictionary()


def shape_of(mapper: orm.Mapper[Any]) -> Shape:
    """Return the shape of a mapped class, worked out once."""
    known = _SHAPES.get(mapper)
    if known is None:
        known = _SHAPES[mapper] = _read_shape(mapper)
    return known


def _read_shape(mapper: orm.Mapper[Any]) -> Shape:
    names: list[str] = []
    attributes: list[str] = []
    columns: list[sa.Column[Any]] = []
    for prop in mapper.column_attrs:
        column = prop.columns[0]
        if not isinstance(column, sa.Column):
            continue
        name = str(column.name)
        # Joined tables may each have a column of the same name.
        names.append(f"{column.table.name}.{name}" if name in names else name)
        attributes.append(prop.key)
        columns.append(column)
    deleted = None
    if "deleted_at" in attributes:
        deleted = names[attributes.index("deleted_at")]
    return Shape(
        mapper,
        tuple(names),
        tuple(attributes),
        tuple(columns),
        tuple(
            (str(column.name), bool(column.info.get(SECRET_INFO)))
            for column in mapper.primary_key
        ),
        mapper.primary_key[0].table.fullname,
        frozenset(
            name
            for name, column in zip(names, columns, strict=True)
            if column.info.get(SECRET_INFO)
        ),
        deleted,
    )


def image_in(instance: object) -> Image | None:
    """Return the image of an instance whose columns are all loaded, else None."""
    state = cast("orm.InstanceState[Any]", sa.inspect(instance))
    shape = shape_of(state.mapper)
    values = state.dict
    if any(attribute not in values for attribute in shape.attributes):
        return None
    return {
        name: encode(values[attribute])
        for name, attribute in zip(shape.names, shape.attributes, strict=True)
    }


def key_text(identity: Sequence[Any]) -> str:
    """Return a hashable form of a key, equal for equal keys."""
    return repr([encode(_normal(value)) for value in identity])


def _normal(value: Any) -> Any:
    # 1.5 and 1.50, noon in UTC and 14:00+02:00, are one key.
    if isinstance(value, decimal.Decimal):
        return value.normalize()
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC)
    return value


def fetch_rows(
    session: Session,
    mapper: orm.Mapper[Any],
    by: Sequence[sa.ColumnElement[Any]],
    values: Sequence[Identity],
    *,
    lock: bool = False,
) -> Iterator[tuple[Identity, Image]]:
    """Yield key and image of the rows whose ``by`` columns have these values.

    Args:
        session: Whose transaction to read in; nothing is flushed.
        mapper: The rows' class.
        by: Columns to find the rows by.
        values: One tuple of their values per row.
        lock: Lock the rows on PostgreSQL until the transaction ends, so that the
            image is what the coming write replaces. SQLite's write session holds
            the only write lock anyway.
    """
    shape = shape_of(mapper)
    keys = list(mapper.primary_key)
    statement = sa.select(*shape.columns, *keys)
    statement = statement.select_from(mapper.persist_selectable)
    if lock:
        # Everybody who locks many rows locks them in the same order.
        statement = statement.order_by(*keys)
        statement = statement.with_for_update(of=keys[0].table, key_share=True)
    connection = session.connection(bind_arguments={"mapper": mapper})
    width = len(shape.columns)
    for condition in conditions(session, by, values):
        for row in connection.execute(statement.where(condition)):
            image = {
                name: encode(value)
                for name, value in zip(shape.names, row[:width], strict=True)
            }
            yield tuple(row[width:]), image


def fetch_images(
    session: Session,
    mapper: orm.Mapper[Any],
    identities: Sequence[Identity],
    *,
    lock: bool = False,
) -> dict[str, Image]:
    """Read the images of the rows with these keys, by ``key_text``."""
    keys = list(mapper.primary_key)
    rows = fetch_rows(session, mapper, keys, identities, lock=lock)
    return {key_text(identity): image for identity, image in rows}


class Change(NamedTuple):
    """One row's change: at least one of the images is there."""

    shape: Shape
    identity: Identity
    before: Image | None
    after: Image | None

    @property
    def action(self) -> str:
        """What happened: insert, update, delete or restore."""
        if self.before is None:
            return "insert"
        if self.after is None:
            return "delete"
        mark = self.shape.deleted
        if mark is not None and self.before[mark] != self.after[mark]:
            if self.after[mark] is None:
                return "restore"
            if self.before[mark] is None:
                return "delete"
        return "update"

    def images(self) -> tuple[Image | None, Image | None] | None:
        """Return what to record as before and after, masked; None for no change.

        An insert shows the whole row after, a delete the whole row before; a soft
        delete also shows what it changed; everything else the changed columns.
        """
        before, after = self.before, self.after
        if before is not None and after is not None:
            changed = [
                name
                for name, value in after.items()
                if not is_same_json(before.get(name), value)
            ]
            if not changed:
                return None
            if self.action != "delete":
                before = {name: before[name] for name in changed}
            after = {name: after[name] for name in changed}
        if not self.shape.secrets:
            return before, after
        return self._masked(before), self._masked(after)

    def _masked(self, image: Image | None) -> Image | None:
        if image is None:
            return None
        return {
            name: masked(value) if name in self.shape.secrets else value
            for name, value in image.items()
        }
