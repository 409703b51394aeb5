"""Rows that shall be there with these values, whether or not they were.

Owns ``INSERT … ON CONFLICT … DO UPDATE`` for both engines. The outcome equals
writing the rows one by one, in order: of rows with the same key in the input, the
later one's values win. What only a new row gets (``created_at``, ``created_by``,
the first version) stays on an existing row; its version goes up by one; a row
that was soft-deleted comes back.

Statements run without the unit of work: no validators, no mapper events. The
batches have one size on every engine, whatever a statement may bind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql, sqlite

from lockstep.errors import InvalidValue
from lockstep.repository.audit.images import (
    Change,
    Image,
    fetch_rows,
    key_text,
    shape_of,
)
from lockstep.repository.audit.trail import trail_of, write
from lockstep.repository.refreshing import refresh_many
from lockstep.repository.stamps import changed_values, created_values
from lockstep.repository.transaction import atomic, dialect_name
from lockstep.repository.tree import key_in, tables_of
from lockstep.repository.writes import batches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from lockstep.repository.facts import ModelFacts

#: One row by attribute name.
RowValues: TypeAlias = dict[str, Any]
#: What names the columns that make two rows the same.
MatchOn: TypeAlias = "Sequence[orm.InstrumentedAttribute[Any] | str] | None"

_UNIQUE = (sa.UniqueConstraint, sa.PrimaryKeyConstraint)
_ONLY_NEW = ("created_at", "created_by")


@dataclass(frozen=True)
class Match:
    """What makes two rows the same.

    Attributes:
        names: The attributes whose values are compared.
        index_where: The condition of the partial unique index used, if it is one.
    """

    facts: ModelFacts[Any]
    names: tuple[str, ...]
    index_where: sa.ColumnElement[bool] | None

    @property
    def columns(self) -> list[sa.Column[Any]]:
        """The columns behind the names."""
        if self.names == self.facts.key_names:
            return list(self.facts.key_columns)
        return [self.facts.column_of(name) for name in self.names]

    @property
    def kept(self) -> frozenset[str]:
        """The attributes that stay as they are in a row that was there."""
        return frozenset((*self.names, *self.facts.key_names, *_ONLY_NEW))


def match_of(facts: ModelFacts[Any], match_on: MatchOn, dialect_name: str) -> Match:
    """Return what ``match_on`` means.

    Raises:
        InvalidValue: No primary key, constraint or unique index has these columns.
        UnknownAttribute: A name is no column attribute of the model.
    """
    names = _match_names(facts, match_on)
    return Match(facts, names, _unique_where(dialect_name, facts, names))


@dataclass(frozen=True)
class _Upsert:
    session: Session
    facts: ModelFacts[Any]
    match: Match


def upsert_many(
    session: Session,
    facts: ModelFacts[Any],
    rows: Iterable[Mapping[str, Any] | object],
    match_on: MatchOn,
) -> int:
    """Insert or update rows, all or none; return how many were written."""
    match = match_of(facts, match_on, dialect_name(session))
    job = _Upsert(session, facts, match)
    count = 0
    with atomic(session):
        for batch in batches(rows):
            merged = merged_rows(match, batch)
            _write_batch(job, merged)
            count += len(merged)
        refresh_known(session, facts)
    return count


def refresh_known(session: Session, facts: ModelFacts[Any]) -> None:
    """Bring the model's instances that the session holds up to date."""
    held = session.identity_map.values()
    refresh_many(session, [each for each in held if isinstance(each, facts.model)])


def _match_names(facts: ModelFacts[Any], match_on: MatchOn) -> tuple[str, ...]:
    if match_on is None:
        return facts.key_names
    if isinstance(match_on, str):
        match_on = (match_on,)
    names = tuple(each if isinstance(each, str) else each.key for each in match_on)
    for name in names:
        facts.column_of(name)
    if set(names) == set(facts.key_names):
        return facts.key_names
    return names


def _unique_where(
    dialect_name: str, facts: ModelFacts[Any], match: tuple[str, ...]
) -> sa.ColumnElement[bool] | None:
    """Return the condition of the partial unique index used, or None.

    Raises:
        InvalidValue: No primary key, constraint or unique index has these columns.
    """
    if match == facts.key_names:
        return None
    if len(tables_of(facts.mapper)) > 1:
        raise InvalidValue(
            f"{facts.name} spans several tables: upsert_many() matches on its key",
            hint="leave match_on= out",
        )
    wanted = {facts.column_of(name) for name in match}
    for constraint in facts.key_table.constraints:
        if isinstance(constraint, _UNIQUE) and set(constraint.columns) == wanted:
            return None
    partial = None
    for index in facts.key_table.indexes:
        if index.unique and set(index.expressions) == wanted:
            where = index.dialect_options[dialect_name].get("where")
            if where is None:
                return None
            partial = cast("sa.ColumnElement[bool]", where)
    if partial is None:
        raise InvalidValue(
            f"no unique constraint of {facts.name} has exactly {', '.join(match)}",
            hint="match_on names the columns of a unique constraint or index",
        )
    return partial


def merged_rows(match: Match, batch: Iterable[Any]) -> list[RowValues]:
    """Return the batch's rows, one per match, later values over earlier ones.

    Raises:
        InvalidValue: A row gives what it must not, or lacks a match value.
        UnknownAttribute: A row gives what is no column attribute of the model.
    """
    found: dict[str, RowValues] = {}
    for item in batch:
        row = _row(match, item)
        key = key_text([row[name] for name in match.names])
        if key in found:
            found[key].update(row)
        else:
            found[key] = row
    return list(found.values())


def _row(match: Match, item: object) -> RowValues:
    facts = match.facts
    if isinstance(item, Mapping):
        row = dict(cast("Mapping[str, Any]", item))
    elif isinstance(item, facts.model):
        row = _set_values(facts, item)
    else:
        raise InvalidValue(
            f"upsert_many() takes mappings and {facts.name}, not {type(item).__name__}",
            hint=f"pass a dict of values or a {facts.name}",
        )
    for name, value in row.items():
        facts.column_of(name)
        if name == facts.version_name:
            raise InvalidValue(f"{facts.name}.{name} counts by itself: leave it out")
        if isinstance(value, sa.ClauseElement):
            raise InvalidValue(
                f"{facts.name}.{name} must be a value, not SQL",
                hint="pass the value, or use session.execute()",
            )
    for name in match.names:
        if row.get(name) is None:
            raise InvalidValue(
                f"every row needs a value for {facts.name}.{name} to be matched by",
                hint="set it, or name other columns in match_on=",
            )
    return row


def _set_values(facts: ModelFacts[Any], instance: object) -> RowValues:
    state = cast("orm.InstanceState[Any]", sa.inspect(instance))
    left_out = {facts.version_name}
    return {
        prop.key: state.dict[prop.key]
        for prop in facts.mapper.column_attrs
        if prop.key in state.dict
        and prop.key not in left_out
        and isinstance(prop.columns[0], sa.Column)
        and not (prop.key in facts.key_names and state.dict[prop.key] is None)
    }


def _write_batch(job: _Upsert, rows: Sequence[RowValues]) -> None:
    trail = trail_of(job.facts.mapper)
    before = {} if trail is None else _images(job, rows, lock=True)
    groups: dict[frozenset[str], list[RowValues]] = {}
    for row in rows:
        groups.setdefault(frozenset(row), []).append(row)
    for names, members in groups.items():
        for table in tables_of(job.facts.mapper):
            _write_table(job, table, names, members)
    if trail is not None:
        shape = shape_of(job.facts.mapper)
        changes = [
            Change(shape, identity, before.get(key, (identity, None))[1], image)
            for key, (identity, image) in _images(job, rows).items()
        ]
        write(job.session, trail, changes)


def _images(
    job: _Upsert, rows: Sequence[RowValues], *, lock: bool = False
) -> dict[str, tuple[tuple[Any, ...], Image | None]]:
    values = [tuple(row[name] for name in job.match.names) for row in rows]
    found = fetch_rows(
        job.session, job.facts.mapper, job.match.columns, values, lock=lock
    )
    return {key_text(identity): (identity, image) for identity, image in found}


def _write_table(
    job: _Upsert, table: sa.Table, names: frozenset[str], rows: Sequence[RowValues]
) -> None:
    columns = _columns_in(job.facts, table, names)
    new = _new_values(job, table, columns)
    parameters = [
        {**new, **{column.key: row[name] for name, column in columns.items()}}
        for row in rows
    ]
    engine = postgresql if dialect_name(job.session) == "postgresql" else sqlite
    statement = engine.insert(table)
    changed = _changed_values(job, table, columns, statement.excluded)
    match = job.match.columns
    if table is not job.facts.key_table:
        match = key_in(job.facts.mapper, table)
    if changed:
        statement = statement.on_conflict_do_update(
            index_elements=match, index_where=job.match.index_where, set_=changed
        )
    else:
        statement = statement.on_conflict_do_nothing(
            index_elements=match, index_where=job.match.index_where
        )
    job.session.connection(bind_arguments={"mapper": job.facts.mapper}).execute(
        statement, parameters
    )


def _columns_in(
    facts: ModelFacts[Any], table: sa.Table, names: Iterable[str]
) -> dict[str, sa.Column[Any]]:
    """Return the columns of one table behind these attributes."""
    found: dict[str, sa.Column[Any]] = {}
    for name in sorted(names):
        prop = facts.mapper.get_property_by_column(facts.column_of(name))
        for column in cast("list[sa.Column[Any]]", prop.columns):
            if column.table is table:
                found[name] = column
    return found


def _new_values(
    job: _Upsert, table: sa.Table, given: Mapping[str, sa.Column[Any]]
) -> dict[str, Any]:
    """Return what a new row gets beside the given values, by column key."""
    facts, mapper = job.facts, job.facts.mapper
    values = created_values(job.session, facts)
    if facts.version_name is not None and callable(mapper.version_id_generator):
        values[facts.version_name] = mapper.version_id_generator(None)
    found = {
        facts.column_of(name).key: value
        for name, value in values.items()
        if name not in given and facts.column_of(name).table is table
    }
    kind = mapper.polymorphic_on
    if isinstance(kind, sa.Column) and kind.table is table:
        found.setdefault(kind.key, mapper.polymorphic_identity)
    return found


def _changed_values(
    job: _Upsert,
    table: sa.Table,
    given: Mapping[str, sa.Column[Any]],
    excluded: Any,
) -> dict[Any, Any]:
    """Return what an existing row's columns are set to."""
    facts = job.facts
    kept = job.match.kept
    found: dict[sa.Column[Any], Any] = {
        column: excluded[column.key]
        for name, column in given.items()
        if name not in kept
    }
    changed = changed_values(job.session, facts)
    if facts.deleted_name is not None:
        changed[facts.column_of(facts.deleted_name)] = None
    found |= {
        column: value
        for column, value in changed.items()
        if column.table is table and column not in given.values()
    }
    for column in table.columns:
        # ON CONFLICT does not run onupdate defaults.
        if column.onupdate is not None and column not in found:
            found[column] = _onupdate(column)
    return {column.key: value for column, value in found.items()}


def _onupdate(column: sa.Column[Any]) -> Any:
    default = cast("Any", column.onupdate)
    return default.arg(None) if default.is_callable else default.arg
