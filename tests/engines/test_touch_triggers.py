"""``updated_at`` moves with the row: raw SQL, odd names, every kind of key."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import lockstep as ls
from lockstep.clock import ManualClock
from lockstep.schema import (
    create_touch_trigger_sql,
    drop_touch_trigger_sql,
    portable_metadata,
    touch_trigger_name,
)
from lockstep.schema.names import quote_identifier as q

OLD = dt.datetime(2001, 2, 3, 4, 5, 6, 789, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


class Base(ls.Portable, DeclarativeBase):
    pass


class Note(ls.UuidKey, ls.Timestamped, Base):
    __tablename__ = "note"

    title: Mapped[str]


class Odd(ls.Timestamped, Base):
    """A composite key, reserved words, quotes and percent signs."""

    __tablename__ = 'Order "%s" — ' + "é" * 20

    first: Mapped[int] = mapped_column("select", primary_key=True, autoincrement=False)
    second: Mapped[str] = mapped_column('a "b" %', primary_key=True)
    value: Mapped[int]


class Renamed(ls.UuidKey, Base):
    """Its stamp is called otherwise, beside tables with the usual name."""

    __tablename__ = "renamed"

    value: Mapped[int]
    changed: Mapped[dt.datetime] = mapped_column(
        "Geändert", info={"lockstep.touch": True}
    )


class Rowless(ls.Timestamped, Base):
    __tablename__ = "rowless"
    __table_args__ = {"sqlite_with_rowid": False}

    code: Mapped[str] = mapped_column(primary_key=True)
    rowid: Mapped[int]


@pytest.fixture
def filled(db: ls.Database) -> ls.Database:
    Base.metadata.create_all(db.engine)
    stamps = {"created_at": OLD, "updated_at": OLD}
    with Session(db.engine) as session:
        session.add(Note(id=uuid.UUID(int=1), title="a", **stamps))
        session.add(Note(id=uuid.UUID(int=2), title="b", **stamps))
        session.add(Odd(first=1, second="x", value=0, **stamps))
        session.add(Odd(first=1, second="y", value=0, **stamps))
        session.add(Rowless(code="r", rowid=0, **stamps))
        session.commit()
    return db


def stamps(db: ls.Database, model: Any, *order: Any) -> list[dt.datetime]:
    with db.engine.connect() as connection:
        return list(connection.scalars(sa.select(model.updated_at).order_by(*order)))


def raw(db: ls.Database, sql: str) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql(sql.replace("%", "%%") if is_pg(db) else sql)


def is_pg(db: ls.Database) -> bool:
    return db.dialect_name == "postgresql"


def is_now(moment: dt.datetime) -> bool:
    return abs(moment - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_a_raw_update_touches_only_its_rows(filled: ls.Database) -> None:
    raw(filled, "UPDATE note SET title = 'c' WHERE title = 'a'")
    first, second = stamps(filled, Note, Note.id)
    assert is_now(first)
    assert second == OLD


def test_an_update_of_no_row_touches_none(filled: ls.Database) -> None:
    raw(filled, "UPDATE note SET title = 'c' WHERE title = 'no such'")
    assert stamps(filled, Note) == [OLD, OLD]


def test_an_explicit_stamp_is_respected(filled: ls.Database) -> None:
    chosen = OLD + SECOND
    with filled.engine.begin() as connection:
        connection.execute(sa.update(Note).values(title="c", updated_at=chosen))
    assert stamps(filled, Note) == [chosen, chosen]


def test_odd_names_and_composite_keys_are_quoted(filled: ls.Database) -> None:
    table, column = q(Odd.__tablename__), q('a "b" %')
    raw(filled, f"UPDATE {table} SET value = 5 WHERE {column} = 'y'")
    first, second = stamps(filled, Odd, Odd.second)
    assert first == OLD
    assert is_now(second)
    name = touch_trigger_name(Odd.__tablename__)
    assert len(name.encode()) <= 63


def test_a_stamp_of_another_name_is_kept(filled: ls.Database) -> None:
    with Session(filled.engine) as session:
        session.add(Renamed(value=1, changed=OLD))
        session.commit()
    raw(filled, "UPDATE renamed SET value = 2")
    raw(filled, "UPDATE note SET title = 'both functions stay'")
    with filled.engine.connect() as connection:
        assert is_now(connection.scalars(sa.select(Renamed.changed)).one())


def test_a_table_without_rowid_is_touched(filled: ls.Database) -> None:
    raw(filled, "UPDATE rowless SET rowid = 7")
    assert all(map(is_now, stamps(filled, Rowless)))


def test_a_changed_key_is_followed(filled: ls.Database) -> None:
    raw(filled, "UPDATE rowless SET code = 'other'")
    assert all(map(is_now, stamps(filled, Rowless)))


def test_raw_inserts_have_stamps_too(filled: ls.Database) -> None:
    raw(filled, "INSERT INTO rowless (code, rowid) VALUES ('new', 1)")
    with filled.engine.connect() as connection:
        row = connection.execute(
            sa.select(Rowless.created_at, Rowless.updated_at).where(
                Rowless.code == "new"
            )
        ).one()
    assert row.created_at == row.updated_at
    assert is_now(row.created_at)


@pytest.mark.engines("sqlite")
def test_recursive_triggers_end(filled: ls.Database) -> None:
    with filled.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA recursive_triggers = ON")
        for number in range(200):
            connection.exec_driver_sql(f"UPDATE note SET title = '{number}'")
    assert all(map(is_now, stamps(filled, Note)))


def test_an_upsert_touches_once(filled: ls.Database) -> None:
    raw(
        filled,
        "INSERT INTO rowless (code, rowid) VALUES ('r', 9) "
        "ON CONFLICT (code) DO UPDATE SET rowid = excluded.rowid",
    )
    assert all(map(is_now, stamps(filled, Rowless)))
    with filled.engine.connect() as connection:
        assert connection.scalar(sa.select(Rowless.rowid)) == 9


def test_the_statements_may_run_twice_and_be_taken_back(filled: ls.Database) -> None:
    with filled.engine.begin() as connection:
        for _ in range(2):
            for sql in create_touch_trigger_sql("note", ["id"], filled.dialect_name):
                connection.exec_driver_sql(
                    sql.replace("%", "%%") if is_pg(filled) else sql
                )
        for _ in range(2):
            for sql in drop_touch_trigger_sql("note", filled.dialect_name):
                connection.exec_driver_sql(sql)
    raw(filled, "UPDATE note SET title = 'c'")
    assert stamps(filled, Note) == [OLD, OLD]


def test_everything_goes_with_drop_all(filled: ls.Database) -> None:
    Base.metadata.create_all(filled.engine)
    Base.metadata.drop_all(filled.engine)
    with filled.engine.connect() as connection:
        if is_pg(filled):
            left = "SELECT count(*) FROM pg_proc WHERE proname ~ '^lockstep_touch'"
        else:
            left = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
        assert connection.exec_driver_sql(left).scalar() == 0


@pytest.mark.engines("postgresql")
def test_a_table_of_another_schema_has_its_own_function(db: ls.Database) -> None:
    metadata = portable_metadata(schema="Other")
    table = sa.Table(
        "note",
        metadata,
        sa.Column("id", ls.BigInteger(), primary_key=True),
        sa.Column("title", ls.Text()),
        sa.Column("updated_at", ls.UtcDateTime(), info={"lockstep.touch": True}),
    )
    raw(db, 'CREATE SCHEMA "Other"')
    metadata.create_all(db.engine)
    with db.engine.begin() as connection:
        connection.execute(sa.insert(table).values(id=1, title="a", updated_at=OLD))
        connection.execute(sa.update(table).values(title="b"))
        assert is_now(connection.scalars(sa.select(table.c.updated_at)).one())
    metadata.drop_all(db.engine)
    raw(db, 'DROP SCHEMA "Other"')


def test_the_orm_goes_by_the_sessions_clock(filled: ls.Database) -> None:
    clock = ManualClock(dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    with Session(filled.engine, info={"lockstep.clock": clock}) as session:
        note = session.get_one(Note, uuid.UUID(int=1))
        note.title = "changed"
        session.flush()
        assert note.updated_at == clock.now()
        assert note.created_at == OLD
        clock.advance(5)
        note.title = "changed"
        session.flush()
        assert note.updated_at == clock.now() - 5 * SECOND
        note.title = "again"
        note.updated_at = OLD
        fresh = Note(title="fresh")
        session.add(fresh)
        session.commit()
        session.expire_all()
        assert note.updated_at == OLD
        assert fresh.created_at == fresh.updated_at == clock.now()


def test_a_core_update_goes_by_the_system_clock(filled: ls.Database) -> None:
    with filled.engine.begin() as connection:
        connection.execute(sa.update(Note).values(title="c"))
    assert all(map(is_now, stamps(filled, Note)))
