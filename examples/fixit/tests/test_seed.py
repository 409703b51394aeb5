"""The demo factory: there once, and never in the way of what people change."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from acting import People, acting, at_once, part_id
from sqlalchemy import func, select

from fixit.models import Base, Role, SparePart, User
from fixit.permissions import ROLES
from fixit.project import prepare
from fixit.seed import has_demo_pins, install, seed
from fixit.seed.people import DEMO_LOGINS
from fixit.services import auth, people
from lockstep import Database
from lockstep.errors import ConfigError


def content(db: Database) -> dict[str, Counter[Any]]:
    with db.read_session() as session:
        return {
            table.name: Counter(
                tuple(map(str, row)) for row in session.execute(select(table))
            )
            for table in Base.metadata.sorted_tables
        }


def test_what_is_there(db: Database) -> None:
    wanted = {
        "users": 4,
        "roles": 4,
        "locations": 6,
        "equipment": 6,
        "work_orders": 4,
        "schedules": 2,
        "checklists": 2,
        "spare_parts": 12,
        "inventory_levels": 12,
        "inventory_transactions": 12,
    }
    rows = {name: found.total() for name, found in content(db).items()}
    assert {name: rows[name] for name in wanted} == wanted


def test_seeding_again_changes_nothing(db: Database) -> None:
    before = content(db)
    prepare(db, demo=True)
    assert content(db) == before


def test_seeding_again_keeps_what_people_changed(db: Database, who: People) -> None:
    auth.change_pin(db, who.technician, "5678", "804215")
    with acting(db, who.admin) as session:
        session.get_one(User, who.operator.user_id).name = "Olga Petrova"
        session.get_one(SparePart, part_id("FUSE-10")).reorder_point = 99
        operator = session.scalars(select(Role).where(Role.name == "operator")).one()
        operator.permissions = ["work_orders:report"]
    before = content(db)
    prepare(db, demo=True)
    assert content(db) == before
    auth.login(db, "TECH-001", "804215")


def test_the_page_is_warned_until_every_demo_pin_is_changed(
    db: Database, who: People
) -> None:
    for number, (employee_id, pin, _, _) in enumerate(DEMO_LOGINS):
        with db.read_session() as session:
            assert has_demo_pins(session)
        user = auth.login(db, employee_id, pin).who
        auth.change_pin(db, user, pin, f"80421{number}")
    with db.read_session() as session:
        assert not has_demo_pins(session)


def test_without_the_demo_nobody_has_a_known_pin(empty: Database) -> None:
    with empty.read_session() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 0
        assert set(session.scalars(select(Role.name))) == set(ROLES)


def test_no_demo_beside_real_users(empty: Database) -> None:
    with empty.write_session() as session:
        people.add_user(
            session, "ADA-1", "Ada", "administrator", "804215", must_change_pin=False
        )
    with pytest.raises(ConfigError, match="users of its own"):
        prepare(empty, demo=True)
    prepare(empty)


def test_no_demo_in_production(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///named.db")
    with (
        pytest.raises(ConfigError, match="production"),
        empty.write_session() as session,
    ):
        seed(session)


def test_installing_again_changes_nothing(empty: Database) -> None:
    before = content(empty)
    with empty.write_session() as session:
        install(session)
    assert content(empty) == before


def test_four_servers_start_on_an_empty_database(blank: Database) -> None:
    def start() -> None:
        with Database(blank.url.unmasked()) as db:
            prepare(db, demo=True)

    assert at_once([start] * 4) == [None] * 4
    assert content(blank)["users"].total() == 4
