"""Cursors that somebody has made or damaged: refused, whatever is in them."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Mapped as M
from sqlalchemy.orm import mapped_column as column
from tests.engines.repository_models import create

from lockstep.engine import Database
from lockstep.errors import InvalidCursor
from lockstep.repository import Repository
from lockstep.repository.cursor import CURSOR_LENGTH_MAX, encode
from lockstep.repository.facts import facts_of
from lockstep.repository.ordering import ordering_of
from lockstep.schema import Portable


class Base(Portable, DeclarativeBase):
    """Models of this test."""


class Row(Base):
    __tablename__ = "row"

    id: M[int] = column(primary_key=True)
    number: M[int | None]
    solid: M[int] = column(default=0)
    real: M[float | None]
    text: M[str | None]
    key: M[uuid.UUID | None]
    at: M[dt.datetime | None]
    price: M[D | None]
    flag: M[bool | None]
    blob: M[bytes | None]
    network: M[str | None] = column(
        sa.Text().with_variant(postgresql.INET(), "postgresql")
    )


NAMES = [prop.key for prop in sa.inspect(Row).column_attrs]
VALUES: list[Any] = [
    None,
    True,
    0,
    2**63 - 1,
    -(2**63),
    1.5,
    float("inf"),
    "",
    "x",
    "1",
    "'; DROP TABLE row; --",
    "\ud7ff",
    D("1.5"),
    D("1e900"),
    D("NaN"),
    uuid.UUID(int=0),
    dt.datetime(2026, 1, 1),  # noqa: DTZ001
    dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=14))),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999, dt.UTC),
    dt.date(1, 1, 1),
    dt.time(1, 2, 3),
    dt.timedelta(days=999_999_999),
    b"\x00\xff",
]


@pytest.fixture
def rows(db: Database) -> Database:
    create(db, Base)
    with db.write_session() as session:
        Repository(Row, session).add_many({"text": str(n)} for n in range(5))
    return db


def signature(session: Any, order: Any) -> bytes:
    ordering = ordering_of(facts_of(Row), order)
    return ordering.signature(facts_of(Row), session.get_bind().dialect)


@pytest.mark.parametrize("name", NAMES)
def test_a_forged_value_of_any_type_is_a_position_or_refused(
    rows: Database, name: str
) -> None:
    refused = 0
    with rows.write_session() as session:
        repository = Repository(Row, session)
        order = (name,) if name == "id" else (name, "id")
        for value in VALUES:
            position = (value,) if name == "id" else (value, 3)
            cursor = encode(
                position, inclusive=False, signature=signature(session, order)
            )
            for side in ("after", "before"):
                try:
                    repository.page(order_by=order, size=2, **{side: cursor})  # type: ignore[arg-type]
                except InvalidCursor:
                    refused += 1
        # Whatever was refused, the transaction goes on.
        assert repository.count() == 5
    assert refused > 0


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'["1","x"]',
        b'["1","x",["i:1"],4]',
        b'["2","x",["i:1"]]',
        b'["1","y",["i:1"]]',
        b'["1","x",[]]',
        b'["1","x",["i:1","i:2"]]',
        b'["1","x",["i:"]]',
        b'["1","x",["i:99999999999999999999"]]',
        b'["1","x",["i:1e5"]]',
        b'["1","x",["z:1"]]',
        b'["1","x",["i1"]]',
        b'["1","x",[1]]',
        b'["1","x",[null]]',
        b'["1","x",[["i:1"]]]',
        b'["1","x",{"i:1":1}]',
        b'["1","x",["n:"]]',
        b'["1","x",["n:1"]]',
        b'["1","x",["b:2"]]',
        b'["1","x",["f:nan"]]',
        b'["1","x",["f:0x1p99999"]]',
        b'["1","x",["d:abc"]]',
        b'["1","x",["d:1e999999999"]]',
        b'["1","x",["d:sNaN"]]',
        b'["1","x",["u:1"]]',
        b'["1","x",["t:now"]]',
        b'["1","x",["e:1"]]',
        b'["1","x",["e:9999999999,0,0"]]',
        b'["1","x",["x:=="]]',
        b'["1","x",["s:\\u0000"]]',
        b'["1","x",["s:\\ud800"]]',
        b"[" * 4000,
        b"\xff\xfe",
        b'["1","x",["c:__import__(\'os\')"]]',
        b"\x80\x04N.",
    ],
    ids=lambda payload: payload[:30].decode("latin-1"),
)
def test_a_forged_payload_with_a_valid_check_is_refused(
    rows: Database, payload: bytes
) -> None:
    import hashlib

    with rows.read_session() as session:
        check = hashlib.sha256(signature(session, "id") + payload).digest()[:8]
        cursor = base64.urlsafe_b64encode(check + payload).rstrip(b"=").decode()
        repository = Repository(Row, session)
        for side in ("after", "before"):
            with pytest.raises(InvalidCursor):
                repository.page(order_by="id", **{side: cursor})  # type: ignore[arg-type]
        assert repository.count() == 5


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "====",
        "A" * CURSOR_LENGTH_MAX,
        "A" * 10_000_000,
        "é",
        "\x00",
        "../../etc/passwd",
        "' OR 1=1 --",
        7,
        b"AAAA",
        ["a"],
        object(),
    ],
    ids=lambda cursor: repr(cursor)[:20],
)
def test_what_is_no_cursor_is_refused(rows: Database, cursor: Any) -> None:
    with rows.read_session() as session:
        repository = Repository(Row, session)
        with pytest.raises(InvalidCursor):
            repository.page(after=cursor)
        with pytest.raises(InvalidCursor):
            repository.page(before=cursor)


def test_a_cursor_with_any_bit_changed_is_refused(rows: Database) -> None:
    with rows.read_session() as session:
        repository = Repository(Row, session)
        cursor = repository.page(order_by=("text", "id"), size=2).next_cursor
        assert cursor is not None
        assert set(cursor) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        )
        blob = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        for position in range(len(blob) * 8):
            changed = bytearray(blob)
            changed[position // 8] ^= 1 << position % 8
            text = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
            with pytest.raises(InvalidCursor):
                repository.page(order_by=("text", "id"), after=text)
        for cut in (cursor[:-1], cursor[1:], cursor + "A", cursor * 2, f" {cursor}"):
            with pytest.raises(InvalidCursor):
                repository.page(order_by=("text", "id"), after=cut)
        assert len(repository.page(order_by=("text", "id"), after=cursor)) == 3


def test_a_cursor_says_no_more_than_the_sort_keys(rows: Database) -> None:
    with rows.read_session() as session:
        page = Repository(Row, session).page(order_by="text", size=1)
    cursor = page.next_cursor
    assert cursor is not None
    blob = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert json.loads(blob[8:]) == ["1", "x", ["s:0", "i:1"]]
