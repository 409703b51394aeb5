"""Whatever is done, the trail tells it: replaying the entries gives the table."""

from __future__ import annotations

import random
import uuid
from contextlib import suppress
from decimal import Decimal as D
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session
from tests.engines.repository_models import AuditedBase, Box, Entry, Tool, create

from lockstep.engine import Database
from lockstep.errors import DataError
from lockstep.repository import Repository
from lockstep.repository.audit.images import fetch_rows, key_text

NAMES = ["a", "b", "c"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "add",
                "add_many",
                "update",
                "adjust",
                "upsert",
                "delete",
                "remove",
                "restore",
                "edit",
                "empty_box",
            ]
        ),
        st.integers(0, 10**6),
    ),
    max_size=14,
)


@pytest.fixture
def shop(db: Database) -> Database:
    return create(db, AuditedBase)


def step(session: Session, verb: str, seed: int) -> None:
    """Do something that may well be refused."""
    chance = random.Random(seed)
    tools, boxes = Repository(Tool, session), Repository(Box, session)
    keys = [row.id for row in tools.list(with_deleted=True)] or [uuid.uuid4()]
    homes = [row.id for row in boxes.list()] or [None]
    key, name, number = chance.choice(keys), chance.choice(NAMES), chance.randint(-2, 3)
    values = {"name": name, "price": D(number), "box_id": chance.choice(homes)}
    match verb:
        case "add":
            tools.add(Tool(box=Box(label=name), name=name, quantity=number))
        case "add_many":
            tools.add_many({**values, "name": each} for each in NAMES[: abs(number)])
        case "update":
            tools.update(key, values, expected_version=chance.choice([1, 2, 3]))
        case "adjust":
            tools.adjust(key, "quantity", number)
        case "upsert":
            rows = [{**values, "name": each, "pin": "1"} for each in NAMES]
            tools.upsert_many(rows[:2] + rows[1:], match_on=("name",))
        case "delete" | "remove":
            tools.delete(key, hard=verb == "remove")
        case "restore":
            tools.restore(key)
        case "edit":
            known = tools.list(limit=2, order_by="-name")
            session.add(Box(label=str(uuid.uuid4())))
            for row in known:
                row.quantity += number
            if known and number > 1:
                session.delete(known[0])
            session.flush()
        case _:
            boxes.delete(chance.choice(homes))


def replayed(entries: list[Entry]) -> dict[tuple[str, str], dict[str, Any]]:
    """Build the rows that the entries speak of, from nothing."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        key = (entry.table_name, str(entry.row_key))
        if entry.action == "insert":
            assert key not in rows
            assert entry.before is None
            rows[key] = entry.after
            continue
        for name, value in (entry.before or {}).items():
            assert rows[key][name] == value, f"{entry.action} of {name}"
        if entry.after is None:
            assert entry.before == rows.pop(key)
        else:
            rows[key] = {**rows[key], **entry.after}
    return rows


def stored(session: Session) -> dict[tuple[str, str], dict[str, Any]]:
    """Read the same rows from the tables, encoded and masked as the trail is."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for model in (Box, Tool):
        mapper = sa.inspect(model)
        keys = [tuple(row) for row in session.execute(sa.select(model.id))]
        for identity, image in fetch_rows(session, mapper, mapper.primary_key, keys):
            if image.get("pin") is not None:
                image["pin"] = "***"
            row_key = str({"id": image["id"]})
            assert key_text(identity) == f"['{image['id']}']"
            found[model.__tablename__, row_key] = image
    return found


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_replaying_the_trail_gives_the_tables(
    shop: Database, steps: list[tuple[str, int]]
) -> None:
    with shop.write_session() as session:
        for model in (Entry, Tool, Box):
            session.execute(sa.delete(model))
        for verb, seed in steps:
            with suppress(DataError):
                step(session, verb, seed)
        entries = Repository(Entry, session).list(order_by="id")
        assert replayed(entries) == stored(session)
