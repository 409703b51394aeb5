"""The first rows of an application: declared, with fixed keys, safe to repeat.

Owns ``upsert_seed``, which makes the declared rows be as declared, and
``run_seed``, which runs a project's seed function in one transaction.
Must not know: repositories, the command.

Invariant: a second run changes nothing; versions and ``updated_at`` stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapper

from lockstep.errors import InvalidValue, MigrationError
from lockstep.migrations.results import SeedCounts, SeedReport
from lockstep.schema import PortableType

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lockstep.engine import Database

ACTOR = "seed"
COUNTS = "lockstep.seed_counts"
"""Key in ``Session.info`` under which a running seed counts."""

# Keys per SELECT: well below every engine's limit of parameters.
LOOKUP_ROWS = 200


def upsert_seed(
    session: Session, model: type[Any], rows: Iterable[Mapping[str, Any]]
) -> SeedReport:
    """Make the database hold the declared rows, as declared.

    A row is found by its primary key, which every row must name. A missing row is
    inserted; one that differs in a declared attribute is updated; attributes that
    are not declared, and rows that are not declared, are left alone.

    Args:
        session: A write session; the rows are flushed, not committed.
        model: A mapped class.
        rows: Attribute name to value.

    Returns:
        What this call did.

    Raises:
        InvalidValue: A row has no key, an unknown attribute, or a key that an
            earlier row has.
    """
    mapper = cast("Mapper[Any]", sa.inspect(model))
    key_names = [mapper.get_property_by_column(c).key for c in mapper.primary_key]
    declared = [dict(row) for row in rows]
    _refuse_faulty(mapper, key_names, declared)
    counts = {"inserted": 0, "updated": 0, "unchanged": 0}
    for chunk in _chunks(declared):
        present = _present(session, mapper, key_names, chunk)
        for row in chunk:
            key = _key(mapper, key_names, row)
            found = present.get(key)
            if found is None:
                session.add(model(**row))
                counts["inserted"] += 1
            elif _update(mapper, found, row, key_names):
                counts["updated"] += 1
            else:
                counts["unchanged"] += 1
        session.flush()
    total: SeedCounts = session.info.setdefault(COUNTS, SeedCounts())
    total.add(mapper.local_table.description, **counts)
    own = SeedCounts()
    own.add(mapper.local_table.description, **counts)
    return own.report()


def _refuse_faulty(
    mapper: Mapper[Any], key_names: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    known = set(mapper.column_attrs.keys())
    seen: set[tuple[Any, ...]] = set()
    for number, row in enumerate(rows, start=1):
        where = f"seed row {number} of {mapper.class_.__name__}"
        missing = [name for name in key_names if row.get(name) is None]
        if missing:
            raise InvalidValue(
                f"{where} has no {', '.join(missing)}",
                hint="give every seed row a fixed key, so that it is found again",
            )
        unknown = sorted(set(row) - known)
        if unknown:
            raise InvalidValue(
                f"{where} names no column: {', '.join(unknown)}",
                hint="correct the name, or add the column to the model",
            )
        key = _key(mapper, key_names, row)
        if key in seen:
            raise InvalidValue(
                f"{where} has the key of an earlier one",
                hint="give each row a key of its own",
            )
        seen.add(key)


def _chunks(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    for start in range(0, len(rows), LOOKUP_ROWS):
        yield rows[start : start + LOOKUP_ROWS]


def _present(
    session: Session,
    mapper: Mapper[Any],
    key_names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
) -> dict[tuple[Any, ...], Any]:
    keys = [_key(mapper, key_names, row) for row in rows]
    attributes = [getattr(mapper.class_, name) for name in key_names]
    wanted = sa.or_(
        *(
            sa.and_(*(a == value for a, value in zip(attributes, key, strict=True)))
            for key in keys
        )
    )
    found = session.scalars(sa.select(mapper.class_).where(wanted)).all()
    return {tuple(getattr(row, name) for name in key_names): row for row in found}


def _key(
    mapper: Mapper[Any], key_names: Sequence[str], row: Mapping[str, Any]
) -> tuple[Any, ...]:
    return tuple(_checked(mapper, name, row[name]) for name in key_names)


def _checked(mapper: Mapper[Any], name: str, value: Any) -> Any:
    """Return the value as it will come back from the database."""
    type_ = mapper.column_attrs[name].columns[0].type
    if value is None or not isinstance(type_, PortableType):
        return value
    return type_.checked(value)


def _update(
    mapper: Mapper[Any],
    found: Any,
    row: Mapping[str, Any],
    key_names: Sequence[str],
) -> bool:
    changed = False
    for name, value in row.items():
        if name in key_names:
            continue
        wanted = _checked(mapper, name, value)
        type_ = mapper.column_attrs[name].columns[0].type
        if not type_.compare_values(getattr(found, name), wanted):
            setattr(found, name, wanted)
            changed = True
    return changed


def run_seed(
    db: Database,
    function: Callable[[Session], object],
    *,
    directory: Path | str | None = None,
) -> SeedReport:
    """Run a seed function in one transaction.

    Args:
        db: The database.
        function: Takes a write session and calls :func:`upsert_seed`.
        directory: The history; the settings' folder when None. Without any such
            folder the tables are taken as they are.

    Returns:
        What changed, table by table.

    Raises:
        MigrationError: The database is not at the head of the history.
        LockstepError: Whatever the function or the database refused; nothing is
            kept then.
    """
    settings = db.settings
    folder = settings.root / settings.migrations if directory is None else directory
    _refuse_behind(db, Path(folder))
    with db.write_session(actor=ACTOR) as session:
        counts = session.info.setdefault(COUNTS, SeedCounts())
        function(session)
        session.flush()
    return counts.report()


def _refuse_behind(db: Database, folder: Path) -> None:
    if not (folder / "env.py").is_file():
        return
    from lockstep.migrations.api import Migrations

    migrations = Migrations(db, directory=folder)
    applied = set(migrations.current_heads())
    heads = {item.revision for item in migrations.heads()}
    if applied != heads:
        raise MigrationError(
            "the database is not at the head of its history, so it may lack what the "
            "seed needs",
            hint="lockstep migrate upgrade, then seed",
            detail={"current": sorted(applied), "heads": sorted(heads)},
        )
